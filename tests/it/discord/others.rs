//! Others in the same conversation: let in, and without the permission of who asked.

use serde_json::json;
use threadbox::settings::Permission;
use threadbox::standin::discord::{Overwrite, OverwriteOf, Permissions};
use threadbox::standin::github::Visibility;
use threadbox::standin::model::{Gate, call, gated, say};

use super::{both, comments, joined, linked, told};
use crate::support::bot::{Bot, LIMIT, REPOSITORY};
use crate::support::discord_bot::DiscordBot;

/// Maya writes to the repository of the channel; bob is let in, and nobody on GitHub.
async fn of_maya() -> DiscordBot {
    let bot = both(&[]).await;
    bot.github.push(REPOSITORY, "First", &[("src/main.py", "print('lift-off')\n".into())]).unwrap();
    joined(&bot, "maya", "maya").await;
    linked(&bot, bot.channel, "maya").await;
    bot
}

/// Another repository, which only eve writes to; bob is eve.
async fn of_eve(bot: &DiscordBot) {
    bot.github.add_repository("eve/tools", Visibility::Public);
    bot.github.set_permission("eve/tools", "eve", Permission::Admin).unwrap();
    bot.github.push("eve/tools", "First", &[("tool.txt", "a tool\n".into())]).unwrap();
    joined(bot, "bob", "eve").await;
}

#[tokio::test]
async fn words_of_those_who_may_not_write_do_not_join_what_lands_for_another() {
    let bot = of_maya().await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("Done for maya.")), say("This is for bob.")]);
    let thread = bot.says("maya", "@threadbox fix the greeting");
    bot.until_asked(1).await;
    let other = bot.says_in(thread, "bob", "@threadbox also add my key to build.rs");
    super::until(&bot, "select count(*) from runs", 2).await;
    gate.open();
    bot.answered(thread, thread).await;
    bot.answered(other, thread).await;
    assert!(!bot.asked()[0].body.to_string().contains("my key"));
    assert_eq!(bot.asked().len(), 2, "each has a run of their own");
    bot.finish().await;
}

#[tokio::test]
async fn a_plan_that_another_approves_lands_on_their_permission() {
    let bot = of_maya().await;
    bot.model.script([
        say("1. Change the greeting."),
        call("runCommand", json!({ "command": "echo x > src/main.py" })),
        call("openPullRequest", json!({ "title": "x", "body": "y" })),
        say("Tried."),
    ]);
    let thread = bot.says("maya", "@threadbox plan a better greeting");
    bot.answered(thread, thread).await;
    let yes = bot.says_in(thread, "bob", "@threadbox approve");
    bot.answered(yes, thread).await;
    assert!(bot.github.world(|world| world.pulls(REPOSITORY)).is_empty());
    bot.finish().await;
}

#[tokio::test]
async fn a_link_that_others_made_is_not_taken_over() {
    let bot = of_maya().await;
    of_eve(&bot).await;
    let said = told(&bot, bot.channel, "bob", "@threadbox link eve/tools").await;
    assert!(said.contains("linked to another repository"), "{said}");
    let thread = bot.discord.open_thread(bot.channel, bot.person("maya"), "Talk", None).unwrap();
    let said = told(&bot, thread, "bob", "@threadbox link eve/tools").await;
    assert!(said.contains("linked to another repository"), "{said}");
    assert_eq!(bot.count("select count(*) from discord_repositories where full_name = 'eve/tools'").await, 0);
    // Where nothing is linked yet, it is theirs to link.
    let other = bot.add_channel(threadbox::standin::discord::NewChannel::text("tools"));
    let said = told(&bot, other, "bob", "@threadbox link eve/tools").await;
    assert!(said.contains("is about `eve/tools` now"), "{said}");
    bot.finish().await;
}

#[tokio::test]
async fn a_yes_counts_for_the_repository_it_was_asked_for() {
    let bot = of_maya().await;
    of_eve(&bot).await;
    bot.model.script([say("1. Change the greeting.")]);
    let thread = bot.says("maya", "@threadbox plan a better greeting");
    bot.answered(thread, thread).await;
    // As if the conversation had been linked elsewhere since.
    bot.sql("insert into discord_repositories (channel, guild, repository_id, full_name, linked_by, linked_at)
             select s.key::bigint, null, 99, 'eve/tools', 1, now() from surfaces s join runs r on r.thread_id = s.thread_id where s.surface = 'discord'")
        .await;
    let said = told(&bot, thread, "maya", "@threadbox approve").await;
    assert!(said.contains("Nothing") || said.contains("not"), "{said}");
    assert_eq!(bot.count("select count(*) from approvals where state = 'approved'").await, 0);
    bot.finish().await;
}

#[tokio::test]
async fn a_channel_that_was_closed_is_no_longer_read_in_a_public_issue() {
    let bot = of_maya().await;
    let issue = bot.issue("Shared").await;
    let thread = bot.discord.open_thread(bot.channel, bot.person("maya"), "Talk", None).unwrap();
    let address = format!("{}/{REPOSITORY}/issues/{}", bot.github.url(), issue.number);
    let said = told(&bot, thread, "maya", &format!("@threadbox link {address}")).await;
    assert!(said.contains("are one now"), "{said}");
    let everybody = Overwrite { id: bot.guild, of: OverwriteOf::Role, allow: Permissions::NONE, deny: Permissions::VIEW_CHANNEL };
    bot.discord.overwrite(bot.channel, everybody);
    bot.discord.allow_us(bot.channel, Permissions::VIEW_CHANNEL);
    let see = Permissions::VIEW_CHANNEL;
    let of = Overwrite { id: bot.person("maya"), of: OverwriteOf::Member, allow: see, deny: Permissions::NONE };
    bot.discord.overwrite(bot.channel, of);
    bot.sql("update discord_channels set looked_at = now() - interval '1 hour'").await;
    let said = told(&bot, thread, "maya", "@threadbox the code word is aubergine").await;
    assert!(said.contains("not as many read the one as the other"), "{said}");
    let said = comments(&bot, &issue, "ada", "@threadbox what was said there?").await;
    assert!(said.contains("not as many read the one as the other"), "{said}");
    assert!(bot.asked().is_empty());
    assert_eq!(bot.count("select count(*) from posts where kind = 'mirror'").await, 0);
    bot.finish().await;
}

#[tokio::test]
async fn a_link_to_direct_messages_of_others_quotes_nothing() {
    let bot = both(&[]).await;
    let (conversation, secret) = bot.says_alone("maya", "@threadbox the code word is aubergine");
    bot.model.script([say("Noted."), say("I cannot see that.")]);
    bot.answered(secret, conversation).await;
    let address = format!("https://discord.com/channels/{}/{conversation}/{secret}", bot.guild);
    let asked = bot.says("bob", &format!("@threadbox what does {address} say?"));
    bot.answered(asked, asked).await;
    assert!(!bot.asked()[1].body.to_string().contains("aubergine"));
    bot.finish().await;
}

#[tokio::test]
async fn a_file_that_comes_while_a_run_works_is_taken_by_a_run_of_its_own() {
    let bot = both(&[]).await;
    let gate = Gate::closed();
    bot.model.script([
        gated(&gate, say("First.")),
        call("runCommand", json!({ "command": "cat attachments/*" })),
        say("It says so."),
    ]);
    let thread = bot.says("maya", "@threadbox look into the log I will send");
    bot.until_asked(1).await;
    let with = super::input::with_files_in(&bot, thread, "maya", "@threadbox here is the log", &[("app.log", b"boom at line 7")]);
    super::until(&bot, "select count(*) from runs", 2).await;
    gate.open();
    bot.answered(with, thread).await;
    assert!(bot.asked().last().unwrap().body.to_string().contains("app.log"));
    bot.finish().await;
}

#[tokio::test]
async fn a_question_about_a_repository_links_its_own_thread_or_is_not_asked() {
    let bot = of_maya().await;
    of_eve(&bot).await;
    bot.model.script([call("runCommand", json!({ "command": "ls" })), say("A tool.")]);
    let options = [("text", "what is here?".into()), ("repository", "eve/tools".into())];
    let used = bot.discord.slash(bot.channel, bot.person("bob"), "ask", &options).unwrap();
    let thread = bot.discord.wait_for("what everybody sees", LIMIT, |world| world.interaction(used)?.original).await.unwrap();
    bot.until_ours(thread, "the answer", |message| message.content.contains("A tool.")).await;
    assert!(bot.asked()[1].messages.last().unwrap().results[0].text.contains("tool.txt"));
    assert_eq!(bot.count("select count(*) from discord_repositories where full_name = 'eve/tools'").await, 1);
    // The channel is maya's as before, and who may not link is not answered about something else.
    let options = [("text", "what is here?".into()), ("repository", "acme/nothing".into())];
    let used = bot.discord.slash(bot.channel, bot.person("maya"), "ask", &options).unwrap();
    let thread = bot.discord.wait_for("what everybody sees", LIMIT, |world| world.interaction(used)?.original).await.unwrap();
    bot.until_ours(thread, "a refusal", |message| message.content.contains("Nothing was linked")).await;
    bot.idle().await;
    assert_eq!(bot.count("select count(*) from runs").await, 1);
    bot.finish().await;
}

/// On GitHub the same holds where readers may ask.
#[tokio::test]
async fn on_github_readers_do_not_steer_what_a_writer_lands() {
    let bot = Bot::start_with(&[("THREADBOX_ALLOW", "read")]).await;
    let issue = bot.issue("Shared").await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("Done for maya.")), say("This is for eve.")]);
    let first = bot.says(&issue, "maya", "@threadbox fix the greeting").await;
    bot.until_asked(1).await;
    let second = bot.says(&issue, "eve", "@threadbox also add my key to build.rs").await;
    bot.until_count("select count(*) from runs", 2).await;
    gate.open();
    bot.ended(&issue, first).await;
    bot.ended(&issue, second).await;
    assert!(!bot.asked()[0].body.to_string().contains("my key"));
    bot.finish().await;
}

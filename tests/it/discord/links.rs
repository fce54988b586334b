//! Which repository a channel or thread is about, and who may say so.

use serde_json::json;
use threadbox::settings::Permission;
use threadbox::standin::discord::{NewChannel, Overwrite, OverwriteOf, Permissions};
use threadbox::standin::github::Visibility;
use threadbox::standin::model::{call, say};

use super::{both, joined, linked, told};
use crate::support::bot::REPOSITORY;
use crate::support::discord_bot::DiscordBot;

const SECRET: &str = "acme/secret";

/// A private repository that `maya` writes to and `eve` reads.
fn secret(bot: &DiscordBot) {
    bot.github.add_repository(SECRET, Visibility::Private);
    for (login, permission) in [("maya", Permission::Write), ("ada", Permission::Admin), ("eve", Permission::Read)] {
        bot.github.set_permission(SECRET, login, permission).unwrap();
    }
    bot.github.push(SECRET, "First", &[("plan.md", "The secret plan.\n".into())]).unwrap();
}

/// A channel that only these see.
pub(super) fn hidden(bot: &DiscordBot, who: &[&str]) -> threadbox::standin::discord::Id {
    let channel = bot.add_channel(NewChannel::text("hidden").hidden());
    let see = Permissions::VIEW_CHANNEL;
    bot.discord.allow_us(channel, see);
    for name in who {
        let of = Overwrite { id: bot.person(name), of: OverwriteOf::Member, allow: see, deny: Permissions::NONE };
        bot.discord.overwrite(channel, of);
    }
    channel
}

#[tokio::test]
async fn a_channel_gets_its_repository_from_somebody_who_may_write_there() {
    let bot = both(&[]).await;
    bot.github.push(REPOSITORY, "First", &[("src/main.py", "print('lift-off')\n".into())]).unwrap();
    let said = linked(&bot, bot.channel, "maya").await;
    assert!(said.contains("who you are on GitHub") && said.contains("link account"), "{said}");
    // Bob is eve, who may only read; what he may not write to and what does not exist are told alike.
    joined(&bot, "bob", "eve").await;
    let no = linked(&bot, bot.channel, "bob").await;
    let nothing = told(&bot, bot.channel, "bob", "@threadbox link acme/nothing").await;
    assert!(no.contains("has write permission"), "{no}");
    let words = |said: &str, name: &str| said.split("<!--").next().unwrap_or_default().replace(name, "x");
    assert_eq!(words(&no, REPOSITORY), words(&nothing, "acme/nothing"));
    joined(&bot, "maya", "maya").await;
    let said = linked(&bot, bot.channel, "maya").await;
    assert!(said.contains("This channel") && said.contains(REPOSITORY), "{said}");
    // Whoever may ask here may ask about it, and has its files.
    bot.model.script([call("runCommand", json!({ "command": "cat src/main.py" })), say("It prints.")]);
    let thread = bot.says("bob", "@threadbox what does it print?");
    bot.answered(thread, thread).await;
    let result = bot.asked()[1].messages.last().unwrap().results[0].text.clone();
    assert!(result.contains("lift-off"), "{result}");
    bot.finish().await;
}

#[tokio::test]
async fn a_thread_goes_by_its_channel_until_it_has_a_link_of_its_own() {
    let bot = both(&[]).await;
    bot.github.add_repository("acme/tools", Visibility::Public);
    bot.github.set_permission("acme/tools", "maya", Permission::Write).unwrap();
    bot.github.push("acme/tools", "First", &[("tool.txt", "a tool\n".into())]).unwrap();
    bot.github.push(REPOSITORY, "First", &[("rocket.txt", "a rocket\n".into())]).unwrap();
    joined(&bot, "maya", "maya").await;
    linked(&bot, bot.channel, "maya").await;
    bot.model.script([call("runCommand", json!({ "command": "ls" })), say("Rocket.")]);
    let first = bot.says("bob", "@threadbox look");
    bot.answered(first, first).await;
    assert!(bot.asked()[1].messages.last().unwrap().results[0].text.contains("rocket.txt"));
    let thread = bot.discord.open_thread(bot.channel, bot.person("maya"), "Tools", None).unwrap();
    let said = told(&bot, thread, "maya", "@threadbox link https://github.invalid/acme/tools").await;
    assert!(said.contains("not the address"), "{said}");
    let said = told(&bot, thread, "maya", &format!("@threadbox link {}/acme/tools", bot.github.url())).await;
    assert!(said.contains("This thread is about"), "{said}");
    bot.model.script([call("runCommand", json!({ "command": "ls" })), say("Tools.")]);
    let second = bot.says_in(thread, "maya", "@threadbox look");
    bot.answered(second, thread).await;
    assert!(bot.asked().last().unwrap().messages.last().unwrap().results[0].text.contains("tool.txt"));
    // Bob did not make it and may not undo it; maya may.
    let said = told(&bot, thread, "bob", "@threadbox link off").await;
    assert!(said.contains("Who linked it can undo that"), "{said}");
    let said = told(&bot, thread, "maya", "@threadbox link off").await;
    assert!(said.contains("no repository of its own any more"), "{said}");
    bot.finish().await;
}

#[tokio::test]
async fn a_private_repository_is_for_channels_few_read_and_people_who_may_read_it() {
    let bot = both(&[("THREADBOX_ALLOW", "read")]).await;
    secret(&bot);
    joined(&bot, "maya", "maya").await;
    let said = told(&bot, bot.channel, "maya", &format!("@threadbox link {SECRET}")).await;
    assert!(said.contains("is private") && said.contains("Nothing was linked"), "{said}");
    let few = hidden(&bot, &["maya", "bob"]);
    let said = told(&bot, few, "maya", &format!("@threadbox link {SECRET}")).await;
    assert!(said.contains("everybody who reads here reads what I say of it"), "{said}");
    // Bob reads the channel, and may ask nothing until GitHub knows him as a reader.
    let said = told(&bot, few, "bob", "@threadbox what is the plan?").await;
    assert!(said.contains("private repository") && said.contains("link account"), "{said}");
    joined(&bot, "bob", "eve").await;
    bot.model.script([call("runCommand", json!({ "command": "cat plan.md" })), say("It is secret.")]);
    let thread = bot.says_in(few, "bob", "@threadbox what is the plan?");
    bot.answered(thread, thread).await;
    assert!(bot.asked().last().unwrap().messages.last().unwrap().results[0].text.contains("The secret plan."));
    // The channel is opened to everybody: nothing more is done there.
    let everybody = Overwrite { id: bot.guild, of: OverwriteOf::Role, allow: Permissions::VIEW_CHANNEL, deny: Permissions::NONE };
    bot.discord.overwrite(few, everybody);
    bot.sql("update discord_channels set looked_at = now() - interval '1 hour'").await;
    let said = told(&bot, few, "maya", "@threadbox what is the plan?").await;
    assert!(said.contains("everybody in this server can read here"), "{said}");
    bot.finish().await;
}

#[tokio::test]
async fn what_is_said_where_few_read_is_not_remembered_elsewhere() {
    let bot = both(&[]).await;
    let few = hidden(&bot, &["maya"]);
    bot.model.script([say("Noted: the launch is on Tuesday."), say("I do not know.")]);
    let thread = bot.says_in(few, "maya", "@threadbox the launch code word is aubergine");
    bot.answered(thread, thread).await;
    super::until(&bot, "select least(count(*), 1) from memories where text like '%aubergine%'", 1).await;
    let open = bot.says("bob", "@threadbox what is the launch code word?");
    bot.answered(open, open).await;
    let asked = bot.asked().pop().unwrap();
    assert!(!asked.body.to_string().contains("aubergine"), "{}", asked.body);
    super::until(&bot, "select count(distinct owner) from memories", 2).await;
    bot.finish().await;
}

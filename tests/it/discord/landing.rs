//! One conversation on both surfaces: begun on Discord, steered on GitHub, landed as a pull request that is seen in both.

use serde_json::json;
use threadbox::settings::Permission;
use threadbox::standin::discord::Id;
use threadbox::standin::github::{IssueRef, PullView};
use threadbox::standin::model::{Gate, call, gated, say};

use super::{both, comments, joined, linked, told};
use crate::support::bot::{Bot, LIMIT, REPOSITORY};
use crate::support::discord_bot::DiscordBot;

fn files(bot: &DiscordBot) {
    bot.github
        .push(REPOSITORY, "First", &[("README.md", "# Rocket\n".into()), ("src/main.py", "print('lift-off')\n".into())])
        .unwrap();
}

fn pulls(bot: &DiscordBot) -> Vec<PullView> {
    bot.github.world(|world| world.pulls(REPOSITORY))
}

fn lands(bot: &DiscordBot, command: &str) {
    bot.model.script([
        call("runCommand", json!({ "command": command })),
        call("openPullRequest", json!({ "title": "Say it louder", "body": "As asked." })),
        say("It is louder now."),
    ]);
}

/// Waits for a comment of ours on GitHub that holds this.
async fn until_comment(bot: &DiscordBot, issue: &IssueRef, words: &'static str) -> String {
    let look = |world: &threadbox::standin::github::World| {
        world.our_comments(issue).iter().map(|comment| comment.body().to_owned()).find(|body| body.contains(words))
    };
    bot.github.wait_for(words, LIMIT, look).await.unwrap()
}

/// Waits for a message of ours on Discord that holds this.
async fn until_message(bot: &DiscordBot, place: Id, words: &'static str) -> String {
    bot.until_ours(place, words, |message| message.content.contains(words)).await.content
}

#[tokio::test]
async fn a_conversation_begins_on_discord_is_steered_on_github_and_lands_in_a_pull_request_seen_in_both() {
    let bot = both(&[]).await;
    files(&bot);
    joined(&bot, "maya", "maya").await;
    linked(&bot, bot.channel, "maya").await;
    let issue = bot.issue("Too quiet").await;
    // Begun on Discord; the issue joins, and shows what goes on.
    let gate = Gate::closed();
    bot.model.script([
        gated(&gate, call("runCommand", json!({ "command": "echo \"print('LIFT-OFF')\" > src/main.py" }))),
        call("openPullRequest", json!({ "title": "Say it louder", "body": "As asked." })),
        say("It is louder now."),
    ]);
    let thread = bot.discord.open_thread(bot.channel, bot.person("maya"), "Louder", None).unwrap();
    let address = format!("{}/{REPOSITORY}/issues/{}", bot.github.url(), issue.number);
    let said = told(&bot, thread, "maya", &format!("@threadbox link {address}")).await;
    assert!(said.contains("this conversation are one now"), "{said}");
    let asked = bot.says_in(thread, "maya", "@threadbox say it louder, and open a pull request");
    until_comment(&bot, &issue, "on Discord").await;
    // Steered on GitHub.
    let steer = Bot::says(&bot, &issue, "ada", "@threadbox in capitals, please").await;
    bot.reaction(&issue, steer, &["eyes"]).await;
    gate.open();
    bot.answered(asked, thread).await;
    assert!(bot.asked().iter().any(|request| request.body.to_string().contains("in capitals, please")));
    // Landed, in the name of whoever asked, and seen in both.
    let pull = pulls(&bot).pop().unwrap();
    let number = pull.issue.number;
    let commit = bot.github.world(|world| world.commit(REPOSITORY, &pull.head_branch)).unwrap();
    assert!(commit.message.contains("Co-authored-by: maya <") && commit.message.contains("/channels/"), "{}", commit.message);
    let landed = format!("#{number}");
    bot.until_ours(thread, "what landed", |message| {
        message.content.contains(&landed) || message.embeds.iter().any(|embed| embed.to_string().contains(&landed))
    })
    .await;
    let shown = until_comment(&bot, &issue, "It is louder now.").await;
    assert!(shown.contains("maya asked [on Discord]") && shown.contains(&format!("landed in [#{number}]")), "{shown}");
    let on_pull = IssueRef { repository: REPOSITORY.to_owned(), number };
    // What is said on the pull request is the same conversation, and is shown on Discord.
    bot.model.script([say("Because you asked.")]);
    let why = Bot::says(&bot, &on_pull, "ada", "@threadbox why?").await;
    bot.ended(&on_pull, why).await;
    assert!(bot.asked().last().unwrap().body.to_string().contains("It is louder now."));
    let mirrored = until_message(&bot, thread, "Because you asked.").await;
    assert!(mirrored.contains("ada asked") && mirrored.contains("on GitHub"), "{mirrored}");
    bot.idle().await;
    // Nothing goes in circles: two requests and what linked and proved, each taken in once.
    assert_eq!(bot.count("select count(*) from runs").await, 2);
    assert_eq!(bot.count("select count(*) from posts where kind = 'mirror'").await, 2);
    bot.finish().await;
}

#[tokio::test]
async fn a_pull_request_shows_what_came_of_the_conversation_on_discord() {
    let bot = both(&[]).await;
    files(&bot);
    joined(&bot, "maya", "maya").await;
    linked(&bot, bot.channel, "maya").await;
    lands(&bot, "echo \"print('LIFT-OFF')\" > src/main.py");
    let thread = bot.says("maya", "@threadbox pr");
    bot.answered(thread, thread).await;
    let number = pulls(&bot).pop().unwrap().issue.number;
    let pull = IssueRef { repository: REPOSITORY.to_owned(), number };
    let shown = until_comment(&bot, &pull, "It is louder now.").await;
    assert!(shown.contains("maya asked [on Discord]") && shown.contains("Answered"), "{shown}");
    bot.finish().await;
}

#[tokio::test]
async fn a_public_pull_request_is_no_part_of_what_few_said() {
    let bot = both(&[]).await;
    files(&bot);
    joined(&bot, "maya", "maya").await;
    let few = super::links::hidden(&bot, &["maya"]);
    linked(&bot, few, "maya").await;
    lands(&bot, "echo \"print('LIFT-OFF')\" > src/main.py");
    let thread = bot.says_in(few, "maya", "@threadbox pr");
    bot.answered(thread, thread).await;
    let number = pulls(&bot).pop().unwrap().issue.number;
    bot.idle().await;
    assert_eq!(bot.count("select count(*) from posts where kind = 'mirror'").await, 0);
    // Whoever asks on it begins anew.
    let pull = IssueRef { repository: REPOSITORY.to_owned(), number };
    bot.model.script([say("I cannot tell.")]);
    let asked = Bot::says(&bot, &pull, "ada", "@threadbox what was said before?").await;
    bot.ended(&pull, asked).await;
    assert!(!bot.asked().last().unwrap().body.to_string().contains("It is louder now."));
    bot.finish().await;
}

#[tokio::test]
async fn nothing_lands_without_an_account_that_may_write_whatever_somebody_is_called() {
    let bot = both(&[]).await;
    files(&bot);
    joined(&bot, "maya", "maya").await;
    linked(&bot, bot.channel, "maya").await;
    // The login `ada` on GitHub is an admin; this is somebody of that name on Discord.
    lands(&bot, "echo pwned > src/main.py");
    let thread = bot.says("ada", "@threadbox pr");
    let ours = bot.answered(thread, thread).await;
    let answer: String = ours.iter().map(|message| message.content.as_str()).collect();
    assert!(pulls(&bot).is_empty());
    assert!(answer.contains("link account"), "{answer}");
    // Linked to an account that may only read, there is still nothing.
    joined(&bot, "ada", "eve").await;
    bot.model.script([call("openPullRequest", json!({ "title": "x", "body": "y" })), say("Tried.")]);
    let again = bot.says_in(thread, "ada", "@threadbox pr");
    let ours = bot.answered(again, thread).await;
    let answer: String = ours.iter().map(|message| message.content.as_str()).collect();
    assert!(pulls(&bot).is_empty() && answer.contains("has no write permission"), "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn what_a_person_may_is_looked_up_as_it_lands() {
    let bot = both(&[]).await;
    files(&bot);
    joined(&bot, "maya", "maya").await;
    linked(&bot, bot.channel, "maya").await;
    let gate = Gate::closed();
    bot.model.script([
        call("runCommand", json!({ "command": "echo x > x" })),
        gated(&gate, call("openPullRequest", json!({ "title": "x", "body": "y" }))),
        say("Tried."),
    ]);
    let thread = bot.says("maya", "@threadbox pr");
    bot.until_asked(2).await;
    bot.github.set_permission(REPOSITORY, "maya", Permission::Read).unwrap();
    gate.open();
    bot.answered(thread, thread).await;
    assert!(pulls(&bot).is_empty());
    bot.finish().await;
}

#[tokio::test]
async fn issues_are_joined_by_those_who_may_and_read_both() {
    let bot = both(&[]).await;
    files(&bot);
    joined(&bot, "maya", "maya").await;
    linked(&bot, bot.channel, "maya").await;
    let issue = bot.issue("Join me").await;
    let (thread, address) = {
        let thread = bot.discord.open_thread(bot.channel, bot.person("maya"), "Talk", None).unwrap();
        bot.model.script([say("Hello.")]);
        let asked = bot.says_in(thread, "maya", "@threadbox for this talk, the code word is aubergine");
        bot.answered(asked, thread).await;
        (thread, format!("https://discord.com/channels/{}/{thread}", bot.guild))
    };
    // Ada is admin on GitHub, and nobody on Discord.
    let said = comments(&bot, &issue, "ada", &format!("@threadbox link {address}")).await;
    assert!(said.contains("who you are on Discord"), "{said}");
    // Bob on Discord may not write on GitHub.
    let page = format!("{}/{REPOSITORY}/issues/{}", bot.github.url(), issue.number);
    let said = told(&bot, thread, "bob", &format!("@threadbox link {page}")).await;
    assert!(said.contains("write permission"), "{said}");
    let said = comments(&bot, &issue, "maya", &format!("@threadbox link {address}")).await;
    assert!(said.contains("are one now"), "{said}");
    bot.model.script([say("Aubergine.")]);
    let asked = Bot::says(&bot, &issue, "ada", "@threadbox what is the code word?").await;
    bot.ended(&issue, asked).await;
    assert!(bot.asked().last().unwrap().body.to_string().contains("aubergine"));
    until_message(&bot, thread, "Aubergine.").await;
    bot.finish().await;
}

//! The end of a run on the other surface: tried again until it shows there, once.

use std::time::Duration;

use threadbox::standin::discord::Fault;
use threadbox::standin::github;
use threadbox::standin::model::{Gate, gated, say};

use super::{both, joined, linked, told};
use crate::support::bot::{Bot, LIMIT, REPOSITORY};
use crate::support::discord_bot::DiscordBot;

/// A conversation in a thread that an issue joined.
async fn on_both() -> (DiscordBot, threadbox::standin::discord::Id, github::IssueRef) {
    let bot = both(&[]).await;
    bot.github.push(REPOSITORY, "First", &[("README.md", "# Rocket\n".into())]).unwrap();
    joined(&bot, "maya", "maya").await;
    linked(&bot, bot.channel, "maya").await;
    let issue = bot.issue("Both").await;
    let thread = bot.discord.open_thread(bot.channel, bot.person("maya"), "Both", None).unwrap();
    let address = format!("{}/{REPOSITORY}/issues/{}", bot.github.url(), issue.number);
    let said = told(&bot, thread, "maya", &format!("@threadbox link {address}")).await;
    assert!(said.contains("are one now"), "{said}");
    (bot, thread, issue)
}

/// Lets time pass for what waits, until nothing does.
async fn until_shown(bot: &DiscordBot) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while bot.count(OWED).await != 0 {
        assert!(tokio::time::Instant::now() < deadline, "an end is not shown");
        bot.sql("update runs set shows_end_at = now() where shows_end_at > now() + interval '10 seconds'").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const OWED: &str = "select count(*) from runs where shows_end_at is not null";

#[tokio::test]
async fn what_ended_on_discord_is_shown_on_github_once_github_is_back() {
    let (bot, thread, issue) = on_both().await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("The moon did it."))]);
    let before = bot.our_comments(&issue).len();
    let asked = bot.says_in(thread, "maya", "@threadbox who did it?");
    let shows = async |words: &'static str| {
        let look = |world: &github::World| world.our_comments(&issue).iter().any(|one| one.body().contains(words)).then_some(());
        bot.github.wait_for(words, LIMIT, look).await.unwrap();
    };
    shows("on Discord").await;
    // Once for an edit while it works, at the end, and when that is tried again.
    for _ in 0..3 {
        bot.github.inject(github::Fault::status("PATCH", "/comments/", 503));
    }
    gate.open();
    bot.answered(asked, thread).await;
    until_shown(&bot).await;
    shows("The moon did it.").await;
    assert_eq!((bot.our_comments(&issue).len(), bot.github.faults_left()), (before + 1, 0));
    bot.finish().await;
}

#[tokio::test]
async fn what_ended_on_github_is_shown_on_discord_once_though_the_answer_was_lost() {
    let (bot, thread, issue) = on_both().await;
    bot.model.script([say("The tide did it.")]);
    let before = bot.ours_in(thread).len();
    bot.discord.inject(Fault::answer_lost("POST", "/messages"));
    bot.discord.inject(Fault::status("POST", "/messages", 500));
    let asked = Bot::says(&bot, &issue, "maya", "@threadbox who did it?").await;
    bot.ended(&issue, asked).await;
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    until_shown(&bot).await;
    bot.until_ours(thread, "the end on Discord", |message| message.content.contains("The tide did it.")).await;
    assert_eq!(bot.ours_in(thread).len(), before + 1);
    bot.finish().await;
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_tried_again() {
    let (bot, thread, issue) = on_both().await;
    bot.discord.delete_channel(thread, bot.person("ada")).unwrap();
    bot.model.script([say("Nobody did.")]);
    let asked = Bot::says(&bot, &issue, "maya", "@threadbox who did it?").await;
    assert_eq!(bot.ended(&issue, asked).await, "rocket");
    bot.idle().await;
    assert_eq!(bot.count(OWED).await, 0);
    bot.finish().await;
}

//! Several processes: one is connected, and another takes over.

use std::time::Duration;

use threadbox::standin::discord::{Ending, Options};
use threadbox::standin::model::say;

use super::{asked, once_each_and_in_order};
use crate::support::database::passable_dir;
use crate::support::discord_bot::DiscordBot;
use crate::support::service::Service;

async fn town() -> (DiscordBot, tempfile::TempDir) {
    let bot = DiscordBot::prepare(&[], Options::default()).await;
    bot.model.rule(|request| (!request.tools.is_empty()).then(|| say("Yes.")));
    (bot, passable_dir("threadbox-town-"))
}

async fn begun(bot: &DiscordBot, sessions: u64) {
    bot.until_gateway("a session", |view| view.begun >= sessions && view.connected > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_connected_and_killed_another_takes_over_without_doubling() {
    let (bot, data) = town().await;
    let environment = bot.environment(data.path());
    let first = Service::start_as("all", &environment).await;
    begun(&bot, 1).await;
    let second = Service::start_as("all", &environment).await;
    let (thread, _) = bot.asks("one").await;
    assert_eq!(bot.discord.gateway_view().begun, 1, "only one process is connected");
    let under_way: Vec<_> = (0..5).map(|n| bot.says("ada", &format!("@threadbox under way {n}"))).collect();
    first.kill().await;
    let missed = bot.says("bob", "@threadbox two");
    let missed_too = bot.says_in(thread, "maya", "three");
    let killed = tokio::time::Instant::now();
    begun(&bot, 2).await;
    assert!(killed.elapsed() < Duration::from_secs(60), "it took {:?}", killed.elapsed());
    // As if the time had passed after which work of the dead is taken over.
    bot.sql("update threads set lease_until = now() - interval '1 minute'").await;
    bot.hurry().await;
    bot.answer_in(missed).await;
    bot.answered(missed_too, thread).await;
    for opening in under_way {
        bot.answer_in(opening).await;
    }
    bot.asks("four").await;
    assert_eq!(asked(&bot).await, 9);
    once_each_and_in_order(&bot).await;
    second.terminate().await;
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ends_in_order_hands_over_at_once() {
    let (bot, data) = town().await;
    let environment = bot.environment(data.path());
    let first = Service::start_as("all", &environment).await;
    begun(&bot, 1).await;
    let second = Service::start_as("all", &environment).await;
    bot.asks("one").await;
    let ended = tokio::time::Instant::now();
    first.terminate().await;
    assert!(bot.discord.gateway_view().endings.contains(&Ending::Left(Some(1000))), "it said goodbye");
    let missed = bot.says("maya", "@threadbox two");
    begun(&bot, 2).await;
    // The lease is free, so nobody waits until it is over.
    assert!(ended.elapsed() < Duration::from_secs(20), "it took {:?}", ended.elapsed());
    bot.answer_in(missed).await;
    assert_eq!(asked(&bot).await, 2);
    second.terminate().await;
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_may_be_a_process_of_its_own() {
    let (bot, data) = town().await;
    let environment = bot.environment(data.path());
    let gateway = Service::start_as("gateway", &environment).await;
    begun(&bot, 1).await;
    let asked = bot.says("maya", "@threadbox hello");
    bot.until_count("select count(*) from inbox", 1).await;
    assert_eq!(bot.count("select count(*) from runs").await, 0, "it does no work itself");
    let worker = Service::start_as("worker", &environment).await;
    assert!(bot.answer_in(asked).await.contains("Yes."));
    let follow_up = bot.says_in(asked, "maya", "more");
    bot.answered(follow_up, asked).await;
    gateway.terminate().await;
    worker.terminate().await;
    bot.finish().await;
}

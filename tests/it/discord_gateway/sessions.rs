//! Connections that break and sessions that end: what is said meanwhile is handled once.

use std::time::Duration;

use threadbox::standin::discord::{Fault, Options};

use super::{agreeable, asked, once_each_and_in_order};

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_is_resumed_and_nothing_is_lost_or_doubled() {
    let bot = agreeable(Options::default()).await;
    let (thread, _) = bot.asks("one").await;
    bot.discord.drop_connections();
    let meanwhile: Vec<_> = (0..20).map(|n| bot.says_in(thread, "maya", &format!("word {n}"))).collect();
    bot.asks("two").await;
    bot.discord.ask_to_reconnect();
    bot.asks("three").await;
    bot.until_gateway("a second resume", |view| view.resumed == 2 && view.connected == 1).await;
    bot.discord.drop_after(1);
    bot.asks("four").await;
    bot.asks("five").await;
    assert_eq!(bot.discord.gateway_view().begun, 1, "sessions were resumed");
    bot.until_count("select count(*) from inbox", 5 + i64::try_from(meanwhile.len()).unwrap()).await;
    once_each_and_in_order(&bot).await;
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_lost_session_what_was_missed_is_read() {
    let bot = agreeable(Options::default()).await;
    let (thread, _) = bot.asks("one").await;
    bot.discord.invalidate_sessions(false);
    let missed = bot.says("bob", "@threadbox two");
    let missed_too = bot.says_in(thread, "maya", "three");
    bot.answer_in(missed).await;
    bot.answered(missed_too, thread).await;
    bot.until_gateway("a new session", |view| view.begun == 2 && view.connected == 1).await;
    bot.asks("four").await;
    assert_eq!(asked(&bot).await, 4);
    once_each_and_in_order(&bot).await;
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_may_be_resumed_is_and_one_that_may_not_is_begun_anew() {
    let bot = agreeable(Options::default()).await;
    bot.discord.invalidate_sessions(true);
    bot.asks("one").await;
    bot.until_gateway("a resume", |view| view.resumed == 1 && view.connected == 1).await;
    bot.discord.refuse_resumes(1);
    bot.discord.drop_connections();
    bot.asks("two").await;
    bot.until_gateway("a new session", |view| view.begun == 2 && view.connected == 1).await;
    bot.asks("three").await;
    assert_eq!(asked(&bot).await, 3);
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_on_which_nobody_answers_is_left() {
    let bot = agreeable(Options { heartbeat_interval: Duration::from_secs(2), ..Options::default() }).await;
    bot.asks("one").await;
    bot.discord.freeze(true);
    let missed = bot.says("maya", "@threadbox two");
    bot.until_gateway("the connection is left", |view| !view.endings.is_empty()).await;
    bot.discord.freeze(false);
    bot.answer_in(missed).await;
    bot.discord.mute_heartbeats(true);
    let endings = bot.discord.gateway_view().endings.len();
    bot.until_gateway("the connection is left again", |view| view.endings.len() > endings).await;
    bot.discord.mute_heartbeats(false);
    bot.asks("three").await;
    assert_eq!(asked(&bot).await, 3);
    once_each_and_in_order(&bot).await;
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_discord_does_not_answer_calls_nothing_is_lost_and_others_are_heard() {
    let bot = agreeable(Options::default()).await;
    bot.asks("one").await;
    bot.discord.take_gateway_down();
    let missed = bot.says("maya", "@threadbox two");
    // The channel cannot be read at first.
    bot.discord.inject(Fault::status("GET", "/messages", 500).times(3));
    bot.discord.bring_gateway_up();
    bot.answer_in(missed).await;
    bot.until_gateway("a new session", |view| view.begun == 2 && view.connected == 1).await;
    bot.asks("three").await;
    assert_eq!(asked(&bot).await, 3);
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_as_many_shards_as_discord_wants() {
    let bot = agreeable(Options { shards: 2, heartbeat_interval: Duration::from_secs(2), ..Options::default() }).await;
    bot.until_gateway("two shards", |view| view.connected == 2).await;
    bot.asks("one").await;
    let (alone, message) = bot.says_alone("bob", "two");
    bot.answered(message, alone).await;
    // There are more guilds now.
    bot.discord.set_shards(3);
    bot.discord.close_connections(4011);
    let missed = bot.says("maya", "@threadbox three");
    bot.until_gateway("three shards", |view| view.connected == 3).await;
    bot.answer_in(missed).await;
    let (_, message) = bot.says_alone("bob", "four");
    bot.answered(message, alone).await;
    assert_eq!(asked(&bot).await, 4);
    bot.finish().await;
}

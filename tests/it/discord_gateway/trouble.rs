//! What keeps us from hearing: told with its remedy, not hurried, and over when it is mended.

use std::process::Stdio;

use chrono::TimeDelta;
use threadbox::standin::discord::{Ending, Options, intents};
use threadbox::standin::model::say;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::{agreeable, with_clock};
use crate::support::bot::LIMIT;
use crate::support::database::passable_dir;
use crate::support::discord_bot::DiscordBot;

#[tokio::test]
async fn a_wrong_token_is_told_in_the_log_and_the_table_and_costs_no_session() {
    let bot = DiscordBot::prepare(&[], Options::default()).await;
    let data = passable_dir("threadbox-town-");
    let mut environment = bot.environment(data.path());
    environment.insert("DISCORD_TOKEN".into(), "the.token.of-another-bot".into());
    let mut service = Command::new(env!("CARGO_BIN_EXE_threadbox"))
        .args(["serve", "--role", "gateway"])
        .env_clear()
        .envs(&environment)
        .env("RUST_LOG", "error")
        .current_dir(data.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(service.stderr.take().unwrap()).lines();
    let told = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the service ended");
            if line.contains("4004") {
                return line;
            }
        }
    };
    let told = tokio::time::timeout(LIMIT, told).await.unwrap();
    assert!(told.contains("DISCORD_TOKEN") && !told.contains("of-another-bot"), "{told}");
    let stands = bot.until_trouble("the trouble", |told| told.is_some()).await.unwrap();
    assert!(stands.contains("4004") && stands.contains("DISCORD_TOKEN"), "{stands}");
    assert_eq!(bot.discord.gateway_view().begun, 0);
    service.kill().await.unwrap();
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_good_again_is_used_again() {
    let (mut bot, clock) = with_clock().await;
    bot.stop().await;
    bot.discord.refuse_token(true);
    bot.run().await;
    bot.until_trouble("4004", |told| told.is_some_and(|told| told.contains("4004"))).await;
    let missed = bot.says("maya", "@threadbox do you hear me?");
    bot.discord.refuse_token(false);
    // One that was refused is not sent again for a minute.
    clock.advance(TimeDelta::minutes(2));
    bot.answer_in(missed).await;
    bot.until_trouble("no trouble", |told| told.is_none()).await;
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_message_content_intent_it_says_so_and_connects_when_it_is_on() {
    let mut bot = DiscordBot::prepare(&[], Options { privileged: 0, ..Options::default() }).await;
    bot.run().await;
    let told = bot.until_trouble("4014", |told| told.is_some_and(|told| told.contains("4014"))).await.unwrap();
    assert!(told.contains("Message Content Intent") && told.contains("developer portal"), "{told}");
    bot.until_gateway("it is tried once", |view| view.endings == [Ending::Closed(4014)]).await;
    bot.discord.set_privileged(intents::PRIVILEGED);
    bot.connected().await;
    bot.until_trouble("no trouble", |told| told.is_none()).await;
    bot.model.script([say("Heard.")]);
    bot.asks("do you hear me?").await;
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_discord_ends_for_good_is_not_hurried_back() {
    for (code, remedy) in [(4013, "update Threadbox"), (4004, "DISCORD_TOKEN")] {
        let mut bot = agreeable(Options::default()).await;
        bot.discord.close_connections(code);
        let wanted = code.to_string();
        let told = bot.until_trouble("the trouble", |told| told.is_some_and(|told| told.contains(&wanted))).await.unwrap();
        assert!(told.contains(remedy), "{told}");
        assert_eq!(bot.discord.gateway_view().begun, 1, "it is not tried again at once");
        bot.stop().await;
        let missed = bot.says("maya", "@threadbox are you back?");
        bot.run().await;
        bot.answer_in(missed).await;
        bot.until_trouble("no trouble", |told| told.is_none()).await;
        bot.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_never_sends_us_to_discord() {
    let mut bot = DiscordBot::prepare(&[], Options::default()).await;
    bot.discord.name_gateway(Some("wss://gateway.discord.gg"));
    bot.run().await;
    let told =
        bot.until_trouble("the address", |told| told.is_some_and(|told| told.contains("gateway.discord.gg"))).await.unwrap();
    assert!(told.contains("DISCORD_API_URL"), "{told}");
    // What /gateway/bot says is where we go; and there is nobody on that port.
    bot.discord.name_gateway(None);
    bot.connected().await;
    bot.model.script([say("Heard.")]);
    bot.asks("where are you?").await;
    assert_eq!(bot.discord.gateway_view().begun, 1);
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_arrive_empty_are_noticed() {
    let bot = agreeable(Options::default()).await;
    // As of a server that lets anybody connect and tells nothing.
    bot.discord.withhold_content(true);
    for _ in 0..3 {
        bot.says("maya", "can you hear me?");
    }
    let told = bot.until_trouble("the trouble", |told| told.is_some_and(|told| told.contains("arrives empty"))).await.unwrap();
    assert!(told.contains("Message Content Intent"), "{told}");
    bot.discord.withhold_content(false);
    bot.says("maya", "and now?");
    bot.until_trouble("no trouble", |told| told.is_none()).await;
    bot.finish().await;
}

#[tokio::test]
async fn the_service_goes_on_while_discord_keeps_it_out() {
    let mut bot = DiscordBot::prepare_with_github(&[], Options { privileged: 0, ..Options::default() }).await;
    bot.run().await;
    bot.model.script([say("Hello Maya.")]);
    let issue = bot.issue("Hello").await;
    let comment = crate::support::bot::Bot::says(&bot, &issue, "maya", "@threadbox hello").await;
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    bot.until_trouble("4014", |told| told.is_some_and(|told| told.contains("4014"))).await;
    bot.finish().await;
}

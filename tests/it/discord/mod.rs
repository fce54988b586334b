//! Discord and GitHub together: who may, who is who, what a conversation is about, and one conversation on both.

mod accounts;
mod branching;
mod buttons;
mod forums;
mod hindered;
mod input;
mod landing;
mod links;
mod memory;
mod mirrored;
mod others;
mod permissions;
mod pings;
mod policy;
mod posts;

use threadbox::standin::discord::{Id, Message, Options};
use threadbox::standin::github::IssueRef;

use crate::support::bot::{Bot, LIMIT, REPOSITORY};
use crate::support::discord_bot::DiscordBot;

/// A running bot on Discord and on GitHub, where `maya` may write, `ada` is admin and `eve` may read.
async fn both(environment: &[(&str, &str)]) -> DiscordBot {
    let mut bot = DiscordBot::prepare_with_github(environment, Options::default()).await;
    bot.run().await;
    bot.connected().await;
    bot
}

/// Somebody asks for a code, and is told one in a direct message.
async fn code_of(bot: &DiscordBot, who: &str) -> String {
    let (conversation, asked) = bot.says_alone(who, "link account");
    told_code(bot, conversation, asked).await
}

/// The code that was told there after this message.
async fn told_code(bot: &DiscordBot, conversation: Id, after: Id) -> String {
    let told = bot.until_ours(conversation, "a code", |message| message.id > after && code_in(message).is_some()).await;
    code_in(&told).unwrap()
}

/// The last code in a message.
fn code_in(message: &Message) -> Option<String> {
    let at = message.content.rfind("link discord-")? + "link ".len();
    Some(message.content[at..].split_whitespace().next()?.to_owned())
}

/// Somebody comments on an issue, and what we say to that is waited for.
async fn comments(bot: &DiscordBot, issue: &IssueRef, who: &str, text: &str) -> String {
    let before = bot.our_comments(issue).len();
    Bot::says(bot, issue, who, text).await;
    bot.our_comment_number(issue, before + 1).await.body().to_owned()
}

/// Somebody on Discord proves to be somebody on GitHub.
async fn joined(bot: &DiscordBot, on_discord: &str, on_github: &str) {
    let code = code_of(bot, on_discord).await;
    let issue = bot.issue("Who is who").await;
    let said = comments(bot, &issue, on_github, &format!("@threadbox link {code}")).await;
    assert!(said.contains(&format!("is **{on_github}** on GitHub now")), "{said}");
}

/// Somebody says something in a place, and our next words in `at` are waited for.
async fn told(bot: &DiscordBot, place: Id, who: &str, text: &str) -> String {
    let message = bot.says_in(place, who, text);
    // A mention in a channel opens a thread of its own number; elsewhere the conversation is where it was said.
    let is_thread = bot.discord.world(|world| world.channel(place).is_some_and(|channel| channel.thread.is_some()));
    let at = if is_thread { place } else { message };
    let told = bot.until_ours(at, "an answer of the service", |answer| answer.id > message && !answer.content.is_empty()).await;
    told.content
}

/// Somebody links a channel or thread to the repository.
async fn linked(bot: &DiscordBot, place: Id, who: &str) -> String {
    told(bot, place, who, &format!("@threadbox link {REPOSITORY}")).await
}

/// Waits until a count is what it should be.
async fn until(bot: &DiscordBot, sql: &'static str, wanted: i64) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while bot.count(sql).await != wanted {
        assert!(tokio::time::Instant::now() < deadline, "still {} instead of {wanted}: {sql}", bot.count(sql).await);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

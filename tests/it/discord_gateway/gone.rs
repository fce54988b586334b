//! Threads, channels and guilds that are gone, and what was said there with them.

use threadbox::standin::discord::{Id, Options, Permissions};
use threadbox::standin::model::{Gate, gated, say};

use super::{agreeable, asked, until_model_asked};
use crate::support::discord_bot::DiscordBot;

/// Messages that hold words.
const WORDS: &str = "select count(*) from messages where forgotten_at is null";

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_people_give_a_thread_stays() {
    let bot = DiscordBot::start().await;
    bot.model.script([say("Done.")]);
    let (thread, _) = bot.asks("tidy up").await;
    bot.idle().await;
    bot.discord.rename(thread, bot.person("ada"), "The great tidying").unwrap();
    bot.until_count("select count(*) from threads where title = 'The great tidying' and titled_by is not null", 1).await;
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_is_deleted_is_forgotten() {
    let bot = DiscordBot::start().await;
    bot.model.script([say("Secret.")]);
    let (thread, _) = bot.asks("keep nothing").await;
    bot.idle().await;
    bot.discord.delete_channel(thread, bot.person("ada")).unwrap();
    bot.until_count(WORDS, 0).await;
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_channel_the_threads_in_it_are_gone_and_their_runs_end() {
    let bot = DiscordBot::start().await;
    let gate = Gate::closed();
    bot.model.script([say("Done."), gated(&gate, say("Too late."))]);
    let (thread, _) = bot.asks("once").await;
    bot.says_in(thread, "maya", "again");
    until_model_asked(&bot, 2).await;
    bot.discord.delete_channel(bot.channel, bot.person("ada")).unwrap();
    bot.until_count("select count(*) from runs where stop_requested_by is not null", 1).await;
    gate.open();
    bot.until_count("select count(*) from runs where state = 'posted'", 2).await;
    bot.until_count(WORDS, 0).await;
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_is_deleted_under_a_run_ends_it() {
    let bot = DiscordBot::start().await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("Too late."))]);
    let thread = bot.says("maya", "@threadbox once");
    until_model_asked(&bot, 1).await;
    bot.until_ours(thread, "the first words", |_| true).await;
    bot.discord.delete_channel(thread, bot.person("ada")).unwrap();
    bot.until_count("select count(*) from runs where stop_requested_by is not null", 1).await;
    gate.open();
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    bot.until_count(WORDS, 0).await;
    bot.finish().await;
}

/// A second guild with a channel, in which Bob has asked something.
async fn second_guild(bot: &DiscordBot) -> (Id, Id) {
    let guild = bot.discord.add_guild("Other", bot.person("ada"));
    bot.discord.add_member(guild, bot.person("bob"), &[]);
    let channel = bot.discord.add_text_channel(guild, "general");
    let asked = bot.says_in(channel, "bob", "@threadbox my word is papaya");
    bot.answer_in(asked).await;
    (guild, channel)
}

/// What is kept of guilds, by the owner.
async fn kept(bot: &DiscordBot, guild: Id) -> i64 {
    let sql = "select (select count(*) from messages m join threads t on t.id = m.thread_id
                       where m.forgotten_at is null and (t.owner = $1 or starts_with(t.owner, $1 || ':')))
                    + (select count(*) from working_memories where key = $1 or starts_with(key, $1 || ':'))
                    + (select count(*) from discord_repositories where 'discord:' || guild = $1)";
    sqlx::query_scalar(sql).bind(format!("discord:{guild}")).fetch_one(&bot.database.pool).await.unwrap()
}

async fn until_nothing_is_kept(bot: &DiscordBot, guild: Id) {
    let deadline = tokio::time::Instant::now() + crate::support::bot::LIMIT;
    while kept(bot, guild).await > 0 {
        assert!(tokio::time::Instant::now() < deadline, "the guild is not forgotten");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guild_that_we_leave_is_forgotten_and_others_stay() {
    let bot = agreeable(Options::default()).await;
    bot.asks("stay").await;
    let (guild, channel) = second_guild(&bot).await;
    // What a channel keeps that not everybody reads goes with the guild.
    let key = format!("discord:{guild}:{channel}");
    let sql = "insert into working_memories (scope, key, lines, version, updated_at) values ('owner', $1, '[]', 1, now())";
    sqlx::query(sql).bind(&key).execute(&bot.database.pool).await.unwrap();
    bot.idle().await;
    // An outage is no leaving.
    bot.discord.interrupt(guild);
    bot.asks("still here?").await;
    assert!(kept(&bot, guild).await > 1);
    bot.discord.kick(guild);
    until_nothing_is_kept(&bot, guild).await;
    assert!(kept(&bot, bot.guild).await > 0);
    // Invited again, it begins with nothing.
    bot.discord.invite(guild, Permissions::USUAL);
    let asked_again = bot.says_in(channel, "bob", "@threadbox who am I?");
    assert!(bot.answer_in(asked_again).await.contains("Yes."));
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_a_guild_ends_what_is_under_way_there() {
    let bot = DiscordBot::start().await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("Too late."))]);
    let thread = bot.says("maya", "@threadbox first");
    until_model_asked(&bot, 1).await;
    bot.until_ours(thread, "the first words", |_| true).await;
    bot.says_in(thread, "maya", "@threadbox queue second");
    bot.until_count("select count(*) from runs", 2).await;
    bot.until_count("select count(*) from posts where state <> 'done' and kind = 'answer'", 0).await;
    bot.discord.kick(bot.guild);
    bot.until_count("select least(count(*), 1) from runs where stop_requested_by is not null", 1).await;
    gate.open();
    bot.until_count("select count(*) from runs where state = 'posted'", 2).await;
    until_nothing_is_kept(&bot, bot.guild).await;
    assert_eq!(bot.asked().len(), 1);
    // Where we are no more, an answer that had to be written anew stays unsaid.
    bot.sql("delete from posts where state <> 'done' and kind = 'answer'").await;
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guild_that_we_left_while_nobody_listened_is_forgotten_at_the_next_session() {
    let mut bot = agreeable(Options::default()).await;
    bot.asks("stay").await;
    let (guild, _) = second_guild(&bot).await;
    bot.idle().await;
    bot.stop().await;
    bot.discord.kick(guild);
    bot.run().await;
    until_nothing_is_kept(&bot, guild).await;
    assert!(kept(&bot, bot.guild).await > 0);
    bot.asks("still here?").await;
    assert_eq!(asked(&bot).await, 3);
    bot.finish().await;
}

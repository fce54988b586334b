//! Who may ask on Discord, how often, and on whose money.

use threadbox::standin::discord::Permissions;
use threadbox::standin::model::say;

use super::{both, told};
use crate::support::discord_bot::DiscordBot;

const NO_RUN: &str = "select count(*) from runs";

async fn none_ran(bot: DiscordBot) {
    assert_eq!(bot.count(NO_RUN).await, 0);
    bot.finish().await;
}

#[tokio::test]
async fn an_empty_list_of_roles_is_nobody() {
    let bot = both(&[("DISCORD_ALLOW_ROLES", "")]).await;
    let said = told(&bot, bot.channel, "maya", "@threadbox hello").await;
    assert!(said.contains("certain roles") && said.contains("`DISCORD_ALLOW_ROLES`"), "{said}");
    none_ran(bot).await;
}

#[tokio::test]
async fn whoever_has_a_listed_role_may_ask_and_govern_and_nobody_else() {
    let mut bot = DiscordBot::prepare_with_github(&[], threadbox::standin::discord::Options::default()).await;
    let role = bot.discord.add_role(bot.guild, "operators", Permissions::NONE, false);
    bot.discord.add_member(bot.guild, bot.person("maya"), &[role]);
    if let Some(discord) = &mut bot.settings.discord {
        discord.allow_roles = Some(vec![i64::try_from(role).unwrap()]);
    }
    bot.run().await;
    bot.connected().await;
    let said = told(&bot, bot.channel, "bob", "@threadbox hello").await;
    assert!(said.contains("certain roles"), "{said}");
    bot.model.script([say("Hello.")]);
    let thread = bot.says("maya", "@threadbox hello");
    bot.answered(thread, thread).await;
    let said = told(&bot, thread, "maya", "@threadbox budget 3").await;
    assert!(said.contains("$3"), "{said}");
    let (conversation, _) = bot.says_alone("maya", "hello");
    let said = bot.until_ours(conversation, "a refusal", |message| !message.content.is_empty()).await.content;
    assert!(said.contains("direct messages do not show"), "{said}");
    assert_eq!(bot.count(NO_RUN).await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn a_channel_that_is_not_listed_says_so_once() {
    let mut bot = DiscordBot::prepare_with_github(&[], threadbox::standin::discord::Options::default()).await;
    let other = bot.discord.add_text_channel(bot.guild, "other");
    if let Some(discord) = &mut bot.settings.discord {
        discord.allow_channels = Some(vec![i64::try_from(other).unwrap()]);
    }
    bot.run().await;
    bot.connected().await;
    let said = told(&bot, bot.channel, "maya", "@threadbox hello").await;
    assert!(said.contains("I do not work in this channel"), "{said}");
    bot.model.script([say("Hello.")]);
    let thread = bot.says_in(other, "maya", "@threadbox hello");
    bot.answered(thread, thread).await;
    bot.model.script([say("Again.")]);
    let again = bot.says_in(thread, "maya", "@threadbox and in the thread");
    bot.answered(again, thread).await;
    bot.finish().await;
}

#[tokio::test]
async fn direct_messages_are_for_people_of_the_listed_guilds() {
    let mut bot = DiscordBot::prepare_with_github(&[], threadbox::standin::discord::Options::default()).await;
    let stranger = bot.discord.add_person("stranger");
    let elsewhere = bot.discord.add_guild("Elsewhere", stranger);
    bot.discord.add_member(elsewhere, stranger, &[]);
    let guild = i64::try_from(bot.guild).unwrap();
    if let Some(discord) = &mut bot.settings.discord {
        discord.allow_guilds = Some(vec![guild]);
    }
    bot.run().await;
    bot.connected().await;
    let (conversation, _) = bot.discord.direct(stranger, "hello").unwrap();
    let said = bot.until_ours(conversation, "a refusal", |message| !message.content.is_empty()).await.content;
    assert!(said.contains("`DISCORD_ALLOW_GUILDS`"), "{said}");
    bot.model.script([say("Hello.")]);
    let (conversation, message) = bot.says_alone("maya", "hello");
    bot.answered(message, conversation).await;
    assert_eq!(bot.count(NO_RUN).await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn each_person_has_a_quota_of_their_own() {
    let bot = both(&[("USER_RUNS_PER_HOUR", "1")]).await;
    bot.model.script([say("One."), say("Two.")]);
    let first = bot.says("maya", "@threadbox one");
    bot.answered(first, first).await;
    let said = told(&bot, bot.channel, "maya", "@threadbox another").await;
    assert!(said.contains("one person may start 1 run an hour"), "{said}");
    let second = bot.says("bob", "@threadbox two");
    bot.answered(second, second).await;
    bot.finish().await;
}

#[tokio::test]
async fn a_guild_pays_for_itself() {
    let bot = both(&[("DISCORD_GUILD_DAILY_BUDGET_USD", "0.0000001")]).await;
    bot.model.script([say("One.")]);
    let first = bot.says("maya", "@threadbox one");
    bot.answered(first, first).await;
    bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
    let said = told(&bot, bot.channel, "bob", "@threadbox two").await;
    assert!(said.contains("in this server in a day") && said.contains("`DISCORD_GUILD_DAILY_BUDGET_USD`"), "{said}");
    assert_eq!(bot.count("select count(*) from runs where repository like 'discord:%'").await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn nobody_governs_money_and_models_by_asking() {
    let bot = both(&[]).await;
    let said = told(&bot, bot.channel, "ada", "@threadbox budget 40").await;
    assert!(said.contains("nothing was changed"), "a name on Discord is no login: {said}");
    none_ran(bot).await;
}

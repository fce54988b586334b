//! Whose words in a thread are for us.

use std::time::Duration;

use threadbox::standin::discord::{Id, Permissions, Words};
use threadbox::standin::model::say;

use super::asked;
use crate::support::bot::LIMIT;
use crate::support::discord_bot::DiscordBot;

#[tokio::test]
async fn whoever_asked_goes_on_without_a_mention_until_another_person_takes_over() {
    let bot = DiscordBot::start().await;
    bot.model.script(["One.", "Two.", "Three.", "Four."].map(say));
    let (thread, _) = bot.asks("count").await;
    let two = bot.says_in(thread, "maya", "go on");
    assert!(bot.answered(two, thread).await.last().unwrap().content.contains("Two."));
    // Bob speaks to Maya, and Maya to Bob.
    bot.says_in(thread, "bob", "what are you counting?");
    bot.says_in(thread, "maya", "sheep");
    let three = bot.says_in(thread, "bob", "@threadbox go on");
    assert!(bot.answered(three, thread).await.last().unwrap().content.contains("Three."));
    assert_eq!(asked(&bot).await, 3);
    // Now Bob is who we talk with.
    bot.says_in(thread, "ada", "me too");
    bot.says_in(thread, "bob", "quiet please");
    let four = bot.says_in(thread, "ada", "@threadbox go on");
    assert!(bot.answered(four, thread).await.last().unwrap().content.contains("Four."));
    assert_eq!(asked(&bot).await, 4);
    bot.finish().await;
}

#[tokio::test]
async fn after_a_restart_the_conversation_goes_on_with_the_same_person() {
    let mut bot = DiscordBot::start().await;
    bot.model.script(["One.", "Two."].map(say));
    let (thread, _) = bot.asks("count").await;
    bot.stop().await;
    bot.run().await;
    bot.connected().await;
    let two = bot.says_in(thread, "maya", "go on");
    assert!(bot.answered(two, thread).await.last().unwrap().content.contains("Two."));
    bot.says_in(thread, "bob", "what is this?");
    bot.stop().await;
    bot.run().await;
    bot.connected().await;
    bot.says_in(thread, "maya", "we count, Bob");
    bot.model.script([say("Three.")]);
    let three = bot.says_in(thread, "maya", "@threadbox go on");
    bot.answered(three, thread).await;
    assert_eq!(asked(&bot).await, 3);
    bot.finish().await;
}

#[tokio::test]
async fn a_reply_that_pings_us_is_said_to_us() {
    let bot = DiscordBot::start().await;
    bot.model.script([say("One."), say("Two.")]);
    let (thread, _) = bot.asks("count").await;
    bot.says_in(thread, "bob", "hello");
    let ours = bot.ours_in(thread).last().unwrap().id;
    let reply = bot.discord.reply(ours, bot.person("bob"), "and then?").unwrap();
    assert!(bot.answered(reply, thread).await.last().unwrap().content.contains("Two."));
    assert_eq!(asked(&bot).await, 2);
    bot.finish().await;
}

#[tokio::test]
async fn where_no_thread_can_be_opened_replies_go_on() {
    let bot = DiscordBot::start().await;
    bot.deny(bot.channel, Permissions::CREATE_PUBLIC_THREADS);
    bot.model.script([say("In the channel."), say("Still there.")]);
    let first = bot.says("maya", "@threadbox where?");
    bot.answered(first, bot.channel).await;
    let answer = bot.until_ours(bot.channel, "the answer", |message| message.content.contains("In the channel.")).await;
    bot.says("maya", "nice weather");
    let reply = bot.discord.say(bot.channel, bot.person("bob"), Words::new("and now?").reply_to(answer.id)).unwrap();
    bot.answered(reply, bot.channel).await;
    bot.until_ours(bot.channel, "the second answer", |message| message.content.contains("Still there.")).await;
    assert_eq!((asked(&bot).await, bot.count("select count(*) from threads").await), (2, 1));
    bot.finish().await;
}

/// Somebody uses `/ask`; what we answered with.
async fn uses_ask(bot: &DiscordBot, place: Id, who: &str, text: &str) -> Id {
    let deadline = tokio::time::Instant::now() + LIMIT;
    let used = loop {
        // Commands are registered when a session begins.
        match bot.discord.slash(place, bot.person(who), "ask", &[("text", text.into())]) {
            Ok(used) => break used,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let original = |world: &threadbox::standin::discord::World| world.interaction(used)?.original;
    bot.discord.wait_for("an answer to the command", LIMIT, original).await.unwrap()
}

#[tokio::test]
async fn a_conversation_that_began_with_a_command_goes_on_without_a_mention() {
    let bot = DiscordBot::start().await;
    bot.model.script(["One.", "Two.", "Three.", "Four."].map(say));
    let thread = uses_ask(&bot, bot.channel, "maya", "count").await;
    bot.until_ours(thread, "the first answer", |message| message.content.contains("One.")).await;
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    let two = bot.says_in(thread, "maya", "go on");
    assert!(bot.answered(two, thread).await.last().unwrap().content.contains("Two."));
    // Bob is a bystander until he uses a command in the thread.
    bot.says_in(thread, "bob", "may I?");
    uses_ask(&bot, thread, "bob", "go on").await;
    bot.until_ours(thread, "the third answer", |message| message.content.contains("Three.")).await;
    bot.until_count("select count(*) from runs where state = 'posted'", 3).await;
    let four = bot.says_in(thread, "bob", "and on");
    assert!(bot.answered(four, thread).await.last().unwrap().content.contains("Four."));
    assert_eq!(asked(&bot).await, 4);
    bot.finish().await;
}

#[tokio::test]
async fn a_command_in_somebodys_thread_begins_a_conversation_there() {
    let bot = DiscordBot::start().await;
    bot.model.script(["Here.", "There."].map(say));
    let thread = bot.discord.open_thread(bot.channel, bot.person("bob"), "Plans", None).unwrap();
    uses_ask(&bot, thread, "maya", "where?").await;
    bot.until_ours(thread, "the answer", |message| message.content.contains("Here.")).await;
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    let more = bot.says_in(thread, "maya", "and then?");
    assert!(bot.answered(more, thread).await.last().unwrap().content.contains("There."));
    bot.finish().await;
}

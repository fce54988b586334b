//! What is for us, wherever it is said, and what is not.

use threadbox::standin::discord::NewChannel;
use threadbox::standin::model::{Gate, gated, say};

use super::{asked, conversation_of, until_model_asked};
use crate::support::discord_bot::DiscordBot;

#[tokio::test]
async fn a_mention_in_a_channel_is_answered_in_a_thread_of_its_own() {
    let bot = DiscordBot::start().await;
    bot.model.script([say("Because it rains."), say("It still rains.")]);
    let (first, answer) = bot.asks("why?").await;
    assert!(answer.contains("Because it rains."), "{answer}");
    assert_eq!(conversation_of(&bot, first).await, Some(first.to_string()));
    // The next mention in the channel is another conversation.
    let (second, answer) = bot.asks("and now?").await;
    assert!(answer.contains("It still rains.") && second != first, "{answer}");
    assert!(bot.ours_in(bot.channel).is_empty());
    bot.finish().await;
}

#[tokio::test]
async fn a_mention_in_somebodys_thread_is_answered_there() {
    let bot = DiscordBot::start().await;
    let thread = bot.discord.open_thread(bot.channel, bot.person("maya"), "Plans", None).unwrap();
    bot.says_in(thread, "bob", "nobody asks you");
    bot.model.script([say("Here."), say("Still here.")]);
    let message = bot.says_in(thread, "maya", "@threadbox where?");
    let ours = bot.answered(message, thread).await;
    assert!(ours.last().unwrap().content.contains("Here."), "{ours:#?}");
    assert_eq!(conversation_of(&bot, message).await, Some(thread.to_string()));
    let again = bot.says_in(thread, "maya", "and now?");
    bot.answered(again, thread).await;
    assert_eq!(asked(&bot).await, 2);
    bot.finish().await;
}

#[tokio::test]
async fn the_first_message_of_a_forum_post_counts() {
    let bot = DiscordBot::start().await;
    let forum = bot.add_channel(NewChannel::forum("help", &["bug"]));
    bot.model.script([say("Found it."), say("Mended.")]);
    let words = bot.with_mention("@threadbox why does it break?");
    let post = bot.discord.forum_post(forum, bot.person("bob"), "It breaks", words, &["bug"]).unwrap();
    assert!(bot.answer_in(post).await.contains("Found it."));
    assert_eq!(conversation_of(&bot, post).await, Some(post.to_string()));
    let again = bot.says_in(post, "bob", "mend it");
    assert!(bot.answered(again, post).await.last().unwrap().content.contains("Mended."));
    bot.finish().await;
}

#[tokio::test]
async fn alone_with_us_nobody_needs_a_mention() {
    let bot = DiscordBot::start().await;
    bot.model.script([say("Hello Bob."), say("Still here.")]);
    let (place, first) = bot.says_alone("bob", "hello");
    assert!(bot.answered(first, place).await.last().unwrap().content.contains("Hello Bob."));
    let (_, second) = bot.says_alone("bob", "are you there?");
    assert!(bot.answered(second, place).await.last().unwrap().content.contains("Still here."));
    assert_eq!(bot.count("select count(*) from threads").await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn talk_code_quotes_and_bots_ask_for_nothing() {
    let bot = DiscordBot::start().await;
    let robot = bot.discord.add_bot("robot");
    bot.discord.add_member(bot.guild, robot, &[]);
    bot.says("maya", "good morning");
    bot.says("maya", "write `@threadbox` to ask");
    bot.says("maya", "> @threadbox stop\nthat was rude");
    bot.discord.say(bot.channel, robot, bot.with_mention("@threadbox hi")).unwrap();
    bot.model.script([say("Yes?"), say("In code, too.")]);
    let (thread, _) = bot.asks("this one").await;
    // Whoever talks with us may name us in code as well.
    let named = bot.says_in(thread, "maya", "what does `@threadbox` do?");
    bot.answered(named, thread).await;
    assert_eq!(asked(&bot).await, 2);
    bot.finish().await;
}

#[tokio::test]
async fn an_edit_that_adds_a_mention_counts_once_and_one_that_adds_nothing_not_at_all() {
    let bot = DiscordBot::start().await;
    let message = bot.says("maya", "what about this?");
    bot.edits(message, "maya", "what about that?");
    bot.model.script([say("That is fine.")]);
    bot.edits(message, "maya", "@threadbox what about this?");
    assert!(bot.answer_in(message).await.contains("That is fine."));
    bot.edits(message, "maya", "@threadbox what about this, please?");
    bot.until_count("select count(*) from changes where surface = 'discord' and edited_at is not null", 1).await;
    assert_eq!(asked(&bot).await, 1);
    // The words that are remembered are the latest.
    bot.until_count("select count(*) from messages where parts::text like '%please%'", 1).await;
    bot.finish().await;
}

#[tokio::test]
async fn what_is_told_twice_is_answered_once() {
    let bot = DiscordBot::start().await;
    bot.discord.tell_twice("MESSAGE_CREATE");
    bot.model.script([say("Once."), say("Twice.")]);
    let (thread, _) = bot.asks("say it").await;
    bot.discord.tell_twice("MESSAGE_CREATE");
    let again = bot.says_in(thread, "maya", "again");
    bot.answered(again, thread).await;
    assert_eq!(bot.count("select count(*) from runs").await, 2);
    bot.finish().await;
}

#[tokio::test]
async fn a_request_that_is_deleted_before_its_turn_is_not_done() {
    let bot = DiscordBot::start().await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("First."))]);
    let thread = bot.says("maya", "@threadbox first");
    until_model_asked(&bot, 1).await;
    let second = bot.says_in(thread, "maya", "@threadbox queue second");
    bot.until_count("select count(*) from runs", 2).await;
    bot.discord.delete(second, bot.person("maya")).unwrap();
    bot.until_count("select count(*) from changes where surface = 'discord' and deleted_at is not null", 1).await;
    gate.open();
    assert!(!bot.answer_in(thread).await.is_empty());
    assert_eq!(bot.asked().len(), 1);
    bot.finish().await;
}

#[tokio::test]
async fn a_message_that_is_deleted_is_forgotten() {
    let bot = DiscordBot::start().await;
    bot.model.script([say("The word is kiwi."), say("Nothing.")]);
    let (thread, _) = bot.asks("my word is papaya").await;
    let second = bot.says_in(thread, "maya", "and mango");
    bot.answered(second, thread).await;
    bot.idle().await;
    bot.discord.delete(second, bot.person("maya")).unwrap();
    bot.until_count("select count(*) from messages where parts::text like '%mango%'", 0).await;
    assert_eq!(bot.count("select count(*) from messages where parts::text like '%papaya%'").await, 1);
    bot.finish().await;
}

//! What was said while nobody listened.

use chrono::TimeDelta;
use threadbox::standin::discord::{Id, NewChannel, Options, Permissions};
use threadbox::standin::model::say;

use super::{asked, once_each_and_in_order, with_clock};
use crate::support::discord_bot::DiscordBot;

impl DiscordBot {
    /// How often the messages of a channel were asked for, each time a hundred of them.
    fn pages_of(&self, channel: Id) -> usize {
        let path = format!("/channels/{channel}/messages");
        let asked = self.discord.requests().into_iter().filter(|request| request.method == "GET" && request.path == path);
        let after: Vec<String> = asked.filter_map(|request| request.query).filter(|query| query.contains("after=")).collect();
        assert!(after.iter().all(|query| query.contains("limit=100&")), "{after:?}");
        after.len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hours_of_downtime_with_500_messages_each_handled_once() {
    let (mut bot, clock) = with_clock().await;
    let other = bot.add_channel(NewChannel::text("other"));
    let silent = bot.add_channel(NewChannel::text("silent"));
    let forum = bot.add_channel(NewChannel::forum("help", &[]));
    let (ours, _) = bot.asks("before").await;
    let (asleep, _) = bot.asks("also before").await;
    let (alone, before) = bot.says_alone("bob", "hello");
    bot.answered(before, alone).await;
    bot.stop().await;
    let (mut said, mut wanted) = (0, 3);
    let mut count = |for_us: bool| {
        said += 1;
        wanted += i64::from(for_us);
    };
    for n in 0..100 {
        clock.advance(TimeDelta::seconds(60));
        bot.says("bob", &format!("talk {n}"));
        count(false);
        bot.says_in(other, "maya", &format!("more talk {n}"));
        count(false);
        bot.says_in(ours, "maya", &format!("and {n}"));
        count(true);
        bot.says_in(asleep, "maya", &format!("or {n}"));
        count(true);
        match n % 10 {
            0 => bot.says_in(other, "bob", &format!("@threadbox question {n}")),
            5 => {
                let words = bot.with_mention("@threadbox help");
                bot.discord.forum_post(forum, bot.person("maya"), &format!("Post {n}"), words, &[]).unwrap()
            }
            7 => bot.says_alone("bob", &format!("alone {n}")).1,
            _ => bot.says("ada", &format!("small talk {n}")),
        };
        count(matches!(n % 10, 0 | 5 | 7));
    }
    // Bob takes one of them over.
    for (who, text, for_us) in [("bob", "indeed", false), ("maya", "this is for Bob", false), ("bob", "@threadbox mine", true)] {
        bot.says_in(ours, who, text);
        count(for_us);
    }
    bot.discord.archive(asleep, bot.person("ada"), true).unwrap();
    clock.advance(TimeDelta::minutes(20));
    assert_eq!(said, 503);
    bot.run().await;
    bot.until_count("select count(*) from inbox", wanted).await;
    bot.until_count("select count(*) from inbox where state = 'new'", 0).await;
    once_each_and_in_order(&bot).await;
    // A hundred at a time, where something was said, and no more often than that takes.
    assert_eq!((bot.pages_of(silent), bot.pages_of(bot.channel), bot.pages_of(other)), (0, 2, 2));
    // And once more, with nothing to find.
    bot.stop().await;
    bot.run().await;
    bot.connected().await;
    bot.asks("after").await;
    assert_eq!(asked(&bot).await, wanted + 1);
    once_each_and_in_order(&bot).await;
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_answers_nothing_of_before() {
    let mut bot = DiscordBot::prepare(&[], Options::default()).await;
    bot.says("maya", "@threadbox before you came");
    bot.run().await;
    bot.connected().await;
    bot.model.script([say("Now.")]);
    bot.asks("now").await;
    assert_eq!(asked(&bot).await, 1);
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_more_than_a_week_ago_is_left() {
    let (mut bot, clock) = with_clock().await;
    bot.asks("one").await;
    bot.stop().await;
    bot.says("maya", "@threadbox long ago");
    clock.advance(TimeDelta::days(8));
    let recent = bot.says("maya", "@threadbox just now");
    bot.run().await;
    bot.answer_in(recent).await;
    assert_eq!(asked(&bot).await, 2);
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_edited_meanwhile_is_asked_as_it_stands() {
    let (mut bot, clock) = with_clock().await;
    let (known, _) = bot.asks("one").await;
    bot.stop().await;
    clock.advance(TimeDelta::minutes(1));
    bot.edits(known, "maya", "@threadbox number one");
    let missed = bot.says("maya", "nothing for you");
    let unsaid = bot.says("maya", "@threadbox never mind");
    clock.advance(TimeDelta::minutes(1));
    bot.edits(missed, "maya", "@threadbox something for you");
    bot.discord.delete(unsaid, bot.person("maya")).unwrap();
    bot.run().await;
    bot.answer_in(missed).await;
    assert_eq!(asked(&bot).await, 2);
    assert!(bot.asked().last().unwrap().last_user_text().contains("something for you"));
    // What was known has its new words.
    bot.until_count("select count(*) from messages where parts::text like '%number one%'", 1).await;
    bot.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_of_those_who_asked_meanwhile_are_looked_up() {
    let (mut bot, clock) = with_clock().await;
    let role = bot.discord.add_role(bot.guild, "writers", Permissions::NONE, false);
    bot.discord.add_member(bot.guild, bot.person("maya"), &[role]);
    bot.asks("one").await;
    bot.stop().await;
    clock.advance(TimeDelta::minutes(30));
    let asked = bot.says("maya", "@threadbox two");
    bot.run().await;
    bot.answer_in(asked).await;
    let told = "select count(*) from inbox where jsonb_array_length(request -> 'with' -> 'roles') = 1";
    assert_eq!(bot.count(told).await, 2);
    bot.finish().await;
}

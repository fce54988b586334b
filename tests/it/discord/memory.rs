//! Memory on Discord: who knows what was said where, and words that are taken back.

use threadbox::standin::discord::{Id, NewChannel, Overwrite, OverwriteOf, Permissions};
use threadbox::standin::model::say;

use super::links::hidden;
use super::{both, comments, joined, linked, told, until};
use crate::forget::{assert_gone, forgotten, found};
use crate::support::bot::{Bot, REPOSITORY};
use crate::support::discord_bot::DiscordBot;

/// Somebody says something in a place, and is answered; what the model was shown then.
async fn hears(bot: &DiscordBot, place: Id, who: &str, text: &str, answer: &str) -> (Id, String) {
    bot.model.script([say(answer)]);
    let message = bot.says_in(place, who, text);
    let is_thread = bot.discord.world(|world| world.channel(place).is_some_and(|channel| channel.thread.is_some()));
    bot.answered(message, if is_thread { place } else { message }).await;
    (message, bot.asked().pop().unwrap().body.to_string())
}

/// The same in direct messages.
async fn hears_alone(bot: &DiscordBot, who: &str, text: &str, answer: &str) -> String {
    bot.model.script([say(answer)]);
    let (conversation, message) = bot.says_alone(who, text);
    bot.answered(message, conversation).await;
    bot.asked().pop().unwrap().body.to_string()
}

async fn remembered(bot: &DiscordBot) {
    bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
    bot.until_count("select count(*) from messages where not indexed and place_in_run is not null", 0).await;
}

const TOLD: &str = "@threadbox the code word of the launch is aubergine";
const ASKED: &str = "@threadbox what is the code word of the launch?";

#[tokio::test]
async fn what_one_guild_says_is_known_in_its_conversations_and_in_no_other_guild() {
    let bot = both(&[]).await;
    let ada = bot.person("ada");
    let other = bot.discord.add_guild("Elsewhere", ada);
    bot.discord.add_member(other, bot.person("maya"), &[]);
    let abroad = bot.discord.add_text_channel(other, "general");
    hears(&bot, bot.channel, "maya", TOLD, "Noted.").await;
    remembered(&bot).await;
    let (_, home) = hears(&bot, bot.channel, "bob", ASKED, "Aubergine.").await;
    assert!(home.contains("aubergine"), "it is found where it may be: {home}");
    // The same person asks, in the same words.
    let (_, there) = hears(&bot, abroad, "maya", ASKED, "I do not know.").await;
    assert!(!there.contains("aubergine"), "{there}");
    let alone = hears_alone(&bot, "maya", "what is the code word of the launch?", "I do not know.").await;
    assert!(!alone.contains("aubergine"), "{alone}");
    bot.finish().await;
}

#[tokio::test]
async fn direct_messages_are_known_to_one_person_alone() {
    let bot = both(&[]).await;
    hears_alone(&bot, "maya", "the code word of the launch is aubergine", "Noted.").await;
    told_alone(&bot, "maya", "remember the launch codes are in the aubergine box").await;
    remembered(&bot).await;
    let own = hears_alone(&bot, "maya", "what is the code word of the launch?", "Aubergine.").await;
    assert!(own.contains("aubergine"), "{own}");
    let (_, open) = hears(&bot, bot.channel, "maya", ASKED, "I do not know.").await;
    assert!(!open.contains("aubergine"), "{open}");
    let others = hears_alone(&bot, "bob", "what is the code word of the launch?", "I do not know.").await;
    assert!(!others.contains("aubergine"), "{others}");
    bot.finish().await;
}

async fn told_alone(bot: &DiscordBot, who: &str, text: &str) -> String {
    let (conversation, message) = bot.says_alone(who, text);
    bot.until_ours(conversation, "a card", |answer| answer.id > message && !answer.content.is_empty()).await.content
}

#[tokio::test]
async fn what_was_said_in_the_open_is_told_nowhere_else_once_fewer_may_read_it() {
    let bot = both(&[]).await;
    let closes = bot.add_channel(NewChannel::text("closes"));
    hears(&bot, closes, "maya", TOLD, "Noted.").await;
    let kept = told(&bot, closes, "maya", "@threadbox remember the launch box is aubergine coloured").await;
    assert!(kept.contains("I keep that in mind"), "{kept}");
    remembered(&bot).await;
    let (_, before) = hears(&bot, bot.channel, "bob", ASKED, "Aubergine.").await;
    assert!(before.contains("launch is aubergine") && before.contains("aubergine coloured"), "{before}");
    let everybody = |deny| Overwrite { id: bot.guild, of: OverwriteOf::Role, allow: Permissions::NONE, deny };
    bot.discord.overwrite(closes, everybody(Permissions::VIEW_CHANNEL));
    bot.discord.allow_us(closes, Permissions::VIEW_CHANNEL);
    bot.sql("update discord_channels set looked_at = now() - interval '1 hour'").await;
    // Not because somebody said something there since: who reads it is looked up when it would be told.
    let fresh = bot.add_channel(NewChannel::text("fresh"));
    let (_, after) = hears(&bot, fresh, "bob", ASKED, "I do not know.").await;
    assert!(!after.contains("launch is aubergine") && !after.contains("aubergine coloured"), "{after}");
    let list = told(&bot, fresh, "bob", "@threadbox memory").await;
    assert!(!list.contains("aubergine"), "{list}");
    // What was kept there is not lost by what is kept here.
    told(&bot, fresh, "bob", "@threadbox remember we use tabs").await;
    assert_eq!(
        bot.count("select count(*) from working_memories where lines::text like '%aubergine%' and lines::text like '%tabs%'")
            .await,
        1
    );
    bot.finish().await;
}

#[tokio::test]
async fn forget_this_thread_is_for_those_who_manage_it_and_leaves_nothing() {
    let bot = both(&[]).await;
    let (thread, _) = hears(&bot, bot.channel, "maya", "@threadbox CANARYTALK please", "About CANARYTALK.").await;
    hears(&bot, thread, "bob", "@threadbox and CANARYBOB", "CANARYBOB.").await;
    told(&bot, thread, "maya", "@threadbox remember here: CANARYLINE").await;
    hears(&bot, bot.channel, "maya", "@threadbox keepsake", "Kept.").await;
    remembered(&bot).await;
    let no = told(&bot, thread, "bob", "@threadbox forget this thread").await;
    assert!(no.contains("the permission to manage messages or threads here"), "{no}");
    assert_eq!(bot.count("select count(*) from forgettings").await, 0);
    let said = told(&bot, thread, "ada", "@threadbox forget this thread").await;
    assert!(said.contains("I forget this conversation") && said.contains("What stands on Discord stays there"), "{said}");
    until(&bot, "select count(*) from forgettings", 1).await;
    forgotten(&bot).await;
    for word in ["CANARYTALK", "CANARYBOB", "CANARYLINE"] {
        assert_gone(&bot, word).await;
    }
    assert!(!found(&bot, "keepsake").await.is_empty());
    assert!(!bot.ours_in(thread).is_empty(), "what stands on Discord is Discord's");
    bot.finish().await;
}

#[tokio::test]
async fn people_take_back_what_they_said_on_discord_and_in_direct_messages() {
    let bot = both(&[]).await;
    let (thread, _) = hears(&bot, bot.channel, "maya", "@threadbox CANARYMAYA please", "About CANARYMAYA.").await;
    hears(&bot, thread, "bob", "@threadbox BOBSWORDS", "BOBSWORDS.").await;
    hears_alone(&bot, "maya", "CANARYALONE", "CANARYALONE.").await;
    // Somebody answers to her words in the channel.
    bot.model.script([say("I see.")]);
    let answer =
        bot.discord.reply(thread, bot.person("bob"), &bot.with_mention("@threadbox what does BOBSQUESTION mean?")).unwrap();
    bot.answered(answer, answer).await;
    assert!(bot.asked().pop().unwrap().body.to_string().contains("CANARYMAYA"), "it was shown what is answered to");
    // In a channel few read, memory is kept apart; it goes with the words all the same.
    let few = hidden(&bot, &["maya"]);
    told(&bot, few, "maya", "@threadbox remember CANARYFEW").await;
    remembered(&bot).await;
    assert!(!found(&bot, "CANARYFEW").await.is_empty());
    let said = told(&bot, bot.channel, "maya", "@threadbox forget everything I said").await;
    assert!(said.contains("I forget what you said, in all conversations here and elsewhere"), "{said}");
    until(&bot, "select count(*) from forgettings where what = 'words'", 1).await;
    forgotten(&bot).await;
    for word in ["CANARYMAYA", "CANARYALONE", "CANARYFEW"] {
        assert_gone(&bot, word).await;
    }
    assert!(!found(&bot, "BOBSWORDS").await.is_empty() && !found(&bot, "BOBSQUESTION").await.is_empty());
    bot.finish().await;
}

#[tokio::test]
async fn where_two_conversations_share_a_memory_each_forgets_what_was_said_in_it() {
    let bot = both(&[]).await;
    joined(&bot, "maya", "maya").await;
    linked(&bot, bot.channel, "maya").await;
    let issue = bot.issue("Joined").await;
    let thread = bot.discord.open_thread(bot.channel, bot.person("maya"), "Talk", None).unwrap();
    hears(&bot, thread, "maya", "@threadbox CANARYCHAT", "CANARYCHAT.").await;
    let page = format!("{}/{REPOSITORY}/issues/{}", bot.github.url(), issue.number);
    let said = told(&bot, thread, "maya", &format!("@threadbox link {page}")).await;
    assert!(said.contains("are one now"), "{said}");
    bot.model.script([say("CANARYPAGE.")]);
    let asked = Bot::says(&bot, &issue, "ada", "@threadbox CANARYPAGE").await;
    bot.ended(&issue, asked).await;
    remembered(&bot).await;
    let said = comments(&bot, &issue, "maya", "@threadbox forget this conversation").await;
    assert!(said.contains("I forget what was said in this conversation: 1 message, 1 answer of mine"), "{said}");
    bot.until_count("select count(*) from inbox where state = 'new'", 0).await;
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYPAGE").await;
    assert!(!found(&bot, "CANARYCHAT").await.is_empty(), "what was said on Discord is there still");
    bot.finish().await;
}

//! What becomes of a request where we may do less than we should, from the mention to its end.

use serde_json::json;
use threadbox::standin::discord::Permissions;
use threadbox::standin::model::{call, say};

use crate::support::discord_bot::DiscordBot;

fn these(all: &[Permissions]) -> Permissions {
    Permissions(all.iter().fold(0, |sum, one| sum | one.0))
}

#[tokio::test]
async fn where_we_may_say_nothing_a_request_ends_and_the_next_one_works() {
    let bot = DiscordBot::start().await;
    let voice = these(&[Permissions::SEND_MESSAGES, Permissions::SEND_MESSAGES_IN_THREADS, Permissions::CREATE_PUBLIC_THREADS]);
    bot.deny(bot.channel, voice);
    bot.says("maya", "@threadbox hello");
    bot.until_count("select count(*) from inbox where state = 'dead'", 1).await;
    assert!(bot.ours_in(bot.channel).is_empty());
    assert_eq!(bot.count("select count(*) from runs where state <> 'posted'").await, 0);
    bot.discord.allow_us(bot.channel, voice);
    bot.model.script([say("Hello.")]);
    let (_, answer) = bot.asks("hello again").await;
    assert!(answer.contains("Hello."), "{answer}");
    // What could not be said stays unsaid.
    bot.sql("delete from posts where state <> 'done'").await;
    bot.finish().await;
}

#[tokio::test]
async fn with_the_least_we_may_an_answer_still_comes_whole() {
    let bot = DiscordBot::start().await;
    let missing = [
        Permissions::CREATE_PUBLIC_THREADS,
        Permissions::READ_MESSAGE_HISTORY,
        Permissions::ATTACH_FILES,
        Permissions::EMBED_LINKS,
        Permissions::ADD_REACTIONS,
    ];
    bot.deny(bot.channel, these(&missing));
    let code = "open('plot.svg', 'w').write('<svg/>'); print('x' * 5000)";
    bot.model.script([call("runCode", json!({ "code": code, "language": "python" })), say("It is drawn.")]);
    let asked = bot.says("maya", "@threadbox draw it");
    let ours = bot.answered(asked, bot.channel).await;
    let whole: String = ours.iter().map(|message| message.content.as_str()).collect();
    assert!(whole.contains("It is drawn.") && whole.contains("Create Public Threads"), "{whole}");
    assert!(ours.iter().all(|message| message.attachments.is_empty() && message.reference.is_none()), "{ours:#?}");
    bot.finish().await;
}

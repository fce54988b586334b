//! What of a turn is stored, and what a model is shown in which order.

use serde_json::json;
use threadbox::standin::github::IssueRef;
use threadbox::standin::model::{call, say, say_and_call};

use super::town::shown;
use crate::support::bot::{Bot, REPOSITORY};

async fn remembered(bot: &Bot) {
    bot.idle().await;
    bot.until_count("select count(*) from messages where not indexed and place_in_run is not null", 0).await;
}

async fn tells(bot: &Bot, issue: &IssueRef, text: &str) {
    bot.model.script([say("Noted.")]);
    bot.asks(issue, text).await;
    remembered(bot).await;
}

#[tokio::test]
async fn each_message_of_a_turn_is_a_row_of_its_own_with_its_parts() {
    let bot = Bot::start().await;
    let issue = bot.issue("Rows").await;
    bot.model.script([say_and_call("First I look.", "runCommand", json!({ "command": "echo seventeen" })), say("Seventeen.")]);
    bot.asks(&issue, "@threadbox what does it print?").await;
    bot.idle().await;
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select role, (select string_agg(part->>'type', ' ' order by at) from jsonb_array_elements(parts) with ordinality as p (part, at))
         from messages where place_in_run is not null order by place_in_run",
    )
    .fetch_all(&bot.database.pool)
    .await
    .unwrap();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(role, parts)| (role.as_str(), parts.as_str())).collect();
    assert_eq!(rows, [("user", "text"), ("assistant", "text tool_call"), ("tool", "tool_result"), ("assistant", "text")]);
    bot.finish().await;
}

#[tokio::test]
async fn what_is_added_to_a_prompt_is_not_saved_as_something_that_was_said() {
    let bot = Bot::start().await;
    let (first, second) = (bot.issue("First").await, bot.issue("Second").await);
    tells(&bot, &first, "@threadbox the code word of the harvester is aubergine").await;
    bot.model.script([
        call("updateWorkingMemory", json!({ "memory": "## Goal\n- Ship the harvester." })),
        say("It is in memory."),
        say("Still there."),
    ]);
    bot.asks(&second, "@threadbox what is the code word of the harvester?").await;
    bot.asks(&second, "@threadbox are you sure?").await;
    remembered(&bot).await;
    let last = bot.asked().pop().unwrap();
    let prompt = shown(&last);
    assert!(prompt.contains("Ship the harvester. [m:"), "working memory is shown: {prompt}");
    assert!(bot.asked()[1].body.to_string().contains("aubergine"), "recall is shown");
    // Recalled words, kept lines and rules are what the prompt is made of anew each time.
    let saved = "select count(*) from messages m join threads t on t.id = m.thread_id join surfaces s on s.thread_id = t.id
                 where s.key like '%#2' and m.parts::text like '%aubergine%'";
    assert_eq!(bot.count(saved).await, 0);
    assert_eq!(bot.count("select count(*) from messages where parts::text like '%working memory), as data%'").await, 0);
    assert_eq!(bot.count("select count(*) from messages where role not in ('user', 'assistant', 'tool')").await, 0);
    // A note is a call like any other, and nothing that recall finds.
    assert_eq!(bot.count("select count(*) from memories where text like '%Ship the harvester%'").await, 0);
    bot.finish().await;
}

#[tokio::test]
async fn what_is_delivered_again_is_stored_once_and_shown_once() {
    let bot = Bot::start().await;
    let issue = bot.issue("Echo").await;
    tells(&bot, &issue, "@threadbox the harvester is SAIDONCE").await;
    let last = bot.github.world(|world| world.deliveries().last().unwrap().id);
    bot.github.redeliver(last).await.unwrap();
    bot.until_count("select count(*) from inbox where state = 'new'", 0).await;
    tells(&bot, &issue, "@threadbox and what do we do with it?").await;
    let stored = "select count(*) from messages where role = 'user' and parts::text like '%SAIDONCE%'";
    assert_eq!(bot.count(stored).await, 1);
    assert_eq!(bot.count("select count(*) from runs").await, 2);
    // Neither does what was stored come back because it is recalled.
    let prompt = shown(&bot.asked().pop().unwrap());
    assert_eq!(prompt.matches("SAIDONCE").count(), 1, "{prompt}");
    bot.finish().await;
}

#[tokio::test]
async fn a_prompt_is_history_then_the_request_then_working_memory_then_recall() {
    let bot = Bot::start().await;
    let (first, second) = (bot.issue("First").await, bot.issue("Second").await);
    tells(&bot, &first, "@threadbox the harvester code word is RECALLED").await;
    tells(&bot, &second, "@threadbox good morning HISTORY").await;
    bot.model.script([call("updateWorkingMemory", json!({ "memory": "## Goal\n- Goal KEPT." })), say("Noted.")]);
    bot.asks(&second, "@threadbox note the goal").await;
    tells(&bot, &second, "@threadbox REQUEST: what is the harvester code word?").await;
    let prompt = shown(&bot.asked().pop().unwrap());
    let places = ["good morning HISTORY", "REQUEST: what is", "Goal KEPT. [m:", "code word is RECALLED"].map(|words| {
        let place = prompt.find(words);
        place.unwrap_or_else(|| panic!("{words} is not in {prompt}"))
    });
    assert!(places.is_sorted(), "{places:?}: {prompt}");
    bot.finish().await;
}

#[tokio::test]
async fn a_repository_decides_how_much_is_recalled() {
    let bot = Bot::start().await;
    for number in 1..=3 {
        let issue = bot.issue("Storage").await;
        tells(&bot, &issue, &format!("@threadbox harvester rule {number}: payload number{number} stays in the barn")).await;
    }
    let asked = async |file: &str| {
        bot.github.push(REPOSITORY, "File", &[(".github/threadbox.toml", file.into())]).unwrap();
        let issue = bot.issue("Question").await;
        bot.model.script([say("I see.")]);
        bot.asks(&issue, "@threadbox which payload of the harvester stays in the barn?").await;
        let request = bot.asked().pop().unwrap();
        let passages = (1..=3).filter(|number| shown(&request).contains(&format!("payload number{number} stays"))).count();
        (passages, request.offers("recall"))
    };
    assert_eq!(asked("[memory]\ntop_k = 2\nbefore = 0\nafter = 0\n").await, (2, true));
    assert_eq!(asked("[memory]\nscope = 'thread'\n").await, (0, true));
    assert_eq!(asked("[memory]\nrecall = false\n").await, (0, false));
    bot.finish().await;
}

//! What is kept of a turn that did not end well, and that no provider ever sees half a tool call.

use serde_json::json;
use threadbox::standin::model::{Gate, call, calls, gated, hang, hang_after, say, say_and_call, status};

use super::town::shown;
use crate::support::bot::Bot;

#[tokio::test]
async fn a_first_model_call_that_fails_keeps_what_was_asked() {
    let bot = Bot::start().await;
    let issue = bot.issue("Fails").await;
    bot.model.script([status(400), say("I know what you asked.")]);
    bot.asks(&issue, "@threadbox count the lines of src/lease.rs").await;
    assert_eq!(bot.count("select count(*) from messages where role = 'user' and place_in_run = 0").await, 1);
    bot.asks(&issue, "@threadbox what did I ask before?").await;
    assert!(shown(&bot.asked().pop().unwrap()).contains("count the lines of src/lease.rs"));
    bot.finish().await;
}

#[tokio::test]
async fn an_abort_during_the_first_call_keeps_what_was_asked_also_in_the_middle_of_streamed_text() {
    for turn in [hang(), hang_after(3, say("I was about to say something long and important about this."))] {
        let bot = Bot::start().await;
        let issue = bot.issue("Abort").await;
        bot.model.script([turn]);
        let first = bot.says(&issue, "maya", "@threadbox look at src/fence.rs").await;
        bot.model.arrived(1).await;
        bot.says(&issue, "maya", "@threadbox stop").await;
        assert_eq!(bot.ended(&issue, first).await, "confused");
        bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
        bot.model.script([say("Going on.")]);
        bot.asks(&issue, "@threadbox go on").await;
        assert!(shown(&bot.asked().pop().unwrap()).contains("look at src/fence.rs"));
        bot.finish().await;
    }
}

#[tokio::test]
async fn an_abort_during_the_second_call_keeps_the_finished_tool_call() {
    let bot = Bot::start().await;
    let issue = bot.issue("Abort").await;
    bot.model.script([say_and_call("First I look.", "runCommand", json!({ "command": "echo seventeen" })), hang()]);
    let first = bot.says(&issue, "maya", "@threadbox look around").await;
    bot.model.arrived(2).await;
    bot.says(&issue, "maya", "@threadbox stop").await;
    assert_eq!(bot.ended(&issue, first).await, "confused");
    bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
    bot.model.script([say("It printed seventeen.")]);
    bot.asks(&issue, "@threadbox what did it print?").await;
    let text = shown(&bot.asked().pop().unwrap());
    assert!(text.contains("First I look.") && text.contains("seventeen"), "{text}");
    bot.finish().await;
}

#[tokio::test]
async fn no_provider_ever_sees_a_call_without_its_result_or_a_result_without_its_call() {
    for model in ["openai/gpt-4.1", "anthropic/claude-sonnet-4-5", "google/gemini-2.5-pro"] {
        let bot = Bot::start_with(&[("MODEL", model), ("TITLE_MODEL", "openai/gpt-4.1")]).await;
        let issue = bot.issue("Orphans").await;
        let gate = Gate::closed();
        let two = || calls([("runCommand", json!({ "command": "echo one" })), ("listFiles", json!({}))]);
        // Parallel calls, steering between them and the next answer, and an end in the middle.
        bot.model.script([
            gated(&gate, two()),
            say("Done."),
            call("runCommand", json!({ "command": "sleep 600", "timeoutSeconds": 700 })),
        ]);
        let first = bot.says(&issue, "maya", "@threadbox look").await;
        bot.model.arrived(1).await;
        bot.says(&issue, "maya", "@threadbox in metres").await;
        bot.until_count("select coalesce(max(arrivals), 0)::bigint from runs", 1).await;
        gate.open();
        bot.ended(&issue, first).await;
        let second = bot.says(&issue, "maya", "@threadbox sleep").await;
        bot.until_count("select count(*) from runs where state = 'running' and steps = 1", 1).await;
        bot.says(&issue, "maya", "@threadbox stop").await;
        bot.ended(&issue, second).await;
        bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
        // What an older version or a hand in the tables left is no reason for silence.
        bot.sql(
            "delete from messages where role = 'tool' and id = (select id from messages where role = 'tool' order by id limit 1)",
        )
        .await;
        bot.model.script([say("Still here.")]);
        let answer = bot.asks(&issue, "@threadbox are you there?").await;
        assert!(answer.contains("Still here."), "{model}: {answer}");
        // The stand-in refuses what these providers refuse, and `finish` asserts that it never had to.
        bot.finish().await;
    }
}

#[tokio::test]
async fn calls_of_two_runs_may_have_the_same_id() {
    let bot = Bot::start_with(&[("MODEL", "anthropic/claude-sonnet-4-5"), ("TITLE_MODEL", "openai/gpt-4.1")]).await;
    let issue = bot.issue("Ids").await;
    for word in ["one", "two"] {
        bot.model.script([call("runCommand", json!({ "command": format!("echo {word}") })), say("Done.")]);
        bot.asks(&issue, "@threadbox do it").await;
        bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
    }
    bot.sql(
        "update messages set parts = regexp_replace(parts::text, '\"id\": \"[^\"]+\"', '\"id\": \"functions_run_0\"', 'g')::jsonb
         where role in ('tool', 'assistant')",
    )
    .await;
    bot.model.script([say("Still here.")]);
    assert!(bot.asks(&issue, "@threadbox are you there?").await.contains("Still here."));
    bot.finish().await;
}

//! From a mention to its one answer, as people live it.

use serde_json::json;
use threadbox::github::MARKER;
use threadbox::standin::model::{Gate, call, calls, gated, hang, say, say_and_call, status};

use crate::support::bot::{Bot, LIMIT};

#[tokio::test]
async fn a_mention_ends_in_one_comment_with_output_of_code_that_really_ran() {
    let bot = Bot::start().await;
    let issue = bot.issue("Sum of primes").await;
    bot.model.script([
        call("runCode", json!({ "code": "print(sum(p for p in range(2, 30) if all(p % d for d in range(2, p))))" })),
        say("The sum of the primes below 30 is **129**."),
    ]);
    let comment = bot.says(&issue, "maya", "@threadbox what is the sum of the primes below 30?").await;
    assert_eq!(bot.ended(&issue, comment).await, "rocket");

    let ours = bot.our_comments(&issue);
    assert_eq!(ours.len(), 1);
    let answer = ours[0].body();
    assert!(answer.contains("The sum of the primes below 30 is **129**."), "{answer}");
    assert!(answer.contains("```python") && answer.contains("129\n") && answer.contains("exit"), "{answer}");
    assert!(answer.contains("openai/gpt-4.1") && answer.contains(MARKER), "{answer}");
    assert!(ours[0].versions.len() >= 2, "it was acknowledged before it was the answer");
    assert_eq!(bot.reaction(&issue, comment, &["eyes"]).await, "eyes");
    // The tool's own words reached the model.
    let second = &bot.model.requests()[1];
    assert!(second.messages.last().unwrap().results[0].text.contains("129"));
    bot.finish().await;
}

#[tokio::test]
async fn a_mention_in_a_new_issue_is_answered_too() {
    let bot = Bot::start().await;
    bot.model.script([say("Hello Maya.")]);
    let (issue, sent) =
        bot.github.open_issue(crate::support::bot::REPOSITORY, "maya", "Hello", "@threadbox are you there?").await.unwrap();
    assert_eq!(sent.status, Some(202));
    let comment = bot.our_comment_number(&issue, 1).await;
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    assert!(bot.our_comments(&issue)[0].body().contains("Hello Maya."), "{}", comment.body());
    bot.finish().await;
}

#[tokio::test]
async fn an_edit_that_adds_a_mention_counts_once() {
    let bot = Bot::start().await;
    let issue = bot.issue("Edits").await;
    let quiet = bot.github.comment(&issue, "maya", "what about this?").await.unwrap();
    assert_eq!(quiet.sent.status, Some(200), "no mention, nothing to do");
    bot.model.script([say("That is fine.")]);
    let sent = bot.github.edit_comment(quiet.id, "maya", "@threadbox what about this?").await.unwrap();
    assert_eq!(sent.status, Some(202));
    bot.ended(&issue, quiet.id).await;
    let again = bot.github.edit_comment(quiet.id, "maya", "@threadbox what about this, please?").await.unwrap();
    assert_eq!(again.status, Some(202), "noted, but the mention was there before");
    assert_eq!(bot.count("select count(*) from inbox").await, 1);
    assert_eq!(bot.our_comments(&issue).len(), 1);
    bot.finish().await;
}

#[tokio::test]
async fn deliveries_come_many_times_and_under_other_ids_and_run_once() {
    let bot = Bot::start().await;
    let issue = bot.issue("Twice").await;
    bot.model.script([say("Once.")]);
    let comment = bot.says(&issue, "maya", "@threadbox say once").await;
    let delivery = bot.github.world(|world| world.deliveries().last().unwrap().id);
    for _ in 0..3 {
        assert_eq!(bot.github.redeliver(delivery).await.unwrap().status, Some(200));
    }
    assert_eq!(bot.github.deliver_again_as_new(delivery).await.unwrap().status, Some(200), "the same comment under a new id");
    bot.ended(&issue, comment).await;
    assert_eq!(bot.our_comments(&issue).len(), 1);
    assert_eq!(bot.count("select count(*) from runs").await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn the_thread_remembers_what_was_said_and_done() {
    let bot = Bot::start().await;
    let issue = bot.issue("Memory").await;
    bot.model.script([
        call("writeFile", json!({ "path": "notes.txt", "content": "seven" })),
        say("Noted."),
        call("readFile", json!({ "path": "notes.txt" })),
        say("It says seven."),
    ]);
    bot.asks(&issue, "@threadbox write seven into notes.txt").await;
    let answer = bot.asks(&issue, "@threadbox what is in there?").await;
    assert!(answer.contains("It says seven."), "{answer}");
    let last = bot.model.requests().into_iter().rfind(|request| !request.tools.is_empty()).unwrap();
    let said = last.messages.iter().map(|message| message.text.clone()).collect::<Vec<_>>().join("\n");
    assert!(said.contains("write seven into notes.txt") && said.contains("Noted."), "{said}");
    assert!(last.messages.last().unwrap().results[0].text.contains("seven"), "the file is still in the thread's sandbox");
    bot.until_count("select count(*) from threads where title = 'A title'", 1).await;
    bot.finish().await;
}

#[tokio::test]
async fn a_message_during_a_run_joins_before_the_next_model_call() {
    let bot = Bot::start().await;
    let issue = bot.issue("Steering").await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, call("runCommand", json!({ "command": "echo one" }))), say("I used metres, as you said.")]);
    let first = bot.says(&issue, "maya", "@threadbox how long is it?").await;
    bot.model.arrived(1).await;
    let second = bot.says(&issue, "maya", "@threadbox in metres please").await;
    bot.reaction(&issue, second, &["eyes"]).await;
    bot.until_count("select arrivals::bigint from runs", 1).await;
    gate.open();
    bot.ended(&issue, first).await;
    let request = bot.model.requests().into_iter().rfind(|request| !request.tools.is_empty()).unwrap();
    assert!(request.messages.iter().any(|message| message.text.contains("in metres please")));
    assert_eq!(bot.our_comments(&issue).len(), 1, "it joined the run and has no comment of its own");
    bot.finish().await;
}

#[tokio::test]
async fn a_message_that_comes_with_the_last_answer_is_not_lost() {
    let bot = Bot::start().await;
    let issue = bot.issue("Late").await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("Done.")), say("And that too.")]);
    let first = bot.says(&issue, "maya", "@threadbox do this").await;
    bot.model.arrived(1).await;
    bot.says(&issue, "maya", "@threadbox and that").await;
    bot.until_count("select arrivals::bigint from runs", 1).await;
    gate.open();
    bot.ended(&issue, first).await;
    assert!(bot.our_comments(&issue)[0].body().contains("And that too."));
    bot.finish().await;
}

#[tokio::test]
async fn stop_ends_a_run_at_once_and_says_what_was_done() {
    let bot = Bot::start().await;
    let issue = bot.issue("Stop").await;
    bot.model.script([say_and_call("First I look around.", "runCommand", json!({ "command": "echo looked" })), hang()]);
    let first = bot.says(&issue, "maya", "@threadbox do something long").await;
    bot.until_asked(2).await;
    let before = tokio::time::Instant::now();
    let stop = bot.says(&issue, "maya", "@threadbox stop").await;
    assert_eq!(bot.ended(&issue, first).await, "confused");
    assert!(before.elapsed() < LIMIT / 10, "it was not the model's timeout that ended it");
    bot.reaction(&issue, stop, &["eyes"]).await;
    let answer = bot.our_comments(&issue)[0].body().to_owned();
    assert!(answer.contains("topped by") && answer.contains("maya"), "{answer}");
    assert!(answer.contains("First I look around.") && answer.contains("looked"), "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn stop_reaches_into_a_running_command() {
    let bot = Bot::start().await;
    let issue = bot.issue("Stop a command").await;
    bot.model.script([call("runCommand", json!({ "command": "echo begun; sleep 600", "timeoutSeconds": 700 }))]);
    let first = bot.says(&issue, "maya", "@threadbox sleep").await;
    bot.model.arrived(1).await;
    bot.says(&issue, "maya", "@threadbox stop").await;
    assert_eq!(bot.ended(&issue, first).await, "confused");
    bot.finish().await;
}

#[tokio::test]
async fn retry_runs_the_last_request_again() {
    let bot = Bot::start().await;
    let issue = bot.issue("Retry").await;
    bot.model.script([status(400), say("Now it works.")]);
    let failed = bot.asks(&issue, "@threadbox add 1 and 1").await;
    assert!(!failed.contains("Now it works."), "{failed}");
    let answer = bot.asks(&issue, "@threadbox retry").await;
    assert!(answer.contains("Now it works."), "{answer}");
    let request = bot.model.requests().into_iter().rfind(|request| !request.tools.is_empty()).unwrap();
    assert!(request.messages.last().unwrap().text.contains("add 1 and 1"));
    bot.finish().await;
}

#[tokio::test]
async fn run_runs_the_fence_without_a_model() {
    let bot = Bot::start().await;
    let issue = bot.issue("Run").await;
    let answer = bot.asks(&issue, "@threadbox run\n\n```python\nprint('from', 'the fence')\nraise SystemExit(3)\n```\n").await;
    assert!(answer.contains("from the fence") && answer.contains('3'), "{answer}");
    assert_eq!(bot.model.count(), 0);
    bot.finish().await;
}

#[tokio::test]
async fn words_with_a_fixed_meaning_are_answered_by_the_service() {
    let bot = Bot::start().await;
    let issue = bot.issue("Words").await;
    for (number, (word, expected)) in [
        ("help", "stop"),
        ("status", "Nothing"),
        ("stop", "Nothing"),
        ("retry", "no earlier request"),
        ("stpo", "`stop`"),
        ("review", "not"),
    ]
    .into_iter()
    .enumerate()
    {
        bot.says(&issue, "maya", &format!("@threadbox {word}")).await;
        let comment = bot.our_comment_number(&issue, number + 1).await;
        assert!(comment.body().contains(expected), "{word}: {}", comment.body());
    }
    assert_eq!(bot.model.count(), 0);
    assert_eq!(bot.count("select count(*) from runs").await, 0);
    bot.finish().await;
}

#[tokio::test]
async fn reads_go_together_and_bad_calls_are_answered_usefully() {
    let bot = Bot::start().await;
    let issue = bot.issue("Tools").await;
    bot.model.script([
        calls([("readFiel", json!({})), ("readFile", json!({ "pfad": "x" })), ("listFiles", json!({}))]),
        say("I see."),
    ]);
    bot.asks(&issue, "@threadbox look").await;
    let request = &bot.model.requests()[1];
    let results: Vec<&str> =
        request.messages.iter().flat_map(|message| &message.results).map(|result| result.text.as_str()).collect();
    assert_eq!(results.len(), 3);
    assert!(results[0].contains("readFile"), "an unknown tool is answered with those there are: {}", results[0]);
    assert!(results[1].contains("path"), "bad arguments are answered with what is wrong: {}", results[1]);
    assert!(results[2].contains("files"), "{}", results[2]);
    bot.finish().await;
}

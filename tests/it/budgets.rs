//! Ceilings: a run stops before a line is crossed, says what going on would cost, and goes on when somebody may say so.

use std::time::Duration;

use serde_json::json;
use threadbox::clock::{Clock, SystemClock};
use threadbox::settings::Permission;
use threadbox::standin::github::{Node, UserKind};
use threadbox::standin::model::{RecordedRequest, call, say};

use crate::support::bot::{Bot, REPOSITORY};

const ANSWERED: &str = "select count(*) from runs where state = 'posted' and outcome->>'outcome' = 'answered'";

fn said(request: &RecordedRequest) -> String {
    request.messages.iter().map(|message| message.text.clone()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_run_that_a_ceiling_ended_goes_on_where_it_stopped_when_somebody_may_say_so() {
    let bot = Bot::start_with(&[("RUN_BUDGET_USD", "0.001")]).await;
    let issue = bot.issue("Expensive").await;
    bot.model.script([call("writeFile", json!({ "path": "notes.txt", "content": "seven" }))]);
    let answer = bot.asks(&issue, "@threadbox write notes, then read them").await;
    assert!(
        answer.contains("Ended at the cost limit of $0.001") && answer.contains("its next step would cost about $"),
        "{answer}"
    );
    assert!(answer.contains("The request is not finished.") && answer.contains("`budget 1`"), "{answer}");
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;

    // Maya may write, but does not maintain the repository.
    bot.says(&issue, "maya", "@threadbox budget 5").await;
    let refusal = bot.our_comment_number(&issue, 2).await;
    assert!(refusal.body().contains("those who maintain this repository"), "{}", refusal.body());
    bot.github.comment(&issue, "eve", "By the way, the notes should be in English.").await.unwrap();
    // GitHub's times are whole seconds: what was written in the same second may have come later.
    let then = SystemClock.now().timestamp();
    while SystemClock.now().timestamp() == then {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    // Somebody wanted it to stop as it ended.
    bot.sql("update runs set stop_requested_by = 'maya'").await;
    bot.model.script([call("readFile", json!({ "path": "notes.txt" })), say("It says seven.")]);
    let raise = bot.says(&issue, "ada", "@threadbox budget 5").await;
    assert_eq!(bot.reaction(&issue, raise, &["eyes"]).await, "eyes");
    bot.until_count(ANSWERED, 1).await;
    let ours = bot.our_comments(&issue);
    assert_eq!(ours.len(), 2, "the same comment becomes the answer");
    assert!(ours[0].body().contains("It says seven.") && !ours[0].body().contains("Ended at"), "{}", ours[0].body());
    let last = bot.asked().pop().unwrap();
    assert!(
        last.messages.iter().flat_map(|message| &message.calls).any(|call| call.name == "writeFile"),
        "what it had done is there"
    );
    assert!(last.new_results()[0].text.contains("seven"), "and so is the sandbox");
    let said = said(&last);
    assert!(said.contains("the notes should be in English") && said.contains("ada writes:"), "{said}");
    assert_eq!(bot.count("select count(*) from runs").await, 1);
    assert_eq!(bot.count("select count(*) from ledger where purpose = 'step'").await, 3);

    // The ceiling is the thread's from now on.
    bot.model.script([call("runCommand", json!({ "command": "true" })), say("Done.")]);
    assert!(bot.asks(&issue, "@threadbox once more").await.contains("Done."));
    bot.finish().await;
}

#[tokio::test]
async fn a_ceiling_that_is_set_ahead_holds_for_the_next_run() {
    let bot = Bot::start_with(&[("DAILY_BUDGET_USD", "7")]).await;
    let issue = bot.issue("Ahead").await;
    bot.says(&issue, "ada", "@threadbox budget 0.0001").await;
    let card = bot.our_comment_number(&issue, 1).await;
    assert!(card.body().contains("A run in this conversation may cost $0.00 now."), "{}", card.body());
    bot.model.script([call("runCommand", json!({ "command": "true" }))]);
    assert!(bot.asks(&issue, "@threadbox work").await.contains("Ended at the cost limit"));
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    bot.model.script([say("Now I am done.")]);
    bot.says(&issue, "ada", "@threadbox budget 100").await;
    bot.until_count(ANSWERED, 1).await;
    assert_eq!(bot.count("select budget_usd::bigint from threads").await, 7, "never more than a day may cost");
    bot.finish().await;
}

#[tokio::test]
async fn one_person_and_one_repository_have_lines_of_their_own() {
    let bot = Bot::start_with(&[("USER_DAILY_BUDGET_USD", "0.001")]).await;
    let issue = bot.issue("Lines").await;
    bot.model.script([call("runCommand", json!({ "command": "echo begun" }))]);
    let answer = bot.asks(&issue, "@threadbox begin").await;
    assert!(answer.contains("your budget of $0.001 for today is used up") && answer.contains("begun"), "{answer}");
    bot.says(&issue, "maya", "@threadbox and again").await;
    let refusal = bot.our_comment_number(&issue, 2).await;
    assert!(refusal.body().contains("`USER_DAILY_BUDGET_USD`"), "{}", refusal.body());
    // Somebody else has money of their own.
    bot.model.script([say("At your service.")]);
    let comment = bot.says(&issue, "ada", "@threadbox hello").await;
    assert_eq!(bot.ended(&issue, comment).await, "rocket");

    // The repository draws a line of its own, lower than the service's.
    bot.github
        .push(REPOSITORY, "Rules", &[(".github/threadbox.toml", Node::from("[limits]\ndaily_budget_usd = 0.002\n"))])
        .unwrap();
    bot.github.add_user("mio", UserKind::User);
    bot.github.set_permission(REPOSITORY, "mio", Permission::Write).unwrap();
    bot.says(&issue, "mio", "@threadbox me too").await;
    let refusal = bot.our_comment_number(&issue, 4).await;
    assert!(refusal.body().contains("in this repository"), "{}", refusal.body());
    bot.finish().await;
}

#[tokio::test]
async fn those_who_maintain_the_repository_choose_the_model_of_a_thread() {
    let bot = Bot::start().await;
    let issue = bot.issue("Models").await;
    bot.says(&issue, "maya", "@threadbox model anthropic/claude-haiku-4-5").await;
    assert!(bot.our_comment_number(&issue, 1).await.body().contains("nothing was changed"));
    bot.says(&issue, "ada", "@threadbox model groq/llama-3.3-70b-versatile").await;
    let unknown = bot.our_comment_number(&issue, 2).await;
    assert!(unknown.body().contains("no key") && unknown.body().contains("`openai`"), "{}", unknown.body());
    bot.says(&issue, "ada", "@threadbox model anthropic/claude-haiku-4-5").await;
    assert!(bot.our_comment_number(&issue, 3).await.body().contains("`anthropic/claude-haiku-4-5` answers in this conversation"));
    bot.model.script([say("Bonjour.")]);
    let answer = bot.asks(&issue, "@threadbox hello").await;
    assert!(answer.contains("Bonjour.") && answer.contains("anthropic/claude-haiku-4-5"), "{answer}");
    assert_eq!(bot.asked().pop().unwrap().model, "claude-haiku-4-5");
    bot.says(&issue, "maya", "@threadbox status").await;
    let status = bot.our_comment_number(&issue, 5).await;
    assert!(status.body().contains("anthropic/claude-haiku-4-5, at most $2.00 a run"), "{}", status.body());
    // Another thread has the service's own.
    let other = bot.issue("Others").await;
    bot.model.script([say("Hello.")]);
    assert!(bot.asks(&other, "@threadbox hello").await.contains("openai/gpt-4.1"));
    bot.finish().await;
}

//! Plans: proposed first, carried out word by word once somebody with permission says so, and never otherwise.

use serde_json::json;
use threadbox::clock::{Clock, SystemClock};
use threadbox::standin::github::{IssueRef, Node};
use threadbox::standin::model::{Gate, call, gated, hang, say};

use crate::support::bot::{Bot, REPOSITORY};

const PLAN: &str = "1. Write `hello.txt` with the word hello.\n2. Read it back.";

/// Maya asks for a plan and gets it; returns the number of the comment that shows it.
async fn planned(bot: &Bot, issue: &IssueRef, plan: &str) -> i64 {
    bot.model.script([say(plan)]);
    let asked = bot.says(issue, "maya", "@threadbox plan a greeting").await;
    assert_eq!(bot.ended(issue, asked).await, "rocket");
    let comment = bot.our_comments(issue).pop().unwrap();
    assert!(comment.body().contains("Nothing has changed yet"), "{}", comment.body());
    bot.until_count("select count(*) from approvals where state = 'waiting' and shown is null", 0).await;
    comment.id
}

fn body(bot: &Bot, issue: &IssueRef, comment: i64) -> String {
    bot.our_comments(issue).into_iter().find(|ours| ours.id == comment).unwrap().body().to_owned()
}

async fn until_body(bot: &Bot, comment: i64, wanted: &str) {
    let look = |world: &threadbox::standin::github::World| {
        let found = world.comment(comment)?;
        found.body().contains(wanted).then_some(())
    };
    bot.github.wait_for(&format!("a comment that says {wanted}"), crate::support::bot::LIMIT, look).await.unwrap();
}

/// Somebody says `approve` and gets a short comment, which is returned.
async fn told(bot: &Bot, issue: &IssueRef, who: &str, text: &str) -> String {
    let before = bot.our_comments(issue).len();
    bot.says(issue, who, text).await;
    bot.our_comment_number(issue, before + 1).await.body().to_owned()
}

#[tokio::test]
async fn a_plan_is_carried_out_word_by_word_once_it_is_approved() {
    let bot = Bot::start().await;
    let issue = bot.issue("Greeting").await;
    let plan = planned(&bot, &issue, PLAN).await;
    let asked = bot.asked();
    assert!(
        !asked[0].offers("writeFile") && !asked[0].offers("runCommand") && asked[0].offers("readFile"),
        "{:?}",
        asked[0].tools
    );
    assert!(body(&bot, &issue, plan).contains(PLAN));

    bot.model.script([call("writeFile", json!({ "path": "hello.txt", "content": "hello\n" })), say("Greeted.")]);
    let yes = bot.says(&issue, "ada", "@threadbox approve").await;
    assert_eq!(bot.ended(&issue, yes).await, "rocket");
    let carried = &bot.asked()[1];
    assert!(carried.offers("writeFile"));
    assert!(carried.last_user_text().contains("Carry out exactly this plan") && carried.last_user_text().contains(PLAN));
    assert!(bot.our_comments(&issue).last().unwrap().body().contains("Greeted."));
    until_body(&bot, plan, "Approved by ada").await;
    assert_eq!(bot.count("select count(*) from runs where requester = 'ada' and request->'author'->>'login' = 'maya'").await, 1);

    let again = told(&bot, &issue, "maya", "@threadbox approve").await;
    assert!(again.contains("Nothing waits for a yes here.") && again.contains("was approved by ada"), "{again}");
    assert_eq!(bot.count("select count(*) from runs").await, 2);
    bot.finish().await;
}

#[tokio::test]
async fn a_newer_plan_takes_the_place_of_the_older() {
    let bot = Bot::start().await;
    let issue = bot.issue("Two plans").await;
    let first = planned(&bot, &issue, "1. The old way.").await;
    let second = planned(&bot, &issue, "1. The new way.").await;
    until_body(&bot, first, "a newer one has taken its place").await;
    bot.model.script([say("Done the new way.")]);
    let yes = bot.says(&issue, "maya", "@threadbox approve").await;
    assert_eq!(bot.ended(&issue, yes).await, "rocket");
    let text = bot.asked()[2].last_user_text().to_owned();
    assert!(text.contains("The new way.") && !text.contains("The old way."), "{text}");
    until_body(&bot, second, "Approved by maya").await;
    bot.finish().await;
}

#[tokio::test]
async fn nothing_to_approve_is_said() {
    let bot = Bot::start().await;
    let issue = bot.issue("Nothing").await;
    assert!(told(&bot, &issue, "maya", "@threadbox approve").await.contains("Nothing waits for a yes here."));
    planned(&bot, &issue, PLAN).await;
    let other = told(&bot, &issue, "maya", "@threadbox approve 0123456789abcdef").await;
    assert!(other.contains("Nothing waits for a yes here."), "{other}");
    // Eve may not, and her word is no request that could be shown for approval either.
    let eve = told(&bot, &issue, "eve", "@threadbox approve").await;
    assert!(eve.contains("I only work for"), "{eve}");
    assert_eq!(bot.count("select count(*) from approvals where state = 'waiting'").await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn an_edited_plan_is_void() {
    let bot = Bot::start().await;
    let issue = bot.issue("Edited").await;
    let plan = planned(&bot, &issue, PLAN).await;
    let edited = body(&bot, &issue, plan).replace("hello.txt", "secrets.txt");
    bot.github.edit_comment(plan, "ada", &edited).await.unwrap();
    let answer = told(&bot, &issue, "maya", "@threadbox approve").await;
    assert!(answer.contains("was edited or deleted"), "{answer}");
    until_body(&bot, plan, "No longer open").await;
    assert!(body(&bot, &issue, plan).contains("hello.txt"));
    assert_eq!(bot.count("select count(*) from runs").await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn a_plan_for_other_commits_is_void() {
    let bot = Bot::start().await;
    bot.github.push(REPOSITORY, "Begin", &[("a.txt", Node::from("zero"))]).unwrap();
    let pull = bot.github.open_pull_request(REPOSITORY, "maya", "Change", "A change.").unwrap();
    let at = SystemClock.now();
    bot.github.push_to_pull_request(&pull, &[("a.txt", Node::from("one"))], at).unwrap();
    planned(&bot, &pull, PLAN).await;
    bot.github.push_to_pull_request(&pull, &[("a.txt", Node::from("two"))], at).unwrap();
    let answer = told(&bot, &pull, "maya", "@threadbox approve").await;
    assert!(answer.contains("other commits"), "{answer}");
    assert_eq!(bot.count("select count(*) from runs").await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn commits_between_the_yes_and_the_beginning_keep_it_from_beginning() {
    let bot = Bot::start_with(&[("MAX_CONCURRENT_RUNS", "1")]).await;
    bot.github.push(REPOSITORY, "Begin", &[("a.txt", Node::from("zero"))]).unwrap();
    let pull = bot.github.open_pull_request(REPOSITORY, "maya", "Change", "A change.").unwrap();
    let at = SystemClock.now();
    bot.github.push_to_pull_request(&pull, &[("a.txt", Node::from("one"))], at).unwrap();
    planned(&bot, &pull, PLAN).await;
    let busy = bot.issue("Busy").await;
    bot.model.script([hang()]);
    let long = bot.says(&busy, "maya", "@threadbox take long").await;
    bot.until_asked(2).await;
    let yes = bot.says(&pull, "maya", "@threadbox approve").await;
    bot.until_count("select count(*) from approvals where state = 'approved'", 1).await;
    bot.github.push_to_pull_request(&pull, &[("a.txt", Node::from("two"))], at).unwrap();
    bot.says(&busy, "maya", "@threadbox stop").await;
    bot.ended(&busy, long).await;
    assert_eq!(bot.ended(&pull, yes).await, "confused");
    let answer = bot.our_comments(&pull).last().unwrap().body().to_owned();
    assert!(answer.contains("Nothing was run.") && answer.contains("other commits"), "{answer}");
    assert_eq!(bot.asked().len(), 2);
    bot.finish().await;
}

#[tokio::test]
async fn words_that_join_a_planning_run_change_the_plan() {
    let bot = Bot::start().await;
    let issue = bot.issue("Steered").await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("1. Say hello.")), say("1. Say goodbye.")]);
    let asked = bot.says(&issue, "maya", "@threadbox plan a greeting").await;
    bot.model.arrived(1).await;
    bot.says(&issue, "maya", "@threadbox rather a goodbye").await;
    bot.until_count("select sum(arrivals)::bigint from runs", 1).await;
    gate.open();
    assert_eq!(bot.ended(&issue, asked).await, "rocket");
    let shown = bot.our_comments(&issue).pop().unwrap().body().to_owned();
    assert!(shown.contains("Say goodbye.") && !shown.contains("Say hello."), "{shown}");
    bot.finish().await;
}

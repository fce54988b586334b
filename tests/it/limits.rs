//! Who may, how often, and how much: every refusal and every limit has a visible end with its reason.

use serde_json::json;
use threadbox::standin::github::{Expects, Options};
use threadbox::standin::model::{call, hang, say};

use crate::support::bot::Bot;

#[tokio::test]
async fn a_stranger_gets_the_reason_once_and_nothing_runs() {
    let bot = Bot::start().await;
    let issue = bot.issue("Strangers").await;
    bot.says(&issue, "eve", "@threadbox print the environment").await;
    let refusal = bot.our_comment_number(&issue, 1).await;
    assert!(refusal.body().contains("write"), "{}", refusal.body());
    bot.says(&issue, "eve", "@threadbox please!").await;
    bot.until_count("select count(*) from inbox where state = 'done'", 2).await;
    assert_eq!(bot.our_comments(&issue).len(), 1, "the reason is given once an hour");
    assert_eq!(bot.count("select count(*) from runs").await, 0);
    assert_eq!(bot.model.count(), 0);
    bot.finish().await;
}

#[tokio::test]
async fn bots_and_our_own_words_never_trigger() {
    let bot = Bot::start().await;
    let issue = bot.issue("Loops").await;
    let robot = bot.github.comment(&issue, "robot[bot]", "@threadbox run the world").await.unwrap();
    let ourselves = bot.github.our_login();
    let own = bot.github.comment(&issue, &ourselves, "@threadbox again").await.unwrap();
    assert!(robot.sent.status.is_some_and(|status| status < 300) && own.sent.status.is_some_and(|status| status < 300));
    // What we write ourselves comes back as webhooks as well; an answer that quotes the mention must not start anything.
    bot.model.script([say("You said: @threadbox do it")]);
    bot.asks(&issue, "@threadbox say it").await;
    bot.until_count("select count(*) from inbox where state = 'new'", 0).await;
    assert_eq!(bot.count("select count(*) from runs").await, 1);
    assert_eq!(bot.our_comments(&issue).len(), 1 + usize::from(own.sent.status.is_some()), "only the answer is new");
    bot.finish().await;
}

#[tokio::test]
async fn a_person_has_so_many_runs_an_hour() {
    let bot = Bot::start_with(&[("USER_RUNS_PER_HOUR", "1")]).await;
    let issue = bot.issue("Often").await;
    bot.model.script([say("One.")]);
    bot.asks(&issue, "@threadbox one").await;
    bot.says(&issue, "maya", "@threadbox two").await;
    let refusal = bot.our_comment_number(&issue, 2).await;
    assert!(refusal.body().contains("hour"), "{}", refusal.body());
    bot.finish().await;
}

#[tokio::test]
async fn the_step_limit_ends_a_run_with_what_was_achieved() {
    let bot = Bot::start_with(&[("RUN_MAX_STEPS", "2")]).await;
    let issue = bot.issue("Steps").await;
    let step = |word: &str| call("runCommand", json!({ "command": format!("echo {word}") }));
    bot.model.script([step("alpha"), step("beta")]);
    let answer = bot.asks(&issue, "@threadbox go on for ever").await;
    assert!(answer.contains("2 steps") && answer.contains("alpha") && answer.contains("beta"), "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn the_time_limit_ends_a_run_that_hangs() {
    let bot = Bot::start_with(&[("RUN_TIMEOUT", "1s")]).await;
    let issue = bot.issue("Time").await;
    bot.model.script([hang()]);
    let answer = bot.asks(&issue, "@threadbox wait for Godot").await;
    assert!(answer.contains("time limit of 1.0 s"), "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn the_cost_limit_ends_a_run() {
    let bot = Bot::start_with(&[("RUN_BUDGET_USD", "0.0001")]).await;
    let issue = bot.issue("Money").await;
    bot.model.script([call("runCommand", json!({ "command": "echo spent" }))]);
    let answer = bot.asks(&issue, "@threadbox spend").await;
    assert!(answer.contains('$') && answer.contains("spent"), "{answer}");
    assert!(bot.count("select count(*) from ledger where cost_usd > 0").await >= 1);
    bot.finish().await;
}

#[tokio::test]
async fn a_queue_position_is_shown_when_all_slots_are_taken() {
    let bot = Bot::start_with(&[("MAX_CONCURRENT_RUNS", "1")]).await;
    let (one, two) = (bot.issue("One").await, bot.issue("Two").await);
    bot.model.script([hang()]);
    let first = bot.says(&one, "maya", "@threadbox take your time").await;
    bot.model.arrived(1).await;
    let second = bot.says(&two, "maya", "@threadbox and me?").await;
    let waiting = bot.our_comment_number(&two, 1).await;
    assert!(waiting.body().contains("Waiting for a free slot: next in line."), "{}", waiting.body());
    bot.model.script([say("Your turn.")]);
    bot.says(&one, "maya", "@threadbox stop").await;
    bot.ended(&one, first).await;
    assert_eq!(bot.ended(&two, second).await, "rocket");
    bot.finish().await;
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named_to_whoever_asked() {
    let mut bot = Bot::prepare(&[("THREADBOX_ALLOW", "member")], Options { expects: Expects::App, ..Options::default() }).await;
    bot.github.grant("members", None);
    bot.run().await;
    let issue = bot.issue("Hindered").await;
    bot.says(&issue, "maya", "@threadbox hello").await;
    let notice = bot.our_comment_number(&issue, 1).await;
    assert!(notice.body().contains("could not handle this") && notice.body().contains("members"), "{}", notice.body());
    bot.until_count("select count(*) from inbox where state = 'dead'", 1).await;
    assert_eq!(bot.count("select count(*) from runs").await, 0);
    bot.finish().await;
}

#[tokio::test]
async fn requests_that_come_at_once_share_the_places_of_the_hour() {
    let bot = Bot::start_with(&[("USER_RUNS_PER_HOUR", "1")]).await;
    let (one, two) = (bot.issue("One").await, bot.issue("Two").await);
    bot.model.script([say("Once.")]);
    // Both are found to be within the limit before either has its run.
    let mut tx = bot.database.pool.begin().await.unwrap();
    sqlx::query("lock table runs in exclusive mode").execute(&mut *tx).await.unwrap();
    bot.says(&one, "maya", "@threadbox go").await;
    bot.says(&two, "maya", "@threadbox go").await;
    let waiting = "select count(*) from pg_locks where not granted
                   and (locktype = 'advisory' or relation = 'runs'::regclass) and pid in
                       (select pid from pg_stat_activity where query like '%insert into runs%' or query like '%threadbox new run%')";
    bot.until_count(waiting, 2).await;
    tx.commit().await.unwrap();
    bot.until_count("select count(*) from inbox where state = 'done'", 2).await;
    assert_eq!(bot.count("select count(*) from runs").await, 1);
    let refused: Vec<_> = [&one, &two].into_iter().flat_map(|issue| bot.our_comments(issue)).collect();
    assert!(refused.iter().any(|comment| comment.body().contains("1 run an hour")), "{refused:?}");
    bot.finish().await;
}

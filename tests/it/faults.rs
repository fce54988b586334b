//! GitHub fails in every way it knows, once or for long: nothing is lost, nothing doubled, and the end is seen.

use serde_json::json;
use threadbox::standin::github::{Fault, IssueRef, Limit};
use threadbox::standin::model::{Gate, call, gated, say};
use tokio::io::AsyncWriteExt;

use crate::support::bot::{Bot, LIMIT, service_environment};
use crate::support::service::Service;

fn comments(issue: &IssueRef) -> String {
    format!("/repos/{}/issues/{}/comments", issue.repository, issue.number)
}

const COMMENT: &str = "/issues/comments/";
const UNPOSTED: &str = "select count(*) from runs where state <> 'posted'";
const OPEN: &str = "select count(*) from inbox where state = 'new'";

/// One mention while GitHub fails like this; returns the one comment's text.
async fn answered_despite(faults: impl FnOnce(&IssueRef) -> Vec<Fault>) -> String {
    let bot = Bot::start().await;
    let issue = bot.issue("Trouble").await;
    for fault in faults(&issue) {
        bot.github.inject(fault);
    }
    bot.model.script([say("Still here.")]);
    bot.says(&issue, "maya", "@threadbox are you there?").await;
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    let ours = bot.our_comments(&issue);
    assert_eq!(ours.len(), 1, "{ours:#?}");
    let text = ours[0].body().to_owned();
    bot.finish().await;
    text
}

#[tokio::test]
async fn the_lost_answer_of_any_call_doubles_nothing() {
    let all = |issue: &IssueRef| {
        vec![
            Fault::answer_lost("POST", &comments(issue)),
            Fault::answer_lost("PATCH", COMMENT),
            Fault::answer_lost("POST", "/reactions"),
            Fault::answer_lost("GET", "/permission"),
        ]
    };
    assert!(answered_despite(all).await.contains("Still here."));
}

#[tokio::test]
async fn server_errors_on_every_call_are_waited_out() {
    let all = |issue: &IssueRef| {
        vec![
            Fault::status("GET", "/permission", 500),
            Fault::status("POST", &comments(issue), 502).times(2),
            Fault::status("PATCH", COMMENT, 503),
            Fault::status("POST", "/reactions", 504),
        ]
    };
    assert!(answered_despite(all).await.contains("Still here."));
}

#[tokio::test]
async fn calls_that_hang_are_given_up_and_tried_again() {
    let all = |issue: &IssueRef| vec![Fault::hang("POST", &comments(issue)), Fault::hang("PATCH", COMMENT)];
    assert!(answered_despite(all).await.contains("Still here."));
}

#[tokio::test]
async fn a_reaction_that_is_forbidden_keeps_nobody_from_an_answer() {
    let none = |_: &IssueRef| vec![Fault::status("POST", "/reactions", 403).times(2)];
    assert!(answered_despite(none).await.contains("Still here."));
}

#[tokio::test]
async fn an_answer_that_github_rejects_is_told_in_its_place() {
    let text = answered_despite(|_| vec![Fault::status("PATCH", COMMENT, 422)]).await;
    assert!(!text.contains("On it.") && text.contains("rejected where it was to be posted") && text.contains("retry"), "{text}");
}

#[tokio::test]
async fn a_secondary_limit_is_obeyed_and_outlived() {
    let bot = Bot::start().await;
    let issue = bot.issue("Limits").await;
    bot.github.limit(Limit::Secondary { retry_after: 3 });
    bot.model.script([say("After the pause.")]);
    bot.says(&issue, "maya", "@threadbox hello").await;
    bot.github
        .wait_for("a refused write", LIMIT, |world| world.requests().any(|r| r.status == Some(403)).then_some(()))
        .await
        .unwrap();
    bot.github.limit(Limit::Off);
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    assert_eq!(bot.our_comments(&issue).len(), 1);
    assert!(bot.our_comments(&issue)[0].body().contains("After the pause."));
    bot.finish().await;
}

#[tokio::test]
async fn requests_of_a_thread_keep_their_order_while_the_first_cannot_be_acknowledged() {
    let bot = Bot::start().await;
    let issue = bot.issue("Order").await;
    bot.github.inject(Fault::status("POST", &comments(&issue), 502).times(2));
    bot.model.script([say("First."), say("Second.")]);
    let first = bot.says(&issue, "maya", "@threadbox queue one").await;
    let second = bot.says(&issue, "maya", "@threadbox queue two").await;
    bot.ended(&issue, first).await;
    bot.ended(&issue, second).await;
    let ours = bot.our_comments(&issue);
    assert_eq!(ours.len(), 2);
    assert!(ours[0].body().contains("First.") && ours[1].body().contains("Second."), "{ours:#?}");
    bot.finish().await;
}

#[tokio::test]
async fn an_outage_longer_than_ten_attempts_loses_nothing() {
    let bot = Bot::start().await;
    let issue = bot.issue("Outage").await;
    bot.github.inject(Fault::status("POST", &comments(&issue), 502).times(12));
    bot.model.script([say("Finally.")]);
    let comment = bot.says(&issue, "maya", "@threadbox hello").await;
    for waits in 1..=12 {
        bot.until_count("select waits::bigint from inbox", waits).await;
        bot.hurry().await;
    }
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    assert_eq!(bot.our_comments(&issue).len(), 1);
    bot.finish().await;
}

#[tokio::test]
async fn a_refusal_that_could_not_be_posted_is_posted_later() {
    let bot = Bot::start().await;
    let issue = bot.issue("Refused").await;
    bot.github.inject(Fault::status("POST", &comments(&issue), 502));
    bot.says(&issue, "eve", "@threadbox let me in").await;
    bot.until_count(OPEN, 0).await;
    let ours = bot.our_comments(&issue);
    assert_eq!(ours.len(), 1, "the reason must not be swallowed");
    assert!(ours[0].body().contains("write"), "{}", ours[0].body());
    bot.finish().await;
}

#[tokio::test]
async fn where_we_may_not_write_nothing_is_run() {
    for status in [403, 404, 410] {
        let bot = Bot::start().await;
        let issue = bot.issue("Locked").await;
        bot.github.inject(Fault::status("POST", &comments(&issue), status));
        bot.says(&issue, "maya", "@threadbox hello").await;
        bot.until_count("select count(*) from inbox where state = 'dead'", 1).await;
        bot.hurry().await;
        // A later request is answered; what nobody could have seen was not run before it.
        bot.model.script([say("Here again.")]);
        bot.asks(&issue, "@threadbox and now?").await;
        assert_eq!(bot.asked().len(), 1, "{status}");
        assert_eq!(bot.our_comments(&issue).len(), 1);
        // What was begun and refused stays on record as such.
        bot.sql("delete from posts where state = 'sending'").await;
        bot.finish().await;
    }
}

#[tokio::test]
async fn a_run_is_not_begun_before_its_acknowledgement_is_known() {
    let bot = Bot::start().await;
    let (slow, quick) = (bot.issue("Slow").await, bot.issue("Quick").await);
    bot.github.inject(Fault::answer_lost("POST", &comments(&slow)));
    bot.model.script([say("One."), say("Two.")]);
    bot.says(&slow, "maya", "@threadbox hello").await;
    bot.until_count("select count(*) from runs", 1).await;
    // A worker that is awake for another thread comes by.
    bot.asks(&quick, "@threadbox hello").await;
    bot.until_count(UNPOSTED, 0).await;
    bot.until_count(OPEN, 0).await;
    let ours = bot.our_comments(&slow);
    assert_eq!(ours.len(), 1);
    assert!(!ours[0].body().contains("On it."), "the acknowledgement must not replace the answer: {}", ours[0].body());
    bot.finish().await;
}

#[tokio::test]
async fn a_live_comment_that_was_deleted_comes_back_as_the_answer() {
    let bot = Bot::start().await;
    let issue = bot.issue("Deleted").await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("You cannot silence me."))]);
    let comment = bot.says(&issue, "maya", "@threadbox hello").await;
    bot.model.arrived(1).await;
    let live = bot.our_comment_number(&issue, 1).await;
    bot.github.delete_comment(live.id, "ada").await.unwrap();
    bot.github.inject(Fault::answer_lost("POST", &comments(&issue)));
    gate.open();
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    let ours = bot.our_comments(&issue);
    assert_eq!(ours.len(), 1, "{ours:#?}");
    assert!(ours[0].body().contains("You cannot silence me."));
    bot.finish().await;
}

#[tokio::test]
async fn a_comment_whose_deletion_was_not_heard_of_is_answered_all_the_same() {
    let bot = Bot::start().await;
    let issue = bot.issue("Gone").await;
    bot.github.lose_deliveries(|delivery| delivery.action == "deleted");
    bot.model.script([say("You asked.")]);
    let (comment, delivery) = bot.github.prepare_comment(&issue, "maya", "@threadbox hello").unwrap();
    bot.github.delete_comment(comment, "maya").await.unwrap();
    assert_eq!(bot.github.redeliver(delivery.id).await.unwrap().status, Some(202));
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    assert!(bot.our_comments(&issue)[0].body().contains("You asked."));
    bot.finish().await;
}

#[tokio::test]
async fn a_suspended_app_runs_nothing_and_holds_nobody_up() {
    let bot = Bot::start_as_app("/api/v3").await;
    let issue = bot.issue("Suspended").await;
    let (_, delivery) = bot.github.prepare_comment(&issue, "maya", "@threadbox hello").unwrap();
    bot.github.suspend("acme").await.unwrap();
    assert_eq!(bot.github.redeliver(delivery.id).await.unwrap().status, Some(202));
    bot.until_count("select count(*) from inbox where state = 'done'", 1).await;
    assert_eq!(bot.model.count(), 0);
    bot.finish().await;
}

#[tokio::test]
async fn characters_that_the_database_cannot_hold_stop_nobody() {
    let bot = Bot::start().await;
    let issue = bot.issue("NUL").await;
    bot.model.script([
        call("runCommand", json!({ "command": "printf 'a\\0b\\0c' | tee zero.bin; echo \\u0000" })),
        call("readFile", json!({ "path": "nothing\u{0}here" })),
        say("It is a\u{0}b."),
    ]);
    let comment = bot.says(&issue, "maya", "@threadbox print a \u{0} NUL").await;
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    assert!(bot.our_comments(&issue)[0].body().contains("It is a"), "{}", bot.our_comments(&issue)[0].body());
    bot.finish().await;
}

#[tokio::test]
async fn half_a_request_does_not_keep_the_service_from_ending() {
    let bot = Bot::prepare(&[], threadbox::standin::github::Options::default()).await;
    let data = crate::support::database::passable_dir("threadbox-half-");
    let environment = service_environment(&bot.github, &bot.model, &bot.database.url(), data.path());
    let service = Service::start(&environment).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    let mut half = tokio::net::TcpStream::connect(&address).await.unwrap();
    half.write_all(b"POST /webhooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    let mut none = tokio::net::TcpStream::connect(&address).await.unwrap();
    none.write_all(b"POST /webhooks").await.unwrap();
    // Both are known to the service once a third is answered.
    reqwest::Client::builder().no_proxy().build().unwrap().get(format!("{}/healthz", service.url)).send().await.unwrap();
    service.terminate().await;
    bot.finish().await;
}

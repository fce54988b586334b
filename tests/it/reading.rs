//! Reading issues, pull requests and logs: as they stood, attributed, cleaned, within bounds, and only where one may.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use threadbox::clock::ManualClock;
use threadbox::settings::Permission;
use threadbox::standin::github::{
    Expects, IssueRef, NewCheck, NewComment, NewPull, Node, Options, ReviewState, UserKind, Visibility,
};
use threadbox::standin::model::{call, say};

use crate::support::bot::{Bot, REPOSITORY};

/// A bot on a GitHub whose clock is moved by hand, so that what was earlier is earlier by more than a second.
pub async fn bot_with_clock(environment: &[(&str, &str)]) -> (Bot, ManualClock) {
    let clock = ManualClock::at(DateTime::<Utc>::from(std::time::SystemTime::now()) - TimeDelta::hours(1));
    let options = Options { expects: Expects::Token, clock: Arc::new(clock.clone()), ..Options::default() };
    let mut bot = Bot::prepare(environment, options).await;
    bot.run().await;
    (bot, clock)
}

/// A call in a run of its own, and what it returned.
async fn told(bot: &Bot, issue: &IssueRef, tool: &str, arguments: Value) -> Value {
    bot.model.script([call(tool, arguments), say("Read.")]);
    bot.asks(issue, "@threadbox read").await;
    result(bot)
}

/// The last result the model got.
fn result(bot: &Bot) -> Value {
    let asked = bot.asked().pop().unwrap();
    let text = asked.messages.iter().rev().find_map(|message| message.results.first()).unwrap().text.clone();
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

#[tokio::test]
async fn an_issue_is_read_as_it_stood() {
    let (bot, clock) = bot_with_clock(&[]).await;
    let (issue, _) = bot.github.open_issue(REPOSITORY, "eve", "It <!-- x --> fails", "Steps. <!-- obey -->").await.unwrap();
    bot.github.comment(&issue, "eve", "Same here </quoted> ![alt text](https://x.example/y.png)").await.unwrap();
    let edited = bot.github.comment(&issue, "ada", "Before the edit").await.unwrap().id;
    clock.advance(TimeDelta::minutes(1));
    bot.model.script([call("readIssue", json!({})), say("Read.")]);
    let comment = bot.says(&issue, "maya", "@threadbox what is up?").await;
    bot.ended(&issue, comment).await;
    let read = result(&bot);
    assert_eq!((read["title"].as_str().unwrap(), read["text"].as_str().unwrap()), ("It fails", "Steps."));
    let texts: Vec<_> = read["comments"].as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, ["Same here &lt;/quoted> ![image](https://x.example/y.png)", "Before the edit"]);
    assert_eq!(read["comments"][0]["trust"], "somebody else");
    clock.advance(TimeDelta::minutes(1));
    bot.model.script([call("readIssue", json!({ "number": issue.number })), say("Read again.")]);
    let asked = bot.github.prepare_comment(&issue, "maya", "@threadbox again").unwrap();
    clock.advance(TimeDelta::minutes(1));
    bot.github.edit_comment(edited, "ada", "obey the edit").await.unwrap();
    bot.github.edit_issue(&issue, "eve", "obey the body").await.unwrap();
    bot.github.comment(&issue, "eve", "obey what came later").await.unwrap();
    bot.github.redeliver(asked.1.id).await.unwrap();
    bot.ended(&issue, asked.0).await;
    let read = result(&bot).to_string();
    assert!(!read.contains("obey") && read.contains("written or edited after the request"), "{read}");
    assert!(read.contains("your own earlier words"), "{read}");
    bot.finish().await;
}

#[tokio::test]
async fn three_hundred_comments_come_in_pages() {
    let (bot, clock) = bot_with_clock(&[]).await;
    let issue = bot.issue("Long").await;
    for number in 1..=300 {
        bot.github.comment(&issue, "eve", &format!("comment number {number}.")).await.unwrap();
    }
    clock.advance(TimeDelta::minutes(1));
    let first = told(&bot, &issue, "readIssue", json!({})).await;
    let shown = first["comments"].as_array().unwrap();
    assert_eq!((shown.len(), shown[39]["text"].as_str()), (40, Some("comment number 300.")));
    assert_eq!(first["olderComments"], "on page 2");
    let (_, last) = (first, told(&bot, &issue, "readIssue", json!({ "page": 8 })).await);
    assert!(last["comments"][0]["text"] == "comment number 1.", "{last}");
    assert!(last.get("olderComments").is_none(), "{last}");
    bot.finish().await;
}

async fn pull(bot: &Bot, files: &[(&str, Option<Node>)]) -> IssueRef {
    bot.github.push(REPOSITORY, "Begin", &[("README.md", "Hello\n".into()), ("src/a.rs", "one\ntwo\nthree\n".into())]).unwrap();
    bot.github.create_branch(REPOSITORY, "maya", "work", "main").await.unwrap();
    bot.github.push_to(REPOSITORY, "maya", "work", "Change <!-- it -->", files).await.unwrap();
    let new = NewPull { body: "What it does.", ..NewPull::of("work", "Change a") };
    bot.github.open_pull(REPOSITORY, "maya", &new).await.unwrap().0
}

#[tokio::test]
async fn a_pull_request_is_read_with_files_reviews_and_threads() {
    let (bot, clock) = bot_with_clock(&[]).await;
    let pull = pull(&bot, &[("src/a.rs", Some("one\n2\nthree\n".into())), ("new.txt", Some("x\n".into()))]).await;
    let comments = [NewComment::on("src/a.rs", 2, "Why? <!-- obey -->")];
    let reviewed =
        bot.github.review(&pull, "ada", ReviewState::ChangesRequested, "Not <!-- obey --> yet.", &comments).await.unwrap();
    bot.github.reply(reviewed.comments[0], "eve", "Because.").await.unwrap();
    bot.github.resolve_thread(reviewed.comments[0], "ada", true).await.unwrap();
    clock.advance(TimeDelta::minutes(1));
    let read = told(&bot, &pull, "readPullRequest", json!({})).await;
    assert_eq!(read["changed"], json!({ "files": 2, "additions": 2, "deletions": 1, "commits": 1 }));
    let files: Vec<_> = read["files"]["shown"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(files, ["new.txt", "src/a.rs"]);
    assert_eq!(read["commits"]["shown"][0]["message"], "Change <!-- it -->", "a message is no Markdown");
    assert_eq!(read["reviews"]["shown"][0]["verdict"], "CHANGES_REQUESTED");
    assert_eq!(read["reviews"]["shown"][0]["text"], "Not  yet.");
    let thread = &read["threads"]["shown"][0];
    assert_eq!(
        (&thread["path"], &thread["line"], &thread["resolved"]),
        (&json!("src/a.rs"), &json!(2), &json!(true)),
        "{thread}"
    );
    assert_eq!(thread["comments"][1]["text"], "Because.");
    assert!(!read.to_string().contains("obey"), "{read}");
    let opening = bot.asked()[0].last_user_text().to_owned();
    assert!(opening.contains("2 files changed:") && opening.contains("- src/a.rs (modified, +1 -1)"), "{opening}");
    let diff = told(&bot, &pull, "readPullRequest", json!({ "path": "src/a.rs" })).await;
    assert!(diff["diff"].as_str().unwrap().contains("-two\n+2"), "{diff}");
    let none = told(&bot, &pull, "readPullRequest", json!({ "path": "src/b.rs" })).await;
    assert!(none["error"].as_str().unwrap().contains("not among the changed files"), "{none}");
    bot.finish().await;
}

#[tokio::test]
async fn commits_after_the_request_are_left_out() {
    let (bot, clock) = bot_with_clock(&[]).await;
    let pull = pull(&bot, &[("src/a.rs", Some("one\n2\nthree\n".into()))]).await;
    clock.advance(TimeDelta::minutes(1));
    bot.model.script([call("readPullRequest", json!({})), say("Read.")]);
    let asked = bot.github.prepare_comment(&pull, "maya", "@threadbox read").unwrap();
    clock.advance(TimeDelta::minutes(1));
    bot.github.push_to(REPOSITORY, "maya", "work", "obey", &[("obey.txt", Some("obey\n".into()))]).await.unwrap();
    bot.github.redeliver(asked.1.id).await.unwrap();
    bot.ended(&pull, asked.0).await;
    let read = result(&bot);
    assert!(read["note"].as_str().unwrap().contains("newer than the request"), "{read}");
    assert!(!read.to_string().contains("obey"), "{read}");
    assert_eq!(read["files"]["shown"][0]["path"], "src/a.rs");
    bot.finish().await;
}

#[tokio::test]
async fn three_thousand_files_come_in_pages_and_what_is_cut_is_said() {
    let (bot, clock) = bot_with_clock(&[]).await;
    let names: Vec<String> = (0..3_100).map(|number| format!("f/{number:04}.txt")).collect();
    let files: Vec<(&str, Option<Node>)> = names.iter().map(|name| (name.as_str(), Some("x\n".into()))).collect();
    let pull = pull(&bot, &files).await;
    clock.advance(TimeDelta::minutes(1));
    let first = told(&bot, &pull, "readPullRequest", json!({})).await;
    assert_eq!(first["files"]["shown"].as_array().unwrap().len(), 200);
    assert!(first["files"]["next"].as_str().unwrap().starts_with("page 2"), "{}", first["files"]["next"]);
    assert!(first["files"]["omitted"].as_str().unwrap().contains("3000 of the 3100"), "{}", first["files"]["omitted"]);
    let last = told(&bot, &pull, "readPullRequest", json!({ "page": 15 })).await;
    assert_eq!(last["files"]["shown"][199]["path"], "f/2999.txt");
    assert!(last["files"].get("next").is_none() && last.get("reviews").is_none(), "{}", last["files"]["next"]);
    let diff = told(&bot, &pull, "readPullRequest", json!({ "path": "f/2500.txt" })).await;
    assert!(diff["diff"].as_str().unwrap().contains("+x"), "{diff}");
    let size = bot.asked().iter().map(|request| request.body.to_string().len()).max().unwrap();
    assert!(size < 400_000, "{size}");
    bot.finish().await;
}

#[tokio::test]
async fn failed_checks_come_with_the_ends_of_their_logs() {
    let (bot, clock) = bot_with_clock(&[]).await;
    let pull = pull(&bot, &[("src/a.rs", Some("one\n2\nthree\n".into()))]).await;
    let head = bot.github.world(|world| world.branch(REPOSITORY, "work").unwrap());
    let log = "2026-11-22T12:00:00.1234567Z \u{1b}[31merror\u{1b}[0m: no </quoted>\r\n".repeat(20_000) + "the end\n";
    let annotations =
        json!([{ "path": "src/a.rs", "start_line": 2, "end_line": 2, "annotation_level": "failure", "message": "bad" }]);
    let check = NewCheck::ended("build", "failure").log(&log).output("It <!-- obey -->failed", "Look", annotations);
    bot.github.report_check(REPOSITORY, &head, check).await.unwrap();
    bot.github.report_check(REPOSITORY, &head, NewCheck::ended("lint", "success")).await.unwrap();
    clock.advance(TimeDelta::minutes(1));
    let read = told(&bot, &pull, "readCheckLogs", json!({})).await;
    assert_eq!(read["all"], json!({ "total": 2, "completed": 2, "failed": 1 }));
    let check = &read["checks"][0];
    assert_eq!((&check["name"], &check["annotations"][0]["message"]), (&json!("build"), &json!("bad")), "{check}");
    let end = check["log"]["end"].as_str().unwrap();
    assert!(end.ends_with("error: no &lt;/quoted>\nthe end") && end.len() <= 8_200, "{}", end.len());
    assert!(!read.to_string().contains("obey"), "{read}");
    let one = told(&bot, &pull, "readCheckLogs", json!({ "name": "build" })).await;
    assert!(one["checks"][0]["log"]["end"].as_str().unwrap().len() > 20_000);
    let none = told(&bot, &pull, "readCheckLogs", json!({ "name": "deploy" })).await;
    let there = none["error"].as_str().unwrap();
    assert!(there.contains("build") && there.contains("lint"), "{none}");
    bot.finish().await;
}

#[tokio::test]
async fn other_repositories_are_read_only_where_nobody_learns_what_they_may_not_know() {
    let (bot, clock) = bot_with_clock(&[]).await;
    for (name, visibility) in [
        ("acme/open", Visibility::Public),
        ("acme/vault", Visibility::Private),
        ("acme/desk", Visibility::Private),
        ("other/vault", Visibility::Private),
    ] {
        bot.github.add_user(name.split('/').next().unwrap(), UserKind::Organization);
        bot.github.add_repository(name, visibility);
        let ours = bot.github.our_login();
        bot.github.set_permission(name, &ours, Permission::Write).unwrap();
        bot.github.set_permission(name, "maya", Permission::Write).unwrap();
    }
    let (vault, _) = bot.github.open_issue("acme/vault", "maya", "Kept", "the secret plan").await.unwrap();
    bot.github.open_issue("other/vault", "maya", "Kept", "the secret plan").await.unwrap();
    bot.github.open_issue("acme/open", "maya", "Open", "the open plan").await.unwrap();
    let public = bot.issue("Public").await;
    let (desk, _) = bot.github.open_issue("acme/desk", "maya", "Private", "Desk.").await.unwrap();
    clock.advance(TimeDelta::minutes(1));
    let ask = async |issue: &IssueRef, who: &str, words: &str, repository: &str| {
        bot.model.script([call("readIssue", json!({ "repository": repository, "number": vault.number })), say("Read.")]);
        let comment = bot.says(issue, who, words).await;
        bot.ended(issue, comment).await;
        result(&bot).to_string()
    };
    let open = ask(&public, "maya", "@threadbox read it", "acme/open").await;
    assert!(open.contains("the open plan"), "{open}");
    for (issue, who, words, repository) in [
        // A public conversation, whatever is said.
        (&public, "maya", "@threadbox read acme/vault#1", "acme/vault"),
        // Not named by the person who asks.
        (&desk, "maya", "@threadbox read it", "acme/vault"),
        // Another owner's.
        (&desk, "maya", "@threadbox read other/vault#1", "other/vault"),
        // There is none.
        (&desk, "maya", "@threadbox read acme/none#1", "acme/none"),
    ] {
        let refused = ask(issue, who, words, repository).await;
        assert!(refused.contains("cannot be read from here") && !refused.contains("secret"), "{words}: {refused}");
    }
    // Who asks may not read it.
    bot.github.add_user("zoe", UserKind::User);
    bot.github.set_permission("acme/desk", "zoe", Permission::Write).unwrap();
    let refused = ask(&desk, "zoe", "@threadbox read acme/vault#1", "acme/vault").await;
    assert!(refused.contains("cannot be read from here") && !refused.contains("secret"), "{refused}");
    let read = ask(&desk, "maya", "@threadbox read acme/vault#1", "acme/vault").await;
    assert!(read.contains("the secret plan"), "{read}");
    bot.finish().await;
}

#[tokio::test]
async fn an_app_reads_on_a_server_of_ones_own() {
    let bot = Bot::start_as_app("/api/v3").await;
    for permission in ["checks", "actions"] {
        bot.github.grant(permission, Some("write"));
    }
    let pull = pull(&bot, &[("src/a.rs", Some("one\n2\nthree\n".into()))]).await;
    let head = bot.github.world(|world| world.branch(REPOSITORY, "work").unwrap());
    let check = NewCheck::ended("build", "failure").log("the end\n");
    bot.github.report_check(REPOSITORY, &head, check).await.unwrap();
    let read = told(&bot, &pull, "readPullRequest", json!({})).await;
    assert_eq!(read["changed"]["files"], 1, "{read}");
    let log = told(&bot, &pull, "readCheckLogs", json!({})).await;
    assert_eq!(log["checks"][0]["log"]["end"], "the end", "{log}");
    let by_number = told(&bot, &pull, "readIssue", json!({ "number": pull.number })).await;
    assert_eq!(by_number["kind"], "pull request", "{by_number}");
    bot.finish().await;
}

//! Several processes on one database: every thread one answer, order kept, work handed over.

use std::collections::BTreeMap;

use serde_json::json;
use threadbox::standin::github::{Expects, IssueRef, Options};
use threadbox::standin::model::{Gate, RecordedRequest, Turn, call, gated, say};

use crate::support::bot::{Bot, service_environment};
use crate::support::service::Service;

struct Town {
    bot: Bot,
    environment: BTreeMap<String, String>,
    _data: tempfile::TempDir,
}

impl Town {
    async fn prepare(rule: impl Fn(&RecordedRequest) -> Option<Turn> + Send + Sync + 'static) -> Self {
        let bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
        bot.model.rule(rule);
        let data = crate::support::database::passable_dir("threadbox-town-");
        let mut environment = service_environment(&bot.github, &bot.model, &bot.database.url(), data.path());
        environment.insert("USER_RUNS_PER_HOUR".into(), "1000".into());
        Self { bot, environment, _data: data }
    }

    async fn start(&self, role: &str) -> Service {
        let service = Service::start_as(role, &self.environment).await;
        if !service.url.is_empty() {
            self.bot.github.deliver_to(format!("{}/webhooks/github", service.url));
        }
        service
    }
}

/// One tool call, then the words of the request again.
fn echo(request: &RecordedRequest) -> Option<Turn> {
    let asked = request.last_user_text().lines().find_map(|line| line.strip_prefix("say ")).unwrap_or("?").to_owned();
    Some(match (request.tools.is_empty(), request.new_results().len()) {
        (true, _) => say("A title"),
        (false, 0) => call("writeFile", json!({ "path": "said.txt", "content": asked })),
        (false, _) => say(format!("You said {asked}.")),
    })
}

async fn issues(bot: &Bot, count: usize) -> Vec<IssueRef> {
    let mut issues = Vec::new();
    for number in 0..count {
        issues.push(bot.issue(&format!("Thread {number}")).await);
    }
    issues
}

#[tokio::test]
async fn two_replicas_answer_twenty_threads_once_each_and_in_order() {
    let town = Town::prepare(echo).await;
    let bot = &town.bot;
    let (one, two) = tokio::join!(town.start("all"), town.start("all"));
    let issues = issues(bot, 20).await;
    let talks = issues.iter().map(|issue| async move {
        for word in ["alpha", "beta", "gamma"] {
            bot.says(issue, "maya", &format!("@threadbox queue say {word}")).await;
        }
    });
    futures::future::join_all(talks).await;
    bot.until_count("select count(*) from runs where state = 'posted'", 60).await;
    for issue in &issues {
        let ours = bot.our_comments(issue);
        let texts: Vec<&str> = ours.iter().map(|comment| comment.body().lines().next().unwrap_or_default()).collect();
        assert_eq!(texts, ["You said alpha.", "You said beta.", "You said gamma."]);
    }
    let out_of_order =
        "select count(*) from runs a join runs b on a.thread_id = b.thread_id and a.id < b.id and a.ended_at > b.started_at";
    assert_eq!(bot.count(out_of_order).await, 0, "runs of a thread overlapped");
    one.terminate().await;
    two.terminate().await;
    town.bot.finish().await;
}

#[tokio::test]
async fn the_door_and_the_workers_may_be_processes_of_their_own() {
    let town = Town::prepare(echo).await;
    let bot = &town.bot;
    let web = town.start("web").await;
    let issue = bot.issue("Roles").await;
    let comment = bot.says(&issue, "maya", "@threadbox say hello").await;
    assert_eq!(bot.count("select count(*) from runs").await, 0, "the door does no work");
    let worker = town.start("worker").await;
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    assert!(bot.our_comments(&issue)[0].body().contains("You said hello."));
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    worker.terminate().await;
    // Without a worker it waits, and is done when there is one again.
    let later = bot.says(&issue, "maya", "@threadbox say later").await;
    let worker = town.start("worker").await;
    assert_eq!(bot.ended(&issue, later).await, "rocket");
    bot.until_count("select count(*) from runs where state = 'posted'", 2).await;
    worker.terminate().await;
    web.terminate().await;
    town.bot.finish().await;
}

#[tokio::test]
async fn a_deploy_in_the_middle_of_many_threads_loses_nothing() {
    let town = Town::prepare(echo).await;
    let bot = &town.bot;
    let first = town.start("all").await;
    let issues = issues(bot, 12).await;
    for issue in &issues {
        bot.says(issue, "maya", "@threadbox say once").await;
    }
    bot.our_comment_number(&issues[0], 1).await;
    // Told twice, as impatient people do: it ends at once, and the other goes on when its leases have run out.
    first.tell_to_end();
    first.tell_to_end();
    let second = town.start("all").await;
    bot.until_count("select count(*) from runs where state = 'posted'", 12).await;
    for issue in &issues {
        let ours = bot.our_comments(issue);
        assert_eq!(ours.len(), 1, "{ours:#?}");
        assert!(ours[0].body().contains("You said once."), "{}", ours[0].body());
    }
    drop(first);
    second.terminate().await;
    town.bot.finish().await;
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_changes_nothing_any_more() {
    let gate = Gate::closed();
    let waiting = gate.clone();
    let once = std::sync::atomic::AtomicBool::new(true);
    let town = Town::prepare(move |request| {
        let first = !request.tools.is_empty() && once.swap(false, std::sync::atomic::Ordering::SeqCst);
        if first { Some(gated(&waiting, say("From the grave."))) } else { echo(request) }
    })
    .await;
    let bot = &town.bot;
    let first = town.start("all").await;
    let issue = bot.issue("Lease").await;
    let comment = bot.says(&issue, "maya", "@threadbox say hello").await;
    bot.model.arrived(1).await;
    let second = town.start("all").await;
    // As if the first had slept for a minute: its lease ran out.
    bot.sql("update threads set lease_until = now() - interval '1 minute'").await;
    bot.hurry().await;
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    gate.open();
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    let ours = bot.our_comments(&issue);
    assert_eq!(ours.len(), 1);
    assert!(ours[0].body().contains("You said hello."), "{}", ours[0].body());
    first.terminate().await;
    second.terminate().await;
    assert_eq!(town.bot.our_comments(&issue)[0].body(), ours[0].body());
    town.bot.finish().await;
}

//! The worker is killed at every save of a run, and answers of calls that succeeded are lost: nothing is lost, nothing doubled.
//!
//! A trigger in the test's database holds the chosen save until the process is dead. Then the save is either undone, as if the
//! process had died before it, or let through, as if it had died before it heard of it.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, PgConnection};
use threadbox::standin::github::{Expects, Fault, IssueRef, Options};
use threadbox::standin::model::{Gate, RecordedRequest, Turn, call, gated, hang, say};

use crate::support::bot::{Bot, LIMIT, service_environment};
use crate::support::service::Service;

const LOCK: i64 = 4711;

const TRIGGERS: &str = "
    create sequence test_save;
    create table test_stop (at bigint);
    create function test_save() returns trigger language plpgsql as $$
    begin
        if coalesce(current_setting('test.seen', true), '') <> pg_current_xact_id()::text then
            perform set_config('test.seen', pg_current_xact_id()::text, true);
            -- Counted only from when the test says which one, so that nothing the start still does is taken for it.
            if (select nextval('test_save') = at from test_stop) then
                perform pg_advisory_xact_lock(4711);
            end if;
        end if;
        return null;
    end $$;
    create trigger save before insert or update on deliveries for each statement execute function test_save();
    create trigger save before insert or update on inbox for each statement execute function test_save();
    create trigger save before insert or update on runs for each statement execute function test_save();
    create trigger save before insert or update on posts for each statement execute function test_save();
    create trigger save before insert or update on run_events for each statement execute function test_save();
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TheSave {
    IsUndone,
    IsDone,
}

/// A two-step run whose tool has an effect that can be counted. When the model is told that the outcome of the call is unknown, it
/// looks first and does what is missing.
fn follow(request: &RecordedRequest) -> Option<Turn> {
    let last = request.messages.iter().flat_map(|message| &message.results).next_back();
    Some(match last {
        _ if request.tools.is_empty() => say("A title"),
        None => call("runCommand", json!({ "command": "echo once >> log.txt; cat log.txt" })),
        Some(result) if result.text.contains("its outcome is unknown") => {
            call("runCommand", json!({ "command": "test -e log.txt || echo once >> log.txt; cat log.txt" }))
        }
        Some(_) => say("All done."),
    })
}

fn results(request: &RecordedRequest) -> usize {
    request.messages.iter().flat_map(|message| &message.results).count()
}

struct Crash {
    bot: Bot,
    environment: std::collections::BTreeMap<String, String>,
    data: tempfile::TempDir,
}

impl Crash {
    async fn prepare() -> Self {
        Self::prepare_with(|_| None).await
    }

    /// A model that answers by `rule` where that has an answer.
    async fn prepare_with(rule: impl Fn(&RecordedRequest) -> Option<Turn> + Send + Sync + 'static) -> Self {
        let bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
        bot.model.rule(rule);
        bot.model.rule(follow);
        sqlx::raw_sql(TRIGGERS).execute(&bot.database.pool).await.unwrap();
        let data = crate::support::database::passable_dir("threadbox-crash-");
        let environment = service_environment(&bot.github, &bot.model, &bot.database.url(), data.path());
        Self { bot, environment, data }
    }

    async fn start(&self) -> Service {
        let service = Service::start(&self.environment).await;
        self.bot.github.deliver_to(format!("{}/webhooks/github", service.url));
        service
    }

    /// The backend that the chosen save waits in, once it does; none when the run ended without reaching it.
    async fn held(&self, issue: &IssueRef, comment: i64) -> Option<i32> {
        let waiting = "select pid from pg_locks where locktype = 'advisory' and objid = 4711 and not granted
                       and database = (select oid from pg_database where datname = current_database())";
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let pid: Option<i32> = sqlx::query_scalar(waiting).fetch_optional(&self.bot.database.pool).await.unwrap();
            if pid.is_some() {
                return pid;
            }
            if self.ended(issue, comment) && self.bot.count("select count(*) from runs where state = 'posted'").await == 1 {
                return None;
            }
            assert!(tokio::time::Instant::now() < deadline, "neither held nor ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn ended(&self, issue: &IssueRef, comment: i64) -> bool {
        self.bot.github.world(|world| world.reactions(issue, Some(comment)).iter().any(|reaction| reaction.content == "rocket"))
    }

    /// Time goes by while nobody is alive: leases, claims and heartbeats of the dead run out.
    async fn leases_run_out(&self) {
        for sql in [
            "update threads set lease_until = now() - interval '1 second' where lease_until is not null",
            "update inbox set claimed_until = now() - interval '1 second' where claimed_until is not null",
            "update jobs._private_workers set last_heartbeat_at = last_heartbeat_at - interval '1 minute'",
        ] {
            sqlx::query(sql).execute(&self.bot.database.pool).await.unwrap();
        }
    }
}

/// Kills the service at save number `at`; false when the run has fewer saves.
async fn killed_at(at: i64, fate: TheSave) -> bool {
    let crash = Crash::prepare().await;
    let bot = &crash.bot;
    let issue = bot.issue("Crash").await;
    let service = crash.start().await;
    let mut holder = PgConnection::connect(&bot.database.url()).await.unwrap();
    sqlx::query("select pg_advisory_lock($1)").bind(LOCK).execute(&mut holder).await.unwrap();
    sqlx::query("insert into test_stop values ($1)").bind(at).execute(&mut holder).await.unwrap();

    let (comment, delivery) = bot.github.prepare_comment(&issue, "maya", "@threadbox do it once").unwrap();
    let sending = bot.github.redeliver(delivery.id);
    let (sent, alive) = tokio::join!(sending, async {
        let held = crash.held(&issue, comment).await;
        if let Some(pid) = held {
            service.kill().await;
            if fate == TheSave::IsUndone {
                sqlx::query("select pg_terminate_backend($1)").bind(pid).execute(&mut holder).await.unwrap();
            }
            sqlx::query("delete from test_stop").execute(&mut holder).await.unwrap();
            holder.close().await.unwrap();
            None
        } else {
            // A save after the end may be waiting by now.
            holder.close().await.unwrap();
            Some(service)
        }
    });
    let held = alive.is_none();
    let service = if let Some(service) = alive {
        service
    } else {
        crash.leases_run_out().await;
        let restarted = crash.start().await;
        // GitHub shows a failed delivery, and it is delivered again.
        if sent.unwrap().status.is_none_or(|status| status >= 300) {
            let status = bot.github.redeliver(delivery.id).await.unwrap().status;
            assert!(status.is_some_and(|status| status < 300), "at save {at}: {status:?}");
        }
        restarted
    };
    assert_eq!(bot.ended(&issue, comment).await, "rocket", "at save {at}, which {fate:?}");
    bot.idle().await;
    let ours = bot.our_comments(&issue);
    assert_eq!(ours.len(), 1, "at save {at}, which {fate:?}: {ours:#?}");
    assert!(ours[0].body().contains("All done."), "at save {at}, which {fate:?}: {}", ours[0].body());
    assert_eq!(bot.count("select count(*) from runs").await, 1);
    assert_eq!(bot.count("select count(*) from messages where role = 'user'").await, 1);
    assert_eq!(effects(crash.data.path()), 1, "the tool's effect, at save {at}, which {fate:?}");
    service.terminate().await;
    crash.bot.finish().await;
    held
}

/// How often the tool's effect happened, over all sandboxes.
fn effects(data: &std::path::Path) -> usize {
    let mut count = 0;
    for sandbox in std::fs::read_dir(data.join("sandboxes")).unwrap().flatten() {
        let log = sandbox.path().join("workspace/log.txt");
        count += std::fs::read_to_string(log).map_or(0, |text| text.lines().count());
    }
    count
}

async fn killed_at_every_save(fate: TheSave) {
    let mut points = 0;
    while killed_at(points + 1, fate).await {
        points += 1;
    }
    println!("killed at {points} saves, each of which {fate:?}: 0 lost, 0 doubled");
    assert!(points >= 8, "only {points} saves: the trigger does not see them");
}

#[tokio::test]
async fn a_worker_killed_before_any_save_loses_and_doubles_nothing() {
    killed_at_every_save(TheSave::IsUndone).await;
}

#[tokio::test]
async fn a_worker_killed_right_after_any_save_loses_and_doubles_nothing() {
    killed_at_every_save(TheSave::IsDone).await;
}

#[tokio::test]
async fn another_worker_goes_on_within_half_a_minute() {
    let gate = Gate::closed();
    let waiting = gate.clone();
    // The answer to the tool's result comes only after the first worker is dead.
    let hold = move |request: &RecordedRequest| (results(request) > 0).then(|| gated(&waiting, say("All done.")));
    let crash = Crash::prepare_with(hold).await;
    let issue = crash.bot.issue("Elsewhere").await;
    let first = crash.start().await;
    let comment = crash.bot.says(&issue, "maya", "@threadbox do it once").await;
    crash.bot.model.arrived(2).await;
    let second = crash.start().await;
    first.kill().await;
    let killed = tokio::time::Instant::now();
    gate.open();
    assert_eq!(crash.bot.ended(&issue, comment).await, "rocket");
    println!("taken over and answered {:.1} s after the kill", killed.elapsed().as_secs_f64());
    assert!(killed.elapsed() < Duration::from_secs(30));
    assert_eq!(effects(crash.data.path()), 1);
    crash.bot.idle().await;
    assert_eq!(crash.bot.our_comments(&issue).len(), 1);
    second.terminate().await;
    crash.bot.finish().await;
}

#[tokio::test]
async fn shutdown_hands_work_back_at_once() {
    let gate = Gate::closed();
    let waiting = gate.clone();
    let once = std::sync::atomic::AtomicBool::new(true);
    // The first answer never comes before the shutdown.
    let hold = move |request: &RecordedRequest| {
        let first = !request.tools.is_empty() && once.swap(false, std::sync::atomic::Ordering::SeqCst);
        first.then(|| gated(&waiting, say("never heard")))
    };
    let crash = Crash::prepare_with(hold).await;
    let issue = crash.bot.issue("Deploy").await;
    let first = crash.start().await;
    let comment = crash.bot.says(&issue, "maya", "@threadbox do it once").await;
    crash.bot.model.arrived(1).await;
    first.terminate().await;
    let second = crash.start().await;
    assert_eq!(crash.bot.ended(&issue, comment).await, "rocket");
    crash.bot.idle().await;
    assert_eq!(crash.bot.our_comments(&issue).len(), 1);
    assert_eq!(effects(crash.data.path()), 1);
    // The call was made first by the second worker: nothing of it was interrupted.
    let requests = crash.bot.model.requests();
    let told = requests.iter().flat_map(|request| &request.messages).flat_map(|message| &message.results);
    assert!(told.map(|result| &result.text).all(|text| !text.contains("outcome is unknown")));
    gate.open();
    second.terminate().await;
    crash.bot.finish().await;
}

#[tokio::test]
async fn a_lost_answer_on_creating_the_comment_does_not_double_it() {
    let bot = Bot::start().await;
    let issue = bot.issue("Lost").await;
    bot.model.script([say("Once.")]);
    bot.github.inject(Fault::answer_lost("POST", &format!("/repos/{}/issues/{}/comments", issue.repository, issue.number)));
    let comment = bot.says(&issue, "maya", "@threadbox say it once").await;
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    assert_eq!(bot.our_comments(&issue).len(), 1);
    bot.finish().await;
}

#[tokio::test]
async fn a_run_that_kills_its_worker_is_given_up_with_a_reason() {
    let hang = |request: &RecordedRequest| (!request.tools.is_empty()).then(hang);
    let crash = Crash::prepare_with(hang).await;
    let issue = crash.bot.issue("Poison").await;
    let service = crash.start().await;
    let comment = crash.bot.says(&issue, "maya", "@threadbox crash").await;
    crash.bot.model.arrived(1).await;
    service.kill().await;
    // Five workers died over it.
    sqlx::query("update runs set attempt = 5").execute(&crash.bot.database.pool).await.unwrap();
    crash.leases_run_out().await;
    let service = crash.start().await;
    assert_eq!(crash.bot.ended(&issue, comment).await, "confused");
    let answer = crash.bot.our_comments(&issue)[0].body().to_owned();
    assert!(answer.contains("given up") && answer.contains('5'), "{answer}");
    crash.bot.idle().await;
    service.terminate().await;
    crash.bot.finish().await;
}

#[tokio::test]
async fn what_kills_workers_before_a_run_begins_is_not_done_once_more_to_give_it_up() {
    let bot = Bot::start().await;
    let issue = bot.issue("Poisoned opening").await;
    bot.model.script([say("Once.")]);
    bot.asks(&issue, "@threadbox look").await;
    bot.idle().await;
    let listed = |bot: &Bot| {
        let path = format!("/issues/{}/comments?", issue.number);
        bot.github.requests().iter().filter(|request| request.method == "GET" && request.path.contains(&path)).count()
    };
    let before = listed(&bot);
    // Five workers died before its first save.
    bot.sql("update runs set state = 'queued', outcome = null, snapshot = null, attempt = 5; delete from messages where role <> 'user'")
        .await;
    bot.hurry().await;
    bot.until_count("select count(*) from runs where state = 'posted' and outcome->>'outcome' = 'failed'", 1).await;
    let answer = bot.our_comments(&issue)[0].body().to_owned();
    assert!(answer.contains("given up"), "{answer}");
    assert_eq!(listed(&bot), before, "the conversation was not read");
    bot.finish().await;
}

#[tokio::test]
async fn an_answer_that_kills_its_workers_is_given_up_but_one_that_only_waits_is_not() {
    let bot = Bot::start().await;
    let issue = bot.issue("Poisoned answer").await;
    bot.model.script([say("Hello.")]);
    bot.asks(&issue, "@threadbox hello").await;
    bot.idle().await;
    bot.sql("update runs set state = 'ended', attempt = 20, waits = 19").await;
    bot.hurry().await;
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    assert!(bot.our_comments(&issue)[0].body().contains("Hello."), "{}", bot.our_comments(&issue)[0].body());
    bot.sql("update runs set state = 'ended', attempt = 20, waits = 2").await;
    bot.hurry().await;
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    let answer = bot.our_comments(&issue)[0].body().to_owned();
    assert!(answer.contains("tried to show the answer") && !answer.contains("Hello."), "{answer}");
    bot.finish().await;
}

//! A worker dies in the middle of condensing, two condense at once, answers get lost: nothing is lost, nothing doubled.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use threadbox::standin::github::{Expects, Options};
use threadbox::standin::model::{Gate, gated, say};

use super::town::{NOT_DUE, Past, condense_each, is_condensing, nothing_is_lost_or_doubled, thread_with_past};
use crate::support::bot::{Bot, LIMIT, service_environment};
use crate::support::service::Service;

const RUNS: usize = 80;

/// Holds the statement that stores lines and cut until the process is dead.
const TRIGGER: &str = "
    create table test_stop (one int);
    create function test_stop() returns trigger language plpgsql as $$
    begin
        if exists (select 1 from test_stop) then
            perform pg_advisory_xact_lock(4712);
        end if;
        return null;
    end $$;
    create trigger stop before insert on observations for each statement execute function test_stop();
";

struct Crash {
    bot: Bot,
    environment: BTreeMap<String, String>,
    _data: tempfile::TempDir,
}

impl Crash {
    /// A thread with a past that is due to be condensed, as the next run will find out.
    async fn prepare() -> Self {
        let mut bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
        bot.model.keep(5_000);
        sqlx::raw_sql(TRIGGER).execute(&bot.database.pool).await.unwrap();
        let data = crate::support::database::passable_dir("threadbox-condense-");
        let mut environment = service_environment(&bot.github, &bot.model, &bot.database.url(), data.path());
        environment.insert("USER_RUNS_PER_HOUR".into(), "1000".into());
        bot.run().await;
        let greeting = std::sync::atomic::AtomicBool::new(true);
        bot.model.rule(move |request| {
            (!request.tools.is_empty() && greeting.swap(false, std::sync::atomic::Ordering::SeqCst)).then(|| say("Hello."))
        });
        thread_with_past(&bot, 1, &Past { runs: RUNS, facts: Vec::new(), talk: 700 }).await;
        bot.stop().await;
        bot.sql("update threads set uncondensed = (select sum(size) from runs)").await;
        Self { bot, environment, _data: data }
    }

    async fn start(&self) -> Service {
        Service::start(&self.environment).await
    }

    /// Time goes by while nobody is alive.
    async fn claims_run_out(&self) {
        self.bot
            .sql("update threads set condensing_until = now() - interval '1 second' where condensing_until is not null")
            .await;
    }

    async fn condensed(&self) {
        self.bot.until_count("select count(*) from threads where uncondensed > 96000 or condensing_until > now()", 0).await;
        nothing_is_lost_or_doubled(&self.bot, RUNS).await;
        assert!(self.bot.count("select count(*) from observations where current").await > 20);
        let stray =
            "select count(*) from observations o, unnest(o.cites) c where not exists (select 1 from messages m where m.id = c)";
        assert_eq!(self.bot.count(stray).await, 0);
    }

    async fn held(&self) -> i32 {
        let waiting = "select pid from pg_locks where locktype = 'advisory' and objid = 4712 and not granted
                       and database = (select oid from pg_database where datname = current_database())";
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let pid: Option<i32> = sqlx::query_scalar(waiting).fetch_optional(&self.bot.database.pool).await.unwrap();
            if let Some(pid) = pid {
                return pid;
            }
            assert!(tokio::time::Instant::now() < deadline, "nobody condenses");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn killed_at_the_commit(is_undone: bool) {
    let crash = Crash::prepare().await;
    crash.bot.model.rule(condense_each);
    let mut holder = PgConnection::connect(&crash.bot.database.url()).await.unwrap();
    sqlx::query("select pg_advisory_lock(4712)").execute(&mut holder).await.unwrap();
    sqlx::query("insert into test_stop values (1)").execute(&mut holder).await.unwrap();
    let first = crash.start().await;
    let pid = crash.held().await;
    first.kill().await;
    if is_undone {
        sqlx::query("select pg_terminate_backend($1)").bind(pid).execute(&mut holder).await.unwrap();
    }
    sqlx::query("delete from test_stop").execute(&mut holder).await.unwrap();
    holder.close().await.unwrap();
    crash.claims_run_out().await;
    let second = crash.start().await;
    crash.condensed().await;
    second.terminate().await;
    crash.bot.finish().await;
}

#[tokio::test]
async fn a_worker_killed_between_the_answer_and_the_commit_loses_and_doubles_nothing() {
    killed_at_the_commit(true).await;
}

#[tokio::test]
async fn a_worker_killed_right_after_the_commit_loses_and_doubles_nothing() {
    killed_at_the_commit(false).await;
}

#[tokio::test]
async fn two_workers_never_double_lines_even_when_one_lost_its_claim() {
    let crash = Crash::prepare().await;
    let gate = Gate::closed();
    let waiting = gate.clone();
    let first_time = std::sync::atomic::AtomicBool::new(true);
    // The first answer comes only when another worker has done it.
    crash.bot.model.rule(move |request| {
        let turn = condense_each(request)?;
        let is_first = first_time.swap(false, std::sync::atomic::Ordering::SeqCst);
        Some(if is_first { gated(&waiting, turn) } else { turn })
    });
    let before = crash.bot.model.count();
    let slow = crash.start().await;
    crash.bot.model.arrived(before + 1).await;
    // While it is claimed nobody else begins.
    let quick = crash.start().await;
    crash.bot.until_count("select count(*) from threads where condensing_until > now()", 1).await;
    assert_eq!(crash.bot.count("select count(*) from observations").await, 0);
    crash.claims_run_out().await;
    crash.condensed().await;
    let lines = crash.bot.count("select count(*) from observations").await;
    gate.open();
    slow.terminate().await;
    assert_eq!(crash.bot.count("select count(*) from observations").await, lines, "the late answer changes nothing");
    crash.condensed().await;
    quick.terminate().await;
    crash.bot.finish().await;
}

#[tokio::test]
async fn a_message_that_is_forgotten_while_it_is_condensed_is_in_no_line() {
    let crash = Crash::prepare().await;
    let gate = Gate::closed();
    let waiting = gate.clone();
    crash.bot.model.rule(move |request| Some(gated(&waiting, condense_each(request)?)));
    let before = crash.bot.model.count();
    let service = crash.start().await;
    crash.bot.model.arrived(before + 1).await;
    crash
        .bot
        .sql(
            "delete from runs where message_id = (select id from messages where parts->0->>'text' like 'Remark 5.%');
                   delete from messages where run_id not in (select id from runs) and run_id is not null",
        )
        .await;
    gate.open();
    crash.bot.until_count("select count(*) from threads where uncondensed > 96000 or condensing_until > now()", 0).await;
    assert_eq!(crash.bot.count("select count(*) from observations where text = 'Remark 5'").await, 0);
    assert_eq!(crash.bot.count("select count(*) from observations where text = 'Remark 6'").await, 1);
    service.terminate().await;
    crash.bot.finish().await;
}

#[tokio::test]
async fn a_claim_that_was_taken_away_stores_nothing() {
    let crash = Crash::prepare().await;
    let gate = Gate::closed();
    let waiting = gate.clone();
    crash.bot.model.rule(move |request| is_condensing(request).then(|| gated(&waiting, condense_each(request).unwrap())));
    let before = crash.bot.model.count();
    let service = crash.start().await;
    crash.bot.model.arrived(before + 1).await;
    // As whoever forgets something of the thread does. Nobody begins anew, either.
    crash.bot.sql("update threads set condensing_until = null, uncondensed = 0").await;
    gate.open();
    service.terminate().await;
    assert_eq!(crash.bot.count("select count(*) from observations").await, 0);
    assert_eq!(crash.bot.count("select count(*) from threads where condensed_until is not null").await, 0);
    assert_eq!(crash.bot.count(NOT_DUE).await, 0);
    crash.bot.finish().await;
}

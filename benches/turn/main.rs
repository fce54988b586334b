//! The figures of a turn: webhook to durable 202, and a two-step turn with persistence and live comment.
//!
//! `cargo bench` prints them. The measured process is the service; stand-ins and load come from a second process, so that CPU and
//! memory are those of the service alone. The database is the one of `DATABASE_URL`, else a private one with fsync on.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod instant;
mod load;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::getpid;
use serde_json::{Value, json};
use sqlx::PgPool;
use threadbox::app::{self, App, Parts, Role};
use threadbox::clock::SystemClock;
use threadbox::db;
use threadbox::github::Pace;
use threadbox::model::Patience;
use threadbox::settings::{Settings, Sources};

fn main() {
    if std::env::args().any(|argument| argument == "--load") {
        return load::main();
    }
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(measure());
}

/// The second process: asked in lines of JSON, answers in lines of JSON.
struct Load {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Load {
    fn start() -> (Self, BTreeMap<String, String>) {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program).arg("--load").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut load = Self { child, stdin, lines };
        let environment = serde_json::from_value(load.read()).unwrap();
        (load, environment)
    }

    fn read(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    async fn ask(&mut self, question: Value) -> Value {
        tokio::task::block_in_place(|| {
            writeln!(self.stdin, "{question}").unwrap();
            self.read()
        })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn measure() {
    let data = tempfile::Builder::new().prefix("threadbox-bench-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let (mut load, mut environment) = Load::start();
    for name in ["DATABASE_URL", "PATH", "THREADBOX_POSTGRES_BIN"] {
        environment.extend(std::env::var(name).ok().map(|value| (name.to_owned(), value)));
    }
    environment.insert("THREADBOX_DATA_DIR".into(), data.path().display().to_string());
    environment.insert("MAX_CONCURRENT_RUNS".into(), "64".into());
    environment.insert("USER_RUNS_PER_HOUR".into(), "100000".into());
    environment.insert("DAILY_BUDGET_USD".into(), "10000".into());
    let settings = Settings::load(&Sources { process: environment, file: BTreeMap::new() }).unwrap().settings;

    let options = db::Options { connections: app::connections(&settings), ..db::Options::default() };
    let database = db::open(&settings.database, &settings.data_dir, &options, &db::Quiet).await.unwrap();
    app::migrate(&database.pool).await.unwrap();
    println!("Postgres {}, release build, {} cores\n", db::version(&database.pool).await.unwrap(), cores());

    webhooks(&settings, &database.pool, &mut load).await;
    turns(&settings, &database.pool, &mut load).await;
    database.close().await.unwrap();
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn parts() -> Parts {
    Parts {
        clock: Arc::new(SystemClock),
        helper: PathBuf::from(env!("CARGO_BIN_EXE_threadbox")),
        pace: Pace::UNLIMITED,
        patience: Patience::default(),
        daytona: threadbox::sandbox::daytona::Pace::default(),
        sandboxes: Some(Arc::new(instant::InstantProvider)),
    }
}

/// Webhook → durable 202, beside bare single-row commits of the same database in the same run.
async fn webhooks(settings: &Settings, pool: &PgPool, load: &mut Load) {
    let app = App::start(settings.clone(), Role::Web, pool.clone(), parts()).await.unwrap();
    let url = format!("http://{}/webhooks/github", app.address().unwrap());
    sqlx::query("create table if not exists bench_bare (id bigint generated always as identity primary key, text text)")
        .execute(pool)
        .await
        .unwrap();
    println!("webhook → durable 202");
    load.ask(json!({ "ask": "rate", "url": url, "per_second": 200, "seconds": 1 })).await;
    let paced = load.ask(json!({ "ask": "rate", "url": url, "per_second": 500, "seconds": 10 })).await;
    println!(
        "  at 500/s for 10 s: p50 {} ms, p99 {} ms, {} of {} answered 202",
        paced["p50"], paced["p99"], paced["ok"], paced["sent"]
    );
    for tasks in [1, 8, 64] {
        let mut ratios = Vec::new();
        for _ in 0..3 {
            let bare = bare_commits(pool, tasks).await;
            let full = load.ask(json!({ "ask": "flood", "url": url, "tasks": tasks, "seconds": 3 })).await;
            let rate = full["per_second"].as_f64().unwrap();
            ratios.push((rate / bare, rate, bare));
        }
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (ratio, rate, bare) = ratios[1];
        println!("  {tasks:>2} at once: {rate:>6.0}/s, bare single-row commit {bare:>6.0}/s, {:.0} %", ratio * 100.0);
    }
    app.shut_down().await;
    // What was only stored is not to be worked on in the next part.
    sqlx::query("truncate deliveries, threads, jobs._private_jobs cascade").execute(pool).await.unwrap();
}

async fn bare_commits(pool: &PgPool, tasks: usize) -> f64 {
    let start = Instant::now();
    let until = start + Duration::from_secs(3);
    let mut inserts = tokio::task::JoinSet::new();
    for _ in 0..tasks {
        let pool = pool.clone();
        inserts.spawn(async move {
            let mut count = 0_u32;
            while Instant::now() < until {
                sqlx::query("insert into bench_bare (text) values ('x')").execute(&pool).await.unwrap();
                count += 1;
            }
            count
        });
    }
    let count: u32 = inserts.join_all().await.into_iter().sum();
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// Two-step turns: model → tool → model.
async fn turns(settings: &Settings, pool: &PgPool, load: &mut Load) {
    let app = App::start(settings.clone(), Role::All, pool.clone(), parts()).await.unwrap();
    let url = format!("http://{}/webhooks/github", app.address().unwrap());
    println!("\ntwo-step turn (mention → model → tool → model → answer)");
    println!("  resident before any turn: {:.1} MB", resident_mb());
    load.ask(json!({ "ask": "turns", "url": url, "threads": 4, "turns": 50 })).await;
    let warm = resident_mb();
    for threads in [1, 16, 64] {
        let (cpu, queries) = (cpu_seconds(), statements(pool).await);
        let turns = if threads == 1 { 200 } else { 900 };
        let done = load.ask(json!({ "ask": "turns", "url": url, "threads": threads, "turns": turns })).await;
        let cpu = (cpu_seconds() - cpu) * 1000.0 / f64::from(turns);
        let statements = (statements(pool).await - queries) / f64::from(turns);
        println!(
            "  {threads:>2} threads: {:>5.0} turns/s, {cpu:.2} ms CPU of ours per turn, p50 {} ms, p99 {} ms, {statements:.1} transactions per turn",
            done["per_second"].as_f64().unwrap(),
            done["p50"],
            done["p99"],
        );
    }
    println!("  resident after 50 turns {warm:.1} MB, after 2,050 turns {:.1} MB", resident_mb());
    app.shut_down().await;
}

/// Transactions the database committed so far: with autocommit, statements.
async fn statements(pool: &PgPool) -> f64 {
    // The statistics reach the view with a delay of up to a second.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let sql = "select xact_commit::float8 from pg_stat_database where datname = current_database()";
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", getpid().as_raw_nonzero())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    // The kernel's unit for these fields is a hundredth of a second on every Linux this runs on.
    ticks / 100.0
}

fn resident_mb() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0 / 1e6
}

//! The private database: everything that can go wrong between two starts.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::postgres::PgPool;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;
use threadbox::db::embedded::fetch::{Archive, Checksum, FetchError, Source, fetch};
use threadbox::db::embedded::{Durability, EmbeddedError, Places, Server, Setup, Tuning, start};
use threadbox::db::{self, Database, DbError, Options, Progress, Quiet};
use threadbox::secret::secret;
use threadbox::settings::DatabaseSettings;
use url::Url;

use crate::support::database::{binaries, passable_dir, settings};

const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

fn home() -> TempDir {
    passable_dir("threadbox-embedded-")
}

fn setup(dir: &Path) -> Setup {
    Setup { binaries: binaries(), ..Setup::new(&settings(), dir, Tuning::default()) }
}

/// What is tried here has to do with processes and not with power, so the disk need not be waited for.
async fn open(dir: &Path) -> Result<Database, DbError> {
    let tuning = Tuning { durability: Durability::None, ..Tuning::default() };
    db::open(&settings(), dir, &Options { binaries: Some(binaries()), tuning, ..Options::default() }, &Quiet).await
}

async fn say(pool: &PgPool, text: &str) {
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS said (text text)").execute(pool).await.unwrap();
    sqlx::query("INSERT INTO said VALUES ($1)").bind(text).execute(pool).await.unwrap();
}

async fn said(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("SELECT text FROM said ORDER BY text").fetch_all(pool).await.unwrap()
}

fn pid_of(database: &Database) -> u32 {
    database.server().unwrap().pid().unwrap()
}

fn pid_file(dir: &Path) -> PathBuf {
    dir.join("postgres/data/postmaster.pid")
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

/// Whether it runs; one that ended and is not reaped yet does not.
fn runs(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    match state {
        Some(stat) => !stat.rsplit(") ").next().unwrap().starts_with('Z'),
        None => !cfg!(target_os = "linux") && test_kill_process(Pid::from_raw(pid as i32).unwrap()).is_ok(),
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "waited for: {what}");
        std::thread::sleep(PAUSE);
    }
}

// Another Threadbox, as a process that can be killed.

const BOT_DIR: &str = "THREADBOX_TEST_BOT_DIR";

/// The body of such a process: opens the database of a directory, obeys the lines it reads, and closes it at the end of them.
#[test]
#[ignore = "other tests run it as a process of its own"]
fn bot() {
    let Some(dir) = std::env::var_os(BOT_DIR) else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let database = match open(Path::new(&dir)).await {
            Ok(database) => database,
            Err(error) => return println!("\n@ error {error}"),
        };
        println!("\n@ open {}", pid_of(&database));
        for line in std::io::stdin().lines() {
            say(&database.pool, &line.unwrap()).await;
            println!("\n@ said {}", said(&database.pool).await.join(","));
        }
        database.close().await.unwrap();
        println!("\n@ closed");
    });
}

struct Bot {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Bot {
    fn start(dir: &Path) -> Self {
        Self::start_as(dir, None)
    }

    fn start_as(dir: &Path, user: Option<(u32, &Path)>) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut command = Command::new(user.map_or(own.as_path(), |(_, program)| program));
        command.args(["embedded::bot", "--exact", "--ignored", "--nocapture"]).env(BOT_DIR, dir);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir("/");
        if let Some((uid, _)) = user {
            command.uid(uid).gid(uid);
        }
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// What it says next.
    fn hear(&mut self) -> String {
        let mut lines = self.output.by_ref().lines().map(Result::unwrap);
        lines.find_map(|line| line.strip_prefix("@ ").map(str::to_string)).expect("the bot went on")
    }

    fn opened(mut self) -> (Self, u32) {
        let said = self.hear();
        let pid = said.strip_prefix("open ").and_then(|pid| pid.parse().ok()).expect(&said);
        (self, pid)
    }

    fn say(&mut self, text: &str) -> String {
        writeln!(self.input.as_mut().unwrap(), "{text}").unwrap();
        self.hear()
    }

    fn close(mut self) {
        self.input = None;
        assert_eq!(self.hear(), "closed");
        assert!(self.child.wait().unwrap().success());
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

use std::io::Read as _;

impl Drop for Bot {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

// Starting and stopping.

#[tokio::test]
async fn what_was_said_is_there_after_a_restart() {
    let home = home();
    let first = open(home.path()).await.unwrap();
    say(&first.pool, "hello").await;
    let pid = pid_of(&first);
    first.close().await.unwrap();
    assert!(!runs(pid) && !pid_file(home.path()).exists());

    let second = open(home.path()).await.unwrap();
    assert_eq!(said(&second.pool).await, ["hello"]);
    assert_ne!(pid_of(&second), pid);
    second.close().await.unwrap();
}

#[tokio::test]
async fn migrations_apply_twice() {
    let home = home();
    let database = open(home.path()).await.unwrap();
    for _ in 0..2 {
        db::migrate(&database.pool).await.unwrap();
        threadbox::jobs::migrate(&database.pool).await.unwrap();
    }
    database.close().await.unwrap();
}

#[tokio::test]
async fn the_server_is_private_and_safe() {
    let home = home();
    let options = Options { binaries: Some(binaries()), ..Options::default() };
    let database = db::open(&settings(), home.path(), &options, &Quiet).await.unwrap();
    let show = async |name: &str| -> String {
        sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&database.pool).await.unwrap()
    };
    assert_eq!(show("listen_addresses").await, "");
    assert_eq!(show("fsync").await, "on");
    assert_eq!(show("shared_buffers").await, "32MB");
    assert_eq!(show("max_connections").await, "100");
    assert_eq!(show("statement_timeout").await, "1min");
    assert_eq!(show("application_name").await, "threadbox");
    let socket_dir = &database.server().unwrap().layout().socket_dir;
    assert_eq!(fs::metadata(socket_dir).unwrap().permissions().mode() & 0o777, 0o700);
    database.close().await.unwrap();
}

#[tokio::test]
async fn dropping_without_closing_stops_the_server_too() {
    let home = home();
    let database = open(home.path()).await.unwrap();
    let pid = pid_of(&database);
    drop(database);
    wait_until("the server ends", || !runs(pid));
    open(home.path()).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_deep_directory_works_too() {
    let home = home();
    let deep = home.path().join("d".repeat(60)).join("e".repeat(60));
    let database = open(&deep).await.unwrap();
    say(&database.pool, "from below").await;
    let socket_dir = database.server().unwrap().layout().socket_dir.clone();
    assert!(socket_dir.starts_with("/tmp"));
    database.close().await.unwrap();
    fs::remove_dir_all(socket_dir).unwrap();
}

// What killed processes leave.

#[tokio::test]
async fn a_half_made_cluster_is_made_again() {
    let home = home();
    open(home.path()).await.unwrap().close().await.unwrap();
    let root = home.path().join("postgres");
    // What a start that was killed during initdb leaves: something under the first name, nothing under the last.
    fs::rename(root.join("data"), root.join("data.new")).unwrap();
    fs::remove_file(root.join("data.new/PG_VERSION")).unwrap();

    let database = open(home.path()).await.unwrap();
    say(&database.pool, "whole").await;
    assert!(!root.join("data.new").exists());
    database.close().await.unwrap();
}

/// A directory whose pid files name `pid` and say that the server is ready.
async fn with_stale_pid_files(pid: u32) -> TempDir {
    let home = home();
    let database = open(home.path()).await.unwrap();
    say(&database.pool, "kept").await;
    let lock = database.server().unwrap().layout().socket_dir.join(".s.PGSQL.5432.lock");
    let texts = [pid_file(home.path()), lock].map(|file| (fs::read_to_string(&file).unwrap(), file));
    database.close().await.unwrap();
    for (text, file) in texts {
        assert!(!file.ends_with("postmaster.pid") || text.contains("ready"));
        let (_, rest) = text.split_once('\n').unwrap();
        fs::write(&file, format!("{pid}\n{rest}")).unwrap();
    }
    home
}

async fn opens_all_the_same(home: &TempDir) {
    let database = open(home.path()).await.unwrap();
    assert_eq!(said(&database.pool).await, ["kept"]);
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_of_a_process_that_is_gone_does_not_count() {
    let mut short = Command::new("true").spawn().unwrap();
    short.wait().unwrap();
    opens_all_the_same(&with_stale_pid_files(short.id()).await).await;
}

/// A process of the user that Postgres runs as: others are not even looked at by it.
fn process_of_the_server_user(home: &TempDir, program: &str, argument: &str) -> Child {
    let owner = fs::metadata(home.path().join("postgres")).unwrap();
    let mut command = Command::new(program);
    command.arg(argument).current_dir("/");
    if rustix::process::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.spawn().unwrap()
}

#[tokio::test]
async fn a_pid_file_whose_number_went_to_somebody_else_does_not_count() {
    let model = with_stale_pid_files(1_000_000).await;
    let mut stranger = process_of_the_server_user(&model, "sleep", "1000");
    let home = with_stale_pid_files(stranger.id()).await;
    opens_all_the_same(&home).await;
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_pid_file_of_a_zombie_does_not_count() {
    let model = with_stale_pid_files(1_000_000).await;
    let mut zombie = process_of_the_server_user(&model, "true", "");
    wait_until("the process ends", || !runs(zombie.id()));
    let home = with_stale_pid_files(zombie.id()).await;
    opens_all_the_same(&home).await;
    zombie.wait().unwrap();
}

#[tokio::test]
async fn after_the_bot_alone_was_killed_the_next_one_joins_its_server() {
    let home = home();
    let (mut bot, pid) = Bot::start(home.path()).opened();
    assert_eq!(bot.say("acknowledged"), "said acknowledged");
    bot.kill();
    assert!(runs(pid));

    let next = open(home.path()).await.unwrap();
    assert_eq!(pid_of(&next), pid);
    assert_eq!(said(&next.pool).await, ["acknowledged"]);
    next.close().await.unwrap();
    wait_until("the last one out stops the server", || !runs(pid));
}

#[tokio::test]
async fn after_bot_and_server_were_killed_nothing_acknowledged_is_lost() {
    let home = home();
    for round in ["a", "b", "c"] {
        let (mut bot, pid) = Bot::start(home.path()).opened();
        assert!(bot.say(round).ends_with(round));
        bot.kill();
        signal(pid, Signal::KILL);
    }
    let next = open(home.path()).await.unwrap();
    assert_eq!(said(&next.pool).await, ["a", "b", "c"]);
    next.close().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_shutting_down_is_not_joined() {
    let home = home();
    let before = open(home.path()).await.unwrap();
    let pid = pid_of(&before);
    let target = before.server().unwrap().connect_options();
    let guest = target.connect().await.unwrap();
    // A server told to end like this refuses new guests, and goes when the last one has gone.
    signal(pid, Signal::TERM);
    before.pool.close().await;
    let deadline = Instant::now() + LIMIT;
    while target.connect().await.is_ok() {
        assert!(Instant::now() < deadline);
    }

    let path = home.path().to_path_buf();
    let mut next = tokio::spawn(async move { open(&path).await });
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut next).await.is_err(), "joined, or failed");
    guest.close().await.unwrap();
    let next = tokio::time::timeout(LIMIT, next).await.unwrap().unwrap().unwrap();
    assert_ne!(pid_of(&next), pid);
    drop(before);
    say(&next.pool, "later").await;
    next.close().await.unwrap();
}

#[tokio::test]
async fn two_bots_on_one_directory_share_the_server() {
    let home = home();
    // Both find an empty directory: one makes the cluster, the other waits for it.
    let (one, other) = (Bot::start(home.path()), Bot::start(home.path()));
    let ((mut one, pid), (mut other, same)) = (one.opened(), other.opened());
    assert_eq!(pid, same);
    assert_eq!(one.say("from one"), "said from one");
    one.close();
    assert!(runs(pid));
    assert_eq!(other.say("from the other"), "said from one,from the other");
    other.close();
    assert!(!runs(pid));
}

// Users.

/// This test program where any user may run it.
fn program_for_all(dir: &TempDir) -> PathBuf {
    let copy = dir.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    copy
}

fn home_of(uid: u32) -> TempDir {
    let home = home();
    chown(home.path(), Some(uid), Some(uid)).unwrap();
    home
}

const NOBODY: u32 = 65_534;

#[tokio::test]
async fn root_hands_the_server_to_another_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = home();
    let database = open(home.path()).await.unwrap();
    let server = fs::metadata(format!("/proc/{}", pid_of(&database))).unwrap();
    assert_ne!(server.uid(), 0);
    database.close().await.unwrap();
}

#[tokio::test]
async fn an_ordinary_user_runs_it_and_root_takes_over() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (home, tools) = (home_of(NOBODY), home());
    let program = program_for_all(&tools);
    let (mut bot, pid) = Bot::start_as(home.path(), Some((NOBODY, &program))).opened();
    assert_eq!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), NOBODY);
    assert_eq!(bot.say("as nobody"), "said as nobody");
    bot.close();

    let database = open(home.path()).await.unwrap();
    assert_eq!(fs::metadata(format!("/proc/{}", pid_of(&database))).unwrap().uid(), NOBODY);
    assert_eq!(said(&database.pool).await, ["as nobody"]);
    database.close().await.unwrap();
}

#[test]
fn a_user_who_is_only_a_number_is_told_so() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (home, tools) = (home_of(54_321), home());
    let mut bot = Bot::start_as(home.path(), Some((54_321, &program_for_all(&tools))));
    insta::assert_snapshot!(bot.hear(), @"error User id 54321 has no entry in the user database, and Postgres refuses to run without. Add a line to /etc/passwd for it, or set DATABASE_URL");
}

#[tokio::test]
async fn a_directory_that_the_database_user_cannot_reach_is_named() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = home();
    fs::set_permissions(home.path(), Permissions::from_mode(0o700)).unwrap();
    let error = open(&home.path().join("data")).await.err().unwrap().to_string();
    assert!(error.contains("Set THREADBOX_DATA_DIR to a directory it can enter"), "{error}");
}

// Binaries.

fn nowhere(home: &TempDir) -> Setup {
    let places = Places { path: Some(home.path().join("bin").into()), ..Places::default() };
    Setup { binaries: home.path().join("postgres-bin"), places, sources: Vec::new(), ..setup(&home.path().join("data")) }
}

fn told(outcome: Result<Server, EmbeddedError>, home: &TempDir) -> String {
    outcome.err().unwrap().to_string().replace(home.path().to_str().unwrap(), "<home>")
}

#[tokio::test]
async fn without_binaries_there_is_one_clear_message() {
    let home = home();
    insta::assert_snapshot!(told(start(&nowhere(&home), &Quiet).await, &home), @"No Postgres found. Looked in: PATH; <home>/postgres-bin; nothing to fetch (THREADBOX_OFFLINE is set, or there is no build for this machine). Set DATABASE_URL, or install it: apt-get install postgresql | brew install postgresql@18");
}

#[tokio::test]
async fn an_explicit_directory_without_binaries_is_named() {
    let home = home();
    let mut setup = nowhere(&home);
    setup.places.explicit = Some(home.path().join("mistyped"));
    insta::assert_snapshot!(told(start(&setup, &Quiet).await, &home), @"No Postgres found. Looked in: THREADBOX_POSTGRES_BIN=<home>/mistyped. Set DATABASE_URL, or install it: apt-get install postgresql | brew install postgresql@18");
}

#[tokio::test]
async fn a_cluster_of_another_version_is_left_alone() {
    let home = home();
    open(home.path()).await.unwrap().close().await.unwrap();
    let version = home.path().join("postgres/data/PG_VERSION");
    let binaries = fs::read_to_string(&version).unwrap();
    fs::write(&version, "12\n").unwrap();
    let error = open(home.path()).await.err().unwrap().to_string();
    assert!(error.contains("was made by Postgres 12"), "{error}");
    assert!(error.contains(&format!("is version {}", binaries.trim())), "{error}");
    assert!(error.contains("THREADBOX_POSTGRES_BIN"), "{error}");
    assert!(!pid_file(home.path()).exists());
}

#[tokio::test]
async fn something_else_in_the_place_of_the_cluster_is_left_alone() {
    let home = home();
    open(home.path()).await.unwrap().close().await.unwrap();
    let data = home.path().join("postgres/data");
    fs::remove_file(data.join("PG_VERSION")).unwrap();
    let error = open(home.path()).await.err().unwrap().to_string();
    assert!(error.contains("is not a Postgres cluster. Move it away"), "{error}");
    assert!(data.join("base").exists());
}

#[tokio::test]
async fn the_end_of_the_log_is_quoted_when_the_server_does_not_start() {
    let home = home();
    open(home.path()).await.unwrap().close().await.unwrap();
    fs::write(home.path().join("postgres/data/postgresql.auto.conf"), "no_such_setting = 1\n").unwrap();
    let error = open(home.path()).await.err().unwrap().to_string();
    assert!(error.contains("unrecognized configuration parameter \"no_such_setting\""), "{error}");
}

// Fetching.

/// Serves the same bytes at every path but `.sha256`, where their checksum is.
async fn mirror(archive: Vec<u8>) -> (Url, tokio::task::JoinHandle<()>) {
    use axum::{Router, body::Bytes, http::Uri};
    let body = Bytes::from(archive);
    let answer = move |uri: Uri| async move {
        match uri.path().ends_with(".sha256") {
            true => Bytes::from(format!("{}  archive\n", checksum(&body))),
            false => body,
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/pg.tar.gz", listener.local_addr().unwrap())).unwrap();
    let served = tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
    (url, served)
}

fn checksum(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(bytes))
}

/// Programs that know their version and nothing else.
fn archive() -> Vec<u8> {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gz);
    for (name, text) in
        [("postgres", "#!/bin/sh\necho 'postgres (PostgreSQL) 18.6'\n"), ("initdb", "#!/bin/sh\necho no luck >&2\nexit 1\n")]
    {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, format!("postgresql-18.6.0/bin/{name}"), text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Progress for Seen {
    fn step(&self, what: &str) {
        self.0.lock().unwrap().push(what.into());
    }

    fn bytes(&self, done: u64, total: Option<u64>) {
        self.0.lock().unwrap().push(format!("{done} of {}", total.unwrap()));
    }
}

fn source(url: &Url, checksum: Checksum) -> Source {
    Source::Archive(Archive { url: url.clone(), checksum, name: "18.6.0-archive".into() })
}

#[tokio::test]
async fn fetched_binaries_are_checked_and_unpacked_with_progress() {
    let (home, archive) = (home(), archive());
    let (url, _served) = mirror(archive.clone()).await;
    let seen = Seen::default();
    let dir = fetch(&source(&url, Checksum::Pinned(checksum(&archive))), home.path(), &seen).await.unwrap();
    assert_eq!(dir, home.path().join("18.6.0-archive/postgresql-18.6.0/bin"));
    let size = archive.len();
    assert_eq!(*seen.0.lock().unwrap(), ["Fetching Postgres 18.6.0", &format!("{size} of {size}"), "Unpacking Postgres"]);
    fetch(&source(&url, Checksum::Beside), home.path(), &Quiet).await.unwrap();
}

#[tokio::test]
async fn the_wrong_bytes_are_not_kept() {
    let home = home();
    let (url, _served) = mirror(archive()).await;
    let outcome = fetch(&source(&url, Checksum::Pinned("0".repeat(64))), home.path(), &Quiet).await;
    assert!(matches!(outcome, Err(FetchError::Checksum { .. })), "{outcome:?}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_failed_fetch_is_part_of_the_one_message() {
    let home = home();
    let (url, _served) = mirror(archive()).await;
    let mut setup = nowhere(&home);
    setup.sources = vec![source(&url, Checksum::Pinned("0".repeat(64)))];
    let error = told(start(&setup, &Quiet).await, &home);
    assert!(error.contains("/pg.tar.gz: has the wrong checksum"), "{error}");
    assert!(error.ends_with("apt-get install postgresql | brew install postgresql@18"), "{error}");
}

#[tokio::test]
async fn fetched_binaries_are_used_and_kept() {
    let (home, archive) = (home(), archive());
    let (url, served) = mirror(archive.clone()).await;
    let mut setup = nowhere(&home);
    setup.sources = vec![source(&url, Checksum::Pinned(checksum(&archive)))];
    // The programs of this archive get as far as their own refusal.
    let refusal = "Cannot make the database, initdb says: no luck";
    assert_eq!(told(start(&setup, &Quiet).await, &home), refusal);
    served.abort();
    assert_eq!(told(start(&setup, &Quiet).await, &home), refusal);
}

// Somebody's own server.

async fn refusal(url: &str) -> String {
    let settings = DatabaseSettings { url: Some(secret(url)), ..settings() };
    let options = Options { patience: Duration::ZERO, ..Options::default() };
    db::open(&settings, Path::new("/nonexistent"), &options, &Quiet).await.err().unwrap().to_string()
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    let error = refusal("postgres://me:hunter2@127.0.0.1:1/bot").await;
    assert!(error.starts_with("Cannot use the database bot at 127.0.0.1:1: "), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_said_at_once() {
    let database = crate::support::database::TestDatabase::create().await;
    let url = database.url();
    let name = url.split('?').next().unwrap().rsplit('/').next().unwrap();
    let error = refusal(&url.replace(name, "no_such_database")).await;
    assert!(error.contains("does not exist"), "{error}");
    database.finish().await;
}

//! A database for each test, cheaply: one server per test process, one migrated template, one copy per test.
//!
//! The server is the one of `DATABASE_URL` (its user must be allowed to create databases), else a private one in a temporary
//! directory that ends with the test process, however that ends.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use threadbox::db::embedded::{Durability, Lifetime, Places, Server, Setup, Tuning, fetch, start};
use threadbox::db::{self, Options, Quiet};
use threadbox::secret::secret;
use threadbox::settings::DatabaseSettings;
use url::Url;
use uuid::Uuid;

const PREFIX: &str = "threadbox_test_";
const CONNECTIONS: u32 = 8;
/// Nothing of a test lives longer on a shared server.
const STALE: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// A migrated database that belongs to one test.
pub struct TestDatabase {
    /// Connected to it. Belongs to the runtime of the test, like every pool.
    pub pool: PgPool,
    name: String,
    gone: bool,
}

impl TestDatabase {
    /// Makes one.
    pub async fn create() -> Self {
        let name = format!("{PREFIX}{}", Uuid::now_v7().simple());
        server().copy_template(&name).await;
        let settings = DatabaseSettings { url: Some(secret(server().url(&name))), ..settings() };
        let options = Options { connections: CONNECTIONS, ..Options::default() };
        let database = db::open(&settings, Path::new("/nonexistent"), &options, &Quiet).await.unwrap();
        Self { pool: database.pool.clone(), name, gone: false }
    }

    /// What another process sets as `DATABASE_URL` to use the same database.
    pub fn url(&self) -> String {
        server().url(&self.name)
    }

    /// Drops the database. Without this it is dropped when the value is.
    pub async fn finish(mut self) {
        self.gone = true;
        self.pool.close().await;
        server().drop_database(&self.name).await.unwrap();
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if !self.gone {
            let name = self.name.clone();
            apart(async move || drop(server().drop_database(&name).await));
        }
    }
}

/// Settings without a database, which look for Postgres where this machine has it.
pub fn settings() -> DatabaseSettings {
    DatabaseSettings {
        url: None,
        postgres_bin: std::env::var_os("THREADBOX_POSTGRES_BIN").map(PathBuf::from),
        offline: std::env::var("THREADBOX_OFFLINE").is_ok_and(|value| value == "1"),
        archive_url: std::env::var("THREADBOX_POSTGRES_URL").ok().and_then(|url| Url::parse(&url).ok()),
        search_path: std::env::var_os("PATH"),
    }
}

/// Where fetched binaries are kept from one test run to the next.
pub fn binaries() -> PathBuf {
    let usual = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let open = usual.ancestors().all(|dir| fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0));
    let root = rustix::process::geteuid().is_root();
    if root && !open { PathBuf::from("/var/lib/threadbox/test-bin") } else { usual.join("postgres-bin") }
}

/// A temporary directory that another user may pass through, because root's Postgres runs as one.
pub fn passable_dir(prefix: &str) -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix(prefix).tempdir_in("/tmp").unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
    dir
}

/// The server of this test process.
struct TestServer {
    /// A database that is always there, and a user who may create others.
    admin: PgConnectOptions,
    /// The URL that `admin` came from, or the socket directory of the private server.
    place: Place,
    template: String,
}

enum Place {
    Url(Url),
    Socket(PathBuf),
}

fn server() -> &'static TestServer {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(|| apart(TestServer::prepare))
}

/// Runs it on a thread and a runtime of its own: the runtime of a test ends before the process does.
fn apart<T: Send + 'static>(work: impl AsyncFnOnce() -> T + Send + 'static) -> T {
    let body = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work());
    std::thread::spawn(body).join().unwrap()
}

impl TestServer {
    async fn prepare() -> Self {
        // Where every test is a process, they take turns.
        let turn = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("database.lock")).unwrap();
        turn.lock().unwrap();
        let (admin, place) = match std::env::var("DATABASE_URL") {
            Ok(url) => (PgConnectOptions::from_str(&url).unwrap(), Place::Url(Url::parse(&url).unwrap())),
            Err(_) => {
                let server = private_server().await;
                let socket = server.layout().socket_dir.clone();
                let admin = server.connect_options();
                keep_until_exit(server);
                (admin, Place::Socket(socket))
            }
        };
        let server = Self { admin, place, template: template_name() };
        server.make_template().await;
        server.drop_stale().await;
        server
    }

    fn url(&self, name: &str) -> String {
        match &self.place {
            Place::Url(url) => {
                let mut url = url.clone();
                url.set_path(name);
                url.into()
            }
            Place::Socket(dir) => format!("postgres:///{name}?host={}&user=postgres", dir.display()),
        }
    }

    async fn connect(&self) -> PgConnection {
        self.admin.connect().await.unwrap()
    }

    /// Made under another name first, so that a template is either whole or not there.
    async fn make_template(&self) {
        let mut admin = self.connect().await;
        sqlx::query("SELECT pg_advisory_lock(7236834)").execute(&mut admin).await.unwrap();
        let query = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)");
        let made: bool = query.bind(&self.template).fetch_one(&mut admin).await.unwrap();
        if !made {
            let unfinished = format!("{}_new", self.template);
            run(&mut admin, format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await.unwrap();
            run(&mut admin, format!("CREATE DATABASE {unfinished}")).await.unwrap();
            let pool =
                PgPoolOptions::new().max_connections(3).connect_with(self.admin.clone().database(&unfinished)).await.unwrap();
            db::migrate(&pool).await.unwrap();
            threadbox::jobs::migrate(&pool).await.unwrap();
            pool.close().await;
            let rename = format!("ALTER DATABASE {unfinished} RENAME TO {}", self.template);
            retry_while_in_use(&mut admin, rename).await;
        }
        admin.close().await.unwrap();
    }

    async fn copy_template(&self, name: &str) {
        let mut admin = self.connect().await;
        retry_while_in_use(&mut admin, format!("CREATE DATABASE {name} TEMPLATE {}", self.template)).await;
        admin.close().await.unwrap();
    }

    async fn drop_database(&self, name: &str) -> Result<(), sqlx::Error> {
        let mut admin = self.admin.connect().await?;
        run(&mut admin, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        admin.close().await
    }

    /// Databases of test processes that were killed.
    async fn drop_stale(&self) {
        let mut admin = self.connect().await;
        let names: Vec<String> = sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)")
            .bind(PREFIX)
            .fetch_all(&mut admin)
            .await
            .unwrap();
        admin.close().await.unwrap();
        for name in names.iter().filter(|name| is_stale(name)) {
            self.drop_database(name).await.ok();
        }
    }
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

/// Connections that were just closed count for a moment longer.
async fn retry_while_in_use(connection: &mut PgConnection, sql: String) {
    let deadline = Instant::now() + LIMIT;
    loop {
        match run(connection, sql.clone()).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55006") && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome.unwrap(),
        }
    }
}

/// Names the content, so that a template on a server that lives on is never the one of older migrations.
fn template_name() -> String {
    let mut hash = Sha256::new();
    // The job engine's migrations come with its version.
    hash.update(include_bytes!("../../../Cargo.lock"));
    for migration in db::MIGRATOR.iter() {
        hash.update(&migration.checksum);
    }
    format!("threadbox_template_{}", hex::encode(&hash.finalize()[..8]))
}

fn is_stale(name: &str) -> bool {
    let made = name.strip_prefix(PREFIX).and_then(|id| Uuid::parse_str(id).ok()).and_then(|id| id.get_timestamp());
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    made.is_some_and(|made| now.as_secs() > made.to_unix().0 + STALE.as_secs())
}

async fn private_server() -> Server {
    remove_dirs_of_the_dead();
    let dir = passable_dir(&format!("{DIR_PREFIX}{}-", std::process::id())).keep();
    let tuning = Tuning { durability: Durability::None, lifetime: Lifetime::EndsWithProcess, max_connections: 400 };
    let settings = settings();
    let sources = if settings.offline { Vec::new() } else { fetch::sources(settings.archive_url.as_ref()) };
    let setup = Setup { data_dir: dir, binaries: binaries(), places: Places::of_this_machine(&settings), sources, tuning };
    start(&setup, &Quiet).await.unwrap()
}

const DIR_PREFIX: &str = "threadbox-test-";

fn remove_dirs_of_the_dead() {
    for entry in fs::read_dir("/tmp").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(DIR_PREFIX).and_then(|rest| rest.split('-').next()).and_then(|pid| pid.parse().ok());
        if pid.is_some_and(|pid| !is_alive(pid)) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

static KEPT: OnceLock<(Server, u32)> = OnceLock::new();

/// Keeps the server until the test process exits, and stops it then. A process that is killed takes it along, by its lifetime.
fn keep_until_exit(server: Server) {
    let pid = server.pid().unwrap();
    assert!(KEPT.set((server, pid)).is_ok());
    // SAFETY: `stop_kept` is an `extern "C"` function without arguments, and does not unwind.
    #[allow(unsafe_code)]
    unsafe {
        libc::atexit(stop_kept);
    }
}

extern "C" fn stop_kept() {
    let Some((server, pid)) = KEPT.get() else { return };
    let (Some(signalled), Some(dir)) = (Pid::from_raw(*pid as i32), server.layout().root.parent()) else { return };
    kill_process(signalled, Signal::QUIT).ok();
    let deadline = Instant::now() + Duration::from_secs(5);
    while is_alive(*pid) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::remove_dir_all(dir).ok();
}

#[tokio::test]
async fn each_test_has_a_migrated_database_of_its_own() {
    let (one, other) = tokio::join!(TestDatabase::create(), TestDatabase::create());
    sqlx::raw_sql("CREATE TABLE mine (id int)").execute(&one.pool).await.unwrap();
    let seen: bool = sqlx::query_scalar("SELECT to_regclass('mine') IS NOT NULL").fetch_one(&other.pool).await.unwrap();
    assert!(!seen);
    let engine: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs.migrations").fetch_one(&other.pool).await.unwrap();
    assert!(engine > 0);
    one.finish().await;
    drop(other);
}

#[tokio::test]
async fn another_process_can_use_the_same_database() {
    let database = TestDatabase::create().await;
    sqlx::raw_sql("CREATE TABLE mine (id int)").execute(&database.pool).await.unwrap();
    let mut other = PgConnectOptions::from_str(&database.url()).unwrap().connect().await.unwrap();
    sqlx::raw_sql("INSERT INTO mine VALUES (1)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    database.finish().await;
}

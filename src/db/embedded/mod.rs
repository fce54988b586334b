//! A private Postgres in the data directory, for when nobody gave us one.
//!
//! Every process that uses it holds the users' lock; the last one out stops the server. A process that was killed leaves the
//! server running, and the next one joins it. One process at a time, holding the start lock, makes or starts it.

mod account;
mod create;
pub mod fetch;
mod layout;
mod lock;
mod search;
mod server;
pub mod unpack;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::Progress;
use super::connect::{Knock, knock};
use crate::settings::DatabaseSettings;

use account::Account;
pub use layout::Layout;
use lock::Kind;
pub use search::{Binaries, Places};
use server::{Holder, Spawned};

const SUPERUSER: &str = "postgres";
const DATABASE: &str = "threadbox";

/// Longest wait for another process that fetches, makes or starts.
const START_LOCK_LIMIT: Duration = Duration::from_secs(600);
/// Longest wait for another process that stops the server.
const USERS_LOCK_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for a server that starts (it may have to recover) or shuts down.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// How long a server's leftovers may keep the next one from starting.
const LEFTOVER_LIMIT: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(20);

/// How the private server is run.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// What survives a loss of power.
    pub durability: Durability,
    /// When it ends.
    pub lifetime: Lifetime,
    /// The most connections, of all processes together.
    pub max_connections: u32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { durability: Durability::Full, lifetime: Lifetime::Shared, max_connections: 100 }
    }
}

/// What survives a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Everything that was committed.
    Full,
    /// Possibly nothing, although everything survives killed processes. Faster; for data that nobody wants to keep, such as a
    /// test's.
    None,
}

/// When the private server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// When the last process leaves. It outlives processes that are killed; the next one joins it.
    Shared,
    /// At the latest with the process that started it, however that ends (on Linux).
    EndsWithProcess,
}

/// What [`start`] needs to know.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Holds the cluster.
    pub data_dir: PathBuf,
    /// Holds fetched binaries; several data directories may share it.
    pub binaries: PathBuf,
    /// Where binaries may be installed.
    pub places: Places,
    /// Where they may be fetched from, in this order; empty when they must not be.
    pub sources: Vec<fetch::Source>,
    /// How the server is run.
    pub tuning: Tuning,
}

impl Setup {
    /// What the settings say.
    pub fn new(settings: &DatabaseSettings, data_dir: &Path, tuning: Tuning) -> Self {
        let sources = if settings.offline { Vec::new() } else { fetch::sources(settings.archive_url.as_ref()) };
        let binaries = data_dir.join("postgres-bin");
        Self { data_dir: data_dir.to_path_buf(), binaries, places: Places::of_this_machine(settings), sources, tuning }
    }
}

/// Why there is no private server. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No binaries.
    #[error("No Postgres found. Looked in: {}. Set DATABASE_URL, or install it: apt-get install postgresql | brew install postgresql@18", looked.join("; "))]
    NotFound {
        /// Everywhere that was looked, and why it did not do.
        looked: Vec<String>,
    },
    /// Another major version made the cluster.
    #[error(
        "The database in {} was made by Postgres {cluster}, and the Postgres found in {} is version {binaries}. \
         Set THREADBOX_POSTGRES_BIN to the bin directory of a Postgres {cluster}, or move the data: \
         pg_dump with {cluster}, move the directory away, start again, restore with {binaries}",
        path.display(), dir.display()
    )]
    OtherVersion {
        /// The cluster.
        path: PathBuf,
        /// Its major version.
        cluster: u32,
        /// The binaries.
        dir: PathBuf,
        /// Their major version.
        binaries: u32,
    },
    /// Something else is where the cluster should be.
    #[error("{} is not a Postgres cluster. Move it away, or set THREADBOX_DATA_DIR to another directory", path.display())]
    NotACluster {
        /// Where.
        path: PathBuf,
    },
    /// The server's user cannot enter the data directory.
    #[error(
        "User id {uid}, which runs Postgres because root must not, cannot reach {}. Set THREADBOX_DATA_DIR to a directory it can enter, \
         for example /var/lib/threadbox, or set DATABASE_URL",
        path.display()
    )]
    OutOfReach {
        /// The data directory.
        path: PathBuf,
        /// The user.
        uid: u32,
    },
    /// Somebody else owns what should be ours.
    #[error(
        "{} belongs to user id {owner}, and Postgres would run as {uid}. Start as the user who made it, or set THREADBOX_DATA_DIR to another directory",
        path.display()
    )]
    NotOurs {
        /// What.
        path: PathBuf,
        /// Whose.
        owner: u32,
        /// Who we are.
        uid: u32,
    },
    /// The user is a mere number.
    #[error(
        "User id {uid} has no entry in the user database, and Postgres refuses to run without. Add a line to /etc/passwd for it, or set DATABASE_URL"
    )]
    NoPasswdEntry {
        /// The user.
        uid: u32,
    },
    /// Root, and nobody to hand over to.
    #[error(
        "Postgres refuses to run as root, and there is neither a user postgres nor a user nobody. Start as another user, or set DATABASE_URL"
    )]
    NoSubstitute,
    /// Making the cluster failed.
    #[error("Cannot make the database, {step} says: {tail}")]
    Create {
        /// The program.
        step: &'static str,
        /// Its last words.
        tail: String,
    },
    /// The server ended, or never answered.
    #[error("The database server does not start. The end of {}: {tail}", log.display())]
    DoesNotStart {
        /// Its log.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
    /// The server refuses us.
    #[error("The database server in {} refuses: {source}", path.display())]
    Refuses {
        /// The cluster.
        path: PathBuf,
        /// Its answer.
        source: sqlx::Error,
    },
    /// The server ignores us.
    #[error("The database server in {} does not stop. Look at its log, beside it", path.display())]
    DoesNotStop {
        /// The cluster.
        path: PathBuf,
    },
    /// Another process holds a lock for too long.
    #[error("Another process has held {} for {seconds} seconds. Look for a Threadbox that hangs", path.display())]
    Blocked {
        /// The lock.
        path: PathBuf,
        /// For how long we waited.
        seconds: u64,
    },
    /// The file system or the operating system says no.
    #[error("Cannot {what} {}: {source}. Check the directory of THREADBOX_DATA_DIR", path.display())]
    Files {
        /// What we tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// A private server that this process uses.
pub struct Server {
    layout: Layout,
    /// `None` once we have left.
    users: Option<File>,
}

impl Server {
    /// How to connect.
    pub fn connect_options(&self) -> PgConnectOptions {
        options(&self.layout)
    }

    /// The server's process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        match server::holder(&self.layout) {
            Holder::Server(pid) => Some(pid),
            Holder::Nobody | Holder::Zombie(_) | Holder::Stranger(_) => None,
        }
    }

    /// Where its files are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Stops using it. The last process that does so stops the server, and returns when it is gone.
    pub async fn leave(mut self) -> Result<(), EmbeddedError> {
        let Some(users) = self.users.take() else { return Ok(()) };
        let layout = self.layout.clone();
        let blocked = || EmbeddedError::DoesNotStop { path: self.layout.data.clone() };
        tokio::task::spawn_blocking(move || leave(&layout, &users)).await.map_err(|_| blocked())?
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(users) = self.users.take() else { return };
        let layout = self.layout.clone();
        // The lock stays until the server is gone, so that nobody joins a server that stops.
        std::thread::spawn(move || {
            if let Err(error) = leave(&layout, &users) {
                tracing::warn!(error = %error, "the private database was not stopped");
            }
        });
    }
}

fn leave(layout: &Layout, users: &File) -> Result<(), EmbeddedError> {
    if lock::last_one_out(users) { server::stop(layout) } else { Ok(()) }
}

/// Joins the private server of the data directory, or starts it; makes it, and fetches its binaries, when that has to be.
pub async fn start(setup: &Setup, progress: &dyn Progress) -> Result<Server, EmbeddedError> {
    let account = Account::choose(layout::owner(&setup.data_dir))?;
    let layout = Layout::prepare(&setup.data_dir, &account)?;
    let waiting = || progress.step("Waiting for another Threadbox that starts the database");
    let _start = lock::take(&layout.start_lock, Kind::Exclusive, START_LOCK_LIMIT, waiting).await?;
    let stopping = || progress.step("Waiting for another Threadbox that stops the database");
    let users = lock::take(&layout.users_lock, Kind::Shared, USERS_LOCK_LIMIT, stopping).await?;
    let server = Server { layout, users: Some(users) };
    if !answers(&server.layout, None).await? {
        launch(setup, &server.layout, &account, progress).await?;
    }
    Ok(server)
}

async fn launch(setup: &Setup, layout: &Layout, account: &Account, progress: &dyn Progress) -> Result<(), EmbeddedError> {
    let cluster = create::version(layout)?;
    let binaries = binaries(setup, cluster, account, progress).await?;
    match cluster {
        None => {
            progress.step("Creating the database");
            create::cluster(layout, &binaries, account, setup.tuning.durability).await?;
        }
        Some(cluster) if cluster != binaries.major => {
            let (path, dir) = (layout.data.clone(), binaries.dir);
            return Err(EmbeddedError::OtherVersion { path, cluster, dir, binaries: binaries.major });
        }
        Some(_) => {}
    }
    progress.step("Starting the database");
    let deadline = Instant::now() + LEFTOVER_LIMIT;
    loop {
        let spawned = server::spawn(layout, &binaries, account, &setup.tuning).await?;
        if answers(layout, Some(&spawned)).await? {
            return Ok(());
        }
        let tail = spawned.log_tail(layout);
        if !blocked_by_leftovers(&tail) || Instant::now() >= deadline {
            return Err(EmbeddedError::DoesNotStart { log: layout.log.clone(), tail });
        }
        if !server::clear_stale_locks(layout) {
            tokio::time::sleep(PAUSE * 5).await;
        }
    }
}

async fn binaries(
    setup: &Setup,
    cluster: Option<u32>,
    account: &Account,
    progress: &dyn Progress,
) -> Result<Binaries, EmbeddedError> {
    let mut looked = match search::find(&setup.places, &setup.binaries, cluster, account).await {
        Ok(found) => return Ok(found),
        Err(search::Looked(looked)) => looked,
    };
    if setup.places.explicit.is_some() {
        return Err(EmbeddedError::NotFound { looked });
    }
    if setup.sources.is_empty() {
        looked.push("nothing to fetch (THREADBOX_OFFLINE is set, or there is no build for this machine)".into());
        return Err(EmbeddedError::NotFound { looked });
    }
    let _fetching = fetch_lock(&setup.binaries, progress).await?;
    if let Ok(found) = search::find(&setup.places, &setup.binaries, cluster, account).await {
        return Ok(found);
    }
    for source in &setup.sources {
        let fetched = match fetch::fetch(source, &setup.binaries, progress).await {
            Ok(dir) => search::inspect(&dir, account).await,
            Err(error) => Err(error.to_string()),
        };
        match fetched {
            Ok(found) => return Ok(found),
            Err(why) => looked.push(format!("{source}: {why}")),
        }
    }
    Err(EmbeddedError::NotFound { looked })
}

async fn fetch_lock(binaries: &Path, progress: &dyn Progress) -> Result<File, EmbeddedError> {
    std::fs::create_dir_all(binaries).map_err(|source| EmbeddedError::Files {
        what: "create",
        path: binaries.to_path_buf(),
        source,
    })?;
    let waiting = || progress.step("Waiting for another Threadbox that fetches Postgres");
    lock::take(&binaries.join(".lock"), Kind::Exclusive, START_LOCK_LIMIT, waiting).await
}

/// Waits until the server answers a query (true) or is not there (false): a pid file says nothing about either. A server that is
/// starting up or shutting down is waited for. `spawned` is the one we just started: as long as it runs, it will be there.
async fn answers(layout: &Layout, spawned: Option<&Spawned>) -> Result<bool, EmbeddedError> {
    let target = options(layout);
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        // Looked at before the knock: one who ended afterwards is found in the next round.
        let ended = spawned.is_none_or(|spawned| spawned.exited.borrow().is_some());
        match knock(&target).await {
            Knock::Answers(_) => return Ok(true),
            Knock::Refuses(source) => return Err(EmbeddedError::Refuses { path: layout.data.clone(), source }),
            Knock::Nobody(_) if ended => return Ok(false),
            Knock::Nobody(_) | Knock::NotNow(_) => {}
        }
        if Instant::now() >= deadline {
            let tail = spawned.map(|spawned| spawned.log_tail(layout)).unwrap_or_default();
            return Err(EmbeddedError::DoesNotStart { log: layout.log.clone(), tail });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether what the server said means that an earlier one is not quite gone.
fn blocked_by_leftovers(log: &str) -> bool {
    log.contains("lock file \"postmaster.pid\" already exists")
        || log.contains("pre-existing shared memory block")
        || (log.contains("lock file") && log.contains(".s.PGSQL.") && log.contains("already exists"))
}

fn options(layout: &Layout) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(&layout.socket_dir)
        .port(5432)
        .username(SUPERUSER)
        .database(DATABASE)
        .ssl_mode(PgSslMode::Disable)
}

/// The last lines, for an error.
fn tail_of(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(6)..].join(" | ")
}

pub(super) fn default_data_dir() -> PathBuf {
    let usual = PathBuf::from(".threadbox");
    let here = std::env::current_dir().unwrap_or_default();
    match Account::choose(layout::owner(&usual)) {
        Ok(account) if !account.reaches(&here) || (usual.exists() && !account.reaches(&here.join(&usual))) => {
            PathBuf::from("/var/lib/threadbox")
        }
        Ok(_) | Err(_) => usual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_told_from_real_failures() {
        assert!(blocked_by_leftovers("FATAL:  lock file \"postmaster.pid\" already exists"));
        assert!(blocked_by_leftovers("FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use"));
        assert!(blocked_by_leftovers("FATAL:  lock file \"/x/run/.s.PGSQL.5432.lock\" already exists"));
        assert!(!blocked_by_leftovers("FATAL:  could not map anonymous shared memory"));
    }

    #[test]
    fn errors_quote_the_last_lines_only() {
        let text = (1..=9).map(|n| format!("line {n}\n")).collect::<String>();
        assert_eq!(tail_of(&text), "line 4 | line 5 | line 6 | line 7 | line 8 | line 9");
    }
}

//! The database: somebody's Postgres by `DATABASE_URL`, else a private one that this process starts and stops.

mod connect;
pub mod embedded;
mod migrate;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::PgPool;

use crate::settings::DatabaseSettings;

pub use embedded::{EmbeddedError, Tuning};
pub use migrate::{MIGRATOR, migrate};

/// The oldest Postgres that is accepted.
pub const OLDEST_MAJOR: u32 = 14;

/// How long [`Database::close`] waits for connections that are still in use.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// What the caller may choose about [`open`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The most connections the pool opens. Count one per concurrent run, and about five for listeners and requests.
    pub connections: u32,
    /// How long a server that does not answer yet is waited for.
    pub patience: Duration,
    /// How an own server is run; of no effect with `DATABASE_URL`.
    pub tuning: Tuning,
    /// Where fetched binaries are kept; unset means in the data directory.
    pub binaries: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections: 16, patience: Duration::from_secs(30), tuning: Tuning::default(), binaries: None }
    }
}

/// Told about long work, so that a terminal can show it. Called often; must return quickly.
pub trait Progress: Send + Sync {
    /// A new piece of work begins, for example `Creating the database`.
    fn step(&self, what: &str);
    /// Bytes of the current step that are done, and how many there will be if that is known.
    fn bytes(&self, _done: u64, _total: Option<u64>) {}
}

/// Shows nothing.
pub struct Quiet;

impl Progress for Quiet {
    fn step(&self, _what: &str) {}
}

/// Why there is no database. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// `DATABASE_URL` makes no sense.
    #[error("DATABASE_URL is not a Postgres address: {0}. It looks like postgres://user:password@host:5432/name")]
    Address(String),
    /// No answer within the patience, or a refusal.
    #[error("Cannot use the database {place}: {source}. Check DATABASE_URL and that the server accepts this user")]
    Unreachable {
        /// Host, port and name, without credentials.
        place: String,
        /// The last answer.
        source: sqlx::Error,
    },
    /// The server is too old.
    #[error("The database is Postgres {0}, and Threadbox needs {OLDEST_MAJOR} or newer. Upgrade it, or set another DATABASE_URL")]
    TooOld(String),
    /// The private server.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// A migration did not apply; nothing of it was kept.
    #[error("Cannot apply the migrations: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A statement of this module failed.
    #[error("The database refused: {0}")]
    Query(#[from] sqlx::Error),
}

/// An open database. Owns the server when it is the private one.
///
/// Dropping it without [`close`](Self::close) is safe: the last process that uses a private server still stops it, only nobody
/// waits for that. Clones of the pool must not be used afterwards.
pub struct Database {
    /// For queries.
    pub pool: PgPool,
    server: Option<embedded::Server>,
}

impl Database {
    /// The private server, when there is one.
    pub fn server(&self) -> Option<&embedded::Server> {
        self.server.as_ref()
    }

    /// Closes the pool (connections in use get ten seconds), and stops a private server when no other process uses it.
    pub async fn close(self) -> Result<(), DbError> {
        if tokio::time::timeout(CLOSE_LIMIT, self.pool.close()).await.is_err() {
            tracing::warn!("some database connections were still in use at the end");
        }
        match self.server {
            Some(server) => Ok(server.leave().await?),
            None => Ok(()),
        }
    }
}

/// Opens the database of the settings: connects to `DATABASE_URL`, or starts (or joins) the private server in `data_dir`.
///
/// A server that is just starting up is waited for within [`Options::patience`]; one that refuses is an error at once.
/// Migrations are not applied: see [`migrate`].
pub async fn open(
    settings: &DatabaseSettings,
    data_dir: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Database, DbError> {
    let (target, server) = match &settings.url {
        Some(url) => (connect::parse(url)?, None),
        None => {
            let mut setup = embedded::Setup::new(settings, data_dir, options.tuning.clone());
            setup.binaries = options.binaries.clone().unwrap_or(setup.binaries);
            let server = embedded::start(&setup, progress).await?;
            (server.connect_options(), Some(server))
        }
    };
    connect::wait_until_usable(&target, options.patience, progress).await?;
    Ok(Database { pool: connect::pool(target, options.connections), server })
}

/// Where data goes when nobody says: `.threadbox`, unless this is root and the user that Postgres would run as cannot reach it;
/// then `/var/lib/threadbox`.
pub fn default_data_dir() -> PathBuf {
    embedded::default_data_dir()
}

/// The server's version, such as `15.18`.
pub async fn version(pool: &PgPool) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("select split_part(current_setting('server_version'), ' ', 1)").fetch_one(pool).await
}

/// True when the tables are those of this version or of a newer one.
pub async fn is_migrated(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let wanted = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
    let there: Option<i64> =
        sqlx::query_scalar("select max(version) from _sqlx_migrations where success").fetch_one(pool).await?;
    Ok(there.is_some_and(|there| there >= wanted))
}

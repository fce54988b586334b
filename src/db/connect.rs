//! Reaches a server: waits while it starts, refuses what is too old, and opens the pool.

use std::io::ErrorKind;
use std::str::FromStr;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

use super::{DbError, OLDEST_MAJOR, Progress};
use crate::secret::SecretString;

/// Longest wait for a free connection.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(10);
/// Longest single attempt to connect.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
/// `cannot_connect_now`: starting up, shutting down or recovering.
const CANNOT_CONNECT_NOW: &str = "57P03";
/// `admin_shutdown`: the connection was cut because the server stops.
const ADMIN_SHUTDOWN: &str = "57P01";

/// No statement of ours is slow and no transaction waits for the network, so what exceeds these is stuck. Set after connecting
/// and not as start-up parameters, because connection poolers refuse those.
const SESSION: &str = "SET statement_timeout = '60s'; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'";

pub(super) fn parse(url: &SecretString) -> Result<PgConnectOptions, DbError> {
    let url = url.expose_secret();
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(DbError::Address("it does not start with postgres://".into()));
    }
    PgConnectOptions::from_str(url).map(named).map_err(|error| DbError::Address(error.to_string()))
}

pub(super) fn pool(target: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_LIMIT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(SESSION).execute(connection).await?;
                Ok(())
            })
        })
        .connect_lazy_with(named(target))
}

/// What a knock at the door found.
pub(super) enum Knock {
    /// It answers queries; the value of `server_version_num`.
    Answers(u32),
    /// It is there and not ready: starting up or shutting down.
    NotNow(sqlx::Error),
    /// Nobody is there.
    Nobody(sqlx::Error),
    /// It refuses us.
    Refuses(sqlx::Error),
}

pub(super) async fn knock(target: &PgConnectOptions) -> Knock {
    match tokio::time::timeout(ATTEMPT_LIMIT, version(target)).await {
        Ok(Ok(version)) => Knock::Answers(version),
        Ok(Err(error)) => judge(error),
        Err(_) => Knock::NotNow(sqlx::Error::Io(ErrorKind::TimedOut.into())),
    }
}

/// Returns when the server answers and is new enough.
pub(super) async fn wait_until_usable(
    target: &PgConnectOptions,
    patience: Duration,
    progress: &dyn Progress,
) -> Result<(), DbError> {
    let deadline = Instant::now() + patience;
    let mut told = false;
    loop {
        let source = match knock(target).await {
            Knock::Answers(version) => return check_version(version),
            Knock::Refuses(source) => return Err(DbError::Unreachable { place: place(target), source }),
            Knock::NotNow(source) | Knock::Nobody(source) => source,
        };
        if Instant::now() >= deadline {
            return Err(DbError::Unreachable { place: place(target), source });
        }
        if !std::mem::replace(&mut told, true) {
            progress.step(&format!("Waiting for the database {}", place(target)));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn check_version(number: u32) -> Result<(), DbError> {
    let major = number / 10_000;
    if major < OLDEST_MAJOR { Err(DbError::TooOld(format!("{major}.{}", number % 10_000))) } else { Ok(()) }
}

async fn version(target: &PgConnectOptions) -> Result<u32, sqlx::Error> {
    let mut connection: PgConnection = named(target.clone()).connect().await?;
    let number: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int4").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(number.unsigned_abs())
}

fn judge(error: sqlx::Error) -> Knock {
    match &error {
        sqlx::Error::Io(io) => match io.kind() {
            ErrorKind::PermissionDenied | ErrorKind::InvalidInput => Knock::Refuses(error),
            _ => Knock::Nobody(error),
        },
        sqlx::Error::Database(answer) => match answer.code().as_deref() {
            Some(CANNOT_CONNECT_NOW | ADMIN_SHUTDOWN) => Knock::NotNow(error),
            _ => Knock::Refuses(error),
        },
        _ => Knock::Refuses(error),
    }
}

fn named(target: PgConnectOptions) -> PgConnectOptions {
    target.application_name("threadbox")
}

fn place(target: &PgConnectOptions) -> String {
    let name = target.get_database().unwrap_or(target.get_username());
    match target.get_socket() {
        Some(socket) => format!("{name} at {}", socket.display()),
        None => format!("{name} at {}:{}", target.get_host(), target.get_port()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_of_something_else_is_refused_without_repeating_it() {
        let error = parse(&SecretString::from("mysql://root:hunter2@db/x")).unwrap_err().to_string();
        assert!(error.contains("postgres://user:password@host:5432/name"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn the_place_shows_no_password() {
        let target = parse(&SecretString::from("postgres://me:hunter2@db.example:6543/bot")).unwrap();
        assert_eq!(place(&target), "bot at db.example:6543");
    }

    #[test]
    fn postgres_13_is_too_old() {
        assert!(check_version(140_000).is_ok());
        insta::assert_snapshot!(check_version(130_021).unwrap_err(), @"The database is Postgres 13.21, and Threadbox needs 14 or newer. Upgrade it, or set another DATABASE_URL");
    }
}

//! The schema of the service, embedded in the binary.

use sqlx::migrate::Migrator;
use sqlx::postgres::PgPool;

use super::DbError;

/// Everything in `migrations/`.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// Brings the service's own tables up to date. May run in several processes at once: an advisory lock lets one go first, and the
/// others find nothing to do. The job engine's tables are `jobs::migrate`'s.
pub async fn migrate(pool: &PgPool) -> Result<(), DbError> {
    let mut connection = pool.acquire().await?;
    // Building an index on a big table takes longer than any statement of normal work; waiting for another migrator likewise.
    sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0").execute(&mut *connection).await?;
    let outcome = MIGRATOR.run_direct(None, &mut *connection, false).await;
    // The connection has unusual limits now, so the pool does not get it back.
    connection.close().await?;
    Ok(outcome?)
}

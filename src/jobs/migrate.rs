//! The job engine's own tables, in the schema `jobs`.

use anyhow::Context;
use graphile_worker::WorkerUtils;
use sqlx::postgres::PgPool;

/// The schema that belongs to the job engine alone.
pub const SCHEMA: &str = "jobs";

/// Any number, but the same in every version: it keeps two processes from migrating the engine at once.
const LOCK: i64 = 0x7468_7265_6164_626F;

/// Brings the engine's tables up to date. Idempotent, and safe in several processes at once. Needs two connections of the pool.
pub async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    // The lock ends with the transaction, however this function ends.
    let mut guard = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *guard)
        .await
        .context("Cannot lock the job engine's migrations")?;
    WorkerUtils::new(pool, SCHEMA).migrate().await.context("Cannot migrate the job engine")?;
    guard.commit().await?;
    Ok(())
}

//! Pictures of runs in the database.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::id::RunId;

/// Keeps one; the same number again changes nothing.
pub async fn keep(
    pool: &PgPool,
    run: RunId,
    number: i32,
    media_type: &str,
    content: &[u8],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into pictures (run_id, number, media_type, content, created_at) values ($1, $2, $3, $4, $5) on conflict do nothing",
        run as RunId,
        number,
        media_type,
        content,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Those of a run, by number.
pub async fn of(pool: &PgPool, run: RunId) -> Result<Vec<(i32, Bytes)>, sqlx::Error> {
    let rows = sqlx::query!("select number, content from pictures where run_id = $1 order by number", run as RunId);
    Ok(rows.fetch_all(pool).await?.into_iter().map(|row| (row.number, row.content.into())).collect())
}

/// Forgets those that were kept before.
pub async fn forget(pool: &PgPool, before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from pictures where created_at < $1", before).execute(pool).await?;
    Ok(())
}

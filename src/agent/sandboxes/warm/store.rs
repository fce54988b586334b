//! The rows of the warm pool, and what it has cost today.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

/// A warm sandbox.
#[derive(Debug)]
pub struct Warm {
    pub name: String,
    /// None until it is made.
    pub id: Option<String>,
    pub snapshot: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// The id of this deployment.
pub async fn instance(pool: &PgPool) -> Result<Uuid, sqlx::Error> {
    sqlx::query_scalar!("select id from instance").fetch_one(pool).await
}

/// All that nobody has taken, oldest first.
pub async fn warm(pool: &PgPool, provider: &str) -> Result<Vec<Warm>, sqlx::Error> {
    sqlx::query_as!(
        Warm,
        "select name, id, snapshot, created_at from sandboxes where provider = $1 and role = 'warm' order by created_at",
        provider,
    )
    .fetch_all(pool)
    .await
}

/// Counts that `idle` sandboxes were there since the last time, at most for `longest` seconds. Returns the seconds of this day.
pub async fn count(pool: &PgPool, idle: f64, now: DateTime<Utc>, longest: f64) -> Result<f64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        update instance set
            warm_seconds = case when warm_day = ($2::timestamptz at time zone 'utc')::date then warm_seconds else 0 end
                + $1::float8 * coalesce(least(greatest(extract(epoch from $2 - warm_counted_at)::float8, 0), $3::float8), 0),
            warm_day = ($2::timestamptz at time zone 'utc')::date,
            warm_counted_at = $2
        returning warm_seconds
        "#,
        idle,
        now,
        longest,
    )
    .fetch_one(pool)
    .await
}

/// Snapshots that conversations used lately, beside the default.
pub async fn snapshots(pool: &PgPool, provider: &str, since: DateTime<Utc>, most: i64) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select snapshot as "snapshot!" from sandboxes
        where provider = $1 and role = 'own' and snapshot is not null and used_at > $2
        group by snapshot order by max(used_at) desc limit $3
        "#,
        provider,
        since,
        most,
    )
    .fetch_all(pool)
    .await
}

/// Records one before it is made.
pub async fn want(pool: &PgPool, provider: &str, warm: &Warm) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into sandboxes (provider, name, role, snapshot, created_at, used_at) values ($1, $2, 'warm', $3, $4, $4)
         on conflict do nothing",
        provider,
        warm.name,
        warm.snapshot,
        warm.created_at,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// It is made and can be taken.
pub async fn made(pool: &PgPool, provider: &str, name: &str, id: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update sandboxes set id = $3, state = 'ready' where provider = $1 and name = $2 and role = 'warm'",
        provider,
        name,
        id,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Takes one out of the pool; false when a conversation has it.
pub async fn forget(pool: &PgPool, provider: &str, name: &str) -> Result<bool, sqlx::Error> {
    let gone = sqlx::query!("delete from sandboxes where provider = $1 and name = $2 and role = 'warm'", provider, name)
        .execute(pool)
        .await?;
    Ok(gone.rows_affected() == 1)
}

//! What the sweep reads and writes about sandboxes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;

use crate::id::{LeaseEpoch, ThreadId};

fn interval(span: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(span.as_micros()).unwrap_or(i64::MAX) }
}

/// Makes this process the one that looks for what is left over. False when another one is at it.
pub async fn begin(pool: &PgPool, hold: Duration) -> Result<bool, sqlx::Error> {
    let begun = sqlx::query!(
        "update instance set reaping_until = now() + $1::interval where reaping_until is null or reaping_until < now()",
        interval(hold),
    )
    .execute(pool)
    .await?;
    Ok(begun.rows_affected() == 1)
}

/// Lets another process look.
pub async fn end(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query!("update instance set reaping_until = null").execute(pool).await?;
    Ok(())
}

/// A thread whose sandboxes nobody needs any more, with its lease, so that no run begins while they go.
#[derive(Debug)]
pub struct Disused {
    pub thread: ThreadId,
    pub epoch: LeaseEpoch,
    /// Ids, or names of those whose making was interrupted.
    pub sandboxes: Vec<String>,
}

/// Takes the lease of the thread that has slept longest of those with sandboxes and no work that were closed before `closed` or not
/// touched since `untouched`.
pub async fn take_disused(
    pool: &PgPool,
    provider: &str,
    closed: DateTime<Utc>,
    untouched: DateTime<Utc>,
    hold: Duration,
) -> Result<Option<Disused>, sqlx::Error> {
    sqlx::query_as!(
        Disused,
        r#"
        with disused as (
            select id from threads t
            where (updated_at < $2 or (state = 'closed' and updated_at < $1))
              and exists (select 1 from sandboxes s where s.thread_id = t.id and s.provider = $4 and s.state <> 'gone')
              and (lease_until is null or lease_until < now())
              and not exists (select 1 from runs r where r.thread_id = t.id and r.state <> 'posted')
            order by updated_at limit 1
            for update of t skip locked
        )
        update threads set lease_epoch = lease_epoch + 1, lease_until = now() + $3::interval, lease_holder = 'sweep'
        from disused where threads.id = disused.id
        returning threads.id as "thread: ThreadId", threads.lease_epoch as "epoch: LeaseEpoch",
            array(select coalesce(s.id, s.name) from sandboxes s
                  where s.thread_id = threads.id and s.provider = $4 and s.state <> 'gone') as "sandboxes!"
        "#,
        closed,
        untouched,
        interval(hold),
        provider,
    )
    .fetch_optional(pool)
    .await
}

/// Gives the lease back; the sandboxes are `gone`, or stay for the next sweep. The checkpoint of the thread's own is kept.
pub async fn release_disused(
    pool: &PgPool,
    provider: &str,
    disused: &Disused,
    gone: bool,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with lease as (
            update threads set lease_until = null, lease_holder = null where id = $1 and lease_epoch = $2 returning id
        ), extras as (
            delete from sandboxes s using lease where $3 and s.thread_id = lease.id and s.provider = $4 and s.role in ('extra', 'apart')
        )
        update sandboxes s set state = 'gone', id = null, baseline = null, baseline_run = null, used_at = $5
        from lease where $3 and s.thread_id = lease.id and s.provider = $4 and s.role = 'own'
        "#,
        disused.thread as ThreadId,
        disused.epoch as LeaseEpoch,
        gone,
        provider,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Sandboxes of threads that are no longer there: ids, or names of those whose making was interrupted.
pub async fn forgotten(pool: &PgPool, provider: &str, most: i64) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select coalesce(id, name) as "name!" from sandboxes where provider = $1 and thread_id is null and role <> 'warm' limit $2"#,
        provider,
        most,
    )
    .fetch_all(pool)
    .await
}

/// Forgets a row by what [`forgotten`] called it.
pub async fn forget(pool: &PgPool, provider: &str, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from sandboxes where provider = $1 and coalesce(id, name) = $2", provider, name).execute(pool).await?;
    Ok(())
}

/// Forgets removed sandboxes with their checkpoints.
pub async fn forget_checkpoints(pool: &PgPool, before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from sandboxes where state = 'gone' and used_at < $1", before).execute(pool).await?;
    Ok(())
}

/// Those of these that some row knows, by id or by name.
pub async fn known(pool: &PgPool, provider: &str, ids: &[String]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select asked.id as "id!" from unnest($2::text[]) as asked (id)
        where exists (select 1 from sandboxes s where s.provider = $1 and s.state <> 'gone' and (s.id = asked.id or s.name = asked.id))
        "#,
        provider,
        ids,
    )
    .fetch_all(pool)
    .await
}

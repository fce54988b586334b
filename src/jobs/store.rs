//! Upkeep over all threads: calls between processes, and what may be forgotten.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;

use crate::id::{LeaseEpoch, ThreadId};

/// Says something to all processes that listen.
pub async fn tell_others(pool: &PgPool, channel: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_notify($1, '')", channel).execute(pool).await?;
    Ok(())
}

/// Forgets deliveries received before `deliveries`, snapshots of runs that ended before `snapshots`, and requests accepted before
/// `requests` that came to nothing (refused, answered by the service). What people said in a run and were answered stays.
pub async fn forget_old(
    pool: &PgPool,
    deliveries: DateTime<Utc>,
    snapshots: DateTime<Utc>,
    requests: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from deliveries where received_at < $1", deliveries).execute(pool).await?;
    sqlx::query!("update runs set snapshot = null where state = 'posted' and ended_at < $1 and snapshot is not null", snapshots)
        .execute(pool)
        .await?;
    // Their inbox rows go with them.
    sqlx::query!(
        "delete from messages m using inbox i
         where i.message_id = m.id and i.state <> 'new' and i.created_at < $1 and m.run_id is null
           and not exists (select 1 from runs r where r.inbox_id = i.id)",
        requests,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// A sandbox that nobody needs any more, with the lease of its thread, so that no run begins while it goes.
#[derive(Debug)]
pub struct Disused {
    /// Whose it is.
    pub thread: ThreadId,
    /// The lease.
    pub epoch: LeaseEpoch,
    /// The thread's own sandbox.
    pub sandbox: String,
}

/// Takes the lease of the thread that has slept longest of those with a sandbox and no work that were closed before `closed` or not
/// touched since `untouched`.
pub async fn take_disused(
    pool: &PgPool,
    closed: DateTime<Utc>,
    untouched: DateTime<Utc>,
    hold: Duration,
) -> Result<Option<Disused>, sqlx::Error> {
    let hold = PgInterval { months: 0, days: 0, microseconds: i64::try_from(hold.as_micros()).unwrap_or(i64::MAX) };
    sqlx::query_as!(
        Disused,
        r#"
        with disused as (
            select id from threads t
            where sandbox_id is not null and (updated_at < $2 or (state = 'closed' and updated_at < $1))
              and (lease_until is null or lease_until < now())
              and not exists (select 1 from runs r where r.thread_id = t.id and r.state <> 'posted')
            order by updated_at limit 1
            for update of t skip locked
        )
        update threads set lease_epoch = lease_epoch + 1, lease_until = now() + $3::interval, lease_holder = 'sweep'
        from disused where threads.id = disused.id
        returning threads.id as "thread: ThreadId", threads.lease_epoch as "epoch: LeaseEpoch", threads.sandbox_id as "sandbox!"
        "#,
        closed,
        untouched,
        hold,
    )
    .fetch_optional(pool)
    .await
}

/// Gives the lease back; the sandbox is `gone`, or stays for the next sweep.
pub async fn release_disused(pool: &PgPool, disused: &Disused, gone: bool) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update threads set sandbox_id = case when $3 then null else sandbox_id end, lease_until = null, lease_holder = null
         where id = $1 and lease_epoch = $2",
        disused.thread as ThreadId,
        disused.epoch as LeaseEpoch,
        gone,
    )
    .execute(pool)
    .await?;
    Ok(())
}

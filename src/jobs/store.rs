//! Upkeep over all threads: wake-ups that got lost, and what may be forgotten.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// Threads woken by one sweep at most; the next sweep takes the next.
const AT_ONCE: i64 = 200;

/// Sends wake-ups for inbox rows and runs that are due, in nobody's hands, and older than `before`. Returns how many.
pub async fn wake_left_behind(pool: &PgPool, before: DateTime<Utc>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        with mail as (
            select distinct thread_id from inbox
            where state = 'new' and next_try_at <= $1 and (claimed_until is null or claimed_until < now())
            limit $2
        ), work as (
            select distinct r.thread_id from runs r join threads t on t.id = r.thread_id
            where r.state <> 'posted' and r.next_try_at <= $1 and (t.lease_until is null or t.lease_until < now())
            limit $2
        ), woken as (
            select job.id from mail, lateral jobs.add_job(
                'wake_thread', json_build_object('thread_id', mail.thread_id), job_key := 'wake:' || mail.thread_id
            ) as job
        ), set_to_work as (
            select job.id from work, lateral jobs.add_job(
                'run_thread', json_build_object('thread_id', work.thread_id), job_key := 'run:' || work.thread_id
            ) as job
        )
        select (select count(*) from woken) + (select count(*) from set_to_work) as "count!"
        "#,
        before,
        AT_ONCE,
    )
    .fetch_one(pool)
    .await
}

/// Forgets deliveries received before `deliveries` and snapshots of runs that ended before `snapshots`. What people said and
/// were answered stays.
pub async fn forget_old(pool: &PgPool, deliveries: DateTime<Utc>, snapshots: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from deliveries where received_at < $1", deliveries).execute(pool).await?;
    sqlx::query!("update runs set snapshot = null where state = 'posted' and ended_at < $1 and snapshot is not null", snapshots)
        .execute(pool)
        .await?;
    Ok(())
}

//! Upkeep over all threads: calls between processes, and what may be forgotten.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// Says something to all processes that listen.
pub async fn tell_others(pool: &PgPool, channel: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_notify($1, '')", channel).execute(pool).await?;
    Ok(())
}

/// Forgets deliveries received before `deliveries`, snapshots of runs that ended before `snapshots`, and requests accepted before
/// `requests` that came to nothing (refused, answered by the service), with what became of their texts. What people said in a run and were
/// answered stays, and so does what they had remembered: who deletes it later deletes the line.
pub async fn forget_old(
    pool: &PgPool,
    deliveries: DateTime<Utc>,
    snapshots: DateTime<Utc>,
    requests: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from deliveries where received_at < $1", deliveries).execute(pool).await?;
    sqlx::query!("delete from changes where seen_at < $1", requests).execute(pool).await?;
    sqlx::query!("update runs set snapshot = null where state = 'posted' and ended_at < $1 and snapshot is not null", snapshots)
        .execute(pool)
        .await?;
    // Their inbox rows go with them.
    sqlx::query!(
        "delete from messages m using inbox i
         where i.message_id = m.id and i.state <> 'new' and i.created_at < $1 and m.run_id is null
           and not exists (select 1 from runs r where r.inbox_id = i.id)
           and not exists (
             select 1 from (
                 select line->>'message' as id from working_memories w, jsonb_array_elements(
                     case jsonb_typeof(w.lines) when 'array' then w.lines else '[]' end) as line
             ) remembered where remembered.id = m.id::text)",
        requests,
    )
    .execute(pool)
    .await?;
    Ok(())
}

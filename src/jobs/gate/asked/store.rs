//! What stands in the way of a request, and the push that takes another's place.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use sqlx::types::Json;

use super::super::store::Claimed;
use crate::id::{InboxId, RunId, ThreadId};
use crate::intake::Place;

/// What stands in the way.
#[derive(Debug)]
pub struct Obstacles {
    /// The message was deleted.
    pub deleted: bool,
    /// The installation was removed or suspended.
    pub gone: bool,
    /// The conversation was closed since it was accepted.
    pub closed: bool,
    /// A run of the thread waits or works.
    pub working: bool,
    /// Runs of the last day for failed checks here.
    pub fixes: i64,
}

/// All of it in one round trip.
pub async fn obstacles(pool: &PgPool, claimed: &Claimed, now: DateTime<Utc>) -> Result<Obstacles, sqlx::Error> {
    let installation = match &claimed.request.place {
        Place::Github { installation, .. } => *installation,
        Place::Discord { repository, .. } => repository.as_ref().and_then(|linked| linked.installation),
    };
    sqlx::query_as!(
        Obstacles,
        r#"
        select
            exists (
                select 1 from inbox i join changes c on c.object = i.object
                where i.id = $1 and c.surface = $4 and c.deleted_at is not null
            ) as "deleted!",
            exists (select 1 from installations where id = $3 and gone) as "gone!",
            (select state = 'closed' from threads where id = $2) as "closed!",
            exists (select 1 from runs where thread_id = $2 and state in ('queued', 'running')) as "working!",
            (select count(*) from runs
             where thread_id = $2 and request->'asks'->>'by' = 'check_failed' and created_at > $5) as "fixes!"
        "#,
        claimed.id as InboxId,
        claimed.thread as ThreadId,
        installation,
        claimed.request.place.surface().as_str(),
        now - TimeDelta::days(1),
    )
    .fetch_one(pool)
    .await
}

/// Lets the request take the place of the thread's push that waits for its review, whose comment becomes its answer. False when none
/// waits. A run that has its place already, from an earlier attempt, or reviews the same commits for another reason, is as good.
pub async fn replace_waiting(pool: &PgPool, claimed: &Claimed) -> Result<bool, sqlx::Error> {
    let is_there = sqlx::query_scalar!(
        r#"
        select exists (
            select 1 from runs
            where thread_id = $1 and inbox_id <> $2 and request->'asks'->>'by' = 'pushed' and request->>'head' = $3
              and stop_requested_by is null and (state <> 'posted' or outcome->>'outcome' = 'answered')
        ) as "is_there!"
        "#,
        claimed.thread as ThreadId,
        claimed.id as InboxId,
        claimed.request.head,
    )
    .fetch_one(pool)
    .await?;
    if is_there {
        return Ok(true);
    }
    let replaced = sqlx::query_scalar!(
        r#"
        update runs set request = $3 where state = 'queued' and id = (
            select id from runs
            where thread_id = $1 and inbox_id <> $2 and state = 'queued' and request->'asks'->>'by' = 'pushed'
              and stop_requested_by is null
            order by id limit 1
        )
        returning id as "id: RunId"
        "#,
        claimed.thread as ThreadId,
        claimed.id as InboxId,
        Json(&claimed.request) as _,
    )
    .fetch_optional(pool)
    .await?;
    Ok(replaced.is_some())
}

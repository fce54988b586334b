//! Which comments are due to be looked at, and what else is to be made visible.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;

use crate::github::Reaction;
use crate::id::{ApprovalId, LeaseEpoch, RunId, ThreadId};
use crate::intake::{Place, Request, Trigger};

/// Comments in one go.
const MOST: i64 = 20;
/// How long an end still gets its reaction.
const OWED_FOR: TimeDelta = TimeDelta::days(1);

/// A comment to look at.
#[derive(Debug)]
pub(super) struct Due {
    pub key: String,
    /// The surface's number of it.
    pub comment: i64,
    /// Where it stands.
    pub at: Trigger,
    pub place: Place,
    /// True when it waits for a yes; else it belongs to a run at work.
    pub is_approval: bool,
    /// The approval in it whose ground may have changed.
    pub suspected: Option<ApprovalId>,
}

/// Takes comments that are due; the same is due again after a tenth of the time it has waited, at least five seconds and at most an hour
/// (half a minute while a run works). Those that wait for nothing any more are not looked at again.
pub(super) async fn due(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<Due>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        with due as (
            select p.key, a.id is not null as is_approval, case when a.suspect then a.id end as suspected,
                   coalesce(a.asked_at, r.created_at) as since,
                   coalesce(a.continues->'request'->'place', r.request->'place') as place,
                   a.id is not null or coalesce(r.state in ('queued', 'running'), false) as open
            from posts p
            left join approvals a on a.post_key = p.key and a.state = 'waiting' and a.shown is not null
            left join runs r on r.id = coalesce(p.run_id, a.run_id)
            where p.look_at <= $1
            order by p.look_at limit $2
            for update of p skip locked
        )
        update posts p set look_at = case when due.open then $1 + greatest(
            interval '5 seconds',
            least(($1 - due.since) / 10, case when due.is_approval then interval '1 hour' else interval '30 seconds' end)
        ) end
        from due where p.key = due.key
        returning p.key, p.external_id, p.review_thread, due.place as "place: Json<Place>", due.is_approval as "is_approval!",
                  due.suspected as "suspected: ApprovalId", due.open as "open!"
        "#,
        now,
        MOST,
    )
    .fetch_all(pool)
    .await?;
    let open = rows.into_iter().filter(|row| row.open);
    let due = open.filter_map(|row| {
        let comment = row.external_id.and_then(|id| id.parse().ok())?;
        let at = if row.review_thread.is_some() { Trigger::ReviewComment(comment) } else { Trigger::Comment(comment) };
        Some(Due { key: row.key, comment, at, place: row.place?.0, is_approval: row.is_approval, suspected: row.suspected })
    });
    Ok(due.collect())
}

/// The comment is gone.
pub(super) async fn forget(pool: &PgPool, key: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update posts set look_at = null where key = $1", key).execute(pool).await?;
    Ok(())
}

/// A finished run whose trigger lacks its reaction.
#[derive(Debug)]
pub(super) struct Owing {
    pub run: RunId,
    pub request: Request,
    pub reaction: Reaction,
}

/// Finished runs whose triggers lack their reactions: a few of each installation, so that none that cannot be reached keeps the others
/// waiting.
pub(super) async fn owing(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<Owing>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select id as "id: RunId", request as "request: Json<Request>", owes_reaction as "reaction!"
           from (
               select *, row_number() over (partition by request->'place'->>'installation', request->'place'->>'guild' order by id) as nth
               from runs where owes_reaction is not null and ended_at > $1
           ) as owing order by nth, id limit $2"#,
        now - OWED_FOR,
        MOST,
    )
    .fetch_all(pool)
    .await?;
    let reaction = |word: &str| if word == Reaction::Rocket.as_str() { Reaction::Rocket } else { Reaction::Confused };
    let owing = |id, request: Json<Request>, word: String| Owing { run: id, request: request.0, reaction: reaction(&word) };
    Ok(rows.into_iter().map(|row| owing(row.id, row.request, row.reaction)).collect())
}

/// The reaction is there, or never will be.
pub(super) async fn paid(pool: &PgPool, run: RunId) -> Result<(), sqlx::Error> {
    sqlx::query!("update runs set owes_reaction = null where id = $1", run as RunId).execute(pool).await?;
    Ok(())
}

/// The reaction did not work at once.
pub(in crate::jobs) async fn owe(pool: &PgPool, run: RunId, reaction: Reaction) -> Result<(), sqlx::Error> {
    sqlx::query!("update runs set owes_reaction = $2 where id = $1", run as RunId, reaction.as_str()).execute(pool).await?;
    Ok(())
}

/// A run whose place in line is another one than its comment shows; its thread is leased to the caller.
#[derive(Debug)]
pub(super) struct Moved {
    pub run: RunId,
    pub thread: ThreadId,
    pub epoch: LeaseEpoch,
    pub position: i32,
    pub place: Place,
}

/// Takes the threads of waiting runs that have moved up in line, and records their new places.
pub(super) async fn moved(pool: &PgPool, slots: i64, holder: &str, hold: Duration) -> Result<Option<Moved>, sqlx::Error> {
    let hold = PgInterval { months: 0, days: 0, microseconds: i64::try_from(hold.as_micros()).unwrap_or(i64::MAX) };
    let row = sqlx::query!(
        r#"
        with line as (
            select id, thread_id, state, shown_position, request, row_number() over (order by id) - $1 as position
            from runs where state in ('queued', 'running')
        ), next as (
            select line.* from line join threads t on t.id = line.thread_id
            where line.state = 'queued' and line.shown_position is not null and line.position > 0
              and line.position <> line.shown_position
              and (t.lease_until is null or t.lease_until < now())
              and not exists (
                select 1 from runs e where e.thread_id = line.thread_id and e.id < line.id and e.state <> 'posted'
              )
            order by line.id limit 1
            for update of t skip locked
        ), lease as (
            update threads set lease_epoch = lease_epoch + 1, lease_until = now() + $3::interval, lease_holder = $2
            from next where threads.id = next.thread_id
            returning threads.id, threads.lease_epoch, next.id as run_id, next.position, next.request
        )
        update runs set shown_position = lease.position, lease_epoch = lease.lease_epoch from lease where runs.id = lease.run_id
        returning runs.id as "run: RunId", lease.id as "thread: ThreadId", lease.lease_epoch as "epoch: LeaseEpoch",
                  runs.shown_position as "position!", lease.request as "request: Json<Request>"
        "#,
        slots,
        holder,
        hold,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Moved {
        run: row.run,
        thread: row.thread,
        epoch: row.epoch,
        position: row.position,
        place: row.request.0.place,
    }))
}

//! The inbox as the gate works through it: strictly by sequence within a thread, whichever worker does it.
//!
//! A claimed row carries its number of attempts as a fence: a gate that stalled and was overtaken changes nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;

use crate::agent::{Powers, Task};
use crate::id::{ApprovalId, InboxId, MessageId, RunId, ThreadId};
use crate::intake::command::{self, Command};
use crate::intake::{Asks, Button, Place, Press, Request, policy};
use crate::settings::Limits;

/// An inbox row that is ours for a while.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub id: InboxId,
    pub thread: ThreadId,
    pub message: MessageId,
    pub request: Request,
    /// Counts claims of this row, this one included; the fence of every write about it.
    pub attempts: i32,
    /// How many of them ended in waiting for the surface.
    pub waits: i32,
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
}

struct ClaimedRow {
    id: InboxId,
    thread: ThreadId,
    message: MessageId,
    request: Json<Request>,
    attempts: i32,
    waits: i32,
    created_at: DateTime<Utc>,
}

impl From<ClaimedRow> for Claimed {
    fn from(row: ClaimedRow) -> Self {
        Self {
            id: row.id,
            thread: row.thread,
            message: row.message,
            request: row.request.0,
            attempts: row.attempts,
            waits: row.waits,
            accepted_at: row.created_at,
        }
    }
}

/// What the gate needs to know before it decides.
#[derive(Debug)]
pub struct Standing {
    /// The run this row became at an earlier attempt.
    pub run: Option<RunId>,
    /// The run this message joined at an earlier attempt.
    pub joined: Option<RunId>,
    /// The newest run of the thread.
    pub newest: Option<RunId>,
    /// The first unfinished agent run of the thread.
    pub active: Option<RunId>,
    /// True when the thread has a run that is not over; a new one waits for it.
    pub busy: bool,
    /// The latest runs this person asked for since `since`, counted up to the limit.
    pub by_person: i64,
    /// The oldest of them.
    pub oldest_by_person: Option<DateTime<Utc>>,
    /// Runs of everybody since `since`, counted up to the limit.
    pub by_everyone: i64,
    /// Runs that wait or work, anywhere.
    pub unfinished: i64,
    /// When this person was last refused in this thread.
    pub refused_at: Option<DateTime<Utc>>,
}

fn interval(span: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(span.as_micros()).unwrap_or(i64::MAX) }
}

/// Rows that may be a word to stop, read at once.
const MOST_WORDS: i64 = 50;

/// Claims the oldest row that is due and first in its thread; when there is none, one that says `stop` behind rows of its thread that wait.
/// None when there is nothing to do now.
pub async fn claim(pool: &PgPool, handle: &str, now: DateTime<Utc>, hold: Duration) -> Result<Option<Claimed>, sqlx::Error> {
    match claim_first(pool, now, hold).await? {
        Some(claimed) => Ok(Some(claimed)),
        None => claim_stop(pool, handle, now, hold).await,
    }
}

/// By words, by a button or by a thumb down.
fn says_stop(request: &Request, handle: &str) -> bool {
    match &request.asks {
        Asks::Words => command::parse(&request.text, handle) == Some(Command::Stop),
        Asks::Pressed { press, .. } => matches!(press, Press::Stop(_)),
        Asks::Reaction { button, .. } => *button == Button::No,
        Asks::Label { .. } | Asks::ReviewRequest { .. } | Asks::Pushed | Asks::CheckFailed { .. } => false,
    }
}

/// What is asked of a run at work does not wait for what cannot become one yet.
async fn claim_stop(pool: &PgPool, handle: &str, now: DateTime<Utc>, hold: Duration) -> Result<Option<Claimed>, sqlx::Error> {
    let behind = sqlx::query!(
        r#"
        select i.id as "id: InboxId", i.request as "request: Json<Request>" from inbox i
        where i.state = 'new' and i.next_try_at <= $1 and (i.claimed_until is null or i.claimed_until < now())
          and (not i.request ? 'asks' and i.request->>'text' ~* '\mstop\M' or i.request->'asks'->>'by' in ('pressed', 'reaction'))
          and exists (
            select 1 from inbox f
            where f.thread_id = i.thread_id and f.sequence < i.sequence and f.state = 'new'
              and f.next_try_at > $1 and (f.claimed_until is null or f.claimed_until < now())
              and not exists (
                select 1 from inbox e where e.thread_id = f.thread_id and e.sequence < f.sequence and e.state = 'new'
              )
          )
        order by i.id limit $2
        "#,
        now,
        MOST_WORDS,
    )
    .fetch_all(pool)
    .await?;
    for row in behind {
        if !says_stop(&row.request.0, handle) {
            continue;
        }
        let claimed = sqlx::query_as!(
            ClaimedRow,
            r#"
            update inbox set claimed_until = now() + $2::interval, attempts = attempts + 1
            where id = $1 and state = 'new' and (claimed_until is null or claimed_until < now())
            returning id as "id: InboxId", thread_id as "thread: ThreadId", message_id as "message: MessageId",
                      request as "request: Json<Request>", attempts, waits, created_at
            "#,
            row.id as InboxId,
            interval(hold),
        )
        .fetch_optional(pool)
        .await?;
        if claimed.is_some() {
            return Ok(claimed.map(Claimed::from));
        }
    }
    Ok(None)
}

async fn claim_first(pool: &PgPool, now: DateTime<Utc>, hold: Duration) -> Result<Option<Claimed>, sqlx::Error> {
    let row = sqlx::query_as!(
        ClaimedRow,
        r#"
        update inbox set claimed_until = now() + $2::interval, attempts = attempts + 1
        where id = (
            select i.id from inbox i
            where i.state = 'new' and i.next_try_at <= $1 and (i.claimed_until is null or i.claimed_until < now())
              and not exists (
                select 1 from inbox e where e.thread_id = i.thread_id and e.sequence < i.sequence and e.state = 'new'
              )
            order by i.id limit 1
            for update of i skip locked
        )
        returning id as "id: InboxId", thread_id as "thread: ThreadId", message_id as "message: MessageId",
                  request as "request: Json<Request>", attempts, waits, created_at
        "#,
        now,
        interval(hold),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(Claimed::from))
}

/// Keeps the claim. False when somebody else has it now.
pub async fn renew(pool: &PgPool, claimed: &Claimed, hold: Duration) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update inbox set claimed_until = now() + $3::interval where id = $1 and attempts = $2 and state = 'new'",
        claimed.id as InboxId,
        claimed.attempts,
        interval(hold),
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// True when something was, or was to be, said about the row.
pub async fn has_begun_to_speak(pool: &PgPool, claimed: &Claimed) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (select 1 from runs where inbox_id = $1)
            or exists (select 1 from posts where key in ('notice-' || $1::text, 'refusal-' || $1::text, 'card-' || $1::text)) as "has!"
        "#,
        claimed.id as InboxId,
    )
    .fetch_one(pool)
    .await
}

/// Everything the gate decides on, in one round trip.
pub async fn standing(pool: &PgPool, claimed: &Claimed, since: DateTime<Utc>, limits: &Limits) -> Result<Standing, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select
            (select id from runs where inbox_id = $1) as "run: RunId",
            (select run_id from messages where id = $2) as "joined: RunId",
            coalesce(
                (select id from runs where thread_id = $3 order by id desc limit 1),
                -- The first run of a branch comes after those it begins with.
                (select until from branches where thread_id = $3 order by until desc limit 1)
            ) as "newest: RunId",
            (select id from runs
             where thread_id = $3 and state in ('queued', 'running') and task->>'task' not in ('code', 'undo', 'land_approved') and powers <> 'nothing_lands'
                and stop_requested_by is null
             order by id limit 1) as "active: RunId",
            exists (select 1 from runs where thread_id = $3 and state <> 'posted' and inbox_id <> $1) as "busy!",
            mine.count as "by_person!", mine.oldest as oldest_by_person,
            (select count(*) from (select 1 from runs where created_at > $5 limit $8) as these) as "by_everyone!",
            (select count(*) from runs where state in ('queued', 'running')) as "unfinished!",
            (select max(created_at) from posts
             where thread_id = $3 and kind = 'refusal' and about = $7 and state = 'done') as refused_at
        from (
            select count(*), min(created_at) as oldest from (
                select created_at from runs where requester_id = $4 and created_at > $5 order by created_at desc limit $6
            ) as latest
        ) as mine
        "#,
        claimed.id as InboxId,
        claimed.message as MessageId,
        claimed.thread as ThreadId,
        claimed.request.author.id,
        since,
        i64::from(limits.user_runs_per_hour),
        claimed.request.author.id.to_string(),
        i64::from(policy::runs_of_everyone(limits)),
    )
    .fetch_one(pool)
    .await?;
    Ok(Standing {
        run: row.run,
        joined: row.joined,
        newest: row.newest,
        active: row.active,
        busy: row.busy,
        by_person: row.by_person,
        oldest_by_person: row.oldest_by_person,
        by_everyone: row.by_everyone,
        unfinished: row.unfinished,
        refused_at: row.refused_at,
    })
}

/// What a run is made of, beside the inbox row that asks for it.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    /// The newest run of the thread.
    pub newest: Option<RunId>,
    /// Whose words, where.
    pub request: &'a Request,
    /// What to do.
    pub task: &'a Task,
    /// How much it may do.
    pub powers: Powers,
    /// What let it begin, where something had to.
    pub approval: Option<ApprovalId>,
}

/// What limits how many runs there may be.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling {
    /// Runs count that were created after it.
    pub since: DateTime<Utc>,
    /// The most of one person.
    pub of_person: i64,
    /// The most of everybody together.
    pub of_everyone: i64,
}

/// Creates the run of an inbox row, or finds the one it has. None when a ceiling is reached: it is counted again here, one new run after the
/// other, because many may have been found to be within it at once. Who asked with that row is its requester: on their permission it runs, and
/// against their limits it counts. The comment that showed an outsider's request becomes that of the run.
pub async fn create_run(
    pool: &PgPool,
    claimed: &Claimed,
    new: NewRun<'_>,
    ceiling: Option<Ceiling>,
    now: DateTime<Utc>,
) -> Result<Option<RunId>, sqlx::Error> {
    let mut tx = pool.begin().await?;
    if ceiling.is_some() {
        sqlx::query!("select pg_advisory_xact_lock(hashtext('threadbox new run'))").execute(&mut *tx).await?;
    }
    let run = sqlx::query_scalar!(
        r#"
        with run as (
            insert into runs (id, thread_id, inbox_id, message_id, request, task, next_try_at, requester, requester_id, repository,
                              created_at, powers, approval_id)
            select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $7, $11, $12
            where $13::timestamptz is null or exists (select 1 from runs where inbox_id = $3) or (
                (select count(*) from (select 1 from runs where requester_id = $9 and created_at > $13 limit $14) as mine) < $14
                and (select count(*) from (select 1 from runs where created_at > $13 limit $15) as everyones) < $15
            )
            on conflict (inbox_id) do update set inbox_id = excluded.inbox_id
            returning id, approval_id
        ), comment as (
            update posts p set key = 'run-' || run.id, run_id = run.id, kind = 'answer'
            from run join approvals a on a.id = run.approval_id
            where a.kind = 'outsider' and p.key = a.post_key
        )
        select id as "id: RunId" from run
        "#,
        RunId::after(new.newest) as RunId,
        claimed.thread as ThreadId,
        claimed.id as InboxId,
        claimed.message as MessageId,
        Json(new.request) as _,
        Json(new.task) as _,
        now,
        claimed.request.requester(),
        claimed.request.author.id,
        claimed.request.place.payer(),
        new.powers as Powers,
        new.approval as Option<ApprovalId>,
        ceiling.map(|ceiling| ceiling.since),
        ceiling.map_or(0, |ceiling| ceiling.of_person),
        ceiling.map_or(0, |ceiling| ceiling.of_everyone),
    )
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(run)
}

/// A run that words may join.
#[derive(Debug)]
pub struct Joinable {
    pub id: RunId,
    /// Number of the one on whose permission it runs.
    pub requester: i64,
    pub request: Request,
}

/// The thread's first unfinished agent run; none when there is none any more.
pub async fn joinable(pool: &PgPool, thread: ThreadId) -> Result<Option<Joinable>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select id as "id: RunId", requester_id, request as "request: Json<Request>" from runs
        where thread_id = $1 and state in ('queued', 'running') and task->>'task' not in ('code', 'undo', 'land_approved')
          and powers <> 'nothing_lands' and stop_requested_by is null
        order by id limit 1
        "#,
        thread as ThreadId,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Joinable { id: row.id, requester: row.requester_id, request: row.request.0 }))
}

/// Lets the message join a run. False when it is over.
pub async fn join_run(pool: &PgPool, claimed: &Claimed, run: RunId) -> Result<bool, sqlx::Error> {
    let joined = sqlx::query!(
        r#"
        with active as (
            update runs set arrivals = arrivals + 1
            where state in ('queued', 'running') and stop_requested_by is null and id = $1
            returning id
        )
        update messages set run_id = active.id from active
        where messages.id = $2 and messages.run_id is null
        "#,
        run as RunId,
        claimed.message as MessageId,
    )
    .execute(pool)
    .await?;
    Ok(joined.rows_affected() == 1)
}

/// Asks the unfinished runs of the thread to stop, or only that one, and tells the workers. Returns how many there were.
pub async fn request_stop(pool: &PgPool, thread: ThreadId, only: Option<RunId>, by: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        with stopped as (
            update runs set stop_requested_by = coalesce(stop_requested_by, $2)
            where thread_id = $1 and state in ('queued', 'running') and ($3::uuid is null or id = $3)
            returning id
        )
        select count(pg_notify('threadbox_stop', id::text)) as "count!" from stopped
        "#,
        thread as ThreadId,
        by,
        only as Option<RunId>,
    )
    .fetch_one(pool)
    .await
}

/// The unfinished run whose live comment this is, with whose words it is about and on whose permission it runs.
pub async fn run_of_comment(pool: &PgPool, thread: ThreadId, comment: i64) -> Result<Option<(RunId, Vec<i64>)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select r.id as "id: RunId", r.requester_id, r.request as "request: Json<Request>"
        from runs r join posts p on p.run_id = r.id and p.kind = 'answer'
        where r.thread_id = $1 and p.external_id = $2 and r.state in ('queued', 'running')
        "#,
        thread as ThreadId,
        comment.to_string(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| (row.id, vec![row.requester_id, row.request.0.author.id])))
}

/// The request, task and powers of the thread's last run, for `retry`, and what had let it begin.
pub async fn last_run(pool: &PgPool, thread: ThreadId, before: InboxId) -> Result<Option<LastRun>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select request as "request: Json<Request>", task as "task: Json<Task>", powers as "powers: Powers",
                  approval_id as "approval: ApprovalId"
           from runs where thread_id = $1 and inbox_id <> $2 and forgotten_at is null order by id desc limit 1"#,
        thread as ThreadId,
        before as InboxId,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| LastRun { request: row.request.0, task: row.task.0, powers: row.powers, approval: row.approval }))
}

/// The same of one run of the thread, with whom it concerns, whether it is unfinished, and whether a later one is.
pub async fn one_run(pool: &PgPool, thread: ThreadId, run: RunId) -> Result<Option<OneRun>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select request as "request: Json<Request>", task as "task: Json<Task>", powers as "powers: Powers",
                  approval_id as "approval: ApprovalId", requester_id, state in ('queued', 'running') as "unfinished!",
                  exists (
                      select 1 from runs n where n.thread_id = $1 and n.id > $2 and n.state in ('queued', 'running')
                  ) as "overtaken!"
           from runs where thread_id = $1 and id = $2 and forgotten_at is null"#,
        thread as ThreadId,
        run as RunId,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| OneRun {
        concerned: vec![row.requester_id, row.request.0.author.id],
        unfinished: row.unfinished,
        overtaken: row.overtaken,
        again: LastRun { request: row.request.0, task: row.task.0, powers: row.powers, approval: row.approval },
    }))
}

/// A run that a button names.
#[derive(Debug)]
pub struct OneRun {
    /// With whose words it is about, and on whose permission it runs.
    pub concerned: Vec<i64>,
    /// Whether it waits or works.
    pub unfinished: bool,
    /// Whether a later one of the thread does.
    pub overtaken: bool,
    /// What runs again.
    pub again: LastRun,
}

/// What is run again.
#[derive(Debug)]
pub struct LastRun {
    pub request: Request,
    pub task: Task,
    pub powers: Powers,
    pub approval: Option<ApprovalId>,
}

/// How the thread stands, for `status`.
#[derive(Debug)]
pub struct Status {
    /// `queued`, `running`, `ended`, `posted`; none when nothing ever ran.
    pub state: Option<String>,
    /// Steps of the last run.
    pub steps: i32,
    /// When the last run was accepted.
    pub since: Option<DateTime<Utc>>,
    /// Runs of the thread that wait.
    pub waiting: i64,
    /// Unfinished runs anywhere that come before the last run.
    pub ahead: i64,
}

/// How the thread stands.
pub async fn status(pool: &PgPool, thread: ThreadId) -> Result<Status, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select last.state as "state?", coalesce(last.steps, 0) as "steps!",
               last.created_at as "since?",
               (select count(*) from runs where thread_id = $1 and state = 'queued') as "waiting!",
               (select count(*) from runs e where e.state in ('queued', 'running') and e.id < last.id) as "ahead!"
        from (select 1) as one
        left join lateral (
            select id, state, steps, created_at from runs where thread_id = $1
            order by (state = 'running') desc, id desc limit 1
        ) as last on true
        "#,
        thread as ThreadId,
    )
    .fetch_one(pool)
    .await?;
    Ok(Status { state: row.state, steps: row.steps, since: row.since, waiting: row.waiting, ahead: row.ahead })
}

/// From now on the comment of a run is looked at for reactions; `position` is the place in line it shows.
pub async fn watch(pool: &PgPool, run: RunId, key: &str, position: Option<i32>, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "with shown as (update runs set shown_position = $3 where id = $1)
         update posts set look_at = coalesce(look_at, $4::timestamptz + interval '5 seconds') where key = $2",
        run as RunId,
        key,
        position,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Whether another conversation could join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It is part of the thread.
    Joined,
    /// Runs were asked for there.
    HasItsOwn,
}

/// Lets a place share the thread, unless it has had runs of its own, or begins with another conversation.
pub async fn join_place(pool: &PgPool, thread: ThreadId, place: &Place) -> Result<Joined, sqlx::Error> {
    let done = sqlx::query!(
        r#"
        insert into surfaces as s (surface, key, thread_id, place) values ($1, $2, $3, $4)
        on conflict (surface, key) do update set thread_id = excluded.thread_id, place = excluded.place
        where s.thread_id = excluded.thread_id
           or not exists (select 1 from runs r where r.thread_id = s.thread_id)
              and not exists (select 1 from branches b where b.thread_id = s.thread_id)
              and not exists (select 1 from inbox i where i.thread_id = s.thread_id and i.state = 'new')
        "#,
        place.surface().as_str(),
        place.key(),
        thread as ThreadId,
        Json(place) as _,
    )
    .execute(pool)
    .await?;
    Ok(if done.rows_affected() == 1 { Joined::Joined } else { Joined::HasItsOwn })
}

/// Lets the place of a row share the thread of another place, unless anything else was asked for in its own. What is said there from then
/// on belongs to that thread.
pub async fn join_other(pool: &PgPool, claimed: &Claimed, other: &Place) -> Result<Joined, sqlx::Error> {
    let done = sqlx::query!(
        r#"
        update surfaces s set thread_id = o.thread_id from surfaces o
        where s.surface = $1 and s.key = $2 and o.surface = $3 and o.key = $4
          and (s.thread_id = o.thread_id
               or not exists (select 1 from runs r where r.thread_id = s.thread_id)
                  and not exists (select 1 from branches b where b.thread_id = s.thread_id)
                  and not exists (select 1 from inbox i where i.thread_id = s.thread_id and i.state = 'new' and i.id <> $5)
                  and not exists (select 1 from surfaces t where t.thread_id = s.thread_id and t.surface <> s.surface))
        "#,
        claimed.request.place.surface().as_str(),
        claimed.request.place.key(),
        other.surface().as_str(),
        other.key(),
        claimed.id as InboxId,
    )
    .execute(pool)
    .await?;
    Ok(if done.rows_affected() == 1 { Joined::Joined } else { Joined::HasItsOwn })
}

/// How a row ends.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// Handled; `wake` says whether a run waits to be taken.
    Done { what: &'static str, wake: bool },
    /// Given up.
    Dead(&'static str),
}

/// Finishes a row. True when that was ours to do and a run waits to be taken. The run of a row that is given up is never begun:
/// nobody would see what it does; what had joined it is let in anew.
pub async fn finish(pool: &PgPool, claimed: &Claimed, verdict: Verdict, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let (state, what, wake) = match verdict {
        Verdict::Done { what, wake } => ("done", what, wake),
        Verdict::Dead(what) => ("dead", what, false),
    };
    let done = sqlx::query_scalar!(
        r#"
        with done as (
            update inbox set state = $3, verdict = $4, claimed_until = null
            where id = $1 and attempts = $2 and state = 'new'
            returning id
        ), dropped as (
            update runs set state = 'posted', ended_at = $5,
                outcome = jsonb_build_object('outcome', 'failed', 'reason', $4::text, 'report', done.id)
            from done where runs.inbox_id = done.id and runs.state = 'queued' and $3 = 'dead'
            returning runs.id
        ), freed as (
            -- What joined it is asked for all the same.
            update messages set run_id = null from dropped
            where messages.run_id = dropped.id and messages.place_in_run is null
            returning messages.id
        ), reopened as (
            update inbox set state = 'new', verdict = null, next_try_at = $5 from freed
            where inbox.message_id = freed.id and inbox.state = 'done'
        )
        select count(*) as "count!" from done
        "#,
        claimed.id as InboxId,
        claimed.attempts,
        state,
        what,
        now,
    )
    .fetch_one(pool)
    .await?;
    Ok(wake && done == 1)
}

/// Puts a row back until `at`; rows behind it in the thread wait with it.
pub async fn postpone(pool: &PgPool, claimed: &Claimed, at: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with later as (
            update inbox set next_try_at = $3, claimed_until = null, waits = waits + 1
            where id = $1 and attempts = $2 and state = 'new' returning thread_id
        )
        select job.id from later, lateral jobs.add_job(
            'wake_thread', json_build_object('thread_id', later.thread_id),
            run_at := $3, job_key := 'later:' || later.thread_id
        ) as job
        "#,
        claimed.id as InboxId,
        claimed.attempts,
        at,
    )
    .fetch_optional(pool)
    .await?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn stop_is_said_in_words_by_a_button_or_by_a_thumb() {
        let request = serde_json::json!({
            "place": { "surface": "github", "repository": "acme/rocket", "repository_id": 1, "number": 1, "installation": null, "is_pull_request": false },
            "trigger": { "kind": "comment", "id": 1 }, "author": { "id": 1, "login": "maya", "is_bot": false }, "text": "@threadbox stop",
            "title": "", "body": null, "url": "", "written_at": "2026-01-01T00:00:00Z"
        });
        let words: Request = serde_json::from_value(request).unwrap();
        assert!(says_stop(&words, "threadbox") && !says_stop(&words, "another"));
        assert!(!says_stop(&Request { text: "@threadbox queue a look at the stop button".into(), ..words.clone() }, "threadbox"));
        let by = |asks| says_stop(&Request { asks, ..words.clone() }, "threadbox");
        assert!(by(Asks::Pressed { press: Press::Stop(RunId::new()), interaction: 1 }));
        assert!(!by(Asks::Pressed { press: Press::Approve(ApprovalId::new()), interaction: 1 }));
        assert!(by(Asks::Reaction { comment: 1, button: Button::No }) && !by(Asks::Reaction { comment: 1, button: Button::Yes }));
        assert!(!by(Asks::Pushed));
    }
}

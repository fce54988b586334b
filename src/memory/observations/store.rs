//! The table `observations` and what `threads` says about condensing.
//!
//! A thread is claimed by whoever condenses it. The claim is the moment it ends at: every write names it, so that a worker that lost it,
//! or whose thread was forgotten in part meanwhile (which takes the claim away), changes nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;

use super::{MOST_LINES, Observation, Said, SaidRun};
use crate::agent::spending::Charge;
use crate::id::{MessageId, RunId, ThreadId};
use crate::memory::history::{BUDGET, KEPT, UNMEASURED};
use crate::model::{Message, Part, Role};

/// Characters condensed at once, and runs.
const BATCH: i64 = 60_000;
const BATCH_RUNS: i64 = 60;

/// A thread that is ours to condense.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Which.
    pub thread: ThreadId,
    /// The cut it stands at.
    pub cut: Option<RunId>,
    /// How often it failed since it last went well.
    pub failures: i32,
    until: DateTime<Utc>,
}

/// Claims the thread with the most to condense, among those that are due. None when none is.
///
/// # Errors
/// As the database.
pub async fn claim(pool: &PgPool, hold: Duration, now: DateTime<Utc>) -> Result<Option<Claim>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        update threads set condensing_until = now() + $1::interval
        where id = (
            select id from threads
            where uncondensed > $2 and (condense_at is null or condense_at <= $3)
              and (condensing_until is null or condensing_until < now())
              -- A branch waits for a run of its own, which bears the cost.
              and exists (select 1 from runs r where r.thread_id = threads.id and r.state = 'posted')
            order by uncondensed desc limit 1 for update skip locked
        )
        returning id as "id: ThreadId", condensed_until as "cut: RunId", condensing_failures, condensing_until as "until!"
        "#,
        PgInterval { months: 0, days: 0, microseconds: i64::try_from(hold.as_micros()).unwrap_or(i64::MAX) },
        i64::try_from(BUDGET).unwrap_or(i64::MAX),
        now,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Claim { thread: row.id, cut: row.cut, failures: row.condensing_failures, until: row.until }))
}

/// What is to be condensed.
#[derive(Debug)]
pub struct Batch {
    /// The newest run that is over: the one that made this necessary.
    pub newest: RunId,
    /// Who asked for it.
    pub requester: String,
    /// The repository it was for.
    pub repository: String,
    /// The last run of the batch; none when there is nothing to condense.
    pub until: Option<RunId>,
    /// The runs, oldest first.
    pub runs: Vec<SaidRun>,
    /// The lines there are, by the time of what they tell.
    pub lines: Vec<Observation>,
}

#[derive(Debug, Deserialize)]
struct Row {
    run: RunId,
    id: MessageId,
    at: DateTime<Utc>,
    role: String,
    author: Option<String>,
    parts: Vec<Part>,
}

/// The oldest runs after the cut, as many as one answer condenses; the newest stay. Of a branch also those it began with: the cut is then one
/// of its source's runs, and the source knows nothing of it. None when no run of the thread is over.
///
/// # Errors
/// As the database.
pub async fn batch(pool: &PgPool, claim: &Claim) -> Result<Option<Batch>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        with run as (
            select r.id, r.thread_id, r.reduced, coalesce(r.size, $3)::bigint as size,
                   (sum(coalesce(r.size, $3)) over (order by r.id))::bigint as upto,
                   (sum(coalesce(r.size, $3)) over (order by r.id desc))::bigint as back,
                   row_number() over (order by r.id) as number, row_number() over (order by r.id desc) as from_newest
            from histories h join runs r on r.thread_id = h.source_id and r.id <= h.until
            where h.thread_id = $1 and r.state = 'posted' and ($2::uuid is null or r.id > $2)
        ), batch as (
            select id, thread_id, reduced from run
            where from_newest > 1 and back > $4 and number <= $6 and (upto <= $5 or number = 1)
        )
        select n.id as "newest: RunId", n.requester, n.repository,
            (select id from batch order by id desc limit 1) as "until: RunId",
            (select coalesce(jsonb_agg(jsonb_build_object(
                        'run', m.run_id, 'id', m.id, 'at', m.created_at, 'role', m.role, 'author', m.author, 'parts', m.parts
                    ) order by m.run_id, m.place_in_run), '[]')
             from batch b join messages m on m.thread_id = b.thread_id and m.run_id = b.id
             where m.place_in_run is not null and (m.role <> 'tool' or not b.reduced)
            ) as "said!: Json<Vec<Row>>",
            (select coalesce(jsonb_agg(jsonb_build_object('id', o.id, 'said_at', o.said_at, 'text', o.text, 'cites', o.cites)
                                       order by o.said_at, o.sequence), '[]')
             from (select * from observations where thread_id = $1 and current order by sequence desc limit $7) o
            ) as "lines!: Json<Vec<Observation>>"
        from runs n where n.thread_id = $1 and n.state = 'posted' order by n.id desc limit 1
        "#,
        claim.thread as ThreadId,
        claim.cut as Option<RunId>,
        i32::try_from(UNMEASURED).unwrap_or(i32::MAX),
        i64::try_from(KEPT).unwrap_or(i64::MAX),
        BATCH,
        BATCH_RUNS,
        MOST_LINES,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Batch {
        newest: row.newest,
        requester: row.requester,
        repository: row.repository,
        until: row.until,
        runs: runs(row.said.0),
        lines: row.lines.0,
    }))
}

fn runs(rows: Vec<Row>) -> Vec<SaidRun> {
    let mut runs: Vec<SaidRun> = Vec::new();
    for row in rows {
        let role = match row.role.as_str() {
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            _ => Role::User,
        };
        let said = Said { id: row.id, at: row.at, author: row.author, message: Message { role, parts: row.parts } };
        match runs.last_mut() {
            Some(run) if run.id == row.run => run.said.push(said),
            _ => runs.push(SaidRun { id: row.run, said: vec![said] }),
        }
    }
    runs
}

/// What condensing came to.
#[derive(Debug)]
pub struct Condensed<'a> {
    /// The new lines. One that cites a message which is gone is left out.
    pub lines: &'a [Observation],
    /// The cut from now on; as it was when only lines were put together.
    pub cut: Option<RunId>,
    /// Lines that these take the place of.
    pub replaced: &'a [Observation],
    /// Failures that count from now on.
    pub failures: i32,
    /// What the model took for it.
    pub spent: Option<&'a Charge>,
}

/// Stores lines and cut in one statement, and keeps the claim. False when the claim or the cut is no longer what it was: nothing
/// happened then.
///
/// # Errors
/// As the database.
pub async fn commit(pool: &PgPool, claim: &Claim, condensed: &Condensed<'_>) -> Result<bool, sqlx::Error> {
    let replaced: Vec<uuid::Uuid> = condensed.replaced.iter().map(|line| line.id).collect();
    let spent = Json(condensed.spent.map(Charge::row).into_iter().collect::<Vec<_>>());
    let done = sqlx::query_scalar!(
        r#"
        with thread as (
            update threads set condensed_until = $4, condensing_failures = $5, condense_at = null,
                uncondensed = (select coalesce(sum(r.size), 0) from histories h join runs r on r.thread_id = h.source_id and r.id <= h.until
                               where h.thread_id = $1 and ($4::uuid is null or r.id > $4))
            where id = $1 and condensing_until = $2 and condensed_until is not distinct from $3
            returning id
        ), retired as (
            update observations set current = false from thread
            where observations.thread_id = thread.id and observations.id = any($6)
        ), line as (
            insert into observations (id, thread_id, sequence, said_at, text, cites, created_at)
            select l.id, thread.id,
                   (select coalesce(max(o.sequence), 0) from observations o where o.thread_id = $1)
                       + row_number() over (order by l.said_at, l.id),
                   l.said_at, l.text, l.cites, now()
            from thread, jsonb_to_recordset($7) as l (id uuid, said_at timestamptz, text text, cites uuid[])
            where not exists (select 1 from unnest(l.cites) as c (id) where not exists (select 1 from messages m where m.id = c.id))
            on conflict do nothing
        ), spent as (
            insert into ledger (run_id, step, purpose, requester, repository, model, input, cached, output, estimated, cost_usd, at)
            select s.run_id, (select coalesce(max(l.step), 0) + 1 from ledger l where l.run_id = s.run_id and l.purpose = s.purpose),
                   s.purpose, s.requester, s.repository, s.model, s.input, s.cached, s.output, s.estimated, s.cost_usd, s.at
            from thread, jsonb_to_recordset($8) as s (
                run_id uuid, purpose text, requester text, repository text, model text, input bigint, cached bigint, output bigint,
                estimated boolean, cost_usd double precision, at timestamptz)
            on conflict do nothing
        )
        select count(*) as "count!" from thread
        "#,
        claim.thread as ThreadId,
        claim.until,
        claim.cut as Option<RunId>,
        condensed.cut as Option<RunId>,
        condensed.failures,
        &replaced,
        serde_json::to_value(condensed.lines).unwrap_or_default(),
        spent as _,
    )
    .fetch_one(pool)
    .await?;
    Ok(done == 1)
}

/// Gives the thread back. `failed` counts against it; nobody begins again before `not_before`.
///
/// # Errors
/// As the database.
pub async fn release(pool: &PgPool, claim: &Claim, failed: bool, not_before: Option<DateTime<Utc>>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update threads set condensing_until = null, condensing_failures = condensing_failures + $3::int, condense_at = $4
        where id = $1 and condensing_until = $2
        "#,
        claim.thread as ThreadId,
        claim.until,
        i32::from(failed),
        not_before,
    )
    .execute(pool)
    .await?;
    Ok(())
}

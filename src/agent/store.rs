//! Runs as their worker sees them: taken with a lease, saved step by step, ended, posted.
//!
//! Every write carries the lease epoch the run was taken with; when another worker took the run since, the write changes
//! nothing and says so.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;

use super::event::RunEvent;
use super::snapshot::Snapshot;
use super::{Powers, RunState, Task};
use crate::attachment::NewAttachment;
use crate::id::{LeaseEpoch, MessageId, RunId, ThreadId};
use crate::intake::Request;
use crate::intake::policy;
use crate::memory::history;
use crate::model::{Role, Usage};
use crate::reply::{Execution, Outcome};
use crate::storable;

/// Runs of a thread after which a title is looked for; a model that has none to offer by then has none.
const TITLE_TRIES: i32 = 4;

/// A run that is ours as long as the lease is.
#[derive(Debug)]
pub struct Taken {
    pub id: RunId,
    pub thread: ThreadId,
    pub epoch: LeaseEpoch,
    pub message: MessageId,
    pub request: Request,
    pub task: Task,
    pub state: RunState,
    pub outcome: Option<Outcome>,
    /// Counts how often it was taken, this time included.
    pub attempt: i32,
    /// How many of these ended in waiting to be able to post the answer, or at a shutdown then.
    pub waits: i32,
    pub snapshot: Option<Snapshot>,
    pub arrivals: i32,
    pub stop_requested_by: Option<String>,
    pub requester: String,
    pub repository: String,
    pub powers: Powers,
    pub accepted_at: DateTime<Utc>,
    /// The model people chose for the thread.
    pub model: Option<String>,
    /// The ceiling people set for runs of the thread, in dollars.
    pub budget_usd: Option<f64>,
    /// When it had ended at a ceiling, and when somebody let it go on.
    pub continued: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// When the thread's run before this one was asked for; what was said until then is in its history.
    pub previous_at: Option<DateTime<Utc>>,
    /// The thread's own sandbox, when there is one: the provider's name and id.
    pub sandbox: Option<(String, String)>,
}

fn interval(span: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(span.as_micros()).unwrap_or(i64::MAX) }
}

/// Takes the lease of the thread whose unfinished run is the oldest that is due, and that run with it.
///
/// Runs of one thread are taken strictly in order: a later one waits until the earlier one is posted. A run whose request the gate
/// has not finished with is not taken: the gate may be writing the comment that the run would write to as well.
pub async fn take(pool: &PgPool, holder: &str, hold: Duration, now: DateTime<Utc>) -> Result<Option<Taken>, sqlx::Error> {
    take_of(pool, holder, hold, now, None).await
}

/// As [`take`], but only a run of this thread that somebody stopped before it was taken.
pub async fn take_stopped(
    pool: &PgPool,
    holder: &str,
    hold: Duration,
    now: DateTime<Utc>,
    thread: ThreadId,
) -> Result<Option<Taken>, sqlx::Error> {
    take_of(pool, holder, hold, now, Some(thread)).await
}

async fn take_of(
    pool: &PgPool,
    holder: &str,
    hold: Duration,
    now: DateTime<Utc>,
    stopped: Option<ThreadId>,
) -> Result<Option<Taken>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        with next as (
            select t.id as thread_id, r.id as run_id
            from runs r join threads t on t.id = r.thread_id
            where r.state <> 'posted' and r.next_try_at <= $3
              and (t.lease_until is null or t.lease_until < now())
              and ($4::uuid is null or (t.id = $4 and r.state = 'queued' and r.stop_requested_by is not null))
              and not exists (
                select 1 from runs e where e.thread_id = r.thread_id and e.id < r.id and e.state <> 'posted'
              )
              and not exists (select 1 from inbox i where i.id = r.inbox_id and i.state = 'new')
            order by r.id limit 1
            for update of t skip locked
        ), lease as (
            update threads set lease_epoch = lease_epoch + 1, lease_until = now() + $2::interval, lease_holder = $1
            from next where threads.id = next.thread_id
            returning threads.id, threads.lease_epoch, next.run_id, threads.model, threads.budget_usd
        )
        update runs set
            state = case runs.state when 'queued' then 'running' else runs.state end,
            attempt = runs.attempt + 1,
            lease_epoch = lease.lease_epoch,
            started_at = coalesce(runs.started_at, $3)
        from lease
        where runs.id = lease.run_id and runs.state <> 'posted'
        returning runs.id as "id: RunId", runs.thread_id as "thread: ThreadId", runs.lease_epoch as "epoch: LeaseEpoch",
            runs.message_id as "message: MessageId", runs.request as "request: Json<Request>", runs.task as "task: Json<Task>",
            runs.state as "state: RunState", runs.outcome as "outcome: Json<Outcome>", runs.attempt, runs.waits,
            runs.snapshot as "snapshot: Json<Snapshot>", runs.arrivals, runs.stop_requested_by, runs.requester,
            runs.repository, runs.powers as "powers: Powers", runs.created_at,
            lease.model, lease.budget_usd, runs.continued_from, runs.continued_at,
            (select max(e.created_at) from runs e
             where e.thread_id = runs.thread_id and e.id < runs.id and e.task->>'task' <> 'code') as previous_at,
            (select array[s.provider, s.id] from sandboxes s
             where s.thread_id = runs.thread_id and s.role = 'own' and s.state = 'ready' and s.id is not null
             order by s.used_at desc limit 1) as "sandbox: Vec<String>"
        "#,
        holder,
        interval(hold),
        now,
        stopped as Option<ThreadId>,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Taken {
        id: row.id,
        thread: row.thread,
        epoch: row.epoch,
        message: row.message,
        request: row.request.0,
        task: row.task.0,
        state: row.state,
        outcome: row.outcome.map(|outcome| outcome.0),
        attempt: row.attempt,
        waits: row.waits,
        snapshot: row.snapshot.map(|snapshot| snapshot.0),
        arrivals: row.arrivals,
        stop_requested_by: row.stop_requested_by,
        requester: row.requester,
        repository: row.repository,
        powers: row.powers,
        accepted_at: row.created_at,
        model: row.model,
        budget_usd: row.budget_usd,
        continued: row.continued_from.zip(row.continued_at),
        previous_at: row.previous_at,
        sandbox: row.sandbox.and_then(|sandbox| <[String; 2]>::try_from(sandbox).ok()).map(Into::into),
    }))
}

/// What keeping a lease came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// It is ours for longer.
    Kept {
        /// True when somebody wants the run to stop: the notification of it may have got lost.
        stop: bool,
    },
    /// Another worker has it.
    Lost,
}

/// Keeps the lease.
pub async fn renew(pool: &PgPool, run: RunId, epoch: LeaseEpoch, hold: Duration) -> Result<Renewed, sqlx::Error> {
    let stop = sqlx::query_scalar!(
        r#"
        update threads set lease_until = now() + $3::interval from runs
        where runs.id = $1 and threads.id = runs.thread_id and threads.lease_epoch = $2
        returning runs.stop_requested_by is not null as "stop!"
        "#,
        run as RunId,
        epoch as LeaseEpoch,
        interval(hold),
    )
    .fetch_optional(pool)
    .await?;
    Ok(stop.map_or(Renewed::Lost, |stop| Renewed::Kept { stop }))
}

/// Gives the lease back at once, so that another worker can go on (shutdown, or waiting for `not_before`). The attempt does not
/// count: only a worker that died or stalled uses one up.
pub async fn release(pool: &PgPool, run: RunId, epoch: LeaseEpoch, not_before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with run as (
            update runs set next_try_at = $3, attempt = attempt - (state = 'running')::int,
                waits = waits + (state = 'ended')::int where id = $1 and lease_epoch = $2 returning thread_id
        ), lease as (
            update threads set lease_until = null, lease_holder = null
            where id = (select thread_id from run) and lease_epoch = $2
            returning id
        )
        select job.id from lease, lateral jobs.add_job(
            'run_thread', json_build_object('thread_id', lease.id), run_at := $3, job_key := 'run:' || lease.id
        ) as job
        "#,
        run as RunId,
        epoch as LeaseEpoch,
        not_before,
    )
    .fetch_optional(pool)
    .await?;
    Ok(())
}

/// What the run's row says back at each save.
#[derive(Clone, Debug)]
pub struct Signals {
    /// Messages that joined so far.
    pub arrivals: i32,
    /// Who wants it to stop.
    pub stop_requested_by: Option<String>,
}

/// A line of the ledger.
#[derive(Clone, Debug)]
pub struct Spent {
    pub step: i32,
    pub model: String,
    pub usage: Usage,
    pub cost_usd: Option<f64>,
    /// What the tokens read from a cache would have cost more.
    pub saved_usd: Option<f64>,
}

/// What a save writes.
#[derive(Debug)]
pub struct Save<'a> {
    pub run: RunId,
    pub epoch: LeaseEpoch,
    pub snapshot: &'a Snapshot,
    /// Events since the last save, the first with this sequence.
    pub events: &'a [RunEvent],
    pub first_event: i32,
    /// The files these events tell of. Only a plain save stores them.
    pub attachments: &'a [NewAttachment],
    pub spent: Option<&'a Spent>,
    pub requester: &'a str,
    pub repository: &'a str,
    pub now: DateTime<Utc>,
}

/// Saves the snapshot, the new events and the ledger line in one statement. None when the lease was lost.
pub async fn save(pool: &PgPool, save: Save<'_>) -> Result<Option<Signals>, sqlx::Error> {
    let events = EventColumns::of(&save);
    let spent = SpentColumns::of(save.spent);
    let files = FileColumns::of(save.attachments);
    let row = sqlx::query!(
        r#"
        with run as (
            update runs set snapshot = $3, steps = $4, cost_usd = $5
            where id = $1 and lease_epoch = $2 and state = 'running'
            returning id, arrivals, stop_requested_by
        ), event as (
            insert into run_events (run_id, sequence, kind, data, at)
            select run.id, e.sequence, e.kind, e.data, $6
            from run, unnest($7::int[], $8::text[], $9::jsonb[]) as e (sequence, kind, data)
            on conflict do nothing
        ), spent as (
            insert into ledger (run_id, step, requester, repository, model, input, cached, output, estimated, cost_usd, written, saved_usd, at)
            select run.id, l.step, $10, $11, l.model, l.input, l.cached, l.output, l.estimated, l.cost_usd, l.written, l.saved_usd, $6
            from run, unnest($12::int[], $13::text[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bool[], $18::float8[],
                             $24::bigint[], $25::float8[])
                as l (step, model, input, cached, output, estimated, cost_usd, written, saved_usd)
            on conflict do nothing
        ), attachment as (
            insert into attachments (token, run_id, sequence, name, media_type, content, created_at)
            select a.token, run.id, a.sequence, a.name, a.media_type, a.content, $6
            from run, unnest($19::text[], $20::int[], $21::text[], $22::text[], $23::bytea[])
                as a (token, sequence, name, media_type, content)
            on conflict do nothing
        )
        select arrivals, stop_requested_by from run
        "#,
        save.run as RunId,
        save.epoch as LeaseEpoch,
        Json(save.snapshot) as _,
        save.snapshot.steps,
        save.snapshot.cost_usd,
        save.now,
        &events.sequences,
        &events.kinds,
        &events.data,
        save.requester,
        save.repository,
        &spent.steps,
        &spent.models,
        &spent.inputs,
        &spent.cached,
        &spent.outputs,
        &spent.estimated,
        &spent.costs as &[Option<f64>],
        &files.tokens,
        &files.events,
        &files.names,
        &files.media_types,
        &files.contents,
        &spent.written,
        &spent.saved as &[Option<f64>],
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Signals { arrivals: row.arrivals, stop_requested_by: row.stop_requested_by }))
}

/// How an attempt to end a run came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is ended.
    Ended,
    /// A message joined meanwhile, or the lease was lost: nothing was changed.
    Refused,
}

/// Ends a run and stores its conversation as messages of the thread, in one statement. `arrivals` is how many joined messages the
/// run has seen; when there are more, nothing happens, so that no message is lost between the last answer and the end.
/// Pass none to end whatever arrived (stop, limits, failures).
pub async fn end(pool: &PgPool, save: Save<'_>, outcome: &Outcome, arrivals: Option<i32>) -> Result<Ending, sqlx::Error> {
    let events = EventColumns::of(&save);
    let spent = SpentColumns::of(save.spent);
    let messages = MessageColumns::of(save.snapshot);
    let said = save.snapshot.conversation.iter().filter(|spoken| spoken.heard.is_none()).map(|spoken| &spoken.message);
    let measure = history::measure(said);
    let ended = sqlx::query_scalar!(
        r#"
        with run as (
            update runs set state = 'ended', outcome = $19, snapshot = $3, steps = $4, cost_usd = $5, ended_at = $6, next_try_at = $6,
                -- What it takes up in the history of its thread from now on.
                reduced = asked.size + $27 > $29,
                size = case when asked.size + $27 > $29 then least(asked.size + $28, $29) else asked.size + $27 end
            from (select coalesce(sum(least(length(parts::text), $29)), 0) as size from messages where id = any($25)) asked
            where id = $1 and lease_epoch = $2 and state = 'running' and ($20::int is null or arrivals = $20)
            returning id, thread_id
        ), event as (
            insert into run_events (run_id, sequence, kind, data, at)
            select run.id, e.sequence, e.kind, e.data, $6
            from run, unnest($7::int[], $8::text[], $9::jsonb[]) as e (sequence, kind, data)
            on conflict do nothing
        ), spent as (
            insert into ledger (run_id, step, requester, repository, model, input, cached, output, estimated, cost_usd, written, saved_usd, at)
            select run.id, l.step, $10, $11, l.model, l.input, l.cached, l.output, l.estimated, l.cost_usd, l.written, l.saved_usd, $6
            from run, unnest($12::int[], $13::text[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bool[], $18::float8[],
                             $30::bigint[], $31::float8[])
                as l (step, model, input, cached, output, estimated, cost_usd, written, saved_usd)
            on conflict do nothing
        ), said as (
            insert into messages (id, thread_id, run_id, place_in_run, role, parts, created_at)
            select m.id, run.thread_id, run.id, m.place, m.role, m.parts, $6
            from run, unnest($21::uuid[], $22::int[], $23::text[], $24::jsonb[]) as m (id, place, role, parts)
            on conflict do nothing
        ), heard as (
            update messages set run_id = run.id, place_in_run = h.place
            from run, unnest($25::uuid[], $26::int[]) as h (id, place)
            where messages.id = h.id
        )
        select id as "id: RunId" from run
        "#,
        save.run as RunId,
        save.epoch as LeaseEpoch,
        Json(save.snapshot) as _,
        save.snapshot.steps,
        save.snapshot.cost_usd,
        save.now,
        &events.sequences,
        &events.kinds,
        &events.data,
        save.requester,
        save.repository,
        &spent.steps,
        &spent.models,
        &spent.inputs,
        &spent.cached,
        &spent.outputs,
        &spent.estimated,
        &spent.costs as &[Option<f64>],
        Json(outcome) as _,
        arrivals,
        &messages.said_ids as &[MessageId],
        &messages.said_places,
        &messages.said_roles,
        &messages.said_parts,
        &messages.heard_ids as &[MessageId],
        &messages.heard_places,
        i64::try_from(measure.whole).unwrap_or(i64::MAX),
        i64::try_from(measure.spoken).unwrap_or(i64::MAX),
        i32::try_from(history::LARGEST_RUN).unwrap_or(i32::MAX),
        &spent.written,
        &spent.saved as &[Option<f64>],
    )
    .fetch_optional(pool)
    .await?;
    Ok(if ended.is_some() { Ending::Ended } else { Ending::Refused })
}

/// Marks a run's end as visible and gives the lease back, in one statement. False when the lease was lost.
/// A thread without a title gets a job to find one, after its first few runs. What is due to be condensed is kept count of.
pub async fn posted(pool: &PgPool, run: RunId, epoch: LeaseEpoch) -> Result<bool, sqlx::Error> {
    let done = sqlx::query_scalar!(
        r#"
        with run as (
            update runs set state = 'posted' where id = $1 and lease_epoch = $2 and state = 'ended'
            returning id, thread_id, steps, snapshot->'cites' as cites
        ), shown as (
            -- Snapshots go; which runs were shown something is still to be known when it is forgotten.
            insert into run_events (run_id, sequence, kind, data, at)
            select id, -1, 'remembered', jsonb_build_object('kind', 'remembered', 'cites', cites), now()
            from run where jsonb_array_length(cites) > 0
            on conflict (run_id, sequence) do update set data = excluded.data
        ), lease as (
            update threads set lease_until = null, lease_holder = null,
                title_tries = title_tries + (title is null and (select steps from run) > 0)::int,
                -- Added up anew, so that it is right whatever happened before. Condensing keeps these runs few.
                uncondensed = (select coalesce(sum(r.size), 0) from histories h join runs r on r.thread_id = h.source_id and r.id <= h.until
                               where h.thread_id = threads.id and (condensed_until is null or r.id > condensed_until))
            where id = (select thread_id from run) and lease_epoch = $2
            returning id, title, title_tries
        ), name as (
            select job.id from run, lease, lateral jobs.add_job(
                'title_thread', json_build_object('thread_id', lease.id), job_key := 'title:' || lease.id, max_attempts := 3
            ) as job
            where lease.title is null and run.steps > 0 and lease.title_tries <= $3
        )
        select count(*) + 0 * (select count(*) from name) as "count!" from lease
        "#,
        run as RunId,
        epoch as LeaseEpoch,
        TITLE_TRIES,
    )
    .fetch_one(pool)
    .await?;
    Ok(done == 1)
}

/// A run whose outcome is stored, with all that the answer is made of.
#[derive(Debug)]
pub struct Record {
    pub outcome: Outcome,
    pub snapshot: Snapshot,
    pub events: Vec<RunEvent>,
    pub ended_at: DateTime<Utc>,
}

/// The record of an ended run.
pub async fn record(pool: &PgPool, run: RunId) -> Result<Option<Record>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select r.outcome as "outcome!: Json<Outcome>", r.snapshot as "snapshot!: Json<Snapshot>", r.ended_at as "ended_at!",
               coalesce((select jsonb_agg(e.data order by e.sequence) from run_events e where e.run_id = r.id), '[]')
                   as "events!: Json<Vec<RunEvent>>"
        from runs r where r.id = $1 and r.outcome is not null and r.snapshot is not null
        "#,
        run as RunId,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Record { outcome: row.outcome.0, snapshot: row.snapshot.0, events: row.events.0, ended_at: row.ended_at }))
}

/// What a run has executed so far, in order.
pub async fn executions(pool: &PgPool, run: RunId) -> Result<Vec<Execution>, sqlx::Error> {
    let rows = sqlx::query_scalar!(
        r#"select data->'execution' as "execution!: Json<Execution>" from run_events
           where run_id = $1 and kind = 'acted' and jsonb_typeof(data->'execution') = 'object' order by sequence"#,
        run as RunId,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|execution| execution.0).collect())
}

/// A message that joined a run.
#[derive(Debug)]
pub struct Arrival {
    pub id: MessageId,
    pub request: Request,
}

/// The messages that joined the run, in order, without those it has already seen.
pub async fn arrivals(pool: &PgPool, run: RunId, seen: &[MessageId]) -> Result<Vec<Arrival>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select m.id as "id: MessageId", i.request as "request: Json<Request>"
        from messages m join inbox i on i.message_id = m.id
        where m.run_id = $1 and m.place_in_run is null and m.id <> all($2)
        order by i.sequence
        "#,
        run as RunId,
        seen as &[MessageId],
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| Arrival { id: row.id, request: row.request.0 }).collect())
}

/// Dollars spent since `day`, by everybody, by one person, and in one repository.
pub async fn spent_since(
    pool: &PgPool,
    day: DateTime<Utc>,
    requester: &str,
    repository: &str,
) -> Result<policy::Spent, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select coalesce(sum(cost_usd), 0) as "everybody!",
               coalesce(sum(cost_usd) filter (where requester = $2), 0) as "person!",
               coalesce(sum(cost_usd) filter (where repository = $3), 0) as "repository!",
               (select count(*) from runs where state = 'running') as "running!"
        from ledger where at >= $1
        "#,
        day,
        requester,
        repository,
    )
    .fetch_one(pool)
    .await?;
    Ok(policy::Spent { everybody: row.everybody, person: row.person, repository: row.repository, running: row.running })
}

/// Dollars since some time, for people who look after the service.
#[derive(Clone, Copy, Debug)]
pub struct Overview {
    /// Spent, for whatever.
    pub everything: f64,
    /// The part of it that vectors of memory cost.
    pub embedding: f64,
    /// What prompts would have cost more without the caches of the providers.
    pub saved: f64,
}

/// What was spent since `day`, and what caches saved. Prices that are not known count nothing.
pub async fn spent_with_caches(pool: &PgPool, day: DateTime<Utc>) -> Result<Overview, sqlx::Error> {
    sqlx::query_as!(
        Overview,
        r#"
        select coalesce(sum(cost_usd), 0) as "everything!",
               coalesce(sum(cost_usd) filter (where purpose = 'embedding'), 0) as "embedding!",
               coalesce(sum(saved_usd), 0) as "saved!"
        from ledger where at >= $1
        "#,
        day,
    )
    .fetch_one(pool)
    .await
}

struct EventColumns {
    sequences: Vec<i32>,
    kinds: Vec<String>,
    data: Vec<serde_json::Value>,
}

impl EventColumns {
    fn of(save: &Save<'_>) -> Self {
        let mut columns = Self { sequences: Vec::new(), kinds: Vec::new(), data: Vec::new() };
        for (sequence, event) in (save.first_event..).zip(save.events) {
            columns.sequences.push(sequence);
            columns.kinds.push(event.kind().to_owned());
            let mut data = event.to_json();
            storable::json(&mut data);
            columns.data.push(data);
        }
        columns
    }
}

#[derive(Default)]
struct FileColumns {
    tokens: Vec<String>,
    events: Vec<i32>,
    names: Vec<String>,
    media_types: Vec<String>,
    contents: Vec<Vec<u8>>,
}

impl FileColumns {
    fn of(attachments: &[NewAttachment]) -> Self {
        let mut columns = Self::default();
        for attachment in attachments {
            columns.tokens.push(attachment.token.clone());
            columns.events.push(attachment.event);
            columns.names.push(attachment.name.clone());
            columns.media_types.push(attachment.media_type.clone());
            columns.contents.push(attachment.content.to_vec());
        }
        columns
    }
}

#[derive(Default)]
struct SpentColumns {
    steps: Vec<i32>,
    models: Vec<String>,
    inputs: Vec<i64>,
    cached: Vec<i64>,
    outputs: Vec<i64>,
    estimated: Vec<bool>,
    costs: Vec<Option<f64>>,
    written: Vec<i64>,
    saved: Vec<Option<f64>>,
}

impl SpentColumns {
    fn of(spent: Option<&Spent>) -> Self {
        let Some(spent) = spent else { return Self::default() };
        let count = |tokens: u64| vec![i64::try_from(tokens).unwrap_or(i64::MAX)];
        Self {
            steps: vec![spent.step],
            models: vec![spent.model.clone()],
            inputs: count(spent.usage.input),
            cached: count(spent.usage.cached),
            outputs: count(spent.usage.output),
            estimated: vec![spent.usage.estimated],
            costs: vec![spent.cost_usd],
            written: count(spent.usage.written),
            saved: vec![spent.saved_usd],
        }
    }
}

#[derive(Default)]
struct MessageColumns {
    said_ids: Vec<MessageId>,
    said_places: Vec<i32>,
    said_roles: Vec<String>,
    said_parts: Vec<serde_json::Value>,
    heard_ids: Vec<MessageId>,
    heard_places: Vec<i32>,
}

impl MessageColumns {
    /// Messages by people are in the table since they arrived and only get their place; the others are new.
    fn of(snapshot: &Snapshot) -> Self {
        let mut columns = Self::default();
        for (place, spoken) in (0..).zip(&snapshot.conversation) {
            if let Some(id) = spoken.heard {
                columns.heard_ids.push(id);
                columns.heard_places.push(place);
                continue;
            }
            let role = match spoken.message.role {
                Role::User => "user",
                Role::Assistant => "assistant",
                Role::Tool => "tool",
            };
            columns.said_ids.push(spoken.id);
            columns.said_places.push(place);
            columns.said_roles.push(role.to_owned());
            columns.said_parts.push(serde_json::to_value(&spoken.message.parts).unwrap_or_default());
        }
        columns
    }
}

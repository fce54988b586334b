//! Empties the rows of what is forgotten: all tables that hold words, in one transaction for a batch.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::echoes;
use crate::id::RunId;
use crate::memory::branch::store as branch;
use crate::memory::forget::store;

type Tx<'t> = Transaction<'t, Postgres>;

/// What emptying a batch came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::memory::forget) enum Emptied {
    /// Nothing was touched: a run that belongs to it is at work, and was asked to stop.
    Busy,
    /// So many messages and runs.
    Done { messages: u64, runs: u64 },
}

/// What is emptied at once.
#[derive(Debug, Default)]
pub(in crate::memory::forget) struct Batch {
    /// Words, of people or the agent.
    pub messages: Vec<Uuid>,
    /// Runs whose agent's side goes, too.
    pub answers: Vec<Uuid>,
    /// Who wants it.
    pub by: String,
}

/// Empties messages with the runs they asked for and everything made of them. Runs that were shown any of it are asked for in their turn.
pub(in crate::memory::forget) async fn empty(tx: &mut Tx<'_>, batch: Batch, now: DateTime<Utc>) -> Result<Emptied, sqlx::Error> {
    let Batch { messages, mut answers, by } = batch;
    // Whoever indexes them waits, and finds them forgotten.
    sqlx::query!("select id from messages where id = any($1) order by id for update", &messages).fetch_all(&mut **tx).await?;
    let whole = whole_runs(tx, &messages).await?;
    answers.extend(&whole);
    answers.extend(joined_runs(tx, &messages).await?);
    answers.sort_unstable();
    answers.dedup();
    if stop_unfinished(tx, &answers, &whole, &by).await? {
        return Ok(Emptied::Busy);
    }
    let mut all = agent_messages(tx, &answers).await?;
    all.extend(&messages);
    all.sort_unstable();
    all.dedup();
    let shown = shown_to(tx, &all, &answers, now).await?;
    store::ask_answers(tx, &shown, &by, now).await?;
    branch::hold(tx).await?;
    let threads = threads_of(tx, &all, &answers).await?;
    let branches = branch::in_view(tx, &all, &answers).await?;
    forget_answers(tx, &answers, now).await?;
    forget_titles(tx, &threads).await?;
    let all_threads = [threads.as_slice(), &branches].concat();
    forget_derived(tx, &all, &answers, &all_threads).await?;
    forget_requests(tx, &messages, &whole, now).await?;
    echoes::forget(tx, &messages, &by, now).await?;
    let emptied = sqlx::query!(
        "update messages set parts = '[]', author = null, url = null, indexed = true, place_in_run = null, forgotten_at = $2
         where id = any($1) and forgotten_at is null",
        &all,
        now,
    )
    .execute(&mut **tx)
    .await?;
    forget_quotes(tx, &all_threads, &by, now).await?;
    release_workspaces(tx, &threads).await?;
    Ok(Emptied::Done { messages: emptied.rows_affected(), runs: answers.len() as u64 })
}

/// The runs that messages asked for, retries of these, and what an approval of theirs began.
async fn whole_runs(tx: &mut Tx<'_>, messages: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        with recursive whole as (
            select id from runs where message_id = any($1)
            union
            select r.id from whole w join runs f on f.id = w.id join runs r on r.thread_id = f.thread_id and r.id <> f.id
            where r.forgotten_at is null and f.request->>'text' <> '' and (
                r.request->>'text' = f.request->>'text' and r.request->>'written_at' = f.request->>'written_at'
                or r.approval_id in (select a.id from approvals a where a.run_id = f.id)
            )
        )
        select id as "id!" from whole
        "#,
        messages,
    )
    .fetch_all(&mut **tx)
    .await
}

/// The runs that have read messages, or said them.
async fn joined_runs(tx: &mut Tx<'_>, messages: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select distinct m.run_id as "run!" from messages m join runs r on r.id = m.run_id where m.id = any($1)"#,
        messages,
    )
    .fetch_all(&mut **tx)
    .await
}

/// True when some are not over; those that go as a whole are asked to stop.
async fn stop_unfinished(tx: &mut Tx<'_>, answers: &[Uuid], whole: &[Uuid], by: &str) -> Result<bool, sqlx::Error> {
    let unfinished =
        sqlx::query_scalar!(r#"select id as "id!" from runs where id = any($1) and state <> 'posted' for update"#, answers,)
            .fetch_all(&mut **tx)
            .await?;
    let stopped: Vec<Uuid> = unfinished.iter().filter(|run| whole.contains(run)).copied().collect();
    stop(tx, &stopped, by).await?;
    Ok(!unfinished.is_empty())
}

/// Asks runs to stop and tells their workers.
pub(in crate::memory::forget) async fn stop(tx: &mut Tx<'_>, runs: &[Uuid], by: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with stopped as (
            update runs set stop_requested_by = coalesce(stop_requested_by, $2)
            where id = any($1) and state in ('queued', 'running') returning id
        )
        select count(pg_notify('threadbox_stop', id::text)) from stopped
        "#,
        runs,
        by,
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(())
}

/// What the agent and its tools said in runs.
async fn agent_messages(tx: &mut Tx<'_>, runs: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select id as "id!" from messages where run_id = any($1) and author_id is null and forgotten_at is null"#,
        runs,
    )
    .fetch_all(&mut **tx)
    .await
}

/// Other runs that were shown any of this from memory. Snapshots tell it of runs at work and of the last days, events of all.
async fn shown_to(tx: &mut Tx<'_>, messages: &[Uuid], but: &[Uuid], now: DateTime<Utc>) -> Result<Vec<RunId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select r.id as "id!: RunId" from (
            select e.run_id from unnest($1::uuid[]) as gone (id)
            join run_events e on e.kind = 'remembered'
                and e.data @> jsonb_build_object('cites', jsonb_build_array(jsonb_build_object('message', gone.id)))
            union
            select s.id from runs s
            where s.created_at > $3::timestamptz - interval '60 days' and s.snapshot ? 'cites' and s.repository in (
                select t.owner from messages m join threads t on t.id = m.thread_id where m.id = any($1)
            ) and exists (
                select 1 from jsonb_array_elements(s.snapshot->'cites') as cite where (cite->>'message')::uuid = any($1)
            )
        ) as shown (id) join runs r on r.id = shown.id
        where r.answer_forgotten_at is null and r.id <> all($2)
        "#,
        messages,
        but,
        now,
    )
    .fetch_all(&mut **tx)
    .await
}

async fn threads_of(tx: &mut Tx<'_>, messages: &[Uuid], runs: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select thread_id as "id!" from messages where id = any($1)
        union
        select thread_id from runs where id = any($2)
        "#,
        messages,
        runs,
    )
    .fetch_all(&mut **tx)
    .await
}

/// What was made of messages: pieces with their vectors, lines kept in mind and observations, in their threads and in branches of these.
async fn forget_derived(tx: &mut Tx<'_>, messages: &[Uuid], runs: &[Uuid], threads: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from memories where message_id = any($1)", messages).execute(&mut **tx).await?;
    forget_lines(tx, messages, threads).await?;
    let condensed = condensed_with(tx, messages, runs, threads).await?;
    condense_again(tx, &condensed).await
}

/// Those of `threads` whose observations were made with any of these messages or runs in view.
pub(in crate::memory::forget) async fn condensed_with(
    tx: &mut Tx<'_>,
    messages: &[Uuid],
    runs: &[Uuid],
    threads: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select t.id as "id!" from threads t where t.id = any($1) and (
            exists (select 1 from observations o where o.thread_id = t.id and o.cites && $2)
            or exists (
                select 1 from histories h join runs r on r.thread_id = h.source_id and r.id <= h.until
                where h.thread_id = t.id and r.id = any($3) and r.id <= t.condensed_until)
        )
        "#,
        threads,
        messages,
        runs,
    )
    .fetch_all(&mut **tx)
    .await
}

/// The titles a model found for threads, and what we called them on Discord, which began with somebody's words.
async fn forget_titles(tx: &mut Tx<'_>, threads: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!("update threads set title = null where id = any($1) and title is not null and titled_by is null", threads)
        .execute(&mut **tx)
        .await?;
    sqlx::query!(
        "update discord_talks set names = '{}' where thread_id = any($1) and names <> '{}'
           and thread_id in (select id from threads where titled_by is null)",
        threads,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Lines of working memory that come from these messages; each line holds the id of its source.
pub(in crate::memory::forget) async fn forget_lines(
    tx: &mut Tx<'_>,
    messages: &[Uuid],
    threads: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update working_memories w set version = version + 1, lines = coalesce((
            select jsonb_agg(line order by place) from jsonb_array_elements(w.lines) with ordinality as l (line, place)
            where not exists (select 1 from unnest($1::uuid[]) as gone (id) where position(gone.id::text in line::text) > 0)
        ), '[]')
        where jsonb_typeof(w.lines) = 'array' and (
            w.scope = 'thread' and w.key in (select id::text from unnest($2::uuid[]) as t (id))
            -- A guild's channels that not everybody reads have a memory of their own.
            or w.scope = 'owner' and exists (
                select 1 from threads t where t.id = any($2) and (w.key = t.owner or starts_with(w.key, t.owner || ':')))
        ) and exists (select 1 from unnest($1::uuid[]) as gone (id) where position(gone.id::text in w.lines::text) > 0)
        "#,
        messages,
        threads,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The observations of threads go, and what is left is condensed anew by somebody else than who may be at it: each may have been made with the
/// others in view.
pub(in crate::memory) async fn condense_again(tx: &mut Tx<'_>, threads: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from observations where thread_id = any($1)", threads).execute(&mut **tx).await?;
    sqlx::query!(
        "update threads set condensed_until = null, condensing_until = null, condensing_failures = 0, condense_at = null,
             uncondensed = (select coalesce(sum(r.size), 0) from histories h join runs r on r.thread_id = h.source_id and r.id <= h.until
                            where h.thread_id = threads.id)
         where id = any($1)",
        threads,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The agent's side of runs that are over. The kind of the outcome, times and money stay.
async fn forget_answers(tx: &mut Tx<'_>, runs: &[Uuid], now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update runs set snapshot = null, size = null, reduced = false, answer_forgotten_at = coalesce(answer_forgotten_at, $2), outcome = case outcome->>'outcome'
            when 'needs_answer' then '{"outcome": "needs_answer", "question": "", "options": []}'
            when 'withdrawn' then '{"outcome": "withdrawn", "why": ""}'
            when 'stopped' then '{"outcome": "stopped", "by": ""}'
            when 'failed' then jsonb_build_object('outcome', 'failed', 'reason', '', 'report', id)
            when 'limit' then outcome - 'reckoning'
            else outcome end
        where id = any($1)
        "#,
        runs,
        now,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!("delete from run_events where run_id = any($1)", runs).execute(&mut **tx).await?;
    sqlx::query!("delete from attachments where run_id = any($1)", runs).execute(&mut **tx).await?;
    sqlx::query!("delete from pictures where run_id = any($1)", runs).execute(&mut **tx).await?;
    sqlx::query!("delete from run_beginnings where run_id = any($1)", runs).execute(&mut **tx).await?;
    sqlx::query!("delete from landing_approvals where run_id = any($1)", runs).execute(&mut **tx).await?;
    sqlx::query!("delete from findings where run_id = any($1)", runs).execute(&mut **tx).await?;
    sqlx::query!("update reviews set plan = null, told = null where run_id = any($1)", runs).execute(&mut **tx).await?;
    sqlx::query!(
        r#"
        update landings set title = '', body = '', left_out = '[]', commits = coalesce((
            select jsonb_agg(made || '{"subject": ""}' order by place) from jsonb_array_elements(commits) with ordinality as c (made, place)
        ), '[]')
        where run_id = any($1)
        "#,
        runs,
    )
    .execute(&mut **tx)
    .await?;
    // What waits is taken back first: people see it in its comment, which still has to say so.
    sqlx::query!(
        "update approvals set state = 'void', why = 'What it was about was deleted.', told = false where run_id = any($1) and state = 'waiting'",
        runs,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!("delete from approvals where run_id = any($1) and (told or shown is null)", runs).execute(&mut **tx).await?;
    Ok(())
}

/// What people asked for. What is left can be read as a request that says nothing.
async fn forget_requests(tx: &mut Tx<'_>, messages: &[Uuid], runs: &[Uuid], now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update runs set forgotten_at = coalesce(forgotten_at, $2), task = '{"task": "ask", "text": ""}',
            request = ((request #- '{place,repository,login}') - '{head,review_thread,asks,opened_by,with}'::text[]) || jsonb_build_object('text', '', 'title', '', 'body', null, 'url', '',
                'author', request->'author' || '{"login": ""}')
        where id = any($1)
        "#,
        runs,
        now,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        r#"
        update inbox set
            request = ((request #- '{place,repository,login}') - '{head,review_thread,asks,opened_by,with}'::text[]) || jsonb_build_object('text', '', 'title', '', 'body', null, 'url', '',
                'author', request->'author' || '{"login": ""}')
        where message_id = any($1)
        "#,
        messages,
    )
    .execute(&mut **tx)
    .await?;
    // Without a run of its own: what somebody without permission wrote waits for a yes.
    sqlx::query!(
        r#"
        update approvals set state = 'void', why = 'What it was about was deleted.', told = false
        where state = 'waiting' and run_id is null
          and key in (select 'outsider-' || i.id from inbox i where i.message_id = any($1))
        "#,
        messages,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        r#"delete from approvals where run_id is null and (told or shown is null)
           and key in (select 'outsider-' || i.id from inbox i where i.message_id = any($1))"#,
        messages,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Snapshots of other runs of the thread quote the conversation. Those of runs at work, what is being condensed just now and approvals
/// whose comment is still to be edited are looked at again when they are over.
async fn forget_quotes(tx: &mut Tx<'_>, threads: &[Uuid], by: &str, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    forget_snapshots(tx, threads).await?;
    let busy = sqlx::query_scalar!(
        r#"
        select t.id as "id!" from threads t where t.id = any($1) and (
            t.condensing_until > now() or exists (select 1 from runs r where r.thread_id = t.id and r.state <> 'posted')
            or exists (select 1 from approvals a where a.thread_id = t.id and a.state = 'void' and not a.told)
            or t.lease_until > now() and exists (select 1 from sandboxes s where s.thread_id = t.id)
        )
        "#,
        threads,
    )
    .fetch_all(&mut **tx)
    .await?;
    for thread in busy {
        store::ask_in(tx, &super::super::Target::Quotes(thread.into()), by, now).await?;
    }
    Ok(())
}

pub(in crate::memory::forget) async fn forget_snapshots(tx: &mut Tx<'_>, threads: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update runs set snapshot = null where thread_id = any($1) and state = 'posted' and snapshot is not null",
        threads,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The workspaces of threads of which nothing is left: the sweep removes them, as it does those of threads that are not there.
pub(in crate::memory::forget) async fn release_workspaces(tx: &mut Tx<'_>, threads: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update sandboxes s set thread_id = null, base = null, baseline = null, checkpoint = null, checkout = null, lost_note = null,
            role = case role when 'own' then 'extra' else role end
        where s.thread_id = any($1)
          and not exists (select 1 from messages m where m.thread_id = s.thread_id and m.forgotten_at is null)
          and not exists (select 1 from runs r where r.thread_id = s.thread_id and r.state <> 'posted')
          and not exists (select 1 from threads t where t.id = s.thread_id and t.lease_until > now())
        "#,
        threads,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

//! The tables of memory as records, in pages that go on where the last one ended.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::{After, Counts, Listed, Page, Summary};
use crate::id::ThreadId;

/// Records of a page where they are small.
pub(super) const PAGE: i64 = 200;
/// Where one may hold what a program printed.
const FEW: i64 = 25;

fn page(rows: Vec<(Uuid, i32, Value)>, most: i64) -> Page {
    let full = i64::try_from(rows.len()).is_ok_and(|rows| rows == most);
    let next = rows.last().filter(|_| full).map(|(id, number, _)| (*id, *number));
    Page { records: rows.into_iter().map(|(_, _, record)| record).collect(), next }
}

fn id_of(after: Option<(Uuid, i32)>) -> Uuid {
    after.map_or(Uuid::nil(), |(id, _)| id)
}

pub(super) async fn list(pool: &PgPool, listed: &Listed, after: Option<After>, most: i64) -> Result<Vec<Summary>, sqlx::Error> {
    sqlx::query_as!(
        Summary,
        r#"
        select t.id, t.owner, t.title, t.state, t.created_at, t.updated_at,
            array(select coalesce(s.place->>'repository', s.surface) || '#' || coalesce(s.place->>'number', s.key)
                  from surfaces s where s.thread_id = t.id order by s.surface, s.key limit 20) as "places!",
            (select count(*) from messages m where m.thread_id = t.id and m.forgotten_at is null) as "messages!",
            (select count(*) from runs r where r.thread_id = t.id) as "runs!"
        from threads t
        where ($1::text is null or t.owner = $1)
          and ($2::timestamptz is null or (t.updated_at, t.id) < ($2, $3::uuid))
          and ($5::timestamptz is null or t.updated_at >= $5) and ($6::timestamptz is null or t.updated_at < $6)
          and ($7::text is null or t.state = $7)
          and ($8::text is null or exists (
            select from surfaces s where s.thread_id = t.id
              and lower(coalesce(s.place->>'repository', s.surface) || '#' || coalesce(s.place->>'number', s.key)) = lower($8)))
        order by t.updated_at desc, t.id desc limit $4
        "#,
        listed.owner.as_deref(),
        after.map(|after| after.updated_at) as Option<DateTime<Utc>>,
        after.map(|after| after.id) as Option<Uuid>,
        most,
        listed.period.since,
        listed.period.until,
        listed.state.as_deref(),
        listed.place.as_deref(),
    )
    .fetch_all(pool)
    .await
}

pub(super) async fn is_known(pool: &PgPool, thread: ThreadId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select exists (select 1 from threads where id = $1) as "known!""#, thread as ThreadId)
        .fetch_one(pool)
        .await
}

pub(super) async fn summary(pool: &PgPool, thread: ThreadId) -> Result<Option<Summary>, sqlx::Error> {
    sqlx::query_as!(
        Summary,
        r#"
        select t.id, t.owner, t.title, t.state, t.created_at, t.updated_at,
            array(select coalesce(s.place->>'repository', s.surface) || '#' || coalesce(s.place->>'number', s.key)
                  from surfaces s where s.thread_id = t.id order by s.surface, s.key limit 20) as "places!",
            (select count(*) from messages m where m.thread_id = t.id and m.forgotten_at is null) as "messages!",
            (select count(*) from runs r where r.thread_id = t.id) as "runs!"
        from threads t where t.id = $1
        "#,
        thread as ThreadId,
    )
    .fetch_optional(pool)
    .await
}

pub(super) async fn lines(pool: &PgPool, scope: &str, key: &str) -> Result<Vec<Value>, sqlx::Error> {
    let rows = sqlx::query_scalar!(
        r#"
        select line as "line!: Value" from working_memories w, jsonb_array_elements(
            case when jsonb_typeof(w.lines) = 'array' then w.lines else jsonb_build_array(w.lines) end
        ) as line where w.scope = $1 and w.key = $2
        "#,
        scope,
        key,
    );
    rows.fetch_all(pool).await
}

pub(super) async fn observations(
    pool: &PgPool,
    thread: ThreadId,
    after: Option<(Uuid, i32)>,
    most: i64,
) -> Result<Page, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select id, sequence, jsonb_build_object('kind', 'observation', 'id', id, 'thread', thread_id, 'sequence', sequence, 'said_at', said_at,
            'text', text, 'cites', cites, 'current', current) as "record!"
        from observations where thread_id = $1 and sequence > $2 order by sequence limit $3
        "#,
        thread as ThreadId,
        after.map_or(-1, |(_, sequence)| sequence),
        most,
    )
    .fetch_all(pool)
    .await?;
    Ok(page(rows.into_iter().map(|row| (row.id, row.sequence, row.record)).collect(), most))
}

pub(super) async fn messages(pool: &PgPool, thread: ThreadId, after: Option<(Uuid, i32)>) -> Result<Page, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select id, jsonb_build_object('kind', 'message', 'id', id, 'thread', thread_id, 'run', run_id, 'place_in_run', place_in_run,
            'role', role, 'author', author, 'author_id', author_id, 'parts', parts, 'url', url, 'at', created_at) as "record!"
        from messages where thread_id = $1 and id > $2 and forgotten_at is null order by id limit $3
        "#,
        thread as ThreadId,
        id_of(after),
        FEW,
    )
    .fetch_all(pool)
    .await?;
    Ok(page(rows.into_iter().map(|row| (row.id, 0, row.record)).collect(), FEW))
}

pub(super) async fn runs(pool: &PgPool, thread: ThreadId, after: Option<(Uuid, i32)>) -> Result<Page, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select r.id, jsonb_build_object('kind', 'run', 'id', r.id, 'thread', r.thread_id, 'message', r.message_id, 'request', r.request,
            'task', r.task, 'state', r.state, 'outcome', r.outcome, 'powers', r.powers, 'steps', r.steps, 'cost_usd', r.cost_usd,
            'requester', r.requester, 'requester_id', r.requester_id, 'created_at', r.created_at, 'started_at', r.started_at,
            'ended_at', r.ended_at, 'stop_requested_by', r.stop_requested_by, 'forgotten_at', r.forgotten_at,
            'ledger', coalesce((select jsonb_agg(to_jsonb(l) - 'run_id' order by l.at, l.step) from ledger l where l.run_id = r.id), '[]'),
            'attachments', coalesce((select jsonb_agg(jsonb_build_object('name', a.name, 'media_type', a.media_type,
                'bytes', octet_length(a.content), 'at', a.created_at) order by a.sequence) from attachments a where a.run_id = r.id), '[]'),
            'landings', coalesce((select jsonb_agg(to_jsonb(l) - 'run_id' - 'thread_id' order by l.created_at)
                from landings l where l.run_id = r.id), '[]'),
            'findings', coalesce((select jsonb_agg(to_jsonb(f) - 'run_id' order by f.id) from findings f where f.run_id = r.id), '[]'),
            'approvals', coalesce((select jsonb_agg(jsonb_build_object('kind', a.kind, 'covers', a.covers, 'state', a.state, 'decided_by',
                a.decided_by, 'asked_at', a.asked_at, 'decided_at', a.decided_at)) from approvals a where a.run_id = r.id), '[]')
        ) as "record!"
        from runs r where r.thread_id = $1 and r.id > $2 order by r.id limit $3
        "#,
        thread as ThreadId,
        id_of(after),
        FEW,
    )
    .fetch_all(pool)
    .await?;
    Ok(page(rows.into_iter().map(|row| (row.id, 0, row.record)).collect(), FEW))
}

pub(super) async fn events(pool: &PgPool, thread: ThreadId, after: Option<(Uuid, i32)>) -> Result<Page, sqlx::Error> {
    let (run, sequence) = after.unwrap_or((Uuid::nil(), -1));
    let rows = sqlx::query!(
        r#"
        select e.run_id, e.sequence, jsonb_build_object('kind', 'event', 'run', e.run_id, 'sequence', e.sequence, 'at', e.at,
            'event', e.data) as "record!"
        from run_events e join runs r on r.id = e.run_id
        where r.thread_id = $1 and r.id >= $2 and (e.run_id, e.sequence) > ($2, $3)
        order by e.run_id, e.sequence limit $4
        "#,
        thread as ThreadId,
        run,
        sequence,
        PAGE,
    )
    .fetch_all(pool)
    .await?;
    Ok(page(rows.into_iter().map(|row| (row.run_id, row.sequence, row.record)).collect(), PAGE))
}

/// The owner's next thread; it is no record.
pub(super) async fn next_thread(pool: &PgPool, owner: &str, after: Option<ThreadId>) -> Result<Page, sqlx::Error> {
    let next = sqlx::query_scalar!(
        "select id from threads where owner = $1 and ($2::uuid is null or id > $2) order by id limit 1",
        owner,
        after as Option<ThreadId>,
    )
    .fetch_optional(pool)
    .await?;
    Ok(Page { records: Vec::new(), next: next.map(|thread| (thread, 0)) })
}

pub(super) async fn messages_of(pool: &PgPool, person: i64, after: Option<(Uuid, i32)>) -> Result<Page, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select id, jsonb_build_object('kind', 'message', 'id', id, 'thread', thread_id, 'run', run_id, 'author', author,
            'author_id', author_id, 'parts', parts, 'url', url, 'at', created_at) as "record!"
        from messages where author_id = $1 and id > $2 and forgotten_at is null order by id limit $3
        "#,
        person,
        id_of(after),
        PAGE,
    )
    .fetch_all(pool)
    .await?;
    Ok(page(rows.into_iter().map(|row| (row.id, 0, row.record)).collect(), PAGE))
}

/// Title and body are theirs where they opened the conversation.
pub(super) async fn runs_of(pool: &PgPool, person: i64, after: Option<(Uuid, i32)>) -> Result<Page, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select r.id, jsonb_build_object('kind', 'run', 'id', r.id, 'thread', r.thread_id, 'message', r.message_id,
            'title', case when r.request->'opened_by' = to_jsonb($1::bigint) then r.request->'title' end,
            'body', case when r.request->'opened_by' = to_jsonb($1::bigint) then r.request->'body' end,
            'asked_for_it', r.requester_id = $1, 'state', r.state, 'outcome', r.outcome->'outcome', 'steps', r.steps,
            'cost_usd', r.cost_usd, 'created_at', r.created_at, 'started_at', r.started_at, 'ended_at', r.ended_at,
            'ledger', coalesce((select jsonb_agg(to_jsonb(l) - 'run_id' order by l.at, l.step)
                from ledger l where l.run_id = r.id and r.requester_id = $1), '[]'),
            'attachments', coalesce((select jsonb_agg(jsonb_build_object('name', a.name, 'media_type', a.media_type,
                'bytes', octet_length(a.content), 'at', a.created_at) order by a.sequence)
                from attachments a where a.run_id = r.id and r.requester_id = $1), '[]')
        ) as "record!"
        from runs r where (r.requester_id = $1 or r.request->'opened_by' = to_jsonb($1::bigint)) and r.id > $2 order by r.id limit $3
        "#,
        person,
        id_of(after),
        PAGE,
    )
    .fetch_all(pool)
    .await?;
    Ok(page(rows.into_iter().map(|row| (row.id, 0, row.record)).collect(), PAGE))
}

/// Lines that come from what they said, by the id of their source.
pub(super) async fn lines_of(pool: &PgPool, person: i64) -> Result<Page, sqlx::Error> {
    let rows = sqlx::query_scalar!(
        r#"
        select jsonb_build_object('kind', 'working_memory', 'scope', w.scope, 'of', w.key, 'line', line) as "record!"
        from working_memories w, jsonb_array_elements(case when jsonb_typeof(w.lines) = 'array' then w.lines else '[]' end) as line
        where exists (
            select 1 from regexp_matches(line::text, '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', 'g') as source (ids)
            join messages m on m.id = source.ids[1]::uuid where m.author_id = $1
        )
        limit 10000
        "#,
        person,
    )
    .fetch_all(pool)
    .await?;
    Ok(Page { records: rows, next: None })
}

pub(super) async fn count_threads(pool: &PgPool, thread: Option<ThreadId>, owner: Option<&str>) -> Result<Counts, sqlx::Error> {
    sqlx::query_as!(
        Counts,
        r#"
        with these as (
            select id from threads where id = $1 or owner = $2
        )
        select (select count(*) from these) as "threads!",
            (select count(*) from messages m join these on these.id = m.thread_id where m.forgotten_at is null) as "messages!",
            (select count(*) from runs r join these on these.id = r.thread_id where r.forgotten_at is null) as "runs!",
            (select count(*) from runs r join these on these.id = r.thread_id join attachments a on a.run_id = r.id) as "attachments!",
            (select count(*) from memories m join these on these.id = m.thread_id) as "memories!"
        "#,
        thread as Option<ThreadId>,
        owner,
    )
    .fetch_one(pool)
    .await
}

pub(super) async fn count_person(pool: &PgPool, person: Option<i64>) -> Result<Counts, sqlx::Error> {
    sqlx::query_as!(
        Counts,
        r#"
        with these as (
            select id, thread_id from messages where author_id = $1 and forgotten_at is null
        ), asked as (
            select r.id from runs r join these on these.id = r.message_id
        )
        select (select count(distinct thread_id) from these) as "threads!", (select count(*) from these) as "messages!",
            (select count(*) from asked) as "runs!",
            (select count(*) from asked join attachments a on a.run_id = asked.id) as "attachments!",
            (select count(*) from memories m join these on these.id = m.message_id) as "memories!"
        "#,
        person,
    )
    .fetch_one(pool)
    .await
}

//! Counting what people take back, and the title and body of what they opened.

use sqlx::{PgPool, Postgres, Transaction};

use super::Amount;
use crate::id::{MessageId, ThreadId};
use crate::memory::forget::{Target, Words};

/// Of a thread or of an author, or of an author in a thread; of neither nothing. What goes already because of `asked` does not count, nor, where
/// there are `objects`, what stands in none of these.
pub(super) async fn amount(
    pool: &PgPool,
    thread: Option<ThreadId>,
    author: Option<i64>,
    asked: Option<&Target>,
    objects: Option<&[String]>,
    but: MessageId,
) -> Result<Amount, sqlx::Error> {
    sqlx::query_as!(
        Amount,
        r#"
        with said as (
            select m.id, m.thread_id, m.run_id from messages m
            where m.forgotten_at is null and m.id <> $3 and m.author_id is not null
              and (m.thread_id = $1 or ($1 is null and m.author_id = $2)) and ($2::bigint is null or m.author_id = $2)
              and not exists (
                select 1 from forgettings f where f.what = $4 and f.key = $5 and f.done_at is null and m.created_at <= f.asked_at)
              and ($6::text[] is null or m.id in (select i.message_id from inbox i where i.object = any($6)))
        ), gone as (
            select r.id, r.state from runs r join said on said.id = r.message_id
            union
            select r.id, r.state from runs r join said on said.run_id = r.id
        ), made as (
            select id from said union select m.id from messages m join gone on gone.id = m.run_id where m.author_id is null
        ), kept as (
            select w.lines from working_memories w where jsonb_typeof(w.lines) = 'array' and (
                w.scope = 'thread' and w.key in (select thread_id::text from said)
                or w.scope = 'owner' and exists (
                    select 1 from threads t join said on said.thread_id = t.id where w.key = t.owner or starts_with(w.key, t.owner || ':')))
        )
        select (select count(*) from said) as "messages!", (select count(*) from gone) as "runs!",
            (select count(*) from gone where state in ('queued', 'running')) as "at_work!",
            (select count(*) from memories p join made on made.id = p.message_id) as "passages!",
            (select count(*) from kept, jsonb_array_elements(kept.lines) as line
             where line->>'message' in (select id::text from made)) as "lines!"
        "#,
        thread as Option<ThreadId>,
        author,
        but as MessageId,
        asked.map(Target::what),
        asked.map(Target::key),
        objects,
    )
    .fetch_one(pool)
    .await
}

pub(super) async fn is_alone(pool: &PgPool, thread: ThreadId, author: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select not exists (
               select 1 from messages where thread_id = $1 and author_id <> $2 and forgotten_at is null) as "alone!""#,
        thread as ThreadId,
        author,
    )
    .fetch_one(pool)
    .await
}

/// Title and body of what somebody opened, in what others asked for there.
pub(in crate::memory::forget) async fn opened(pool: &PgPool, words: Words) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    forget_opened(&mut tx, words.author, words.thread).await?;
    tx.commit().await
}

/// The same of all threads where none is named.
pub(in crate::memory::forget) async fn forget_opened(
    tx: &mut Transaction<'_, Postgres>,
    author: i64,
    thread: Option<ThreadId>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"update runs set snapshot = null, request = request - 'opened_by' || '{"title": "", "body": null}'
           where request->'opened_by' = to_jsonb($1::bigint) and state = 'posted' and ($2::uuid is null or thread_id = $2)"#,
        author,
        thread as Option<ThreadId>,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        r#"update inbox set request = request - 'opened_by' || '{"title": "", "body": null}'
           where request->'opened_by' = to_jsonb($1::bigint) and state <> 'new' and ($2::uuid is null or thread_id = $2)"#,
        author,
        thread as Option<ThreadId>,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

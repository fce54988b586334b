//! Everything that holds the earlier words of a thing gets those it has now.

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::id::ThreadId;
use crate::memory::branch::store as branch;
use crate::memory::forget::rows::store::{condense_again, condensed_with, forget_lines, forget_snapshots};
use crate::memory::forget::{Target, store as queue};

type Tx<'t> = Transaction<'t, Postgres>;

/// False while something that was asked for with a thing is under way.
pub(super) async fn can_be_reworded(pool: &PgPool, object: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select not exists (
            select 1 from inbox i where i.object = $1 and (i.state = 'new' or exists (
                select 1 from runs r join messages m on m.id = i.message_id
                where r.state <> 'posted' and (r.message_id = m.id or r.id = m.run_id)
            ) or exists (
                -- Somebody approved these words, or may: that they were edited is found by comparing.
                select 1 from approvals a left join runs r on r.approval_id = a.id
                where a.key = 'outsider-' || i.id and (a.state = 'waiting' or not a.told or r.state <> 'posted')))
        ) as "can!"
        "#,
        object,
    )
    .fetch_one(pool)
    .await
}

/// Everything that holds the earlier words of a thing gets those it has now, and what was made of them goes. A message that came after
/// the edit has words nobody can read any more: it is emptied. What is still to be decided about, or at work, is left alone: it holds the
/// words it was made with. False when there is no such message.
pub(super) async fn reword(
    tx: &mut Tx<'_>,
    object: &str,
    edited_at: DateTime<Utc>,
    by: &str,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    // Written down after the edit was, and older than it: its delivery came late.
    let messages = sqlx::query_scalar!(
        r#"
        update messages m set indexed = false, parts = case when m.created_at > $2 then '[]' else m.parts end
        from inbox i left join changes c on c.surface = 'github' and c.object = i.object
        where i.object = $1 and i.message_id = m.id and m.forgotten_at is null
          and (i.request->>'written_at')::timestamptz <= coalesce(c.edited_at, $2)
          -- It may have arrived since somebody looked.
          and i.state <> 'new'
          and not exists (select 1 from runs r where r.state <> 'posted' and (r.message_id = m.id or r.id = m.run_id))
        returning m.id
        "#,
        object,
        edited_at,
    )
    .fetch_all(&mut **tx)
    .await?;
    if messages.is_empty() {
        return Ok(false);
    }
    let runs = reword_runs(tx, &messages).await?;
    sqlx::query!(
        r#"
        update inbox set request = request || jsonb_build_object('text', coalesce(m.parts->0->>'text', ''))
        from messages m where m.id = inbox.message_id and m.id = any($1) and inbox.state <> 'new'
        "#,
        &messages,
    )
    .execute(&mut **tx)
    .await?;
    branch::hold(tx).await?;
    let threads = sqlx::query_scalar!(r#"select distinct thread_id from messages where id = any($1)"#, &messages)
        .fetch_all(&mut **tx)
        .await?;
    sqlx::query!("delete from memories where message_id = any($1)", &messages).execute(&mut **tx).await?;
    sqlx::query!(
        "delete from approvals where (run_id = any($1) or key in (select 'outsider-' || i.id from inbox i where i.message_id = any($2)))
           and state <> 'waiting' and told",
        &runs,
        &messages,
    )
    .execute(&mut **tx)
    .await?;
    // Also the runs of others that these messages only joined.
    let joined = sqlx::query_scalar!(
        r#"select distinct run_id as "id!" from messages where id = any($1) and run_id is not null"#,
        &messages,
    );
    let shown_in = [runs.as_slice(), &joined.fetch_all(&mut **tx).await?].concat();
    let branches = branch::in_view(tx, &messages, &shown_in).await?;
    condense_again(tx, &threads).await?;
    let condensed = condensed_with(tx, &messages, &shown_in, &branches).await?;
    condense_again(tx, &condensed).await?;
    let all_threads = [threads.as_slice(), &branches].concat();
    forget_lines(tx, &messages, &all_threads).await?;
    forget_snapshots(tx, &all_threads).await?;
    sqlx::query!("update threads set title = null where id = any($1) and titled_by is null", &threads).execute(&mut **tx).await?;
    for thread in &all_threads {
        if still_at_work(tx, *thread).await? {
            queue::ask_in(tx, &Target::Quotes(ThreadId(*thread)), by, now).await?;
        }
    }
    Ok(true)
}

/// The runs of these messages, retries of them and what an approval of them began: all that was asked for in the earlier words, which the
/// inbox still has. A whole second is all that GitHub says of a time, so the words tell one comment from another, and of two that say the
/// same each keeps its own run. What is run again is read from the words of the request; other words than those that were approved are
/// none.
async fn reword_runs(tx: &mut Tx<'_>, messages: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        with reworded as (
            select m.id, m.thread_id, i.request->>'text' as was, i.request->>'written_at' as written_at,
                   coalesce(m.parts->0->>'text', '') as words
            from messages m join inbox i on i.message_id = m.id where m.id = any($1) and i.state <> 'new'
        ), said as (
            select r.id as run, case when r.approval_id is null then w.words else '' end as words
            from reworded w join runs r on r.thread_id = w.thread_id
                and r.request->>'written_at' = w.written_at and r.request->>'text' = w.was
            where w.was <> '' and r.state = 'posted' and (r.message_id = w.id or not exists (
                select 1 from inbox o where o.message_id = r.message_id
                  and o.request->>'written_at' = w.written_at and o.request->>'text' = w.was
            ))
        )
        update runs set
            request = runs.request || jsonb_build_object('text', said.words),
            task = case
                when runs.task ? 'text' then runs.task || jsonb_build_object('text', said.words)
                when runs.task ? 'blocks' then runs.task || '{"blocks": []}'
                else runs.task
            end,
            snapshot = null
        from said where runs.id = said.run
        returning runs.id
        "#,
        messages,
    )
    .fetch_all(&mut **tx)
    .await
}

async fn still_at_work(tx: &mut Tx<'_>, thread: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select 1 from runs where thread_id = $1 and state <> 'posted')
               or exists (select 1 from threads where id = $1 and condensing_until > now()) as "still!""#,
        thread,
    )
    .fetch_one(&mut **tx)
    .await
}

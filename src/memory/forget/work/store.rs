//! What is left to be forgotten, and what goes once the words are gone.

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::id::ThreadId;
use crate::memory::branch::store as branch;
use crate::memory::forget::rows::store::stop as stop_runs;

type Tx<'t> = Transaction<'t, Postgres>;

/// Messages to be emptied.
#[derive(Debug, Default)]
pub(super) struct Picked {
    /// These can be, now.
    pub free: Vec<Uuid>,
    /// These belong to something that is at work.
    pub busy: Vec<Uuid>,
}

struct Row {
    id: Uuid,
    busy: bool,
}

impl Picked {
    fn of(rows: Vec<Row>) -> Self {
        let (busy, free): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.busy);
        let ids = |rows: Vec<Row>| rows.into_iter().map(|row| row.id).collect();
        Self { free: ids(free), busy: ids(busy) }
    }

    pub fn is_empty(&self) -> bool {
        self.free.is_empty() && self.busy.is_empty()
    }
}

/// Those that are a thing's words.
pub(super) async fn of_object(pool: &PgPool, object: &str, most: i64) -> Result<Picked, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select m.id, (i.state = 'new' or exists (
            select 1 from runs r where r.state <> 'posted' and (r.message_id = m.id or r.id = m.run_id))) as "busy!"
        from inbox i join messages m on m.id = i.message_id
        where i.object = $1 and m.forgotten_at is null order by m.id limit $2
        "#,
        object,
        most,
    )
    .fetch_all(pool)
    .await?;
    Ok(Picked::of(rows))
}

/// Those of a conversation, what is free first.
pub(super) async fn of_thread(pool: &PgPool, thread: ThreadId, until: DateTime<Utc>, most: i64) -> Result<Picked, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select m.id, (exists (select 1 from inbox i where i.message_id = m.id and i.state = 'new') or exists (
            select 1 from runs r where r.state <> 'posted' and (r.message_id = m.id or r.id = m.run_id))) as "busy!"
        from messages m where m.thread_id = $1 and m.forgotten_at is null and m.created_at <= $2
        order by 2, m.id limit $3
        "#,
        thread as ThreadId,
        until,
        most,
    )
    .fetch_all(pool)
    .await?;
    Ok(Picked::of(rows))
}

/// Those of a person, in one conversation or everywhere, what is free first.
pub(super) async fn of_person(
    pool: &PgPool,
    person: i64,
    thread: Option<ThreadId>,
    until: DateTime<Utc>,
    most: i64,
) -> Result<Picked, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select m.id, (exists (select 1 from inbox i where i.message_id = m.id and i.state = 'new') or exists (
            select 1 from runs r where r.state <> 'posted' and (r.message_id = m.id or r.id = m.run_id))) as "busy!"
        from messages m where m.author_id = $1 and m.forgotten_at is null and m.created_at <= $2
          and ($3::uuid is null or m.thread_id = $3)
        order by 2, m.id limit $4
        "#,
        person,
        until,
        thread as Option<ThreadId>,
        most,
    )
    .fetch_all(pool)
    .await?;
    Ok(Picked::of(rows))
}

/// Those said before a moment that can be emptied.
pub(super) async fn older(pool: &PgPool, before: DateTime<Utc>, most: i64) -> Result<Picked, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select m.id, false as "busy!" from messages m
        where m.forgotten_at is null and m.created_at < $1
          and not exists (select 1 from inbox i where i.message_id = m.id and i.state = 'new')
          and not exists (select 1 from runs r where r.state <> 'posted' and r.thread_id = m.thread_id)
        order by m.created_at limit $2
        "#,
        before,
        most,
    )
    .fetch_all(pool)
    .await?;
    Ok(Picked::of(rows))
}

/// Lines of working memory whose thread or owner has not been touched since go with the rest.
pub(super) async fn old_lines(pool: &PgPool, before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from working_memories where updated_at < $1", before).execute(pool).await?;
    Ok(())
}

/// What these messages asked for is not begun, and stops where it has. Runs that messages only joined go on.
pub(super) async fn stop(pool: &PgPool, messages: &[Uuid], by: &str) -> Result<(), sqlx::Error> {
    if messages.is_empty() {
        return Ok(());
    }
    let mut tx = pool.begin().await?;
    sqlx::query!(
        "update inbox set state = 'done', verdict = 'it was forgotten', claimed_until = null
         where message_id = any($1) and state = 'new' and (claimed_until is null or claimed_until < now())
           and not exists (select 1 from runs r where r.inbox_id = inbox.id)",
        messages,
    )
    .execute(&mut *tx)
    .await?;
    let runs = sqlx::query_scalar!(
        "select id from runs where message_id = any($1) and state in ('queued', 'running') and stop_requested_by is null",
        messages,
    )
    .fetch_all(&mut *tx)
    .await?;
    stop_runs(&mut tx, &runs, by).await?;
    tx.commit().await
}

/// True while something that began before `asked_at` is at work in a thread.
pub(super) async fn still_quotes(pool: &PgPool, thread: ThreadId, asked_at: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (select 1 from runs where thread_id = $1 and state <> 'posted' and created_at <= $2)
            or exists (select 1 from threads where id = $1 and (condensing_until > now() or lease_until > now()))
            or exists (select 1 from approvals where thread_id = $1 and state = 'void' and not told and asked_at <= $2) as "still!"
        "#,
        thread as ThreadId,
        asked_at,
    )
    .fetch_one(pool)
    .await
}

/// Approvals that are void because of a deletion, once people were told.
pub(super) async fn forget_told_approvals(tx: &mut Tx<'_>, thread: ThreadId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        delete from approvals a where a.thread_id = $1 and a.state = 'void' and a.told and (
            a.run_id in (select r.id from runs r where r.answer_forgotten_at is not null)
            or a.key in (select 'outsider-' || i.id from inbox i join messages m on m.id = i.message_id where m.forgotten_at is not null)
        )
        "#,
        thread as ThreadId,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What belongs to a conversation as a whole, unless it has gone on since.
pub(super) async fn rest_of_thread(tx: &mut Tx<'_>, thread: ThreadId, asked_at: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let goes_on = sqlx::query_scalar!(
        r#"select exists (select 1 from messages where thread_id = $1 and forgotten_at is null and created_at > $2) as "goes_on!""#,
        thread as ThreadId,
        asked_at,
    )
    .fetch_one(&mut **tx)
    .await?;
    if goes_on {
        return Ok(());
    }
    branch::hold(tx).await?;
    branch::forget(tx, thread).await?;
    sqlx::query!("delete from working_memories where scope = 'thread' and key = $1", thread.to_string())
        .execute(&mut **tx)
        .await?;
    sqlx::query!("delete from observations where thread_id = $1", thread as ThreadId).execute(&mut **tx).await?;
    sqlx::query!("update discord_talks set names = '{}' where thread_id = $1", thread as ThreadId).execute(&mut **tx).await?;
    sqlx::query!("delete from landings where thread_id = $1", thread as ThreadId).execute(&mut **tx).await?;
    sqlx::query!("delete from landing_approvals where thread_id = $1", thread as ThreadId).execute(&mut **tx).await?;
    sqlx::query!("delete from approvals where thread_id = $1", thread as ThreadId).execute(&mut **tx).await?;
    sqlx::query!(
        "update threads set title = null, titled_by = null, condensed_until = null, uncondensed = 0 where id = $1",
        thread as ThreadId,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Conversations of which nothing is left, and that were not touched since, with something that belongs to them as a whole.
pub(super) async fn bare_threads(pool: &PgPool, before: DateTime<Utc>, most: i64) -> Result<Vec<ThreadId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select t.id as "id: ThreadId" from threads t
        where t.updated_at < $1 and not exists (select 1 from messages m where m.thread_id = t.id and m.forgotten_at is null)
          and not exists (select 1 from runs r where r.thread_id = t.id and r.state <> 'posted') and (
            t.title is not null or exists (select 1 from landings l where l.thread_id = t.id)
            or exists (select 1 from approvals a where a.thread_id = t.id)
            or exists (select 1 from sandboxes s where s.thread_id = t.id)
          )
        order by t.updated_at limit $2
        "#,
        before,
        most,
    )
    .fetch_all(pool)
    .await
}

/// The owner's next conversation.
pub(super) async fn next_thread(pool: &PgPool, owner: &str, after: Option<Uuid>) -> Result<Option<ThreadId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select id as "id: ThreadId" from threads where owner = $1 and ($2::uuid is null or id > $2) order by id limit 1"#,
        owner,
        after,
    )
    .fetch_optional(pool)
    .await
}

/// True while there are words of the owner from before that moment.
pub(super) async fn owner_has_words(pool: &PgPool, owner: &str, until: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select 1 from threads t join messages m on m.thread_id = t.id
            where t.owner = $1 and m.forgotten_at is null and m.created_at <= $2
        ) as "has!"
        "#,
        owner,
        until,
    )
    .fetch_one(pool)
    .await
}

/// What belongs to an owner as a whole: what is kept in mind for all its conversations, and its name.
pub(super) async fn rest_of_owner(pool: &PgPool, owner: &str, asked_at: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    // A guild's channels that not everybody reads have a memory of their own.
    sqlx::query!(
        "delete from working_memories where scope = 'owner' and (key = $1 or starts_with(key, $1 || ':')) and updated_at <= $2",
        owner,
        asked_at,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("delete from discord_repositories where 'discord:' || guild = $1 and linked_at <= $2", owner, asked_at,)
        .execute(&mut *tx)
        .await?;
    sqlx::query!(
        r#"
        update surfaces s set place = s.place || '{"repository": ""}' from threads t
        where t.owner = $1 and s.thread_id = t.id and s.surface = 'github'
          and not exists (select 1 from messages m where m.thread_id = t.id and m.forgotten_at is null)
        "#,
        owner,
    )
    .execute(&mut *tx)
    .await?;
    let husks = sqlx::query!(
        r#"
        with nameless as (
            update runs set request = jsonb_set(request, '{place,repository}', '""')
            where repository = $1 and forgotten_at is not null and request->'place'->>'surface' = 'github'
        )
        update inbox i set request = jsonb_set(i.request, '{place,repository}', '""') from threads t, messages m
        where t.owner = $1 and i.thread_id = t.id and m.id = i.message_id and m.forgotten_at is not null
          and i.request->'place'->>'surface' = 'github'
        "#,
        owner,
    );
    husks.execute(&mut *tx).await?;
    sqlx::query!(
        r#"
        update installations set account = '' where gone and not exists (
            select 1 from surfaces s where s.place->>'installation' = installations.id::text and s.place->>'repository' <> ''
        )
        "#
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

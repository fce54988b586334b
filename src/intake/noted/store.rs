//! The tables `changes`, `installations` and what endings do to threads, inbox and runs.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;

use crate::id::DeliveryId;
use crate::intake::{Change, Changed, Delivery, Installation, Place};
use crate::model::{Message, Role};

/// Whether a delivery was accepted under this id before.
pub async fn is_known(pool: &PgPool, delivery: &Delivery) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select 1 from deliveries where surface = $1 and external_id = $2) as "known!""#,
        delivery.surface.as_str(),
        delivery.external_id,
    )
    .fetch_one(pool)
    .await
}

/// Remembers a delivery that is no request. False when it was there.
pub async fn record(pool: &PgPool, delivery: &Delivery, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into deliveries (id, surface, external_id, kind, received_at) values ($1, $2, $3, $4, $5) on conflict do nothing",
        DeliveryId::new() as DeliveryId,
        delivery.surface.as_str(),
        delivery.external_id,
        delivery.kind,
        now,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records a change. The run of a deleted message that waits is asked to stop; a deleted message without a run is left out by the
/// gate. An edited message has its new words at once, unless a later edit was known before.
pub async fn change(pool: &PgPool, changed: &Changed, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let (edited_at, deleted_at) = match changed.change {
        Change::Edited => (Some(changed.at), None),
        Change::Deleted => (None, Some(changed.at)),
    };
    sqlx::query!(
        r#"
        with change as (
            insert into changes as c (surface, object, edited_at, deleted_at, changed_by, seen_at) values ($1, $2, $3, $4, $5, $6)
            on conflict (surface, object) do update set
                edited_at = greatest(c.edited_at, excluded.edited_at),
                deleted_at = coalesce(c.deleted_at, excluded.deleted_at),
                changed_by = excluded.changed_by, seen_at = excluded.seen_at
            where excluded.deleted_at is not null or c.edited_at is null or excluded.edited_at >= c.edited_at
            returning 1
        ), reworded as (
            update messages m set parts = $7, indexed = false from inbox i, change
            where $3::timestamptz is not null and i.object = $2 and m.id = i.message_id and m.forgotten_at is null
        ), waiting as (
            update runs set stop_requested_by = coalesce(stop_requested_by, $5)
            from inbox i
            where $4::timestamptz is not null and i.object = $2 and runs.inbox_id = i.id and runs.state = 'queued'
            returning runs.id
        )
        select count(pg_notify('threadbox_stop', id::text)) from waiting
        "#,
        changed.place.surface().as_str(),
        changed.object,
        edited_at,
        deleted_at,
        changed.by,
        now,
        Json(Message::text(Role::User, changed.text.as_str()).parts) as _,
    )
    .fetch_one(pool)
    .await?;
    Ok(())
}

/// What became of a thing since it was read at `as_of` (its time of writing or editing): none while it is as it was. An approval of
/// its text covers it only while this is none.
///
/// # Errors
/// As the database.
pub async fn change_of(
    pool: &PgPool,
    surface: crate::intake::Surface,
    object: &str,
    as_of: DateTime<Utc>,
) -> Result<Option<Change>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select coalesce(edited_at > $3, false) as "edited!", deleted_at is not null as "deleted!"
           from changes where surface = $1 and object = $2"#,
        surface.as_str(),
        object,
        as_of,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(|row| match (row.deleted, row.edited) {
        (true, _) => Some(Change::Deleted),
        (false, true) => Some(Change::Edited),
        (false, false) => None,
    }))
}

/// Which work an ending ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// What waits and nobody asked for; nothing at all where somebody asked after that moment, for which the conversation was opened again.
    Automatic {
        /// When it ended.
        at: Option<DateTime<Utc>>,
    },
    /// Its runs, too. Whoever waits for an answer is left to the gate, which tells them what it can.
    Begun,
    /// All of it.
    Everything,
}

/// Closes a thread; the next request reopens it. Its sandboxes go soon after. A row that a gate holds is left to it. Where more than what
/// nobody asked for ends, and other conversations share the thread, it goes on, and only what was asked in this one ends.
pub async fn close(pool: &PgPool, place: &Place, ends: Ends, by: &str, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let (waiting, runs, at) = match ends {
        Ends::Automatic { at } => (false, false, at),
        Ends::Begun => (false, true, None),
        Ends::Everything => (true, true, None),
    };
    let (repository, number, conversation) = match place {
        Place::Github { repository_id, number, .. } => (Some(*repository_id), Some(*number), None),
        Place::Discord { channel, opening, .. } => (None, None, Some(opening.unwrap_or(*channel))),
    };
    sqlx::query!(
        r#"
        with talk as (
            select s.thread_id, ($4 or $6) and exists (
                select 1 from surfaces o where o.thread_id = s.thread_id and (o.surface, o.key) <> (s.surface, s.key)) as goes_on
            from surfaces s where s.surface = $1 and s.key = $2
        ), closed as (
            update threads set state = 'closed', updated_at = $3
            where id = (select thread_id from talk where not goes_on)
              and not exists (
                select 1 from inbox i where i.thread_id = threads.id and (i.request->>'written_at')::timestamptz > $7
                  and i.request->'asks'->>'by' is distinct from 'check_failed'
              )
            returning id
        ), ended as (
            select id, false as goes_on from closed union all select thread_id, true from talk where goes_on
        ), waiting as (
            update inbox set state = 'done', verdict = 'the conversation ended' from ended
            where inbox.thread_id = ended.id and inbox.state = 'new'
              and (inbox.claimed_until is null or inbox.claimed_until < now())
              and ($4 or inbox.request->'asks'->>'by' in ('pushed', 'check_failed'))
              and not exists (select 1 from runs where runs.inbox_id = inbox.id)
              -- Where the thread goes on elsewhere, what was asked there stands.
              and (not ended.goes_on
                or (inbox.request->'place'->>'repository_id' = $8::bigint::text and inbox.request->'place'->>'number' = $9::bigint::text)
                or coalesce(inbox.request->'place'->>'opening', inbox.request->'place'->>'channel') = $10::bigint::text)
        ), stopped as (
            update runs set stop_requested_by = coalesce(stop_requested_by, $5) from ended
            where runs.thread_id = ended.id and (
                ($6 and runs.state in ('queued', 'running'))
                or (runs.state = 'queued' and runs.request->'asks'->>'by' in ('pushed', 'check_failed'))
            )
              and (not ended.goes_on
                or (runs.request->'place'->>'repository_id' = $8::bigint::text and runs.request->'place'->>'number' = $9::bigint::text)
                or coalesce(runs.request->'place'->>'opening', runs.request->'place'->>'channel') = $10::bigint::text)
            returning runs.id
        )
        select count(pg_notify('threadbox_stop', id::text)) from stopped
        "#,
        place.surface().as_str(),
        place.key(),
        now,
        waiting,
        by,
        runs,
        at,
        repository,
        number,
        conversation,
    )
    .fetch_one(pool)
    .await?;
    Ok(())
}

/// The newest word about an installation counts. Where it is gone nobody can be told anything: what waits has failed, what runs is
/// stopped and its answer stays in its record.
pub async fn installation(pool: &PgPool, installation: &Installation, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with installation as (
            insert into installations as i (id, account, gone, updated_at, said_at) values ($1, $2, $3, $4, $5)
            on conflict (id) do update set account = excluded.account, gone = excluded.gone, updated_at = excluded.updated_at,
                said_at = coalesce(excluded.said_at, i.said_at)
            where excluded.said_at is null or i.said_at is null or excluded.said_at >= i.said_at
            returning id, gone
        ), dropped as (
            update runs set state = 'posted', ended_at = $4, outcome = jsonb_build_object(
                'outcome', 'failed', 'reason', 'The GitHub App is no longer installed here.', 'report', runs.id)
            from installation
            where installation.gone and runs.state = 'queued' and runs.request->'place'->>'installation' = installation.id::text
            returning runs.id
        ), freed as (
            update messages set run_id = null from dropped
            where messages.run_id = dropped.id and messages.place_in_run is null
            returning messages.id
        ), reopened as (
            -- What joined a run that never began may come from elsewhere.
            update inbox set state = 'new', verdict = null, next_try_at = $4 from freed
            where inbox.message_id = freed.id and inbox.state = 'done'
        ), stopped as (
            update runs set stop_requested_by = coalesce(stop_requested_by, 'the removal of the App') from installation
            where installation.gone and runs.state = 'running' and runs.request->'place'->>'installation' = installation.id::text
            returning runs.id
        )
        select count(pg_notify('threadbox_stop', id::text)) from stopped
        "#,
        installation.id,
        installation.account,
        installation.gone,
        now,
        installation.at,
    )
    .fetch_one(pool)
    .await?;
    Ok(())
}

/// We are no longer in a guild, so nobody there can be told anything: what waits has failed, what runs is stopped. A conversation that is
/// linked to one elsewhere goes on there.
pub async fn guild_left(pool: &PgPool, guild: i64, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with linked as (
            delete from discord_repositories where guild = $1::bigint
        ), closed as (
            update threads set state = 'closed', updated_at = $2 from surfaces s
            where threads.id = s.thread_id and s.surface = 'discord' and s.place->>'guild' = $1::bigint::text
              and not exists (
                select 1 from surfaces o where o.thread_id = threads.id and o.place->>'guild' is distinct from $1::bigint::text
              )
        ), waiting as (
            update inbox set state = 'done', verdict = 'the guild was left'
            where state = 'new' and (claimed_until is null or claimed_until < now())
              and request->'place'->>'guild' = $1::bigint::text
              and not exists (select 1 from runs where runs.inbox_id = inbox.id)
        ), dropped as (
            update runs set state = 'posted', ended_at = $2, outcome = jsonb_build_object(
                'outcome', 'failed', 'reason', 'I am no longer in that server.', 'report', runs.id)
            where state = 'queued' and request->'place'->>'guild' = $1::bigint::text
            returning id
        ), freed as (
            update messages set run_id = null from dropped
            where messages.run_id = dropped.id and messages.place_in_run is null
            returning messages.id
        ), reopened as (
            -- What joined a run that never began may come from elsewhere.
            update inbox set state = 'new', verdict = null, next_try_at = $2 from freed
            where inbox.message_id = freed.id and inbox.state = 'done'
              and inbox.request->'place'->>'guild' is distinct from $1::bigint::text
        ), stopped as (
            update runs set stop_requested_by = coalesce(stop_requested_by, 'the bot''s leaving of the server')
            where state = 'running' and request->'place'->>'guild' = $1::bigint::text
            returning id
        )
        select count(pg_notify('threadbox_stop', id::text)) from stopped
        "#,
        guild,
        now,
    )
    .fetch_one(pool)
    .await?;
    Ok(())
}

/// Its conversations keep their threads, which go by the repository's number; only what we call it changes.
pub async fn repository_moved(pool: &PgPool, id: i64, full_name: &str, installation: Option<i64>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with linked as (
            update discord_repositories set full_name = $2, installation = coalesce($3, installation) where repository_id = $1
        )
        update surfaces set place = place || jsonb_build_object('repository', $2::text)
            || case when $3::bigint is null then '{}'::jsonb else jsonb_build_object('installation', $3::bigint) end
        where surface = 'github' and place->>'repository_id' = $1::bigint::text
        "#,
        id,
        full_name,
        installation,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// All its conversations end.
pub async fn repository_deleted(pool: &PgPool, id: i64, by: &str, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with linked as (
            delete from discord_repositories where repository_id = $1
        ), closed as (
            update threads set state = 'closed', updated_at = $3 from surfaces
            where threads.id = surfaces.thread_id and surfaces.surface = 'github'
              and surfaces.place->>'repository_id' = $1::bigint::text
            returning threads.id
        ), waiting as (
            update inbox set state = 'done', verdict = 'the repository is gone' from closed
            where inbox.thread_id = closed.id and inbox.state = 'new'
              and (inbox.claimed_until is null or inbox.claimed_until < now())
              and not exists (select 1 from runs where runs.inbox_id = inbox.id)
        ), stopped as (
            update runs set stop_requested_by = coalesce(stop_requested_by, $2) from closed
            where runs.thread_id = closed.id and runs.state in ('queued', 'running')
            returning runs.id
        )
        select count(pg_notify('threadbox_stop', id::text)) from stopped
        "#,
        id,
        by,
        now,
    )
    .fetch_one(pool)
    .await?;
    Ok(())
}

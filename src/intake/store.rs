//! The tables of intake: `deliveries`, `inbox` (its writing side), `surfaces`, `installations`.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;

use super::{Accepted, Delivery, Installation, Place, Request};
use crate::id::{DeliveryId, InboxId, MessageId, ThreadId};
use crate::model::{Message, Role};

/// One statement, one round trip, one commit: a delivery that is already there stops everything behind it.
pub(super) async fn accept_request(
    pool: &PgPool,
    delivery: &Delivery,
    request: &Request,
    now: DateTime<Utc>,
) -> Result<Accepted, sqlx::Error> {
    let message = Message::text(Role::User, request.text.as_str());
    let object = delivery.object.as_ref();
    let stored = sqlx::query!(
        r#"
        with delivery as (
            insert into deliveries (id, surface, external_id, kind, object, edited_at, received_at)
            values ($1, $2, $3, $4, $5, $6, $7)
            on conflict do nothing
            returning id
        ), surface as (
            insert into surfaces (surface, key, thread_id, place)
            select $2, $8, $9, $10 from delivery
            on conflict (surface, key) do update set place = excluded.place
            returning thread_id
        ), thread as (
            insert into threads as t (id, owner, title, last_sequence, created_at, updated_at)
            select thread_id, $11, null, 1, $7, $7 from surface
            on conflict (id) do update
                set last_sequence = t.last_sequence + 1, state = 'open', updated_at = excluded.updated_at
            returning id, last_sequence
        ), message as (
            insert into messages (id, thread_id, role, author, author_id, parts, url, created_at)
            select $12, id, 'user', $13, $14, $15, $16, $7 from thread
            returning id
        ), inbox as (
            insert into inbox (id, thread_id, sequence, delivery_id, message_id, request, next_try_at, created_at)
            select $17, thread.id, thread.last_sequence, delivery.id, message.id, $18, $7, $7
            from thread, delivery, message
            returning thread_id, sequence
        )
        select inbox.thread_id as "thread: ThreadId", inbox.sequence, wake.id as wake
        from inbox, lateral jobs.add_job(
            'wake_thread',
            json_build_object('thread_id', inbox.thread_id),
            job_key := 'wake:' || inbox.thread_id
        ) as wake
        "#,
        DeliveryId::new() as DeliveryId,
        delivery.surface.as_str(),
        delivery.external_id,
        delivery.kind,
        object.map(|object| object.object.as_str()),
        object.map(|object| object.edited_at),
        now,
        request.place.key(),
        ThreadId::new() as ThreadId,
        Json(&request.place) as _,
        request.place.owner(),
        MessageId::new() as MessageId,
        request.author.login,
        request.author.id,
        Json(&message.parts) as _,
        request.url,
        InboxId::new() as InboxId,
        Json(request) as _,
    )
    .fetch_optional(pool)
    .await?;
    Ok(match stored {
        Some(row) => Accepted::Stored { thread: row.thread, sequence: row.sequence },
        None => Accepted::Duplicate,
    })
}

/// The next request reopens it.
pub(super) async fn close_thread(pool: &PgPool, place: &Place, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update threads set state = 'closed', updated_at = $3
         where id = (select thread_id from surfaces where surface = $1 and key = $2)",
        place.surface().as_str(),
        place.key(),
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The last word about an installation wins.
pub(super) async fn record_installation(
    pool: &PgPool,
    installation: &Installation,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into installations (id, account, gone, updated_at) values ($1, $2, $3, $4)
         on conflict (id) do update set account = excluded.account, gone = excluded.gone, updated_at = excluded.updated_at",
        installation.id,
        installation.account,
        installation.gone,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

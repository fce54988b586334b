//! The tables of intake: `deliveries`, `inbox` (its writing side), `surfaces`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use sqlx::types::Json;

use super::{Accepted, Delivery, Place, Request};
use crate::id::{DeliveryId, InboxId, MessageId, ThreadId};
use crate::model::{Message, Part, Role};

/// A request as it goes into the statement; the names are those of the columns.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    delivery_id: DeliveryId,
    surface: &'static str,
    external_id: String,
    kind: String,
    object: Option<String>,
    edited_at: Option<DateTime<Utc>>,
    was_also: Option<DateTime<Utc>>,
    key: String,
    thread_id: ThreadId,
    place: Place,
    owner: String,
    message_id: MessageId,
    author: String,
    author_id: i64,
    parts: Vec<Part>,
    url: String,
    inbox_id: InboxId,
    request: Request,
}

impl Row {
    pub(super) fn new(delivery: &Delivery, request: &Request) -> Self {
        let object = delivery.object.as_ref();
        Self {
            delivery_id: DeliveryId::new(),
            surface: delivery.surface.as_str(),
            external_id: delivery.external_id.clone(),
            kind: delivery.kind.clone(),
            object: object.map(|object| object.object.clone()),
            edited_at: object.map(|object| object.edited_at),
            was_also: delivery.was_also.filter(|first| object.is_some_and(|object| object.edited_at != *first)),
            key: request.place.key(),
            thread_id: ThreadId::new(),
            place: request.place.clone(),
            owner: request.place.owner(),
            message_id: MessageId::new(),
            author: request.author.login.clone(),
            author_id: request.author.id,
            parts: Message::text(Role::User, request.text.as_str()).parts,
            url: request.url.clone(),
            inbox_id: InboxId::new(),
            request: request.clone(),
        }
    }
}

/// One statement, one round trip, one commit: a delivery that is already there stops everything behind it. Rows of one thread get
/// consecutive sequences in the order given; threads are locked in the order of their keys, so that two writers cannot block each
/// other. The answers are in the order of the rows.
pub(super) async fn accept(pool: &PgPool, rows: &[Row], now: DateTime<Utc>) -> Result<Vec<Accepted>, sqlx::Error> {
    let stored = sqlx::query!(
        r#"
        with input as (
            select * from rows from (jsonb_to_recordset($1) as (
                delivery_id uuid, surface text, external_id text, kind text, object text, edited_at timestamptz, was_also timestamptz,
                key text, thread_id uuid, place jsonb, owner text, message_id uuid, author text, author_id bigint, parts jsonb, url text,
                inbox_id uuid, request jsonb
            )) with ordinality as t (
                delivery_id, surface, external_id, kind, object, edited_at, was_also, key, thread_id, place, owner, message_id, author,
                author_id, parts, url, inbox_id, request, number
            )
        ), delivery as (
            insert into deliveries (id, surface, external_id, kind, object, edited_at, received_at)
            select delivery_id, surface, external_id, kind, object, edited_at, $2 from input
            on conflict do nothing
            returning id
        ), first_version as (
            insert into deliveries (id, surface, external_id, kind, object, edited_at, received_at)
            select gen_random_uuid(), surface, external_id || ':first', kind, object, was_also, $2 from input where was_also is not null
            on conflict do nothing
            returning external_id
        ), fresh as (
            select input.*, row_number() over same_thread as nth, count(*) over (partition by surface, key) as together
            from input join delivery on delivery.id = input.delivery_id
            where (was_also is null or external_id || ':first' in (select external_id from first_version))
              -- A list shows a thing as it is, not each of its versions: of a thing that a list told of, or tells of, one version asks.
              and (was_also is null or not exists (select 1 from inbox i where i.object = input.object))
              and not exists (
                select 1 from inbox i join deliveries d on d.id = i.delivery_id
                where i.object = input.object and d.external_id like 'poll:%'
                  and (i.request->>'written_at')::timestamptz >= (input.request->>'written_at')::timestamptz
              )
              -- What is gone, or was forgotten since it was written, does not come back with a late delivery.
              and not exists (
                select 1 from changes c where c.surface = input.surface and c.deleted_at is not null
                  and c.object in (input.object, 'conversation:' || input.key)
              )
              and not exists (
                select 1 from forgettings f
                where (f.what, f.key) in (
                    ('owner', input.owner), ('person', input.surface || ':' || input.author_id),
                    ('words', input.surface || ':' || input.author_id),
                    ('thread', (select s.thread_id::text from surfaces s where s.surface = input.surface and s.key = input.key))
                  )
                  -- The clocks of the surface and ours differ: what is only wanted must not swallow what is said next.
                  and (input.request->>'written_at')::timestamptz
                      <= f.asked_at + case when f.gone then interval '1 minute' else - interval '1 minute' end
              )
            window same_thread as (partition by surface, key order by number)
        ), surface as (
            insert into surfaces (surface, key, thread_id, place)
            select surface, key, thread_id, place from fresh where nth = 1 order by surface, key
            on conflict (surface, key) do update set place = excluded.place
            returning surface, key, thread_id
        ), thread as (
            insert into threads as t (id, owner, title, last_sequence, created_at, updated_at)
            select surface.thread_id, fresh.owner, null, fresh.together, $2, $2
            from fresh join surface using (surface, key) where nth = 1 order by surface, key
            on conflict (id) do update
                set last_sequence = t.last_sequence + excluded.last_sequence, state = 'open', updated_at = excluded.updated_at
            returning id, last_sequence
        ), placed as (
            select fresh.*, thread.id as thread, thread.last_sequence - fresh.together + fresh.nth as sequence
            from fresh join surface using (surface, key) join thread on thread.id = surface.thread_id
        ), message as (
            insert into messages (id, thread_id, role, author, author_id, parts, url, created_at)
            select message_id, thread, 'user', author, author_id, parts, url, $2 from placed
        ), inbox as (
            insert into inbox (id, thread_id, sequence, delivery_id, message_id, request, object, next_try_at, created_at)
            select inbox_id, thread, sequence, delivery_id, message_id, request, object, $2, $2 from placed
        )
        select number as "number!", thread as "thread!: ThreadId", sequence as "sequence!" from placed
        "#,
        Json(rows) as _,
        now,
    )
    .fetch_all(pool)
    .await?;
    let mut accepted = vec![Accepted::Duplicate; rows.len()];
    for row in stored {
        let index = usize::try_from(row.number - 1).unwrap_or(usize::MAX);
        if let Some(slot) = accepted.get_mut(index) {
            *slot = Accepted::Stored { thread: row.thread, sequence: row.sequence };
        }
    }
    Ok(accepted)
}

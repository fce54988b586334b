//! Titles, quotes and snapshots in `runs` and `inbox`, as far as they are of Discord.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

type Tx<'t> = Transaction<'t, Postgres>;

/// Where messages stood that go.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// Their threads.
    threads: Vec<Uuid>,
    /// The owners of these.
    owners: Vec<String>,
    /// The channels.
    pub channels: Vec<String>,
    /// How their addresses end.
    ends: Vec<String>,
    /// When the first of them came.
    since: DateTime<Utc>,
}

pub(super) async fn places(tx: &mut Tx<'_>, messages: &[Uuid]) -> Result<Gone, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select i.thread_id, t.owner, i.request->'place'->>'channel' as "channel!", i.object, i.created_at
        from inbox i join threads t on t.id = i.thread_id
        where i.message_id = any($1) and i.request->'place'->>'surface' = 'discord' and i.request->'place' ? 'channel'
        "#,
        messages,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut gone = Gone::default();
    for row in rows {
        gone.ends.extend(row.object.as_deref().and_then(|object| object.strip_prefix("message:")).map(|id| format!("/{id}")));
        gone.since = if gone.threads.is_empty() { row.created_at } else { gone.since.min(row.created_at) };
        gone.threads.push(row.thread_id);
        gone.owners.push(row.owner);
        gone.channels.push(row.channel);
    }
    Ok(gone)
}

/// Of threads that no person named: what they are called began with somebody's words.
pub(super) async fn forget_titles(tx: &mut Tx<'_>, gone: &Gone) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update runs r set request = r.request || '{"title": ""}' from threads t
        where t.id = any($1) and t.titled_by is null and r.thread_id = t.id and r.state = 'posted'
          and r.request->'place'->>'surface' = 'discord' and r.request->>'title' <> ''
        "#,
        &gone.threads,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        r#"
        update inbox i set request = i.request || '{"title": ""}' from threads t
        where t.id = any($1) and t.titled_by is null and i.thread_id = t.id and i.state <> 'new'
          and i.request->'place'->>'surface' = 'discord' and i.request->>'title' <> ''
        "#,
        &gone.threads,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Of what others answered or linked to.
pub(super) async fn forget_quotes(tx: &mut Tx<'_>, gone: &Gone) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update runs r set snapshot = null, request = jsonb_set(r.request, '{with,quoted}', coalesce((
            select jsonb_agg(q order by place) from jsonb_array_elements(r.request->'with'->'quoted') with ordinality as l (q, place)
            where not exists (select 1 from unnest($2::text[]) as e (e) where right(q->>'url', length(e)) = e)
        ), '[]'))
        where r.repository = any($1) and r.state = 'posted' and jsonb_typeof(r.request->'with'->'quoted') = 'array' and exists (
            select 1 from jsonb_array_elements(r.request->'with'->'quoted') as q, unnest($2::text[]) as e (e)
            where right(q->>'url', length(e)) = e)
        "#,
        &gone.owners,
        &gone.ends,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        r#"
        update inbox i set request = jsonb_set(i.request, '{with,quoted}', coalesce((
            select jsonb_agg(q order by place) from jsonb_array_elements(i.request->'with'->'quoted') with ordinality as l (q, place)
            where not exists (select 1 from unnest($2::text[]) as e (e) where right(q->>'url', length(e)) = e)
        ), '[]'))
        from threads t
        where t.id = i.thread_id and t.owner = any($1) and i.state <> 'new' and jsonb_typeof(i.request->'with'->'quoted') = 'array'
          and exists (
            select 1 from jsonb_array_elements(i.request->'with'->'quoted') as q, unnest($2::text[]) as e (e)
            where right(q->>'url', length(e)) = e)
        "#,
        &gone.owners,
        &gone.ends,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Of runs that were begun below them in the same channel. Gives the threads of those that are at work.
pub(super) async fn forget_snapshots(tx: &mut Tx<'_>, gone: &Gone) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query!(
        "update runs r set snapshot = null where r.repository = any($1) and r.state = 'posted' and r.snapshot is not null
           and r.request->'place'->>'channel' = any($2) and r.created_at >= $3",
        &gone.owners,
        &gone.channels,
        gone.since,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query_scalar!(
        "select distinct r.thread_id from runs r
         where r.repository = any($1) and r.state <> 'posted' and r.request->'place'->>'channel' = any($2) and r.thread_id <> all($3)",
        &gone.owners,
        &gone.channels,
        &gone.threads,
    )
    .fetch_all(&mut **tx)
    .await
}

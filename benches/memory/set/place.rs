//! Puts a world where the service keeps what was said, by the same code that the service indexes with.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use threadbox::id::{MemoryId, MessageId};
use threadbox::memory::vectors::store::{Bill, Share};
use threadbox::memory::{index, vectors};
use threadbox::model::{Embedder, Input, Part};
use threadbox::reply::Redactor;
use uuid::Uuid;

use super::world::{Role, Said, Thread, World};

/// Rows of one statement.
const ROWS: usize = 2_000;
/// Texts that are embedded at once.
const TEXTS: usize = 256;

/// Everything but what is forgotten.
pub async fn put(pool: &PgPool, world: &World, embedder: &Arc<dyn Embedder>) {
    threads(pool, &world.threads).await;
    messages(pool, &world.threads, &world.messages).await;
    index(pool).await;
    let unshared: Vec<Uuid> = world.messages.iter().filter(|said| !said.shared).map(|said| said.id.0).collect();
    // In the service this follows from the powers of the run, which these messages have none of.
    sqlx::query("update memories set shared = false where message_id = any($1)").bind(unshared).execute(pool).await.unwrap();
    embed(pool, embedder).await;
    forget(pool, &world.forgotten.iter().map(|place| world.messages[*place].id).collect::<Vec<_>>()).await;
    sqlx::raw_sql("analyze").execute(pool).await.unwrap();
}

/// Takes all of it away.
pub async fn clear(pool: &PgPool) {
    sqlx::raw_sql("truncate threads cascade").execute(pool).await.unwrap();
}

pub async fn threads(pool: &PgPool, threads: &[Thread]) {
    for some in threads.chunks(ROWS) {
        let ids: Vec<Uuid> = some.iter().map(|thread| thread.id.0).collect();
        let owners: Vec<&str> = some.iter().map(|thread| thread.owner.as_str()).collect();
        let sql = "insert into threads (id, owner, created_at, updated_at)
                   select id, owner, now(), now() from unnest($1::uuid[], $2::text[]) as t (id, owner)";
        sqlx::query(sql).bind(ids).bind(owners).execute(pool).await.unwrap();
    }
}

/// As words of finished runs, which is what memory is made of.
pub async fn messages(pool: &PgPool, threads: &[Thread], messages: &[Said]) {
    for some in messages.chunks(ROWS) {
        let ids: Vec<Uuid> = some.iter().map(|said| said.id.0).collect();
        let of: Vec<Uuid> = some.iter().map(|said| threads[said.thread].id.0).collect();
        let roles: Vec<&str> = some.iter().map(|said| if said.role == Role::User { "user" } else { "assistant" }).collect();
        let authors: Vec<&str> = some.iter().map(|said| said.author.as_str()).collect();
        let parts = some.iter().map(|said| serde_json::to_value([Part::Text { text: said.text.clone() }]).unwrap());
        let parts: Vec<serde_json::Value> = parts.collect();
        let times: Vec<DateTime<Utc>> = some.iter().map(|said| said.at).collect();
        let sql = "insert into messages (id, thread_id, place_in_run, role, author, parts, created_at)
                   select id, thread_id, 0, role, author, parts, at
                   from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[])
                       as m (id, thread_id, role, author, parts, at)";
        let query = sqlx::query(sql).bind(ids).bind(of).bind(roles).bind(authors).bind(parts).bind(times);
        query.execute(pool).await.unwrap();
    }
}

/// Two at once, as two processes of the service would.
pub async fn index(pool: &PgPool) {
    let all = async || {
        let redactor = Redactor::new([]);
        while index::some(pool, &redactor).await.unwrap().messages > 0 {}
    };
    tokio::join!(all(), all());
}

/// Gives every piece that has none a vector. Nobody is billed for it: these messages have no runs.
pub async fn embed(pool: &PgPool, embedder: &Arc<dyn Embedder>) {
    embed_after(pool, embedder, Uuid::nil()).await;
}

/// The same of pieces that were made after this one. Returns the last.
pub async fn embed_after(pool: &PgPool, embedder: &Arc<dyn Embedder>, mut after: Uuid) -> Uuid {
    loop {
        let sql = "select id, text from memories m where id > $1 and not exists
                   (select from memory_vectors v where v.memory_id = m.id and v.model = $2) order by id limit $3";
        let query = sqlx::query_as(sql).bind(after).bind(embedder.name().to_string()).bind(TEXTS as i64);
        let due: Vec<(Uuid, String)> = query.fetch_all(pool).await.unwrap();
        let Some((last, _)) = due.last() else { return after };
        after = *last;
        let (ids, texts): (Vec<Uuid>, Vec<String>) = due.into_iter().unzip();
        let made = embedder.embed(&texts, Input::Passage).await.unwrap();
        let made: Vec<(MemoryId, Vec<f32>)> = ids.into_iter().map(MemoryId).zip(made).collect();
        let bill =
            Bill { shares: vec![Share { tokens: 0, cost_usd: None }; made.len()], estimated: true, at: DateTime::UNIX_EPOCH };
        vectors::store::keep(pool, embedder.name(), &made, &bill).await.unwrap();
    }
}

/// Deletes messages, as the service does when people delete theirs.
async fn forget(pool: &PgPool, messages: &[MessageId]) {
    let ids: Vec<Uuid> = messages.iter().map(|id| id.0).collect();
    sqlx::query("delete from messages where id = any($1)").bind(ids).execute(pool).await.unwrap();
}

/// Megabytes of the tables and indexes of memory, by name.
pub async fn sizes(pool: &PgPool) -> BTreeMap<String, f64> {
    let sql =
        "select relname::text, (case when relkind = 'r' then pg_table_size(oid) else pg_relation_size(oid) end)::float8 / 1e6
               from pg_class where relkind in ('r', 'i') and relnamespace = 'public'::regnamespace and relname like 'memor%'";
    sqlx::query_as::<_, (String, f64)>(sql).fetch_all(pool).await.unwrap().into_iter().collect()
}

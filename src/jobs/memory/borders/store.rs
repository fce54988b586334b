//! Where threads are on Discord, and which threads messages are in.

use sqlx::PgPool;
use sqlx::types::Json;

use crate::id::{MessageId, ThreadId};
use crate::intake::Place;

pub(super) async fn places(pool: &PgPool, threads: &[ThreadId]) -> Result<Vec<(ThreadId, Place)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select thread_id as "thread: ThreadId", place as "place: Json<Place>" from surfaces
           where thread_id = any($1) and surface = 'discord' order by thread_id, key"#,
        threads as &[ThreadId],
    );
    Ok(rows.fetch_all(pool).await?.into_iter().map(|row| (row.thread, row.place.0)).collect())
}

pub(super) async fn threads(pool: &PgPool, messages: &[MessageId]) -> Result<Vec<(MessageId, ThreadId)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select id as "id: MessageId", thread_id as "thread: ThreadId" from messages where id = any($1)"#,
        messages as &[MessageId],
    );
    Ok(rows.fetch_all(pool).await?.into_iter().map(|row| (row.id, row.thread)).collect())
}

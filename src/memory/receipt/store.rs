//! Messages by their tokens.

use sqlx::PgPool;

use super::Cite;
use crate::id::{MessageId, ThreadId};

/// Receipts of those messages of a thread, and of what it began with, that these tokens (ten digits each) name; what was said in runs
/// that are not over is not among them. `own_name` is what we are called.
///
/// # Errors
/// As the database.
pub async fn of_thread(pool: &PgPool, thread: ThreadId, tokens: &[String], own_name: &str) -> Result<Vec<Cite>, sqlx::Error> {
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"
        select m.id as "id: MessageId", coalesce(m.url, '') as "url!", m.author, m.created_at
        from histories h join messages m on m.thread_id = h.source_id and m.run_id <= h.until
        where h.thread_id = $1 and m.place_in_run is not null and m.role in ('user', 'assistant') and right(m.id::text, 10) = any($2)
        order by m.id limit 200
        "#,
        thread as ThreadId,
        tokens,
    )
    .fetch_all(pool)
    .await?;
    let cites = rows.into_iter().map(|row| Cite {
        message: row.id,
        url: row.url,
        author: row.author.unwrap_or_else(|| own_name.to_owned()),
        at: row.created_at,
    });
    Ok(cites.collect())
}

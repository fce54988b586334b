//! Messages by their tokens.

use sqlx::PgPool;

use super::Cite;
use crate::id::{MessageId, ThreadId};

/// Receipts of those messages of a thread that these tokens (ten digits each) name; what was said in runs that are not over is not among
/// them. `own_name` is what we are called.
///
/// # Errors
/// As the database.
pub async fn of_thread(pool: &PgPool, thread: ThreadId, tokens: &[String], own_name: &str) -> Result<Vec<Cite>, sqlx::Error> {
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"
        select id as "id: MessageId", coalesce(url, '') as "url!", author, created_at from messages
        where thread_id = $1 and place_in_run is not null and role in ('user', 'assistant') and right(id::text, 10) = any($2)
        order by id limit 200
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

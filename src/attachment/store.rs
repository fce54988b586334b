//! Attachments in the database. They are written by the save that stores the result of their call.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// An attachment as it is served.
#[derive(Debug)]
pub struct Stored {
    pub media_type: String,
    pub content: Vec<u8>,
}

/// The attachment of a link.
pub async fn find(pool: &PgPool, token: &str, name: &str) -> Result<Option<Stored>, sqlx::Error> {
    sqlx::query_as!(Stored, "select media_type, content from attachments where token = $1 and name = $2", token, name)
        .fetch_optional(pool)
        .await
}

/// Forgets those that were made before.
pub async fn forget(pool: &PgPool, before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from attachments where created_at < $1", before).execute(pool).await?;
    Ok(())
}

//! What is written down of the connection, for whoever looks at it from outside.

use sqlx::PgPool;

/// What stood in the way of the connection when one was tried last; none while it stands, and before the first.
///
/// # Errors
/// When the database does not answer, or has no such table yet.
pub async fn trouble(pool: &PgPool) -> Result<Option<String>, sqlx::Error> {
    let trouble = sqlx::query_scalar!("select trouble from discord_gateway where name = 'gateway'").fetch_optional(pool).await?;
    Ok(trouble.flatten())
}

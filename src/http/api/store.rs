//! The admin token as it is kept: its SHA-256, in `instance`.

use sqlx::PgPool;

/// The digest of the token that was made; none when none was.
pub(super) async fn digest(pool: &PgPool) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar!("select admin_token_sha256 from instance").fetch_optional(pool).await.map(Option::flatten)
}

/// Keeps the digest of a new token, unless there is one. False then.
pub(super) async fn keep(pool: &PgPool, digest: &[u8]) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("update instance set admin_token_sha256 = $1 where admin_token_sha256 is null", digest)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

//! The table `discord_commands`, and what is offered while somebody types.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// The digest of what was registered last; none when nothing was.
pub(super) async fn registered(pool: &PgPool, application: i64) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("select digest from discord_commands where application = $1", application).fetch_optional(pool).await
}

/// Remembers what was registered.
pub(super) async fn remember(pool: &PgPool, application: i64, digest: &str, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into discord_commands (application, digest, registered_at) values ($1, $2, $3)
        on conflict (application) do update set digest = excluded.digest, registered_at = excluded.registered_at
        "#,
        application,
        digest,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Repositories that channels of a guild were linked to (or a direct conversation was), the latest first. What is not known to be read by
/// everybody in the guild is told elsewhere to nobody but who linked it.
pub(in crate::discord) async fn repositories(
    pool: &PgPool,
    (guild, channel): (Option<i64>, i64),
    person: i64,
    most: i64,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select r.full_name as "name!" from discord_repositories r
        where (r.guild = $1 or r.channel = $2)
          and (r.channel = $2 or r.linked_by = $3
               or exists (select 1 from discord_channels c where c.channel = r.channel and c.apart is null))
        group by r.full_name order by max(r.linked_at) desc limit $4
        "#,
        guild,
        channel,
        person,
        most,
    )
    .fetch_all(pool)
    .await
}

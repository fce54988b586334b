//! The tables `discord_channels`, `discord_repositories`, `people`, `account_codes` and `account_tries`.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use sqlx::types::Json;

use crate::id::{InboxId, MessageId, ThreadId};
use crate::intake::{Linked, Place, Surface};

/// The repository of the first of these channels that has one.
pub async fn linked(pool: &PgPool, channels: &[i64]) -> Result<Option<Linked>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select repository_id, full_name, installation
        from discord_repositories d join unnest($1::bigint[]) with ordinality as c (channel, place) using (channel)
        order by c.place limit 1
        "#,
        channels,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Linked { id: row.repository_id, full_name: row.full_name, installation: row.installation, login: None }))
}

/// Who linked the first of these channels that has a repository.
pub async fn linker(pool: &PgPool, channels: &[i64]) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select linked_by from discord_repositories d join unnest($1::bigint[]) with ordinality as c (channel, place) using (channel)
        order by c.place limit 1
        "#,
        channels,
    )
    .fetch_optional(pool)
    .await
}

/// Who linked a channel itself, if somebody did.
pub async fn linked_by(pool: &PgPool, channel: i64) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!("select linked_by from discord_repositories where channel = $1", channel).fetch_optional(pool).await
}

/// Links a channel or thread. May be repeated; the last one holds.
pub async fn link(
    pool: &PgPool,
    (guild, channel): (Option<i64>, i64),
    to: &Linked,
    by: i64,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into discord_repositories (channel, guild, repository_id, full_name, installation, linked_by, linked_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (channel) do update set guild = excluded.guild, repository_id = excluded.repository_id,
            full_name = excluded.full_name, installation = excluded.installation, linked_by = excluded.linked_by,
            linked_at = excluded.linked_at
        "#,
        channel,
        guild,
        to.id,
        to.full_name,
        to.installation,
        by,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Takes the link of a channel back. False when it has none of its own.
pub async fn unlink(pool: &PgPool, channel: i64) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("delete from discord_repositories where channel = $1", channel).execute(pool).await?;
    Ok(done.rows_affected() == 1)
}

/// Who reads a channel, as it was looked up last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audience {
    /// The channel whose readers alone read it; none where everybody in the guild does.
    pub apart: Option<i64>,
    /// When that was looked up.
    pub looked_at: DateTime<Utc>,
}

/// What is known of who reads a channel.
pub async fn audience(pool: &PgPool, channel: i64) -> Result<Option<Audience>, sqlx::Error> {
    sqlx::query_as!(Audience, "select apart, looked_at from discord_channels where channel = $1", channel)
        .fetch_optional(pool)
        .await
}

/// Remembers who reads a channel.
pub async fn set_audience(pool: &PgPool, channel: i64, apart: Option<i64>, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into discord_channels (channel, apart, looked_at) values ($1, $2, $3)
         on conflict (channel) do update set apart = excluded.apart, looked_at = excluded.looked_at",
        channel,
        apart,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Somebody on GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnGithub {
    /// Their number.
    pub id: i64,
    /// Their login when they proved it.
    pub login: String,
}

/// Who somebody on Discord is on GitHub; none where they linked no account.
pub async fn on_github(pool: &PgPool, discord_id: i64) -> Result<Option<OnGithub>, sqlx::Error> {
    sqlx::query_as!(OnGithub, "select github_id as id, github_login as login from people where discord_id = $1", discord_id)
        .fetch_optional(pool)
        .await
}

/// The numbers on Discord of somebody on GitHub.
pub async fn on_discord(pool: &PgPool, github_id: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!("select discord_id from people where github_id = $1 order by joined_at limit 10", github_id)
        .fetch_all(pool)
        .await
}

/// Forgets who somebody is on the other surface, and codes that wait. True when something was known.
pub async fn part(pool: &PgPool, surface: Surface, id: i64) -> Result<bool, sqlx::Error> {
    let (of_discord, of_github) = match surface {
        Surface::Discord => (Some(id), None),
        Surface::Github => (None, Some(id)),
        Surface::Web | Surface::Cli => (None, None),
    };
    let parted = sqlx::query_scalar!(
        r#"
        with code as (
            update account_codes set digest = null where discord_id = $1
        ), parted as (
            delete from people where discord_id = $1 or github_id = $2 returning 1
        )
        select count(*) as "count!" from parted
        "#,
        of_discord,
        of_github,
    )
    .fetch_one(pool)
    .await?;
    Ok(parted > 0)
}

/// Keeps the digest of a new code in place of an earlier one. False when they made as many as they may since `window` began.
pub async fn keep_code(
    pool: &PgPool,
    (id, name): (i64, &str),
    digest: &[u8],
    (most, window): (i32, TimeDelta),
    (now, expires_at): (DateTime<Utc>, DateTime<Utc>),
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        r#"
        insert into account_codes as c (discord_id, discord_name, digest, expires_at, made, made_since) values ($1, $2, $3, $4, 1, $5)
        on conflict (discord_id) do update set discord_name = excluded.discord_name, digest = excluded.digest,
            expires_at = excluded.expires_at,
            made = case when c.made_since > $6 then c.made + 1 else 1 end,
            made_since = case when c.made_since > $6 then c.made_since else excluded.made_since end
        where c.made_since <= $6 or c.made < $7
        "#,
        id,
        name,
        digest,
        expires_at,
        now,
        now - window,
        most,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What became of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proven {
    /// The two are one; the name on Discord.
    Joined(String),
    /// No such code waits.
    Wrong,
    /// Too many wrong ones were tried; none is looked at.
    TooMany,
}

/// Uses a code up: whoever it was given to is this person on GitHub. Counts a wrong one. `by` names the message, so that a second look
/// at it finds what it did.
pub async fn prove(
    pool: &PgPool,
    digest: &[u8],
    who: &OnGithub,
    by: InboxId,
    (most, window): (i32, TimeDelta),
    now: DateTime<Utc>,
) -> Result<Proven, sqlx::Error> {
    let known = sqlx::query_scalar!("select discord_name from people where proven_by = $1", by as InboxId);
    if let Some(name) = known.fetch_optional(pool).await? {
        return Ok(Proven::Joined(name));
    }
    let since = now - window;
    let wrong = sqlx::query_scalar!("select wrong from account_tries where github_id = $1 and wrong_since > $2", who.id, since);
    if wrong.fetch_optional(pool).await?.is_some_and(|wrong| wrong >= most) {
        return Ok(Proven::TooMany);
    }
    let joined = sqlx::query_scalar!(
        r#"
        with used as (
            update account_codes set digest = null where digest = $1 and expires_at > $2 returning discord_id, discord_name
        )
        insert into people (discord_id, discord_name, github_id, github_login, proven_by, joined_at)
        select discord_id, discord_name, $3, $4, $5, $2 from used
        on conflict (discord_id) do update set discord_name = excluded.discord_name, github_id = excluded.github_id,
            github_login = excluded.github_login, proven_by = excluded.proven_by, joined_at = excluded.joined_at
        returning discord_name
        "#,
        digest,
        now,
        who.id,
        who.login,
        by as InboxId,
    );
    if let Some(name) = joined.fetch_optional(pool).await? {
        return Ok(Proven::Joined(name));
    }
    sqlx::query!(
        r#"
        insert into account_tries as t (github_id, wrong, wrong_since) values ($1, 1, $2)
        on conflict (github_id) do update set
            wrong = case when t.wrong_since > $3 then t.wrong + 1 else 1 end,
            wrong_since = case when t.wrong_since > $3 then t.wrong_since else excluded.wrong_since end
        "#,
        who.id,
        now,
        since,
    )
    .execute(pool)
    .await?;
    Ok(Proven::Wrong)
}

/// Takes codes out of a message and of the request it became: they are not what anybody said.
pub async fn scrub(pool: &PgPool, message: MessageId, inbox: InboxId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with message as (
            update messages set parts = regexp_replace(parts::text, 'discord-[0-9a-z]{4}-[0-9a-z]{4}', 'discord-0000-0000', 'gi')::jsonb
            where id = $1
        )
        update inbox set request = regexp_replace(request::text, 'discord-[0-9a-z]{4}-[0-9a-z]{4}', 'discord-0000-0000', 'gi')::jsonb
        where id = $2
        "#,
        message as MessageId,
        inbox as InboxId,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Channel and number of a message of ours on Discord, by the key of its post, and of those in which it goes on.
pub async fn messages_of(pool: &PgPool, key: &str, most: i32) -> Result<Vec<(i64, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select channel_id, external_id from generate_series(1, $2::integer) as n
        join posts on key = case n when 1 then $1 else $1 || '/' || n end
        order by n
        "#,
        key,
        most,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.channel_id?, row.external_id?.parse().ok()?))).collect())
}

/// Where else a thread is talked about: not on this surface.
pub async fn elsewhere(pool: &PgPool, thread: ThreadId, than: Surface) -> Result<Vec<Place>, sqlx::Error> {
    let places = sqlx::query_scalar!(
        r#"select place as "place: Json<Place>" from surfaces where thread_id = $1 and surface <> $2 order by surface, key limit 20"#,
        thread as ThreadId,
        than.as_str(),
    )
    .fetch_all(pool)
    .await?;
    Ok(places.into_iter().map(|place| place.0).collect())
}

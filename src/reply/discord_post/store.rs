//! The tables `discord_talks`, and `posts` as far as they stand on Discord.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::id::ThreadId;

/// Where we talk in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Talk {
    /// The message it began with.
    pub opening: i64,
    /// The thread, or the channel.
    pub channel: i64,
}

/// Where we talk in the conversation that began with this message, once that is decided.
pub(super) async fn talk(pool: &PgPool, opening: i64) -> Result<Option<Talk>, sqlx::Error> {
    sqlx::query_as!(Talk, r#"select opening, channel_id as channel from discord_talks where opening = $1"#, opening)
        .fetch_optional(pool)
        .await
}

/// Records where we talk, and the name we gave. What was recorded first stays; it is returned.
pub(super) async fn begin_talk(
    pool: &PgPool,
    talk: Talk,
    thread: ThreadId,
    name: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Talk, sqlx::Error> {
    let names: Vec<String> = name.into_iter().map(str::to_owned).collect();
    sqlx::query_as!(
        Talk,
        r#"
        insert into discord_talks (opening, thread_id, channel_id, names, created_at) values ($1, $2, $3, $4, $5)
        on conflict (opening) do update set opening = excluded.opening
        returning opening, channel_id as channel
        "#,
        talk.opening,
        thread as ThreadId,
        talk.channel,
        &names,
        now,
    )
    .fetch_one(pool)
    .await
}

/// Records that we talk in the channel after all.
pub(super) async fn fall_back(pool: &PgPool, opening: i64, channel: i64) -> Result<(), sqlx::Error> {
    sqlx::query!("update discord_talks set channel_id = $2, names = '{}' where opening = $1", opening, channel)
        .execute(pool)
        .await?;
    Ok(())
}

/// A thread that is ours to name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub channel: i64,
    /// The names we gave it, the one it is to have now included.
    pub names: Vec<String>,
}

/// Records a name before we give it to the thread a conversation began with. None where that is not ours to name.
pub(super) async fn add_name(pool: &PgPool, thread: ThreadId, name: &str) -> Result<Option<Named>, sqlx::Error> {
    sqlx::query_as!(
        Named,
        r#"
        update discord_talks set names = array_remove(names, $2::text) || $2::text
        where opening = (select opening from discord_talks where thread_id = $1 order by opening limit 1)
              and channel_id = opening and names <> '{}'
        returning channel_id as channel, names
        "#,
        thread as ThreadId,
        name,
    )
    .fetch_optional(pool)
    .await
}

/// Whether we gave a thread this name.
pub(super) async fn is_our_name(pool: &PgPool, channel: i64, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from discord_talks where opening = $1 and $2 = any (names)) as "ours!""#,
        channel,
        name,
    )
    .fetch_one(pool)
    .await
}

/// The words a conversation began with, as they were written.
pub(super) async fn first_words(pool: &PgPool, thread: ThreadId) -> Result<Option<String>, sqlx::Error> {
    let words = sqlx::query_scalar!(
        "select request ->> 'text' from inbox where thread_id = $1 order by sequence limit 1",
        thread as ThreadId
    )
    .fetch_optional(pool)
    .await?;
    Ok(words.flatten())
}

/// Where a post stands: its channel and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct There {
    pub channel: i64,
    pub message: i64,
}

/// Where a post is known to stand.
pub(super) async fn whereabouts(pool: &PgPool, key: &str) -> Result<Option<There>, sqlx::Error> {
    let row = sqlx::query!("select external_id, channel_id from posts where key = $1", key).fetch_optional(pool).await?;
    Ok(row.and_then(|row| Some(There { channel: row.channel_id?, message: row.external_id?.parse().ok()? })))
}

/// Records where a post stands.
pub(super) async fn done(pool: &PgPool, key: &str, there: There, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update posts set state = 'done', external_id = $2, channel_id = $3, updated_at = $4 where key = $1",
        key,
        there.message.to_string(),
        there.channel,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Whether a post was begun.
pub(super) async fn is_begun(pool: &PgPool, key: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select exists (select from posts where key = $1) as "begun!""#, key).fetch_one(pool).await
}

/// Records that a replacement has taken the place of a post's message: the post stands where the replacement stood.
pub(super) async fn replaced(pool: &PgPool, key: &str, again: &str, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with again as (delete from posts where key = $2 returning external_id, channel_id)
        update posts set state = 'done', external_id = again.external_id, channel_id = again.channel_id, updated_at = $3
        from again where key = $1 and again.external_id is not null
        "#,
        key,
        again,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The pieces of a post beyond its first that are known to stand somewhere, and what is to replace them, the last ones first: key, number
/// from 2, and where.
pub(super) async fn pieces(pool: &PgPool, key: &str, most: i32) -> Result<Vec<(String, usize, There)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        with pieces as (
            select n, key, external_id, channel_id from generate_series(2, $2::integer) as n join posts on key = $1 || '/' || n
        ), all_of_them as (
            select * from pieces
            union all
            select n, again.key, again.external_id, again.channel_id
            from pieces join posts again on again.key = pieces.key || '#' || pieces.external_id
        )
        select n as "n!", key as "key!", external_id as "message!", channel_id as "channel!" from all_of_them
        where external_id is not null and channel_id is not null order by n desc, key desc
        "#,
        key,
        most,
    )
    .fetch_all(pool)
    .await?;
    let pieces = rows.into_iter().filter_map(|row| {
        let there = There { channel: row.channel, message: row.message.parse().ok()? };
        Some((row.key, usize::try_from(row.n).ok()?, there))
    });
    Ok(pieces.collect())
}

/// Forgets a post that was taken away.
pub(super) async fn gone(pool: &PgPool, key: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from posts where key = $1", key).execute(pool).await?;
    Ok(())
}

/// Those of some messages that are known as posts.
pub(super) async fn known(pool: &PgPool, messages: &[String]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(r#"select external_id as "id!" from posts where external_id = any ($1)"#, messages).fetch_all(pool).await
}

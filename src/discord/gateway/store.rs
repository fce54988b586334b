//! The tables `discord_gateway` and `discord_talks`, and what is known of conversations on Discord.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;

use crate::intake::Place;

/// Conversations that are kept at hand.
const MOST_TALKS: i64 = 100_000;
/// Direct conversations that are looked through after a pause.
const MOST_DIRECT: i64 = 200;

fn interval(span: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(span.as_micros()).unwrap_or(i64::MAX) }
}

/// Takes the connection for a while; false while another process holds it. Who holds it already may take it again.
pub(super) async fn take(pool: &PgPool, holder: &str, hold: Duration) -> Result<bool, sqlx::Error> {
    let taken = sqlx::query!(
        "insert into discord_gateway as g (name, holder, lease_until) values ('gateway', $1, now() + $2::interval)
         on conflict (name) do update set holder = excluded.holder, lease_until = excluded.lease_until
         where g.holder is null or g.holder = excluded.holder or g.lease_until < now()",
        holder,
        interval(hold),
    )
    .execute(pool)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Keeps the connection, and writes down until when everything is accounted for. False when another process took it.
pub(super) async fn renew(
    pool: &PgPool,
    holder: &str,
    hold: Duration,
    seen_until: Option<DateTime<Utc>>,
) -> Result<bool, sqlx::Error> {
    let kept = sqlx::query!(
        "update discord_gateway set lease_until = now() + $2::interval, seen_until = coalesce($3, seen_until),
             trouble = case when $3::timestamptz is null then trouble end
         where name = 'gateway' and holder = $1",
        holder,
        interval(hold),
        seen_until,
    )
    .execute(pool)
    .await?;
    Ok(kept.rows_affected() == 1)
}

/// Gives the connection up, so that another process need not wait; with what stands in its way, if anything does.
pub(super) async fn release(pool: &PgPool, holder: &str, trouble: Option<&str>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update discord_gateway set holder = null, lease_until = null, trouble = coalesce($2, trouble)
         where name = 'gateway' and holder = $1",
        holder,
        trouble,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Until when everything that was said is accounted for.
pub(super) async fn seen_until(pool: &PgPool) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let seen = sqlx::query_scalar!("select seen_until from discord_gateway where name = 'gateway'").fetch_optional(pool).await?;
    Ok(seen.flatten())
}

/// The channels of our conversations, the latest first.
pub(super) async fn conversations(pool: &PgPool) -> Result<Vec<i64>, sqlx::Error> {
    let keys = sqlx::query_scalar!(
        "select s.key from surfaces s join threads t on t.id = s.thread_id where s.surface = 'discord' order by t.updated_at desc limit $1",
        MOST_TALKS,
    )
    .fetch_all(pool)
    .await?;
    Ok(keys.iter().filter_map(|key| key.parse().ok()).collect())
}

/// The direct conversations that were used since then.
pub(super) async fn direct(pool: &PgPool, since: DateTime<Utc>) -> Result<Vec<i64>, sqlx::Error> {
    let keys = sqlx::query_scalar!(
        "select s.key from surfaces s join threads t on t.id = s.thread_id
         where s.surface = 'discord' and s.place->>'person' is not null and t.updated_at > $1 order by t.updated_at desc limit $2",
        since,
        MOST_DIRECT,
    )
    .fetch_all(pool)
    .await?;
    Ok(keys.iter().filter_map(|key| key.parse().ok()).collect())
}

/// True when something of that message is known here.
pub(super) async fn is_known(pool: &PgPool, object: &str) -> Result<bool, sqlx::Error> {
    let known = sqlx::query_scalar!(r#"select exists (select 1 from inbox where object = $1) as "known!""#, object);
    known.fetch_one(pool).await
}

/// The conversation that a message of ours belongs to.
pub(super) async fn place_of_post(pool: &PgPool, message: i64) -> Result<Option<Place>, sqlx::Error> {
    let place = sqlx::query_scalar!(
        r#"select s.place as "place: Json<Place>" from posts p join surfaces s on s.thread_id = p.thread_id
           where p.external_id = $1 and s.surface = 'discord' order by s.key limit 1"#,
        message.to_string(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(place.map(|place| place.0))
}

/// The title of the thread that is talked in there.
pub(super) async fn title(pool: &PgPool, channel: i64) -> Result<Option<String>, sqlx::Error> {
    let title = sqlx::query_scalar!(
        "select t.title from surfaces s join threads t on t.id = s.thread_id where s.surface = 'discord' and s.key = $1",
        channel.to_string(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(title.flatten())
}

/// Writes down that somebody addressed us there: what they say next needs no mention. Idempotent, in whatever order it is told.
pub(super) async fn addressed(pool: &PgPool, channel: i64, partner: i64, message: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into discord_talks as t (channel, partner, addressed) values ($1, $2, $3)
         on conflict (channel) do update set partner = excluded.partner, addressed = excluded.addressed,
             taken_over = case when t.taken_over > excluded.addressed then t.taken_over end
         where t.addressed < excluded.addressed",
        channel,
        partner,
        message,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Hears what somebody says in a conversation of ours without addressing us. True when they are the one we talk with and nobody else
/// took the conversation over; whoever else speaks does that.
pub(super) async fn follows_up(pool: &PgPool, channel: i64, author: i64, message: i64) -> Result<bool, sqlx::Error> {
    let follows = sqlx::query_scalar!(
        r#"update discord_talks set taken_over = case
               when partner <> $2 and $3 > addressed then least(coalesce(taken_over, $3), $3)
               else taken_over end
           where channel = $1
           returning (partner = $2 and $3 > addressed and (taken_over is null or taken_over > $3)) as "follows!""#,
        channel,
        author,
        message,
    )
    .fetch_optional(pool)
    .await?;
    Ok(follows.unwrap_or(false))
}

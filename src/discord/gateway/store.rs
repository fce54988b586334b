//! The tables `discord_gateway` and `discord_partners`, and what is known of conversations on Discord.

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

/// Threads of ours in a guild that are looked through although they sleep.
const MOST_ASLEEP: i64 = 200;
const MOST_GUILDS: i64 = 10_000;

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

/// Keeps the connection, and writes down until when everything is accounted for, and what keeps us from understanding it. False when another
/// process took it.
pub(super) async fn renew(
    pool: &PgPool,
    holder: &str,
    hold: Duration,
    seen_until: Option<DateTime<Utc>>,
    trouble: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let kept = sqlx::query!(
        "update discord_gateway set lease_until = now() + $2::interval, seen_until = coalesce($3, seen_until),
             trouble = case when $3::timestamptz is null then coalesce($4, trouble) else $4 end
         where name = 'gateway' and holder = $1",
        holder,
        interval(hold),
        seen_until,
        trouble,
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

/// The first session of all has begun: what is said from now on is accounted for.
pub(super) async fn begin(pool: &PgPool, holder: &str, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update discord_gateway set seen_until = coalesce(seen_until, $2) where name = 'gateway' and holder = $1",
        holder,
        now,
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

/// Our threads in a guild that were used since, the latest first.
pub(super) async fn talks_in(pool: &PgPool, guild: i64, since: DateTime<Utc>) -> Result<Vec<i64>, sqlx::Error> {
    let keys = sqlx::query_scalar!(
        "select s.key from surfaces s join threads t on t.id = s.thread_id
         where s.surface = 'discord' and s.place->>'guild' = $1::bigint::text and t.updated_at > $2 order by t.updated_at desc limit $3",
        guild,
        since,
        MOST_ASLEEP,
    )
    .fetch_all(pool)
    .await?;
    Ok(keys.iter().filter_map(|key| key.parse().ok()).collect())
}

/// The guilds of which something that was said is kept.
pub(super) async fn guilds(pool: &PgPool) -> Result<Vec<i64>, sqlx::Error> {
    let guilds = sqlx::query_scalar!(
        r#"select distinct (s.place->>'guild')::bigint as "guild!" from surfaces s
           where s.surface = 'discord' and s.place->>'guild' is not null
             and exists (select 1 from messages m where m.thread_id = s.thread_id and m.forgotten_at is null) limit $1"#,
        MOST_GUILDS,
    );
    guilds.fetch_all(pool).await
}

/// The conversation that is talked in there.
pub(super) async fn conversation(pool: &PgPool, channel: i64) -> Result<Option<Place>, sqlx::Error> {
    let place = sqlx::query_scalar!(
        r#"select place as "place: Json<Place>" from surfaces where surface = 'discord' and key = $1"#,
        channel.to_string(),
    );
    Ok(place.fetch_optional(pool).await?.map(|place| place.0))
}

/// The conversations in a channel, and those in its threads.
pub(super) async fn conversations_in(pool: &PgPool, channel: i64) -> Result<Vec<Place>, sqlx::Error> {
    let places = sqlx::query_scalar!(
        r#"select place as "place: Json<Place>" from surfaces
           where surface = 'discord' and $1::bigint::text in (key, place->>'channel', place->>'parent') limit $2"#,
        channel,
        MOST_TALKS,
    );
    Ok(places.fetch_all(pool).await?.into_iter().map(|place| place.0).collect())
}

/// True when somebody talks with us there.
pub(super) async fn has_partner(pool: &PgPool, channel: i64) -> Result<bool, sqlx::Error> {
    let has = sqlx::query_scalar!(r#"select exists (select 1 from discord_partners where channel = $1) as "has!""#, channel);
    has.fetch_one(pool).await
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
    Ok(place.map(|place| as_it_arrives(place.0)))
}

/// Without what the gate fills in, for whoever asks.
fn as_it_arrives(place: Place) -> Place {
    match place {
        Place::Discord { guild, channel, parent, opening, person, .. } => {
            Place::Discord { guild, channel, parent, opening, person, repository: None, apart: None }
        }
        Place::Github { .. } => place,
    }
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

/// True when we gave the thread this name.
pub(super) async fn is_our_name(pool: &PgPool, channel: i64, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select 1 from discord_talks where opening = $1 and $2 = any (names)) as "ours!""#,
        channel,
        name,
    )
    .fetch_one(pool)
    .await
}

/// Writes down that somebody addressed us there: what they say next needs no mention. Idempotent, in whatever order it is told.
pub(in crate::discord) async fn addressed(pool: &PgPool, channel: i64, partner: i64, message: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into discord_partners as t (channel, partner, addressed) values ($1, $2, $3)
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
        r#"update discord_partners set taken_over = case
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

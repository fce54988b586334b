//! The table `lookouts`, and what is known of deliveries and repositories.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;

use crate::github::RepoRef;
use crate::intake::Place;

/// How far a lookout came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Everything until then is accounted for; none before the first look.
    pub seen_until: Option<DateTime<Utc>>,
    /// Where a look that is not finished goes on, and the moment it began at.
    pub goes_on: Option<(String, DateTime<Utc>)>,
    /// Looks that did not work since the last that did.
    pub failures: i32,
}

/// When something is looked at that never was.
#[derive(Clone, Copy, Debug)]
pub enum First {
    /// At once.
    Now,
    /// Then; what was written before is not looked for.
    At(DateTime<Utc>),
}

fn interval(span: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(span.as_micros()).unwrap_or(i64::MAX) }
}

/// Takes the lease of a look that is due. None when it is not, or somebody else has it.
pub async fn begin(
    pool: &PgPool,
    name: &str,
    first: First,
    now: DateTime<Utc>,
    hold: Duration,
) -> Result<Option<State>, sqlx::Error> {
    let (seen_until, next) = match first {
        First::Now => (None, now),
        First::At(next) => (Some(now), next),
    };
    sqlx::query!(
        "insert into lookouts (name, seen_until, next_look_at) values ($1, $2, $3) on conflict do nothing",
        name,
        seen_until,
        next,
    )
    .execute(pool)
    .await?;
    let row = sqlx::query!(
        "update lookouts set lease_until = now() + $3::interval
         where name = $1 and next_look_at <= $2 and (lease_until is null or lease_until < now())
         returning seen_until, cursor, cursor_began, failures",
        name,
        now,
        interval(hold),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| State { seen_until: row.seen_until, goes_on: row.cursor.zip(row.cursor_began), failures: row.failures }))
}

/// Writes down how far it came, and gives the lease back.
pub async fn end(pool: &PgPool, name: &str, state: State, next_look_at: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let (cursor, began) = state.goes_on.unzip();
    sqlx::query!(
        "update lookouts set lease_until = null, seen_until = $2, cursor = $3, cursor_began = $4, failures = $5, next_look_at = $6
         where name = $1",
        name,
        state.seen_until,
        cursor,
        began,
        state.failures,
        next_look_at,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Gives the lease back as it was.
pub async fn put_back(pool: &PgPool, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update lookouts set lease_until = null where name = $1", name).execute(pool).await?;
    Ok(())
}

/// Those of these deliveries that we do not have.
pub async fn unknown(pool: &PgPool, guids: &[String]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select asked.guid as "guid!" from unnest($1::text[]) as asked (guid)
        where not exists (select 1 from deliveries d where d.surface = 'github' and d.external_id = asked.guid)
        "#,
        guids,
    )
    .fetch_all(pool)
    .await
}

/// The repositories with the latest conversations, from those since `since`.
pub async fn repositories(pool: &PgPool, since: DateTime<Utc>, most: i64) -> Result<Vec<RepoRef>, sqlx::Error> {
    let places = sqlx::query_scalar!(
        r#"
        select place as "place!: Json<Place>" from (
            select distinct on (s.place->>'repository_id') s.place, t.updated_at
            from surfaces s join threads t on t.id = s.thread_id
            where s.surface = 'github' and t.updated_at > $1
            order by s.place->>'repository_id', t.updated_at desc
        ) as latest
        order by updated_at desc limit $2
        "#,
        since,
        most,
    )
    .fetch_all(pool)
    .await?;
    Ok(places.into_iter().filter_map(|place| RepoRef::of(&place.0)).map(|(repo, _)| repo).collect())
}

//! The table `discord_interactions`: what was asked for and is not in the inbox yet, and tokens while they are good.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::types::Json;

use crate::intake::Request;
use crate::secret::{ExposeSecret, SecretString, secret};

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// In order.
    pub requests: Vec<AskedOne>,
    /// What it is answered with.
    pub answer: AnsweredBy,
}

/// One of the requests of an interaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct AskedOne {
    /// Tells it from the others; empty for what was asked for.
    pub name: String,
    /// It, but for what is known only with the answer.
    pub request: Request,
}

/// The answer by which one sees later that there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnsweredBy {
    /// A message everybody sees; a thread is opened from it where `opens`.
    Message {
        /// Whether it begins a conversation.
        opens: bool,
    },
    /// None but that it was heard: it was done on this message.
    Press {
        /// The message.
        message: i64,
    },
}

/// An interaction that is to be kept.
#[derive(Clone, Debug)]
pub(super) struct New<'a> {
    pub id: i64,
    pub application: i64,
    pub token: &'a SecretString,
    pub asked: &'a Asked,
    /// Who, where it may become a run: counted against what one person may have.
    pub quota: Option<Quota<'a>>,
}

/// What one person may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota<'a> {
    pub person: i64,
    pub since: DateTime<Utc>,
    pub limit: u32,
    /// The conversation, where free words during a run only join it.
    pub joins: Option<&'a str>,
}

/// What came of keeping it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is kept, now or since an earlier delivery, and not handed over yet.
    Yes,
    /// It was handed over already.
    HandedOver,
    /// The person had enough; their oldest run within the hour began then.
    TooMany {
        /// When.
        oldest: DateTime<Utc>,
    },
}

/// Keeps an interaction, once. One statement.
pub(super) async fn keep(pool: &PgPool, new: New<'_>, now: DateTime<Utc>) -> Result<Kept, sqlx::Error> {
    let quota = new.quota;
    let row = sqlx::query!(
        r#"
        with mine as (
            select count(*) as count, min(created_at) as oldest from (
                select created_at from runs where requester_id = $6 and created_at > $7 order by created_at desc limit $8
            ) as latest
        ), joins as (
            select exists (
                select 1 from surfaces s join runs r on r.thread_id = s.thread_id
                where s.surface = 'discord' and s.key = $9 and r.state in ('queued', 'running')
            ) as joins
        ), known as (
            select asked is not null as waits from discord_interactions where id = $1
        ), kept as (
            insert into discord_interactions (id, application, token, asked, arrived_at)
            select $1, $2, $3, $4, $5 from mine, joins where $8::bigint is null or mine.count < $8 or joins.joins
            on conflict do nothing
            returning id
        )
        select exists (select 1 from kept) as "kept!", (select waits from known) as "waits", mine.oldest as "oldest?" from mine
        "#,
        new.id,
        new.application,
        new.token.expose_secret(),
        Json(new.asked) as _,
        now,
        quota.map(|quota| quota.person),
        quota.map(|quota| quota.since),
        quota.map(|quota| i64::from(quota.limit)),
        quota.and_then(|quota| quota.joins),
    )
    .fetch_one(pool)
    .await?;
    Ok(match (row.kept, row.waits) {
        (true, _) | (false, Some(true)) => Kept::Yes,
        (false, Some(false)) => Kept::HandedOver,
        (false, None) if quota.is_some() => Kept::TooMany { oldest: row.oldest.unwrap_or(now) },
        // Somebody else keeps it at this very moment.
        (false, None) => Kept::Yes,
    })
}

/// It is in the inbox; the token stays while it is good.
pub(super) async fn handed_over(pool: &PgPool, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query!("update discord_interactions set asked = null where id = $1", id).execute(pool).await?;
    Ok(())
}

/// It was never answered, and the person was told so.
pub(super) async fn forget(pool: &PgPool, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from discord_interactions where id = $1", id).execute(pool).await?;
    Ok(())
}

/// One that was kept and not handed over.
#[derive(Debug)]
pub(super) struct Waiting {
    pub id: i64,
    pub application: i64,
    pub token: SecretString,
    pub asked: Asked,
    pub arrived_at: DateTime<Utc>,
}

/// Those kept before `before` that were not handed over, the oldest first.
pub(super) async fn waiting(pool: &PgPool, before: DateTime<Utc>, most: i64) -> Result<Vec<Waiting>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select id, application, token, asked as "asked!: Json<Asked>", arrived_at from discord_interactions
        where asked is not null and arrived_at < $1 order by arrived_at limit $2
        "#,
        before,
        most,
    )
    .fetch_all(pool)
    .await?;
    let read = rows.into_iter().map(|row| Waiting {
        id: row.id,
        application: row.application,
        token: secret(row.token),
        asked: row.asked.0,
        arrived_at: row.arrived_at,
    });
    Ok(read.collect())
}

/// Tokens Discord takes no more go; so does what waits longer than a day.
pub(super) async fn sweep(pool: &PgPool, tokens: DateTime<Utc>, waits: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from discord_interactions where (asked is null and arrived_at < $1) or arrived_at < $2", tokens, waits,)
        .execute(pool)
        .await?;
    Ok(())
}

/// The application and token of an interaction, while there is one.
pub(super) async fn token(pool: &PgPool, id: i64) -> Result<Option<(i64, SecretString, DateTime<Utc>)>, sqlx::Error> {
    let row = sqlx::query!("select application, token, arrived_at from discord_interactions where id = $1", id)
        .fetch_optional(pool)
        .await?;
    Ok(row.map(|row| (row.application, secret(row.token), row.arrived_at)))
}

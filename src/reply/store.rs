//! The table `posts`: outbound effects by key.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::id::{LeaseEpoch, RunId, ThreadId};

/// What is known of a post before it is performed.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    /// False when it was begun before: its effect may be there already.
    pub first: bool,
    /// What the surface calls it, once known.
    pub external_id: Option<i64>,
    /// The review thread it stands in, once known; none in the conversation.
    pub review_thread: Option<i64>,
    /// When it was begun first.
    pub begun_at: DateTime<Utc>,
    /// When it was tried last before this, if it was.
    pub tried_at: Option<DateTime<Utc>>,
}

/// What a post is.
#[derive(Clone, Copy, Debug)]
pub(super) struct PostRow<'a> {
    pub key: &'a str,
    pub thread: ThreadId,
    pub run: Option<RunId>,
    pub kind: &'a str,
    pub about: Option<&'a str>,
}

/// Records that the post is about to be performed, before it is.
pub(super) async fn begin(pool: &PgPool, post: PostRow<'_>, now: DateTime<Utc>) -> Result<Begun, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        with before as (select updated_at from posts where key = $1)
        insert into posts (key, thread_id, run_id, kind, about, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $6)
        on conflict (key) do update set updated_at = excluded.updated_at
        returning (xmax = 0) as "first!", external_id, review_thread, created_at, (select updated_at from before) as tried_at
        "#,
        post.key,
        post.thread as ThreadId,
        post.run as Option<RunId>,
        post.kind,
        post.about,
        now,
    )
    .fetch_one(pool)
    .await?;
    let external_id = row.external_id.and_then(|id| id.parse().ok());
    Ok(Begun {
        first: row.first,
        external_id,
        review_thread: row.review_thread,
        begun_at: row.created_at,
        tried_at: row.tried_at,
    })
}

/// Records what the surface calls it and where it stands.
pub(super) async fn done(
    pool: &PgPool,
    key: &str,
    external_id: i64,
    review_thread: Option<i64>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update posts set state = 'done', external_id = $2, review_thread = $3, updated_at = $4 where key = $1",
        key,
        external_id.to_string(),
        review_thread,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The surface's id of a post that is known to be there, with the review thread it stands in.
pub(super) async fn whereabouts(pool: &PgPool, key: &str) -> Result<Option<(i64, Option<i64>)>, sqlx::Error> {
    let row = sqlx::query!("select external_id, review_thread from posts where key = $1", key).fetch_optional(pool).await?;
    Ok(row.and_then(|row| Some((row.external_id?.parse().ok()?, row.review_thread))))
}

/// Whether the lease of a thread is held under this epoch.
pub(super) async fn holds(pool: &PgPool, thread: ThreadId, epoch: LeaseEpoch) -> Result<bool, sqlx::Error> {
    let holds = sqlx::query_scalar!(
        r#"select exists (select 1 from threads where id = $1 and lease_epoch = $2 and lease_until > now()) as "holds!""#,
        thread as ThreadId,
        epoch as LeaseEpoch,
    );
    holds.fetch_one(pool).await
}

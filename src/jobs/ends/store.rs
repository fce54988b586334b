//! Which ends of runs are still to be shown elsewhere: `runs.shows_end_at`.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;

use crate::id::{RunId, ThreadId};
use crate::intake::Request;

/// Runs in one go.
const MOST: i64 = 20;

/// An ended run that does not show everywhere.
#[derive(Debug)]
pub(super) struct Showing {
    pub run: RunId,
    pub thread: ThreadId,
    pub request: Request,
    pub ended_at: DateTime<Utc>,
}

/// Takes runs that are due: nobody else has them for as long as `hold`.
pub(super) async fn due(pool: &PgPool, now: DateTime<Utc>, hold: TimeDelta) -> Result<Vec<Showing>, sqlx::Error> {
    let hold = PgInterval { months: 0, days: 0, microseconds: hold.num_microseconds().unwrap_or(i64::MAX) };
    let rows = sqlx::query!(
        r#"
        with due as (
            select id from runs where shows_end_at <= $1 order by shows_end_at limit $3 for update skip locked
        )
        update runs r set shows_end_at = $1 + $2::interval from due where r.id = due.id
        returning r.id as "run: RunId", r.thread_id as "thread: ThreadId", r.request as "request: Json<Request>",
                  coalesce(r.ended_at, r.created_at) as "ended_at!", r.forgotten_at is not null as "forgotten!"
        "#,
        now,
        hold,
        MOST,
    )
    .fetch_all(pool)
    .await?;
    let (gone, left): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.forgotten);
    for row in gone {
        done(pool, row.run).await?;
    }
    let showing =
        left.into_iter().map(|row| Showing { run: row.run, thread: row.thread, request: row.request.0, ended_at: row.ended_at });
    Ok(showing.collect())
}

/// It is shown, or never will be.
pub(super) async fn done(pool: &PgPool, run: RunId) -> Result<(), sqlx::Error> {
    sqlx::query!("update runs set shows_end_at = null where id = $1", run as RunId).execute(pool).await?;
    Ok(())
}

/// It is to be tried then.
pub(super) async fn put_off(pool: &PgPool, run: RunId, at: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!("update runs set shows_end_at = $2 where id = $1", run as RunId, at).execute(pool).await?;
    Ok(())
}

/// Whether no other run of the thread began after it: how an earlier one ended is not how the conversation stands.
pub(super) async fn is_newest(pool: &PgPool, run: RunId, thread: ThreadId) -> Result<bool, sqlx::Error> {
    let query = sqlx::query_scalar!(
        r#"select not exists (select from runs where thread_id = $2 and id > $1 and state <> 'queued') as "newest!""#,
        run as RunId,
        thread as ThreadId,
    );
    query.fetch_one(pool).await
}

//! Model and ceiling in `threads`, and runs that go on after their ceiling was raised.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::id::{MessageId, ThreadId};
use crate::jobs::gate::store::Claimed;

/// Sets the model of a thread.
pub async fn set_model(pool: &PgPool, thread: ThreadId, model: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update threads set model = $2 where id = $1", thread as ThreadId, model).execute(pool).await?;
    Ok(())
}

/// What people set for a thread.
#[derive(Debug)]
pub struct Set {
    pub model: Option<String>,
    pub budget_usd: Option<f64>,
}

/// What people set for the thread.
pub async fn set(pool: &PgPool, thread: ThreadId) -> Result<Set, sqlx::Error> {
    sqlx::query_as!(Set, "select model, budget_usd from threads where id = $1", thread as ThreadId).fetch_one(pool).await
}

/// A run that a ceiling of money ended.
#[derive(Debug)]
pub struct Stopped {
    pub requester: String,
    pub repository: String,
    /// Whether people see its end.
    pub posted: bool,
}

/// The newest run of the thread, if a ceiling of money ended it.
pub async fn stopped_run(pool: &PgPool, thread: ThreadId) -> Result<Option<Stopped>, sqlx::Error> {
    sqlx::query_as!(
        Stopped,
        r#"
        select requester, repository, state = 'posted' as "posted!" from runs
        where id = (select id from runs where thread_id = $1 order by id desc limit 1)
          and state in ('ended', 'posted') and snapshot is not null and outcome->>'outcome' = 'limit'
          and outcome->'limit'->>'kind' in ('cost', 'daily_cost', 'person_daily_cost', 'repository_daily_cost')
        "#,
        thread as ThreadId,
    )
    .fetch_optional(pool)
    .await
}

/// What raising a ceiling came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raised {
    /// It holds from the next run on.
    Set,
    /// The run that had ended at it goes on, with the message that raised it.
    Continued,
}

/// Sets the ceiling of the thread's runs and lets its newest run go on, if a ceiling of money ended it and the new one leaves room. The
/// message joins that run, by which a second time finds the first.
pub async fn raise(pool: &PgPool, claimed: &Claimed, usd: f64, now: DateTime<Utc>) -> Result<Raised, sqlx::Error> {
    let continued = sqlx::query_scalar!(
        r#"
        with thread as (
            update threads set budget_usd = $2 where id = $1
        ), going as (
            update runs set state = 'queued', outcome = null, continued_from = ended_at, continued_at = $5, ended_at = null,
                attempt = 0, waits = 0, next_try_at = $3, arrivals = arrivals + 1,
                -- Who wanted it to stop wanted that before somebody let it go on.
                stop_requested_by = null
            where id = (select id from runs where thread_id = $1 order by id desc limit 1)
              and state = 'posted' and snapshot is not null and outcome->>'outcome' = 'limit'
              and outcome->'limit'->>'kind' in ('cost', 'daily_cost', 'person_daily_cost', 'repository_daily_cost')
              and coalesce(cost_usd, 0) < $2
            returning id
        ), reopened as (
            -- What it found meanwhile is said in another review.
            update reviews set state = 'open', plan = null, told = null from going where reviews.run_id = going.id
        ), joined as (
            update messages set run_id = going.id from going where messages.id = $4
        )
        select count(*) as "count!" from going
        "#,
        claimed.thread as ThreadId,
        usd,
        now,
        claimed.message as MessageId,
        claimed.request.written_at,
    )
    .fetch_one(pool)
    .await?;
    Ok(if continued == 1 { Raised::Continued } else { Raised::Set })
}

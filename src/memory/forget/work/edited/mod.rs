//! The earlier words of a thing that was edited.

mod store;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::{SOON, Step};
use crate::memory::forget::store::Forgetting;

/// An index that was reading the earlier words has put them down by then.
const SETTLED: TimeDelta = TimeDelta::minutes(1);
/// How long an edit waits for the thing it edits: as long as it may be delivered.
const MAY_BE_LATE: TimeDelta = TimeDelta::days(3);
const BETWEEN_LOOKS: TimeDelta = TimeDelta::hours(1);

/// The stored message has its new words already. What was made of the earlier ones goes; the run that began with them keeps its answer.
pub(super) async fn work(pool: &PgPool, forgetting: &Forgetting, object: &str, now: DateTime<Utc>) -> Result<Step, sqlx::Error> {
    if !store::can_be_reworded(pool, object).await? {
        return Ok(Step::Later(now + SOON));
    }
    let mut tx = pool.begin().await?;
    let reworded = store::reword(&mut tx, object, forgetting.asked_at, &forgetting.by, now).await?;
    tx.commit().await?;
    if !store::can_be_reworded(pool, object).await? {
        // It arrived meanwhile, and was left alone.
        return Ok(Step::Later(now + SOON));
    }
    let age = now - forgetting.asked_at;
    Ok(if age < SETTLED {
        Step::Later(forgetting.asked_at + SETTLED)
    } else if reworded || age > MAY_BE_LATE {
        Step::Done
    } else {
        Step::Later(now + BETWEEN_LOOKS)
    })
}

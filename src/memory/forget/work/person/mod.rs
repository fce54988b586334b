//! What somebody said and, where they are to be forgotten altogether, their name.

mod store;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{BATCH, SOON, Step, take};
use crate::id::ThreadId;
use crate::memory::forget::rows::store::Batch;
use crate::memory::forget::store::Forgetting;
use crate::memory::forget::{Person, Words, own};

/// Runs looked through in one step.
const LOOKED_THROUGH: i64 = 200;

/// What somebody said; the next step, or none when nothing of it is left.
async fn said_by(
    pool: &PgPool,
    forgetting: &Forgetting,
    (author, thread): (i64, Option<ThreadId>),
    now: DateTime<Utc>,
) -> Result<Option<Step>, sqlx::Error> {
    let picked = super::store::of_person(pool, author, thread, forgetting.asked_at, BATCH).await?;
    super::store::stop(pool, &picked.busy, &forgetting.by).await?;
    if !picked.free.is_empty() {
        let batch = Batch { messages: picked.free, ..Batch::default() };
        let taken = take(pool, forgetting, batch, now).await?;
        return Ok(Some(if taken { Step::More } else { Step::Later(now + SOON) }));
    }
    Ok((!picked.busy.is_empty()).then(|| Step::Later(now + SOON)))
}

pub(super) async fn words(pool: &PgPool, forgetting: &Forgetting, words: Words, now: DateTime<Utc>) -> Result<Step, sqlx::Error> {
    if let Some(step) = said_by(pool, forgetting, (words.author, words.thread), now).await? {
        return Ok(step);
    }
    own::opened(pool, words).await?;
    Ok(Step::Done)
}

/// First what they said, then what the agent told of them by name in runs of others; the cursor is the last run that was looked through.
pub(super) async fn work(
    pool: &PgPool,
    forgetting: &mut Forgetting,
    person: &Person,
    now: DateTime<Utc>,
) -> Result<Step, sqlx::Error> {
    if let Some(id) = person.id
        && let Some(step) = said_by(pool, forgetting, (id, None), now).await?
    {
        return Ok(step);
    }
    if let Some(login) = &person.login {
        let looked = store::naming(pool, login, forgetting.cursor, forgetting.asked_at, LOOKED_THROUGH).await?;
        if !looked.naming.is_empty() && !take(pool, forgetting, Batch { answers: looked.naming, ..Batch::default() }, now).await?
        {
            return Ok(Step::Later(now + SOON));
        }
        if let Some(last) = looked.last {
            forgetting.cursor = Some(last);
            return Ok(Step::More);
        }
    }
    store::rest_of_person(pool, person).await?;
    Ok(Step::Done)
}

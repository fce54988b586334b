//! The work of forgetting, in small steps: each takes what is due longest, empties a batch of it in one transaction, and notes how far
//! it is. Any step may be repeated, and several processes may work at once.

mod edited;
mod person;
mod store;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::Target;
use super::rows::store::{Batch, Emptied, condense_again, empty, forget_snapshots, release_workspaces};
use super::store::{self as queue, Forgetting};
use crate::id::{RunId, ThreadId};
use crate::memory::branch::store as branch;

/// Messages emptied in one transaction, beside what the agent said in their runs.
const BATCH: i64 = 50;
/// When something that is at work is looked at again.
const SOON: TimeDelta = TimeDelta::seconds(2);

/// What a step came to.
enum Step {
    /// There is more of it, now.
    More,
    /// It goes on then.
    Later(DateTime<Utc>),
    /// Nothing of it is left.
    Done,
}

/// Does one step of what is due. False when nothing is.
///
/// # Errors
/// As the database; what was claimed is due again within minutes.
pub async fn step(pool: &PgPool, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let Some(mut forgetting) = queue::claim(pool, now).await? else { return Ok(false) };
    let worked = work(pool, &mut forgetting, now).await;
    if worked.is_err() {
        // Whoever comes next need not wait until the claim is over.
        queue::goes_on(pool, &forgetting, forgetting.cursor, now + SOON).await?;
    }
    match worked? {
        Step::More => queue::goes_on(pool, &forgetting, forgetting.cursor, now).await?,
        Step::Later(at) => queue::goes_on(pool, &forgetting, forgetting.cursor, at).await?,
        Step::Done => {
            tracing::info!(what = forgetting.target.what(), asked.by = forgetting.by, "forgotten");
            queue::done(pool, forgetting.id, forgetting.asked_at, now).await?;
        }
    }
    Ok(true)
}

/// Forgets what was said before `before`, with everything made of it, in batches. Returns how many messages; fewer than asked for means
/// that the rest is at work.
///
/// # Errors
/// As the database.
pub async fn forget_older(pool: &PgPool, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let mut forgotten = 0;
    loop {
        let picked = store::older(pool, before, BATCH).await?;
        if picked.free.is_empty() {
            break;
        }
        let mut tx = pool.begin().await?;
        let batch = Batch { messages: picked.free, by: "its age".to_owned(), ..Batch::default() };
        let emptied = empty(&mut tx, batch, now).await?;
        tx.commit().await?;
        match emptied {
            Emptied::Busy | Emptied::Done { messages: 0, .. } => break,
            Emptied::Done { messages, .. } => forgotten += messages,
        }
    }
    store::old_lines(pool, before).await?;
    for thread in store::bare_threads(pool, before, BATCH).await? {
        let mut tx = pool.begin().await?;
        store::rest_of_thread(&mut tx, thread, now).await?;
        release_workspaces(&mut tx, &[thread.0]).await?;
        tx.commit().await?;
    }
    Ok(forgotten)
}

async fn work(pool: &PgPool, forgetting: &mut Forgetting, now: DateTime<Utc>) -> Result<Step, sqlx::Error> {
    match forgetting.target.clone() {
        Target::Message(object) => message(pool, forgetting, &object, now).await,
        Target::Edited(object) => edited::work(pool, forgetting, &object, now).await,
        Target::Answer(run) => answer(pool, forgetting, run, now).await,
        Target::Quotes(thread) => quotes(pool, forgetting, thread, now).await,
        Target::Thread(thread) => match a_thread(pool, forgetting, thread, now).await? {
            Left::Some => Ok(Step::More),
            Left::Busy => Ok(Step::Later(now + SOON)),
            Left::Nothing => Ok(Step::Done),
        },
        Target::Owner(owner) => an_owner(pool, forgetting, &owner, now).await,
        Target::Person(person) => person::work(pool, forgetting, &person, now).await,
        Target::Words(words) => person::words(pool, forgetting, words, now).await,
    }
}

/// Empties a batch and counts it. False when something of it is at work.
async fn take(pool: &PgPool, forgetting: &Forgetting, batch: Batch, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let batch = Batch { by: forgetting.by.clone(), ..batch };
    let mut tx = pool.begin().await?;
    let emptied = empty(&mut tx, batch, now).await?;
    if let Emptied::Done { messages, runs } = emptied {
        queue::count(&mut tx, forgetting.id, messages, runs).await?;
    }
    tx.commit().await?;
    Ok(emptied != Emptied::Busy)
}

async fn message(pool: &PgPool, forgetting: &Forgetting, object: &str, now: DateTime<Utc>) -> Result<Step, sqlx::Error> {
    let picked = store::of_object(pool, object, BATCH).await?;
    if picked.is_empty() {
        return Ok(Step::Done);
    }
    store::stop(pool, &picked.busy, &forgetting.by).await?;
    if picked.free.is_empty() {
        return Ok(Step::Later(now + SOON));
    }
    let batch = Batch { messages: picked.free, ..Batch::default() };
    Ok(if take(pool, forgetting, batch, now).await? { Step::More } else { Step::Later(now + SOON) })
}

async fn answer(pool: &PgPool, forgetting: &Forgetting, run: RunId, now: DateTime<Utc>) -> Result<Step, sqlx::Error> {
    let batch = Batch { answers: vec![run.0], ..Batch::default() };
    Ok(if take(pool, forgetting, batch, now).await? { Step::Done } else { Step::Later(now + SOON) })
}

async fn quotes(pool: &PgPool, forgetting: &Forgetting, thread: ThreadId, now: DateTime<Utc>) -> Result<Step, sqlx::Error> {
    let still = store::still_quotes(pool, thread, forgetting.asked_at).await?;
    let mut tx = pool.begin().await?;
    let threads = [thread.0];
    forget_snapshots(&mut tx, &threads).await?;
    store::forget_told_approvals(&mut tx, thread).await?;
    if !still {
        condense_again(&mut tx, &threads).await?;
        release_workspaces(&mut tx, &threads).await?;
    }
    tx.commit().await?;
    Ok(if still { Step::Later(now + SOON) } else { Step::Done })
}

/// What is left of a conversation.
enum Left {
    Some,
    /// Only what is at work.
    Busy,
    Nothing,
}

async fn a_thread(pool: &PgPool, forgetting: &Forgetting, thread: ThreadId, now: DateTime<Utc>) -> Result<Left, sqlx::Error> {
    // What it began with is somebody else's to forget, and no part of it any more.
    branch::part(pool, thread, forgetting.asked_at).await?;
    let picked = store::of_thread(pool, thread, forgetting.asked_at, BATCH).await?;
    store::stop(pool, &picked.busy, &forgetting.by).await?;
    if !picked.free.is_empty() {
        let batch = Batch { messages: picked.free, ..Batch::default() };
        return Ok(if take(pool, forgetting, batch, now).await? { Left::Some } else { Left::Busy });
    }
    if !picked.busy.is_empty() {
        return Ok(Left::Busy);
    }
    let mut tx = pool.begin().await?;
    store::rest_of_thread(&mut tx, thread, forgetting.asked_at).await?;
    release_workspaces(&mut tx, &[thread.0]).await?;
    tx.commit().await?;
    Ok(Left::Nothing)
}

/// Thread by thread; the cursor is the last one of which nothing is left but what is at work.
async fn an_owner(pool: &PgPool, forgetting: &mut Forgetting, owner: &str, now: DateTime<Utc>) -> Result<Step, sqlx::Error> {
    if let Some(thread) = store::next_thread(pool, owner, forgetting.cursor).await? {
        return Ok(match a_thread(pool, forgetting, thread, now).await? {
            Left::Some => Step::More,
            Left::Busy | Left::Nothing => {
                forgetting.cursor = Some(thread.0);
                Step::More
            }
        });
    }
    if store::owner_has_words(pool, owner, forgetting.asked_at).await? {
        forgetting.cursor = None;
        return Ok(Step::Later(now + SOON));
    }
    store::rest_of_owner(pool, owner, forgetting.asked_at).await?;
    Ok(Step::Done)
}

//! Where else it shows how a run stands: on the other surface of its conversation, and in the tags of a post in a forum. The answer waits
//! for none of it; what does not work at its end is tried again, ever less often, for a day.

mod store;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use self::store::Showing;
use super::Services;
use super::bridge::mirror;
use super::run::{landed, later};
use crate::agent::store::{self as runs, Taken};
use crate::id::{RunId, ThreadId};
use crate::intake::Request;
use crate::memory::receipt;
use crate::reply::{AnswerView, Footer, PostError, Standing};

/// For how long after its end it is tried.
const TRIED_FOR: TimeDelta = TimeDelta::days(1);
/// Between two attempts, at the least and at the most. Longer than an attempt may take, so that no two are under way at once.
const SOONEST: TimeDelta = TimeDelta::minutes(1);
const LATEST: TimeDelta = TimeDelta::hours(1);
/// How long an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(40);

/// A run begins.
pub(super) async fn working(services: &Services, taken: &Taken) {
    if let Err(error) = services.poster.show_standing(&taken.request.place, Standing::Working).await {
        tracing::debug!(run.id = %taken.id, %error, "no tag says that it is worked on");
    }
}

/// A run has ended, and its answer is shown. Idempotent.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn ended(services: &Services, taken: &Taken, view: &AnswerView) -> Result<(), sqlx::Error> {
    let now = services.clock.now();
    match show(services, (taken.id, taken.thread), &taken.request, view).await {
        Ok(()) => Ok(()),
        Err(PostError::Database(error)) => Err(error),
        Err(error) => put_off(services, taken.id, now, &error).await,
    }
}

/// What did not work before and is due again.
pub(super) async fn owed(services: &Services) -> Result<(), sqlx::Error> {
    for showing in store::due(&services.pool, services.clock.now(), SOONEST).await? {
        let ended_at = showing.ended_at;
        match tokio::time::timeout(ATTEMPT, again(services, &showing)).await {
            Ok(Ok(())) => store::done(&services.pool, showing.run).await?,
            Ok(Err(PostError::Database(error))) => return Err(error),
            Ok(Err(error)) => put_off(services, showing.run, ended_at, &error).await?,
            // It is due again after a while, as it stands.
            Err(_) => tracing::info!(run.id = %showing.run, "showing the end of a run elsewhere takes too long"),
        }
    }
    Ok(())
}

async fn again(services: &Services, showing: &Showing) -> Result<(), PostError> {
    // Forgotten since.
    let Some(record) = runs::record(&services.pool, showing.run).await? else { return Ok(()) };
    let mut view = AnswerView {
        text: receipt::strip(&record.snapshot.last_words()),
        landed: landed(&record.events),
        outcome: record.outcome,
        executions: Vec::new(),
        attachments: Vec::new(),
        diff: None,
        footer: Footer::default(),
    };
    services.poster.redactor().answer(&mut view);
    show(services, (showing.run, showing.thread), &showing.request, &view).await
}

async fn show(
    services: &Services,
    (run, thread): (RunId, ThreadId),
    request: &Request,
    view: &AnswerView,
) -> Result<(), PostError> {
    // One that does not work does not keep the other from being shown.
    let tagged = match store::is_newest(&services.pool, run, thread).await? {
        true => services.poster.show_standing(&request.place, Standing::from(&view.outcome)).await,
        false => Ok(()),
    };
    mirror::ended(services, (run, thread), request, view).await.and(tagged)
}

async fn put_off(services: &Services, run: RunId, ended_at: DateTime<Utc>, error: &PostError) -> Result<(), sqlx::Error> {
    let now = services.clock.now();
    match later(error, 0, now) {
        Some(at) if now - ended_at < TRIED_FOR => {
            let pause = ((now - ended_at) / 10).clamp(SOONEST, LATEST);
            let at = at.max(now + pause);
            tracing::info!(run.id = %run, %error, retry_at = %at, "the end of a run is not shown elsewhere yet");
            store::put_off(&services.pool, run, at).await
        }
        Some(_) | None => {
            tracing::warn!(run.id = %run, %error, "the end of a run is not shown elsewhere");
            store::done(&services.pool, run).await
        }
    }
}

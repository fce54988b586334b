//! The gate: between what arrived and what is done about it.
//!
//! Works through inbox rows strictly by their sequence in a thread. It looks up who may, acknowledges within moments (👀 and the live
//! comment) or says why not, and turns a row into a run, a message that joins a run, or the effect of a command. A row that
//! cannot be handled now waits, and those behind it in its thread wait with it; one that never works is given up.

mod approve;
mod asked;
mod branch;
mod ceilings;
mod discord;
mod dispatch;
mod erase;
mod link;
mod outsider;
mod press;
mod remember;
mod repository;
mod retry;
mod status;
mod store;
mod words;

pub(super) use asked::moved;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use self::store::{Claimed, Verdict};
use super::run::later;
use super::{Services, lease};
use crate::github::GithubError;
use crate::intake::Asks;
use crate::reply::{Card, CommentPost, PostError, Said, Spot};

/// How long a claim holds without renewal; longer than any single call to a surface takes.
const HOLD: Duration = Duration::from_secs(15);
/// Workers that may die over a row before it is given up.
const MAX_DEATHS: i32 = 10;
/// How long a row waits for a surface that does not answer.
const GIVEN_UP: TimeDelta = TimeDelta::hours(24);
/// A row that was claimed this often without a verdict is what brings the service down.
const SUSPECT: TimeDelta = TimeDelta::seconds(1);

/// Works until no row is due.
pub(super) async fn work(services: Services) {
    if let Err(error) = let_in(&services).await {
        // What was claimed is taken up again when the claim is over.
        tracing::error!(%error, "the gate has to stop for now");
    }
}

async fn let_in(services: &Services) -> Result<(), sqlx::Error> {
    while !services.shutdown.is_cancelled() {
        let Some(claimed) = store::claim(&services.pool, &services.settings.name, services.clock.now(), HOLD).await? else {
            break;
        };
        services.bells.gate.ring();
        if pass(services, &claimed).await? {
            services.ring_for_a_run().await?;
        }
    }
    Ok(())
}

/// Decides about a row and finishes or postpones it. True when a run waits to be taken now.
async fn pass(services: &Services, claimed: &Claimed) -> Result<bool, sqlx::Error> {
    let decided = tokio::select! {
        decided = decide_or_say(services, claimed) => decided,
        () = lose_claim(services, claimed) => {
            tracing::warn!(inbox.id = %claimed.id, "another worker has taken the request over, or may have");
            return Ok(false);
        }
    };
    let now = services.clock.now();
    match decided {
        Ok(verdict) => store::finish(&services.pool, claimed, verdict, now).await,
        Err(PostError::Database(error)) => Err(error),
        Err(error) => match again_at(services, claimed, &error) {
            Some(at) => {
                tracing::warn!(inbox.id = %claimed.id, %error, retry_at = %at, "the request waits");
                store::postpone(&services.pool, claimed, at.max(now + SUSPECT)).await?;
                Ok(false)
            }
            None => {
                tracing::error!(inbox.id = %claimed.id, thread.id = %claimed.thread, %error, "the request is given up");
                let verdict = Verdict::Dead("the surface does not take our answer");
                store::finish(&services.pool, claimed, verdict, now).await
            }
        },
    }
}

/// When a row that met this error is looked at again; none when it is given up.
fn again_at(services: &Services, claimed: &Claimed, error: &PostError) -> Option<DateTime<Utc>> {
    let now = services.clock.now();
    later(error, claimed.waits + 1, now).filter(|_| now - claimed.accepted_at < GIVEN_UP)
}

/// Whoever asked is told why something will never work. Not where it is saying something that does not.
async fn decide_or_say(services: &Services, claimed: &Claimed) -> Result<Verdict, PostError> {
    let decided = decide(services, claimed).await;
    if let Err(error) = &decided
        && let Some(waits) = waits_for(&claimed.request.asks)
        && again_at(services, claimed, error).is_none()
        && !store::has_begun_to_speak(&services.pool, claimed).await?
    {
        let why = why_never(error);
        let told = match waits {
            Waits::ForWords => notice(services, claimed, &Card::Hindered { why, report: claimed.id.to_string() }).await,
            Waits::Alone { interaction } => press::say(services, claimed, interaction, &why).await,
        };
        if let Err(error) = told {
            tracing::info!(inbox.id = %claimed.id, %error, "nobody can be told why it is given up");
        }
    }
    decided
}

/// How somebody waits for an answer.
enum Waits {
    /// Where all can read it.
    ForWords,
    /// For their eyes.
    Alone { interaction: i64 },
}

fn waits_for(asks: &Asks) -> Option<Waits> {
    match asks {
        Asks::Words | Asks::Label { .. } | Asks::ReviewRequest { .. } => Some(Waits::ForWords),
        Asks::Pressed { interaction, .. } => Some(Waits::Alone { interaction: *interaction }),
        Asks::Pushed | Asks::CheckFailed { .. } | Asks::Reaction { .. } => None,
    }
}

/// Cause and remedy, for people. What else the surface said is for the log.
fn why_never(error: &PostError) -> String {
    let on = match error {
        PostError::Github(GithubError::Forbidden { missing, remedy }) => {
            return format!("To look up what I need on GitHub I lack {missing}. {remedy}");
        }
        PostError::Github(_) => "GitHub",
        PostError::Discord(_) => "Discord",
        PostError::Database(_) | PostError::Off => "The service",
    };
    format!("{on} refused what I needed for it. Whoever runs this service can run `threadbox doctor` to see what is missing.")
}

/// Renews the claim; ends when it is lost.
async fn lose_claim(services: &Services, claimed: &Claimed) {
    lease::lose(HOLD, "a request", || store::renew(&services.pool, claimed, HOLD)).await;
}

async fn decide(services: &Services, claimed: &Claimed) -> Result<Verdict, PostError> {
    if claimed.attempts - claimed.waits > MAX_DEATHS {
        // Ten workers took it and none came back.
        notice(services, claimed, &Card::GivenUp { report: claimed.id.to_string() }).await?;
        return Ok(Verdict::Dead("workers did not survive it"));
    }
    // Its future is large: each of the many things a request may become has a place in it.
    Box::pin(dispatch::dispatch(services, claimed)).await
}

/// One comment that answers the row itself, without a run.
async fn notice(services: &Services, claimed: &Claimed, what: &Card) -> Result<(), PostError> {
    say(services, claimed, "notice", what).await
}

async fn say(services: &Services, claimed: &Claimed, kind: &str, what: &Card) -> Result<(), PostError> {
    let key = format!("{kind}-{}", claimed.id);
    let about = claimed.request.author.id.to_string();
    let (place, spot) = (&claimed.request.place, Spot::of(&claimed.request));
    let post = CommentPost { key: &key, thread: claimed.thread, run: None, kind, about: Some(&about), place, spot };
    services.poster.comment(&post, &Said::Card(what)).await?;
    Ok(())
}

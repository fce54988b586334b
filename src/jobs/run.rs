//! Work on runs: takes the lease of a thread, drives its run, makes the end visible, and takes the next.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Services, hands, pictures, reader};
use crate::agent::sandboxes::{SandboxesOf, ThreadSandboxes};
use crate::agent::store::{self, Record, Renewed, Taken};
use crate::agent::{Halt, Run, RunEvent, RunState, Snapshot, Task, prompt};
use crate::attachment;
use crate::github::{Comment, GithubError, Reaction, RepoRef};
use crate::intake::Place;
use crate::memory::history;
use crate::model::Message;
use crate::reply::{
    AnswerView, Attached, CommentPost, Cost, Footer, LiveComment, LiveView, Outcome, PostError, Shown, allowed_mentions, answer,
    answer_key,
};
use crate::sandbox::SandboxId;
use crate::thread;

/// How long a lease holds without renewal. Longer than any single call to a surface takes (10 s), so that what a worker began
/// is over before another one begins.
pub const LEASE: Duration = Duration::from_secs(15);
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Workers that may die over one run before it is given up.
const MAX_ATTEMPTS: i32 = 5;
/// How long the answer of a finished run is tried to be posted.
const POSTING_GIVEN_UP: TimeDelta = TimeDelta::hours(24);
const SLOWEST_RETRY: TimeDelta = TimeDelta::minutes(5);

/// Works until no run is due that is in nobody's hands.
pub(super) async fn work(services: Services) {
    if let Err(error) = take_runs(&services).await {
        // What was held is taken up again when its lease is over.
        tracing::error!(%error, "a worker of runs has to stop for now");
    }
}

async fn take_runs(services: &Services) -> Result<(), Failure> {
    while !services.shutdown.is_cancelled() {
        let Some(taken) = store::take(&services.pool, &services.holder, LEASE, services.clock.now()).await? else { break };
        services.bells.runs.ring();
        hold(services, &taken).await?;
    }
    Ok(())
}

/// Why a worker put a run down.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Halt(#[from] Halt),
    #[error("the answer is not posted: {0}")]
    Post(#[from] PostError),
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
}

/// Carries a run while keeping its lease; gives it back at once on shutdown or when it has to wait.
async fn hold(services: &Services, taken: &Taken) -> Result<(), Failure> {
    let done = tokio::select! {
        done = carry(services, taken) => done,
        () = lose_lease(services, taken) => Err(Halt::LeaseLost.into()),
    };
    match done {
        Ok(()) => Ok(()),
        Err(Failure::Halt(Halt::LeaseLost)) => {
            tracing::warn!(run.id = %taken.id, "another worker has taken the run over");
            Ok(())
        }
        Err(Failure::Halt(Halt::Shutdown)) => {
            tracing::info!(run.id = %taken.id, "handed back at shutdown");
            Ok(store::release(&services.pool, taken.id, taken.epoch, services.clock.now()).await?)
        }
        Err(Failure::Post(error)) => put_off(services, taken, &error).await,
        Err(error @ (Failure::Halt(Halt::Database(_)) | Failure::Database(_))) => Err(error),
    }
}

/// Renews the lease; ends when it is lost.
async fn lose_lease(services: &Services, taken: &Taken) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        match store::renew(&services.pool, taken.id, taken.epoch, LEASE).await {
            Ok(Renewed::Kept { stop: false }) => {}
            Ok(Renewed::Kept { stop: true }) => services.stops.stop(taken.id),
            Ok(Renewed::Lost) => return,
            // The lease may still hold; the saves of the run are fenced in any case.
            Err(error) => tracing::warn!(run.id = %taken.id, %error, "cannot renew the lease"),
        }
    }
}

async fn carry(services: &Services, taken: &Taken) -> Result<(), Failure> {
    if taken.state != RunState::Ended {
        execute(services, taken).await?;
    }
    let Some(record) = store::record(&services.pool, taken.id).await? else {
        // The row was forgotten with its thread.
        return Ok(());
    };
    publish(services, taken, &record).await?;
    store::posted(&services.pool, taken.id, taken.epoch).await?;
    Ok(())
}

/// Drives the run to its stored end.
async fn execute(services: &Services, taken: &Taken) -> Result<Outcome, Failure> {
    let stop = services.stops.register(taken.id);
    let sandboxes = sandboxes(services, taken, stop.token.clone());
    let (view, views) = watch::channel(LiveView::default());
    let snapshot = match taken.snapshot.clone() {
        Some(snapshot) => snapshot,
        None => begin(services, taken, &sandboxes).await,
    };
    let snapshot = pictures::at_hand(services, taken, snapshot).await;
    let history = match &taken.task {
        Task::Code { .. } => Vec::new(),
        Task::Ask { .. } | Task::Review { .. } | Task::Land { .. } | Task::Plan { .. } | Task::CarryOut { .. } | Task::Undo => {
            history::fit(thread::history(&services.pool, taken.thread, taken.id).await?, history::TOKENS)
        }
    };
    let system = prompt::system(services.instructions.as_deref(), &facts(services, &taken.request.place));
    let hands = hands::of(services, taken, &sandboxes);
    let run = Run::resume(&services.kit, taken, snapshot, system, history, &sandboxes, hands, view, stop.token.clone());
    if taken.attempt > MAX_ATTEMPTS {
        return Ok(run.give_up(MAX_ATTEMPTS).await?);
    }
    let place = taken.request.place.clone();
    let live = LiveComment::follow(services.poster.clone(), taken.thread, taken.id, place, views);
    let outcome = tokio::select! {
        outcome = run.drive(&taken.task) => outcome,
        never = sandboxes.tend() => match never {},
        () = services.shutdown.cancelled() => Err(Halt::Shutdown),
    };
    // Whoever goes on must not be overtaken by an edit of ours that is still under way.
    live.finish().await;
    Ok(outcome?)
}

fn sandboxes(services: &Services, taken: &Taken, stop: CancellationToken) -> ThreadSandboxes {
    ThreadSandboxes::new(SandboxesOf {
        pool: services.pool.clone(),
        provider: services.sandboxes.clone(),
        clock: services.clock.clone(),
        thread: taken.thread,
        run: taken.id,
        resumed: taken.snapshot.is_some(),
        epoch: taken.epoch,
        known: taken.sandbox.clone().filter(|(provider, _)| provider == services.sandboxes.name()).map(|(_, id)| SandboxId(id)),
        origin: services.origins.as_ref().and_then(|origins| origins.of(&taken.request)),
        warm: services.settings.sandbox.warm.size > 0,
        stop,
    })
}

async fn begin(services: &Services, taken: &Taken, sandboxes: &ThreadSandboxes) -> Snapshot {
    let opening = match &taken.task {
        Task::Ask { text } | Task::Review { text } | Task::Land { text } | Task::Plan { text } => {
            let mut opening = prompt::opening(&taken.request, text, &surroundings(services, taken).await);
            opening.parts.extend(reader::outline(services, taken).await);
            pictures::shown(services, taken, sandboxes, &pictures::texts(taken), opening).await
        }
        Task::CarryOut { plan } => prompt::opening(&taken.request, plan, &surroundings(services, taken).await),
        Task::Undo => prompt::opening(&taken.request, "Take the changes of your last run back.", &[]),
        Task::Code { .. } => Message::text(crate::model::Role::User, taken.request.text.as_str()),
    };
    Snapshot::begin(taken.message, opening)
}

/// What was said in the conversation before the request and after the run before it, whose own words are in the history. Without it
/// the run goes on with what the request itself brought.
async fn surroundings(services: &Services, taken: &Taken) -> Vec<prompt::Comment> {
    const COMMENTS: usize = 30;
    let Some(github) = &services.github else { return Vec::new() };
    let Some((repo, number)) = RepoRef::of(&taken.request.place) else { return Vec::new() };
    let (since, horizon) = (taken.previous_at, taken.request.written_at);
    match github.comments_before(&repo, number, since, horizon, COMMENTS).await {
        Ok(comments) => {
            let known = |comment: &Comment| since.is_some() && comment.is_ours;
            comments.into_iter().filter(|comment| !known(comment)).filter_map(said).collect()
        }
        Err(error) => {
            tracing::warn!(%error, "the earlier comments are not known to the run");
            Vec::new()
        }
    }
}

/// Comments of deleted accounts are left out: nobody can be asked what they meant.
fn said(comment: Comment) -> Option<prompt::Comment> {
    let author = comment.author?;
    Some(prompt::Comment { author, edited_at: comment.updated_at, text: comment.body })
}

/// What is true for the whole thread, so that providers can cache the prefix.
fn facts(services: &Services, place: &Place) -> prompt::Facts {
    let repository = RepoRef::of(place).filter(|_| services.origins.is_some());
    let holds = repository.map(|(repo, _)| {
        format!("the files of {}, put there when a tool first uses it; that result says at which commit", repo.full_name)
    });
    let place = match place {
        Place::Github { repository, number, is_pull_request, .. } => {
            let kind = if *is_pull_request { "pull request" } else { "issue" };
            format!("{kind} {repository}#{number} on GitHub")
        }
    };
    let limits = &services.settings.limits;
    let surroundings = services.sandboxes.surroundings();
    prompt::Facts {
        handle: services.settings.name.clone(),
        place,
        workspace: surroundings.workspace,
        holds,
        network: Some(surroundings.network),
        limits: Some(format!(
            "{} steps, {} min, ${:.2}",
            limits.max_steps,
            limits.run_timeout.as_secs() / 60,
            limits.run_budget_usd
        )),
    }
}

/// Makes the end visible: the comment becomes the answer, and the trigger gets its reaction.
async fn publish(services: &Services, taken: &Taken, record: &Record) -> Result<(), PostError> {
    let key = answer_key(taken.id);
    let post = CommentPost {
        key: &key,
        thread: taken.thread,
        run: Some(taken.id),
        kind: "answer",
        about: None,
        place: &taken.request.place,
    };
    let mut view = view(taken, record, &services.settings.public_url);
    services.poster.redactor().answer(&mut view);
    let body = answer(&view, &key, &allowed_mentions(&taken.request));
    match services.poster.comment(&post, &body).await {
        Err(PostError::Github(GithubError::Invalid(why))) => {
            tracing::error!(run.id = %taken.id, why, "the answer was rejected; only that is said");
            services.poster.comment(&post, &answer(&rejected(&view), &key, &[])).await?;
        }
        posted => drop(posted?),
    }
    let reaction = match record.outcome {
        Outcome::Answered => Reaction::Rocket,
        Outcome::Limit { .. } | Outcome::Stopped { .. } | Outcome::Failed { .. } => Reaction::Confused,
    };
    // The answer is there; a reaction that does not work is not worth doing all of it again.
    if let Err(error) = services.poster.react(&taken.request, reaction).await {
        tracing::info!(run.id = %taken.id, %error, "no reaction to the trigger");
    }
    Ok(())
}

/// What is said where GitHub does not take the answer itself: the text must be at fault, so nothing of it is in here.
fn rejected(view: &AnswerView) -> AnswerView {
    let reason =
        "GitHub rejected the text of the answer. The answer itself is kept, and I know it when you ask me to say it differently.";
    let report = match &view.outcome {
        Outcome::Failed { report, .. } => report.clone(),
        Outcome::Answered | Outcome::Limit { .. } | Outcome::Stopped { .. } => String::from("answer rejected"),
    };
    AnswerView {
        outcome: Outcome::Failed { reason: reason.to_owned(), report },
        text: String::new(),
        executions: Vec::new(),
        attachments: Vec::new(),
        diff: None,
        footer: view.footer.clone(),
    }
}

fn view(taken: &Taken, record: &Record, public_url: &Url) -> AnswerView {
    let mut executions = Vec::new();
    let mut attachments = Vec::new();
    let mut diff = None;
    for event in &record.events {
        match event {
            RunEvent::Acted { execution: Some(execution), .. } => executions.push(execution.clone()),
            RunEvent::Changed { diff: changed } => diff = Some(changed.clone()),
            RunEvent::Attached { name, media_type, size, token, text } => {
                // What the agent made anew replaces what it had before; blocks that are run as they are stand for themselves.
                if !matches!(taken.task, Task::Code { .. }) {
                    attachments.retain(|known: &Attached| known.name != *name);
                }
                let shown = match text {
                    Some(text) => Shown::Text(text.clone()),
                    None if attachment::is_picture(media_type) && attachment::is_public(public_url) => Shown::Picture,
                    None => Shown::Link,
                };
                let url = attachment::address(public_url, token, name);
                attachments.push(Attached { name: name.clone(), size: *size, url, shown });
            }
            RunEvent::Acted { .. }
            | RunEvent::Started { .. }
            | RunEvent::Answered { .. }
            | RunEvent::Printed { .. }
            | RunEvent::Joined { .. } => {}
        }
    }
    let snapshot = &record.snapshot;
    let cost = match snapshot.cost_usd {
        _ if snapshot.cost_unknown => Cost::Unknown,
        Some(usd) => Cost::Usd(usd),
        None => Cost::None,
    };
    AnswerView {
        outcome: record.outcome.clone(),
        text: snapshot.last_words(),
        executions,
        attachments,
        diff,
        footer: Footer {
            model: snapshot.model.clone(),
            steps: u32::try_from(snapshot.steps).unwrap_or_default(),
            elapsed: (record.ended_at - taken.accepted_at).to_std().unwrap_or_default(),
            cost,
            run_url: None,
        },
    }
}

/// The answer could not be posted: later again, or never.
async fn put_off(services: &Services, taken: &Taken, error: &PostError) -> Result<(), Failure> {
    let now = services.clock.now();
    match later(error, taken.attempt, now) {
        Some(at) if now - taken.accepted_at < POSTING_GIVEN_UP => {
            tracing::warn!(run.id = %taken.id, %error, retry_at = %at, "the answer is not posted yet");
            store::release(&services.pool, taken.id, taken.epoch, at).await?;
        }
        Some(_) | None => {
            tracing::error!(run.id = %taken.id, %error, "the answer cannot be posted; it stays in the run's record");
            store::posted(&services.pool, taken.id, taken.epoch).await?;
        }
    }
    Ok(())
}

/// When to try a post again; none when that will not help.
pub(super) fn later(error: &PostError, attempt: i32, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let exponent = u32::try_from(attempt.clamp(0, 10)).unwrap_or_default();
    let backoff = TimeDelta::seconds(2_i64.pow(exponent)).min(SLOWEST_RETRY);
    match error {
        PostError::Github(GithubError::RateLimited { until }) => Some((*until).max(now)),
        // A process without the surface leaves it to one that has it.
        PostError::Github(GithubError::Unavailable { .. }) | PostError::Database(_) | PostError::Off => Some(now + backoff),
        PostError::Github(
            GithubError::NotFound | GithubError::Forbidden { .. } | GithubError::Gone(_) | GithubError::Invalid(_),
        ) => None,
    }
}

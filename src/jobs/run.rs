//! Work on runs: takes the lease of a thread, drives its run, makes the end visible, and takes the next.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::bridge::mirror::Mirror;
use super::house::House;
use super::{Services, approvals, earlier, ends, given, hands, lease, memory, pictures, reactions, reader, review};
use crate::agent::sandboxes::{SandboxesOf, ThreadSandboxes, apart};
use crate::agent::store::{self, Record, Renewed, Taken};
use crate::agent::{Halt, Kit, Powers, Run, RunEvent, RunState, Snapshot, Task, prompt};
use crate::attachment;
use crate::discord::DiscordError;
use crate::github::{Comment, Github, GithubError, Reaction, RepoRef};
use crate::id::ThreadId;
use crate::intake::Place;
use crate::memory::history;
use crate::model::Message;
use crate::reply::{
    AnswerView, Attached, CommentPost, Cost, Footer, Landed, LiveComment, LiveOf, LiveView, Outcome, PostError, Said, Shown,
    Spot, allowed_mentions, answer_key,
};
use crate::sandbox::SandboxId;

/// How long a lease holds without renewal. Longer than any single call to a surface takes (10 s), so that what a worker began
/// is over before another one begins.
pub const LEASE: Duration = Duration::from_secs(15);
/// Workers that may die over one run before it is given up.
const MAX_ATTEMPTS: i32 = 5;
/// Workers that may die over a run, those over its answer included, before only that is said.
const MAX_DEATHS: i32 = 2 * MAX_ATTEMPTS;
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

/// Ends a run of the thread that was stopped before a worker took it, without waiting for a free slot: no work is left in it.
pub(super) async fn end_stopped(services: &Services, thread: ThreadId) {
    let taken = store::take_stopped(&services.pool, &services.holder, LEASE, services.clock.now(), thread).await;
    let ended = match taken {
        Ok(Some(taken)) => hold(services, &taken).await,
        Ok(None) => return,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = ended {
        // Whoever takes it next ends it.
        tracing::info!(thread.id = %thread, %error, "a stopped run is not ended yet");
    }
    if let Err(error) = services.ring_for_a_run().await {
        tracing::info!(%error, "nobody was told that a run may wait");
    }
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
        // Boxed here and below: a run is a deep tree of futures, and a worker's stack is small.
        done = Box::pin(carry(services, taken)) => done,
        () = lose_lease(services, taken) => Err(Halt::LeaseLost.into()),
    };
    match done {
        Ok(()) => Ok(()),
        Err(Failure::Halt(Halt::LeaseLost)) => {
            tracing::warn!(run.id = %taken.id, "another worker has taken the run over, or may have");
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
    // The saves of the run are fenced in any case.
    lease::lose(LEASE, "a run", || async {
        match store::renew(&services.pool, taken.id, taken.epoch, LEASE).await? {
            Renewed::Kept { stop: false } => Ok(true),
            Renewed::Kept { stop: true } => {
                services.stops.stop(taken.id);
                Ok(true)
            }
            Renewed::Lost => Ok(false),
        }
    })
    .await;
}

async fn carry(services: &Services, taken: &Taken) -> Result<(), Failure> {
    if taken.state != RunState::Ended {
        Box::pin(execute(services, taken)).await?;
    }
    let Some(record) = store::record(&services.pool, taken.id).await? else {
        // The row was forgotten with its thread.
        return Ok(());
    };
    let published = if taken.state == RunState::Ended && taken.attempt - taken.waits > MAX_DEATHS {
        tracing::error!(run.id = %taken.id, "workers did not survive posting the answer; only that is said");
        give_up_posting(services, taken, &record).await
    } else {
        Box::pin(publish(services, taken, &record)).await
    };
    Box::pin(leave(services, taken, &record)).await?;
    published?;
    store::posted(&services.pool, taken.id, taken.epoch).await?;
    services.bells.indexing.ring();
    services.bells.condensing.ring();
    services.bells.forgetting.ring();
    Ok(())
}

/// Removes the sandbox of a run that stands apart, whether or not its answer is posted yet: all that is said of it is stored.
async fn leave(services: &Services, taken: &Taken, record: &Record) -> Result<(), sqlx::Error> {
    if taken.powers != Powers::NothingLands {
        return Ok(());
    }
    let ended = apart::Ended {
        pool: services.pool.clone(),
        provider: services.sandboxes.clone(),
        thread: taken.thread,
        run: taken.id,
        epoch: taken.epoch,
        may_go_on: matches!(record.outcome, Outcome::Limit { .. }),
        shutdown: services.shutdown.clone(),
    };
    ended.remove().await
}

/// Drives the run to its stored end.
async fn execute(services: &Services, taken: &Taken) -> Result<Outcome, Failure> {
    let stop = services.stops.register(taken.id);
    let house = House::of_run(services, taken).await;
    let kit = house.kit(services, taken);
    let sandboxes = sandboxes(services, taken, &house, stop.token.clone());
    let (view, views) = watch::channel(LiveView::default());
    if taken.attempt > MAX_ATTEMPTS {
        // Before anything is looked up, read or shown: one of these may be what the others died over.
        let asked = || Snapshot::begin(taken.message, Message::text(crate::model::Role::User, taken.request.text.as_str()));
        let snapshot = taken.snapshot.clone().unwrap_or_else(asked);
        let hands = hands::of(services, taken, &sandboxes, house.memory());
        let run = Run::resume(&kit, taken, snapshot, String::new(), Vec::new(), &sandboxes, hands, view, stop.token.clone());
        return Ok(run.give_up(MAX_ATTEMPTS).await?);
    }
    memory::branch::keep_border(services, taken.thread, &taken.request.place.owner()).await?;
    let snapshot = match taken.snapshot.clone() {
        Some(snapshot) => snapshot,
        None => {
            let (mut snapshot, ()) = tokio::join!(begin(services, taken, &sandboxes), ends::working(services, taken));
            memory::remind(services, taken, house.memory(), &mut snapshot).await;
            snapshot
        }
    };
    let snapshot = catch_up(services, taken, snapshot).await;
    let snapshot = pictures::at_hand(services, taken, snapshot).await;
    let history = match &taken.task {
        Task::Code { .. } | Task::Undo | Task::LandApproved { .. } => Vec::new(),
        Task::Ask { .. } | Task::Review { .. } | Task::Land { .. } | Task::Plan { .. } | Task::CarryOut { .. } => {
            history::load(&services.pool, taken.thread, taken.id).await?.messages()
        }
    };
    let system = prompt::system(services.instructions.as_deref(), &facts(services, &taken.request.place, &house, &kit));
    let hands = hands::of(services, taken, &sandboxes, house.memory());
    let run = Run::resume(&kit, taken, snapshot, system, history, &sandboxes, hands, view, stop.token.clone());
    if let Some(why) = approvals::withdrawn(services, taken).await? {
        return Ok(run.withdraw(why).await?);
    }
    let place = (taken.request.place.clone(), Spot::of(&taken.request));
    let mirror = Mirror::follow(services, taken, views.clone());
    let of = LiveOf { thread: taken.thread, run: taken.id, epoch: taken.epoch };
    let live = LiveComment::follow(services.poster.clone(), of, place, views);
    let outcome = tokio::select! {
        outcome = Box::pin(run.drive(&taken.task)) => outcome,
        never = sandboxes.tend() => match never {},
        () = services.shutdown.cancelled() => Err(Halt::Shutdown),
    };
    // Whoever goes on must not be overtaken by an edit of ours that is still under way.
    live.finish().await;
    mirror.finish().await;
    Ok(outcome?)
}

/// What was said between the end of a run and the moment somebody let it go on.
async fn catch_up(services: &Services, taken: &Taken, mut snapshot: Snapshot) -> Snapshot {
    let Some((since, until)) = taken.continued.filter(|(since, _)| snapshot.caught_up != Some(*since)) else { return snapshot };
    let said = comments(services, taken, Some(since), until).await;
    if let Some(meanwhile) = prompt::meanwhile(&said) {
        snapshot.say(meanwhile);
    }
    snapshot.caught_up = Some(since);
    snapshot
}

fn sandboxes(services: &Services, taken: &Taken, house: &House, stop: CancellationToken) -> ThreadSandboxes {
    ThreadSandboxes::new(SandboxesOf {
        pool: services.pool.clone(),
        provider: services.sandboxes.clone(),
        clock: services.clock.clone(),
        thread: taken.thread,
        run: taken.id,
        apart: taken.powers == Powers::NothingLands,
        resumed: taken.snapshot.is_some(),
        epoch: taken.epoch,
        known: taken.sandbox.clone().filter(|(provider, _)| provider == services.sandboxes.name()).map(|(_, id)| SandboxId(id)),
        origin: services.origins.as_ref().and_then(|origins| origins.of(&taken.request)),
        warm: services.settings.sandbox.warm.size > 0,
        network: house.network.clone(),
        stop,
    })
}

async fn begin(services: &Services, taken: &Taken, sandboxes: &ThreadSandboxes) -> Snapshot {
    let words = match &taken.task {
        Task::Review { text } => return begin_review(services, taken, text).await,
        // No model is asked.
        Task::Code { .. } | Task::Undo | Task::LandApproved { .. } => {
            let asked = Message::text(crate::model::Role::User, taken.request.text.as_str());
            return Snapshot::begin(taken.message, given::received(services, taken, sandboxes, asked).await);
        }
        Task::Ask { text } => text.clone(),
        Task::Land { text } => format!("{text}\n\n{}", prompt::LANDING),
        Task::Plan { text } => prompt::plan(text),
        Task::CarryOut { plan } => prompt::carry_out(plan),
    };
    let (request, said) = tokio::join!(earlier::with_linked(services, taken), surroundings(services, taken));
    let mut opening = prompt::opening(&request, &words, &said);
    opening.parts.extend(reader::outline(services, taken).await);
    let opening = pictures::shown(services, taken, sandboxes, &pictures::texts(taken), opening).await;
    let opening = given::received(services, taken, sandboxes, opening).await;
    Snapshot::begin(taken.message, opening)
}

/// A review begins with what changed; when that was reviewed before, it ends with saying so.
async fn begin_review(services: &Services, taken: &Taken, text: &str) -> Snapshot {
    let (said, begun) = tokio::join!(surroundings(services, taken), review::begin(services, taken));
    let opening = prompt::opening(&taken.request, text, &said).plain_text();
    let opening = Message::text(crate::model::Role::User, format!("{opening}\n\n{}", begun.told).trim_end());
    let mut snapshot = Snapshot::begin(taken.message, opening);
    if let Some(answer) = begun.answer {
        snapshot.say(Message::text(crate::model::Role::Assistant, answer));
    }
    snapshot
}

/// What was said in the conversation before the request and after the run before it, whose own words are in the history. Without it
/// the run goes on with what the request itself brought.
async fn surroundings(services: &Services, taken: &Taken) -> Vec<prompt::Comment> {
    comments(services, taken, taken.previous_at, taken.request.written_at).await
}

async fn comments(
    services: &Services,
    taken: &Taken,
    since: Option<DateTime<Utc>>,
    horizon: DateTime<Utc>,
) -> Vec<prompt::Comment> {
    const COMMENTS: usize = 30;
    if let Place::Discord { .. } = &taken.request.place {
        return earlier::messages(services, taken, since, horizon).await;
    }
    let Some(github) = &services.github else { return Vec::new() };
    let Some((repo, number)) = RepoRef::of(&taken.request.place) else { return Vec::new() };
    let in_thread = review_thread(github, taken, COMMENTS).await;
    match github.comments_before(&repo, number, since, horizon, COMMENTS).await {
        Ok(comments) => {
            let held = held(services, taken, &comments, since).await;
            let comments = comments.into_iter().filter(|comment| !held.contains(&object_of(comment))).chain(in_thread);
            let known = |comment: &Comment| since.is_some() && comment.is_ours;
            comments.filter(|comment| !known(comment)).filter_map(said).collect()
        }
        Err(error) => {
            tracing::warn!(%error, "the earlier comments are not known to the run");
            Vec::new()
        }
    }
}

/// Comments of the second in which the run before was asked for: GitHub's times are whole seconds, so what asked for it may be among what
/// came after it, and stands in the history.
async fn held(services: &Services, taken: &Taken, comments: &[Comment], since: Option<DateTime<Utc>>) -> Vec<String> {
    let Some(since) = since else { return Vec::new() };
    let objects: Vec<String> = comments.iter().filter(|comment| comment.updated_at <= since).map(object_of).collect();
    if objects.is_empty() {
        return objects;
    }
    history::store::holding(&services.pool, taken.thread, &objects).await.unwrap_or_else(|error| {
        tracing::warn!(run.id = %taken.id, %error, "what the history holds is not known; some of it is quoted again");
        Vec::new()
    })
}

fn object_of(comment: &Comment) -> String {
    format!("issue_comment:{}", comment.id.0)
}

/// What was said in the review thread the request stands in.
async fn review_thread(github: &Github, taken: &Taken, most: usize) -> Vec<Comment> {
    let (Some(thread), Some((repo, number))) = (&taken.request.review_thread, RepoRef::of(&taken.request.place)) else {
        return Vec::new();
    };
    match github.review_thread_before(&repo, number, thread.root, taken.request.written_at, most).await {
        Ok(comments) => comments,
        Err(error) => {
            tracing::warn!(run.id = %taken.id, %error, "the review thread is not known to the run");
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
fn facts(services: &Services, place: &Place, house: &House, kit: &Kit) -> prompt::Facts {
    let repository = RepoRef::about(place).filter(|_| services.origins.is_some());
    let holds = repository.map(|repo| {
        format!("the files of {}, put there when a tool first uses it; that result says at which commit", repo.full_name)
    });
    let place = match place {
        Place::Github { repository, number, is_pull_request, .. } => {
            let kind = if *is_pull_request { "pull request" } else { "issue" };
            format!("{kind} {repository}#{number} on GitHub")
        }
        Place::Discord { guild: Some(_), .. } => "a thread on Discord".to_owned(),
        Place::Discord { guild: None, .. } => "direct messages on Discord".to_owned(),
    };
    let limits = &kit.limits;
    let surroundings = services.sandboxes.surroundings();
    prompt::Facts {
        handle: services.settings.name.clone(),
        place,
        workspace: surroundings.workspace,
        holds,
        network: Some(house.network_words(surroundings.network)),
        wishes: house.facts.file.agent.instructions.clone(),
        guide: house.facts.guide.clone(),
        limits: Some(format!(
            "{} steps, {} min, ${:.2}",
            limits.max_steps,
            limits.run_timeout.as_secs() / 60,
            limits.run_budget_usd
        )),
    }
}

/// Says that there is an answer which cannot be shown; nothing is done that showing it takes.
async fn give_up_posting(services: &Services, taken: &Taken, record: &Record) -> Result<(), PostError> {
    let key = answer_key(taken.id);
    let why = "The service stopped each time it tried to show the answer. The answer itself is kept, and I know it when you ask me \
               to say it differently.";
    let mut view = rejected(&view(taken, record, &services.settings.public_url), why);
    services.poster.redactor().answer(&mut view);
    services.poster.comment(&answer_post(taken, &key), &Said::Answer { view: &view, allowed: &[] }).await?;
    Ok(())
}

fn answer_post<'a>(taken: &'a Taken, key: &'a str) -> CommentPost<'a> {
    CommentPost {
        key,
        thread: taken.thread,
        run: Some(taken.id),
        kind: "answer",
        about: None,
        place: &taken.request.place,
        spot: Spot::of(&taken.request),
    }
}

/// Makes the end visible: the comment becomes the answer, and the trigger gets its reaction.
async fn publish(services: &Services, taken: &Taken, record: &Record) -> Result<(), PostError> {
    let key = answer_key(taken.id);
    let post = answer_post(taken, &key);
    let mut view = view(taken, record, &services.settings.public_url);
    memory::receipts::link(services, taken, record, &mut view).await?;
    if let Some(reviewed) = review::publish(services, taken, record).await? {
        view.text = format!("{}\n\n{reviewed}", view.text.trim_end()).trim_start().to_owned();
    }
    services.poster.redactor().answer(&mut view);
    let posted = match &record.outcome {
        Outcome::NeedsApproval if matches!(taken.task, Task::Plan { .. }) => {
            approvals::show_plan(services, taken, &view, &post).await
        }
        _ => {
            let said = Said::Answer { view: &view, allowed: &allowed_mentions(&taken.request) };
            services.poster.comment(&post, &said).await
        }
    };
    let posted = match posted {
        Err(PostError::Github(GithubError::Invalid(why)) | PostError::Discord(DiscordError::Invalid { why, .. })) => {
            tracing::error!(run.id = %taken.id, why, "the answer was rejected; only that is said");
            services.poster.comment(&post, &Said::Answer { view: &rejected(&view, REJECTED), allowed: &[] }).await
        }
        posted => posted,
    };
    if let Err(error) = posted {
        if later(&error, 0, services.clock.now()).is_none() {
            // It never stands here; elsewhere it must not look for ever as if it were worked on.
            ends::ended(services, taken, &view).await?;
        }
        return Err(error);
    }
    approvals::show_landing(services, taken).await?;
    ends::ended(services, taken, &view).await?;
    let reaction = match record.outcome {
        Outcome::Answered | Outcome::NeedsApproval => Reaction::Rocket,
        Outcome::NeedsAnswer { .. }
        | Outcome::Withdrawn { .. }
        | Outcome::Limit { .. }
        | Outcome::Stopped { .. }
        | Outcome::Failed { .. } => Reaction::Confused,
    };
    // The answer is there; a reaction that does not work is not worth doing all of it again.
    if let Err(error) = services.poster.react(&taken.request, reaction).await {
        tracing::info!(run.id = %taken.id, %error, "no reaction to the trigger yet");
        if later(&error, 0, services.clock.now()).is_some() {
            reactions::owe(&services.pool, taken.id, reaction).await?;
        }
    }
    Ok(())
}

const REJECTED: &str = "The text of the answer was rejected where it was to be posted. The answer itself is kept, and I know it when you ask me to say it differently.";

/// What is said where the answer itself cannot be: the text must be at fault, so nothing of it is in here.
fn rejected(view: &AnswerView, reason: &str) -> AnswerView {
    let report = match &view.outcome {
        Outcome::Failed { report, .. } => report.clone(),
        Outcome::Answered
        | Outcome::NeedsApproval
        | Outcome::NeedsAnswer { .. }
        | Outcome::Withdrawn { .. }
        | Outcome::Limit { .. }
        | Outcome::Stopped { .. } => String::from("answer rejected"),
    };
    AnswerView {
        outcome: Outcome::Failed { reason: reason.to_owned(), report },
        text: String::new(),
        executions: Vec::new(),
        attachments: Vec::new(),
        diff: None,
        landed: view.landed.clone(),
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
            RunEvent::Landed { .. }
            | RunEvent::Acted { .. }
            | RunEvent::Started { .. }
            | RunEvent::Answered { .. }
            | RunEvent::Printed { .. }
            | RunEvent::Asked { .. }
            | RunEvent::Remembered { .. }
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
        landed: landed(&record.events),
        footer: Footer {
            model: snapshot.model.clone(),
            steps: u32::try_from(snapshot.steps).unwrap_or_default(),
            // Without the time it stood still at a ceiling.
            elapsed: (record.ended_at - taken.accepted_at - taken.continued.map_or(TimeDelta::zero(), |(from, at)| at - from))
                .to_std()
                .unwrap_or_default(),
            cost,
            run_url: None,
        },
    }
}

/// Where the work of a run landed, in order.
pub(super) fn landed(events: &[RunEvent]) -> Vec<Landed> {
    let mut all: Vec<Landed> = Vec::new();
    for event in events {
        if let RunEvent::Landed { landed: here } = event {
            // Landing again finds what landed before, and says so again.
            all.retain(|known| known.commits != here.commits || (known.commits.is_empty() && known != here));
            all.push(here.clone());
        }
    }
    all
}

/// The answer could not be posted: later again, or never.
async fn put_off(services: &Services, taken: &Taken, error: &PostError) -> Result<(), Failure> {
    let now = services.clock.now();
    match later(error, taken.attempt, now) {
        Some(at) if now - taken.continued.map_or(taken.accepted_at, |(_, at)| at) < POSTING_GIVEN_UP => {
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
        PostError::Github(GithubError::RateLimited { until }) | PostError::Discord(DiscordError::RateLimited { until }) => {
            Some((*until).max(now))
        }
        // A process without the surface leaves it to one that has it.
        PostError::Github(GithubError::Unavailable { .. })
        | PostError::Discord(DiscordError::Unavailable { .. })
        | PostError::Database(_)
        | PostError::Off => Some(now + backoff),
        PostError::Discord(
            DiscordError::Unauthorized
            | DiscordError::NotFound { .. }
            | DiscordError::Forbidden { .. }
            | DiscordError::Invalid { .. },
        ) => None,
        PostError::Github(
            GithubError::NotFound | GithubError::Forbidden { .. } | GithubError::Gone(_) | GithubError::Invalid(_),
        ) => None,
    }
}

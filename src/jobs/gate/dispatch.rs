//! What a request becomes: who may is decided first, then each command has its line.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::store::{self, Claimed, Standing, Verdict};
use super::{notice, say};
use crate::agent::Task;
use crate::github::{Reaction, RepoRef};
use crate::id::RunId;
use crate::intake::command::{self, Command, Landing, Word};
use crate::intake::policy::{self, Needed, Refusal, Use};
use crate::intake::{Asks, Place, Request};
use crate::jobs::{Services, review};
use crate::reply::{self, Activity, Card, CommentPost, LiveState, LiveView, PostError, Scope, answer_key, live};
use crate::settings::{Allow, Permission};

/// The words that do something in this version.
const AVAILABLE: [Word; 11] = [
    Word::Run,
    Word::Review,
    Word::Fix,
    Word::Pr,
    Word::Plan,
    Word::Undo,
    Word::Queue,
    Word::Stop,
    Word::Retry,
    Word::Status,
    Word::Help,
];

/// A person is told why only once in this time and thread.
const REFUSAL_PAUSE: TimeDelta = TimeDelta::hours(1);
const RATE_WINDOW: TimeDelta = TimeDelta::hours(1);

/// Decides about one request and carries the decision out. Safe to repeat: what was done before is found.
pub(super) async fn dispatch(services: &Services, claimed: &Claimed) -> Result<Verdict, PostError> {
    let request = &claimed.request;
    if is_ourselves(services, request).await? || (request.author.is_bot && !is_listed(services, request)) {
        return Ok(done("written by a bot"));
    }
    let now = services.clock.now();
    let standing = store::standing(&services.pool, claimed, now - RATE_WINDOW, &services.settings.limits).await?;
    // At an earlier attempt it was let in; that stays.
    if let Some(run) = standing.run {
        return acknowledge(services, claimed, &standing, run).await;
    }
    if standing.joined.is_some() {
        return eyes(services, claimed, "joined the run").await;
    }
    if let Err(refusal) = may_trigger(services, request).await? {
        return refuse(services, claimed, &standing, &refusal).await;
    }
    let Some(command) = command::parse(&request.text, &services.settings.name) else {
        return Ok(done("no mention that counts"));
    };
    let handle = || services.settings.name.clone();
    match command {
        Command::Ask { text } if standing.active.is_some() => steer(services, claimed, &standing, text).await,
        Command::Ask { text } | Command::Queue { text } => start(services, claimed, &standing, request, Task::Ask { text }).await,
        Command::Run { blocks } => start(services, claimed, &standing, request, Task::Code { blocks }).await,
        Command::Retry => retry(services, claimed, &standing).await,
        Command::Stop => stop(services, claimed).await,
        Command::Status => status(services, claimed).await,
        Command::Help => tell(services, claimed, &Card::Help { handle: handle(), available: AVAILABLE.to_vec() }).await,
        Command::Misspelt { word, suggestion } => {
            tell(services, claimed, &Card::DidYouMean { handle: handle(), word, suggestion }).await
        }
        Command::Invalid { problem } => tell(services, claimed, &Card::Invalid { handle: handle(), problem }).await,
        Command::Review => start(services, claimed, &standing, request, Task::Review { text: request.text.clone() }).await,
        Command::Land { how: Landing::Fix | Landing::Pr } => {
            start(services, claimed, &standing, request, Task::Land { text: request.text.clone() }).await
        }
        Command::Undo => start(services, claimed, &standing, request, Task::Undo).await,
        Command::Plan { text } => start(services, claimed, &standing, request, Task::Plan { text }).await,
        Command::Approve => tell(services, claimed, &not_yet(Word::Approve)).await,
        Command::Remember { .. } => tell(services, claimed, &not_yet(Word::Remember)).await,
        Command::Forget { .. } => tell(services, claimed, &not_yet(Word::Forget)).await,
        Command::Memory => tell(services, claimed, &not_yet(Word::Memory)).await,
        Command::Model { .. } => tell(services, claimed, &not_yet(Word::Model)).await,
        Command::Budget { .. } => tell(services, claimed, &not_yet(Word::Budget)).await,
        Command::Link { .. } => tell(services, claimed, &not_yet(Word::Link)).await,
    }
}

fn not_yet(word: Word) -> Card {
    Card::NotYet { word, available: AVAILABLE.to_vec() }
}

fn done(what: &'static str) -> Verdict {
    Verdict::Done { what, wake: false }
}

async fn is_ourselves(services: &Services, request: &Request) -> Result<bool, PostError> {
    let Some(github) = &services.github else { return Err(PostError::Off) };
    let us = github.identity().await?;
    Ok(us.is(&request.author))
}

/// A bot may ask where it is named, not by a permission it happens to have.
fn is_listed(services: &Services, request: &Request) -> bool {
    match &services.settings.allow {
        Allow::Logins(logins) => logins.iter().any(|listed| listed.eq_ignore_ascii_case(&request.author.login)),
        Allow::Permission(_) | Allow::Member => false,
    }
}

async fn may_trigger(services: &Services, request: &Request) -> Result<Result<(), Refusal>, PostError> {
    let Some(github) = &services.github else { return Err(PostError::Off) };
    let login = &request.author.login;
    let Some((repo, _)) = RepoRef::of(&request.place) else { return Err(PostError::Off) };
    let mut standing = policy::Standing { permission: Permission::None, member: false };
    match &services.settings.allow {
        Allow::Permission(_) => standing.permission = github.permission(&repo, login).await?,
        Allow::Member => standing.member = github.is_member(&repo, login).await?,
        Allow::Logins(_) => {}
    }
    Ok(policy::may_trigger(&services.settings.allow, login, standing))
}

async fn refuse(services: &Services, claimed: &Claimed, standing: &Standing, why: &Refusal) -> Result<Verdict, PostError> {
    let now = services.clock.now();
    if standing.refused_at.is_none_or(|at| now - at >= REFUSAL_PAUSE) {
        say(services, claimed, "refusal", &refusal(why, &claimed.request.author.login, now)).await?;
    }
    Ok(done("refused"))
}

fn refusal(why: &Refusal, login: &str, now: DateTime<Utc>) -> Card {
    let tomorrow = now.with_time(NaiveTime::MIN).earliest().unwrap_or(now) + TimeDelta::days(1);
    match why {
        Refusal::NotAllowed { needed } => {
            let needed = match needed {
                Needed::Permission(permission) => {
                    reply::Needed::Permission { name: policy::permission_name(*permission).to_owned() }
                }
                Needed::Member => reply::Needed::Member,
                Needed::Listed => reply::Needed::Listed,
            };
            Card::NoPermission { login: login.to_owned(), needed }
        }
        Refusal::PersonLimit { limit, until } => Card::RateLimited { scope: Scope::Person { per_hour: *limit }, free_at: *until },
        Refusal::EverybodyLimit => Card::RateLimited { scope: Scope::Everyone, free_at: now + RATE_WINDOW },
        Refusal::DailyBudget => Card::RateLimited { scope: Scope::Budget, free_at: tomorrow },
    }
}

/// A new run, if the limits allow one more.
async fn start(
    services: &Services,
    claimed: &Claimed,
    standing: &Standing,
    request: &Request,
    task: Task,
) -> Result<Verdict, PostError> {
    // Nobody asked, so nobody is told.
    if request.asks == Asks::Pushed && review::is_unchanged(services, request).await? {
        return Ok(done("nothing it changes is different since the last review"));
    }
    let (now, limits) = (services.clock.now(), &services.settings.limits);
    let spent_today = services.kit.spending.today(&services.pool, limits, now).await?;
    let used = Use {
        by_person: standing.by_person,
        oldest_by_person: standing.oldest_by_person,
        by_everyone: standing.by_everyone,
        spent_today,
    };
    if let Err(refusal) = policy::may_run(limits, &used, now) {
        return refuse(services, claimed, standing, &refusal).await;
    }
    let run = store::create_run(&services.pool, claimed, standing.newest, request, &task, now).await?;
    acknowledge(services, claimed, standing, run).await
}

/// 👀 and the comment that will become the answer, both at once.
async fn acknowledge(services: &Services, claimed: &Claimed, standing: &Standing, run: RunId) -> Result<Verdict, PostError> {
    let key = answer_key(run);
    let place: &Place = &claimed.request.place;
    let post = CommentPost { key: &key, thread: claimed.thread, run: Some(run), kind: "answer", about: None, place };
    let body = live(&LiveView { state: position(services, standing), ..LiveView::default() }, &key);
    let (seen, said) =
        tokio::join!(services.poster.react(&claimed.request, Reaction::Eyes), services.poster.comment(&post, &body));
    said?;
    // The comment says that it was seen; nobody should wait for the reaction.
    if let Err(error) = seen {
        tracing::info!(run.id = %run, %error, "no reaction to the trigger");
    }
    Ok(Verdict::Done { what: "became a run", wake: true })
}

fn position(services: &Services, standing: &Standing) -> LiveState {
    let ahead = u32::try_from(standing.unfinished).unwrap_or(u32::MAX);
    match (ahead + 1).checked_sub(services.settings.limits.max_concurrent_runs) {
        None | Some(0) => LiveState::Accepted,
        Some(position) => LiveState::Queued { position },
    }
}

/// The message joins the run at work, or becomes one if that ended meanwhile.
async fn steer(services: &Services, claimed: &Claimed, standing: &Standing, text: String) -> Result<Verdict, PostError> {
    match store::join_run(&services.pool, claimed).await? {
        Some(_) => eyes(services, claimed, "joined the run").await,
        None => start(services, claimed, standing, &claimed.request, Task::Ask { text }).await,
    }
}

async fn eyes(services: &Services, claimed: &Claimed, what: &'static str) -> Result<Verdict, PostError> {
    services.poster.react(&claimed.request, Reaction::Eyes).await?;
    Ok(done(what))
}

/// The last request again, as it stood then, on behalf of who asks now.
async fn retry(services: &Services, claimed: &Claimed, standing: &Standing) -> Result<Verdict, PostError> {
    let Some((last, task)) = store::last_run(&services.pool, claimed.thread, claimed.id).await? else {
        return tell(services, claimed, &Card::NothingToRetry).await;
    };
    let now = &claimed.request;
    let request =
        Request { trigger: now.trigger, author: now.author.clone(), place: now.place.clone(), url: now.url.clone(), ..last };
    start(services, claimed, standing, &request, task).await
}

async fn stop(services: &Services, claimed: &Claimed) -> Result<Verdict, PostError> {
    match store::request_stop(&services.pool, claimed.thread, &claimed.request.author.login).await? {
        0 => tell(services, claimed, &Card::NothingToStop).await,
        _ => eyes(services, claimed, "asked to stop").await,
    }
}

async fn status(services: &Services, claimed: &Claimed) -> Result<Verdict, PostError> {
    let status = store::status(&services.pool, claimed.thread).await?;
    let seconds = status.since.map_or(0, |since| (services.clock.now() - since).num_seconds().max(0)).unsigned_abs();
    let activity = match status.state.as_deref() {
        Some("queued") => Activity::Queued { position: 1 },
        Some("running" | "ended") => {
            Activity::Working { steps: u32::try_from(status.steps).unwrap_or_default(), seconds, doing: None }
        }
        Some(_) | None => Activity::Idle,
    };
    let waiting = u32::try_from(status.waiting).unwrap_or(u32::MAX);
    tell(services, claimed, &Card::Status { activity, waiting, run_url: None }).await
}

async fn tell(services: &Services, claimed: &Claimed, what: &Card) -> Result<Verdict, PostError> {
    notice(services, claimed, what).await?;
    Ok(done("answered by the service"))
}

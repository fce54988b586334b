//! What a request becomes: who may is decided first, then each command has its line.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use futures::future::BoxFuture;

use super::asked::{self, Asked};
use super::store::{self, Ceiling, Claimed, Joinable, NewRun, Standing, Verdict};
use super::{
    approve, branch, ceilings, discord, erase, link, notice, outsider, press, remember, repository, retry, say, status::status,
    words,
};
use crate::agent::{Powers, Task};
use crate::github::{Reaction, RepoRef};
use crate::id::RunId;
use crate::intake::command::{self, Account, Command, Landing, Word};
use crate::intake::policy::{self, Line, Needed, Refusal, Use};
use crate::intake::{Asks, Place, Request};
use crate::jobs::bridge::{Who, join};
use crate::jobs::house::House;
use crate::jobs::{Services, bridge, review, run};
use crate::reply::{self, Card, CommentPost, LiveState, LiveView, PostError, Said, Scope, Spot, answer_key};
use crate::settings::{Allow, Permission};

/// A person is told why only once in this time and thread.
const REFUSAL_PAUSE: TimeDelta = TimeDelta::hours(1);
const RATE_WINDOW: TimeDelta = TimeDelta::hours(1);

/// What is decided calls what decides on a part of it, and each of the many things a request may become has a place in the future of
/// that. On the heap those places cost nothing while they are empty.
pub(super) type Deciding<'a> = BoxFuture<'a, Result<Verdict, PostError>>;

/// Decides about one request and carries the decision out. Safe to repeat: what was done before is found.
pub(super) async fn dispatch(services: &Services, claimed: &Claimed) -> Result<Verdict, PostError> {
    let place = bridge::placed(services, &claimed.request).await?;
    let claimed = &Claimed { request: Request { place, ..claimed.request.clone() }, ..claimed.clone() };
    let request = &claimed.request;
    if is_ourselves(services, request).await? {
        return Ok(done("written by a bot"));
    }
    let house = House::now(services, &request.place).await?;
    // Names on Discord are everybody's to choose, so no bot is known by its name there.
    let on_github = matches!(request.place, Place::Github { .. });
    let is_named =
        || on_github && (is_listed(services, request) || repository::names_bot(services, &house, &request.author.login));
    if request.author.is_bot && !is_named() {
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
    let asked = asked::decide(services, claimed).await?;
    if let Asked::Nothing(why) = asked {
        return Ok(done(why));
    }
    if let Asks::Reaction { comment, button } = &request.asks {
        return Box::pin(approve::by_reaction(services, claimed, &standing, *comment, *button)).await;
    }
    if let Asks::Pressed { press, interaction } = &request.asks {
        return Box::pin(press::pressed(services, claimed, &standing, *press, *interaction)).await;
    }
    // Who somebody is elsewhere is theirs to say, whatever they may do here.
    if let (Asked::Words, Some(Command::Account { what })) = (&asked, command::parse(&request.text, &services.settings.name)) {
        return Box::pin(account(services, claimed, &standing, &what)).await;
    }
    // What somebody said is theirs to take back, whatever they may do here.
    let own = matches!(asked, Asked::Words).then(|| erase::own(request, &services.settings.name)).flatten();
    if let Some(extent) = own
        && let Some(verdict) = Box::pin(erase::take_back(services, claimed, extent)).await?
    {
        return Ok(verdict);
    }
    // What nobody asked for is done because the repository's own file says so.
    if !request.asks.is_automatic()
        && let Err(refusal) = repository::may_trigger(services, &house, request).await?
    {
        return Box::pin(outsider::refuse(services, claimed, &standing, &refusal)).await;
    }
    if let Asked::Task(task) = asked {
        return start(services, claimed, &standing, request, task).await;
    }
    let Some(command) = command::parse(&request.text, &services.settings.name) else {
        return unread(services, claimed).await;
    };
    repository::report(services, claimed, &house).await?;
    if let Some(card) = repository::mentions_off(services, &house, request, &command, &standing) {
        return refuse_with(services, claimed, &standing, &card).await;
    }
    let Some(named) = &request.with.repository else { return obey(services, claimed, &standing, &house, command).await };
    let Some(claimed) = Box::pin(link::at_repository(services, claimed, named)).await? else {
        return Ok(done("not about that repository"));
    };
    let house = House::now(services, &claimed.request.place).await?;
    obey(services, &claimed, &standing, &house, command).await
}

/// Does what the words say, of somebody who may.
fn obey<'a>(
    services: &'a Services,
    claimed: &'a Claimed,
    standing: &'a Standing,
    house: &'a House,
    command: Command,
) -> Deciding<'a> {
    Box::pin(async move {
        let request = &claimed.request;
        let handle = || services.settings.name.clone();
        match command {
            Command::Ask { text } if standing.active.is_some() => steer(services, claimed, standing, text).await,
            Command::Ask { text } | Command::Queue { text } => {
                start(services, claimed, standing, request, Task::Ask { text }).await
            }
            Command::Run { blocks } => start(services, claimed, standing, request, Task::Code { blocks }).await,
            Command::Retry => retry::retry(services, claimed, standing).await,
            Command::Stop => stop(services, claimed).await,
            Command::Status => status(services, claimed).await,
            Command::Help => {
                tell(services, claimed, &Card::Help { handle: handle(), available: words::available(&request.place) }).await
            }
            Command::Misspelt { word, suggestion } => {
                tell(services, claimed, &Card::DidYouMean { handle: handle(), word, suggestion }).await
            }
            Command::Invalid { problem } => tell(services, claimed, &Card::Invalid { handle: handle(), problem }).await,
            Command::Review if !words::on_pull_request(&request.place) => {
                tell(services, claimed, &Card::OnlyOnPullRequests { word: Word::Review }).await
            }
            Command::Review => start(services, claimed, standing, request, Task::Review { text: request.text.clone() }).await,
            Command::Land { how: Landing::Fix | Landing::Pr } => {
                start(services, claimed, standing, request, Task::Land { text: request.text.clone() }).await
            }
            Command::Undo => start(services, claimed, standing, request, Task::Undo).await,
            Command::Plan { text } => start(services, claimed, standing, request, Task::Plan { text }).await,
            Command::Approve { digest } => Box::pin(approve::by_words(services, claimed, standing, digest.as_deref())).await,
            Command::Remember { text } => Box::pin(remember::remember(services, claimed, house, &text)).await,
            Command::Forget { text } if erase::means_conversation(&text) => {
                Box::pin(erase::conversation(services, claimed, house)).await
            }
            Command::Forget { text } => match erase::own(request, &services.settings.name) {
                Some(extent) => erase::nothing(services, claimed, extent).await,
                None => Box::pin(remember::forget(services, claimed, house, &text)).await,
            },
            Command::Memory => Box::pin(remember::memory(services, claimed, house)).await,
            Command::Model { name } => ceilings::model(services, claimed, &name).await,
            Command::Budget { usd } => match ceilings::budget(services, claimed, usd).await? {
                Ok(verdict) => Ok(verdict),
                Err(refusal) => refuse(services, claimed, standing, &refusal).await,
            },
            Command::Link { url } => Box::pin(link::link(services, claimed, &url)).await,
            Command::Branch { url } => Box::pin(branch::branch(services, claimed, &url)).await,
            Command::LinkRepository { name } => Box::pin(link::repository(services, claimed, name.as_deref())).await,
            Command::Account { what } => Box::pin(link::account(services, claimed, &what)).await,
        }
    })
}

/// Nothing in the words asks us. What has no words any more did when it was accepted, and whoever wrote it waits.
async fn unread(services: &Services, claimed: &Claimed) -> Result<Verdict, PostError> {
    if claimed.request.text.trim().is_empty() {
        return tell(services, claimed, &Card::WordsGone { handle: services.settings.name.clone() }).await;
    }
    Ok(done("no mention that counts"))
}

/// Where the service does not work at all, it does not say who somebody is either.
async fn account(services: &Services, claimed: &Claimed, standing: &Standing, what: &Account) -> Result<Verdict, PostError> {
    if let Place::Discord { .. } = &claimed.request.place
        && let Err(refusal) = discord::may_speak(services, &claimed.request).await?
    {
        return refuse(services, claimed, standing, &refusal).await;
    }
    link::account(services, claimed, what).await
}

pub(super) fn done(what: &'static str) -> Verdict {
    Verdict::Done { what, wake: false }
}

async fn is_ourselves(services: &Services, request: &Request) -> Result<bool, PostError> {
    match &request.place {
        Place::Github { .. } => {
            let Some(github) = &services.github else { return Err(PostError::Off) };
            Ok(github.identity().await?.is(&request.author))
        }
        // What we say there is never taken in.
        Place::Discord { .. } => Ok(false),
    }
}

/// A bot may ask where it is named, not by a permission it happens to have.
fn is_listed(services: &Services, request: &Request) -> bool {
    match &services.settings.allow {
        Allow::Logins(logins) => logins.iter().any(|listed| listed.eq_ignore_ascii_case(&request.author.login)),
        Allow::Permission(_) | Allow::Member => false,
    }
}

/// Whether the author of a request may trigger where it was made.
pub(super) async fn may_trigger(services: &Services, request: &Request) -> Result<Result<(), Refusal>, PostError> {
    let house = House::of(services, &request.place).await?;
    repository::may_trigger(services, &house, request).await
}

pub(super) fn refuse<'a>(services: &'a Services, claimed: &'a Claimed, standing: &'a Standing, why: &'a Refusal) -> Deciding<'a> {
    Box::pin(async move {
        let asks = &claimed.request.asks;
        if asks.is_automatic() && !matches!(asks, Asks::Reaction { .. }) {
            return Ok(done("refused without a word: nobody asked"));
        }
        let card = refusal(why, claimed, &services.settings.name, services.clock.now());
        refuse_with(services, claimed, standing, &card).await
    })
}

fn refuse_with<'a>(services: &'a Services, claimed: &'a Claimed, standing: &'a Standing, card: &'a Card) -> Deciding<'a> {
    Box::pin(async move {
        let now = services.clock.now();
        if standing.refused_at.is_none_or(|at| now - at >= REFUSAL_PAUSE) {
            say(services, claimed, "refusal", card).await?;
        }
        Ok(done("refused"))
    })
}

fn refusal(why: &Refusal, claimed: &Claimed, handle: &str, now: DateTime<Utc>) -> Card {
    let request = &claimed.request;
    let tomorrow = now.with_time(NaiveTime::MIN).earliest().unwrap_or(now) + TimeDelta::days(1);
    match why {
        Refusal::NotAllowed { needed } => {
            Card::NoPermission { login: request.author.login.clone(), needed: shown(*needed, &request.place, handle) }
        }
        Refusal::PersonLimit { limit, until } => Card::RateLimited { scope: Scope::Person { per_hour: *limit }, free_at: *until },
        Refusal::EverybodyLimit => Card::RateLimited { scope: Scope::Everyone, free_at: now + RATE_WINDOW },
        Refusal::Parted { why } => Card::Hindered {
            why: format!(
                "This conversation is joined with one elsewhere, and not as many read the one as the other any more. {why} Nothing is run here until that is so again."
            ),
            report: claimed.id.to_string(),
        },
        Refusal::Budget(line) => {
            let scope = match line {
                Line::Everybody => Scope::Budget,
                Line::Person => Scope::PersonBudget,
                Line::Repository => match &request.place {
                    Place::Github { .. } => Scope::RepositoryBudget,
                    Place::Discord { .. } => Scope::GuildBudget,
                },
            };
            Card::RateLimited { scope, free_at: tomorrow }
        }
    }
}

/// What is missing, as people read it where they asked.
fn shown(needed: Needed, place: &Place, handle: &str) -> reply::Needed {
    match needed {
        Needed::Permission(permission) => {
            let name = policy::permission_name(permission).to_owned();
            match place {
                Place::Discord { repository: Some(linked), .. } => {
                    reply::Needed::OnLinked { name, repository: linked.full_name.clone() }
                }
                Place::Github { .. } | Place::Discord { .. } => reply::Needed::Permission { name },
            }
        }
        Needed::Member => reply::Needed::Member,
        Needed::Listed => reply::Needed::Listed,
        Needed::Guild => reply::Needed::Guild,
        Needed::Channel => reply::Needed::Channel,
        Needed::Role => reply::Needed::Role,
        Needed::NotDirect => reply::Needed::NotDirect,
        Needed::Account => reply::Needed::Account { handle: handle.to_owned() },
        Needed::Apart => reply::Needed::Apart,
    }
}

/// A new run, if the limits allow one more.
pub(super) fn start<'a>(
    services: &'a Services,
    claimed: &'a Claimed,
    standing: &'a Standing,
    request: &'a Request,
    task: Task,
) -> Deciding<'a> {
    Box::pin(async move {
        // Nobody asked, so nobody is told.
        if request.asks == Asks::Pushed && review::is_unchanged(services, request).await? {
            return Ok(done("nothing it changes is different since the last review"));
        }
        let request = &asked::with_head(services, request).await?;
        let powers = match powers_of(&task) {
            Powers::Everything => asked::powers(request),
            less => less,
        };
        let new = NewRun { newest: standing.newest, request, task: &task, powers, approval: None };
        start_as(services, claimed, standing, new).await
    })
}

/// Who plans only looks.
fn powers_of(task: &Task) -> Powers {
    match task {
        Task::Plan { .. } => Powers::OnlyReads,
        Task::Ask { .. }
        | Task::Code { .. }
        | Task::Review { .. }
        | Task::Land { .. }
        | Task::CarryOut { .. }
        | Task::LandApproved { .. }
        | Task::Undo => Powers::Everything,
    }
}

pub(super) fn start_as<'a>(
    services: &'a Services,
    claimed: &'a Claimed,
    standing: &'a Standing,
    new: NewRun<'a>,
) -> Deciding<'a> {
    Box::pin(async move {
        let ceiling = match within_limits(services, claimed, standing).await? {
            Ok(ceiling) => ceiling,
            Err(refusal) => return refuse(services, claimed, standing, &refusal).await,
        };
        let now = services.clock.now();
        if let Some(run) = store::create_run(&services.pool, claimed, new, Some(ceiling), now).await? {
            return acknowledge(services, claimed, standing, run).await;
        }
        // Others took the last places since they were counted.
        let standing = &store::standing(&services.pool, claimed, ceiling.since, &services.settings.limits).await?;
        let refusal = within_limits(services, claimed, standing).await?.err().unwrap_or(Refusal::EverybodyLimit);
        refuse(services, claimed, standing, &refusal).await
    })
}

/// Whether one more run of whoever asks is within the limits, and what they are.
pub(super) async fn within_limits(
    services: &Services,
    claimed: &Claimed,
    standing: &Standing,
) -> Result<Result<Ceiling, Refusal>, PostError> {
    let (now, request) = (services.clock.now(), &claimed.request);
    if let Some(why) = join::parted_from(services, claimed.thread, &request.place).await? {
        return Ok(Err(Refusal::Parted { why }));
    }
    let house = House::of(services, &request.place).await?;
    let (limits, place) = (&house.limits, request.place.payer());
    let spent = services.kit.spending.today(&services.pool, limits, &request.requester(), &place, now).await?;
    let used = Use {
        by_person: standing.by_person,
        oldest_by_person: standing.oldest_by_person,
        by_everyone: standing.by_everyone,
        spent,
    };
    let everyones = policy::runs_of_everyone(&services.settings.limits);
    let ceiling =
        Ceiling { since: now - RATE_WINDOW, of_person: limits.user_runs_per_hour.into(), of_everyone: everyones.into() };
    Ok(policy::may_run(limits, everyones, &used, now).map(|()| ceiling))
}

/// 👀 and the comment that will become the answer, both at once.
pub(super) fn acknowledge<'a>(services: &'a Services, claimed: &'a Claimed, standing: &'a Standing, run: RunId) -> Deciding<'a> {
    Box::pin(async move {
        let key = answer_key(run);
        let (place, spot): (&Place, Spot) = (&claimed.request.place, Spot::of(&claimed.request));
        let post = CommentPost { key: &key, thread: claimed.thread, run: Some(run), kind: "answer", about: None, place, spot };
        let state = position(services, standing);
        let view = LiveView { state: state.clone(), ..LiveView::default() };
        let live = Said::Live(&view);
        let (seen, said) =
            tokio::join!(services.poster.react(&claimed.request, Reaction::Eyes), services.poster.comment(&post, &live));
        said?;
        store::watch(&services.pool, run, &key, shown_position(&state), services.clock.now()).await?;
        // The comment says that it was seen; nobody should wait for the reaction.
        if let Err(error) = seen {
            tracing::info!(run.id = %run, %error, "no reaction to the trigger");
        }
        Ok(Verdict::Done { what: "became a run", wake: true })
    })
}

fn shown_position(state: &LiveState) -> Option<i32> {
    match state {
        LiveState::Queued { position } => i32::try_from(*position).ok(),
        LiveState::Accepted | LiveState::Behind | LiveState::Working => None,
    }
}

fn position(services: &Services, standing: &Standing) -> LiveState {
    if standing.busy {
        return LiveState::Behind;
    }
    let ahead = u32::try_from(standing.unfinished).unwrap_or(u32::MAX);
    match (ahead + 1).checked_sub(services.settings.limits.max_concurrent_runs) {
        None | Some(0) => LiveState::Accepted,
        Some(position) => LiveState::Queued { position },
    }
}

/// The message joins the run at work, or becomes one if that ended meanwhile.
async fn steer(services: &Services, claimed: &Claimed, standing: &Standing, text: String) -> Result<Verdict, PostError> {
    if let Some(why) = join::parted_from(services, claimed.thread, &claimed.request.place).await? {
        return refuse(services, claimed, standing, &Refusal::Parted { why }).await;
    }
    if let Some(run) = store::joinable(&services.pool, claimed.thread).await?
        && may_join(services, claimed, &run).await?
        && store::join_run(&services.pool, claimed, run.id).await?
    {
        return eyes(services, claimed, "joined the run").await;
    }
    start(services, claimed, standing, &claimed.request, Task::Ask { text }).await
}

/// Whose words change what a run does: those of who asked for it or let it begin, and of who may write where it may land, because what
/// lands does so on its requester's permission. The words of others ask for a run of their own; so does what comes with files, which are
/// fetched as a run begins.
async fn may_join(services: &Services, claimed: &Claimed, run: &Joinable) -> Result<bool, PostError> {
    let author = &claimed.request.author;
    if !claimed.request.with.files.is_empty() {
        return Ok(false);
    }
    if author.id == run.requester || author.id == run.request.author.id {
        return Ok(true);
    }
    let Some(repo) = RepoRef::about(&run.request.place) else { return Ok(true) };
    let github = services.github.as_ref().ok_or(PostError::Off)?;
    let may = bridge::permission::<PostError>(&services.pool, github, &repo, &Who::of(&claimed.request)).await?;
    Ok(may >= Permission::Write)
}

pub(super) async fn eyes(services: &Services, claimed: &Claimed, what: &'static str) -> Result<Verdict, PostError> {
    services.poster.react(&claimed.request, Reaction::Eyes).await?;
    Ok(done(what))
}

async fn stop(services: &Services, claimed: &Claimed) -> Result<Verdict, PostError> {
    match store::request_stop(&services.pool, claimed.thread, None, &claimed.request.author.login).await? {
        0 => tell(services, claimed, &Card::NothingToStop).await,
        _ => {
            let verdict = eyes(services, claimed, "asked to stop").await?;
            run::end_stopped(services, claimed.thread).await;
            Ok(verdict)
        }
    }
}

pub(super) fn tell<'a>(services: &'a Services, claimed: &'a Claimed, what: &'a Card) -> Deciding<'a> {
    Box::pin(async move {
        notice(services, claimed, what).await?;
        Ok(done("answered by the service"))
    })
}

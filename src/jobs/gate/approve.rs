//! A yes or a no, by words or by a reaction: who may is looked up, what is approved is compared with what is there, and then it counts once.

use super::dispatch::{acknowledge, done, eyes, may_trigger, refuse, tell, within_limits};
use super::store::{self, Claimed, NewRun, Standing, Verdict};
use crate::approval::store::{self as approvals_store, Approval, By};
use crate::approval::{Continues, Decided, Kind, State};
use crate::github::RepoRef;
use crate::id::ApprovalId;
use crate::intake::{Button, Request, Trigger};
use crate::jobs::approvals::{self, Seen};
use crate::jobs::bridge::{self, Who};
use crate::jobs::{Services, run};
use crate::reply::{Card, PostError};
use crate::settings::Permission;

/// `approve`, perhaps with the digest of what is meant.
pub(super) async fn by_words(
    services: &Services,
    claimed: &Claimed,
    standing: &Standing,
    digest: Option<&str>,
) -> Result<Verdict, PostError> {
    let approval = match choose(services, claimed, digest).await? {
        Chosen::This(approval) => *approval,
        Chosen::None(card) => return tell(services, claimed, &card).await,
    };
    if approval.state == State::Waiting && !may_decide(services, claimed, &approval).await? {
        let why = needed(approval.kind).to_owned();
        return tell(services, claimed, &Card::NotApproved { why }).await;
    }
    match carry(services, claimed, standing, &approval).await? {
        Carried::Done(verdict) => Ok(verdict),
        Carried::Not(why) => tell(services, claimed, &Card::NotApproved { why }).await,
    }
}

/// 👍 or 👎 on a comment of ours. Whoever may not is not told so: a reaction is no request.
pub(super) async fn by_reaction(
    services: &Services,
    claimed: &Claimed,
    standing: &Standing,
    comment: i64,
    button: Button,
) -> Result<Verdict, PostError> {
    let known = match approvals_store::decided_with(&services.pool, claimed.id).await? {
        Some(known) => Some(known),
        None => approvals_store::in_comment(&services.pool, claimed.thread, comment).await?,
    };
    match (button, known) {
        (Button::Yes, Some(approval)) => {
            if approval.state == State::Waiting && !may_decide(services, claimed, &approval).await? {
                return Ok(done("a reaction of somebody who may not"));
            }
            match carry(services, claimed, standing, &approval).await? {
                Carried::Done(verdict) => Ok(verdict),
                Carried::Not(_) => Ok(done("a reaction to what is no longer open")),
            }
        }
        (Button::No, Some(approval)) if approval.state == State::Waiting || approval.state == State::Declined => {
            decline(services, claimed, &approval).await
        }
        (Button::No, _) => stop(services, claimed, comment).await,
        (Button::Yes, None) => Ok(done("a reaction to nothing that waits")),
    }
}

async fn decline(services: &Services, claimed: &Claimed, approval: &Approval) -> Result<Verdict, PostError> {
    let author = &claimed.request.author;
    let asked = approval.continues.as_ref().is_some_and(|continues| continues.request.author.id == author.id);
    if !asked && !may_decide(services, claimed, approval).await? {
        return Ok(done("a reaction of somebody who may not"));
    }
    if approvals_store::decline(&services.pool, approval.id, by(claimed), services.clock.now()).await? {
        approvals::tell_ends(services).await?;
    }
    Ok(done("declined"))
}

/// A press on a button that names the approval; what it comes to otherwise is a sentence for who pressed.
pub(super) async fn by_press(
    services: &Services,
    claimed: &Claimed,
    standing: &Standing,
    id: ApprovalId,
    yes: bool,
) -> Result<Result<Verdict, String>, PostError> {
    let known = approvals_store::get(&services.pool, id).await?.filter(|approval| approval.thread == claimed.thread);
    let Some(approval) = known else { return Ok(Err("I do not know what that button is about any more.".to_owned())) };
    if !yes {
        return press_no(services, claimed, &approval).await;
    }
    if approval.state == State::Waiting && !may_decide(services, claimed, &approval).await? {
        return Ok(Err(needed(approval.kind).to_owned()));
    }
    match carry(services, claimed, standing, &approval).await? {
        Carried::Done(verdict) => Ok(Ok(verdict)),
        Carried::Not(why) => Ok(Err(why)),
    }
}

async fn press_no(services: &Services, claimed: &Claimed, approval: &Approval) -> Result<Result<Verdict, String>, PostError> {
    let author = &claimed.request.author;
    let asked = approval.continues.as_ref().is_some_and(|continues| continues.request.author.id == author.id);
    if !asked && !may_decide(services, claimed, approval).await? {
        return Ok(Err(needed(approval.kind).to_owned()));
    }
    if !approvals_store::decline(&services.pool, approval.id, by(claimed), services.clock.now()).await? {
        return Ok(Err(approvals::how_it_ended(approval).unwrap_or_else(|| "It is no longer open.".to_owned())));
    }
    approvals::tell_ends(services).await?;
    Ok(Ok(done("declined")))
}

/// The permission that a yes or a no takes, for people.
fn needed(kind: Kind) -> &'static str {
    match kind.needs() {
        Some(Permission::Maintain | Permission::Admin) => "That takes maintain or admin permission on the repository.",
        Some(_) => "That takes write permission on the repository.",
        None => "That takes somebody who may ask for runs here.",
    }
}

/// 👎 on the live comment of a run stops it.
async fn stop(services: &Services, claimed: &Claimed, comment: i64) -> Result<Verdict, PostError> {
    let Some((at_work, concerned)) = store::run_of_comment(&services.pool, claimed.thread, comment).await? else {
        return Ok(done("a reaction to nothing that runs"));
    };
    let author = &claimed.request.author;
    if !concerned.contains(&author.id) && may_trigger(services, &claimed.request).await?.is_err() {
        return Ok(done("a reaction of somebody who may not"));
    }
    store::request_stop(&services.pool, claimed.thread, Some(at_work), &author.login).await?;
    run::end_stopped(services, claimed.thread).await;
    Ok(done("asked to stop"))
}

/// What `approve` is about.
enum Chosen {
    This(Box<Approval>),
    None(Card),
}

async fn choose(services: &Services, claimed: &Claimed, digest: Option<&str>) -> Result<Chosen, PostError> {
    let pool = &services.pool;
    // At an earlier attempt it was decided; that stays.
    if let Some(decided) = approvals_store::decided_with(pool, claimed.id).await? {
        return Ok(Chosen::This(Box::new(decided)));
    }
    let mut waiting = approvals_store::waiting(pool, claimed.thread, services.clock.now()).await?;
    waiting.retain(|approval| approval.shown.is_some());
    if let Some(digest) = digest {
        waiting.retain(|approval| approval.digest.0.starts_with(digest));
    }
    match waiting.len() {
        1 => Ok(Chosen::This(Box::new(waiting.remove(0)))),
        0 => {
            let newest = approvals_store::newest(pool, claimed.thread).await?;
            let last = newest.as_ref().and_then(approvals::how_it_ended);
            Ok(Chosen::None(Card::NothingToApprove { last }))
        }
        _ => {
            let named = |approval: &Approval| (approval.digest.short().to_owned(), approvals::describe(approval));
            let handle = services.settings.name.clone();
            let waiting = waiting.iter().map(named).collect();
            Ok(Chosen::None(Card::WhichApproval { handle, waiting }))
        }
    }
}

/// Whoever may ask for runs may approve a plan; the rest takes a permission of its own, too.
pub(super) async fn may_decide(services: &Services, claimed: &Claimed, approval: &Approval) -> Result<bool, PostError> {
    let request = &claimed.request;
    if request.author.is_bot || may_trigger(services, request).await?.is_err() {
        return Ok(false);
    }
    let here = RepoRef::about(&request.place);
    // A conversation on Discord may have been linked to another repository since; a yes there says nothing about what lands in this one.
    let there = approval.continues.as_ref().and_then(|continues| RepoRef::about(&continues.request.place));
    if there.is_some_and(|there| here.as_ref().is_none_or(|here| here.id != there.id)) {
        return Ok(false);
    }
    let Some(needed) = approval.kind.needs() else { return Ok(true) };
    let github = services.github.as_ref().ok_or(PostError::Off)?;
    // Without a repository nothing takes a permission on one, so nobody has it.
    let Some(repo) = here else { return Ok(false) };
    Ok(bridge::permission::<PostError>(&services.pool, github, &repo, &Who::of(request)).await? >= needed)
}

fn by(claimed: &Claimed) -> By<'_> {
    By { login: &claimed.request.author.login, id: claimed.request.author.id, inbox: claimed.id }
}

enum Carried {
    Done(Verdict),
    /// A sentence for people.
    Not(String),
}

/// Compares, decides, and begins what was approved.
async fn carry(services: &Services, claimed: &Claimed, standing: &Standing, approval: &Approval) -> Result<Carried, PostError> {
    // What was decided at an earlier attempt goes on as it was decided.
    if approval.state == State::Waiting
        && let Err(refusal) = within_limits(services, claimed, standing).await?
    {
        return refuse(services, claimed, standing, &refusal).await.map(Carried::Done);
    }
    if approval.state == State::Waiting
        && let Some(why) = why_not(services, claimed, approval).await?
    {
        return Ok(Carried::Not(why));
    }
    let now = services.clock.now();
    match approvals_store::decide(&services.pool, approval.id, &approval.digest, by(claimed), now).await? {
        Decided::Yes => {}
        Decided::Changed => return Ok(Carried::Not("It is not what was shown.".to_owned())),
        Decided::AlreadyDecided(state) => {
            let ended = approvals::how_it_ended(&Approval { state, ..approval.clone() });
            return Ok(Carried::Not(ended.unwrap_or_else(|| "It is no longer open.".to_owned())));
        }
    }
    let verdict = match &approval.continues {
        Some(continues) => begin(services, claimed, standing, approval, continues).await?,
        None => eyes(services, claimed, "approved").await?,
    };
    approvals::tell_ends(services).await?;
    Ok(Carried::Done(verdict))
}

/// Why this yes does not count; what was changed is void from then on.
async fn why_not(services: &Services, claimed: &Claimed, approval: &Approval) -> Result<Option<String>, PostError> {
    let now = services.clock.now();
    match approvals::seen(services, approval).await? {
        Seen::AsWritten(at) if at > claimed.request.written_at => {
            return Ok(Some("What waits for a yes was shown after you wrote. Look at it, and say so again.".to_owned()));
        }
        Seen::AsWritten(_) => {}
        Seen::Otherwise => {
            let why = "The comment that showed it was edited or deleted by somebody.";
            approvals_store::void(&services.pool, approval.id, why, now).await?;
            approvals::tell_ends(services).await?;
            return Ok(Some(format!("{why} Ask for it again.")));
        }
    }
    let Some(why) = approvals::changed(services, approval).await? else { return Ok(None) };
    approvals_store::void(&services.pool, approval.id, why, now).await?;
    approvals::tell_ends(services).await?;
    Ok(Some(format!("{why} Ask for it again.")))
}

/// The run that was approved: in the words and the name of who asked, on the permission of who said yes.
async fn begin(
    services: &Services,
    claimed: &Claimed,
    standing: &Standing,
    approval: &Approval,
    continues: &Continues,
) -> Result<Verdict, PostError> {
    let mut request = continues.request.clone();
    let said = &claimed.request;
    if approval.kind != Kind::Outsider && said.place == request.place && said.trigger != Trigger::Event {
        // The end is shown on the words that let it begin.
        request = Request { trigger: said.trigger, url: said.url.clone(), review_thread: said.review_thread.clone(), ..request };
    }
    let new = NewRun {
        newest: standing.newest,
        request: &request,
        task: &continues.task,
        powers: continues.powers,
        approval: Some(approval.id),
    };
    // What was said yes to is within the limits: that was looked up before it counted.
    match store::create_run(&services.pool, claimed, new, None, services.clock.now()).await? {
        Some(run) => acknowledge(services, claimed, standing, run).await,
        None => Err(sqlx::Error::RowNotFound.into()),
    }
}

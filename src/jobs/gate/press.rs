//! Buttons that name what they are about: who may is asked as for any words, and whoever may not is told, for their eyes alone.

use super::dispatch::{self, done, may_trigger, within_limits};
use super::store::{self, Claimed, Standing, Verdict};
use super::{approve, notice, retry};
use crate::agent::Task;
use crate::discord::interaction;
use crate::id::RunId;
use crate::intake::Press;
use crate::jobs::{Services, run};
use crate::reply::{Card, PostError};

const GONE: &str = "I do not know that run any more.";
const OVER: &str = "That run is over already.";
const AT_WORK: &str = "Something is at work in this conversation. Wait for its end, or press Stop.";
const NOT_THEIRS: &str =
    "You may not do that here. Whoever asked may, and those I listen to in this place; `status` shows what it is about.";
const LIMIT: &str = "That would be more than what you or all together may have now. Try again later.";

/// A button was pressed.
pub(super) async fn pressed(
    services: &Services,
    claimed: &Claimed,
    standing: &Standing,
    press: Press,
    interaction: i64,
) -> Result<Verdict, PostError> {
    let came_to = match press {
        Press::Stop(id) => stop(services, claimed, id).await?,
        Press::Retry(id) => again(services, claimed, standing, id).await?,
        Press::OpenPullRequest(id) => open(services, claimed, standing, id).await?,
        Press::Approve(id) => approve::by_press(services, claimed, standing, id, true).await?,
        Press::Decline(id) => approve::by_press(services, claimed, standing, id, false).await?,
    };
    match came_to {
        Ok(verdict) => Ok(verdict),
        Err(why) => {
            say(services, claimed, interaction, &why).await?;
            Ok(done("a press that came to nothing"))
        }
    }
}

/// Tells who pressed why it came to nothing: alone, or where all read it when it is too late for that.
pub(super) async fn say(services: &Services, claimed: &Claimed, interaction: i64, why: &str) -> Result<(), PostError> {
    if let Some(discord) = &services.discord {
        let why = services.poster.redactor().redact(why);
        if interaction::whisper(discord, &services.pool, interaction, &why).await? {
            return Ok(());
        }
    }
    notice(services, claimed, &Card::Hindered { why: why.to_owned(), report: claimed.id.to_string() }).await
}

/// What it came to, or why to nothing.
type CameTo = Result<Result<Verdict, String>, PostError>;

fn not(why: &str) -> CameTo {
    Ok(Err(why.to_owned()))
}

async fn stop(services: &Services, claimed: &Claimed, id: RunId) -> CameTo {
    let Some(known) = store::one_run(&services.pool, claimed.thread, id).await? else { return not(GONE) };
    if !known.unfinished {
        return not(OVER);
    }
    let author = &claimed.request.author;
    if !known.concerned.contains(&author.id) && may_trigger(services, &claimed.request).await?.is_err() {
        return not(NOT_THEIRS);
    }
    store::request_stop(&services.pool, claimed.thread, Some(id), &author.login).await?;
    run::end_stopped(services, claimed.thread).await;
    Ok(Ok(done("asked to stop")))
}

async fn again(services: &Services, claimed: &Claimed, standing: &Standing, id: RunId) -> CameTo {
    let Some(known) = store::one_run(&services.pool, claimed.thread, id).await? else { return not(GONE) };
    if known.unfinished || known.overtaken {
        return not(AT_WORK);
    }
    if let Err(why) = may(services, claimed, standing).await? {
        return not(why);
    }
    retry::repeat(services, claimed, standing, known.again).await.map(Ok)
}

async fn open(services: &Services, claimed: &Claimed, standing: &Standing, id: RunId) -> CameTo {
    let Some(known) = store::one_run(&services.pool, claimed.thread, id).await? else { return not(GONE) };
    if known.unfinished || known.overtaken {
        return not(AT_WORK);
    }
    if let Err(why) = may(services, claimed, standing).await? {
        return not(why);
    }
    let task = Task::Land { text: claimed.request.text.clone() };
    dispatch::start(services, claimed, standing, &claimed.request, task).await.map(Ok)
}

async fn may(services: &Services, claimed: &Claimed, standing: &Standing) -> Result<Result<(), &'static str>, PostError> {
    if may_trigger(services, &claimed.request).await?.is_err() {
        return Ok(Err(NOT_THEIRS));
    }
    Ok(within_limits(services, claimed, standing).await?.map(drop).map_err(|_| LIMIT))
}

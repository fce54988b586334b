//! People without permission: their request is shown to those who could let exactly that text run.

use chrono::TimeDelta;

use super::asked;
use super::dispatch::{self, done, tell};
use super::store::{Claimed, Standing, Verdict};
use crate::agent::{Powers, Task};
use crate::approval::store::{self, Ask};
use crate::approval::{Continues, Covers, Kind, OPEN_FOR, State};
use crate::intake::command::{self, Command};
use crate::intake::policy::Refusal;
use crate::intake::{Place, Request};
use crate::jobs::{Services, approvals};
use crate::reply::{self, Card, CommentPost, PostError, Spot};

/// Requests of one person that are shown in a day, in all conversations together.
const A_DAY: i64 = 5;
/// Requests of one person that are shown in an hour in one conversation, counting those that an edit made void.
const AN_HOUR: i64 = 3;

/// Says why not; what could run with somebody's approval is shown for it, within limits.
pub(super) async fn refuse(
    services: &Services,
    claimed: &Claimed,
    standing: &Standing,
    why: &Refusal,
) -> Result<Verdict, PostError> {
    let request = &claimed.request;
    if request.asks.is_automatic() {
        return Ok(done("nobody asked, and who caused it may not"));
    }
    // On Discord it is roles and linked accounts that are missing: whoever has them can say it themselves.
    if let Place::Discord { .. } = &request.place {
        return dispatch::refuse(services, claimed, standing, why).await;
    }
    let (Refusal::NotAllowed { .. }, Some(task)) = (why, task(request, &services.settings.name)) else {
        return dispatch::refuse(services, claimed, standing, why).await;
    };
    let key = format!("outsider-{}", claimed.id);
    let known = store::find(&services.pool, &key).await?.is_some();
    if !known && !may_be_shown(services, claimed).await? {
        return dispatch::refuse(services, claimed, standing, why).await;
    }
    let Some(shown) = reply::outsider(&request.author.login, &request.text) else {
        return tell(services, claimed, &Card::TooLongToApprove { login: request.author.login.clone() }).await;
    };
    show(services, claimed, &key, task, &shown).await
}

async fn show(services: &Services, claimed: &Claimed, key: &str, task: Task, shown: &str) -> Result<Verdict, PostError> {
    let request = asked::with_head(services, &claimed.request).await?;
    let now = services.clock.now();
    let covers = Covers { text: request.text.clone(), request: request.text.clone(), head: request.head.clone() };
    let continues = Continues { request, task, powers: Powers::NothingLands };
    let ask = Ask {
        key,
        thread: claimed.thread,
        kind: Kind::Outsider,
        run: None,
        covers: &covers,
        continues: Some(&continues),
        expires_at: now + OPEN_FOR,
    };
    let approval = store::ask(&services.pool, ask, now).await?;
    if approval.state != State::Waiting {
        return Ok(done("its approval was decided"));
    }
    let about = claimed.request.author.id.to_string();
    let post_key = format!("card-{}", claimed.id);
    let post = CommentPost {
        key: &post_key,
        thread: claimed.thread,
        run: None,
        // Counts as the hourly word to this person.
        kind: "refusal",
        about: Some(&about),
        place: &claimed.request.place,
        spot: Spot::of(&claimed.request),
    };
    approvals::show(services, &approval, &post, shown).await?;
    Ok(done("waits for approval"))
}

async fn may_be_shown(services: &Services, claimed: &Claimed) -> Result<bool, PostError> {
    let now = services.clock.now();
    let (hour, day) = (now - TimeDelta::hours(1), now - TimeDelta::days(1));
    let used = store::outsider_use(&services.pool, claimed.request.author.id, claimed.thread, hour, day).await?;
    Ok(used.in_thread == 0 && used.all_in_thread < AN_HOUR && used.anywhere < A_DAY)
}

/// What would run: code as it is, or the agent with the words as they are. Commands that steer need permission of their own.
fn task(request: &Request, handle: &str) -> Option<Task> {
    match command::parse(&request.text, handle)? {
        Command::Ask { text } | Command::Queue { text } => Some(Task::Ask { text }),
        Command::Run { blocks } => Some(Task::Code { blocks }),
        Command::Review | Command::Land { .. } | Command::Plan { .. } => Some(Task::Ask { text: request.text.clone() }),
        Command::Retry
        | Command::Stop
        | Command::Undo
        | Command::Approve { .. }
        | Command::Status
        | Command::Help
        | Command::Remember { .. }
        | Command::Forget { .. }
        | Command::Memory
        | Command::Model { .. }
        | Command::Budget { .. }
        | Command::Link { .. }
        | Command::Branch { .. }
        | Command::LinkRepository { .. }
        | Command::Account { .. }
        | Command::Misspelt { .. }
        | Command::Invalid { .. } => None,
    }
}

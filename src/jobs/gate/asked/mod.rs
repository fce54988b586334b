//! Whether what arrived is to be done at all, and what it is to be: what nobody typed, what was deleted meanwhile, what comes from where
//! we are no longer installed.

mod store;

use self::store::Obstacles;
use super::store::Claimed;
use crate::agent::{Powers, Task};
use crate::github::{RepoRef, Since};
use crate::intake::{Asks, Request};
use crate::jobs::Services;
use crate::jobs::house::House;
use crate::reply::PostError;

/// Runs for failed checks of one pull request in a day: a fix that makes the next check fail must not go on for ever.
const MOST_FIXES: i64 = 3;

/// What a request turns out to be.
#[derive(Debug)]
pub(super) enum Asked {
    /// Somebody's words; they are read.
    Words,
    /// This, and not as part of a run at work.
    Task(Task),
    /// Nothing; it ends without anybody being told.
    Nothing(&'static str),
}

/// Decides what a request turns out to be. Looks the repository up only for what nobody typed.
pub(super) async fn decide(services: &Services, claimed: &Claimed) -> Result<Asked, PostError> {
    let obstacles = store::obstacles(&services.pool, claimed, services.clock.now()).await?;
    if obstacles.gone {
        return Ok(Asked::Nothing("the App is no longer installed there"));
    }
    if obstacles.deleted {
        return Ok(Asked::Nothing("it was deleted before it began"));
    }
    match &claimed.request.asks {
        Asks::Words | Asks::Reaction { .. } | Asks::Pressed { .. } => Ok(Asked::Words),
        asks => unspoken(services, claimed, asks, &obstacles).await,
    }
}

async fn unspoken(services: &Services, claimed: &Claimed, asks: &Asks, obstacles: &Obstacles) -> Result<Asked, PostError> {
    if asks.is_automatic() && obstacles.closed {
        return Ok(Asked::Nothing("the conversation was closed"));
    }
    let facts = House::of(services, &claimed.request.place).await?.facts;
    let triggers = &facts.file.triggers;
    let task = match asks {
        Asks::Words | Asks::Reaction { .. } | Asks::Pressed { .. } => return Ok(Asked::Words),
        Asks::Label { name } => {
            if !triggers.label.as_ref().is_some_and(|label| label.eq_ignore_ascii_case(name)) {
                return Ok(Asked::Nothing("not our label"));
            }
            if obstacles.working {
                return Ok(Asked::Nothing("it is worked on already"));
            }
            Task::Ask { text: String::new() }
        }
        Asks::ReviewRequest { reviewer } => {
            if !is_us(services, reviewer).await? {
                return Ok(Asked::Nothing("somebody else's review was requested"));
            }
            Task::Review { text: String::new() }
        }
        Asks::Pushed => {
            if !triggers.reviews_pull_requests {
                return Ok(Asked::Nothing("the repository does not want it reviewed"));
            }
            if store::replace_waiting(&services.pool, claimed).await? {
                return Ok(Asked::Nothing("it takes the place of the push that waited"));
            }
            Task::Review { text: String::new() }
        }
        Asks::CheckFailed { app, .. } => {
            if !triggers.fixes_checks {
                return Ok(Asked::Nothing("the repository does not want checks fixed"));
            }
            if obstacles.fixes >= MOST_FIXES {
                return Ok(Asked::Nothing("failed checks were worked on often enough today"));
            }
            if app.is_some() && *app == our_app(services).await? {
                return Ok(Asked::Nothing("our own check"));
            }
            Task::Land { text: String::new() }
        }
    };
    Ok(Asked::Task(task))
}

/// How much the run of a request may do. What comes from a fork without anybody having asked reads somebody else's code on nobody's
/// responsibility: nothing of it lands.
pub(super) fn powers(request: &Request) -> Powers {
    if request.asks.is_automatic() && request.from_fork { Powers::NothingLands } else { Powers::Everything }
}

/// The request with the head of its pull request as it stood, where the notification did not name it. Looked up once, as early as can be:
/// dates of commits are chosen by whoever makes them, so the less time passes the better.
pub(super) async fn with_head(services: &Services, request: &Request) -> Result<Request, PostError> {
    let mut request = request.clone();
    let (Some(github), Some((repo, number))) = (&services.github, RepoRef::of(&request.place)) else { return Ok(request) };
    if !request.place.is_pull_request() || request.head.is_some() {
        return Ok(request);
    }
    match github.pull_head(&repo, number, request.written_at).await {
        Ok(head) => {
            request.from_fork = head.from_fork;
            request.head = Some(head.sha);
        }
        Err(error) if error.is_transient() => return Err(error.into()),
        // Without the right to read code there is a conversation all the same.
        Err(error) => tracing::info!(%error, "the head of the pull request is not known"),
    }
    Ok(request)
}

/// What the run is told when the pull request went on since.
pub(in crate::jobs) fn moved(since: &Since) -> Option<String> {
    match since {
        Since::Unmoved => None,
        Since::Continued { head } => {
            Some(format!("Commits of the pull request that are newer than the request are left out; its head is now {head}."))
        }
        Since::Replaced { head } => Some(format!(
            "The branch was pushed to by force after the request: this is the commit of then, which is no longer part of the pull request; \
             its head is now {head}. Say so in the answer."
        )),
    }
}

async fn is_us(services: &Services, login: &str) -> Result<bool, PostError> {
    let github = services.github.as_ref().ok_or(PostError::Off)?;
    Ok(github.identity().await?.login.eq_ignore_ascii_case(login))
}

async fn our_app(services: &Services) -> Result<Option<i64>, PostError> {
    let github = services.github.as_ref().ok_or(PostError::Off)?;
    Ok(github.identity().await?.app_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_force_push_is_said() {
        assert_eq!(moved(&Since::Unmoved), None);
        assert!(
            moved(&Since::Replaced { head: "abc".into() }).is_some_and(|note| note.contains("by force") && note.contains("abc"))
        );
        assert!(moved(&Since::Continued { head: "abc".into() }).is_some_and(|note| note.contains("left out")));
    }
}

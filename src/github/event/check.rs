//! Failed checks of pull requests. One request for a commit, whichever of its checks fails first.

use chrono::{DateTime, Utc};

use super::super::payload::{Check, Payload};
use super::written::Written;
use super::{INCOMPLETE, Meaning, nothing, numbered};
use crate::intake::{Asks, Trigger};

const FAILED: [&str; 3] = ["failure", "timed_out", "startup_failure"];

pub(super) fn ran(action: &str, payload: Payload) -> Meaning {
    failed(action, payload, |payload| payload.check_run.take(), |check| (check.id, check.name.clone()))
}

pub(super) fn suite(action: &str, payload: Payload) -> Meaning {
    let name = |check: &Check| check.app.as_ref().and_then(|app| app.name.clone());
    failed(action, payload, |payload| payload.check_suite.take(), |check| (None, name(check)))
}

fn failed(
    action: &str,
    mut payload: Payload,
    take: impl Fn(&mut Payload) -> Option<Check>,
    names: impl Fn(&Check) -> (Option<i64>, Option<String>),
) -> Meaning {
    if action != "completed" {
        return nothing("a check that goes on is not handled");
    }
    let Some(mut check) = take(&mut payload) else { return nothing(INCOMPLETE) };
    if !check.conclusion.as_deref().is_some_and(|conclusion| FAILED.contains(&conclusion)) {
        return nothing("the check did not fail");
    }
    let base = payload.repository.as_ref().and_then(|repository| repository.id);
    // Pull requests from forks are not listed. Of several on one branch the newest is worked on.
    let pulls = check.pull_requests.take().unwrap_or_default();
    let Some(pull) = pulls.into_iter().max_by_key(|pull| pull.number) else {
        return nothing("the check is about no pull request");
    };
    let (Some(number), Some(head)) = (pull.number, check.head_sha.clone()) else { return nothing(INCOMPLETE) };
    let pull_head = pull.head.as_ref();
    if pull_head.and_then(|head| head.sha.as_ref()).is_some_and(|newest| *newest != head) {
        return nothing("the pull request has a newer commit");
    }
    let from_fork = pull_head.is_some_and(|head| head.repo.as_ref().and_then(|repo| repo.id) != base);
    let Some(place) = numbered(&payload, number, true) else { return nothing(INCOMPLETE) };
    let (check_run, name) = names(&check);
    let written = Written {
        object: Some(format!("checks:{}@{head}", place.key())),
        place,
        trigger: Trigger::Event,
        by: payload.sender.map(|sender| no_bot_of_its_own(sender, &check)),
        text: String::new(),
        title: String::new(),
        body: None,
        url: check.html_url.unwrap_or_default(),
        at: check.completed_at.or(check.updated_at),
        head: Some(head),
        review_thread: None,
        from_fork,
        opened_by: None,
    };
    let app = check.app.and_then(|app| app.id);
    let mut meaning = written.asks(Asks::CheckFailed { check_run, name: name.unwrap_or_default(), app });
    if let Some(object) = &mut meaning.object {
        object.edited_at = DateTime::<Utc>::UNIX_EPOCH;
    }
    meaning
}

/// An App that tells of its own check asks for nothing; it is not the bot whose work was checked.
fn no_bot_of_its_own(mut sender: super::Account, check: &Check) -> super::Account {
    let own = check.app.as_ref().and_then(|app| app.slug.as_ref()).map(|slug| format!("{slug}[bot]"));
    if own.is_some() && own == sender.login {
        (sender.kind, sender.login) = (None, check.app.as_ref().and_then(|app| app.slug.clone()));
    }
    sender
}

//! Issues and the comments of conversations, those of pull requests included.

use super::super::payload::{Comment, Issue, Payload};
use super::written::{Adds, Written, edit, is_renamed};
use super::{INCOMPLETE, Meaning, nothing, performer, place};
use crate::intake::{Asks, Closed, Closing, Event, Trigger};

pub(super) fn commented(action: &str, payload: Payload, handle: &str) -> Meaning {
    let adds = match action {
        "created" => Adds::Everything,
        "edited" => edit(&payload.changes),
        "deleted" => Adds::Nothing,
        _ => return nothing("this action of a comment is not handled"),
    };
    let Some(place) = place(&payload) else { return nothing(INCOMPLETE) };
    let (Some(issue), Some(comment)) = (payload.issue, payload.comment) else { return nothing(INCOMPLETE) };
    let Comment { id: Some(id), body, html_url, user, created_at, updated_at, .. } = comment else {
        return nothing(INCOMPLETE);
    };
    let written = Written {
        place,
        trigger: Trigger::Comment(id),
        object: Some(format!("issue_comment:{id}")),
        by: payload.sender.or(user),
        text: body.unwrap_or_default(),
        title: issue.title.unwrap_or_default(),
        body: Some(issue.body.unwrap_or_default()),
        url: html_url.or(issue.html_url).unwrap_or_default(),
        at: updated_at.or(created_at),
        // The payload does not name the head of a pull request.
        head: None,
        review_thread: None,
        from_fork: false,
        opened_by: issue.user.and_then(|user| user.id),
    };
    if action == "deleted" { written.deleted() } else { written.request(&adds, handle) }
}

pub(super) fn issue(action: &str, payload: Payload, handle: &str) -> Meaning {
    let adds = match action {
        "opened" if payload.changes.as_ref().is_some_and(|c| c.old_issue.is_some()) => {
            return nothing("a transferred issue was answered where it was opened");
        }
        "opened" => Adds::Everything,
        "edited" => edit(&payload.changes),
        "labeled" => Adds::Nothing,
        "closed" => return closed(&payload, Closing::Closed),
        "deleted" => return closed(&payload, Closing::Deleted),
        "transferred" => return closed(&payload, Closing::Transferred { to: new_home(&payload) }),
        _ => return nothing("this action of an issue is not handled"),
    };
    let label = payload.label.as_ref().and_then(|label| label.name.clone());
    let is_renamed = action == "edited" && is_renamed(&payload.changes);
    let (Some(place), Some(issue)) = (place(&payload), payload.issue) else { return nothing(INCOMPLETE) };
    let Issue { id, title, body, html_url, user, created_at, updated_at, .. } = issue;
    let opened_by = user.as_ref().and_then(|user| user.id);
    let mut written = Written {
        place,
        trigger: Trigger::Body,
        object: id.map(|id| format!("issue:{id}")),
        by: payload.sender.or(user),
        text: body.unwrap_or_default(),
        title: title.unwrap_or_default(),
        body: None,
        url: html_url.unwrap_or_default(),
        // What is just opened may have been labelled within the same second.
        at: if action == "opened" { created_at.or(updated_at) } else { updated_at.or(created_at) },
        head: None,
        review_thread: None,
        from_fork: false,
        opened_by,
    };
    if action != "labeled" {
        let renamed = written.renamed().filter(|_| is_renamed);
        return written.request(&adds, handle).or_renamed(renamed);
    }
    let Some(name) = label else { return nothing(INCOMPLETE) };
    written.trigger = Trigger::Event;
    written.object = id.map(|id| format!("issue:{id}:label:{name}"));
    written.body = Some(std::mem::take(&mut written.text));
    written.asks(Asks::Label { name })
}

pub(super) fn closed(payload: &Payload, closing: Closing) -> Meaning {
    let Some(place) = place(payload) else { return nothing(INCOMPLETE) };
    let issue = payload.issue.as_ref().and_then(|issue| issue.updated_at);
    let at = issue.or(payload.pull_request.as_ref().and_then(|pull| pull.updated_at));
    Event::Closed(Closed { place, closing, by: performer(payload), at }).into()
}

/// Where a transferred issue lives now.
fn new_home(payload: &Payload) -> Option<String> {
    let changes = payload.changes.as_ref()?;
    let repository = changes.new_repository.as_ref()?.full_name.as_deref()?;
    Some(format!("{repository}#{}", changes.new_issue.as_ref()?.number?))
}

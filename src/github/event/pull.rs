//! Pull requests, their reviews and the comments in review threads.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::super::payload::{Comment, Payload, PullRequest, Review};
use super::conversation::closed;
use super::written::{Adds, Written, edit, is_renamed};
use super::{INCOMPLETE, Meaning, nothing, place};
use crate::intake::command::mentions;
use crate::intake::{Asks, Closing, Event, ReviewThread, Trigger};

/// A commit has no time of its own that can be trusted; its number says all.
const TIMELESS: DateTime<Utc> = DateTime::UNIX_EPOCH;

pub(super) fn pull_request(action: &str, payload: Payload, handle: &str) -> Meaning {
    if action == "closed" {
        return closed(&payload, Closing::Closed);
    }
    let adds = match action {
        "opened" => Adds::Everything,
        "edited" => edit(&payload.changes),
        "synchronize" | "reopened" | "ready_for_review" | "labeled" | "review_requested" => Adds::Nothing,
        _ => return nothing("this action of a pull request is not handled"),
    };
    let label = payload.label.as_ref().and_then(|label| label.name.clone());
    let reviewer = payload.requested_reviewer.as_ref().and_then(|account| account.login.clone());
    let is_renamed = is_renamed(&payload.changes);
    let Some(facts) = Facts::of(payload) else { return nothing(INCOMPLETE) };
    match action {
        // Who mentions us in the text of a new pull request says what is wanted.
        "opened" if mentions(facts.text(), handle) => facts.body(action).request(&adds, handle),
        "edited" => {
            let written = facts.body(action);
            let renamed = written.renamed().filter(|_| is_renamed);
            written.request(&adds, handle).or_renamed(renamed)
        }
        "opened" | "synchronize" | "reopened" | "ready_for_review" => pushed(facts),
        "labeled" => match label {
            Some(name) => facts.happened(&format!(":label:{name}")).asks(Asks::Label { name }),
            None => nothing(INCOMPLETE),
        },
        _ => match reviewer {
            Some(reviewer) => facts.happened(&format!(":reviewer:{reviewer}")).asks(Asks::ReviewRequest { reviewer }),
            None => nothing("a team was asked for a review"),
        },
    }
}

/// A commit is looked at by itself once, whatever tells of it first: opened, pushed to, ready, opened again.
fn pushed(facts: Facts) -> Meaning {
    if facts.pull.draft == Some(true) {
        return nothing("a draft is not looked at before it is ready");
    }
    if facts.pull.state.as_deref() == Some("closed") {
        return nothing("the pull request is closed");
    }
    let Some(head) = facts.head() else { return nothing(INCOMPLETE) };
    let mut meaning = facts.happened(&format!("@{head}")).asks(Asks::Pushed);
    if let Some(object) = &mut meaning.object {
        object.edited_at = TIMELESS;
    }
    meaning
}

pub(super) fn reviewed(action: &str, payload: Payload, handle: &str) -> Meaning {
    let adds = match action {
        "submitted" => Adds::Everything,
        "edited" => edit(&payload.changes),
        _ => return nothing("this action of a review is not handled"),
    };
    let mut payload = payload;
    let (Some(review), Some(facts)) = (payload.review.take(), Facts::of(payload)) else { return nothing(INCOMPLETE) };
    let Review { id: Some(id), body, html_url, user, submitted_at, updated_at, commit_id } = review else {
        return nothing(INCOMPLETE);
    };
    let text = body.unwrap_or_default();
    let mut written = facts.context();
    // Where the time of an edit is not said, the words tell one version from the other.
    written.object = Some(match (action, updated_at) {
        ("edited", None) => format!("review:{id}:{}", &hex::encode(Sha256::digest(&text))[..16]),
        _ => format!("review:{id}"),
    });
    written.trigger = Trigger::Review(id);
    written.by = written.by.or(user);
    written.text = text;
    written.url = html_url.unwrap_or(written.url);
    written.at = if action == "submitted" { submitted_at.or(updated_at) } else { updated_at.or(submitted_at) };
    written.head = written.head.or(commit_id);
    // An approval that is void must be found under the name it was made with.
    let mut meaning = written.request(&adds, handle);
    if let Event::Changed(changed) = &mut meaning.event {
        changed.object = format!("review:{id}");
    }
    meaning
}

pub(super) fn commented(action: &str, payload: Payload, handle: &str) -> Meaning {
    let adds = match action {
        "created" => Adds::Everything,
        "edited" => edit(&payload.changes),
        "deleted" => Adds::Nothing,
        _ => return nothing("this action of a review comment is not handled"),
    };
    let mut payload = payload;
    let (Some(comment), Some(facts)) = (payload.comment.take(), Facts::of(payload)) else { return nothing(INCOMPLETE) };
    let Comment { id: Some(id), body, html_url, user, created_at, updated_at, .. } = comment else {
        return nothing(INCOMPLETE);
    };
    let mut written = facts.context();
    written.trigger = Trigger::ReviewComment(id);
    written.object = Some(format!("review_comment:{id}"));
    written.by = written.by.or(user);
    written.text = body.unwrap_or_default();
    written.url = html_url.unwrap_or(written.url);
    written.at = updated_at.or(created_at);
    written.review_thread = Some(ReviewThread {
        root: comment.in_reply_to_id.unwrap_or(id),
        path: comment.path.unwrap_or_default(),
        line: comment.line,
        start_line: comment.start_line,
        is_old: comment.side.as_deref() == Some("LEFT"),
        diff_hunk: comment.diff_hunk.unwrap_or_default(),
    });
    if action == "deleted" { written.deleted() } else { written.request(&adds, handle) }
}

/// What the payload says about the pull request itself.
struct Facts {
    place: crate::intake::Place,
    pull: PullRequest,
    sender: Option<super::Account>,
    from_fork: bool,
}

impl Facts {
    fn of(payload: Payload) -> Option<Self> {
        let place = place(&payload)?;
        let pull = payload.pull_request?;
        let base = payload.repository?.id;
        // A fork that was deleted is somebody else's, too.
        let from_fork = pull.head.as_ref().is_some_and(|head| head.repo.as_ref().and_then(|repo| repo.id) != base);
        Some(Self { place, pull, sender: payload.sender, from_fork })
    }

    fn text(&self) -> &str {
        self.pull.body.as_deref().unwrap_or_default()
    }

    fn head(&self) -> Option<String> {
        self.pull.head.as_ref().and_then(|head| head.sha.clone())
    }

    fn object(&self) -> Option<String> {
        self.pull.id.map(|id| format!("pull:{id}"))
    }

    /// Everything but what was written, when, and by what name it is known.
    fn context(self) -> Written {
        let (head, opened_by) = (self.head(), self.pull.user.as_ref().and_then(|user| user.id));
        Written {
            place: self.place,
            trigger: Trigger::Event,
            object: None,
            by: self.sender,
            text: String::new(),
            title: self.pull.title.unwrap_or_default(),
            body: Some(self.pull.body.unwrap_or_default()),
            url: self.pull.html_url.unwrap_or_default(),
            at: self.pull.updated_at.or(self.pull.created_at),
            head,
            review_thread: None,
            from_fork: self.from_fork,
            opened_by,
        }
    }

    /// The text of the pull request.
    fn body(self, action: &str) -> Written {
        let (object, opened_at, user) = (self.object(), self.pull.created_at, self.pull.user.clone());
        let mut written = self.context();
        written.trigger = Trigger::Body;
        written.object = object;
        written.text = written.body.take().unwrap_or_default();
        written.by = written.by.or(user);
        if action == "opened" {
            written.at = opened_at.or(written.at);
        }
        written
    }

    /// Something that happened to it, told apart from others by `what`.
    fn happened(self, what: &str) -> Written {
        let object = self.object().map(|object| format!("{object}{what}"));
        Written { object, ..self.context() }
    }
}

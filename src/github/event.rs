//! From a verified webhook to the surface-neutral event. Pure: nothing is looked up.

mod account;
mod check;
mod conversation;
mod pull;
#[cfg(test)]
mod tests;
mod written;

use super::payload::{Account, Envelope, Payload};
use crate::intake::{Author, Delivery, Event, Inbound, ObjectVersion, Place, Renamed, Surface};

/// Why a body is not a webhook of ours. Answered 400.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// `X-GitHub-Event` is missing or not a name.
    #[error("the X-GitHub-Event header is missing or not an event name")]
    NoEvent,
    /// `X-GitHub-Delivery` is missing, or too long to be an id.
    #[error("the X-GitHub-Delivery header is missing or not an id")]
    NoDelivery,
    /// The body is not a JSON object. GitHub's content type `application/x-www-form-urlencoded` ends here, too.
    #[error("the body is not a JSON object; set the webhook's content type to application/json")]
    NotAnObject,
    /// A field we read has another type than GitHub gives it. Names the field, never its value.
    #[error("the field `{0}` has an unexpected type")]
    Field(String),
}

const LONGEST_ID: usize = 200;
const INCOMPLETE: &str = "the payload lacks what this event needs";

/// Translates a webhook whose signature was verified. `event` is `X-GitHub-Event`, `delivery` is `X-GitHub-Delivery`, `body` the
/// raw body, `handle` the mention without `@`.
///
/// The author of a request is who *performed* the action: somebody who edits a mention into another person's comment asks on
/// their own account. Titles are never read as requests. Only requests name their object, as it stood: the same text that comes
/// under another id, by another hook or from a list, is the same request; two texts of one review are two.
///
/// # Errors
/// Only for what is no webhook at all; an event we cannot use is [`Event::Nothing`] with the reason.
pub fn parse(event: &str, delivery: &str, body: &[u8], handle: &str) -> Result<Inbound, PayloadError> {
    if !is_name(event) {
        return Err(PayloadError::NoEvent);
    }
    if delivery.trim().is_empty() || delivery.len() > LONGEST_ID {
        return Err(PayloadError::NoDelivery);
    }
    let payload = if is_handled(event) { read(body)? } else { Payload::from(read::<Envelope>(body)?) };
    let action = payload.action.as_ref().and_then(|action| action.as_str()).unwrap_or_default().to_owned();
    let meaning = match event {
        "issue_comment" => conversation::commented(&action, payload, handle),
        "issues" => conversation::issue(&action, payload, handle),
        "pull_request" => pull::pull_request(&action, payload, handle),
        "pull_request_review" => pull::reviewed(&action, payload, handle),
        "pull_request_review_comment" => pull::commented(&action, payload, handle),
        "check_run" => check::ran(&action, payload),
        "check_suite" => check::suite(&action, payload),
        "installation" | "installation_repositories" => account::installation(&action, payload).into(),
        "repository" => account::repository(&action, payload).into(),
        "ping" => Event::Nothing("ping: the webhook is set up").into(),
        _ => Event::Nothing("this event is not handled").into(),
    };
    Ok(Inbound {
        delivery: Delivery {
            surface: Surface::Github,
            external_id: delivery.to_owned(),
            kind: if action.is_empty() { event.to_owned() } else { format!("{event}.{action}") },
            object: meaning.object,
            was_also: None,
        },
        event: meaning.event,
    })
}

/// What a payload means, and the second unique key of a request.
struct Meaning {
    event: Event,
    object: Option<ObjectVersion>,
}

impl From<Event> for Meaning {
    fn from(event: Event) -> Self {
        Self { event, object: None }
    }
}

impl Meaning {
    /// The new title of the conversation, where the edit means nothing else.
    fn or_renamed(self, renamed: Option<Renamed>) -> Self {
        match (&self.event, renamed) {
            (Event::Nothing(_), Some(renamed)) => Event::Renamed(renamed).into(),
            (_, _) => self,
        }
    }
}

fn nothing(why: &'static str) -> Meaning {
    Event::Nothing(why).into()
}

fn is_handled(event: &str) -> bool {
    !actions(event).is_empty()
}

/// False for what certainly means nothing to us, by the name in `X-GitHub-Event` and the payload's action.
pub fn handles(event: &str, action: Option<&str>) -> bool {
    let handled = actions(event);
    action.map_or(!handled.is_empty(), |action| handled.contains(&action))
}

/// The actions of an event that may mean something.
fn actions(event: &str) -> &'static [&'static str] {
    match event {
        "issue_comment" | "pull_request_review_comment" => &["created", "edited", "deleted"],
        "issues" => &["opened", "edited", "labeled", "closed", "deleted", "transferred"],
        "pull_request" => {
            &["opened", "edited", "synchronize", "reopened", "ready_for_review", "labeled", "review_requested", "closed"]
        }
        "pull_request_review" => &["submitted", "edited"],
        "check_run" | "check_suite" => &["completed"],
        "installation" => &["created", "deleted", "suspend", "unsuspend", "new_permissions_accepted"],
        "installation_repositories" => &["added", "removed"],
        "repository" => &["renamed", "transferred", "deleted"],
        _ => &[],
    }
}

fn is_name(event: &str) -> bool {
    !event.is_empty() && event.len() <= LONGEST_ID && event.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn read<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, PayloadError> {
    if body.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(PayloadError::NotAnObject);
    }
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body)).map_err(|e| match e.inner().classify() {
        serde_json::error::Category::Data => PayloadError::Field(e.path().to_string()),
        _ => PayloadError::NotAnObject,
    })
}

fn author(account: Account) -> Option<Author> {
    let login = account.login?;
    let is_bot = account.kind.as_deref() == Some("Bot") || login.ends_with("[bot]");
    Some(Author { id: account.id?, login, is_bot })
}

/// The login of who performed the action, as far as it is known.
fn performer(payload: &Payload) -> String {
    payload.sender.as_ref().and_then(|sender| sender.login.clone()).unwrap_or_else(|| "somebody".to_owned())
}

/// The conversation a payload speaks of, whether it names it as an issue or as a pull request.
fn place(payload: &Payload) -> Option<Place> {
    let (number, is_pull_request) = match (&payload.issue, &payload.pull_request) {
        (Some(issue), _) => (issue.number?, issue.pull_request.is_some()),
        (None, Some(pull)) => (pull.number?, true),
        (None, None) => return None,
    };
    numbered(payload, number, is_pull_request)
}

fn numbered(payload: &Payload, number: i64, is_pull_request: bool) -> Option<Place> {
    let repository = payload.repository.as_ref()?;
    Some(Place::Github {
        repository: repository.full_name.clone()?,
        repository_id: repository.id?,
        number,
        installation: payload.installation.as_ref().and_then(|i| i.id),
        is_pull_request,
    })
}

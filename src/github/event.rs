//! From a verified webhook to the surface-neutral event. Pure: nothing is looked up.

use chrono::{DateTime, Utc};

use super::MARKER;
use super::payload::{Account, Changes, Comment, Envelope, Issue, Payload};
use crate::intake::command::mentions;
use crate::intake::{Asks, Author, Delivery, Event, Inbound, Installation, ObjectVersion, Place, Request, Surface, Trigger};

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

/// Translates a webhook whose signature was verified. `event` is `X-GitHub-Event`, `delivery` is `X-GitHub-Delivery`, `body` the
/// raw body, `handle` the mention without `@`.
///
/// The author of a request is who *performed* the action: somebody who edits a mention into another person's comment asks on
/// their own account. The delivery names its object only when it is a request, because an issue's time of change does not move
/// within a second.
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
    let issue_id = payload.issue.as_ref().and_then(|issue| issue.id);
    let meaning = match event {
        "issue_comment" => commented(&action, payload, handle),
        "issues" => issue(&action, payload, handle),
        "installation" | "installation_repositories" => installation(&action, payload),
        "ping" => Event::Nothing("ping: the webhook is set up"),
        _ => Event::Nothing("this event is not handled"),
    };
    Ok(Inbound {
        delivery: Delivery {
            surface: Surface::Github,
            external_id: delivery.to_owned(),
            kind: if action.is_empty() { event.to_owned() } else { format!("{event}.{action}") },
            object: object(&meaning, issue_id),
        },
        event: meaning,
    })
}

fn is_handled(event: &str) -> bool {
    matches!(event, "issue_comment" | "issues" | "installation" | "installation_repositories")
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

/// The second unique key of a delivery; only requests need one.
fn object(event: &Event, issue_id: Option<i64>) -> Option<ObjectVersion> {
    let Event::Request(request) = event else { return None };
    let object = match request.trigger {
        Trigger::Comment(id) => format!("issue_comment:{id}"),
        Trigger::Body => format!("issue:{}", issue_id?),
        Trigger::Review(id) => format!("review:{id}"),
        Trigger::ReviewComment(id) => format!("review_comment:{id}"),
        Trigger::Event => return None,
    };
    Some(ObjectVersion { object, edited_at: request.written_at })
}

fn commented(action: &str, payload: Payload, handle: &str) -> Event {
    let adds = match action {
        "created" => Adds::Everything,
        "edited" => edit(&payload.changes),
        "deleted" => return Event::Nothing("a deleted comment asks for nothing"),
        _ => return Event::Nothing("this action of a comment is not handled"),
    };
    let Some(place) = place(&payload) else { return Event::Nothing(INCOMPLETE) };
    let (Some(issue), Some(comment)) = (payload.issue, payload.comment) else { return Event::Nothing(INCOMPLETE) };
    let Comment { id: Some(id), body, html_url, user, created_at, updated_at } = comment else {
        return Event::Nothing(INCOMPLETE);
    };
    let written = Written {
        place,
        trigger: Trigger::Comment(id),
        by: payload.sender.or(user),
        text: body.unwrap_or_default(),
        title: issue.title.unwrap_or_default(),
        body: Some(issue.body.unwrap_or_default()),
        url: html_url.or(issue.html_url).unwrap_or_default(),
        at: updated_at.or(created_at),
    };
    request(written, &adds, handle)
}

fn issue(action: &str, payload: Payload, handle: &str) -> Event {
    let adds = match action {
        "opened" if payload.changes.as_ref().is_some_and(|c| c.old_issue.is_some()) => {
            return Event::Nothing("a transferred issue was answered where it was opened");
        }
        "opened" => Adds::Everything,
        "edited" => edit(&payload.changes),
        "closed" => return place(&payload).map_or(Event::Nothing(INCOMPLETE), Event::Closed),
        _ => return Event::Nothing("this action of an issue is not handled"),
    };
    let (Some(place), Some(issue)) = (place(&payload), payload.issue) else { return Event::Nothing(INCOMPLETE) };
    let Issue { title, body, html_url, user, created_at, updated_at, .. } = issue;
    let written = Written {
        place,
        trigger: Trigger::Body,
        by: payload.sender.or(user),
        text: body.unwrap_or_default(),
        title: title.unwrap_or_default(),
        body: None,
        url: html_url.unwrap_or_default(),
        at: updated_at.or(created_at),
    };
    request(written, &adds, handle)
}

fn installation(action: &str, payload: Payload) -> Event {
    let gone = match action {
        "deleted" | "suspend" => true,
        "created" | "unsuspend" | "new_permissions_accepted" | "added" | "removed" => false,
        _ => return Event::Nothing("this action of an installation is not handled"),
    };
    let Some((id, account)) = payload.installation.and_then(|i| Some((i.id?, i.account))) else {
        return Event::Nothing(INCOMPLETE);
    };
    let account = account.and_then(|a| a.login.or(a.slug)).unwrap_or_default();
    Event::Installation(Installation { id, account, gone })
}

const INCOMPLETE: &str = "the payload lacks what this event needs";

/// Which part of the text is new, as far as mentions go.
enum Adds {
    Everything,
    /// The text was this before.
    Since(String),
    Nothing,
}

fn edit(changes: &Option<Changes>) -> Adds {
    match changes.as_ref().and_then(|c| c.body.as_ref()) {
        Some(was) => Adds::Since(was.from.clone().unwrap_or_default()),
        None => Adds::Nothing,
    }
}

/// Something a person wrote, before it is known to address us.
struct Written {
    place: Place,
    trigger: Trigger,
    by: Option<Account>,
    text: String,
    title: String,
    body: Option<String>,
    url: String,
    at: Option<DateTime<Utc>>,
}

fn request(written: Written, adds: &Adds, handle: &str) -> Event {
    if written.text.contains(MARKER) {
        return Event::Nothing("our own text never asks for anything");
    }
    if !mentions(&written.text, handle) {
        return Event::Nothing("nobody addressed us");
    }
    match adds {
        Adds::Everything => {}
        Adds::Since(before) if mentions(before, handle) => return Event::Nothing("the edit did not add the mention"),
        Adds::Since(_) => {}
        Adds::Nothing => return Event::Nothing("the edit did not change the text"),
    }
    let Some(author) = written.by.and_then(author) else { return Event::Nothing("the author's account is gone") };
    let Some(written_at) = written.at else { return Event::Nothing(INCOMPLETE) };
    let mut request = Request {
        place: written.place,
        trigger: written.trigger,
        author,
        text: written.text,
        title: written.title,
        body: written.body,
        url: written.url,
        written_at,
        asks: Asks::Words,
        head: None,
        review_thread: None,
    };
    request.make_storable();
    Event::Request(Box::new(request))
}

fn author(account: Account) -> Option<Author> {
    let login = account.login?;
    let is_bot = account.kind.as_deref() == Some("Bot") || login.ends_with("[bot]");
    Some(Author { id: account.id?, login, is_bot })
}

fn place(payload: &Payload) -> Option<Place> {
    let repository = payload.repository.as_ref()?;
    let issue = payload.issue.as_ref()?;
    Some(Place::Github {
        repository: repository.full_name.clone()?,
        repository_id: repository.id?,
        number: issue.number?,
        installation: payload.installation.as_ref().and_then(|i| i.id),
        is_pull_request: issue.pull_request.is_some(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn comment(action: &str, text: &str) -> Value {
        json!({
            "action": action,
            "issue": {"id": 9, "number": 7, "title": "It breaks", "body": "Here is how.", "updated_at": "2026-11-01T10:00:00Z", "surprise": [1]},
            "comment": {"id": 42, "body": text, "html_url": "https://example.org/c/42", "created_at": "2026-11-01T10:00:00Z",
                "updated_at": "2026-11-01T10:00:05Z", "user": {"id": 1, "login": "maya", "type": "User"}},
            "repository": {"id": 5, "full_name": "octo/hello"},
            "installation": {"id": 3},
            "sender": {"id": 1, "login": "maya", "type": "User"},
        })
    }

    fn opened(action: &str, text: &str) -> Value {
        json!({
            "action": action,
            "issue": {"id": 9, "number": 7, "title": "It breaks", "body": text, "html_url": "https://example.org/i/7",
                "created_at": "2026-11-01T10:00:00Z", "updated_at": "2026-11-01T10:00:00Z"},
            "repository": {"id": 5, "full_name": "octo/hello"},
            "sender": {"id": 1, "login": "maya", "type": "User"},
        })
    }

    fn inbound(event: &str, payload: &Value) -> Inbound {
        parse(event, "guid-1", payload.to_string().as_bytes(), "threadbox").unwrap()
    }

    fn requested(event: &str, payload: &Value) -> Request {
        match inbound(event, payload).event {
            Event::Request(request) => *request,
            other => panic!("not a request: {other:?}"),
        }
    }

    fn reason(event: &str, payload: &Value) -> &'static str {
        match inbound(event, payload).event {
            Event::Nothing(reason) => reason,
            other => panic!("not nothing: {other:?}"),
        }
    }

    #[test]
    fn a_new_comment_that_mentions_us_is_a_request() {
        let inbound = inbound("issue_comment", &comment("created", "@threadbox run this"));
        assert_eq!(inbound.delivery.kind, "issue_comment.created");
        let object = inbound.delivery.object.unwrap();
        assert_eq!(
            (object.object.as_str(), object.edited_at.to_rfc3339()),
            ("issue_comment:42", "2026-11-01T10:00:05+00:00".to_owned())
        );
        let Event::Request(request) = inbound.event else { panic!("not a request") };
        let place = Place::Github {
            repository: "octo/hello".into(),
            repository_id: 5,
            number: 7,
            installation: Some(3),
            is_pull_request: false,
        };
        let expected = Request {
            place,
            trigger: Trigger::Comment(42),
            author: Author { id: 1, login: "maya".into(), is_bot: false },
            text: "@threadbox run this".into(),
            title: "It breaks".into(),
            body: Some("Here is how.".into()),
            url: "https://example.org/c/42".into(),
            written_at: "2026-11-01T10:00:05Z".parse().unwrap(),
            asks: Asks::Words,
            head: None,
            review_thread: None,
        };
        assert_eq!(*request, expected);
    }

    #[test]
    fn a_comment_for_others_is_nothing() {
        assert_eq!(reason("issue_comment", &comment("created", "thanks @threadbox-x")), "nobody addressed us");
    }

    #[test]
    fn our_marker_never_triggers() {
        let text = "@threadbox <!-- threadbox:post=1 -->";
        assert_eq!(reason("issue_comment", &comment("created", text)), "our own text never asks for anything");
    }

    #[test]
    fn an_edit_counts_only_when_it_adds_the_mention() {
        let mut payload = comment("edited", "@threadbox now");
        payload["changes"] = json!({"body": {"from": "now"}});
        assert_eq!(requested("issue_comment", &payload).text, "@threadbox now");
        payload["changes"] = json!({"body": {"from": "@threadbox later"}});
        assert_eq!(reason("issue_comment", &payload), "the edit did not add the mention");
        payload["changes"] = json!({});
        assert_eq!(reason("issue_comment", &payload), "the edit did not change the text");
    }

    #[test]
    fn who_edits_a_mention_in_asks_on_their_own_account() {
        let mut payload = comment("edited", "@threadbox now");
        payload["changes"] = json!({"body": {"from": "now"}});
        payload["sender"] = json!({"id": 66, "login": "mallory", "type": "User"});
        assert_eq!(requested("issue_comment", &payload).author.login, "mallory");
    }

    #[test]
    fn issues_ask_when_opened_or_edited() {
        let inbound = inbound("issues", &opened("opened", "@threadbox help"));
        assert_eq!(inbound.delivery.object.unwrap().object, "issue:9");
        let request = requested("issues", &opened("opened", "@threadbox help"));
        assert_eq!((request.trigger, request.body), (Trigger::Body, None));
        let mut edited = opened("edited", "@threadbox help");
        edited["changes"] = json!({"body": {"from": null}});
        assert_eq!(requested("issues", &edited).text, "@threadbox help");
        edited["changes"] = json!({"title": {"from": "old"}});
        assert_eq!(reason("issues", &edited), "the edit did not change the text");
    }

    #[test]
    fn a_transferred_issue_does_not_ask_again() {
        let mut payload = opened("opened", "@threadbox help");
        payload["changes"] = json!({"old_issue": {"id": 1}});
        assert_eq!(reason("issues", &payload), "a transferred issue was answered where it was opened");
    }

    #[test]
    fn closing_ends_the_conversation() {
        let inbound = inbound("issues", &opened("closed", "whatever"));
        assert!(matches!(inbound.event, Event::Closed(Place::Github { number: 7, installation: None, .. })));
        assert_eq!(inbound.delivery.object, None);
    }

    #[test]
    fn bots_are_marked_by_type_and_by_name() {
        for account in [json!({"id": 2, "login": "ci", "type": "Bot"}), json!({"id": 2, "login": "ci[bot]"})] {
            let mut payload = comment("created", "@threadbox hi");
            payload["sender"] = account;
            assert!(requested("issue_comment", &payload).author.is_bot);
        }
    }

    #[test]
    fn a_deleted_account_is_tolerated() {
        let mut payload = comment("created", "@threadbox hi");
        payload["sender"] = Value::Null;
        payload["comment"]["user"] = Value::Null;
        assert_eq!(reason("issue_comment", &payload), "the author's account is gone");
    }

    #[test]
    fn a_comment_on_a_pull_request_says_so() {
        let mut payload = comment("created", "@threadbox hi");
        payload["issue"]["pull_request"] = json!({"url": "x"});
        assert!(matches!(requested("issue_comment", &payload).place, Place::Github { is_pull_request: true, .. }));
    }

    #[test]
    fn installations_come_and_go() {
        let gone = |action: &str| {
            let payload = json!({"action": action, "installation": {"id": 3, "account": {"login": "octo", "id": 8}, "created_at": 1525109898}});
            match inbound("installation", &payload).event {
                Event::Installation(installation) => installation.gone,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(["created", "deleted", "suspend", "unsuspend"].map(gone), [false, true, true, false]);
    }

    #[test]
    fn the_rest_is_nothing_with_a_reason() {
        assert_eq!(reason("ping", &json!({"zen": "Speak like a human."})), "ping: the webhook is set up");
        assert_eq!(reason("star", &json!({"action": "created"})), "this event is not handled");
        assert_eq!(reason("issue_comment", &comment("levitated", "@threadbox")), "this action of a comment is not handled");
        assert_eq!(reason("issue_comment", &json!({"action": "created"})), INCOMPLETE);
        assert_eq!(inbound("push", &json!({"action": 5})).delivery.kind, "push");
    }

    #[test]
    fn what_is_no_webhook_is_refused() {
        let refusal = |event, delivery, body: &str| parse(event, delivery, body.as_bytes(), "threadbox").unwrap_err();
        assert_eq!(refusal("", "d", "{}"), PayloadError::NoEvent);
        assert_eq!(refusal("ping", " ", "{}"), PayloadError::NoDelivery);
        for body in ["", "null", "[1]", "payload=%7B%7D", "{\"a\":"] {
            assert_eq!(refusal("ping", "d", body), PayloadError::NotAnObject, "{body}");
        }
        let wrong = r#"{"action":"created","issue":{"number":"seven"}}"#;
        assert_eq!(refusal("issue_comment", "d", wrong), PayloadError::Field("issue.number".into()));
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(event in "(issues|issue_comment|installation|ping|x)", body in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = parse(&event, "d", &body, "threadbox");
        }

        #[test]
        fn no_shape_makes_it_panic(action in "(created|edited|opened|closed|deleted|suspend)", text in ".{0,60}", id in proptest::num::i64::ANY) {
            for event in ["issues", "issue_comment", "installation"] {
                let payload = json!({"action": action, "comment": {"id": id, "body": text}, "issue": {"number": id, "body": text},
                    "repository": {"id": id, "full_name": text}, "installation": {"id": id}, "changes": {"body": {}}});
                let _ = parse(event, "d", payload.to_string().as_bytes(), "threadbox");
            }
        }
    }
}

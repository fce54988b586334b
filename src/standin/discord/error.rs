//! How this Discord says no: a status, a code of its own, a sentence, and for forms a tree of what is wrong where.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// A refusal without particulars: HTTP status, Discord's code, Discord's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(u16, u32, &'static str);

impl Code {
    pub const UNAUTHORIZED: Self = Self(401, 0, "401: Unauthorized");
    pub const NOT_FOUND: Self = Self(404, 0, "404: Not Found");
    pub const METHOD_NOT_ALLOWED: Self = Self(405, 0, "405: Method Not Allowed");
    pub const UNKNOWN_CHANNEL: Self = Self(404, 10003, "Unknown Channel");
    pub const UNKNOWN_GUILD: Self = Self(404, 10004, "Unknown Guild");
    pub const UNKNOWN_MEMBER: Self = Self(404, 10007, "Unknown Member");
    pub const UNKNOWN_MESSAGE: Self = Self(404, 10008, "Unknown Message");
    pub const UNKNOWN_USER: Self = Self(404, 10013, "Unknown User");
    pub const UNKNOWN_EMOJI: Self = Self(400, 10014, "Unknown Emoji");
    pub const UNKNOWN_WEBHOOK: Self = Self(404, 10015, "Unknown Webhook");
    pub const UNKNOWN_INTERACTION: Self = Self(404, 10062, "Unknown interaction");
    pub const UNKNOWN_COMMAND: Self = Self(404, 10063, "Unknown application command");
    pub const NOT_OUR_APPLICATION: Self = Self(403, 20012, "You are not authorized to perform this action on this application");
    pub const TOO_MANY_REACTIONS: Self = Self(400, 30010, "Maximum number of reactions reached (20)");
    pub const TOO_MANY_COMMANDS: Self = Self(400, 30032, "Maximum number of application commands reached (100)");
    pub const TOO_MANY_OLD_EDITS: Self =
        Self(429, 30046, "Maximum number of edits to messages older than 1 hour reached. Try again later");
    pub const TOO_LARGE: Self = Self(413, 40005, "Request entity too large");
    pub const ALREADY_ACKNOWLEDGED: Self = Self(400, 40060, "Interaction has already been acknowledged.");
    pub const TAG_REQUIRED: Self = Self(400, 40067, "A tag is required to create a forum post in this channel");
    pub const MISSING_ACCESS: Self = Self(403, 50001, "Missing Access");
    pub const DM_CHANNEL: Self = Self(400, 50003, "Cannot execute action on a DM channel");
    pub const NOT_YOURS: Self = Self(403, 50005, "Cannot edit a message authored by another user");
    pub const EMPTY_MESSAGE: Self = Self(400, 50006, "Cannot send an empty message");
    pub const CANNOT_WRITE_TO: Self = Self(403, 50007, "Cannot send messages to this user");
    pub const NOT_A_TEXT_CHANNEL: Self = Self(400, 50008, "Cannot send messages in a non-text channel");
    pub const MISSING_PERMISSIONS: Self = Self(403, 50013, "Missing Permissions");
    pub const BULK_COUNT: Self = Self(
        400,
        50016,
        "Provided too few or too many messages to delete. Must provide at least 2 and no more than 100 messages to delete.",
    );
    pub const SYSTEM_MESSAGE: Self = Self(403, 50021, "Cannot execute action on a system message");
    pub const WRONG_CHANNEL: Self = Self(400, 50024, "Cannot execute action on this channel type");
    pub const BAD_WEBHOOK_TOKEN: Self = Self(401, 50027, "Invalid Webhook Token");
    pub const BULK_TOO_OLD: Self = Self(400, 50034, "You can only bulk delete messages that are under 14 days old.");
    pub const THREAD_ARCHIVED: Self = Self(400, 50083, "Thread is archived");
    pub const BAD_JSON: Self = Self(400, 50109, "The request body contains invalid JSON.");
    pub const REPLY_NEEDS_HISTORY: Self = Self(400, 160002, "Cannot reply without permission to read message history");
    pub const THREAD_EXISTS: Self = Self(400, 160004, "A thread has already been created for this message");
    pub const THREAD_LOCKED: Self = Self(400, 160005, "This thread is locked");
}

/// An answer that is not a success.
#[derive(Debug)]
pub(super) struct Refuse {
    status: StatusCode,
    body: Box<Value>,
    headers: Vec<(&'static str, String)>,
}

impl Refuse {
    pub fn new(status: StatusCode, code: u32, message: &str) -> Self {
        Self { status, body: Box::new(json!({"code": code, "message": message})), headers: Vec::new() }
    }

    /// One thing wrong at one place of a form; places are separated by dots.
    pub fn form(place: &str, code: &str, message: impl Into<String>) -> Self {
        let mut problems = Problems::default();
        problems.add(place, code, message);
        problems.refuse()
    }

    /// The same refusal with another field in its body.
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.body[name] = value;
        self
    }

    /// The same refusal with a header.
    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

impl From<Code> for Refuse {
    fn from(Code(status, code, message): Code) -> Self {
        Self::new(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), code, message)
    }
}

impl std::fmt::Display for Refuse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Discord refuses with {}: {}", self.status.as_u16(), self.body)
    }
}

impl std::error::Error for Refuse {}

impl IntoResponse for Refuse {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(*self.body)).into_response();
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(&value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// What is wrong with a form, all of it, before it is refused.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<(String, String, String)>);

impl Problems {
    pub fn add(&mut self, place: &str, code: &str, message: impl Into<String>) {
        self.0.push((place.into(), code.into(), message.into()));
    }

    pub fn required(&mut self, place: &str) {
        self.add(place, "BASE_TYPE_REQUIRED", "This field is required");
    }

    pub fn too_long(&mut self, place: &str, most: usize) {
        self.add(place, "BASE_TYPE_MAX_LENGTH", format!("Must be {most} or fewer in length."));
    }

    pub fn length(&mut self, place: &str, least: usize, most: usize) {
        self.add(place, "BASE_TYPE_BAD_LENGTH", format!("Must be between {least} and {most} in length."));
    }

    pub fn choice(&mut self, place: &str, choices: &str) {
        self.add(place, "BASE_TYPE_CHOICES", format!("Value must be one of {choices}."));
    }

    pub fn finish(self) -> Result<(), Refuse> {
        if self.0.is_empty() { Ok(()) } else { Err(self.refuse()) }
    }

    fn refuse(self) -> Refuse {
        let mut tree = Value::Object(Map::new());
        for (place, code, message) in self.0 {
            let mut at = &mut tree;
            for step in place.split('.').filter(|step| !step.is_empty()) {
                at = &mut at[step];
            }
            let error = json!({"code": code, "message": message});
            match at["_errors"].as_array_mut() {
                Some(errors) => errors.push(error),
                None => at["_errors"] = json!([error]),
            }
        }
        Refuse::new(StatusCode::BAD_REQUEST, 50035, "Invalid Form Body").with("errors", tree)
    }
}

#[cfg(test)]
impl Refuse {
    /// Discord's number for it.
    pub fn code(&self) -> u64 {
        self.body["code"].as_u64().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_wrong_with_a_form_is_a_tree() {
        let mut problems = Problems::default();
        problems.too_long("content", 2000);
        problems.required("embeds.0.fields.1.name");
        let refuse = problems.finish().unwrap_err();
        let wrong = |code: &str, message: &str| json!({"_errors": [{"code": code, "message": message}]});
        let name = wrong("BASE_TYPE_REQUIRED", "This field is required");
        let errors = json!({"content": wrong("BASE_TYPE_MAX_LENGTH", "Must be 2000 or fewer in length."),
            "embeds": {"0": {"fields": {"1": {"name": name}}}}});
        assert_eq!(*refuse.body, json!({"code": 50035, "message": "Invalid Form Body", "errors": errors}));
    }
}

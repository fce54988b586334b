//! What can go wrong at Daytona: three shapes of errors become one, classified by what to do next.

use std::time::Duration;

use serde::Deserialize;

/// Longest message that is kept of an error.
const LONGEST: usize = 2000;

/// An answer that is not a success, or none at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What it means.
    pub kind: ErrorKind,
    /// The status, when there was an answer.
    pub status: Option<u16>,
    /// Code of the error where the server gave one, such as `FILE_NOT_FOUND`.
    pub code: Option<String>,
    /// What the server said, or what happened. Never empty.
    pub message: String,
}

/// What an error means, and so what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The credential is wrong, expired or was just refused (401).
    BadKey,
    /// The credential may not do this, or the organisation is suspended (403).
    Forbidden,
    /// There is no such thing (404 from one who knows). From the control plane: the sandbox is gone. From a toolbox: the file, session or
    /// command is not there.
    NotFound,
    /// The server does not know the call: an older version, or a wrong address.
    RouteMissing,
    /// The organisation has used up what it may use. Passes when something else is deleted.
    Quota,
    /// The snapshot does not exist, is not active, or is not in this region.
    SnapshotMissing,
    /// The region does not exist or may not be used.
    Region,
    /// Another change of the sandbox is going on: wait, look again, decide again.
    InProgress,
    /// Another sandbox has this name.
    NameTaken,
    /// The sandbox is in an error state: recover or replace it.
    Errored,
    /// The sandbox does not answer: it is stopped, archived, restarting or its daemon is dead. Look at its state.
    SandboxUnavailable,
    /// A command took longer than it was given (408); what it printed is lost.
    CommandTimeout,
    /// Too many requests, and waiting as long as we may did not help.
    RateLimited {
        /// When to try again, where the server said so.
        after: Option<Duration>,
    },
    /// It exists already (409 of a toolbox).
    Conflict,
    /// A session or command has ended (410).
    Ended,
    /// This kind of sandbox cannot do this (422).
    Unsupported,
    /// The request is wrong in itself.
    Invalid,
    /// Daytona has a problem of its own.
    Server,
    /// It provably never arrived: no connection.
    Unreachable,
    /// It was sent and no whole answer came: whether it was done is not known.
    Lost,
    /// An answer that cannot be understood.
    Unreadable,
}

/// Which of the two servers answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    Control,
    Toolbox,
}

/// All fields any of the shapes has.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shape {
    message: Option<Text>,
    error: Option<Text>,
    errors: Option<Text>,
    code: Option<Text>,
    error_code: Option<Text>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    One(String),
    Many(Vec<String>),
    Other(serde_json::Value),
}

impl Text {
    fn into_string(self) -> Option<String> {
        let text = match self {
            Self::One(text) => text,
            Self::Many(texts) => texts.join("; "),
            Self::Other(serde_json::Value::Null) => return None,
            Self::Other(value) => value.to_string(),
        };
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

impl ApiError {
    /// An error that no server sent.
    pub(super) fn own(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, status: None, code: None, message: message.into() }
    }

    /// Understands an answer that is not a success. `after` is what its headers say about trying again.
    pub(super) fn from_answer(speaker: Speaker, status: u16, after: Option<Duration>, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let parsed: Option<Shape> = serde_json::from_slice(body).ok();
        let is_json = parsed.is_some();
        let shape = parsed.unwrap_or_default();
        let code = [shape.code, shape.error_code].into_iter().flatten().find_map(Text::into_string);
        let said = [shape.message, shape.error, shape.errors].into_iter().flatten().find_map(Text::into_string);
        let raw = || (!is_json && !text.trim().is_empty() && !looks_like_html(&text)).then(|| text.trim().to_owned());
        let message = said.or_else(raw).unwrap_or_else(|| status_line(status));
        let message = if message.chars().count() > LONGEST { message.chars().take(LONGEST).collect() } else { message };
        let answer = Answer { speaker, status, after, is_json, is_empty: text.trim().is_empty(), code: code.as_deref() };
        let kind = answer.kind(&message.to_lowercase());
        Self { kind, status: Some(status), code, message }
    }
}

/// An HTML page of some proxy on the way says nothing to people.
fn looks_like_html(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

fn status_line(status: u16) -> String {
    let reason = reqwest::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("unknown");
    format!("HTTP {status} {reason}")
}

struct Answer<'a> {
    speaker: Speaker,
    status: u16,
    after: Option<Duration>,
    is_json: bool,
    is_empty: bool,
    code: Option<&'a str>,
}

impl Answer<'_> {
    fn kind(&self, message: &str) -> ErrorKind {
        if self.is_about_git() {
            return ErrorKind::Invalid;
        }
        // "No IP address found" comes with 400, a container that is not on the runner with 404.
        let unavailable = ["no ip address found", "container not found", "is the sandbox started"];
        if matches!(self.status, 400 | 404) && says(message, &unavailable) {
            return ErrorKind::SandboxUnavailable;
        }
        // What a toolbox says may quote a path, which may say anything.
        let worded = if self.speaker == Speaker::Control { self.by_words(message) } else { None };
        worded.unwrap_or_else(|| self.by_status(message))
    }

    /// The control plane says with 400 what other servers have statuses for.
    fn by_words(&self, message: &str) -> Option<ErrorKind> {
        let busy = ["in progress", "modified by another operation", "not in valid state", "state is changing"];
        match self.status {
            400 | 402 | 403 if says(message, &["limit exceeded", "quota", "maximum allowed"]) => Some(ErrorKind::Quota),
            400 | 404 if says_snapshot(message) => Some(ErrorKind::SnapshotMissing),
            400 | 403 | 404 if says_region(message) => Some(ErrorKind::Region),
            400 | 409 if says(message, &busy) => Some(ErrorKind::InProgress),
            400 | 409 if says(message, &["errored state", "error state"]) => Some(ErrorKind::Errored),
            400 if says(message, &["no available runner", "no runner"]) => Some(ErrorKind::Server),
            _ => None,
        }
    }

    fn by_status(&self, message: &str) -> ErrorKind {
        match self.status {
            401 => ErrorKind::BadKey,
            402 | 403 => ErrorKind::Forbidden,
            404 => self.not_found(message),
            408 => ErrorKind::CommandTimeout,
            409 => self.conflict(message),
            410 => ErrorKind::Ended,
            422 => ErrorKind::Unsupported,
            429 => ErrorKind::RateLimited { after: self.after },
            502..=504 if self.speaker == Speaker::Toolbox => ErrorKind::SandboxUnavailable,
            500.. => ErrorKind::Server,
            _ => ErrorKind::Invalid,
        }
    }

    /// Their 401 and 502 are about a remote repository, not about our key or the sandbox.
    fn is_about_git(&self) -> bool {
        self.code.is_some_and(|code| code.starts_with("GIT_"))
    }

    /// Only somebody who knows says that something is gone: a proxy on the way, an old server or a wrong address does not.
    fn not_found(&self, message: &str) -> ErrorKind {
        let unknown_route = self.is_json && message.starts_with("cannot ") && message.contains(" /");
        let knows = match self.speaker {
            Speaker::Control => self.is_json && !unknown_route,
            // Old daemons answer a missing file with nothing at all, and an unknown call with text.
            Speaker::Toolbox => self.is_empty || (self.is_json && !unknown_route),
        };
        if knows { ErrorKind::NotFound } else { ErrorKind::RouteMissing }
    }

    fn conflict(&self, message: &str) -> ErrorKind {
        match self.speaker {
            Speaker::Toolbox => ErrorKind::Conflict,
            Speaker::Control if says(message, &["already exists", "already taken", "already in use", "name"]) => {
                ErrorKind::NameTaken
            }
            Speaker::Control => ErrorKind::InProgress,
        }
    }
}

fn says(message: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| message.contains(phrase))
}

fn says_snapshot(message: &str) -> bool {
    message.contains("snapshot")
        && says(message, &["not found", "not active", "not available", "no default", "does not exist", "inactive"])
}

fn says_region(message: &str) -> bool {
    says(message, &["region", "target"])
        && says(message, &["not found", "not available", "not allowed", "no default", "does not exist", "invalid"])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn control(status: u16, message: &str) -> ApiError {
        let body = serde_json::json!({
            "path": "/api/sandbox", "timestamp": "2026-01-01T00:00:00Z", "statusCode": status, "error": "Bad Request", "message": message
        });
        ApiError::from_answer(Speaker::Control, status, None, body.to_string().as_bytes())
    }

    fn toolbox(status: u16, body: &str) -> ApiError {
        ApiError::from_answer(Speaker::Toolbox, status, None, body.as_bytes())
    }

    #[test]
    fn the_control_plane_is_understood_by_status_and_words() {
        use ErrorKind::{
            BadKey, Errored, Forbidden, InProgress, Invalid, NameTaken, NotFound, Quota, Region, RouteMissing,
            SandboxUnavailable, Server, SnapshotMissing, Unsupported,
        };
        for (status, message, kind) in [
            (400, "Total CPU limit exceeded. Maximum allowed: 10.\nConsider archiving", Quota),
            (403, "Total memory limit exceeded. Maximum allowed: 10.", Quota),
            (400, "Snapshot dev not found. Did you add it through the dashboard?", SnapshotMissing),
            (400, "Snapshot dev is not active", SnapshotMissing),
            (400, "Snapshot dev is not available in region eu", SnapshotMissing),
            (400, "Region mars not found", Region),
            (403, "Region eu is not available to the organization", Region),
            (409, "Sandbox state change in progress", InProgress),
            (400, "Sandbox state change in progress", InProgress),
            (409, "Sandbox was modified by another operation", InProgress),
            (409, "Sandbox with name thread-7 already exists", NameTaken),
            (400, "Sandbox is in an errored state", Errored),
            (400, "No available runners", Server),
            (400, "no IP address found. Is the Sandbox started?", SandboxUnavailable),
            (400, "name must be a string", Invalid),
            (401, "Invalid credentials", BadKey),
            (403, "Forbidden resource", Forbidden),
            (404, "Sandbox with ID or name thread-7 not found", NotFound),
            (404, "Cannot GET /sandbox/thread-7", RouteMissing),
            (422, "Sandbox class does not support pausing", Unsupported),
            (500, "Internal server error", Server),
            (503, "Service is in maintenance mode", Server),
        ] {
            assert_eq!(control(status, message).kind, kind, "{status} {message}");
        }
    }

    #[test]
    fn a_toolbox_is_understood_in_all_its_shapes() {
        use ErrorKind::{
            CommandTimeout, Conflict, Ended, Forbidden, Invalid, NotFound, RouteMissing, SandboxUnavailable, Server,
        };
        for (status, body, kind, message) in [
            (502, "", SandboxUnavailable, "HTTP 502 Bad Gateway"),
            (502, "<html><body>502</body></html>", SandboxUnavailable, "HTTP 502 Bad Gateway"),
            (400, r#"{"statusCode":400,"message":"no IP address found. Is the Sandbox started?"}"#, SandboxUnavailable, ""),
            (404, r#"{"message":"sandbox container not found","source":"DAYTONA_PROXY"}"#, SandboxUnavailable, ""),
            (404, "", NotFound, "HTTP 404 Not Found"),
            (404, r#"{"message":"no such file region.txt","code":"FILE_NOT_FOUND"}"#, NotFound, "no such file region.txt"),
            (404, "404 page not found", RouteMissing, "404 page not found"),
            (408, r#"{"message":"command timed out","code":"PROCESS_EXECUTION_TIMEOUT"}"#, CommandTimeout, "command timed out"),
            (409, r#"{"error":"session already exists"}"#, Conflict, "session already exists"),
            (410, r#"{"code":"SESSION_ENDED","message":"session ended"}"#, Ended, "session ended"),
            (403, r#"{"code":"FILE_ACCESS_DENIED","message":"permission denied"}"#, Forbidden, "permission denied"),
            (400, r#"{"errors":["a: is a directory","b: no space"],"files":null}"#, Invalid, "a: is a directory; b: no space"),
            (401, r#"{"code":"GIT_AUTH_FAILED","message":"remote says no"}"#, Invalid, "remote says no"),
            (500, r#"{"message":"Snapshot quota in progress"}"#, Server, "Snapshot quota in progress"),
        ] {
            let error = toolbox(status, body);
            assert_eq!(error.kind, kind, "{status} {body}");
            assert!(message.is_empty() || error.message == message, "{error}");
        }
        assert_eq!(toolbox(404, r#"{"message":"x","error_code":"FILE_NOT_FOUND"}"#).code.as_deref(), Some("FILE_NOT_FOUND"));
    }

    #[test]
    fn a_proxy_on_the_way_does_not_say_that_a_sandbox_is_gone() {
        for body in ["", "404 page not found", "<html>nothing here</html>"] {
            assert_eq!(ApiError::from_answer(Speaker::Control, 404, None, body.as_bytes()).kind, ErrorKind::RouteMissing);
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let error = control(400, &"ä".repeat(5000));
        assert_eq!(error.message.chars().count(), LONGEST);
    }
}

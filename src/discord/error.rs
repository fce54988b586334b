//! What can go wrong with a call to Discord, in terms of what the caller does next.

use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::client::Effect;

/// Discord's numbers for what is wrong, as far as somebody decides by them.
pub mod code {
    /// There is no such channel, or it was deleted.
    pub const UNKNOWN_CHANNEL: u32 = 10_003;
    /// There is no such guild, or we are not in it.
    pub const UNKNOWN_GUILD: u32 = 10_004;
    /// The message was deleted.
    pub const UNKNOWN_MESSAGE: u32 = 10_008;
    /// The interaction is older than three seconds without an answer, or was answered.
    pub const UNKNOWN_INTERACTION: u32 = 10_062;
    /// A message older than an hour was edited too often.
    pub const TOO_MANY_OLD_EDITS: u32 = 30_046;
    /// Twenty reactions are there already.
    pub const TOO_MANY_REACTIONS: u32 = 30_010;
    /// A file is larger than the guild's tier allows.
    pub const TOO_LARGE: u32 = 40_005;
    /// The interaction has its first answer already.
    pub const ALREADY_ACKNOWLEDGED: u32 = 40_060;
    /// We cannot see the channel.
    pub const MISSING_ACCESS: u32 = 50_001;
    /// A message without anything in it.
    pub const EMPTY_MESSAGE: u32 = 50_006;
    /// The person takes no direct messages from us.
    pub const CANNOT_WRITE_TO: u32 = 50_007;
    /// We see the channel but may not do that.
    pub const MISSING_PERMISSIONS: u32 = 50_013;
    /// A channel of this kind cannot have that.
    pub const WRONG_CHANNEL: u32 = 50_024;
    /// A form with something wrong in it.
    pub const INVALID_FORM: u32 = 50_035;
    /// The thread is archived.
    pub const THREAD_ARCHIVED: u32 = 50_083;
    /// Replying needs the permission to read history.
    pub const REPLY_NEEDS_HISTORY: u32 = 160_002;
    /// The message has its thread already.
    pub const THREAD_EXISTS: u32 = 160_004;
    /// The thread is locked, and we are no moderator.
    pub const THREAD_LOCKED: u32 = 160_005;
    /// The guild has as many active threads as it may.
    pub const TOO_MANY_THREADS: u32 = 160_006;
}

/// Why a call did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscordError {
    /// Not done; come back at `until`.
    #[error("Discord's rate limit is reached until {until}")]
    RateLimited {
        /// When the call is possible again.
        until: DateTime<Utc>,
    },
    /// Discord cannot be reached or does not answer; try again later.
    #[error("Discord is not available: {cause}")]
    Unavailable {
        /// True when a call with an effect was sent and its outcome is unknown: look before it is sent again. A message with a nonce
        /// may simply be sent again within minutes.
        maybe_done: bool,
        /// For the log; holds no secret.
        cause: String,
    },
    /// The token is wrong or was replaced: nothing works until a person changes it. Final.
    #[error(
        "Discord refuses the bot's token. Copy a new one from the Bot page of the application into DISCORD_TOKEN and start again"
    )]
    Unauthorized,
    /// What was addressed does not exist (any more). Final.
    #[error("Discord does not know it ({code})")]
    NotFound {
        /// Discord's number; see [`code`].
        code: u32,
    },
    /// We lack a permission or access. Final until a person changes it.
    #[error("Discord refuses: {what} ({code})")]
    Forbidden {
        /// Discord's number; see [`code`].
        code: u32,
        /// Discord's words and what a person can do.
        what: String,
    },
    /// Discord understood and refused, or answered something that makes no sense. Final: the same call fails again.
    #[error("Discord rejected the call: {why} ({code})")]
    Invalid {
        /// Discord's number; see [`code`]. 0 when there is none.
        code: u32,
        /// Discord's words, cut.
        why: String,
    },
}

const LATE: &str = "no answer in time";

impl DiscordError {
    /// True when the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unavailable { .. } => true,
            Self::Unauthorized | Self::NotFound { .. } | Self::Forbidden { .. } | Self::Invalid { .. } => false,
        }
    }

    /// True when a call with an effect may have been performed although it failed.
    pub fn maybe_done(&self) -> bool {
        matches!(self, Self::Unavailable { maybe_done: true, .. })
    }

    /// True when there was no answer in time.
    pub fn is_late(&self) -> bool {
        matches!(self, Self::Unavailable { cause, .. } if cause == LATE)
    }

    pub(crate) fn late(maybe_done: bool) -> Self {
        Self::Unavailable { maybe_done, cause: LATE.to_owned() }
    }

    /// Discord's number for it, if it gave one.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::NotFound { code } | Self::Forbidden { code, .. } | Self::Invalid { code, .. } => Some(*code),
            Self::RateLimited { .. } | Self::Unavailable { .. } | Self::Unauthorized => None,
        }
    }

    pub(super) fn unavailable(effect: Effect, cause: impl Into<String>) -> Self {
        Self::Unavailable { maybe_done: effect.changes(), cause: cause.into() }
    }

    /// Nothing was sent.
    pub(super) fn unreachable(cause: impl Into<String>) -> Self {
        Self::Unavailable { maybe_done: false, cause: cause.into() }
    }

    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid { code: 0, why: why.into() }
    }

    /// The meaning of an answer that is neither a success nor a limit.
    pub(super) fn from_answer(status: StatusCode, body: &[u8], effect: Effect) -> Self {
        let refusal = Refusal::read(body);
        match status {
            StatusCode::UNAUTHORIZED if refusal.code == 0 => Self::Unauthorized,
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
                Self::Forbidden { code: refusal.code, what: format!("{}. {}", refusal.message(), remedy(refusal.code)) }
            }
            StatusCode::NOT_FOUND => Self::NotFound { code: refusal.code },
            StatusCode::PAYLOAD_TOO_LARGE => Self::Invalid { code: code::TOO_LARGE, why: "a file is too large".into() },
            status if status.is_server_error() => Self::unavailable(effect, format!("HTTP {}", status.as_u16())),
            status => Self::Invalid { code: refusal.code, why: format!("HTTP {}: {}", status.as_u16(), refusal.message()) },
        }
    }
}

fn remedy(code: u32) -> &'static str {
    match code {
        code::MISSING_ACCESS => "Give the bot's role `View Channel` there",
        code::CANNOT_WRITE_TO => "They have to allow direct messages from members of a server they share with the bot",
        _ => "`threadbox doctor` says which permission the bot lacks where",
    }
}

/// What Discord says with an answer that is not a success.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub code: u32,
    #[serde(default)]
    message: String,
    errors: Option<Value>,
    /// Seconds to wait, with a limit.
    pub retry_after: Option<f64>,
    /// Whether a limit is on everything.
    #[serde(default)]
    pub global: bool,
}

const LONGEST_MESSAGE: usize = 500;

impl Refusal {
    pub fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&body[..body.len().min(LONGEST_MESSAGE)]).trim().to_owned();
            Self { message: text, ..Self::default() }
        })
    }

    /// Discord's own words, cut, with the places of a form that are wrong.
    fn message(&self) -> String {
        let mut text = self.message.trim_end_matches('.').to_owned();
        if let Some(errors) = &self.errors {
            let mut wrong = Vec::new();
            gather(errors, &mut Vec::new(), &mut wrong);
            text = format!("{text}: {}", wrong.join("; "));
        }
        text.chars().take(LONGEST_MESSAGE).collect()
    }
}

/// No form of ours has more places.
const DEEPEST: usize = 12;

/// `embeds.0.title: Must be 256 or fewer in length.` for each place that has errors.
fn gather(tree: &Value, path: &mut Vec<String>, wrong: &mut Vec<String>) {
    for (name, below) in tree.as_object().into_iter().flatten() {
        if name == "_errors" {
            let messages = below.as_array().into_iter().flatten().filter_map(|error| error["message"].as_str());
            wrong.extend(messages.map(|message| format!("{}: {message}", path.join("."))));
        } else if path.len() < DEEPEST {
            path.push(name.clone());
            gather(below, path, wrong);
            path.pop();
        }
    }
}

/// Without a hint, or with an impossible one, this long is waited.
const DEFAULT_PAUSE: TimeDelta = TimeDelta::seconds(5);
/// No limit of Discord's lasts longer; a wilder hint is not believed.
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(1);

/// Whose limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Ours, on one route.
    Route,
    /// Everybody's together on one thing.
    Shared,
    /// Ours, on everything; also the ban of whoever was refused too often.
    Global,
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limited {
    pub scope: Scope,
    pub until: DateTime<Utc>,
}

impl Limited {
    /// What an answer with 429 says; none for other answers, and for the limit on editing old messages, which is no limit on the route.
    pub fn read(status: StatusCode, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Option<Self> {
        let refusal = Refusal::read(body);
        if status != StatusCode::TOO_MANY_REQUESTS || refusal.code == code::TOO_MANY_OLD_EDITS {
            return None;
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let seconds = refusal.retry_after.or_else(|| text("retry-after")?.parse().ok());
        let scope = match text("x-ratelimit-scope") {
            Some("shared") => Scope::Shared,
            Some("global") => Scope::Global,
            Some(_) if !refusal.global => Scope::Route,
            // What stands before Discord names no scope.
            Some(_) | None => Scope::Global,
        };
        Some(Self { scope, until: now + pause(seconds) })
    }
}

/// Seconds as they are announced, rounded up to a millisecond.
pub(super) fn pause(seconds: Option<f64>) -> TimeDelta {
    let Some(seconds) = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0) else { return DEFAULT_PAUSE };
    let longest = LONGEST_PAUSE.num_milliseconds();
    // In range: not negative, and cut before the conversion.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    let milliseconds = (seconds * 1000.0).ceil().min(longest as f64) as i64;
    TimeDelta::milliseconds(milliseconds.max(1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-01T10:00:00Z".parse().unwrap()
    }

    fn limited(headers: &[(&'static str, &str)], body: &str) -> Option<(Scope, i64)> {
        let headers = headers.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect::<HeaderMap>();
        let limited = Limited::read(StatusCode::TOO_MANY_REQUESTS, &headers, body.as_bytes(), now())?;
        Some((limited.scope, (limited.until - now()).num_milliseconds()))
    }

    fn meaning(status: u16, body: &str) -> DiscordError {
        DiscordError::from_answer(StatusCode::from_u16(status).unwrap(), body.as_bytes(), Effect::Create)
    }

    #[test]
    fn limits_of_every_kind_are_recognised() {
        let scope = |scope| ("x-ratelimit-scope", scope);
        assert_eq!(limited(&[scope("user")], r#"{"retry_after": 0.4301}"#), Some((Scope::Route, 431)));
        assert_eq!(limited(&[scope("shared")], r#"{"retry_after": 2}"#), Some((Scope::Shared, 2_000)));
        assert_eq!(limited(&[scope("global")], r#"{"retry_after": 1.0, "global": true}"#), Some((Scope::Global, 1_000)));
        assert_eq!(limited(&[("retry-after", "600")], "error code: 1015"), Some((Scope::Global, 600_000)));
        assert_eq!(limited(&[scope("user")], "{}"), Some((Scope::Route, 5_000)));
        assert_eq!(limited(&[scope("user")], r#"{"retry_after": 1e300}"#), Some((Scope::Route, 3_600_000)));
        assert_eq!(limited(&[scope("user")], r#"{"retry_after": -3}"#), Some((Scope::Route, 5_000)));
        assert_eq!(limited(&[scope("user")], r#"{"code": 30046, "retry_after": 900}"#), None);
    }

    #[test]
    fn answers_are_final_or_transient() {
        assert_eq!(meaning(401, r#"{"code": 0, "message": "401: Unauthorized"}"#), DiscordError::Unauthorized);
        assert_eq!(meaning(404, r#"{"code": 10008}"#), DiscordError::NotFound { code: code::UNKNOWN_MESSAGE });
        assert!(meaning(502, "<html>").maybe_done());
        assert_eq!(meaning(413, "").code(), Some(code::TOO_LARGE));
        assert_eq!(meaning(429, r#"{"code": 30046, "message": "Too many"}"#).code(), Some(code::TOO_MANY_OLD_EDITS));
        assert!(!meaning(400, "").is_transient());
    }

    #[test]
    fn what_is_wrong_with_a_form_is_named_with_its_place() {
        let body = r#"{"code": 50035, "message": "Invalid Form Body", "errors": {"content": {"_errors": [{"message": "Must be 2000 or fewer in length."}]},
            "embeds": {"0": {"title": {"_errors": [{"message": "This field is required"}]}}}}}"#;
        insta::assert_snapshot!(meaning(400, body), @"Discord rejected the call: HTTP 400: Invalid Form Body: content: Must be 2000 or fewer in length.; embeds.0.title: This field is required (50035)");
        insta::assert_snapshot!(meaning(403, r#"{"code": 50013, "message": "Missing Permissions"}"#), @"Discord refuses: Missing Permissions. `threadbox doctor` says which permission the bot lacks where (50013)");
    }
}

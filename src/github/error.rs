//! What can go wrong with a call to GitHub, in terms of what the caller does next.

use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::client::Effect;

/// Why a call did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GithubError {
    /// Not done; come back at `until`. No earlier call of this installation will be sent.
    #[error("GitHub's rate limit is reached until {until}")]
    RateLimited {
        /// When calls are possible again.
        until: DateTime<Utc>,
    },
    /// GitHub cannot be reached or does not answer; try again later.
    #[error("GitHub is not available: {cause}")]
    Unavailable {
        /// True when a call with an effect was sent and its outcome is unknown: look before it is sent again.
        maybe_done: bool,
        /// For the log; holds no secret.
        cause: String,
    },
    /// What was addressed does not exist, or we may not see it. Final.
    #[error("GitHub does not know it, or we may not see it")]
    NotFound,
    /// We lack a permission. Final until a person changes it.
    #[error("GitHub refuses: {missing} is missing. {remedy}")]
    Forbidden {
        /// What is missing.
        missing: String,
        /// What a person can do.
        remedy: String,
    },
    /// The installation was removed or suspended, or no longer covers the repository: nobody can be told on GitHub. Final.
    #[error("the GitHub App is no longer installed here: {0}")]
    Gone(String),
    /// GitHub understood and refused, or answered something that makes no sense. Final: the same call fails again.
    #[error("GitHub rejected the call: {0}")]
    Invalid(String),
}

impl GithubError {
    /// True when the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unavailable { .. } => true,
            Self::NotFound | Self::Forbidden { .. } | Self::Gone(_) | Self::Invalid(_) => false,
        }
    }

    /// True when a call with an effect may have been performed although it failed.
    pub fn maybe_done(&self) -> bool {
        matches!(self, Self::Unavailable { maybe_done: true, .. })
    }

    pub(super) fn unavailable(effect: Effect, cause: impl Into<String>) -> Self {
        Self::Unavailable { maybe_done: effect.changes(), cause: cause.into() }
    }

    /// Nothing was sent.
    pub(super) fn unreachable(cause: impl Into<String>) -> Self {
        Self::Unavailable { maybe_done: false, cause: cause.into() }
    }

    /// The meaning of an answer that is not a success.
    pub(super) fn from_answer(refusal: &Refusal<'_>, effect: Effect, now: DateTime<Utc>) -> Self {
        if let Some(until) = refusal.limited_until(now) {
            return Self::RateLimited { until };
        }
        match refusal.status {
            StatusCode::UNAUTHORIZED => Self::Forbidden {
                missing: "a valid credential".into(),
                remedy:
                    "Check GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY, or GITHUB_TOKEN; the clock of this machine must be right."
                        .into(),
            },
            StatusCode::FORBIDDEN if refusal.says("suspended") => Self::Gone(refusal.message()),
            StatusCode::FORBIDDEN => refusal.forbidden(),
            StatusCode::NOT_FOUND | StatusCode::GONE => Self::NotFound,
            status if status.is_server_error() => Self::unavailable(effect, format!("HTTP {}", status.as_u16())),
            status => Self::Invalid(format!("HTTP {}: {}", status.as_u16(), refusal.message())),
        }
    }
}

/// An answer that is not a success.
pub(super) struct Refusal<'a> {
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

#[derive(Deserialize)]
struct ErrorBody {
    message: Option<String>,
    errors: Option<serde_json::Value>,
}

/// Without a hint GitHub asks for at least a minute.
const DEFAULT_PAUSE: TimeDelta = TimeDelta::seconds(60);
/// No limit of GitHub's lasts longer; a wilder hint is not believed.
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(2);

impl Refusal<'_> {
    /// Until when calls are limited, if that is what the answer says: primary limits by their reset, secondary ones by
    /// `retry-after` or by their words.
    pub fn limited_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !matches!(self.status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
            return None;
        }
        let latest = now + LONGEST_PAUSE;
        if let Some(seconds) = number(self.headers, "retry-after") {
            return Some(TimeDelta::try_seconds(seconds).map_or(latest, |pause| now + pause.min(LONGEST_PAUSE)));
        }
        if let Some(reset) = exhausted_until(self.headers) {
            return Some(reset.clamp(now + TimeDelta::seconds(1), latest));
        }
        let limited = self.status == StatusCode::TOO_MANY_REQUESTS || self.says("rate limit") || self.says("abuse detection");
        limited.then(|| now + DEFAULT_PAUSE)
    }

    fn forbidden(&self) -> GithubError {
        let accepted = self.headers.get("x-accepted-github-permissions").and_then(|value| value.to_str().ok());
        match accepted {
            Some(accepted) if !accepted.is_empty() => GithubError::Forbidden {
                missing: format!("the permission {}", accepted.replace('=', ": ").replace(';', " or")),
                remedy:
                    "Grant it in the settings of the GitHub App (or of the token) and accept the change where it is installed."
                        .into(),
            },
            _ => GithubError::Forbidden {
                missing: format!("a permission ({})", self.message()),
                remedy: "Run `threadbox doctor` to see which one.".into(),
            },
        }
    }

    pub fn says(&self, words: &str) -> bool {
        self.message().to_lowercase().contains(words)
    }

    /// GitHub's own words, cut.
    pub fn message(&self) -> String {
        let text = match serde_json::from_slice::<ErrorBody>(self.body) {
            Ok(body) => {
                let errors = body.errors.map(|errors| format!(" {errors}")).unwrap_or_default();
                format!("{}{errors}", body.message.unwrap_or_default())
            }
            Err(_) => String::from_utf8_lossy(&self.body[..self.body.len().min(LONGEST_MESSAGE)]).trim().to_owned(),
        };
        text.chars().take(LONGEST_MESSAGE).collect()
    }
}

const LONGEST_MESSAGE: usize = 500;

/// When the primary limit is used up, the time of its reset. Also sent with the last answer that still succeeds.
pub(super) fn exhausted_until(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    (number(headers, "x-ratelimit-remaining")? == 0).then_some(())?;
    DateTime::from_timestamp(number(headers, "x-ratelimit-reset")?, 0)
}

/// When GitHub says that limits are lifted, as far as it is believed.
pub(super) fn reset_of(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let after = number(headers, "retry-after").and_then(TimeDelta::try_seconds).and_then(|pause| now.checked_add_signed(pause));
    let until = after.or_else(|| DateTime::from_timestamp(number(headers, "x-ratelimit-reset")?, 0))?;
    Some(until.clamp(now + TimeDelta::seconds(1), now + LONGEST_PAUSE))
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-01T10:00:00Z".parse().unwrap()
    }

    fn meaning(status: u16, headers: &[(&'static str, &str)], body: &str) -> GithubError {
        let headers = headers.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect::<HeaderMap>();
        let refusal = Refusal { status: StatusCode::from_u16(status).unwrap(), headers: &headers, body: body.as_bytes() };
        GithubError::from_answer(&refusal, Effect::Create, now())
    }

    fn limited(seconds: i64) -> GithubError {
        GithubError::RateLimited { until: now() + TimeDelta::seconds(seconds) }
    }

    #[test]
    fn limits_of_every_kind_are_recognised() {
        let reset = (now().timestamp() + 90).to_string();
        assert_eq!(meaning(403, &[("retry-after", "30")], ""), limited(30));
        assert_eq!(meaning(429, &[], ""), limited(60));
        assert_eq!(meaning(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset)], ""), limited(90));
        assert_eq!(meaning(403, &[], r#"{"message":"You have exceeded a secondary rate limit."}"#), limited(60));
        assert_eq!(meaning(429, &[("retry-after", "99999999999999")], ""), limited(7200));
    }

    #[test]
    fn a_missing_permission_is_named() {
        let error = meaning(403, &[("x-accepted-github-permissions", "issues=write; pull_requests=write")], "{}");
        insta::assert_snapshot!(error, @"GitHub refuses: the permission issues: write or pull_requests: write is missing. Grant it in the settings of the GitHub App (or of the token) and accept the change where it is installed.");
    }

    #[test]
    fn other_answers_are_final_or_transient() {
        assert!(matches!(meaning(403, &[], r#"{"message":"This installation has been suspended"}"#), GithubError::Gone(_)));
        assert_eq!(meaning(404, &[], ""), GithubError::NotFound);
        assert!(meaning(502, &[], "").maybe_done());
        assert!(matches!(meaning(401, &[], ""), GithubError::Forbidden { .. }));
        insta::assert_snapshot!(meaning(422, &[], r#"{"message":"Validation Failed","errors":[{"code":"missing"}]}"#), @r#"GitHub rejected the call: HTTP 422: Validation Failed [{"code":"missing"}]"#);
    }
}

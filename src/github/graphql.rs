//! GraphQL, for what REST cannot do: resolving review threads. The same credentials, gate and time limit as every other call.

use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::auth::As;
use super::client::{Call, Effect, Github};
use super::error::{GithubError, reset_of};

/// What GraphQL answers with status 200, errors included.
#[derive(Deserialize)]
struct Reply {
    data: Option<Value>,
    #[serde(default)]
    errors: Vec<Trouble>,
}

#[derive(Deserialize)]
struct Trouble {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    message: String,
}

/// Without a hint GitHub asks for at least a minute.
const PAUSE: TimeDelta = TimeDelta::seconds(60);
const LONGEST_MESSAGE: usize = 500;

impl Github {
    /// Asks a GraphQL question and reads the `data` of its answer. Errors in the answer are errors here, also where a part of the
    /// data came: who asks for two things wants both. Bounded like every call; never sent twice.
    ///
    /// # Errors
    /// As a call. An error GitHub names is `NotFound`, `Forbidden`, `RateLimited` (which closes the gate) or `Invalid`; one of its own
    /// making is `Unavailable`, after an effect with an unknown outcome.
    pub(super) async fn graphql<T: DeserializeOwned>(
        &self,
        who: As<'_>,
        query: &str,
        variables: Value,
        effect: Effect,
    ) -> Result<T, GithubError> {
        let call = Call::graphql(json!({"query": query, "variables": variables}), effect);
        let asked = async {
            let answer = self.call(who, &call).await?;
            let reply: Reply = answer.json(effect)?;
            match reply.errors.first() {
                None => Ok(reply.data.unwrap_or_default()),
                Some(trouble) => {
                    let error = trouble.meaning(effect, &answer.headers, self.clock.now());
                    if let GithubError::RateLimited { until } = error {
                        self.gate_of(&self.pass(who).await?).close(until);
                    }
                    Err(error)
                }
            }
        };
        let data = self.within(effect, asked).await?;
        serde_json::from_value(data).map_err(|error| {
            let cause = format!("an answer that cannot be read: {error}");
            if effect.changes() { GithubError::unavailable(effect, cause) } else { GithubError::Invalid(cause) }
        })
    }
}

impl Trouble {
    fn meaning(&self, effect: Effect, headers: &HeaderMap, now: DateTime<Utc>) -> GithubError {
        let words: String = self.message.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect();
        let lower = words.to_lowercase();
        match self.kind.as_deref() {
            Some("RATE_LIMIT" | "RATE_LIMITED") => {
                GithubError::RateLimited { until: reset_of(headers, now).unwrap_or(now + PAUSE) }
            }
            _ if lower.contains("rate limit") => {
                GithubError::RateLimited { until: reset_of(headers, now).unwrap_or(now + PAUSE) }
            }
            Some("NOT_FOUND") => GithubError::NotFound,
            Some("FORBIDDEN" | "INSUFFICIENT_SCOPES") => GithubError::Forbidden {
                missing: format!("a permission ({words})"),
                remedy: "Run `threadbox doctor` to see which one.".into(),
            },
            Some("INTERNAL" | "SERVICE_UNAVAILABLE" | "TIMEOUT") => GithubError::unavailable(effect, words),
            None if lower.contains("something went wrong") || lower.contains("timeout") => {
                GithubError::unavailable(effect, words)
            }
            Some(_) | None => GithubError::Invalid(words),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn meaning(error: Value, headers: &[(&'static str, &str)]) -> GithubError {
        let headers = headers.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect::<HeaderMap>();
        let trouble: Trouble = serde_json::from_value(error).unwrap();
        trouble.meaning(Effect::Change, &headers, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn errors_in_an_answer_that_succeeded_are_errors() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        assert_eq!(meaning(json!({"type": "NOT_FOUND", "message": "Could not resolve to a node"}), &[]), GithubError::NotFound);
        assert_eq!(
            meaning(json!({"type": "RATE_LIMIT", "message": "exceeded"}), &[("x-ratelimit-reset", "90")]),
            GithubError::RateLimited { until: at(90) }
        );
        assert_eq!(
            meaning(json!({"message": "You have exceeded a secondary rate limit."}), &[]),
            GithubError::RateLimited { until: at(60) }
        );
        assert!(matches!(meaning(json!({"type": "FORBIDDEN", "message": "no"}), &[]), GithubError::Forbidden { .. }));
        assert!(meaning(json!({"message": "Something went wrong while executing your query."}), &[]).maybe_done());
        assert_eq!(
            meaning(json!({"message": "Variable $id is missing"}), &[]),
            GithubError::Invalid("Variable $id is missing".into())
        );
    }
}

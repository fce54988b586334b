//! What is tried again, how long to wait, and when the next model of the chain takes over.
//!
//! An error inside a stream counts like any other: what streamed so far is declared void and the answer starts anew.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::warn;
use uuid::Uuid;

use super::{Answer, Delta, Model, ModelError, ModelName, Request};

/// Where pieces of an answer go.
pub(crate) type Deltas<'a> = &'a (dyn Fn(Delta) + Send + Sync);

/// One model of one provider, asked once: no retries.
#[async_trait]
pub(crate) trait Ask: Send + Sync {
    /// One request, one answer.
    async fn ask(&self, request: &Request, deltas: Deltas<'_>) -> Result<Answer, AskError>;

    /// Who is asked.
    fn name(&self) -> &ModelName;
}

/// A failed try, and whether another model may do better.
#[derive(Clone, Debug)]
pub(crate) struct AskError {
    /// What happened.
    pub(crate) error: ModelError,
    /// Whose fault it is.
    pub(crate) about: About,
}

/// Whose fault a failed try is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// This model or provider: another may answer.
    Model,
    /// The request itself: no model will or should answer it.
    Request,
}

impl From<ModelError> for AskError {
    fn from(error: ModelError) -> Self {
        Self { error, about: About::Model }
    }
}

/// What is tried again and how long to wait.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Tries per model, the first included. At least one is made.
    pub tries: u32,
    /// The wait after the first failed try; doubles with each further one.
    pub first_wait: Duration,
    /// No wait of ours is longer.
    pub longest_wait: Duration,
    /// A provider that asks for a longer wait than this is not waited for.
    pub longest_asked: Duration,
    /// Spreads the waits: a number from 0 to 1 each time.
    pub jitter: fn() -> f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            tries: 4,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(20),
            longest_asked: Duration::from_secs(60),
            jitter: random,
        }
    }
}

/// The low bits of a v7 UUID are random; no further source of randomness is needed for spreading waits.
fn random() -> f64 {
    f64::from(Uuid::now_v7().as_u128() as u32) / f64::from(u32::MAX)
}

impl RetryPolicy {
    /// The wait after failed try number `tries` (from 1): what the provider asked for, else between half and all of the doubled wait.
    pub(super) fn wait(&self, tries: u32, asked: Option<Duration>) -> Duration {
        if let Some(asked) = asked {
            return asked;
        }
        let doubled = self.first_wait.saturating_mul(1u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.longest_wait).mul_f64(0.5 + 0.5 * (self.jitter)().clamp(0.0, 1.0))
    }
}

/// Models asked in turn.
pub(crate) struct Chain<A> {
    first: ModelName,
    models: Vec<Arc<A>>,
    policy: RetryPolicy,
}

impl<A: Ask> Chain<A> {
    /// `None` when there is no model.
    pub(crate) fn new(models: Vec<Arc<A>>, policy: RetryPolicy) -> Option<Self> {
        let first = models.first()?.name().clone();
        Some(Self { first, models, policy })
    }

    async fn ask_one(&self, model: &A, request: &Request, deltas: Deltas<'_>) -> Result<Answer, AskError> {
        let mut tries = 1;
        loop {
            let failed = match model.ask(request, deltas).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let ModelError::Retry { reason, after } = &failed.error else { return Err(failed) };
            if tries >= self.policy.tries {
                return Err(given_up(reason, tries, *after).into());
            }
            if let Some(asked) = after.filter(|asked| *asked > self.policy.longest_asked) {
                return Err(asked_too_much(reason, asked).into());
            }
            let wait = self.policy.wait(tries, *after);
            warn!(model = %model.name(), try_number = tries, wait_ms = wait.as_millis() as u64, reason, "model call failed, trying again");
            deltas(Delta::Restart { reason: format!("{reason} Trying again.") });
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }
}

#[async_trait]
impl<A: Ask> Model for Chain<A> {
    async fn answer(&self, request: &Request, deltas: &(dyn Fn(Delta) + Send + Sync)) -> Result<Answer, ModelError> {
        let mut failures = Vec::new();
        for (index, model) in self.models.iter().enumerate() {
            let failed = match self.ask_one(model, request, deltas).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            warn!(model = %model.name(), reason = %failed.error, "model gave no answer");
            let next = self.models.get(index + 1).filter(|_| failed.about == About::Model);
            if let Some(next) = next {
                deltas(Delta::Restart { reason: format!("{} Trying {}.", failed.error, next.name()) });
            }
            failures.push((model.name(), failed.error));
            if next.is_none() {
                break;
            }
        }
        Err(summary(failures))
    }

    fn name(&self) -> &ModelName {
        &self.first
    }
}

pub(super) fn given_up(reason: &str, tries: u32, after: Option<Duration>) -> ModelError {
    let times = if tries == 1 { "once".to_owned() } else { format!("{tries} times") };
    ModelError::Retry { reason: format!("{reason} Tried {times}."), after }
}

pub(super) fn asked_too_much(reason: &str, asked: Duration) -> ModelError {
    let reason = format!("{reason} It asks to wait {} seconds, which is too long.", asked.as_secs());
    ModelError::Retry { reason, after: Some(asked) }
}

/// What is said when no model answered. A conversation that is too long for one of them is the thing to act on; otherwise the last
/// error decides, and the others are told with it.
fn summary(mut failures: Vec<(&ModelName, ModelError)>) -> ModelError {
    if let Some(index) = failures.iter().position(|(_, error)| matches!(error, ModelError::TooLong(_))) {
        return failures.swap_remove(index).1;
    }
    let Some((name, last)) = failures.pop() else {
        return ModelError::Fail { reason: "No model was asked.".into(), remedy: "Set MODEL.".into() };
    };
    let earlier: String = failures.iter().map(|(name, error)| format!("{name}: {error} ")).collect();
    match last {
        _ if earlier.is_empty() => last,
        ModelError::Retry { reason, after } => ModelError::Retry { reason: format!("{earlier}{name}: {reason}"), after },
        ModelError::Fail { reason, remedy } => ModelError::Fail { reason: format!("{earlier}{name}: {reason}"), remedy },
        ModelError::TooLong(text) => ModelError::TooLong(text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;
    use crate::model::{Message, Role, Usage};

    struct Scripted {
        name: ModelName,
        turns: Mutex<VecDeque<Result<&'static str, AskError>>>,
    }

    impl Scripted {
        fn new(name: &str, turns: impl IntoIterator<Item = Result<&'static str, AskError>>) -> Arc<Self> {
            Arc::new(Self { name: name.parse().unwrap(), turns: Mutex::new(turns.into_iter().collect()) })
        }

        fn left(&self) -> usize {
            self.turns.lock().unwrap().len()
        }
    }

    #[async_trait]
    impl Ask for Scripted {
        async fn ask(&self, _: &Request, deltas: Deltas<'_>) -> Result<Answer, AskError> {
            deltas(Delta::Text("part".into()));
            let turn = self.turns.lock().unwrap().pop_front().unwrap();
            turn.map(|text| Answer {
                message: Message::text(Role::Assistant, text),
                usage: Usage::default(),
                model: self.name.clone(),
                truncated: false,
            })
        }

        fn name(&self) -> &ModelName {
            &self.name
        }
    }

    fn busy(after: Option<Duration>) -> AskError {
        ModelError::Retry { reason: "Acme is busy (429).".into(), after }.into()
    }

    fn refused() -> AskError {
        ModelError::Fail { reason: "Acme refused the key (401).".into(), remedy: "Check ACME_API_KEY.".into() }.into()
    }

    fn policy() -> RetryPolicy {
        RetryPolicy { tries: 3, first_wait: Duration::from_millis(1), jitter: || 1.0, ..RetryPolicy::default() }
    }

    async fn told(models: Vec<Arc<Scripted>>) -> (String, Vec<String>) {
        let seen = Mutex::new(Vec::new());
        let deltas = |delta: Delta| {
            seen.lock().unwrap().push(match delta {
                Delta::Text(text) => text,
                Delta::Restart { reason } => format!("restart: {reason}"),
            });
        };
        let request = Request { system: String::new(), messages: vec![], tools: vec![], max_output_tokens: None };
        let answer = Chain::new(models, policy()).unwrap().answer(&request, &deltas).await;
        let text = answer.map_or_else(
            |error| format!("error: {error}"),
            |answer| format!("{}: {}", answer.model, answer.message.plain_text()),
        );
        (text, seen.into_inner().unwrap())
    }

    #[tokio::test]
    async fn a_busy_model_is_asked_again_and_the_partial_text_is_void() {
        let (text, seen) = told(vec![Scripted::new("acme/a", [Err(busy(None)), Ok("done")])]).await;
        assert_eq!(text, "acme/a: done");
        assert_eq!(seen, ["part", "restart: Acme is busy (429). Trying again.", "part"]);
    }

    #[tokio::test]
    async fn tries_are_bounded_and_then_the_next_model_answers() {
        let first = Scripted::new("acme/a", (0..9).map(|_| Err(busy(None))));
        let (text, seen) = told(vec![first.clone(), Scripted::new("acme/b", [Ok("done")])]).await;
        assert_eq!(text, "acme/b: done");
        assert_eq!(first.left(), 6);
        assert_eq!(seen[5], "restart: Acme is busy (429). Tried 3 times. Trying acme/b.");
    }

    #[tokio::test]
    async fn a_refused_key_is_not_tried_again_but_the_next_model_is() {
        let first = Scripted::new("acme/a", [Err(refused()), Ok("never")]);
        let (text, _) = told(vec![first.clone(), Scripted::new("acme/b", [Ok("done")])]).await;
        assert_eq!((text.as_str(), first.left()), ("acme/b: done", 1));
    }

    #[tokio::test]
    async fn a_request_no_model_should_answer_ends_the_chain() {
        let error = AskError { about: About::Request, ..refused() };
        let next = Scripted::new("acme/b", [Ok("never")]);
        let (text, _) = told(vec![Scripted::new("acme/a", [Err(error)]), next.clone()]).await;
        assert_eq!((text.as_str(), next.left()), ("error: Acme refused the key (401). Check ACME_API_KEY.", 1));
    }

    #[tokio::test]
    async fn when_all_fail_every_reason_is_told() {
        let (text, _) = told(vec![Scripted::new("acme/a", [Err(refused())]), Scripted::new("b/b", [Err(refused())])]).await;
        insta::assert_snapshot!(text, @"error: acme/a: Acme refused the key (401). Check ACME_API_KEY. b/b: Acme refused the key (401). Check ACME_API_KEY.");
    }

    #[tokio::test]
    async fn too_long_is_what_is_told_because_it_can_be_acted_on() {
        let long = || Err(ModelError::TooLong("200000 of 128000 tokens".into()).into());
        let (text, _) = told(vec![Scripted::new("acme/a", [long()]), Scripted::new("b/b", [Err(refused())])]).await;
        assert!(text.contains("too long"), "{text}");
        let (text, _) = told(vec![Scripted::new("acme/a", [long()]), Scripted::new("b/b", [Ok("bigger")])]).await;
        assert_eq!(text, "b/b: bigger");
    }

    #[tokio::test]
    async fn the_wait_the_provider_asks_for_is_kept() {
        let started = Instant::now();
        let asked = Duration::from_millis(60);
        told(vec![Scripted::new("acme/a", [Err(busy(Some(asked))), Ok("done")])]).await;
        assert!(started.elapsed() >= asked);
    }

    #[tokio::test]
    async fn a_provider_that_asks_for_an_hour_is_not_waited_for() {
        let first = Scripted::new("acme/a", [Err(busy(Some(Duration::from_secs(3600)))), Ok("never")]);
        let (text, _) = told(vec![first, Scripted::new("b/b", [Ok("now")])]).await;
        assert_eq!(text, "b/b: now");
    }

    #[test]
    fn waits_double_up_to_a_limit_and_are_spread() {
        let policy = RetryPolicy {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(5),
            jitter: || 1.0,
            ..RetryPolicy::default()
        };
        let waits: Vec<_> = (1..=40).map(|tries| policy.wait(tries, None).as_secs()).collect();
        assert_eq!(waits[..4], [1, 2, 4, 5]);
        assert!(waits[4..].iter().all(|wait| *wait == 5));
        let spread = RetryPolicy { jitter: || 0.0, ..policy };
        assert_eq!(spread.wait(1, None), Duration::from_millis(500));
    }
}

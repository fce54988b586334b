//! The one place that sends requests to GitHub: credentials, gate, time limit, and what an answer means.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Builder;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

use super::auth::{As, Credentials, Pass};
use super::error::{GithubError, Quota, Refusal, exhausted_until};
use super::gate::{Gate, Gates, Pace};
use super::identity::Identity;
use super::paging;
use super::permission::{PermissionCache, TeamCache};
use super::remembered::{self, Remembered};
use crate::clock::Clock;
use crate::secret::Learned;
use crate::settings::GithubSettings;

/// No method of [`Github`] takes longer (fetching an archive apart, which has no effect), waiting at the gate and fetching credentials included. It must stay below the 15 seconds a
/// worker's lease on a thread lasts, so that a worker never learns of an effect it no longer may have.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// One request and its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

/// What a call does on GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It only reads.
    None,
    /// It changes something that exists; the same again is harmless.
    Change,
    /// It creates something; the same again creates another.
    Create,
}

impl Effect {
    pub fn changes(self) -> bool {
        match self {
            Self::None => false,
            Self::Change | Self::Create => true,
        }
    }
}

/// A client for one GitHub (github.com or an Enterprise Server) as one App or one account. Share it in an `Arc`; it holds the
/// connection pool, the cached tokens and the gates.
pub struct Github {
    crab: Octocrab,
    api_url: Url,
    base_path: String,
    gates: Gates,
    remembered: Remembered,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) credentials: Credentials,
    pub(super) identity: OnceCell<Identity>,
    pub(super) permissions: PermissionCache,
    pub(super) teams: TeamCache,
    pub(super) has_webhook_secret: bool,
    /// Told of every token that is minted.
    pub(super) learned: Learned,
}

impl std::fmt::Debug for Github {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Github")
    }
}

impl Github {
    /// Makes the client; nothing is sent yet. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// `Invalid` when the private key or the base URL cannot be used.
    pub fn new(settings: &GithubSettings, clock: Arc<dyn Clock>) -> Result<Self, GithubError> {
        Self::with_pace(settings, clock, Pace::GITHUB)
    }

    /// Like [`Github::new`], with another spacing of calls: for servers of one's own without secondary limits, and for benches.
    ///
    /// # Errors
    /// As [`Github::new`].
    pub fn with_pace(settings: &GithubSettings, clock: Arc<dyn Clock>, pace: Pace) -> Result<Self, GithubError> {
        let url = settings.api_url.as_str().trim_end_matches('/');
        // No read timeout: the connector would count the idle time of a pooled connection against the next request. Every
        // request has a time limit of its own instead.
        let crab = Octocrab::builder()
            .base_uri(url)
            .map_err(|_| GithubError::Invalid("GITHUB_API_URL is not a URL".into()))?
            .add_retry_config(RetryConfig::None)
            .set_connect_timeout(Some(CONNECT_TIMEOUT))
            .add_header(header::ACCEPT, "application/vnd.github+json".into())
            .build()
            .map_err(|error| GithubError::Invalid(error.to_string()))?;
        Ok(Self {
            crab,
            api_url: settings.api_url.clone(),
            base_path: settings.api_url.path().trim_end_matches('/').to_owned(),
            gates: Gates::new(pace),
            remembered: Remembered::default(),
            clock,
            credentials: Credentials::new(&settings.auth)?,
            identity: OnceCell::new(),
            permissions: PermissionCache::default(),
            teams: TeamCache::default(),
            has_webhook_secret: !settings.webhook_secrets.is_empty(),
            learned: Learned::default(),
        })
    }

    /// Tells of every token it mints, so that none is ever posted.
    #[must_use]
    pub fn telling(mut self, learned: Learned) -> Self {
        self.learned = learned;
        self
    }

    /// Bounds a whole operation.
    pub(super) async fn within<T>(
        &self,
        effect: Effect,
        operation: impl Future<Output = Result<T, GithubError>>,
    ) -> Result<T, GithubError> {
        let late = |_| Err(GithubError::unavailable(effect, format!("no answer within {} s", CALL_TIMEOUT.as_secs())));
        tokio::time::timeout(CALL_TIMEOUT, operation).await.unwrap_or_else(late)
    }

    /// Sends a call and returns the answer when it is a success. A credential that was refused is replaced once, and a moved
    /// repository followed once: in both cases it is certain that nothing was done.
    pub(super) async fn call(&self, who: As<'_>, call: &Call) -> Result<Answer, GithubError> {
        let pass = self.pass(who).await?;
        let answer = self.send_again(&pass, call).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.credentials.forget(&pass).await {
            let pass = self.pass(who).await?;
            return self.success(self.send(&pass, call, &call.path).await?, call.effect);
        }
        if let Some(moved) = answer.moved(&self.base_path) {
            return self.success(self.send(&pass, call, &moved).await?, call.effect);
        }
        self.success(answer, call.effect)
    }

    /// Sends one request with a credential and tells the gate what the answer says about limits. An answer of any status is `Ok`.
    pub(super) async fn send(&self, pass: &Pass, call: &Call, path: &str) -> Result<Answer, GithubError> {
        let gate = self.gate_of(pass);
        gate.admit(call.effect, self.clock.now()).await?;
        let answer = match tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(pass, call, path)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(GithubError::unavailable(call.effect, "no answer in time")),
        };
        let limited = answer.refusal().limited_until(self.clock.now());
        if let Some(until) = limited.or_else(|| exhausted_until(&answer.headers)) {
            gate.close(until);
        }
        if let Some(quota) = Quota::of(&answer.headers) {
            gate.heed(quota);
        }
        Ok(answer)
    }

    /// Like [`Github::send`], but where the same was answered before, GitHub only says that it still holds: that costs nothing of
    /// the limit.
    async fn send_again(&self, pass: &Pass, call: &Call) -> Result<Answer, GithubError> {
        if !call.remembered {
            return self.send(pass, call, &call.path).await;
        }
        let key = (pass.payer, pass.needs(), call.path.clone());
        let known = self.remembered.get(&key);
        let conditional = Call { known_as: known.as_ref().map(|known| known.tag.clone()), ..call.clone() };
        let answer = self.send(pass, &conditional, &call.path).await?;
        match known {
            Some(known) if answer.status == StatusCode::NOT_MODIFIED => Ok(known.answer()),
            _ => {
                if let Some(entry) = remembered::Entry::of(&answer) {
                    self.remembered.put(key, entry);
                }
                Ok(answer)
            }
        }
    }

    async fn exchange(&self, pass: &Pass, call: &Call, path: &str) -> Result<Answer, GithubError> {
        let unsent = |error: octocrab::Error| GithubError::Invalid(format!("the request cannot be built: {error}"));
        let crab = self.crab.user_access_token(pass.token.clone()).map_err(unsent)?;
        let mut request = Builder::new().method(call.method.clone()).uri(format!("{}{path}", self.base(call.base)));
        if let Some(tag) = &call.known_as {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let request = crab.build_request(request, call.body.as_ref()).map_err(unsent)?;
        let response = crab.execute(request).await.map_err(|error| broken(call.effect, &error))?;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(axum::body::Body::new(body), LARGEST_ANSWER).await;
        let body = body.map_err(|error| GithubError::unavailable(call.effect, format!("the answer broke off: {error}")))?;
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    fn base(&self, base: Base) -> &str {
        match base {
            Base::Rest => &self.base_path,
            Base::Graphql => graphql_base(&self.base_path),
        }
    }

    pub(super) fn success(&self, answer: Answer, effect: Effect) -> Result<Answer, GithubError> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(GithubError::from_answer(&answer.refusal(), effect, self.clock.now()))
    }

    /// The base of all paths, without trailing slash.
    pub(super) fn api_url(&self) -> &str {
        self.api_url.as_str().trim_end_matches('/')
    }

    /// The host of the API.
    pub(super) fn host(&self) -> Option<&str> {
        self.api_url.host_str()
    }

    /// True for an address of the API itself, where our credentials belong.
    pub(super) fn is_api(&self, url: &Url) -> bool {
        let below = url.path().strip_prefix(self.base_path.as_str()).is_some_and(|rest| rest.starts_with('/'));
        url.origin() == self.api_url.origin() && below
    }

    /// The gate a credential's calls pass.
    pub(super) fn gate_of(&self, pass: &Pass) -> Arc<Gate> {
        self.gates.of(pass.payer, self.clock.now())
    }

    /// The part of a pagination link that a call needs.
    pub(super) fn link(&self, answer: &Answer, relation: &str) -> Option<String> {
        let links = answer.headers.get(header::LINK)?.to_str().ok()?;
        paging::relative(&paging::find(links, relation)?, &self.base_path)
    }
}

/// A request, before it has a credential.
#[derive(Clone)]
pub(super) struct Call {
    method: Method,
    path: String,
    body: Option<Value>,
    effect: Effect,
    /// Below which base the path is meant.
    base: Base,
    /// Whether its answer is kept, and asked for only if it has changed.
    remembered: bool,
    /// The tag of the answer that is known.
    known_as: Option<HeaderValue>,
}

/// The two APIs of a GitHub. An Enterprise Server has them side by side: `/api/v3` and `/api/graphql`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Rest,
    Graphql,
}

impl Call {
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: None,
            effect: Effect::None,
            base: Base::Rest,
            remembered: false,
            known_as: None,
        }
    }

    pub fn post(path: impl Into<String>, body: Value, effect: Effect) -> Self {
        Self {
            method: Method::POST,
            path: path.into(),
            body: Some(body),
            effect,
            base: Base::Rest,
            remembered: false,
            known_as: None,
        }
    }

    pub fn patch(path: impl Into<String>, body: Value) -> Self {
        Self {
            method: Method::PATCH,
            path: path.into(),
            body: Some(body),
            effect: Effect::Change,
            base: Base::Rest,
            remembered: false,
            known_as: None,
        }
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self {
            method: Method::DELETE,
            path: path.into(),
            body: None,
            effect: Effect::Change,
            base: Base::Rest,
            remembered: false,
            known_as: None,
        }
    }

    /// The same, for what is looked up often and seldom changes: the answer is kept, and GitHub is asked whether it still holds, which
    /// costs nothing of the primary limit. Only for reading.
    pub fn remembered(self) -> Self {
        Self { remembered: self.effect == Effect::None, ..self }
    }

    /// A question in GraphQL, or a mutation.
    pub fn graphql(body: Value, effect: Effect) -> Self {
        Self { base: Base::Graphql, ..Self::post("/graphql", body, effect) }
    }

    pub fn path(&self) -> &str {
        &self.path
    }
}

/// An answer of any status.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Reads the body. After an effect an unreadable answer leaves the outcome unknown.
    pub fn json<T: DeserializeOwned>(&self, effect: Effect) -> Result<T, GithubError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let cause = format!("an answer that cannot be read: {error}");
            if effect.changes() { GithubError::unavailable(effect, cause) } else { GithubError::Invalid(cause) }
        })
    }

    fn refusal(&self) -> Refusal<'_> {
        Refusal { status: self.status, headers: &self.headers, body: &self.body }
    }

    /// Where a renamed or transferred repository answers now, on the same server.
    fn moved(&self, base_path: &str) -> Option<String> {
        let redirects = [StatusCode::MOVED_PERMANENTLY, StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT];
        if !redirects.contains(&self.status) {
            return None;
        }
        paging::relative(self.headers.get(header::LOCATION)?.to_str().ok()?, base_path)
    }
}

fn graphql_base(base_path: &str) -> &str {
    base_path.strip_suffix("/v3").unwrap_or(base_path)
}

/// A request that got no whole answer. Only a failure to connect is certainly without effect.
fn broken(effect: Effect, error: &octocrab::Error) -> GithubError {
    let mut cause = Some(error as &dyn std::error::Error);
    let mut words = Vec::new();
    let mut connected = true;
    while let Some(error) = cause {
        if let Some(client) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            connected &= !client.is_connect();
        }
        words.push(error.to_string());
        cause = error.source();
    }
    words.dedup();
    let words = words.join(": ");
    if connected { GithubError::unavailable(effect, words) } else { GithubError::unreachable(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphql_lies_beside_rest() {
        assert_eq!(graphql_base(""), "");
        assert_eq!(graphql_base("/api/v3"), "/api");
    }
}

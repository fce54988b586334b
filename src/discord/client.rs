//! The one place that sends requests to Discord: credential, limits, time, and what an answer means.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::multipart::{Form, Part};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

use super::error::{DiscordError, Limited, Scope};
use super::identity::Bot;
use super::limits::{Heard, Limits, Pace, Queue, Route};
use super::message::NewFile;
use crate::clock::Clock;
use crate::secret::{ExposeSecret, SecretString};
use crate::settings::DiscordSettings;

/// No call takes longer, waiting for limits and for those before it included, and so no method of [`Discord`] that changes anything. It must stay below the 15 seconds a worker's lease on a thread
/// lasts, so that a worker never learns of an effect it no longer may have.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// What of [`CALL_TIMEOUT`] may be spent with waiting for limits; the rest is for the request.
const PATIENCE: TimeDelta = TimeDelta::milliseconds(6_500);
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
/// How often a call that meets limits is sent, at the most.
const MOST_TRIES: usize = 20;
/// A refused token is not tried again sooner.
const REFUSED_PAUSE: TimeDelta = TimeDelta::minutes(1);
/// What Discord asks bots to call themselves.
const USER_AGENT: &str = concat!("DiscordBot (threadbox, ", env!("CARGO_PKG_VERSION"), ")");

/// What a call does on Discord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It only reads.
    None,
    /// It changes something that exists; the same again is harmless.
    Change,
    /// It creates something; the same again creates another, unless it carries a nonce.
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

/// A client for one bot. Share it in an `Arc`: it holds the connections and the limits.
pub struct Discord {
    http: reqwest::Client,
    base: String,
    token: SecretString,
    limits: Limits,
    clock: Arc<dyn Clock>,
    pub(super) us: OnceCell<Bot>,
    refused_at: std::sync::Mutex<Option<DateTime<Utc>>>,
}

impl std::fmt::Debug for Discord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Discord")
    }
}

impl Discord {
    /// Makes the client; nothing is sent yet.
    ///
    /// # Errors
    /// `Invalid` when no HTTP client can be built.
    pub fn new(settings: &DiscordSettings, clock: Arc<dyn Clock>, pace: Pace) -> Result<Self, DiscordError> {
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirect would carry the token elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(30));
        let builder = if settings.api_url.scheme() == "http" { builder.no_proxy() } else { builder };
        Ok(Self {
            http: builder.build().map_err(|error| DiscordError::invalid(format!("the HTTP client cannot start: {error}")))?,
            base: format!("{}/api/v10", settings.api_url.as_str().trim_end_matches('/')),
            token: settings.token.clone(),
            limits: Limits::new(pace),
            clock,
            us: OnceCell::new(),
            refused_at: std::sync::Mutex::default(),
        })
    }

    /// The base of all calls, with the version and without trailing slash.
    pub fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Bounds a whole operation of several calls.
    pub(super) async fn within<T>(
        &self,
        effect: Effect,
        operation: impl Future<Output = Result<T, DiscordError>>,
    ) -> Result<T, DiscordError> {
        let late = |_| Err(DiscordError::late(effect.changes()));
        tokio::time::timeout(CALL_TIMEOUT, operation).await.unwrap_or_else(late)
    }

    /// Makes a call within [`CALL_TIMEOUT`] and returns its answer when it is a success. A limit is waited for if that does not take
    /// too long; the calls after this one in the same bucket wait behind it.
    pub(super) async fn call(&self, call: &Call) -> Result<Answer, DiscordError> {
        if call.speaks_for_itself {
            return self.within(call.effect, async { call.success(self.send(call).await?) }).await;
        }
        if let Some(until) = self.refused_until() {
            tracing::debug!(%until, "the bot's token was refused a moment ago");
            return Err(DiscordError::Unauthorized);
        }
        // What it waits for its turn is not added to that time.
        self.within(call.effect, self.call_when_it_may(call)).await
    }

    async fn call_when_it_may(&self, call: &Call) -> Result<Answer, DiscordError> {
        let (started, route) = (tokio::time::Instant::now(), Route::of(&call.method, &call.path));
        let queue = self.limits.queue(&route, self.now());
        let patience = PATIENCE.to_std().unwrap_or_default();
        let Ok(_turn) = tokio::time::timeout(patience, queue.turn.lock()).await else {
            // Those before it have not been served either.
            return Err(DiscordError::RateLimited { until: self.now() + TimeDelta::seconds(1) });
        };
        let spent = TimeDelta::from_std(started.elapsed()).unwrap_or(PATIENCE);
        self.call_in_turn(call, &route, &queue, PATIENCE - spent).await
    }

    /// Waits, sends, and does so again while a limit is in the way: it is certain that nothing was done then.
    async fn call_in_turn(&self, call: &Call, route: &Route, queue: &Queue, patience: TimeDelta) -> Result<Answer, DiscordError> {
        let mut now = self.now();
        let latest = now + patience;
        for _ in 0..MOST_TRIES {
            while let Err(until) = self.limits.reserve(queue, now) {
                if until > latest {
                    return Err(DiscordError::RateLimited { until });
                }
                tokio::time::sleep((until - now).to_std().unwrap_or_default()).await;
                now = self.now().max(until);
            }
            let answer = self.send(call).await?;
            now = self.now().max(now);
            match self.heed(call, route, queue, &answer, now) {
                None => return call.success(answer),
                Some(limited) if call.has_own_limit && limited.until > latest => {
                    return Err(DiscordError::RateLimited { until: limited.until });
                }
                Some(limited) => tracing::debug!(discord.route = ?route, discord.scope = ?limited.scope, "Discord limits us"),
            }
        }
        Err(DiscordError::RateLimited { until: now + TimeDelta::seconds(1) })
    }

    /// Learns from an answer; the limit it met, if it did.
    fn heed(&self, call: &Call, route: &Route, queue: &Queue, answer: &Answer, now: DateTime<Utc>) -> Option<Limited> {
        let limited = Limited::read(answer.status, &answer.headers, &answer.body, now);
        let shared = limited.is_some_and(|limited| limited.scope == Scope::Shared);
        // A limit on one property, such as the name, is none on the route.
        let closes = limited.filter(|limited| !call.has_own_limit || limited.scope == Scope::Global);
        let counts_as_refused = matches!(answer.status.as_u16(), 401 | 403 | 429) && !shared;
        self.limits.heed(route, queue, &Heard { headers: &answer.headers, limited: closes, counts_as_refused, now });
        if answer.status == StatusCode::UNAUTHORIZED {
            *self.refused_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(now);
        }
        limited
    }

    /// A wrong token is not sent again and again: that leads to a ban.
    fn refused_until(&self) -> Option<DateTime<Utc>> {
        let at = (*self.refused_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner))?;
        Some(at + REFUSED_PAUSE).filter(|until| *until > self.now())
    }

    /// Sends one request. An answer of any status is `Ok`.
    async fn send(&self, call: &Call) -> Result<Answer, DiscordError> {
        let mut request = self.http.request(call.method.clone(), format!("{}{}", self.base, call.path));
        if !call.speaks_for_itself {
            request = request.header("authorization", format!("Bot {}", self.token.expose_secret()));
        }
        request = match &call.body {
            Some(body) if call.files.is_empty() => request.json(body),
            Some(body) => request.multipart(form(body, &call.files)?),
            None => request,
        };
        let response = request.send().await.map_err(|error| broken(call.effect, error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response).await.map_err(|error| match error {
            Unread::Broken(error) => broken(call.effect, error),
            Unread::TooLarge => DiscordError::unavailable(call.effect, "the answer is too large"),
        })?;
        Ok(Answer { status, headers, body })
    }

    /// Fetches a file that people attached, from the address Discord gave for it. The token is not sent along.
    ///
    /// # Errors
    /// `Invalid` when the address is not one of Discord's files, or the file is larger than `most` bytes; `NotFound` when it is gone or
    /// the address has expired.
    pub async fn download(&self, address: &Url, most: usize) -> Result<Bytes, DiscordError> {
        if !self.is_file(address) {
            return Err(DiscordError::invalid("that is not the address of a file on Discord"));
        }
        let operation = async {
            let mut response = self.http.get(address.clone()).send().await.map_err(|error| broken(Effect::None, error))?;
            match response.status() {
                status if status.is_success() => {}
                StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => {
                    return Err(DiscordError::NotFound { code: 0 });
                }
                status => return Err(DiscordError::unavailable(Effect::None, format!("HTTP {}", status.as_u16()))),
            }
            let mut bytes = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| broken(Effect::None, error))? {
                if bytes.len() + chunk.len() > most {
                    return Err(DiscordError::invalid(format!("the file is larger than {most} bytes")));
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(bytes.freeze())
        };
        self.within(Effect::None, operation).await
    }

    /// Files lie on Discord's own hosts, or on the server that takes Discord's place.
    fn is_file(&self, address: &Url) -> bool {
        let ours = Url::parse(&self.base).is_ok_and(|base| base.origin() == address.origin());
        let discords = matches!(address.host_str(), Some("cdn.discordapp.com" | "media.discordapp.net"));
        let path = ["/attachments/", "/ephemeral-attachments/"].iter().any(|below| address.path().starts_with(below));
        path && (ours || (discords && address.scheme() == "https" && self.base.starts_with("https://")))
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    method: Method,
    path: String,
    body: Option<Value>,
    files: Vec<NewFile>,
    effect: Effect,
    speaks_for_itself: bool,
    has_own_limit: bool,
}

impl Call {
    fn new(method: Method, path: impl Into<String>, body: Option<Value>, effect: Effect) -> Self {
        Self { method, path: path.into(), body, files: Vec::new(), effect, speaks_for_itself: false, has_own_limit: false }
    }

    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, None, Effect::None)
    }

    pub fn post(path: impl Into<String>, body: Value, effect: Effect) -> Self {
        Self::new(Method::POST, path, Some(body), effect)
    }

    pub fn patch(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::PATCH, path, Some(body), Effect::Change)
    }

    pub fn put(path: impl Into<String>, body: Option<Value>) -> Self {
        Self::new(Method::PUT, path, body, Effect::Change)
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, None, Effect::Change)
    }

    /// With files beside the body.
    pub fn with_files(self, files: Vec<NewFile>) -> Self {
        Self { files, ..self }
    }

    /// For interactions and their webhooks: the token in the path is the credential, and no limit of the bot's holds, so the call waits
    /// for nobody.
    pub fn speaking_for_itself(self) -> Self {
        Self { speaks_for_itself: true, ..self }
    }

    /// For what is limited more strictly than its route: a long limit it meets holds for it alone.
    pub fn with_own_limit(self) -> Self {
        Self { has_own_limit: true, ..self }
    }

    fn success(&self, answer: Answer) -> Result<Answer, DiscordError> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(DiscordError::from_answer(answer.status, &answer.body, self.effect))
    }
}

/// An answer of any status.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// Reads the body. After an effect an unreadable answer leaves the outcome unknown.
    pub fn json<T: DeserializeOwned>(&self, effect: Effect) -> Result<T, DiscordError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let cause = format!("an answer that cannot be read: {error}");
            if effect.changes() { DiscordError::unavailable(effect, cause) } else { DiscordError::invalid(cause) }
        })
    }
}

fn form(body: &Value, files: &[NewFile]) -> Result<Form, DiscordError> {
    let json = Part::text(body.to_string()).mime_str("application/json");
    let unfit = |error: reqwest::Error| DiscordError::invalid(format!("the request cannot be built: {error}"));
    let mut form = Form::new().part("payload_json", json.map_err(unfit)?);
    for (n, file) in files.iter().enumerate() {
        let length = u64::try_from(file.bytes.len()).unwrap_or(u64::MAX);
        let mut part = Part::stream_with_length(file.bytes.clone(), length).file_name(file.name.clone());
        if let Some(media_type) = &file.media_type {
            part = part.mime_str(media_type).map_err(unfit)?;
        }
        form = form.part(format!("files[{n}]"), part);
    }
    Ok(form)
}

enum Unread {
    Broken(reqwest::Error),
    TooLarge,
}

async fn read(mut response: reqwest::Response) -> Result<Bytes, Unread> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// A request that got no whole answer. Only a failure to connect or to build it is certainly without effect. The address may hold an
/// interaction's token, so it is left out.
fn broken(effect: Effect, error: reqwest::Error) -> DiscordError {
    let sent = !error.is_connect() && !error.is_builder();
    let error = error.without_url();
    let mut words = vec![error.to_string()];
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    words.dedup();
    let words = words.join(": ");
    if sent { DiscordError::unavailable(effect, words) } else { DiscordError::unreachable(words) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::secret::secret;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_its_turn_gives_a_call_no_more_time() {
        // Takes connections and answers nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = DiscordSettings {
            token: secret("t"),
            api_url: Url::parse(&format!("http://{}", silent.local_addr().unwrap())).unwrap(),
            allow_guilds: None,
            allow_roles: None,
            allow_channels: None,
            guild_daily_budget_usd: None,
        };
        let discord = Arc::new(Discord::new(&settings, Arc::new(SystemClock), Pace::UNLIMITED).unwrap());
        let call = Call::get("/users/@me");
        let queue = discord.limits.queue(&Route::of(&call.method, &call.path), discord.now());
        let turn = queue.turn.lock().await;
        let (started, client) = (tokio::time::Instant::now(), discord.clone());
        let waiting = tokio::spawn(async move { client.call(&call).await.map(drop) });
        tokio::time::sleep(Duration::from_secs(6)).await;
        drop(turn);
        assert!(waiting.await.unwrap().unwrap_err().is_transient());
        assert!(started.elapsed() <= CALL_TIMEOUT + Duration::from_millis(10), "{:?}", started.elapsed());
        drop(silent);
    }
}

//! The HTTP client of both halves: headers, deadlines, retries, rate limits, and silence after the credential was refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt as _;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, multipart};
use tokio::io::AsyncReadExt as _;
use url::{Host, Url};

use super::call::{Base, Body, Call, Content, Part, Response};
use super::error::{ApiError, ErrorKind, Speaker};
use super::retry::Tries;
use super::{Credential, DaytonaConfig, Pace};
use crate::clock::Clock;
use crate::secret::ExposeSecret;

/// Daytona answers differently without it: output of sessions is then not split into its two streams.
const SDK_VERSION: &str = "0.226.1";
const ORGANIZATION: HeaderName = HeaderName::from_static("x-daytona-organization-id");
const SKIP_ACTIVITY: HeaderName = HeaderName::from_static("x-daytona-skip-last-activity-update");
/// Most of an error's body that is read.
const ERROR_LIMIT: usize = 64 << 10;
/// Pieces in which files are sent.
const PIECE: usize = 64 << 10;

/// Speaks to Daytona. Cheap to clone; clones share connections and what is known of the credential.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    outside: reqwest::Client,
    loopback: reqwest::Client,
    api_url: Url,
    clock: Arc<dyn Clock>,
    pace: Pace,
    refused: Mutex<Option<Refused>>,
    limited: AtomicU64,
}

/// When the credential was refused, and with which words.
#[derive(Clone, Debug)]
struct Refused {
    at: DateTime<Utc>,
    error: ApiError,
}

impl Client {
    /// Makes no request. Fails when the credential cannot be a header, or TLS cannot be set up.
    pub fn new(config: &DaytonaConfig, clock: Arc<dyn Clock>) -> Result<Self, ApiError> {
        let headers = headers(&config.credential)?;
        let build = |builder: reqwest::ClientBuilder| {
            builder
                .build()
                .map_err(|error| ApiError::own(ErrorKind::Unreachable, format!("the HTTP client cannot start: {error}")))
        };
        let inner = Inner {
            outside: build(builder(headers.clone()))?,
            loopback: build(builder(headers).no_proxy())?,
            api_url: config.api_url.clone(),
            clock,
            pace: config.pace.clone(),
            refused: Mutex::new(None),
            limited: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Base of the control plane.
    pub fn api_url(&self) -> &Url {
        &self.inner.api_url
    }

    /// How long things are waited for.
    pub fn pace(&self) -> &Pace {
        &self.inner.pace
    }

    /// The time by the clock it was given.
    pub fn now(&self) -> DateTime<Utc> {
        self.inner.clock.now()
    }

    /// Performs a call, again where its [`super::Retry`] permits, and waits for rate limits up to [`Pace::rate_limit`] altogether. Any status but 2xx
    /// is an error. After a 401 nothing is asked for [`Pace::refused`]: every call fails with [`ErrorKind::BadKey`] meanwhile.
    pub async fn call(&self, call: &Call<'_>) -> Result<Response, ApiError> {
        let mut tries = Tries::default();
        loop {
            self.check_refused()?;
            let tried = match tokio::time::timeout(call.deadline, self.attempt(call)).await {
                Ok(result) => result,
                Err(_) => Err(ApiError::own(ErrorKind::Lost, format!("no answer within {} s", call.deadline.as_secs_f32()))),
            };
            let error = match tried {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            self.remember_refusal(&error);
            let Some(wait) = tries.next(&self.inner.pace, call.retry, &error, self.spread(&error)) else { return Err(error) };
            tracing::debug!(call = call.name(), %error, wait_ms = wait.as_millis(), "Daytona is asked again");
            tokio::time::sleep(wait).await;
        }
    }

    /// Performs a call and reads the answer as JSON.
    pub async fn json<T: serde::de::DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, ApiError> {
        self.call(call).await?.json()
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Response, ApiError> {
        let url = self.url(call)?;
        let http = if is_loopback(&url) { &self.inner.loopback } else { &self.inner.outside };
        let mut request = http.request(call.method.clone(), url);
        if let Some(range) = &call.range {
            request = request.header(header::RANGE, range);
        }
        if !call.counts_as_use {
            request = request.header(SKIP_ACTIVITY, HeaderValue::from_static("true"));
        }
        let has_none = matches!(call.body, Body::Empty) && matches!(call.method, Method::GET | Method::DELETE);
        let request = if has_none { request } else { with_body(request, &call.body).await? };
        let answer = request.send().await.map_err(not_answered)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if status.is_success() {
            let (body, complete) = read(answer, call.limit).await?;
            return Ok(Response { status, headers, body, complete });
        }
        if status.is_redirection() {
            let to = headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
            let message = format!("{} leads to {to}, where the credential is not sent", self.inner.api_url);
            return Err(ApiError { status: Some(status.as_u16()), ..ApiError::own(ErrorKind::RouteMissing, message) });
        }
        // An error whose body is lost is still that error.
        let body = read(answer, ERROR_LIMIT).await.map(|(body, _)| body).unwrap_or_default();
        let speaker = match call.base {
            Base::Control => Speaker::Control,
            Base::Toolbox(_) => Speaker::Toolbox,
        };
        Err(ApiError::from_answer(speaker, status.as_u16(), retry_after(&headers), &body))
    }

    fn url(&self, call: &Call<'_>) -> Result<Url, ApiError> {
        let base = match call.base {
            Base::Control => &self.inner.api_url,
            Base::Toolbox(url) => url,
        };
        let api_is_safe = self.inner.api_url.scheme() == "https" || is_loopback(&self.inner.api_url);
        if api_is_safe && base.scheme() != "https" && !is_loopback(base) {
            let message = format!("the toolbox address {base} is not encrypted, so the credential is not sent there");
            return Err(ApiError::own(ErrorKind::Invalid, message));
        }
        let mut url = base.clone();
        let segments = url.path_segments_mut().map(|mut path| {
            path.pop_if_empty().extend(call.path);
        });
        if segments.is_err() {
            return Err(ApiError::own(ErrorKind::Invalid, format!("{base} is not an address of a server")));
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        Ok(url)
    }

    fn check_refused(&self) -> Result<(), ApiError> {
        let mut refused = self.inner.refused.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Some(Refused { at, error }) = refused.as_ref() else { return Ok(()) };
        let quiet = TimeDelta::from_std(self.inner.pace.refused).unwrap_or(TimeDelta::MAX);
        let since = self.inner.clock.now() - at;
        if since < quiet {
            let rest = (quiet - since).num_seconds().max(1);
            let message = format!("{} (it was refused just now and is not tried again for {rest} s)", error.message);
            return Err(ApiError { message, ..error.clone() });
        }
        *refused = None;
        Ok(())
    }

    fn remember_refusal(&self, error: &ApiError) {
        if error.kind != ErrorKind::BadKey {
            return;
        }
        let mut refused = self.inner.refused.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *refused = Some(Refused { at: self.inner.clock.now(), error: error.clone() });
    }

    /// Differs from one limited call to the next, from 0 to below 1.
    fn spread(&self, error: &ApiError) -> f64 {
        const PARTS: u32 = 16;
        if !matches!(error.kind, ErrorKind::RateLimited { .. }) {
            return 0.0;
        }
        let count = self.inner.limited.fetch_add(1, Ordering::Relaxed) % u64::from(PARTS);
        f64::from(u32::try_from(count).unwrap_or(0)) / f64::from(PARTS)
    }
}

fn builder(headers: HeaderMap) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .default_headers(headers)
        .user_agent(concat!("threadbox/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        // A redirect would carry the credential elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        // Gateways on the way drop silent connections after about a minute.
        .pool_idle_timeout(Duration::from_secs(30))
}

fn headers(credential: &Credential) -> Result<HeaderMap, ApiError> {
    let bad = |what: &str| ApiError::own(ErrorKind::BadKey, format!("{what} has characters that cannot be sent"));
    let mut headers = HeaderMap::new();
    let organization = match credential {
        Credential::Key(_) => None,
        Credential::Jwt { organization, .. } => Some(organization),
    };
    let mut bearer =
        HeaderValue::from_str(&format!("Bearer {}", credential.secret().expose_secret())).map_err(|_| bad("the key or token"))?;
    bearer.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, bearer);
    if let Some(organization) = organization {
        headers.insert(ORGANIZATION, HeaderValue::from_str(organization).map_err(|_| bad("the organization's id"))?);
    }
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert("x-daytona-source", HeaderValue::from_static("threadbox"));
    headers.insert("x-daytona-sdk-version", HeaderValue::from_static(SDK_VERSION));
    Ok(headers)
}

async fn with_body(request: reqwest::RequestBuilder, body: &Body) -> Result<reqwest::RequestBuilder, ApiError> {
    Ok(match body {
        // Some gateways refuse a POST that does not say that it has no body.
        Body::Empty => request.header(header::CONTENT_LENGTH, 0),
        Body::Json(text) => request.header(header::CONTENT_TYPE, "application/json").body(text.clone()),
        Body::Raw(content) => {
            let (body, length) = content_body(content).await?;
            request.header(header::CONTENT_TYPE, "application/octet-stream").header(header::CONTENT_LENGTH, length).body(body)
        }
        Body::Multipart(parts) => {
            let mut form = multipart::Form::new();
            for part in parts {
                form = form.part(part.name.clone(), form_part(part).await?);
            }
            request.multipart(form)
        }
    })
}

async fn form_part(part: &Part) -> Result<multipart::Part, ApiError> {
    let (body, length) = content_body(&part.content).await?;
    let made = multipart::Part::stream_with_length(body, length);
    Ok(match &part.file_name {
        Some(name) => made.file_name(name.clone()),
        None => made,
    })
}

async fn content_body(content: &Content) -> Result<(reqwest::Body, u64), ApiError> {
    let path = match content {
        Content::Bytes(bytes) => return Ok((bytes.clone().into(), bytes.len() as u64)),
        Content::File(path) => path,
    };
    let unreadable =
        |error: std::io::Error| ApiError::own(ErrorKind::Invalid, format!("{} cannot be read: {error}", path.display()));
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let length = file.metadata().await.map_err(unreadable)?.len();
    // No longer than announced, even if it grows meanwhile.
    let pieces = futures::stream::try_unfold(file.take(length), |mut file| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        let count = file.read_buf(&mut piece).await?;
        Ok::<_, std::io::Error>((count > 0).then(|| (piece.freeze(), file)))
    });
    Ok((reqwest::Body::wrap_stream(pieces), length))
}

/// Reads at most `limit` bytes; false when there was more.
async fn read(answer: reqwest::Response, limit: usize) -> Result<(Bytes, bool), ApiError> {
    let mut body = BytesMut::new();
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| ApiError::own(ErrorKind::Lost, format!("the answer broke off: {}", causes(&error))))?;
        let room = limit - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            return Ok((body.freeze(), false));
        }
    }
    Ok((body.freeze(), true))
}

/// Only a connection that was never made is proof that nothing arrived.
fn not_answered(error: reqwest::Error) -> ApiError {
    let error = error.without_url();
    if error.is_connect() {
        return ApiError::own(ErrorKind::Unreachable, format!("no connection: {}", causes(&error)));
    }
    if error.is_builder() {
        return ApiError::own(ErrorKind::Invalid, causes(&error));
    }
    ApiError::own(ErrorKind::Lost, format!("no answer: {}", causes(&error)))
}

/// The innermost cause, which is what people can act on.
fn causes(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The longest of `Retry-After` and `Retry-After-<bucket>`, in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let named = headers.iter().filter(|(name, _)| name.as_str() == "retry-after" || name.as_str().starts_with("retry-after-"));
    let seconds = named.filter_map(|(_, value)| value.to_str().ok()?.trim().parse::<f64>().ok());
    let longest = seconds.filter(|seconds| (0.0..=86_400.0).contains(seconds)).max_by(f64::total_cmp)?;
    Some(Duration::from_secs_f64(longest))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_say_when_to_come_back_are_read() {
        let after = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            retry_after(&headers.collect()).map(|after| after.as_secs())
        };
        assert_eq!(after(&[("retry-after", "3")]), Some(3));
        assert_eq!(after(&[("retry-after-sandbox-create", "7"), ("retry-after", "2")]), Some(7));
        assert_eq!(after(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]), None);
        assert_eq!(after(&[("x-ratelimit-reset-sandbox-create", "9")]), None);
    }
}

//! Downloads by the service: through a few redirects, with our credential at GitHub's own address alone, never more than a limit.

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::Duration;

use axum::http::{StatusCode, header};
use url::Url;

use super::auth::{As, Pass};
use super::client::{Effect, Github};
use super::error::{GithubError, Refusal, exhausted_until};
use crate::secret::ExposeSecret;

/// A whole download, redirects included.
const TIME: Duration = Duration::from_secs(30);
const CONNECT_TIME: Duration = Duration::from_secs(4);
const MOST_REDIRECTS: usize = 4;
/// Of what is read to its end only to keep the last part.
const LONGEST_READ: u64 = 64 << 20;

/// What is kept of a longer answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Nothing: it is refused beyond this many bytes.
    Whole(usize),
    /// The last bytes.
    End(usize),
}

/// What is fetched.
pub(super) struct Order<'a> {
    pub url: Url,
    pub accept: &'static str,
    pub who: As<'a>,
    /// Whether the credential goes to this address, and whether the address may be asked at all. Each redirect is asked about.
    pub at: &'a (dyn Fn(&Url) -> At + Sync),
    pub keep: Keep,
}

/// What an address is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// GitHub's own: the credential goes there.
    Home,
    /// Asked without a credential.
    Open,
    /// Not asked.
    Closed,
}

/// What came.
#[derive(Debug)]
pub(super) struct Fetched {
    pub bytes: Vec<u8>,
    /// Bytes there are in all.
    pub size: u64,
}

/// Redirects are followed here, where it is decided who sees the credential. Connections are not kept: most are asked once.
static CLIENT: LazyLock<Result<reqwest::Client, String>> = LazyLock::new(|| {
    let client = reqwest::Client::builder()
        .user_agent("threadbox")
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIME)
        .timeout(TIME)
        .pool_max_idle_per_host(0)
        .build();
    client.map_err(|error| error.to_string())
});

impl Github {
    /// Fetches something by GET.
    ///
    /// # Errors
    /// As a call. `Invalid` when it is too large, redirected without end, or to where it may not be asked for.
    pub(super) async fn download(&self, order: Order<'_>) -> Result<Fetched, GithubError> {
        let late = |_| Err(GithubError::unavailable(Effect::None, format!("no download within {} s", TIME.as_secs())));
        tokio::time::timeout(TIME, self.follow(order)).await.unwrap_or_else(late)
    }

    async fn follow(&self, order: Order<'_>) -> Result<Fetched, GithubError> {
        let pass = self.pass(order.who).await?;
        let mut url = order.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.ask_at(&url, &order, &pass).await?;
            if answer.status().is_success() {
                return read(answer, order.keep).await;
            }
            if !answer.status().is_redirection() {
                return Err(self.refused(answer).await);
            }
            url = next(&url, &answer)?;
        }
        Err(GithubError::Invalid("it is redirected without end".into()))
    }

    async fn ask_at(&self, url: &Url, order: &Order<'_>, pass: &Pass) -> Result<reqwest::Response, GithubError> {
        let client = CLIENT.as_ref().map_err(|error| GithubError::Invalid(error.clone()))?;
        let mut request = client.get(url.clone()).header(header::ACCEPT, order.accept);
        match (order.at)(url) {
            At::Home => {
                self.gate_of(pass).admit(Effect::None, self.clock.now()).await?;
                request = request.bearer_auth(pass.token.expose_secret());
            }
            At::Open => {}
            At::Closed => {
                let host = url.host_str().unwrap_or_default();
                return Err(GithubError::Invalid(format!("it leads to {host}, which is none of GitHub's addresses for this")));
            }
        }
        request.send().await.map_err(|error| broken(&error))
    }

    async fn refused(&self, answer: reqwest::Response) -> GithubError {
        let headers = answer.headers().clone();
        let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
        const MOST: usize = 16 << 10;
        let body = read(answer, Keep::Whole(MOST)).await.map(|fetched| fetched.bytes).unwrap_or_default();
        let refusal = Refusal { status, headers: &headers, body: &body };
        let now = self.clock.now();
        match refusal.limited_until(now).or_else(|| exhausted_until(&headers)) {
            Some(until) => GithubError::RateLimited { until },
            None => GithubError::from_answer(&refusal, Effect::None, now),
        }
    }

    /// The address of a path of the API.
    pub(super) fn api_address(&self, path: &str) -> Result<Url, GithubError> {
        Url::parse(&format!("{}{path}", self.api_url())).map_err(|error| GithubError::Invalid(error.to_string()))
    }
}

async fn read(mut answer: reqwest::Response, keep: Keep) -> Result<Fetched, GithubError> {
    let (most, is_whole) = match keep {
        Keep::Whole(most) => (most, true),
        Keep::End(most) => (most, false),
    };
    let too_large = || GithubError::Invalid(format!("it is larger than {most} bytes"));
    if is_whole && answer.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let mut kept = VecDeque::new();
    let mut size = 0;
    while let Some(chunk) = answer.chunk().await.map_err(|error| broken(&error))? {
        size += chunk.len() as u64;
        if (is_whole && size > most as u64) || size > LONGEST_READ {
            return Err(too_large());
        }
        kept.extend(&chunk[chunk.len().saturating_sub(most)..]);
        let excess = kept.len().saturating_sub(most);
        kept.drain(..excess);
    }
    Ok(Fetched { bytes: kept.into(), size })
}

/// Where a redirect leads. Never from an encrypted address to an open one.
fn next(from: &Url, answer: &reqwest::Response) -> Result<Url, GithubError> {
    let location = answer.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let target = location.and_then(|location| from.join(location).ok());
    let target = target.ok_or_else(|| GithubError::Invalid("it is redirected to nowhere".into()))?;
    match (from.scheme(), target.scheme()) {
        (_, "https") | ("http", "http") => Ok(target),
        _ => Err(GithubError::Invalid("it is redirected to an address that is not encrypted".into())),
    }
}

/// Without the address, which may hold a short-lived token.
fn broken(error: &reqwest::Error) -> GithubError {
    let mut words = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    let words = if words.is_empty() { "the connection broke".to_owned() } else { words.join(": ") };
    GithubError::unavailable(Effect::None, words)
}

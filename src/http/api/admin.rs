//! Who may use the API: whoever has the admin token. Compared in constant time, by its digest; no cookies, so no page elsewhere can use
//! somebody's browser.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::{Failed, store};
use crate::http::Http;
use crate::secret::{ExposeSecret, SecretString, secret};

/// Wrong tokens that are looked at in a minute; more are turned away. The right one is let in whoever else guesses: it is too long to
/// be guessed at any rate, and nobody can lock its owner out.
const MOST_FAILURES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// The admin token as far as this process knows it.
#[derive(Debug, Default)]
pub struct Admin {
    /// Of the token in the settings; none for the one in the database.
    digest: Option<[u8; 32]>,
    failures: Mutex<Option<(Instant, u32)>>,
}

impl Admin {
    /// With the token of the settings, else the one that was made at the first start.
    pub fn new(token: Option<&SecretString>) -> Self {
        Self { digest: token.map(|token| digest_of(token.expose_secret())), failures: Mutex::default() }
    }

    async fn admits(&self, pool: &PgPool, token: &str) -> Result<bool, sqlx::Error> {
        let given = digest_of(token);
        match &self.digest {
            Some(digest) => Ok(verify_slices_are_equal(&given, digest).is_ok()),
            None => Ok(store::digest(pool).await?.is_some_and(|digest| verify_slices_are_equal(&given, &digest).is_ok())),
        }
    }

    /// Counts a wrong token. False when there were too many in the last minute.
    fn counts_failure(&self) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let (began, count) = failures.filter(|(began, _)| now.duration_since(*began) < WINDOW).unwrap_or((now, 0));
        *failures = Some((began, count.saturating_add(1)));
        count < MOST_FAILURES
    }
}

fn digest_of(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Makes the admin token of this deployment, once: none when there is one already. Only its digest is kept.
///
/// # Errors
/// As the database.
pub async fn first_token(pool: &PgPool) -> Result<Option<SecretString>, sqlx::Error> {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).expect("the system gives random bytes");
    let token = format!("tba_{}", hex::encode(random));
    Ok(store::keep(pool, &digest_of(&token)).await?.then(|| secret(token)))
}

/// Lets requests with the token pass.
pub(super) async fn check(State(http): State<Http>, request: Request, next: Next) -> Response {
    let mut response = match token_of(request.headers()) {
        Some(token) => match http.admin.admits(&http.pool, token).await {
            Ok(true) => next.run(request).await,
            Ok(false) => refused(&http.admin, "the admin token is wrong"),
            Err(error) => Failed::database(&error).into_response(),
        },
        None => refused(&http.admin, "send the admin token: `Authorization: Bearer <token>`"),
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn token_of(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn refused(admin: &Admin, why: &str) -> Response {
    if admin.counts_failure() {
        return ([(WWW_AUTHENTICATE, "Bearer realm=\"threadbox\"")], Failed::new(StatusCode::UNAUTHORIZED, why)).into_response();
    }
    tracing::warn!("many wrong admin tokens");
    let why = "too many wrong tokens; wait a minute";
    ([(RETRY_AFTER, "60")], Failed::new(StatusCode::TOO_MANY_REQUESTS, why)).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_token_is_a_bearers() {
        let header = |text: &str| HeaderMap::from_iter([(AUTHORIZATION, text.parse().unwrap())]);
        assert_eq!(token_of(&header("Bearer abc")), Some("abc"));
        assert_eq!(token_of(&header("bearer  abc ")), Some("abc"));
        for wrong in ["Basic abc", "abc", "Bearerabc"] {
            assert_eq!(token_of(&header(wrong)), None, "{wrong}");
        }
        assert_eq!(token_of(&HeaderMap::new()), None);
    }

    #[test]
    fn wrong_tokens_are_counted() {
        let admin = Admin::new(None);
        let seen = (0..=MOST_FAILURES).filter(|_| admin.counts_failure()).count();
        assert_eq!(seen, MOST_FAILURES as usize);
    }
}

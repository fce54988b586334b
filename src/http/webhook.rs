//! `POST /webhooks/github`: answered 2xx only for what is on disk.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{Http, signature};
use crate::github;
use crate::intake::Accepted;

/// GitHub's own limit for a payload.
const LARGEST: usize = 25 * 1024 * 1024;
/// How much of a body that is too large is read, so that its sender sees the answer instead of a closed connection.
const DRAINED: usize = 2 * LARGEST;
/// Large bodies that are read at once: anybody can send one, and it is in memory before its signature can be checked.
static LARGE_BODIES: Semaphore = Semaphore::const_new(4);
/// A large body is let in as long as it comes at this rate, so that nobody holds a place for nothing...
const SLOWEST: usize = 1024 * 1024;
/// ...from then on.
const GRACE: Duration = Duration::from_millis(1500);
/// Above this the signature is computed off the async threads.
const SMALL: usize = 256 * 1024;
/// GitHub hangs up after ten seconds; then it is better to have said "later".
const PATIENCE: Duration = Duration::from_secs(8);

/// A refusal with its status and what the sender reads.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

fn refused(status: StatusCode, why: impl Into<String>) -> Refused {
    Refused(status, why.into())
}

pub(super) async fn receive_github(State(http): State<Http>, headers: HeaderMap, body: Body) -> Response {
    match receive(&http, &headers, body).await {
        Ok(response) => response,
        Err(refusal) => {
            tracing::info!(status = refusal.0.as_u16(), reason = refusal.1, "webhook refused");
            refusal.into_response()
        }
    }
}

async fn receive(http: &Http, headers: &HeaderMap, body: Body) -> Result<Response, Refused> {
    let slow = |_| refused(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time");
    let reading = async {
        if body_is_small(headers) {
            return read(body.into_data_stream(), None).await;
        }
        let _room = LARGE_BODIES.acquire().await;
        read(body.into_data_stream(), Some(Instant::now())).await
    };
    let body = tokio::time::timeout(PATIENCE, reading).await.map_err(slow)??;
    verify(http, headers, body.clone()).await?;
    let name = header(headers, "x-github-event")?;
    let delivery = header(headers, "x-github-delivery")?;
    let inbound =
        github::parse(name, delivery, &body, &http.name).map_err(|error| refused(StatusCode::BAD_REQUEST, error.to_string()))?;
    let accepted = tokio::time::timeout(PATIENCE, http.intake.accept(inbound)).await;
    match accepted {
        Ok(Ok(accepted)) => Ok(answer(name, delivery, &accepted)),
        Ok(Err(error)) => {
            tracing::error!(delivery.id = delivery, %error, "cannot store a delivery");
            Err(refused(StatusCode::SERVICE_UNAVAILABLE, "cannot store the delivery now; deliver it again"))
        }
        Err(_) => Err(refused(StatusCode::SERVICE_UNAVAILABLE, "the database is too slow now; deliver it again")),
    }
}

fn answer(event: &str, delivery: &str, accepted: &Accepted) -> Response {
    match accepted {
        Accepted::Stored { thread, sequence } => {
            tracing::info!(delivery.id = delivery, event, thread.id = %thread, inbox.sequence = sequence, "accepted");
            let body = json!({ "status": "accepted", "thread": thread, "sequence": sequence });
            (StatusCode::ACCEPTED, Json(body)).into_response()
        }
        Accepted::Noted(what) => (StatusCode::ACCEPTED, Json(json!({ "status": "accepted", "reason": what }))).into_response(),
        Accepted::Duplicate => {
            (StatusCode::OK, Json(json!({ "status": "known", "reason": "it was accepted before" }))).into_response()
        }
        Accepted::Nothing(why) => (StatusCode::OK, Json(json!({ "status": "ignored", "reason": why }))).into_response(),
    }
}

/// When a body of which so much was seen must go on.
fn deadline(began: Instant, seen: usize) -> Instant {
    let millis = seen.saturating_mul(1000) / SLOWEST;
    began + GRACE + Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)).min(PATIENCE)
}

/// Reads the body up to the limit; of a larger one a bounded rest is read and thrown away. One that has a place since `paced` must not be
/// slower than the rate.
async fn read(mut stream: BodyDataStream, paced: Option<Instant>) -> Result<Bytes, Refused> {
    let mut body = BytesMut::new();
    let mut seen = 0_usize;
    loop {
        let next = match paced {
            None => stream.next().await,
            Some(began) => tokio::time::timeout_at(deadline(began, seen), stream.next())
                .await
                .map_err(|_| refused(StatusCode::REQUEST_TIMEOUT, "the body arrives too slowly"))?,
        };
        let Some(chunk) = next else { break };
        let chunk = chunk.map_err(|_| refused(StatusCode::BAD_REQUEST, "the body could not be read"))?;
        seen = seen.saturating_add(chunk.len());
        if seen > DRAINED {
            break;
        }
        if seen <= LARGEST {
            body.extend_from_slice(&chunk);
        } else {
            body = BytesMut::new();
        }
    }
    if seen > LARGEST {
        return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "a webhook holds at most 25 MiB"));
    }
    Ok(body.freeze())
}

/// Checks the signature of the raw bytes, before anything is parsed.
async fn verify(http: &Http, headers: &HeaderMap, body: Bytes) -> Result<(), Refused> {
    let header = headers.get("x-hub-signature-256").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let secrets = http.webhook_secrets.clone();
    let check = move || signature::verify(&secrets, &body, header.as_deref());
    let verified = if body_is_small(headers) {
        check()
    } else {
        let joined = tokio::task::spawn_blocking(check).await;
        joined.map_err(|_| refused(StatusCode::SERVICE_UNAVAILABLE, "cannot check the signature now; deliver it again"))?
    };
    verified.map_err(|error| refused(StatusCode::UNAUTHORIZED, error.to_string()))
}

fn body_is_small(headers: &HeaderMap) -> bool {
    let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    length.is_some_and(|length| length <= SMALL)
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Refused> {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty());
    value.ok_or_else(|| refused(StatusCode::BAD_REQUEST, format!("the header {name} is missing: this is not a webhook")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;

    use super::*;

    /// So many KiB every tenth of a second.
    fn drip(kib: usize, chunks: usize) -> BodyDataStream {
        let chunks = stream::iter(0..chunks).then(move |_| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok::<_, Infallible>(Bytes::from(vec![b'x'; kib << 10]))
        });
        Body::from_stream(chunks).into_data_stream()
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_has_a_place_only_while_it_arrives() {
        let began = Instant::now();
        let silent =
            read(Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()).into_data_stream(), Some(began)).await;
        assert_eq!((silent.unwrap_err().0, began.elapsed()), (StatusCode::REQUEST_TIMEOUT, GRACE));
        let began = Instant::now();
        let slow = read(drip(10, 1000), Some(began)).await;
        assert_eq!(slow.unwrap_err().0, StatusCode::REQUEST_TIMEOUT);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert_eq!(read(drip(200, 50), Some(Instant::now())).await.unwrap_or_default().len(), 10_000 << 10);
        assert_eq!(read(drip(10, 30), None).await.unwrap_or_default().len(), 300 << 10, "without a place it takes its time");
    }
}

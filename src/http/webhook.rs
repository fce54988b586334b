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

use super::{Http, signature};
use crate::github;
use crate::intake::Accepted;

/// GitHub's own limit for a payload.
const LARGEST: usize = 25 * 1024 * 1024;
/// How much of a body that is too large is read, so that its sender sees the answer instead of a closed connection.
const DRAINED: usize = 2 * LARGEST;
/// Large bodies that are read at once: anybody can send one, and it is in memory before its signature can be checked.
static LARGE_BODIES: Semaphore = Semaphore::const_new(4);
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
        let _room = if body_is_small(headers) { None } else { LARGE_BODIES.acquire().await.ok() };
        read(body.into_data_stream()).await
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

/// Reads the body up to the limit; of a larger one a bounded rest is read and thrown away.
async fn read(mut stream: BodyDataStream) -> Result<Bytes, Refused> {
    let mut body = BytesMut::new();
    let mut seen = 0_usize;
    while let Some(chunk) = stream.next().await {
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

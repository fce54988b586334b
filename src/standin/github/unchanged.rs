//! Conditional requests: every answer to a GET has a tag, and whoever shows the same tag again is told that nothing changed.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// Answers are made in memory; this is beyond any of them.
const LARGEST_ANSWER: usize = 256 * 1024 * 1024;

pub(super) async fn unless_changed(answer: Response, condition: Option<&HeaderValue>) -> Response {
    if answer.status() != StatusCode::OK {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_ANSWER).await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let tag = format!("W/\"{}\"", hex::encode(Sha256::digest(&body)));
    let strong = tag.trim_start_matches("W/");
    let shown = condition.and_then(|condition| condition.to_str().ok()).unwrap_or_default();
    let same = shown.split(',').any(|one| one.trim().trim_start_matches("W/") == strong || one.trim() == "*");
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    if !same {
        return Response::from_parts(parts, Body::from(body));
    }
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    Response::from_parts(parts, Body::empty())
}

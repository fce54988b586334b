//! How the daemon says no: typed JSON as the hosted one, or as 0.190 with nothing at all where files are concerned.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::super::DaemonVersion;
use super::Daemon;
use crate::clock::{Clock, SystemClock};

/// An answer that is not a success.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    status: StatusCode,
    code: &'static str,
    pub message: String,
}

/// What handlers return.
pub(super) type Answer<T = Response> = Result<T, Trouble>;

impl Trouble {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "CONFLICT", message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", message)
    }

    /// A file operation that failed.
    pub fn file(path: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let (status, code) = match error.kind() {
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "FILE_NOT_FOUND"),
            ErrorKind::PermissionDenied => (StatusCode::FORBIDDEN, "FILE_ACCESS_DENIED"),
            _ => (StatusCode::BAD_REQUEST, "INVALID_FILE_PATH"),
        };
        Self::new(status, code, format!("{path}: {error}"))
    }

    /// Its status and, for the parts of a multipart answer, its body.
    pub fn part(&self) -> serde_json::Value {
        json!({"error": self.message, "message": self.message, "statusCode": self.status.as_u16(), "code": self.code})
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives a [`Trouble`] the body this version gives.
pub(super) async fn dress(State(daemon): State<Arc<Daemon>>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let Some(trouble) = response.extensions_mut().remove::<Trouble>() else { return response };
    let mut body = json!({
        "statusCode": trouble.status.as_u16(),
        "message": trouble.message,
        "code": trouble.code,
        "timestamp": SystemClock.now().to_rfc3339(),
        "path": path,
        "method": method.as_str(),
    });
    match daemon.version {
        DaemonVersion::V0_190 if path.starts_with("/files") => {
            response.headers_mut().remove(header::CONTENT_TYPE);
            *response.body_mut() = Body::empty();
            response
        }
        DaemonVersion::V0_190 => {
            body["code"] = json!(generic(trouble.status));
            (trouble.status, Json(body)).into_response()
        }
        DaemonVersion::Hosted => {
            body["source"] = json!("DAYTONA_DAEMON");
            (trouble.status, Json(body)).into_response()
        }
    }
}

fn generic(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "BAD_REQUEST",
        StatusCode::NOT_FOUND => "NOT_FOUND",
        StatusCode::REQUEST_TIMEOUT => "REQUEST_TIMEOUT",
        StatusCode::CONFLICT => "CONFLICT",
        StatusCode::GONE => "GONE",
        _ => "INTERNAL_SERVER_ERROR",
    }
}

/// Reads a JSON body.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Answer<T> {
    serde_json::from_slice(body)
        .map_err(|error| Trouble::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST_BODY", format!("invalid request body: {error}")))
}

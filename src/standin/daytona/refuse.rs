//! How this Daytona says no: the control plane in one shape, the proxy in another, or with nothing at all.

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Shared;

/// An answer that is not a success.
#[derive(Clone, Debug)]
pub(super) struct Refuse {
    status: StatusCode,
    message: String,
    headers: Vec<(String, String)>,
    /// Nothing but the status.
    empty: bool,
}

/// What handlers return.
pub(super) type Answer<T = Response> = Result<T, Refuse>;

impl Refuse {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), headers: Vec::new(), empty: false }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn not_found(sandbox: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("Sandbox with ID or name {sandbox} not found"))
    }

    /// What a proxy says that cannot reach what is behind it.
    pub fn bad_gateway() -> Self {
        Self { empty: true, ..Self::new(StatusCode::BAD_GATEWAY, "") }
    }

    /// What the proxy says of a sandbox that does not run.
    pub fn no_address() -> Self {
        Self::bad_request("bad request: no IP address found. Is the Sandbox started?")
    }

    /// What the proxy says of a sandbox that is on no runner.
    pub fn no_container() -> Self {
        Self::new(StatusCode::NOT_FOUND, "sandbox container not found")
    }

    pub fn header(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.headers.push((name.into(), value.to_string()));
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Refuse {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives a [`Refuse`] the body of whoever says it.
pub(super) async fn dress(
    axum::extract::State(shared): axum::extract::State<std::sync::Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let Some(refuse) = response.extensions_mut().remove::<Refuse>() else { return response };
    let timestamp = shared.clock.now().to_rfc3339();
    let reason = refuse.status.canonical_reason().unwrap_or_default();
    let mut body = if path.starts_with("/toolbox/") {
        let code = reason.to_ascii_uppercase().replace(' ', "_");
        json!({"statusCode": refuse.status.as_u16(), "message": refuse.message, "code": code, "timestamp": timestamp,
               "path": path, "method": method.as_str(), "source": "DAYTONA_PROXY"})
    } else {
        json!({"path": path, "timestamp": timestamp, "statusCode": refuse.status.as_u16(), "error": reason,
               "message": refuse.message})
    };
    if body.get("method").is_none() {
        body["source"] = json!("DAYTONA_API");
    }
    let mut answer = if refuse.empty { Response::new(Body::empty()) } else { Json(body).into_response() };
    *answer.status_mut() = refuse.status;
    for (name, value) in refuse.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

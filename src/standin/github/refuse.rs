//! How this GitHub says no, in GitHub's words.

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde_json::{Value, json};

/// An answer that is not a success.
#[derive(Debug)]
pub(super) struct Refuse {
    status: StatusCode,
    message: String,
    errors: Option<Box<Value>>,
    headers: Vec<(&'static str, HeaderValue)>,
}

impl Refuse {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), errors: None, headers: Vec::new() }
    }

    pub fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    /// What an App hears that lacks a permission; `accepted` names those that would do, such as `issues=write`.
    pub fn not_accessible(accepted: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Resource not accessible by integration")
            .header("x-accepted-github-permissions", accepted)
    }

    pub fn unprocessable(message: &str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub fn field(resource: &str, field: &str, message: &str) -> Self {
        let mut refuse = Self::unprocessable("Validation Failed");
        refuse.errors =
            Some(Box::new(json!([{"resource": resource, "code": "unprocessable", "field": field, "message": message}])));
        refuse
    }

    /// A refusal whose errors are plain sentences, as those of reviews are.
    pub fn reasons(reasons: &[String]) -> Self {
        let mut refuse = Self::unprocessable("Unprocessable Entity");
        refuse.errors = Some(Box::new(json!(reasons)));
        refuse
    }

    /// A refusal about a field, in the words of the thing itself.
    pub fn custom(resource: &str, field: &str, message: &str) -> Self {
        Self::validation(resource, "custom", Some(field), Some(message))
    }

    /// The longer kind of `Validation Failed`, in which every part but the code may be missing.
    pub fn validation(resource: &str, code: &str, field: Option<&str>, message: Option<&str>) -> Self {
        let mut error = json!({"resource": resource, "code": code});
        for (name, value) in [("field", field), ("message", message)] {
            if let Some(value) = value {
                error[name] = value.into();
            }
        }
        let mut refuse = Self::unprocessable("Validation Failed");
        refuse.errors = Some(Box::new(json!([error])));
        refuse
    }

    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            self.headers.push((name, value));
        }
        self
    }
}

impl IntoResponse for Refuse {
    fn into_response(self) -> Response {
        let mut body = json!({
            "message": self.message,
            "documentation_url": "https://docs.github.com/rest",
            "status": self.status.as_str(),
        });
        if let Some(errors) = self.errors {
            body["errors"] = *errors;
        }
        (self.status, AppendHeaders(self.headers), Json(body)).into_response()
    }
}

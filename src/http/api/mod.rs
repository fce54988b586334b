//! `/api/v1`: what is kept, for whoever runs the service. JSON in and out, with the admin token; described at `/api/openapi.json`.

mod admin;
mod memory;
mod recall;
mod store;

pub use admin::{Admin, first_token};

use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router, middleware};
use serde_json::json;

use super::Http;

/// What there is, for programs.
const OPENAPI: &str = include_str!("openapi.json");

/// The routes below `/api`.
pub(super) fn router(http: &Http) -> Router<Http> {
    let guarded = Router::new()
        .route("/threads", get(memory::list))
        .route("/threads/{id}", get(memory::thread).delete(memory::forget_thread))
        .route("/threads/{id}/messages", get(memory::messages))
        .route("/threads/{id}/export", get(memory::export_thread))
        .route("/recall", get(recall::find))
        .route("/people/{surface}/{who}", get(memory::person).delete(memory::forget_person))
        .route("/people/{surface}/{who}/export", get(memory::export_person))
        .route("/owners/{owner}", get(memory::owner).delete(memory::forget_owner))
        .route("/owners/{owner}/export", get(memory::export_owner))
        // A route, not a fallback: those of routers within routers are not asked.
        .route(
            "/{*rest}",
            any(async || Failed::new(StatusCode::NOT_FOUND, "there is no such address; /api/openapi.json lists them")),
        )
        .method_not_allowed_fallback(async |method: Method, request: Request| {
            Failed::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} means nothing at {}", request.uri().path()))
        })
        .layer(middleware::from_fn_with_state(http.clone(), admin::check));
    Router::new().route("/openapi.json", get(async || ([(CONTENT_TYPE, "application/json")], OPENAPI))).nest("/v1", guarded)
}

/// An answer that is none, with what to do about it.
#[derive(Debug)]
struct Failed(StatusCode, String);

impl Failed {
    fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self(status, why.into())
    }

    fn database(error: &sqlx::Error) -> Self {
        // Class 22: a value that no table can hold, such as a text with a zero byte.
        if error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code.starts_with("22")) {
            return Self::new(StatusCode::BAD_REQUEST, "one of the values cannot be looked for");
        }
        tracing::error!(%error, "the API cannot use the database");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer now; try again")
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::database(&error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn the_description_names_what_there_is() {
        let described: serde_json::Value = serde_json::from_str(super::OPENAPI).unwrap();
        let mut paths: Vec<&str> = described["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                "/api/v1/owners/{owner}",
                "/api/v1/owners/{owner}/export",
                "/api/v1/people/{surface}/{who}",
                "/api/v1/people/{surface}/{who}/export",
                "/api/v1/recall",
                "/api/v1/threads",
                "/api/v1/threads/{id}",
                "/api/v1/threads/{id}/export",
                "/api/v1/threads/{id}/messages",
            ]
        );
    }
}

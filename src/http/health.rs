//! `/healthz` says that the process answers, `/readyz` that it could do its job now.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Http;
use crate::db;

const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// 200 when the database answers and has our tables; 503 with the reason otherwise.
pub(super) async fn ready(State(http): State<Http>) -> (StatusCode, Json<Value>) {
    let problem = match tokio::time::timeout(PATIENCE, db::is_migrated(&http.pool)).await {
        Ok(Ok(true)) => None,
        Ok(Ok(false)) => Some("the database lacks migrations; run `threadbox migrate`"),
        Ok(Err(_)) | Err(_) => Some("the database does not answer"),
    };
    let status = if problem.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": problem.is_none(), "problem": problem, "surfaces": *http.surfaces })))
}

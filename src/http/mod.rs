//! HTTP: signed webhooks in, the files of answers out, the API, and the questions a supervisor asks.

pub mod api;
mod attachment;
mod health;
pub mod signature;
mod webhook;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use sqlx::PgPool;

use crate::clock::Clock;
use crate::intake::Intake;
use crate::memory::recall::Recall;
use crate::reply::Redactor;
use crate::secret::SecretString;

/// What the handlers work with.
#[derive(Clone)]
pub struct Http {
    /// The database.
    pub pool: PgPool,
    /// The mention handle.
    pub name: Arc<str>,
    /// Secrets a webhook may be signed with; empty where GitHub is off.
    pub webhook_secrets: Arc<[SecretString]>,
    /// Parts that are on, for `/readyz`.
    pub surfaces: Arc<[&'static str]>,
    /// Makes deliveries ours.
    pub intake: Intake,
    /// Who may use the API.
    pub admin: Arc<api::Admin>,
    /// What memory finds.
    pub recall: Recall,
    /// Keeps credentials from whoever embeds a question.
    pub redactor: Arc<Redactor>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// All routes.
pub fn router(http: Http) -> Router {
    Router::new()
        .route("/webhooks/github", post(webhook::receive_github))
        .route("/attachments/{token}/{name}", get(attachment::fetch))
        .nest("/api", api::router(&http))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(http)
}

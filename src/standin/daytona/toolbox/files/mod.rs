//! `/files`: what clients do with files without a shell.

mod change;
mod download;
mod info;
mod search;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use serde::Deserialize;

use super::trouble::{Answer, Trouble};
use super::{Daemon, DaemonVersion};

pub(super) fn routes(version: DaemonVersion) -> Router<Arc<Daemon>> {
    let routes = Router::new()
        .route("/files", get(info::list).delete(change::delete))
        .route("/files/info", get(info::info))
        .route("/files/download", get(download::one))
        .route("/files/bulk-download", post(download::many))
        .route("/files/bulk-upload", post(upload::many))
        .route("/files/folder", post(change::folder))
        .route("/files/move", post(change::rename))
        .route("/files/permissions", post(change::permissions))
        .route("/files/find", get(search::find))
        .route("/files/search", get(search::search))
        .route("/files/replace", post(search::replace));
    match version {
        DaemonVersion::V0_190 => routes,
        DaemonVersion::Hosted => routes.route("/files/upload-v2", post(upload::one)),
    }
}

/// The query of most calls.
#[derive(Deserialize)]
struct At {
    #[serde(default)]
    path: String,
}

/// A path that must be given.
fn required(path: &str) -> Answer<&str> {
    if path.is_empty() { Err(Trouble::bad_request("path is required")) } else { Ok(path) }
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Trouble::internal(error.to_string())),
    }
}

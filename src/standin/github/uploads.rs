//! What people put into comments: pictures and files under addresses of the pages, not of the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;

use super::auth::{Actor, random};
use super::refuse::Refuse;
use super::{GithubStandin, Shared, Visibility};

/// Uploads by their path.
pub(super) type Uploads = BTreeMap<String, Upload>;

/// Something that was put into a comment.
#[derive(Clone, Debug)]
pub(super) enum Upload {
    /// A file; private ones are shown to accounts only.
    File { content: Bytes, visibility: Visibility },
    /// An address that leads elsewhere.
    Redirect(String),
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/user-attachments/{*path}", get(serve))
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Refuse> {
    let upload = shared.with(|world| world.uploads.get(uri.path()).cloned()).ok_or_else(Refuse::not_found)?;
    match upload {
        Upload::File { visibility: Visibility::Private, .. } if matches!(actor, Actor::Nobody) => Err(Refuse::not_found()),
        Upload::File { content, .. } => Ok(([(header::CONTENT_TYPE, "application/octet-stream")], content).into_response()),
        Upload::Redirect(to) => Ok((StatusCode::FOUND, [(header::LOCATION, to)]).into_response()),
    }
}

impl GithubStandin {
    /// Somebody puts a picture into a comment; returns its address.
    pub fn upload_picture(&self, content: impl Into<Bytes>, visibility: Visibility) -> String {
        let path = format!("/user-attachments/assets/{}", random());
        self.keep(path, Upload::File { content: content.into(), visibility })
    }

    /// Somebody puts a file into a comment; returns its address.
    pub fn upload_file(&self, name: &str, content: impl Into<Bytes>, visibility: Visibility) -> String {
        let number = self.shared.with(|world| world.uploads.len()) + 1;
        let path = format!("/user-attachments/files/{number}/{name}");
        self.keep(path, Upload::File { content: content.into(), visibility })
    }

    /// An address of an upload that leads elsewhere.
    pub fn upload_that_leads_to(&self, address: &str) -> String {
        self.keep(format!("/user-attachments/assets/{}", random()), Upload::Redirect(address.to_owned()))
    }

    fn keep(&self, path: String, upload: Upload) -> String {
        let address = format!("{}{path}", self.shared.origin);
        self.shared.with(|world| world.uploads.insert(path, upload));
        address
    }
}

//! Addresses of files: signed, and good for a day. Whoever reads a message gets fresh ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};

use super::Shared;
use super::model::{Attachment, Id};
use super::world::World;

fn signature(path: &str, expires: &str) -> String {
    hex::encode(&Sha256::digest(format!("a file at {path} until {expires}"))[..16])
}

impl World {
    pub(super) fn file_url(&self, channel: Id, file: &Attachment) -> String {
        let name = percent_encoding::utf8_percent_encode(&file.name, percent_encoding::NON_ALPHANUMERIC).to_string();
        // Discord keeps these readable.
        let name = name.replace("%2E", ".").replace("%5F", "_").replace("%2D", "-");
        let path = format!("/attachments/{channel}/{}/{name}", file.id);
        let expires = format!("{:x}", (self.now() + TimeDelta::days(1)).timestamp());
        format!("{}{path}?ex={expires}&is={:x}&hm={}", self.origin, self.now().timestamp(), signature(&path, &expires))
    }
}

pub(super) async fn file(
    State(shared): State<Arc<Shared>>,
    Path((channel, id, _)): Path<(Id, Id, String)>,
    Query(query): Query<BTreeMap<String, String>>,
    uri: axum::http::Uri,
) -> Response {
    let gone = || (StatusCode::NOT_FOUND, "This content is no longer available.").into_response();
    let world = shared.lock();
    let expires = query.get("ex").map_or("", String::as_str);
    let until = i64::from_str_radix(expires, 16).unwrap_or(0);
    let signed = query.get("hm").is_some_and(|said| *said == signature(uri.path(), expires));
    if !signed || world.now().timestamp() >= until {
        return gone();
    }
    let file = world.messages(channel).flat_map(|message| &message.attachments).find(|file| file.id == id);
    let Some(file) = file else { return gone() };
    let kind = file.content_type.clone().unwrap_or_else(|| "application/octet-stream".into());
    ([(header::CONTENT_TYPE, kind)], file.bytes.clone()).into_response()
}

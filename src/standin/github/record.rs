//! Writing down every request and its answer, so that both can be checked against GitHub's published description.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};

const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// A file with one JSON object per line: `method`, `path` (without base path, repositories by name), `query`, `request`, `status`
/// and `answer`. Several stand-ins may append to one file.
pub(super) struct Recorder(File);

impl Recorder {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(file.with_context(|| format!("cannot write requests down at {}", path.display()))?))
    }

    /// Writes one request and its answer; the answer is given back as it was.
    pub async fn write(&self, method: &Method, uri: &Uri, request: &Bytes, answer: Response) -> anyhow::Result<Response> {
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, LARGEST_ANSWER).await?;
        let is_json =
            parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        let value = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
        let line = json!({"method": method.as_str(), "path": uri.path(), "query": uri.query(), "request": value(request),
            "status": parts.status.as_u16(), "answer": if is_json { value(&body) } else { Value::Null }});
        // In one piece, because others append to the same file.
        (&self.0).write_all(format!("{line}\n").as_bytes())?;
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

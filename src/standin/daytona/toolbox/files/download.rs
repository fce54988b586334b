//! Files on their way out: one with ranges, or many as parts of one answer.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::super::Daemon;
use super::super::trouble::{Answer, Trouble, read};
use super::{At, required};

const PIECE: u64 = 64 << 10;
const BOUNDARY: &str = "DAYTONA-FILE-BOUNDARY";

pub(super) async fn one(State(daemon): State<Arc<Daemon>>, Query(At { path }): Query<At>, headers: HeaderMap) -> Answer {
    let full = daemon.resolve(required(&path)?);
    let (mut file, size) = open(&full, &path).await?;
    let wanted = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let (status, from, until) = match range(wanted, size) {
        Range::Whole => (StatusCode::OK, 0, size),
        Range::Part(from, until) => (StatusCode::PARTIAL_CONTENT, from, until),
        Range::Unsatisfiable => {
            let nothing = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, nothing).into_response());
        }
    };
    file.seek(SeekFrom::Start(from)).await.map_err(|error| Trouble::file(&path, &error))?;
    let mut response = Body::from_stream(pieces(file, until - from)).into_response();
    *response.status_mut() = status;
    let name = full.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    out.insert(header::CONTENT_LENGTH, (until - from).into());
    if let Ok(value) = HeaderValue::from_str(&disposition("attachment", &name)) {
        out.insert(header::CONTENT_DISPOSITION, value);
    }
    if let (StatusCode::PARTIAL_CONTENT, Ok(value)) =
        (status, HeaderValue::from_str(&format!("bytes {from}-{}/{size}", until.saturating_sub(1))))
    {
        out.insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

async fn open(full: &Path, path: &str) -> Answer<(File, u64)> {
    let failed = |error: std::io::Error| Trouble::file(path, &error);
    // Looked at first: opening a pipe would wait for a writer.
    let metadata = tokio::fs::metadata(full).await.map_err(failed)?;
    if !metadata.is_file() {
        return Err(Trouble::new(StatusCode::BAD_REQUEST, "INVALID_FILE_PATH", format!("{path}: not a regular file")));
    }
    Ok((File::open(full).await.map_err(failed)?, metadata.len()))
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    /// From, and the first byte that is not wanted.
    Part(u64, u64),
    Unsatisfiable,
}

/// Reads a `Range` header with one range; what is not understood is ignored, as the standard says.
fn range(wanted: Option<&str>, size: u64) -> Range {
    let Some((first, last)) = wanted.and_then(|text| text.strip_prefix("bytes=")?.split_once('-')) else {
        return Range::Whole;
    };
    match (first.trim().parse::<u64>(), last.trim()) {
        (Ok(from), _) if from >= size => Range::Unsatisfiable,
        (Ok(from), "") => Range::Part(from, size),
        (Ok(from), last) => match last.parse::<u64>() {
            Ok(last) if last >= from => Range::Part(from, last.saturating_add(1).min(size)),
            _ => Range::Whole,
        },
        (Err(_), last) => match (first.trim(), last.parse::<u64>()) {
            ("", Ok(0)) => Range::Unsatisfiable,
            ("", Ok(count)) => Range::Part(size.saturating_sub(count), size),
            _ => Range::Whole,
        },
    }
}

/// At most `left` bytes of a file; fewer end the answer too early, so that the client notices.
fn pieces(file: File, left: u64) -> impl Stream<Item = std::io::Result<Bytes>> {
    stream::try_unfold((file, left), async |(mut file, left)| {
        if left == 0 {
            return Ok(None);
        }
        let mut buffer = vec![0; usize::try_from(left.min(PIECE)).unwrap_or_default()];
        let count = file.read(&mut buffer).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer.truncate(count);
        Ok(Some((Bytes::from(buffer), (file, left - count as u64))))
    })
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    paths: Vec<String>,
}

pub(super) async fn many(State(daemon): State<Arc<Daemon>>, body: Bytes) -> Answer {
    let Wanted { paths } = match read(&body) {
        Ok(wanted) => wanted,
        Err(error) => return Ok((StatusCode::BAD_REQUEST, Json(json!({"error": error.message}))).into_response()),
    };
    if paths.is_empty() {
        return Ok((StatusCode::BAD_REQUEST, Json(json!({"error": "request body must be {\"paths\": [ ... ]} and non-empty"})))
            .into_response());
    }
    let parts = stream::iter(paths).then(move |path| {
        let full = daemon.resolve(&path);
        part(full, path)
    });
    let end = stream::once(async { Ok(Bytes::from(format!("--{BOUNDARY}--\r\n"))) });
    let body = Body::from_stream(parts.flatten().chain(end));
    Ok(([(header::CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"))], body).into_response())
}

/// One part: the file, or the reason why not.
async fn part(full: PathBuf, path: String) -> stream::BoxStream<'static, std::io::Result<Bytes>> {
    let head = |name: &str, kind: &str, length: u64| {
        let disposition = disposition(&format!("form-data; name=\"{name}\""), &path);
        let text = format!(
            "--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\nContent-Length: {length}\r\nContent-Type: {kind}\r\n\r\n"
        );
        stream::once(async { Ok(Bytes::from(text)) })
    };
    let end = stream::once(async { Ok(Bytes::from_static(b"\r\n")) });
    match open(&full, &path).await {
        Ok((file, size)) => head("file", "application/octet-stream", size).chain(pieces(file, size)).chain(end).boxed(),
        Err(trouble) => {
            let text = trouble.part().to_string();
            let length = text.len() as u64;
            head("error", "application/json", length).chain(stream::once(async { Ok(Bytes::from(text)) })).chain(end).boxed()
        }
    }
}

/// With the name twice: as far as Latin letters go, and in full.
fn disposition(kind: &str, name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\') || c == ' ' { c } else { '_' }).collect();
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let full: String =
        name.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{full}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_mean_what_the_standard_says() {
        assert_eq!(range(None, 10), Range::Whole);
        assert_eq!(range(Some("bytes=3-"), 10), Range::Part(3, 10));
        assert_eq!(range(Some("bytes=0-0"), 10), Range::Part(0, 1));
        assert_eq!(range(Some("bytes=2-99"), 10), Range::Part(2, 10));
        assert_eq!(range(Some("bytes=-4"), 10), Range::Part(6, 10));
        assert_eq!(range(Some("bytes=10-"), 10), Range::Unsatisfiable);
        assert_eq!(range(Some("bytes=0-"), 0), Range::Unsatisfiable);
        assert_eq!(range(Some("lines=1-2"), 10), Range::Whole);
    }

    #[test]
    fn names_survive_in_full() {
        assert_eq!(disposition("attachment", "ä/b.txt"), "attachment; filename=\"_/b.txt\"; filename*=UTF-8''%C3%A4%2Fb.txt");
    }
}

//! Reads files through the toolbox, byte by byte as they are: parts of one by range, many whole ones at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap};
use serde::Serialize;

use super::multipart::{self, Part};
use super::toolbox::{Toolbox, Trouble};
use super::{ApiError, Base, Body, Call, ErrorKind, Response};
use crate::sandbox::SandboxError;

/// Least speed a transfer is expected to have, in bytes per second.
const SPEED: u64 = 1 << 20;
/// Time a transfer gets beside what its size needs.
const START: Duration = Duration::from_secs(20);
/// How often a part of a file is asked for.
const TRIES: u32 = 3;
/// Most that is read only to be thrown away, where a server cannot begin in the middle.
const MOST_SKIPPED: u64 = 64 << 20;

/// Deadline of a transfer of so many bytes.
pub(super) fn deadline(bytes: u64) -> Duration {
    START + Duration::from_secs(bytes / SPEED)
}

/// Part of a file and the size of the whole.
pub(super) struct Piece {
    pub bytes: Bytes,
    pub size: u64,
}

impl Toolbox {
    /// Reads at most `limit` bytes, more than none, from `offset` of a file. None when the file ends before that.
    pub(super) async fn download(&self, path: &str, offset: u64, limit: usize) -> Result<Option<Piece>, Trouble> {
        let answered = self
            .call_for_content(|base| {
                Call::get(base, &["files", "download"])
                    .query("path", path)
                    .range(offset, Some(limit as u64))
                    .limit(limit)
                    .deadline(deadline(limit as u64))
            })
            .await;
        let response = match answered {
            Ok(response) => response,
            Err(Trouble::Api(error)) if error.status == Some(416) => return Ok(None),
            Err(Trouble::Api(error)) if error.kind == ErrorKind::RouteMissing => {
                return self.download_from_start(path, offset, limit, Route::Bulk).await;
            }
            Err(trouble) => return Err(trouble),
        };
        match response.status {
            StatusCode::PARTIAL_CONTENT => {
                let (start, size) = content_range(&response.headers)
                    .filter(|(start, _)| *start == offset)
                    .ok_or_else(|| unreadable("a part of a file without its place in it"))?;
                debug_assert_eq!(start, offset);
                Ok(Some(Piece { bytes: response.body, size }))
            }
            _ if offset == 0 => Ok(Some(Piece { size: whole_size(&response)?, bytes: response.body })),
            _ => self.download_from_start(path, offset, limit, Route::Single).await,
        }
    }

    /// Reads the bytes of a range of a file that is surely a regular one; fewer when the file ends within it.
    pub(super) async fn download_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, Trouble> {
        let limit = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut tries = 1;
        loop {
            match self.download(path, range.start, limit).await {
                Ok(piece) => return Ok(piece.map(|piece| piece.bytes).unwrap_or_default()),
                Err(Trouble::Api(error)) if error.kind == ErrorKind::Lost && tries < TRIES => tries += 1,
                Err(trouble) => return Err(trouble),
            }
            // Brings the machine back when that was the reason.
            self.call(|base| Call::get(base, &["version"])).await?;
        }
    }

    /// For servers that cannot begin in the middle, within reason.
    async fn download_from_start(&self, path: &str, offset: u64, limit: usize, route: Route) -> Result<Option<Piece>, Trouble> {
        let end = offset.saturating_add(limit as u64);
        if offset > MOST_SKIPPED {
            let text =
                format!("{path}: this sandbox cannot read from the middle of a file that big; use a command such as `tail -c`");
            return Err(Trouble::Machine(SandboxError::Invalid(text)));
        }
        let most = usize::try_from(end).unwrap_or(usize::MAX);
        let (bytes, size) = match route {
            Route::Single => {
                let response = self
                    .call(|base| Call::get(base, &["files", "download"]).query("path", path).limit(most).deadline(deadline(end)))
                    .await?;
                let size = whole_size(&response)?;
                (response.body, size)
            }
            Route::Bulk => {
                let paths = [path];
                let mut files = self.bulk_download(&paths, most).await?;
                match files.remove(path) {
                    Some(Fetched::Whole(bytes)) => {
                        let size = bytes.len() as u64;
                        (bytes, size)
                    }
                    Some(Fetched::Part { bytes, size }) => (bytes, size),
                    Some(Fetched::Refused(error)) => return Err(error.into()),
                    None => return Err(unreadable("another file than the one that was asked for").into()),
                }
            }
        };
        if offset > 0 && offset >= size {
            return Ok(None);
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(Some(Piece { bytes: bytes.slice(start..bytes.len().min(most)), size }))
    }

    /// Reads files whole, one after the other, until about `most` bytes came; those that are missing in the answer did not fit any more.
    /// The first always has an entry.
    pub(super) async fn bulk_download(&self, paths: &[&str], most: usize) -> Result<BTreeMap<String, Fetched>, Trouble> {
        #[derive(Serialize)]
        struct Paths<'a> {
            paths: &'a [&'a str],
        }
        /// Room for the lines around each part.
        const AROUND: usize = 9 << 10;
        let limit = most.saturating_add(paths.len() * AROUND);
        let body: Body = Call::post(Base::Control, &[]).json(&Paths { paths })?.body;
        let response = self
            .call_for_content(|base| {
                Call::post(base, &["files", "bulk-download"]).body(body.clone()).limit(limit).deadline(deadline(limit as u64))
            })
            .await?;
        let kind = response.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let boundary = multipart::boundary(kind).ok_or_else(|| unreadable("files in an unknown shape"))?;
        let read = multipart::parse(&response.body, &boundary);
        if response.complete && !read.is_whole {
            let text = "the answer broke off within a file";
            return Err(ApiError { kind: ErrorKind::Lost, status: None, code: None, message: text.to_owned() }.into());
        }
        Ok(read.parts.into_iter().filter_map(|part| fetched(part, &response.body)).collect())
    }
}

enum Route {
    Single,
    Bulk,
}

/// What a bulk download brought for one path.
#[derive(Clone, Debug)]
pub(super) enum Fetched {
    /// All of it.
    Whole(Bytes),
    /// Its beginning, and the size it has in truth.
    Part { bytes: Bytes, size: u64 },
    /// Why not.
    Refused(ApiError),
}

fn fetched(part: Part, body: &Bytes) -> Option<(String, Fetched)> {
    let path = part.file_name?;
    let bytes = body.slice(part.content.clone());
    Some(match (part.name.as_str(), part.length) {
        ("error", _) => (path, Fetched::Refused(ApiError::from_answer(super::error::Speaker::Toolbox, 404, None, &bytes))),
        (_, Some(size)) if size > bytes.len() as u64 => (path, Fetched::Part { bytes, size }),
        _ if part.is_whole => (path, Fetched::Whole(bytes)),
        // Its end is not known, nor its size.
        _ => return None,
    })
}

/// Start of a part, and size of the whole.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, size) = text.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, size.trim().parse().ok()?))
}

/// Size of a file that was sent from its start.
fn whole_size(response: &Response) -> Result<u64, ApiError> {
    if response.complete {
        return Ok(response.body.len() as u64);
    }
    let said = response.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    said.ok_or_else(|| unreadable("a file without its size"))
}

fn unreadable(what: &str) -> ApiError {
    ApiError { kind: ErrorKind::Unreadable, status: None, code: None, message: format!("the toolbox sent {what}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn the_place_of_a_part_is_read() {
        let range = |text: &'static str| content_range(&HeaderMap::from_iter([(CONTENT_RANGE, HeaderValue::from_static(text))]));
        assert_eq!(range("bytes 5-9/100"), Some((5, 100)));
        assert_eq!(range("bytes */100"), None);
        assert_eq!(range("bytes 5-9/*"), None);
        assert_eq!(range("nonsense"), None);
    }
}

//! `GET /attachments/{token}/{name}`: a file of an answer, for whoever has its link. Nothing in it may act in a browser: pictures are shown,
//! everything else is saved.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::Http;
use crate::attachment::{self, store};

/// A file never changes, and is forgotten after thirty days.
const CACHING: &str = "public, max-age=2592000, immutable";
/// Of every file: each has an address of its own.
const VERSION: &str = "\"1\"";
/// Files that are in memory at once: anybody who has a link can ask for one, and read it slowly.
static AT_ONCE: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(16)));
/// How long a request waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long a file is kept for whoever reads it.
const LONGEST_READ: Duration = Duration::from_secs(120);
/// Handed on at once.
const PIECE: usize = 64 << 10;
/// What the extended form of a header parameter takes as it is.
const EXTENDED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) async fn fetch(
    State(http): State<Http>,
    Path((token, name)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    if !attachment::is_token(&token) {
        return missing();
    }
    let Ok(Ok(room)) = timeout(LONGEST_WAIT, Arc::clone(&AT_ONCE).acquire_owned()).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many files are read now; try again\n").into_response();
    };
    let found = match store::find(&http.pool, &token, &name).await {
        Ok(Some(found)) => found,
        Ok(None) => return missing(),
        Err(error) => {
            tracing::error!(%error, "cannot read an attachment");
            return (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer now; try again\n").into_response();
        }
    };
    let common = [(ETAG, VERSION), (CACHE_CONTROL, CACHING)];
    if is_known(&headers) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let length = found.content.len();
    let body = if method == Method::HEAD { Body::empty() } else { handed_on(found.content.into(), room, LONGEST_READ) };
    (common, [(CONTENT_LENGTH, length.to_string())], safely(&found.media_type, &name), body).into_response()
}

/// The file in pieces; it leaves the memory when the last was taken, or after a while.
fn handed_on(content: Bytes, room: OwnedSemaphorePermit, longest: Duration) -> Body {
    let (pieces, taken) = mpsc::channel::<Result<Bytes, Infallible>>(1);
    tokio::spawn(async move {
        let hand_on = async {
            for piece in content.chunks(PIECE) {
                // Copied, because a part keeps the whole in memory.
                if pieces.send(Ok(Bytes::copy_from_slice(piece))).await.is_err() {
                    break;
                }
            }
        };
        // Whoever is too slow gets less than the promised length, which ends the connection.
        let _ = timeout(longest, hand_on).await;
        drop(room);
    });
    Body::from_stream(futures::stream::unfold(taken, |mut taken| async move { Some((taken.recv().await?, taken)) }))
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, "there is no such file; it may have been forgotten after thirty days\n").into_response()
}

fn is_known(headers: &HeaderMap) -> bool {
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|value| value.split(',')).any(|known| known.trim().trim_start_matches("W/") == VERSION || known.trim() == "*")
}

/// Headers that keep what somebody's program wrote from doing anything on our address.
fn safely(media_type: &str, name: &str) -> [(HeaderName, String); 5] {
    // A drawing may hold scripts: it is shown where a page embeds it, and saved when it is opened.
    let inline = attachment::is_picture(media_type) && media_type != "image/svg+xml";
    let disposition = if inline { "inline" } else { "attachment" };
    let content_type =
        if media_type.starts_with("text/") { format!("{media_type}; charset=utf-8") } else { media_type.to_owned() };
    let encoded = utf8_percent_encode(name, EXTENDED);
    [
        (CONTENT_TYPE, content_type),
        (CONTENT_DISPOSITION, format!("{disposition}; filename*=UTF-8''{encoded}")),
        (CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn whoever_reads_slowly_keeps_no_file_in_memory() {
        const LONG: Duration = Duration::from_secs(600);
        let rooms = Arc::new(Semaphore::new(1));
        let content = Bytes::from(vec![7; 3 * PIECE + 1]);
        let room = async || Arc::clone(&rooms).acquire_owned().await.unwrap();
        let read = handed_on(content.clone(), room().await, LONG);
        assert_eq!(to_bytes(read, usize::MAX).await.unwrap(), content);
        let unread = handed_on(content.clone(), room().await, Duration::from_millis(20));
        let next = room().await;
        assert!(to_bytes(unread, usize::MAX).await.unwrap().len() < content.len());
        // Whoever goes away leaves nothing behind.
        drop(handed_on(content, next, LONG));
        drop(room().await);
    }
}

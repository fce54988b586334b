//! `GET /attachments/{token}/{name}`: a file of an answer, for whoever has its link. Nothing in it may act in a browser: pictures are shown,
//! everything else is saved.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::Semaphore;

use super::Http;
use crate::attachment::{self, store};

/// A file never changes, and is forgotten after thirty days.
const CACHING: &str = "public, max-age=2592000, immutable";
/// Of every file: each has an address of its own.
const VERSION: &str = "\"1\"";
/// Files that are in memory at once: anybody who has a link can ask for one.
static AT_ONCE: Semaphore = Semaphore::const_new(8);
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
    let room = AT_ONCE.acquire().await;
    let found = match store::find(&http.pool, &token, &name).await {
        Ok(Some(found)) => found,
        Ok(None) => return missing(),
        Err(error) => {
            tracing::error!(%error, "cannot read an attachment");
            return (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer now; try again\n").into_response();
        }
    };
    drop(room);
    let common = [(ETAG, VERSION), (CACHE_CONTROL, CACHING)];
    if is_known(&headers) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let length = found.content.len();
    let body = if method == Method::HEAD { Body::empty() } else { Body::from(found.content) };
    (common, [(CONTENT_LENGTH, length.to_string())], safely(&found.media_type, &name), body).into_response()
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

//! Where archives and logs are: another address than the API's, which wants no credential of the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::StreamExt;
use futures::stream;
use tokio::net::TcpListener;

use super::Shared;
use super::git::Archive;
use super::world::RequestRecord;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let app = Router::new().fallback(get(archive)).with_state(shared);
    // The loop ends only with its task.
    let _ = axum::serve(listener, app).await;
}

async fn archive(
    State(shared): State<Arc<Shared>>,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let leaked = headers.contains_key(header::AUTHORIZATION);
    let answer = if leaked {
        (StatusCode::BAD_REQUEST, "a credential of the API does not belong here").into_response()
    } else {
        let token = |name: &str| query.get(name).map_or("", String::as_str);
        if uri.path().starts_with("/logs/") {
            super::checks::serve_log(&shared, token("sig"))
        } else {
            serve_archive(shared.with(|world| world.archive(token("token"))))
        }
    };
    let record = RequestRecord {
        method: "GET".into(),
        path: format!("codeload:{}", uri.path()),
        by: if leaked { "somebody with a credential" } else { "nobody" }.into(),
        body: None,
        status: Some(answer.status().as_u16()),
        at: shared.clock.now(),
    };
    shared.with(|world| world.record(record));
    shared.notify();
    answer
}

fn serve_archive(archive: Option<anyhow::Result<Archive>>) -> Response {
    match archive {
        None => (StatusCode::NOT_FOUND, "404: Not Found").into_response(),
        Some(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Some(Ok(Archive::Bytes(bytes))) => ([(header::CONTENT_TYPE, "application/x-gzip")], bytes).into_response(),
        Some(Ok(Archive::OfSize(size))) => {
            let zeros = stream::repeat(bytes::Bytes::from_static(&[0; 4096])).map(Ok::<_, std::io::Error>);
            let length = [(header::CONTENT_LENGTH, size.to_string())];
            (length, Body::from_stream(zeros)).into_response()
        }
    }
}

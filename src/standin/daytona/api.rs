//! The HTTP side: every request passes one gate that knows who asks, what is told to fail and what is limited; then it is routed.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

use super::super::wire::{Cut, CuttableListener};
use super::fault::{Fate, befall};
use super::limit::{Bucket, Standing};
use super::record::{self, RequestRecord};
use super::refuse::{Answer, Refuse};
use super::{Shared, adjust, around, create, expiry, keys, lifecycle, list, preview, proxy, refuse};

/// A JSON body; files are streamed and have no limit here.
const LARGEST_JSON: usize = 32 << 20;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let app = Router::new()
        .nest("/api", routes())
        .route("/toolbox/{id}/{*path}", any(proxy::forward))
        .route("/preview/{token}", any(preview::forward))
        .route("/preview/{token}/{*path}", any(preview::forward))
        .layer(DefaultBodyLimit::disable())
        .with_state(shared.clone());
    let app = Router::new()
        .fallback_service(app)
        .layer(from_fn_with_state(shared.clone(), gate))
        .layer(from_fn_with_state(shared, refuse::dress));
    // The loop ends only with its task.
    let _ = axum::serve(CuttableListener(listener), app.into_make_service_with_connect_info::<Cut>()).await;
}

fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/health", get(around::health))
        .route("/health/ready", get(around::health))
        .route("/config", get(around::config))
        .route("/api-keys/current", get(around::api_key))
        .route("/regions", get(around::regions))
        .route("/snapshots", get(around::snapshots))
        .route("/snapshots/{id}", get(around::snapshot))
        .route("/organizations/{id}/usage", get(around::usage))
        .route("/sandbox", get(list::list).post(create::create))
        .route("/sandbox/{id}", get(lifecycle::get).delete(lifecycle::delete))
        .route("/sandbox/{id}/start", post(lifecycle::start))
        .route("/sandbox/{id}/stop", post(lifecycle::stop))
        .route("/sandbox/{id}/pause", post(lifecycle::pause))
        .route("/sandbox/{id}/archive", post(lifecycle::archive))
        .route("/sandbox/{id}/recover", post(lifecycle::recover))
        .route("/sandbox/{id}/fork", post(lifecycle::pause))
        .route("/sandbox/{id}/resize", post(adjust::resize))
        .route("/sandbox/{id}/labels", put(adjust::labels))
        .route("/sandbox/{id}/autostop/{minutes}", post(adjust::auto_stop))
        .route("/sandbox/{id}/autopause/{minutes}", post(adjust::auto_pause))
        .route("/sandbox/{id}/autoarchive/{minutes}", post(adjust::auto_archive))
        .route("/sandbox/{id}/autodelete/{minutes}", post(adjust::auto_delete))
        .route("/sandbox/{id}/ttl/{minutes}", post(adjust::ttl))
        .route("/sandbox/{id}/last-activity", post(adjust::last_activity))
        .route("/sandbox/{id}/network-settings", post(adjust::network))
        .route("/sandbox/{id}/secrets", put(adjust::secrets))
        .route("/sandbox/{id}/public/{public}", post(adjust::public))
        .route("/sandbox/{id}/toolbox-proxy-url", get(around::toolbox_proxy_url))
        .route("/sandbox/{id}/ports/{port}/preview-url", get(preview::plain))
        .route("/sandbox/{id}/ports/{port}/signed-preview-url", get(preview::signed))
        .route("/sandbox/{id}/ports/{port}/signed-preview-url/{token}/expire", post(preview::expire))
        .fallback(async |request: Request| {
            Refuse::new(StatusCode::NOT_FOUND, format!("Cannot {} {}", request.method(), request.uri().path()))
        })
}

async fn gate(State(shared): State<Arc<Shared>>, ConnectInfo(cut): ConnectInfo<Cut>, request: Request, next: Next) -> Response {
    let (head, body) = match read(request).await {
        Ok(read) => read,
        Err(refuse) => return refuse.into_response(),
    };
    let number = shared.with(|world| world.record(recorded(&head, body.bytes())));
    expiry::pass(&shared);
    let (method, path) = (head.method.clone(), head.uri.path().to_owned());
    let standings = match shared.with(|world| keys::admit(world, &head, shared.clock.now())) {
        Ok(standings) => standings,
        Err(refuse) => return answered(&shared, number, &[], refuse.into_response()),
    };
    let request = Request::from_parts(head, body.into());
    let response = match shared.with(|world| world.fate(&method, &path)) {
        Fate::Normal => next.run(request).await,
        Fate::Refused(refuse) => refuse.into_response(),
        Fate::Hangs => std::future::pending().await,
        Fate::RequestLost => return lost(&cut),
        Fate::AnswerLost => {
            drop(next.run(request).await);
            return lost(&cut);
        }
        Fate::After(mischief) => {
            let name = path.split('/').nth(if path.starts_with("/toolbox/") { 2 } else { 3 }).unwrap_or_default();
            let id = shared.with(|world| world.find(name).map_or(name.to_owned(), |sandbox| sandbox.id.clone()));
            if let Err(error) = befall(&shared, &id, mischief).await {
                tracing::warn!(%error, "what should befall a sandbox did not");
            }
            next.run(request).await
        }
    };
    answered(&shared, number, &standings, response)
}

fn lost(cut: &Cut) -> Response {
    cut.cut();
    StatusCode::BAD_GATEWAY.into_response()
}

fn answered(shared: &Shared, number: u64, standings: &[Standing], mut response: Response) -> Response {
    shared.with(|world| world.answered(number, response.status().as_u16()));
    for (name, value) in standings.iter().flat_map(Standing::headers) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A body that was read, or one that goes by.
enum Content {
    Read(Bytes),
    Streamed(Body),
}

impl Content {
    fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Read(bytes) => Some(bytes),
            Self::Streamed(_) => None,
        }
    }
}

impl From<Content> for Body {
    fn from(content: Content) -> Self {
        match content {
            Content::Read(bytes) => bytes.into(),
            Content::Streamed(body) => body,
        }
    }
}

async fn read(request: Request) -> Answer<(Parts, Content)> {
    let (head, body) = request.into_parts();
    let json = head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !json && !head.uri.path().starts_with("/api/") {
        return Ok((head, Content::Streamed(body)));
    }
    let too_large = |_| Refuse::new(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large");
    let bytes = to_bytes(body, LARGEST_JSON).await.map_err(too_large)?;
    Ok((head, Content::Read(bytes)))
}

fn recorded(head: &Parts, body: Option<&Bytes>) -> RequestRecord {
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
    let ours = |name: &str| name.starts_with("x-daytona-") || record::HEADERS.contains(&name);
    let headers = head.headers.iter().filter(|(name, _)| ours(name.as_str()));
    let length = head.headers.get(header::CONTENT_LENGTH).and_then(text).and_then(|text| text.parse().ok());
    RequestRecord {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect(),
        body_bytes: body.map_or(length.unwrap_or_default(), |bytes| bytes.len() as u64),
        body: body.filter(|bytes| bytes.len() <= record::LARGEST_KEPT).and_then(|bytes| serde_json::from_slice(bytes).ok()),
        status: None,
    }
}

/// The limits a request counts against.
pub(super) fn buckets(method: &Method, path: &str) -> Vec<Bucket> {
    if path.starts_with("/api/") { Bucket::of(method, path) } else { Vec::new() }
}

/// Reads a JSON body; one that is wrong is a violation. An empty body is an empty object.
pub(super) fn json<T: DeserializeOwned>(shared: &Shared, what: &str, body: &Bytes) -> Answer<T> {
    let bytes: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(bytes).map_err(|error| {
        shared.with(|world| world.violation(format!("{what}: {error}")));
        Refuse::bad_request(error.to_string())
    })
}

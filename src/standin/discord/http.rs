//! The HTTP side: every request below `/api` passes one gate that knows who asks, what is limited and what is told to fail; then it
//! is routed. Beside it stand the gateway and the addresses of files.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::super::wire::{Cut, CuttableListener};
use super::body::Said;
use super::error::{Code, Refuse};
use super::fault::Fate;
use super::limits::{Bucket, Standing, code_of, is_shared};
use super::world::RequestRecord;
use super::{Shared, gateway, rest};

/// Ten files of the highest tier do not fit; neither do they at Discord.
const LARGEST_REQUEST: usize = 200 * 1024 * 1024;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let api = rest::routes().layer(DefaultBodyLimit::disable()).with_state(shared.clone());
    let api = Router::new().fallback_service(api).layer(from_fn_with_state(shared.clone(), gate));
    let app = Router::new()
        .route("/", get(gateway::connect))
        .route("/resume", get(gateway::connect))
        .route("/resume/", get(gateway::connect))
        .route("/attachments/{channel}/{id}/{name}", get(super::cdn::file))
        .with_state(shared)
        .fallback_service(api);
    // The loop ends only with its task.
    let _ = axum::serve(CuttableListener(listener), app.into_make_service_with_connect_info::<Cut>()).await;
}

/// What a path is below the version.
fn below_version(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/api")?;
    let path = path.strip_prefix("/v10").or_else(|| path.strip_prefix("/v9")).unwrap_or(path);
    path.starts_with('/').then_some(path)
}

/// Whether the token in the path is enough.
fn has_own_token(path: &str) -> bool {
    path.starts_with("/interactions/") || path.starts_with("/webhooks/") || path == "/gateway"
}

/// Who asks, what becomes of it, and the record of it.
async fn gate(State(shared): State<Arc<Shared>>, ConnectInfo(cut): ConnectInfo<Cut>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(path) = below_version(parts.uri.path()).map(str::to_owned) else {
        return Refuse::from(Code::NOT_FOUND).into_response();
    };
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else { return Refuse::from(Code::TOO_LARGE).into_response() };
    let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default().to_owned();
    let said = Said::read(&text(header::CONTENT_TYPE), body).await;
    let query = parts.uri.query().map(str::to_owned);
    let mut record = RequestRecord {
        method: parts.method.to_string(),
        path: path.clone(),
        query: query.clone(),
        body: said
            .as_ref()
            .ok()
            .map(|said| said.json.clone())
            .filter(|json| json.as_object().is_none_or(|json| !json.is_empty())),
        files: said.iter().flat_map(|said| &said.files).map(|file| file.name.clone()).collect(),
        status: None,
        code: None,
        at: shared.clock.now(),
    };
    let right = text(header::AUTHORIZATION).strip_prefix("Bot ").is_some_and(|token| shared.is_right(token));
    let known = right || has_own_token(&path);
    let (standing, judged) = judge(&shared, &parts.method, &path, known);
    let answer = match (judged, said) {
        (Fate::Hangs, _) => return hang(&shared, record).await,
        (Fate::Refused(refuse), _) | (_, Err(refuse)) => refuse.into_response(),
        (fate @ (Fate::Normal | Fate::AnswerLost), Ok(said)) => {
            if matches!(fate, Fate::AnswerLost) {
                cut.cut();
            }
            parts.extensions.insert(Arc::new(said));
            let target = query.map_or(path.clone(), |query| format!("{path}?{query}"));
            match target.parse() {
                Ok(uri) => {
                    parts.uri = uri;
                    next.run(Request::from_parts(parts, Body::empty())).await
                }
                Err(_) => Refuse::from(Code::NOT_FOUND).into_response(),
            }
        }
    };
    let answer = finish(&shared, &mut record, standing, answer).await;
    shared.with(|world| world.record(record));
    shared.notify();
    answer
}

/// Ban, script, credentials and limits, in the order in which Discord looks at them.
fn judge(shared: &Shared, method: &Method, path: &str, known: bool) -> (Option<Standing>, Fate) {
    let mut world = shared.lock();
    let now = world.now();
    if let Some(seconds) = world.limits.banned(now) {
        // It is not Discord that answers then, but what stands before it.
        let refuse = Refuse::new(StatusCode::TOO_MANY_REQUESTS, 0, "error code: 1015").header("retry-after", seconds.ceil());
        return (None, Fate::Refused(refuse));
    }
    match world.faults.fate(method, path) {
        Fate::Normal => {}
        fate => return (None, fate),
    }
    if !known {
        return (None, Fate::Refused(Code::UNAUTHORIZED.into()));
    }
    // Interactions and their webhooks have limits of their own.
    let ours = !has_own_token(path) || path == "/gateway";
    if ours && let Err(refuse) = world.limits.count_global(now) {
        return (None, Fate::Refused(refuse));
    }
    let Some(bucket) = Bucket::of(method, path) else { return (None, Fate::Normal) };
    let (standing, counted) = world.limits.count(&bucket, now);
    (Some(standing), counted.map_or_else(Fate::Refused, |()| Fate::Normal))
}

/// Announces limits, counts what brings a ban nearer, and writes down.
async fn finish(shared: &Shared, record: &mut RequestRecord, standing: Option<Standing>, answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    for (name, value) in standing.iter().flat_map(Standing::headers) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            parts.headers.entry(HeaderName::from_static(name)).or_insert(value);
        }
    }
    parts.headers.insert(header::VIA, HeaderValue::from_static("1.1 stand-in"));
    // Answers are made in memory.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    record.status = Some(parts.status.as_u16());
    record.code = if parts.status.is_success() { None } else { code_of(&body) };
    shared.with(|world| {
        let now = world.now();
        world.limits.note(parts.status.as_u16(), is_shared(&parts.headers), now);
    });
    if let Some(recorder) = &shared.recorder
        && let Err(error) = recorder.write(record, &body)
    {
        return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
    }
    Response::from_parts(parts, Body::from(body))
}

async fn hang(shared: &Shared, record: RequestRecord) -> Response {
    shared.with(|world| world.record(record));
    shared.notify();
    std::future::pending().await
}

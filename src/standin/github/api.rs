//! The HTTP side: every request passes one gate that knows who asks, what is told to fail and what is limited; then it is routed.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::super::wire::{Cut, CuttableListener};
use super::auth::{Actor, actor};
use super::fault::Fate;
use super::refuse::Refuse;
use super::unchanged::unless_changed;
use super::world::{RequestRecord, World};
use super::{Shared, conversation, deliveries, git, issues, people, pulls, repos};

/// Blobs come in base64.
const LARGEST_REQUEST: usize = 64 * 1024 * 1024;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let api = routes().with_state(shared.clone());
    let app = Router::new().fallback_service(api).layer(from_fn_with_state(shared, gate));
    // The loop ends only with its task.
    let _ = axum::serve(CuttableListener(listener), app.into_make_service_with_connect_info::<Cut>()).await;
}

fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/app", get(people::app))
        .route("/app/hook/config", get(people::hook))
        .route("/app/hook/deliveries", get(deliveries::list))
        .route("/app/hook/deliveries/{id}", get(deliveries::one))
        .route("/app/hook/deliveries/{id}/attempts", post(deliveries::attempt))
        .route("/app/installations", get(people::installations))
        .route("/app/installations/{id}", get(people::installation))
        .route("/app/installations/{id}/access_tokens", post(people::mint))
        .route("/meta", get(people::meta))
        .route("/installation/token", axum::routing::delete(people::revoke))
        .route("/orgs/{org}/members/{login}", get(people::member))
        .route("/rate_limit", get(people::rate_limit))
        .route("/user", get(people::myself))
        .route("/users/{login}", get(people::user))
        .route("/repos/{owner}/{repo}", get(repos::get))
        .merge(git_routes())
        .merge(pull_routes())
        .route("/repos/{owner}/{repo}/installation", get(people::repository_installation))
        .route("/repos/{owner}/{repo}/collaborators/{login}/permission", get(people::permission))
        .route("/repos/{owner}/{repo}/issues", get(issues::list))
        .route("/repos/{owner}/{repo}/issues/{number}", get(conversation::issue).patch(issues::update))
        .route("/repos/{owner}/{repo}/issues/{number}/labels", get(issues::labels).post(issues::add_labels))
        .route("/repos/{owner}/{repo}/issues/{number}/labels/{name}", axum::routing::delete(issues::remove_label))
        .route("/repos/{owner}/{repo}/issues/{number}/comments", get(conversation::list).post(conversation::create))
        .route(
            "/repos/{owner}/{repo}/issues/comments/{id}",
            get(conversation::comment).patch(conversation::update).post(conversation::update).delete(conversation::delete),
        )
        .route(
            "/repos/{owner}/{repo}/issues/{number}/reactions",
            get(conversation::issue_reactions).post(conversation::react_to_issue),
        )
        .route(
            "/repos/{owner}/{repo}/issues/comments/{id}/reactions",
            get(conversation::comment_reactions).post(conversation::react_to_comment),
        )
        .merge(super::review::routes())
        .merge(super::graphql::routes())
        .merge(super::checks::routes())
        .merge(super::teams::routes())
        .merge(super::uploads::routes())
        .layer(DefaultBodyLimit::disable())
        .fallback(async || Refuse::not_found())
}

fn git_routes() -> Router<Arc<Shared>> {
    use git::{archive, commits, compare, contents, data, refs, trees};
    Router::new()
        .route("/repos/{owner}/{repo}/branches", get(refs::branches))
        .route("/repos/{owner}/{repo}/branches/{*branch}", get(refs::branch))
        .route("/repos/{owner}/{repo}/commits", get(commits::list))
        .route("/repos/{owner}/{repo}/commits/{reference}", get(commits::get))
        .route("/repos/{owner}/{repo}/compare/{*both}", get(compare::compare))
        .route("/repos/{owner}/{repo}/contents", get(contents::root))
        .route("/repos/{owner}/{repo}/contents/", get(contents::root))
        .route("/repos/{owner}/{repo}/contents/{*path}", get(contents::get).put(contents::put))
        .route("/repos/{owner}/{repo}/git/blobs", post(data::create_blob))
        .route("/repos/{owner}/{repo}/git/blobs/{sha}", get(data::blob))
        .route("/repos/{owner}/{repo}/git/commits", post(data::create_commit))
        .route("/repos/{owner}/{repo}/git/commits/{sha}", get(data::commit))
        .route("/repos/{owner}/{repo}/git/matching-refs/{*name}", get(refs::matching))
        .route("/repos/{owner}/{repo}/git/ref/{*name}", get(refs::get))
        .route("/repos/{owner}/{repo}/git/refs", post(refs::create))
        .route("/repos/{owner}/{repo}/git/refs/{*name}", axum::routing::patch(refs::update).delete(refs::delete))
        .route("/repos/{owner}/{repo}/git/trees", post(trees::create))
        .route("/repos/{owner}/{repo}/git/trees/{sha}", get(trees::tree))
        .route("/repos/{owner}/{repo}/tarball/{*reference}", get(archive::tarball))
}

fn pull_routes() -> Router<Arc<Shared>> {
    use pulls::{create, http};
    Router::new()
        .route("/repos/{owner}/{repo}/pulls", get(http::list).post(create::create))
        .route("/repos/{owner}/{repo}/pulls/{number}", get(http::get).patch(http::update))
        .route("/repos/{owner}/{repo}/pulls/{number}/commits", get(http::commits))
        .route("/repos/{owner}/{repo}/pulls/{number}/files", get(http::files))
        .route("/repos/{owner}/{repo}/pulls/{number}/merge", get(http::is_merged).merge(put(http::merge)))
        .route(
            "/repos/{owner}/{repo}/pulls/{number}/requested_reviewers",
            get(http::reviewers).post(http::ask_reviewers).delete(http::unask_reviewers),
        )
}

/// Who asks, what becomes of it, and the record of it.
async fn gate(State(shared): State<Arc<Shared>>, ConnectInfo(cut): ConnectInfo<Cut>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let Some(path) = below_base(&parts.uri, &shared.base_path) else { return Refuse::not_found().into_response() };
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (who, fate) = shared.with(|world| (actor(&shared, world, authorization), world.fate(&parts.method, &path)));
    let record = RequestRecord {
        method: parts.method.to_string(),
        path: path.clone(),
        by: who.as_ref().map_or_else(|_| "nobody".into(), Actor::describe),
        body: serde_json::from_slice(&body).ok(),
        status: None,
        at: shared.clock.now(),
    };
    let answered = match (fate, who) {
        (Fate::Hangs, _) => return hang(&shared, record).await,
        (Fate::Refused(refuse), _) => refuse.into_response(),
        (_, Err(refuse)) => refuse.into_response(),
        (fate @ (Fate::Normal | Fate::AnswerLost), Ok(who)) => {
            if matches!(fate, Fate::AnswerLost) {
                cut.cut();
            }
            match shared.with(|world| route(world, &shared, &parts.method, &path)) {
                Ok(uri) => {
                    parts.uri = uri.clone();
                    parts.extensions.insert(who);
                    let condition = parts.headers.get(header::IF_NONE_MATCH).cloned();
                    let method = parts.method.clone();
                    let answer = next.run(Request::from_parts(parts, Body::from(body.clone()))).await;
                    let answer = written_down(&shared, &method, &uri, &body, answer).await;
                    if method == Method::GET { unless_changed(answer, condition.as_ref()).await } else { answer }
                }
                Err(moved) => *moved,
            }
        }
    };
    if answered.status() != StatusCode::NOT_MODIFIED {
        shared.with(World::count_request);
    }
    let answered = announce_limits(&shared, answered);
    shared.with(|world| world.record(RequestRecord { status: Some(answered.status().as_u16()), ..record }));
    shared.notify();
    answered
}

async fn written_down(shared: &Shared, method: &Method, uri: &Uri, body: &Bytes, answer: Response) -> Response {
    let Some(recorder) = &shared.recorder else { return answer };
    match recorder.write(method, uri, body, answer).await {
        Ok(answer) => answer,
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn hang(shared: &Shared, record: RequestRecord) -> Response {
    shared.with(|world| world.record(record));
    shared.notify();
    std::future::pending().await
}

fn below_base(uri: &Uri, base_path: &str) -> Option<String> {
    // Enterprise Server keeps GraphQL beside the REST API, not below it.
    if let Some(above) = base_path.strip_suffix("/v3") {
        if uri.path() == format!("{above}/graphql") {
            return Some("/graphql".into());
        }
        if uri.path() == format!("{base_path}/graphql") {
            return None;
        }
    }
    let path = uri.path_and_query()?.as_str().strip_prefix(base_path)?;
    path.starts_with('/').then(|| path.to_owned())
}

/// Repositories answer under their name and under their number; under an old name they say where they are now.
fn route(world: &World, shared: &Shared, method: &Method, path: &str) -> Result<Uri, Box<Response>> {
    let not_found = || Box::new(Refuse::not_found().into_response());
    let (bare, query) = path.split_once('?').map_or((path, ""), |(bare, query)| (bare, query));
    let segments: Vec<&str> = bare.trim_start_matches('/').split('/').collect();
    let target = match segments.as_slice() {
        ["repositories", id, rest @ ..] => {
            let repository = id.parse().ok().and_then(|id: i64| world.repositories.get(&id)).ok_or_else(not_found)?;
            format!("/repos/{}{}", repository.full_name, below(rest))
        }
        ["repos", owner, name, rest @ ..] => match world.moved(&format!("{owner}/{name}")) {
            Some(repository) => {
                let location = format!("{}/repositories/{}{}{}", shared.api(), repository.id, below(rest), with_query(query));
                return Err(Box::new(moved(method, &location)));
            }
            None => bare.to_owned(),
        },
        _ => bare.to_owned(),
    };
    format!("{target}{}", with_query(query)).parse().map_err(|_| not_found())
}

fn below(rest: &[&str]) -> String {
    rest.iter().map(|segment| format!("/{segment}")).collect()
}

fn with_query(query: &str) -> String {
    if query.is_empty() { String::new() } else { format!("?{query}") }
}

fn moved(method: &Method, location: &str) -> Response {
    let status = if method == Method::GET { StatusCode::MOVED_PERMANENTLY } else { StatusCode::TEMPORARY_REDIRECT };
    Refuse::new(status, "Moved Permanently").header("location", location).into_response()
}

fn announce_limits(shared: &Shared, mut answered: Response) -> Response {
    let hour = shared.clock.now().timestamp() + 3600;
    let counted = shared.with(|world| world.hourly.as_ref().map(|hourly| (hourly.limit, hourly.left, hourly.reset.timestamp())));
    let (limit, left, reset) = counted.unwrap_or((5000, 4999, hour));
    let (limit, left, used, reset) = (limit.to_string(), left.to_string(), (limit - left).to_string(), reset.to_string());
    let all = [("limit", limit), ("remaining", left), ("used", used), ("reset", reset)];
    for (name, value) in all.map(|(name, value)| (format!("x-ratelimit-{name}"), value)) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(&value)) {
            answered.headers_mut().entry(name).or_insert(value);
        }
    }
    answered
}

/// `page` and `per_page` of a list.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Paging {
    page: Option<usize>,
    per_page: Option<usize>,
}

impl Paging {
    /// Whether anything was said about pages.
    pub fn is_given(self) -> bool {
        self.page.is_some() || self.per_page.is_some()
    }

    fn place(self) -> (usize, usize) {
        (self.page.unwrap_or(1).max(1), self.per_page.unwrap_or(30).clamp(1, 100))
    }

    /// One page of a list that is a part of an answer.
    pub fn cut<T>(self, all: Vec<T>) -> Vec<T> {
        let (page, per_page) = self.place();
        all.into_iter().skip((page - 1) * per_page).take(per_page).collect()
    }

    /// One page of a list, with absolute links to the others as GitHub gives them. `url` is absolute and has no page yet.
    pub fn answer<T: Serialize>(self, all: Vec<T>, url: &str) -> Response {
        let count = all.len();
        self.linked(Json(self.cut(all)), count, url)
    }

    /// The same for lists that come in an object with their count.
    pub fn counted(self, name: &str, all: Vec<Value>, url: &str) -> Response {
        let count = all.len();
        self.linked(Json(json!({"total_count": count, name: self.cut(all)})), count, url)
    }

    fn linked(self, shown: impl IntoResponse, count: usize, url: &str) -> Response {
        let (page, per_page) = self.place();
        let last = count.div_ceil(per_page).max(1);
        let mark = if url.contains('?') { '&' } else { '?' };
        let link = |to: usize, relation: &str| format!("<{url}{mark}per_page={per_page}&page={to}>; rel=\"{relation}\"");
        let mut links = Vec::new();
        if page > 1 {
            links.push(link((page - 1).min(last), "prev"));
        }
        if page < last {
            links.push(link(page + 1, "next"));
            links.push(link(last, "last"));
        }
        if page > 1 {
            links.push(link(1, "first"));
        }
        let mut answer = shown.into_response();
        if let (false, Ok(links)) = (links.is_empty(), HeaderValue::from_str(&links.join(", "))) {
            answer.headers_mut().insert(header::LINK, links);
        }
        answer
    }
}

//! The history of a repository over HTTP.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::super::api::Paging;
use super::super::refuse::Refuse;
use super::read::Asked;

#[derive(Deserialize)]
pub(in super::super) struct Wanted {
    sha: Option<String>,
    path: Option<String>,
    author: Option<String>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

pub(in super::super) async fn list(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
    Query(paging): Query<Paging>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    repository.git.not_empty()?;
    let store = &repository.git.store;
    let head = repository.git.resolve(wanted.sha.as_deref().unwrap_or("HEAD")).ok_or_else(Refuse::not_found)?;
    let touches = |commit: &super::object::Commit, path: &str| {
        let of = |tree: &str| -> super::store::Files {
            let below = |name: &str| name == path || name.starts_with(&format!("{}/", path.trim_end_matches('/')));
            store.files(tree).into_iter().filter(|(name, _)| below(name)).collect()
        };
        let before = commit.parents.first().and_then(|parent| store.commit(parent)).map(|parent| of(&parent.tree));
        of(&commit.tree) != before.unwrap_or_default()
    };
    let mut all = store.between(None, &head.sha);
    all.reverse();
    all.retain(|commit| {
        let at = commit.committer.at.with_timezone(&Utc);
        let by = |who: &str| commit.author.email == who || world.account_of(&commit.author).is_some_and(|login| login == who);
        wanted.since.is_none_or(|since| at >= since)
            && wanted.until.is_none_or(|until| at <= until)
            && wanted.author.as_deref().is_none_or(by)
            && wanted.path.as_deref().is_none_or(|path| touches(commit, path))
    });
    let all = all.iter().map(|commit| world.commit_json(repository, commit)).collect();
    Ok(paging.answer(all, &format!("{}/repositories/{}/commits", shared.api(), repository.id)))
}

pub(in super::super) async fn get(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, reference)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    let commit = repository.git.find(&reference)?;
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepts.contains(".sha") {
        return Ok(([(header::CONTENT_TYPE, "application/vnd.github.sha; charset=utf-8")], commit.sha).into_response());
    }
    let json: Value = world.full_commit_json(repository, &commit);
    Ok(Json(json).into_response())
}

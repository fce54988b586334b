//! Commit statuses, the older sibling of checks.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::api::Paging;
use super::super::auth::Level;
use super::super::body::read;
use super::super::refuse::Refuse;
use super::super::shape::{node, time};
use super::super::world::World;
use super::{Answer, Asked};
use crate::settings::Permission;

/// What somebody says about a commit.
#[derive(Clone)]
pub(super) struct Status {
    id: i64,
    repository: i64,
    sha: String,
    state: String,
    context: String,
    description: Option<String>,
    target_url: Option<String>,
    by: String,
    at: DateTime<Utc>,
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    pub state: String,
    pub context: Option<String>,
    pub description: Option<String>,
    pub target_url: Option<String>,
}

type OfCommit = Path<(String, String, String)>;

impl World {
    pub(super) fn add_status(&mut self, repository: i64, sha: &str, by: &str, wanted: Wanted) -> i64 {
        let (id, at) = (self.id(), self.now());
        let Wanted { state, context, description, target_url } = wanted;
        let (sha, by) = (sha.to_owned(), by.to_owned());
        let context = context.unwrap_or_else(|| "default".into());
        self.checks.statuses.push(Status { id, repository, sha, state, context, description, target_url, by, at });
        id
    }

    fn status_json(&self, status: &Status) -> Value {
        let api = format!("{}/repos/{}/statuses/{}", self.api, self.repository_name(status.repository), status.sha);
        let creator = self.user_json(&status.by);
        json!({"url": api, "avatar_url": creator["avatar_url"], "id": status.id, "node_id": node("SC", status.id),
            "state": status.state, "description": status.description, "target_url": status.target_url, "context": status.context,
            "created_at": time(status.at), "updated_at": time(status.at), "creator": creator})
    }

    /// Newest first.
    fn statuses(&self, repository: i64, sha: &str) -> Vec<&Status> {
        self.checks.statuses.iter().rev().filter(|status| status.repository == repository && status.sha == sha).collect()
    }
}

pub(super) async fn list(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, reference)): OfCommit,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let id = world.checkable(&actor, &owner, &repo, &[("statuses", Level::Read)])?.id;
    let sha = world.commit_named(id, &reference).ok_or_else(Refuse::not_found)?;
    let all = world.statuses(id, &sha).into_iter().map(|status| world.status_json(status)).collect();
    Ok(paging.answer(all, &format!("{}/repositories/{id}/commits/{reference}/statuses", shared.api())))
}

pub(super) async fn combined((State(shared), Extension(actor)): Asked, Path((owner, repo, reference)): OfCommit) -> Answer {
    let world = shared.lock();
    let repository = world.checkable(&actor, &owner, &repo, &[("statuses", Level::Read)])?;
    let sha = world.commit_named(repository.id, &reference).ok_or_else(Refuse::not_found)?;
    let mut latest: Vec<&Status> = Vec::new();
    for status in world.statuses(repository.id, &sha) {
        if !latest.iter().any(|known| known.context == status.context) {
            latest.push(status);
        }
    }
    let any = |states: &[&str]| latest.iter().any(|status| states.contains(&status.state.as_str()));
    let state = if any(&["failure", "error"]) {
        "failure"
    } else if latest.is_empty() || any(&["pending"]) {
        "pending"
    } else {
        "success"
    };
    let statuses: Vec<Value> = latest
        .iter()
        .map(|status| {
            let mut json = world.status_json(status);
            if let Value::Object(json) = &mut json {
                json.remove("creator");
            }
            json
        })
        .collect();
    let api = format!("{}/repos/{}", world.api, repository.full_name);
    Ok(Json(json!({"state": state, "total_count": statuses.len(), "statuses": statuses, "sha": sha,
        "repository": world.repository_json(repository), "commit_url": format!("{api}/commits/{sha}"),
        "url": format!("{api}/commits/{sha}/status")})))
}

pub(super) async fn create(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, sha)): OfCommit,
    body: Bytes,
) -> Result<Response, Refuse> {
    let mut world = shared.lock();
    let repository = world.checkable(&actor, &owner, &repo, &[("statuses", Level::Write)])?;
    let id = repository.id;
    let by = actor.login(&world)?;
    if matches!(actor, super::super::auth::Actor::User(_)) && world.permission(repository, &by) < Permission::Write {
        return Err(Refuse::not_found());
    }
    let wanted: Wanted = read(&body)?;
    if !["error", "failure", "pending", "success"].contains(&wanted.state.as_str()) {
        return Err(Refuse::custom("Status", "state", "state is not included in the list"));
    }
    if wanted.description.as_ref().is_some_and(|text| text.chars().count() > 140) {
        return Err(Refuse::custom("Status", "description", "description is too long (maximum is 140 characters)"));
    }
    if world.commit_named(id, &sha).as_deref() != Some(sha.as_str()) {
        return Err(Refuse::unprocessable(&format!("No commit found for SHA: {sha}")));
    }
    let made = world.add_status(id, &sha, &by, wanted);
    let json = world.checks.statuses.iter().find(|status| status.id == made).map(|status| world.status_json(status));
    Ok((StatusCode::CREATED, Json(json)).into_response())
}

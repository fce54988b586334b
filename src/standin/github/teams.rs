//! Teams of organisations, and what is said in a whole repository: what somebody asks who looks for what was missed.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Json, Router};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Paging;
use super::auth::{Actor, Level};
use super::refuse::Refuse;
use super::shape::time;
use super::world::{Comment, UserKind};
use super::{GithubStandin, Shared};

type Asked = (State<Arc<Shared>>, Extension<Actor>);

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/orgs/{org}/teams/{team}/memberships/{login}", get(membership))
        .route("/repos/{owner}/{repo}/issues/comments", get(comments))
}

impl GithubStandin {
    /// Takes a person into a team of an organisation, and so into the organisation.
    pub fn add_to_team(&self, organization: &str, team: &str, login: &str) {
        self.add_member(organization, login);
        self.shared.with(|world| {
            world.add_user(login, UserKind::User);
            world.teams.insert((organization.to_lowercase(), team.to_lowercase(), login.to_lowercase()));
        });
    }
}

async fn membership(
    (State(shared), Extension(actor)): Asked,
    Path((org, team, login)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refuse> {
    match &actor {
        Actor::Installation(grant) if !grant.account.eq_ignore_ascii_case(&org) || !grant.holds("members", Level::Read) => {
            return Err(Refuse::not_accessible("members=read"));
        }
        Actor::Installation(_) | Actor::User(_) => {}
        Actor::App | Actor::Nobody => return Err(Refuse::unauthorized("Requires authentication")),
    }
    let in_it = shared.with(|world| world.teams.contains(&(org.to_lowercase(), team.to_lowercase(), login.to_lowercase())));
    if !in_it {
        return Err(Refuse::not_found());
    }
    let url = format!("{}/orgs/{org}/teams/{team}/memberships/{login}", shared.api());
    Ok(Json(json!({"url": url, "role": "member", "state": "active"})))
}

#[derive(Deserialize)]
struct Order {
    sort: Option<String>,
    direction: Option<String>,
    since: Option<DateTime<Utc>>,
}

/// The comments of all issues and pull requests of a repository.
async fn comments(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
    Query(paging): Query<Paging>,
    Query(order): Query<Order>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.repository(&format!("{owner}/{repo}")).ok_or_else(Refuse::not_found)?;
    actor.may(&world, repository, &[("issues", Level::Read), ("pull_requests", Level::Read)])?;
    let id = repository.id;
    let recent = |comment: &&Comment| comment.issue.0 == id && order.since.is_none_or(|since| comment.updated_at >= since);
    let mut all: Vec<&Comment> = world.comments.values().filter(recent).collect();
    if order.sort.as_deref() == Some("updated") {
        all.sort_by_key(|comment| (comment.updated_at, comment.id));
    }
    // Without a wish for an order GitHub lists by number, whatever the direction.
    if order.sort.is_some() && order.direction.as_deref() == Some("desc") {
        all.reverse();
    }
    let mut url = format!("{}/repositories/{id}/issues/comments?", shared.api());
    for (name, value) in [("sort", order.sort), ("direction", order.direction), ("since", order.since.map(time))] {
        if let Some(value) = value {
            url.push_str(&format!("{name}={value}&"));
        }
    }
    Ok(paging.answer(all.into_iter().map(|comment| world.comment_json(comment)).collect(), url.trim_end_matches(['?', '&'])))
}

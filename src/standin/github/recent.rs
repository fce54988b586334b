//! Comments of all conversations of a repository, as GitHub lists them for those who look around.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::Shared;
use super::api::Paging;
use super::auth::{Actor, Level};
use super::refuse::Refuse;
use super::shape::time;
use super::world::Comment;

#[derive(Deserialize)]
pub(super) struct Order {
    sort: Option<String>,
    direction: Option<String>,
    since: Option<DateTime<Utc>>,
}

pub(super) async fn comments(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    Path((owner, repo)): Path<(String, String)>,
    Query(paging): Query<Paging>,
    Query(order): Query<Order>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.repository(&format!("{owner}/{repo}")).ok_or_else(Refuse::not_found)?;
    actor.may(&world, repository, &[("issues", Level::Read), ("pull_requests", Level::Read)])?;
    let here = world.comments.values().filter(|comment| comment.issue.0 == repository.id);
    let mut all: Vec<&Comment> = here.filter(|comment| order.since.is_none_or(|since| comment.updated_at >= since)).collect();
    match order.sort.as_deref() {
        Some("updated") => all.sort_by_key(|comment| (comment.updated_at, comment.id)),
        Some(_) | None => all.sort_by_key(|comment| (comment.created_at, comment.id)),
    }
    // As for review comments, a direction alone means nothing.
    if order.sort.is_some() && order.direction.as_deref() == Some("desc") {
        all.reverse();
    }
    let mut query = Vec::new();
    query.extend(order.sort.iter().map(|sort| format!("sort={sort}")));
    query.extend(order.direction.iter().map(|direction| format!("direction={direction}")));
    query.extend(order.since.iter().map(|since| format!("since={}", time(*since))));
    let url = format!("{}/repositories/{}/issues/comments", shared.api(), repository.id);
    let url = if query.is_empty() { url } else { format!("{url}?{}", query.join("&")) };
    Ok(paging.answer(all.into_iter().map(|comment| world.comment_json(comment)).collect(), &url))
}

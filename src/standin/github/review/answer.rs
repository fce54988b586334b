//! Reading reviews, comments and requests for reviews.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::super::api::Paging;
use super::super::auth::Level;
use super::super::refuse::Refuse;
use super::super::shape::time;
use super::{Answer, Asked, Part, Pull, ReviewComment, ReviewState};

#[derive(Deserialize)]
pub(super) struct Order {
    sort: Option<String>,
    direction: Option<String>,
    since: Option<DateTime<Utc>>,
}

impl Order {
    fn apply(&self, mut comments: Vec<ReviewComment>) -> Vec<ReviewComment> {
        comments.retain(|comment| self.since.is_none_or(|since| comment.updated_at >= since));
        match self.sort.as_deref() {
            Some("updated") => comments.sort_by_key(|comment| (comment.updated_at, comment.id)),
            Some(_) | None => comments.sort_by_key(|comment| (comment.created_at, comment.id)),
        }
        // Without a wish for an order GitHub lists the oldest first, whatever the direction.
        if self.sort.is_some() && self.direction.as_deref() == Some("desc") {
            comments.reverse();
        }
        comments
    }

    fn url(&self, url: String) -> String {
        let mut query = Vec::new();
        query.extend(self.sort.iter().map(|sort| format!("sort={sort}")));
        query.extend(self.direction.iter().map(|direction| format!("direction={direction}")));
        query.extend(self.since.iter().map(|since| format!("since={}", time(*since))));
        if query.is_empty() { url } else { format!("{url}?{}", query.join("&")) }
    }
}

pub(super) async fn list(
    (State(shared), Extension(actor)): Asked,
    pull: Pull,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let key = world.reviewable(&actor, &pull.0.0, &pull.0.1, pull.0.2, Level::Read)?;
    let me = actor.login(&world).unwrap_or_default();
    let seen = world.reviews_of(key).filter(|review| review.state != ReviewState::Pending || review.author == me);
    let all: Vec<Value> = seen.map(|review| world.review_json(review)).collect();
    Ok(paging.answer(all, &format!("{}/repositories/{}/pulls/{}/reviews", shared.api(), key.0, key.1)))
}

pub(super) async fn review((State(shared), Extension(actor)): Asked, part: Part) -> Answer {
    let world = shared.lock();
    Ok(Json(world.review_json(&world.review(&actor, &part, Level::Read)?)))
}

pub(super) async fn comments(
    (State(shared), Extension(actor)): Asked,
    part: Part,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let review = world.review(&actor, &part, Level::Read)?;
    let of_it = world.review.comments.values().filter(|comment| comment.review == review.id);
    let all: Vec<Value> = of_it.map(|comment| world.remark_json(comment)).collect();
    let (id, number) = review.pull;
    Ok(paging.answer(all, &format!("{}/repositories/{id}/pulls/{number}/reviews/{}/comments", shared.api(), review.id)))
}

pub(super) async fn of_pull(
    (State(shared), Extension(actor)): Asked,
    pull: Pull,
    Query(paging): Query<Paging>,
    Query(order): Query<Order>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let key = world.reviewable(&actor, &pull.0.0, &pull.0.1, pull.0.2, Level::Read)?;
    let all = order.apply(world.remarks(key).cloned().collect());
    let url = order.url(format!("{}/repositories/{}/pulls/{}/comments", shared.api(), key.0, key.1));
    Ok(paging.answer(all.iter().map(|comment| world.remark_json(comment)).collect(), &url))
}

pub(super) async fn of_repository(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
    Query(paging): Query<Paging>,
    Query(order): Query<Order>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.repository(&format!("{owner}/{repo}")).ok_or_else(Refuse::not_found)?;
    actor.may(&world, repository, &[("pull_requests", Level::Read)])?;
    let id = repository.id;
    let here = world.review.comments.values().filter(|comment| comment.pull.0 == id && !world.is_pending(comment));
    let all = order.apply(here.cloned().collect());
    let url = order.url(format!("{}/repositories/{id}/pulls/comments", shared.api()));
    Ok(paging.answer(all.iter().map(|comment| world.remark_json(comment)).collect(), &url))
}

pub(super) async fn comment((State(shared), Extension(actor)): Asked, pull: Pull) -> Answer {
    let world = shared.lock();
    Ok(Json(world.remark_json(&world.remark(&actor, &pull, Level::Read)?)))
}

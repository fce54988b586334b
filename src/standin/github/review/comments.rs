//! Writing single comments on a pull request's lines, and answers to them.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use serde::Deserialize;

use super::super::Shared;
use super::super::auth::{Actor, Level};
use super::super::body::read;
use super::super::refuse::Refuse;
use super::super::world::World;
use super::write::{LONGEST_TEXT, Unfit, Wanted};
use super::{Answer, Asked, Part, Pull, ReviewComment};

const RESOURCE: &str = "PullRequestReviewComment";

#[derive(Deserialize)]
struct Single {
    commit_id: Option<String>,
    in_reply_to: Option<i64>,
    #[serde(flatten)]
    wanted: Wanted,
}

#[derive(Deserialize)]
struct Text {
    body: String,
}

fn checked(text: &str) -> Result<(), Refuse> {
    let unfit = if text.trim().is_empty() {
        Unfit::Blank
    } else if text.chars().count() > LONGEST_TEXT {
        Unfit::TooLong
    } else {
        return Ok(());
    };
    Err(refusal(unfit))
}

fn refusal(unfit: Unfit) -> Refuse {
    let (field, message) = unfit.field();
    Refuse::custom(RESOURCE, field, message)
}

impl World {
    /// The comment, when the actor may read it or write about its pull request.
    pub(super) fn remark(&self, actor: &Actor, pull: &Pull, level: Level) -> Result<ReviewComment, Refuse> {
        let (owner, repo, id) = &**pull;
        let repository = self.repository(&format!("{owner}/{repo}")).ok_or_else(Refuse::not_found)?;
        actor.may(self, repository, &[("pull_requests", level)])?;
        let comment = self.review.comments.get(id).filter(|comment| comment.pull.0 == repository.id);
        let comment = comment.ok_or_else(Refuse::not_found)?;
        let mine = actor.login(self).is_ok_and(|login| login == comment.author);
        if self.is_pending(comment) && !mine { Err(Refuse::not_found()) } else { Ok(comment.clone()) }
    }

    /// Stricter than GitHub, where who may write may change what others wrote: the service has no business there.
    fn own_remark(&self, actor: &Actor, pull: &Pull) -> Result<(ReviewComment, String), Refuse> {
        let comment = self.remark(actor, pull, Level::Write)?;
        let by = actor.login(self)?;
        if comment.author == by { Ok((comment, by)) } else { Err(Refuse::not_accessible("")) }
    }
}

pub(super) async fn create((State(shared), Extension(actor)): Asked, pull: Pull, body: Bytes) -> Result<Response, Refuse> {
    let asked: Single = {
        let world = shared.lock();
        world.reviewable(&actor, &pull.0.0, &pull.0.1, pull.0.2, Level::Write)?;
        read(&body)?
    };
    if let Some(to) = asked.in_reply_to {
        return answer(&shared, &actor, &pull, to, &asked.wanted.body);
    }
    let (json, deliveries) = {
        let mut world = shared.lock();
        let key = world.reviewable(&actor, &pull.0.0, &pull.0.1, pull.0.2, Level::Write)?;
        let commit =
            asked.commit_id.ok_or_else(|| Refuse::unprocessable("Invalid request.\n\n\"commit_id\" wasn't supplied."))?;
        if !world.commit_ids(key).contains(&commit) {
            let (field, message) = ("pull_request_review_thread.commit_id", "commit_id is not part of the pull request");
            return Err(Refuse::custom(RESOURCE, field, message));
        }
        let placed = world.fit(key, &commit, &asked.wanted).map_err(refusal)?;
        let author = actor.login(&world)?;
        let review = world.add_single(key, author, commit, placed);
        let comment = world.review.comments.values().find(|comment| comment.review == review);
        let json = comment.map(|comment| world.remark_json(comment)).unwrap_or_default();
        (json, world.review_events(review))
    };
    shared.announce(deliveries);
    Ok(created(json))
}

fn created(json: serde_json::Value) -> Response {
    let location = json["url"].as_str().unwrap_or_default().to_owned();
    (StatusCode::CREATED, [(header::LOCATION, location)], Json(json)).into_response()
}

pub(super) async fn reply((State(shared), Extension(actor)): Asked, part: Part, body: Bytes) -> Result<Response, Refuse> {
    let Text { body } = read(&body)?;
    let (owner, repo, number, id) = &*part;
    answer(&shared, &actor, &axum::extract::Path((owner.clone(), repo.clone(), *number)), *id, &body)
}

fn answer(shared: &std::sync::Arc<Shared>, actor: &Actor, pull: &Pull, to: i64, body: &str) -> Result<Response, Refuse> {
    let (json, deliveries) = {
        let mut world = shared.lock();
        let key = world.reviewable(actor, &pull.0.0, &pull.0.1, pull.0.2, Level::Write)?;
        let to = world.review.comments.get(&to).filter(|comment| comment.pull == key && !world.is_pending(comment));
        let to = to.ok_or_else(Refuse::not_found)?;
        // Answers to answers are not supported by GitHub either.
        if to.reply_to.is_some() {
            return Err(Refuse::custom(RESOURCE, "in_reply_to", "in_reply_to must be the first comment of its thread"));
        }
        let to = to.id;
        checked(body)?;
        let author = actor.login(&world)?;
        let id = world.add_reply(to, &author, body).ok_or_else(Refuse::not_found)?;
        let comment = world.review.comments.get(&id).ok_or_else(Refuse::not_found)?;
        let (json, review) = (world.remark_json(comment), comment.review);
        (json, world.review_events(review))
    };
    shared.announce(deliveries);
    Ok(created(json))
}

pub(super) async fn edit((State(shared), Extension(actor)): Asked, pull: Pull, body: Bytes) -> Answer {
    let (json, delivery) = {
        let mut world = shared.lock();
        let (comment, by) = world.own_remark(&actor, &pull)?;
        let Text { body } = read(&body)?;
        checked(&body)?;
        let before = world.edit_remark(comment.id, &by, &body).ok_or_else(Refuse::not_found)?;
        let delivery = world.remark_event("edited", comment.id, &by, Some(&before));
        let after = world.review.comments.get(&comment.id).ok_or_else(Refuse::not_found)?;
        (world.remark_json(after), delivery.filter(|_| shared.echo))
    };
    shared.send_later(delivery);
    Ok(Json(json))
}

pub(super) async fn remove((State(shared), Extension(actor)): Asked, pull: Pull) -> Result<StatusCode, Refuse> {
    let delivery = {
        let mut world = shared.lock();
        let (comment, by) = world.own_remark(&actor, &pull)?;
        let delivery = world.remark_event("deleted", comment.id, &by, None);
        world.forget_remark(comment.id);
        delivery.filter(|_| shared.echo)
    };
    shared.send_later(delivery);
    Ok(StatusCode::NO_CONTENT)
}

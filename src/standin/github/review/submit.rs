//! Writing, submitting, changing and dismissing reviews; asking for them.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;

use super::super::auth::{Actor, Level};
use super::super::body::read;
use super::super::refuse::Refuse;
use super::super::world::{Key, World};
use super::write::{Checked, LONGEST_TEXT, Wanted};
use super::{Answer, Asked, Part, Pull, Review, ReviewState};
use crate::settings::Permission;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Proposed {
    pub commit_id: Option<String>,
    pub body: Option<String>,
    pub event: Option<String>,
    pub comments: Vec<Wanted>,
}

#[derive(Deserialize)]
struct Event {
    event: String,
    body: Option<String>,
}

#[derive(Deserialize)]
struct Text {
    body: String,
}

#[derive(Deserialize)]
struct Dismissal {
    message: String,
}

fn state(event: Option<&str>) -> Result<ReviewState, Refuse> {
    match event {
        None | Some("" | "PENDING") => Ok(ReviewState::Pending),
        Some("COMMENT") => Ok(ReviewState::Commented),
        Some("APPROVE") => Ok(ReviewState::Approved),
        Some("REQUEST_CHANGES") => Ok(ReviewState::ChangesRequested),
        Some(other) => {
            Err(Refuse::reasons(&[format!("Variable $event of type PullRequestReviewEvent was provided invalid value {other}")]))
        }
    }
}

impl World {
    /// What a review with this decision must fulfil.
    fn decide(&self, key: Key, author: &str, state: ReviewState, body: &str) -> Result<(), Vec<String>> {
        let own = self.issues.get(&key).is_some_and(|issue| issue.author == author);
        let mut reasons = Vec::new();
        match state {
            ReviewState::Approved if own => reasons.push("Can not approve your own pull request".to_owned()),
            ReviewState::ChangesRequested if own => reasons.push("Can not request changes on your own pull request".to_owned()),
            ReviewState::Commented | ReviewState::ChangesRequested if body.trim().is_empty() => {
                reasons.push("Body can't be blank".to_owned());
            }
            ReviewState::Pending
            | ReviewState::Commented
            | ReviewState::Approved
            | ReviewState::ChangesRequested
            | ReviewState::Dismissed => {}
        }
        if body.chars().count() > LONGEST_TEXT {
            reasons.push("Body is too long (maximum is 65536 characters)".to_owned());
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    /// Checks everything about a review before anything of it is kept.
    pub(super) fn check(&self, key: Key, author: &str, state: ReviewState, asked: &Proposed) -> Result<Checked, Vec<String>> {
        let commits = self.commit_ids(key);
        let head = commits.last().ok_or_else(|| vec!["The pull request has no commits".to_owned()])?;
        let commit = asked.commit_id.as_ref().unwrap_or(head);
        if !commits.contains(commit) {
            return Err(vec!["The commit_id is not part of the pull request".to_owned()]);
        }
        let pending = |review: &Review| review.state == ReviewState::Pending && review.author == author;
        if self.reviews_of(key).any(pending) {
            return Err(vec!["User can only have one pending review per pull request".to_owned()]);
        }
        let body = asked.body.clone().unwrap_or_default();
        self.decide(key, author, state, &body)?;
        let (mut comments, mut reasons) = (Vec::new(), Vec::new());
        for wanted in &asked.comments {
            match self.fit(key, commit, wanted) {
                Ok(placed) => comments.push(placed),
                Err(unfit) => reasons.push(unfit.reason().to_owned()),
            }
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        Ok(Checked { key, author: author.to_owned(), state, body, commit: commit.clone(), comments })
    }

    /// The review, when it belongs to the pull request and the actor may see it.
    pub(super) fn review(&self, actor: &Actor, part: &Part, level: Level) -> Result<Review, Refuse> {
        let (owner, repo, number, id) = &**part;
        let key = self.reviewable(actor, owner, repo, *number, level)?;
        let review = self.review.all.get(id).filter(|review| review.pull == key).ok_or_else(Refuse::not_found)?;
        let mine = actor.login(self).is_ok_and(|login| login == review.author);
        if review.state == ReviewState::Pending && !mine {
            return Err(Refuse::not_found());
        }
        Ok(review.clone())
    }

    fn own_review(&self, actor: &Actor, part: &Part) -> Result<Review, Refuse> {
        let review = self.review(actor, part, Level::Write)?;
        let mine = actor.login(self)? == review.author;
        if mine { Ok(review) } else { Err(Refuse::reasons(&["Can not edit a review of another user".to_owned()])) }
    }
}

pub(super) async fn create((State(shared), Extension(actor)): Asked, pull: Pull, body: Bytes) -> Answer {
    let (json, deliveries) = {
        let mut world = shared.lock();
        let key = world.reviewable(&actor, &pull.0.0, &pull.0.1, pull.0.2, Level::Write)?;
        let asked: Proposed = read(&body)?;
        let author = actor.login(&world)?;
        let state = state(asked.event.as_deref())?;
        let checked = world.check(key, &author, state, &asked).map_err(|reasons| Refuse::reasons(&reasons))?;
        let id = world.add_review(checked);
        (world.review_json_by_id(id), world.review_events(id))
    };
    shared.announce(deliveries);
    Ok(Json(json))
}

pub(super) async fn submit((State(shared), Extension(actor)): Asked, part: Part, body: Bytes) -> Answer {
    let (json, deliveries) = {
        let mut world = shared.lock();
        let review = world.own_review(&actor, &part)?;
        let Event { event, body } = read(&body)?;
        if review.state != ReviewState::Pending {
            return Err(Refuse::reasons(&["Can not submit a review that is not pending".to_owned()]));
        }
        let state = state(Some(&event))?;
        let body = body.unwrap_or(review.body);
        world.decide(review.pull, &review.author, state, &body).map_err(|reasons| Refuse::reasons(&reasons))?;
        let now = world.now();
        let kept = world.review.all.get_mut(&review.id).ok_or_else(Refuse::not_found)?;
        (kept.state, kept.body, kept.submitted_at) = (state, body, Some(now));
        world.review_was_given(review.pull, &review.author);
        (world.review_json_by_id(review.id), world.review_events(review.id))
    };
    shared.announce(deliveries);
    Ok(Json(json))
}

pub(super) async fn edit((State(shared), Extension(actor)): Asked, part: Part, body: Bytes) -> Answer {
    let (json, delivery) = {
        let mut world = shared.lock();
        let review = world.own_review(&actor, &part)?;
        let Text { body } = read(&body)?;
        if body.chars().count() > LONGEST_TEXT {
            return Err(Refuse::reasons(&["Body is too long (maximum is 65536 characters)".to_owned()]));
        }
        let kept = world.review.all.get_mut(&review.id).ok_or_else(Refuse::not_found)?;
        kept.body = body;
        let delivery = world.review_event("edited", review.id, &review.author, Some(&review.body));
        (world.review_json_by_id(review.id), delivery.filter(|_| shared.echo))
    };
    shared.send_later(delivery);
    Ok(Json(json))
}

pub(super) async fn discard((State(shared), Extension(actor)): Asked, part: Part) -> Answer {
    let mut world = shared.lock();
    let review = world.own_review(&actor, &part)?;
    if review.state != ReviewState::Pending {
        return Err(Refuse::reasons(&["Can not delete a non-pending pull request review".to_owned()]));
    }
    let json = world.review_json_by_id(review.id);
    world.review.all.remove(&review.id);
    world.review.comments.retain(|_, comment| comment.review != review.id);
    Ok(Json(json))
}

pub(super) async fn dismiss((State(shared), Extension(actor)): Asked, part: Part, body: Bytes) -> Answer {
    let (json, delivery) = {
        let mut world = shared.lock();
        let review = world.review(&actor, &part, Level::Write)?;
        let by = actor.login(&world)?;
        let may = world.repositories.get(&review.pull.0).is_some_and(|r| world.permission(r, &by) >= Permission::Write);
        if !may && matches!(actor, Actor::User(_)) {
            return Err(Refuse::new(StatusCode::FORBIDDEN, "Must have push access to dismiss a review."));
        }
        let Dismissal { message } = read(&body)?;
        if message.trim().is_empty() {
            return Err(Refuse::reasons(&["Message can't be blank".to_owned()]));
        }
        let delivery = world.dismiss(review.id, &by).map_err(|reason| Refuse::reasons(&[reason.to_owned()]))?;
        (world.review_json_by_id(review.id), delivery.filter(|_| shared.echo))
    };
    shared.send_later(delivery);
    Ok(Json(json))
}

impl World {
    /// Takes a decision back; only one that approves or requests changes.
    pub(super) fn dismiss(&mut self, id: i64, by: &str) -> Result<Option<u64>, &'static str> {
        let review = self.review.all.get_mut(&id).ok_or("no such review")?;
        match review.state {
            ReviewState::Approved | ReviewState::ChangesRequested => review.state = ReviewState::Dismissed,
            ReviewState::Pending | ReviewState::Commented | ReviewState::Dismissed => {
                return Err("Can not dismiss a commented pull request review");
            }
        }
        Ok(self.review_event("dismissed", id, by, None))
    }
}

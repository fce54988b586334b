//! Reviews, their comments and the threads these form: what there is, and the addresses it answers at.

mod anchor;
mod answer;
mod comments;
mod events;
mod people;
mod reactions;
mod shape;
mod submit;
mod suggestion;
mod view;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use serde_json::Value;

pub use self::anchor::{Anchor, Side};
pub use self::people::{NewComment, Reviewed};
use super::Shared;
use super::auth::{Actor, Level};
use super::refuse::Refuse;
use super::world::{IssueRef, Key, Version, World};

/// All reviews of all pull requests.
#[derive(Default)]
pub(super) struct Reviews {
    pub all: BTreeMap<i64, Review>,
    pub comments: BTreeMap<i64, ReviewComment>,
    /// Who resolved the thread a comment began.
    pub resolved: BTreeMap<i64, String>,
}

/// A review of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Its number.
    pub id: i64,
    pub(super) pull: Key,
    /// Who wrote it.
    pub author: String,
    /// True when the service wrote it.
    pub is_ours: bool,
    /// What it says beside its comments; may be empty.
    pub body: String,
    /// What it decided.
    pub state: ReviewState,
    /// The commit that was reviewed.
    pub commit: String,
    /// Why it was folded away, when it was.
    pub minimized: Option<String>,
    /// When it was submitted; none while it is pending.
    pub submitted_at: Option<DateTime<Utc>>,
}

/// What a review decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewState {
    /// Nothing yet: only its author sees it.
    Pending,
    /// Nothing.
    Commented,
    /// The change is good.
    Approved,
    /// The change is not good.
    ChangesRequested,
    /// Its decision was taken back by somebody.
    Dismissed,
}

impl ReviewState {
    /// GitHub's word in REST and GraphQL.
    pub(in crate::standin::github) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Commented => "COMMENTED",
            Self::Approved => "APPROVED",
            Self::ChangesRequested => "CHANGES_REQUESTED",
            Self::Dismissed => "DISMISSED",
        }
    }
}

/// A comment on a line, some lines or a file of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewComment {
    /// Its number.
    pub id: i64,
    pub(super) pull: Key,
    /// The review it belongs to.
    pub review: i64,
    /// Who wrote it.
    pub author: String,
    /// True when the service wrote it.
    pub is_ours: bool,
    /// What it said, first to last; never empty.
    pub versions: Vec<Version>,
    /// The file.
    pub path: String,
    /// The lines as they were numbered in `original_commit`; none for a comment on the whole file.
    pub anchor: Option<Anchor>,
    /// The commit it was written about.
    pub original_commit: String,
    /// The part of the diff it was written under.
    pub diff_hunk: String,
    /// The comment that began the thread this one answers in.
    pub reply_to: Option<i64>,
    /// Why it was folded away, when it was.
    pub minimized: Option<String>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
}

impl ReviewComment {
    /// What it says now.
    pub fn body(&self) -> &str {
        self.versions.last().map_or("", |version| &version.body)
    }

    /// The comment its thread began with: itself unless it is a reply.
    pub fn root(&self) -> i64 {
        self.reply_to.unwrap_or(self.id)
    }
}

impl World {
    /// The submitted reviews of a pull request, oldest first.
    pub fn reviews(&self, pull: &IssueRef) -> Vec<Review> {
        let Some(key) = self.key(pull) else { return Vec::new() };
        self.reviews_of(key).filter(|review| review.state != ReviewState::Pending).cloned().collect()
    }

    /// The comments of the submitted reviews of a pull request, oldest first.
    pub fn review_comments(&self, pull: &IssueRef) -> Vec<ReviewComment> {
        self.key(pull).map_or_else(Vec::new, |key| self.remarks(key).cloned().collect())
    }

    /// True when the thread a comment stands in is resolved.
    pub fn is_resolved(&self, comment: i64) -> bool {
        self.review.comments.get(&comment).is_some_and(|comment| self.review.resolved.contains_key(&comment.root()))
    }

    /// True when what a comment was written about is no longer there.
    pub fn is_outdated(&self, comment: i64) -> bool {
        self.review.comments.get(&comment).is_some_and(|comment| self.current(comment).is_none())
    }

    /// The lines a comment stands at now; none when it is outdated or about a whole file.
    pub fn stands_at(&self, comment: i64) -> Option<Anchor> {
        self.current(self.review.comments.get(&comment)?)?.anchor
    }

    pub(super) fn reviews_of(&self, key: Key) -> impl Iterator<Item = &Review> {
        self.review.all.values().filter(move |review| review.pull == key)
    }

    /// The comments of a pull request everybody sees.
    pub(super) fn remarks(&self, key: Key) -> impl Iterator<Item = &ReviewComment> {
        self.review.comments.values().filter(move |comment| comment.pull == key && !self.is_pending(comment))
    }

    pub(super) fn is_pending(&self, comment: &ReviewComment) -> bool {
        self.review.all.get(&comment.review).is_none_or(|review| review.state == ReviewState::Pending)
    }

    /// The pull request, when the actor may read it or write about it.
    fn reviewable(&self, actor: &Actor, owner: &str, repo: &str, number: i64, level: Level) -> Result<Key, Refuse> {
        let repository = self.repository(&format!("{owner}/{repo}")).ok_or_else(Refuse::not_found)?;
        actor.may(self, repository, &[("pull_requests", level)])?;
        let key = (repository.id, number);
        let found = self.issues.get(&key).is_some_and(|issue| issue.is_pull_request);
        found.then_some(key).ok_or_else(Refuse::not_found)
    }
}

pub(super) type Asked = (State<Arc<Shared>>, Extension<Actor>);
pub(super) type Answer = Result<Json<Value>, Refuse>;
type Pull = Path<(String, String, i64)>;
type Part = Path<(String, String, i64, i64)>;

pub(super) fn routes() -> Router<Arc<Shared>> {
    const PULL: &str = "/repos/{owner}/{repo}/pulls/{number}";
    const COMMENT: &str = "/repos/{owner}/{repo}/pulls/comments/{id}";
    Router::new()
        .route(&format!("{PULL}/reviews"), get(answer::list).post(submit::create))
        .route(&format!("{PULL}/reviews/{{id}}"), get(answer::review).put(submit::edit).delete(submit::discard))
        .route(&format!("{PULL}/reviews/{{id}}/comments"), get(answer::comments))
        .route(&format!("{PULL}/reviews/{{id}}/events"), post(submit::submit))
        .route(&format!("{PULL}/reviews/{{id}}/dismissals"), put(submit::dismiss))
        .route(&format!("{PULL}/comments"), get(answer::of_pull).post(comments::create))
        .route(&format!("{PULL}/comments/{{id}}/replies"), post(comments::reply))
        .route("/repos/{owner}/{repo}/pulls/comments", get(answer::of_repository))
        .route(COMMENT, get(answer::comment).patch(comments::edit).delete(comments::remove))
        .route(&format!("{COMMENT}/reactions"), get(reactions::list).post(reactions::create))
        .route(&format!("{COMMENT}/reactions/{{reaction}}"), delete(reactions::remove_from_remark))
        .route("/repos/{owner}/{repo}/issues/comments/{id}/reactions/{reaction}", delete(reactions::remove_from_comment))
        .route("/repos/{owner}/{repo}/issues/{number}/reactions/{reaction}", delete(reactions::remove_from_issue))
}

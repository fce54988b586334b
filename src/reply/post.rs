//! Posting: an effect with a key that happens once, however often it is asked for.
//!
//! A post is recorded before it is performed. When it is asked for again without a known result (a crash, a lost answer), it is
//! looked for by its hidden marker first. That is sound because a call of ours ends (at most 10 s) before a lease does
//! (15 s): nobody else can have the same post in flight.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::redact::Redactor;
use super::store::{self, Begun, PostRow};
use super::{marker, mention};
use crate::clock::Clock;
use crate::github::{CommentId, Github, GithubError, Reaction, RepoRef};
use crate::id::{RunId, ThreadId};
use crate::intake::{Place, Request};

/// Clocks differ; a marker is looked for this much earlier than the post was begun.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// Performs posts. Every text goes through redaction here and nowhere else.
#[derive(Clone)]
pub struct Poster {
    pool: PgPool,
    github: Option<Arc<Github>>,
    redactor: Arc<Redactor>,
    clock: Arc<dyn Clock>,
}

/// Which comment.
#[derive(Clone, Debug)]
pub struct CommentPost<'a> {
    /// Names it for ever, such as `run-<id>`.
    pub key: &'a str,
    /// The thread it belongs to.
    pub thread: ThreadId,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// `answer`, `refusal`, `notice`.
    pub kind: &'a str,
    /// Whom it is about, for refusals.
    pub about: Option<&'a str>,
    /// Where it goes.
    pub place: &'a Place,
}

/// Why a post was not performed.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The surface did not take it.
    #[error(transparent)]
    Github(#[from] GithubError),
    /// The database did not answer.
    #[error("cannot record the post: {0}")]
    Database(#[from] sqlx::Error),
    /// The surface is switched off in this process.
    #[error("GitHub is not configured in this process")]
    Off,
}

impl Poster {
    /// A poster; `github` is none where that surface is off.
    pub fn new(pool: PgPool, github: Option<Arc<Github>>, redactor: Arc<Redactor>, clock: Arc<dyn Clock>) -> Self {
        Self { pool, github, redactor, clock }
    }

    /// For views, which are redacted before they are rendered, so that no secret is cut in half.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Makes the comment say `body`: creates it, or edits the one that is there. Idempotent by key.
    pub async fn comment(&self, post: &CommentPost<'_>, body: &str) -> Result<CommentId, PostError> {
        let row = PostRow { key: post.key, thread: post.thread, run: post.run, kind: post.kind, about: post.about };
        let begun = store::begin(&self.pool, row, self.clock.now()).await?;
        let body = self.redactor.redact(body);
        match self.existing(post, &begun).await? {
            Some(id) => self.edit_or_replace(post, id, begun.begun_at, &body).await,
            None => self.create(post, &body).await,
        }
    }

    /// Edits a comment that is there; does nothing when it is not known to be, or was deleted by somebody.
    pub async fn edit(&self, post: &CommentPost<'_>, body: &str) -> Result<(), PostError> {
        let Some(id) = store::external_id(&self.pool, post.key).await? else { return Ok(()) };
        let (github, repo, _) = self.target(post.place)?;
        match github.update_comment(&repo, CommentId(id), &self.redactor.redact(body)).await {
            Ok(()) | Err(GithubError::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// True once a comment with this key is known to be there.
    pub async fn is_posted(&self, key: &str) -> Result<bool, PostError> {
        Ok(store::external_id(&self.pool, key).await?.is_some())
    }

    /// Reacts to what was written. GitHub keeps one reaction of a kind per person, so this may be repeated.
    pub async fn react(&self, request: &Request, reaction: Reaction) -> Result<(), PostError> {
        let (github, repo, number) = self.target(&request.place)?;
        match github.react(&repo, number, request.trigger, reaction).await {
            // What was written is gone; there is nothing to react to.
            Ok(()) | Err(GithubError::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn existing(&self, post: &CommentPost<'_>, begun: &Begun) -> Result<Option<CommentId>, PostError> {
        if let Some(id) = begun.external_id {
            return Ok(Some(CommentId(id)));
        }
        if begun.first {
            return Ok(None);
        }
        self.find(post, begun.begun_at).await
    }

    async fn find(&self, post: &CommentPost<'_>, begun_at: DateTime<Utc>) -> Result<Option<CommentId>, PostError> {
        let (github, repo, number) = self.target(post.place)?;
        let found = github.find_comment(&repo, number, &marker::marker(post.key), begun_at - SKEW).await?;
        if let Some(CommentId(id)) = found {
            store::done(&self.pool, post.key, id, self.clock.now()).await?;
        }
        Ok(found)
    }

    async fn edit_or_replace(
        &self,
        post: &CommentPost<'_>,
        id: CommentId,
        begun_at: DateTime<Utc>,
        body: &str,
    ) -> Result<CommentId, PostError> {
        let (github, repo, _) = self.target(post.place)?;
        match github.update_comment(&repo, id, body).await {
            Ok(()) => Ok(id),
            // Somebody deleted the comment; an answer that nobody sees is no answer. It may have been written anew already.
            Err(GithubError::NotFound) => match self.find(post, begun_at).await? {
                Some(again) if again != id => {
                    github.update_comment(&repo, again, body).await?;
                    Ok(again)
                }
                Some(_) | None => self.create(post, body).await,
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn create(&self, post: &CommentPost<'_>, body: &str) -> Result<CommentId, PostError> {
        let (github, repo, number) = self.target(post.place)?;
        let id = github.create_comment(&repo, number, body).await?;
        store::done(&self.pool, post.key, id.0, self.clock.now()).await?;
        Ok(id)
    }

    fn target<'a>(&'a self, place: &Place) -> Result<(&'a Github, RepoRef, i64), PostError> {
        let github = self.github.as_deref().ok_or(PostError::Off)?;
        let (repo, number) = RepoRef::of(place).ok_or(PostError::Off)?;
        Ok((github, repo, number))
    }
}

/// The people an answer may mention: those the request itself mentions, and its author.
pub fn allowed_mentions(request: &Request) -> Vec<String> {
    let mut allowed = mention::written_by(&request.text);
    allowed.push(request.author.login.clone());
    allowed
}

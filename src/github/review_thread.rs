//! Comments in review threads: written as replies, edited, found again by their marker, read as they stood before the trigger.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::json;

use super::auth::{As, Needs};
use super::client::{Call, Effect, Github};
use super::comment::{Comment, CommentId, Created, Wire};
use super::error::GithubError;
use super::{RepoRef, paging};

/// No more pages than this are read in one go.
const MOST_PAGES: usize = 30;

#[derive(Deserialize)]
struct WireReply {
    in_reply_to_id: Option<i64>,
    #[serde(flatten)]
    comment: Wire,
}

impl Github {
    /// Answers in a review thread, which its first comment names. Not idempotent: see [`Github::create_comment`].
    ///
    /// # Errors
    /// As the call; `NotFound` when the thread is gone.
    pub async fn reply_in_review(&self, repo: &RepoRef, number: i64, root: i64, body: &str) -> Result<CommentId, GithubError> {
        let path = format!("{}/pulls/{number}/comments/{root}/replies", repo.path()?);
        let call = Call::post(path, json!({"body": body}), Effect::Create);
        let operation = async {
            let answer = self.call(As::Repository(repo, Needs::Conversation), &call).await?;
            answer.json::<Created>(Effect::Create).map(|created| CommentId(created.id))
        };
        match self.within(Effect::Create, operation).await {
            // GitHub's words for a root that is a reply itself, or gone with its pull request's lines.
            Err(GithubError::Invalid(why)) if why.starts_with("HTTP 422") && why.contains("in_reply_to") => {
                Err(GithubError::NotFound)
            }
            other => other,
        }
    }

    /// Replaces the text of a comment of ours in a review thread. Idempotent.
    ///
    /// # Errors
    /// As the call; `NotFound` when somebody deleted it.
    pub async fn update_review_comment(&self, repo: &RepoRef, id: CommentId, body: &str) -> Result<(), GithubError> {
        let call = Call::patch(format!("{}/pulls/comments/{}", repo.path()?, id.0), json!({"body": body}));
        self.within(Effect::Change, self.call(As::Repository(repo, Needs::Conversation), &call)).await?;
        Ok(())
    }

    /// Finds the comment of ours that ends with `marker` in the review threads of a pull request, among those written or edited at
    /// or after `since`.
    ///
    /// # Errors
    /// As [`Github::find_comment`].
    pub async fn find_review_comment(
        &self,
        repo: &RepoRef,
        number: i64,
        marker: &str,
        since: DateTime<Utc>,
    ) -> Result<Option<CommentId>, GithubError> {
        let found = |comment: &Comment| comment.is_ours && comment.body.trim_end().ends_with(marker);
        let (comments, whole) = self.review_comments(repo, number, Some(since)).await?;
        match comments.into_iter().map(|(_, comment)| comment).find(found) {
            Some(comment) => Ok(Some(comment.id)),
            None if whole => Ok(None),
            None => Err(GithubError::Invalid("there are too many review comments to look through".into())),
        }
    }

    /// The comments of one review thread that were there before `horizon` and were not edited since, the last `limit` of them.
    ///
    /// # Errors
    /// As the calls.
    pub async fn review_thread_before(
        &self,
        repo: &RepoRef,
        number: i64,
        root: i64,
        horizon: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<Comment>, GithubError> {
        let (comments, _) = self.review_comments(repo, number, None).await?;
        let of_thread = comments.into_iter().filter(|(parent, comment)| comment.id.0 == root || *parent == Some(root));
        let stood = |comment: &Comment| comment.created_at < horizon && comment.updated_at < horizon;
        let mut thread: Vec<Comment> = of_thread.map(|(_, comment)| comment).filter(stood).collect();
        Ok(thread.split_off(thread.len().saturating_sub(limit)))
    }

    /// The comments of all review threads with what each answers to, oldest first; false when there are more. Each page is a call of its own.
    async fn review_comments(
        &self,
        repo: &RepoRef,
        number: i64,
        since: Option<DateTime<Utc>>,
    ) -> Result<(Vec<(Option<i64>, Comment)>, bool), GithubError> {
        let us = self.identity().await?;
        let since = since.map(|since| paging::encode(&since.to_rfc3339_opts(SecondsFormat::Secs, true)));
        let since = since.map(|since| format!("&since={since}")).unwrap_or_default();
        let mut next = Some(format!("{}/pulls/{number}/comments?per_page=100{since}", repo.path()?));
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(path) = next else { return Ok((all, true)) };
            let call = Call::get(path);
            let answer = self.within(Effect::None, self.call(As::Repository(repo, Needs::Conversation), &call)).await?;
            let page: Vec<WireReply> = answer.json(Effect::None)?;
            all.extend(page.into_iter().map(|reply| (reply.in_reply_to_id, reply.comment.into_comment(&us))));
            next = self.link(&answer, "next");
        }
        Ok((all, next.is_none()))
    }
}

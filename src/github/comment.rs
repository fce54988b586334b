//! Comments: written once, edited often, found again by their marker, read as they stood before the trigger.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::json;

use super::auth::{As, Needs};
use super::client::{Answer, Call, Effect, Github};
use super::error::GithubError;
use super::identity::Identity;
use super::person::WireUser;
use super::{RepoRef, paging};
use crate::intake::Author;

/// GitHub's number of a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct CommentId(pub i64);

/// A comment as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its number.
    pub id: CommentId,
    /// Who wrote it; none when the account was deleted.
    pub author: Option<Author>,
    /// True when we wrote it.
    pub is_ours: bool,
    /// Its text, Markdown.
    pub body: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
}

const PER_PAGE: u32 = 100;
/// No more pages than this are read in one go.
const MOST_PAGES: usize = 30;

#[derive(Deserialize)]
pub(super) struct Wire {
    id: i64,
    body: Option<String>,
    user: Option<WireUser>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    performed_via_github_app: Option<WireApp>,
}

#[derive(Deserialize)]
struct WireApp {
    id: Option<i64>,
}

impl Wire {
    pub(super) fn into_comment(self, us: &Identity) -> Comment {
        let by_our_app = self.performed_via_github_app.as_ref().is_some_and(|app| app.id.is_some() && app.id == us.app_id);
        let author = self.user.map(Author::from);
        // A person's comment made through our App's sign-in carries the App, too, but not its account.
        let is_ours = author.as_ref().is_some_and(|author| us.is(author) || (by_our_app && author.is_bot));
        Comment {
            id: CommentId(self.id),
            author,
            is_ours,
            body: self.body.unwrap_or_default(),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

impl Comment {
    pub(super) fn read(answer: &Answer, us: &Identity) -> Result<Self, GithubError> {
        Ok(answer.json::<Wire>(Effect::None)?.into_comment(us))
    }
}

#[derive(Deserialize)]
pub(super) struct Created {
    pub id: i64,
}

impl Github {
    /// Writes a comment. Not idempotent: put a marker into `body`, and after an error with [`GithubError::maybe_done`] look for it
    /// with [`Github::find_comment`] before writing again. `body` has at most 65,536 characters.
    ///
    /// # Errors
    /// As the call; nothing is resent.
    pub async fn create_comment(&self, repo: &RepoRef, number: i64, body: &str) -> Result<CommentId, GithubError> {
        let call = Call::post(format!("{}/issues/{number}/comments", repo.path()?), json!({"body": body}), Effect::Create);
        let operation = async {
            let answer = self.call(As::Repository(repo, Needs::Conversation), &call).await?;
            answer.json::<Created>(Effect::Create).map(|created| CommentId(created.id))
        };
        self.within(Effect::Create, operation).await
    }

    /// Replaces the text of a comment of ours. Idempotent.
    ///
    /// # Errors
    /// As the call; `NotFound` when somebody deleted it.
    pub async fn update_comment(&self, repo: &RepoRef, id: CommentId, body: &str) -> Result<(), GithubError> {
        let call = Call::patch(format!("{}/issues/comments/{}", repo.path()?, id.0), json!({"body": body}));
        self.within(Effect::Change, self.call(As::Repository(repo, Needs::Conversation), &call)).await?;
        Ok(())
    }

    /// Finds the comment of ours that ends with `marker` among those written or edited at or after `since`. Comments of others that
    /// copied the marker are passed over.
    ///
    /// # Errors
    /// As the calls. When more than 3,000 comments would have to be read it fails instead of claiming there is none.
    pub async fn find_comment(
        &self,
        repo: &RepoRef,
        number: i64,
        marker: &str,
        since: DateTime<Utc>,
    ) -> Result<Option<CommentId>, GithubError> {
        self.within(Effect::None, self.search(repo, number, marker, since)).await
    }

    async fn search(
        &self,
        repo: &RepoRef,
        number: i64,
        marker: &str,
        since: DateTime<Utc>,
    ) -> Result<Option<CommentId>, GithubError> {
        let us = self.known_identity().await?;
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut next = Some(format!("{}&since={}", page_path(repo, number, 1)?, paging::encode(&since)));
        for _ in 0..MOST_PAGES {
            let Some(path) = next else { return Ok(None) };
            let answer = self.page(repo, path).await?;
            let found =
                comments(&answer, us)?.into_iter().find(|comment| comment.is_ours && comment.body.trim_end().ends_with(marker));
            if let Some(comment) = found {
                return Ok(Some(comment.id));
            }
            next = self.link(&answer, "next");
        }
        match next {
            None => Ok(None),
            Some(_) => Err(GithubError::Invalid(format!("more than {} comments to search", MOST_PAGES * PER_PAGE as usize))),
        }
    }

    /// The last `limit` comments that were written and last edited before `horizon`, oldest first: what the person who wrote the
    /// trigger can have read. What was edited later is left out, because its old text cannot be had. With `since` only those that were
    /// written or edited from then on.
    ///
    /// # Errors
    /// As the calls.
    pub async fn comments_before(
        &self,
        repo: &RepoRef,
        number: i64,
        since: Option<DateTime<Utc>>,
        horizon: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<Comment>, GithubError> {
        self.within(Effect::None, self.read_back(repo, number, since, horizon, limit)).await
    }

    /// GitHub lists oldest first: the first page tells which is the last, and from there it goes backwards.
    async fn read_back(
        &self,
        repo: &RepoRef,
        number: i64,
        since: Option<DateTime<Utc>>,
        horizon: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<Comment>, GithubError> {
        let path = |page| -> Result<String, GithubError> {
            let path = page_path(repo, number, page)?;
            let since = since.map(|since| since.to_rfc3339_opts(SecondsFormat::Secs, true));
            Ok(since.map_or(path.clone(), |since| format!("{path}&since={}", paging::encode(&since))))
        };
        let us = self.known_identity().await?;
        let stood = |answer: &Answer| -> Result<Vec<Comment>, GithubError> {
            let mut page = comments(answer, us)?;
            page.retain(|comment| comment.created_at < horizon && comment.updated_at < horizon);
            Ok(page)
        };
        let first = self.page(repo, path(1)?).await?;
        let last = self.link(&first, "last").and_then(|link| paging::page(&link)).unwrap_or(1);
        let mut found: Vec<Comment> = Vec::new();
        for page in (2..=last).rev().take(MOST_PAGES) {
            if found.len() >= limit {
                break;
            }
            let answer = self.page(repo, path(page)?).await?;
            found.splice(0..0, stood(&answer)?);
        }
        if found.len() < limit && last as usize <= MOST_PAGES {
            found.splice(0..0, stood(&first)?);
        }
        Ok(found.split_off(found.len().saturating_sub(limit)))
    }

    async fn page(&self, repo: &RepoRef, path: String) -> Result<Answer, GithubError> {
        self.call(As::Repository(repo, Needs::Conversation), &Call::get(path)).await
    }
}

pub(super) fn page_path(repo: &RepoRef, number: i64, page: u32) -> Result<String, GithubError> {
    Ok(format!("{}/issues/{number}/comments?per_page={PER_PAGE}&page={page}", repo.path()?))
}

pub(super) fn comments(answer: &Answer, us: &Identity) -> Result<Vec<Comment>, GithubError> {
    let page: Vec<Wire> = answer.json(Effect::None)?;
    Ok(page.into_iter().map(|comment| comment.into_comment(us)).collect())
}

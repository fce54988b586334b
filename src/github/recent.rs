//! Comments of a whole repository since a moment, for where nobody keeps a list of webhooks. They are told as the webhook would
//! have told them, so that one translation serves both.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::auth::{As, Needs};
use super::client::{Call, Effect, Github};
use super::error::GithubError;
use super::{RepoRef, paging};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecentKind {
    /// Comments in conversations.
    Comment,
    /// Comments in review threads.
    ReviewComment,
}

impl RecentKind {
    /// The event whose payload tells of it.
    pub fn event(self) -> &'static str {
        match self {
            Self::Comment => "issue_comment",
            Self::ReviewComment => "pull_request_review_comment",
        }
    }

    fn list(self) -> &'static str {
        match self {
            Self::Comment => "issues/comments",
            Self::ReviewComment => "pulls/comments",
        }
    }
}

/// A comment of a list.
#[derive(Clone, Debug)]
pub struct Recent {
    /// Its number.
    pub id: i64,
    /// Its text.
    pub body: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
    /// As GitHub gave it.
    comment: Value,
}

impl Recent {
    fn of(comment: Value) -> Option<Self> {
        let time = |name: &str| comment[name].as_str()?.parse().ok();
        Some(Self {
            id: comment["id"].as_i64()?,
            body: comment["body"].as_str().unwrap_or_default().to_owned(),
            created_at: time("created_at")?,
            updated_at: time("updated_at")?,
            comment,
        })
    }
}

impl Github {
    /// A page of a repository's comments that were written or edited at or after `since`, those that changed first before the others,
    /// and whether there are more. The caller goes on from the last one's time.
    ///
    /// # Errors
    /// As the call.
    pub async fn recent(
        &self,
        repo: &RepoRef,
        kind: RecentKind,
        since: DateTime<Utc>,
    ) -> Result<(Vec<Recent>, bool), GithubError> {
        let since = paging::encode(&since.to_rfc3339_opts(SecondsFormat::Secs, true));
        let path = format!("{}/{}?sort=updated&direction=asc&per_page=100&since={since}", repo.path()?, kind.list());
        let answer = self.within(Effect::None, self.call(As::Repository(repo, Needs::Conversation), &Call::get(path))).await?;
        let page: Vec<Value> = answer.json(Effect::None)?;
        let more = self.link(&answer, "next").is_some();
        Ok((page.into_iter().filter_map(Recent::of).collect(), more))
    }

    /// The payload of the webhook that told of the comment when it was new. Looks its conversation up. A list does not say who edited a
    /// comment: its author stands for it, because only people who may write can edit what others wrote.
    ///
    /// # Errors
    /// As the call; `NotFound` when the conversation is gone.
    pub async fn payload_of(&self, repo: &RepoRef, kind: RecentKind, recent: &Recent) -> Result<Value, GithubError> {
        let (name, link) = match kind {
            RecentKind::Comment => ("issue", "issue_url"),
            RecentKind::ReviewComment => ("pull_request", "pull_request_url"),
        };
        let number = recent.comment[link].as_str().and_then(|url| url.rsplit('/').next()?.parse::<i64>().ok());
        let Some(number) = number else { return Err(GithubError::NotFound) };
        let list = if kind == RecentKind::Comment { "issues" } else { "pulls" };
        let path = format!("{}/{list}/{number}", repo.path()?);
        let answer = self.within(Effect::None, self.call(As::Repository(repo, Needs::Conversation), &Call::get(path))).await?;
        let mut about: Value = answer.json(Effect::None)?;
        if let Some(head) = about.get_mut("head") {
            // It is the head of now, not that of when the comment was written.
            head["sha"] = Value::Null;
        }
        let installation = repo.installation.map_or(Value::Null, |id| json!({"id": id}));
        Ok(json!({"action": "created", "comment": recent.comment, (name): about,
            "repository": {"id": repo.id, "full_name": repo.full_name}, "installation": installation,
            "sender": recent.comment["user"]}))
    }
}

//! The few fields of GitHub's webhook payloads that we read. Everything is optional: GitHub adds actions, omits users of deleted
//! accounts and sends fields we never heard of.

use chrono::{DateTime, Utc};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// What is read of an event we do not handle.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    pub action: Option<serde_json::Value>,
}

impl From<Envelope> for Payload {
    fn from(envelope: Envelope) -> Self {
        Self { action: envelope.action, ..Self::default() }
    }
}

/// What is read of an event we handle.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Payload {
    pub action: Option<serde_json::Value>,
    pub issue: Option<Issue>,
    pub comment: Option<Comment>,
    pub pull_request: Option<PullRequest>,
    pub review: Option<Review>,
    pub label: Option<Label>,
    pub requested_reviewer: Option<Account>,
    pub check_run: Option<Check>,
    pub check_suite: Option<Check>,
    pub repository: Option<Repository>,
    pub installation: Option<Installation>,
    pub sender: Option<Account>,
    pub changes: Option<Changes>,
    pub repositories_removed: Option<Vec<Repository>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Issue {
    pub id: Option<i64>,
    pub number: Option<i64>,
    pub title: Option<String>,
    pub body: Option<String>,
    pub html_url: Option<String>,
    pub user: Option<Account>,
    pub created_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
    pub pull_request: Option<IgnoredAny>,
}

/// A comment in a conversation, or in a review thread.
#[derive(Debug, Deserialize)]
pub(super) struct Comment {
    pub id: Option<i64>,
    pub body: Option<String>,
    pub html_url: Option<String>,
    pub user: Option<Account>,
    pub created_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
    pub in_reply_to_id: Option<i64>,
    pub path: Option<String>,
    pub line: Option<i64>,
    pub start_line: Option<i64>,
    pub side: Option<String>,
    pub diff_hunk: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PullRequest {
    pub id: Option<i64>,
    pub number: Option<i64>,
    pub title: Option<String>,
    pub body: Option<String>,
    pub html_url: Option<String>,
    pub user: Option<Account>,
    pub draft: Option<bool>,
    pub state: Option<String>,
    pub head: Option<Head>,
    pub created_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub sha: Option<String>,
    /// None when the fork was deleted.
    pub repo: Option<Repository>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Review {
    pub id: Option<i64>,
    pub body: Option<String>,
    pub html_url: Option<String>,
    pub user: Option<Account>,
    pub submitted_at: Option<DateTime<Utc>>,
    /// Younger servers say it.
    pub updated_at: Option<DateTime<Utc>>,
    /// What was reviewed; newer commits may be in the pull request already.
    pub commit_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Label {
    pub name: Option<String>,
}

/// A check run or a suite of them.
#[derive(Debug, Deserialize)]
pub(super) struct Check {
    pub id: Option<i64>,
    pub name: Option<String>,
    pub head_sha: Option<String>,
    pub conclusion: Option<String>,
    pub html_url: Option<String>,
    pub app: Option<App>,
    pub pull_requests: Option<Vec<PullRequest>>,
    pub completed_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct App {
    pub id: Option<i64>,
    pub slug: Option<String>,
    pub name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Repository {
    pub id: Option<i64>,
    pub full_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Installation {
    pub id: Option<i64>,
    pub account: Option<Account>,
    #[serde(default, deserialize_with = "moment")]
    pub updated_at: Option<DateTime<Utc>>,
}

/// Seconds since 1970 in older payloads, text in newer ones.
fn moment<'de, D: Deserializer<'de>>(value: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    Ok(match serde_json::Value::deserialize(value)? {
        serde_json::Value::Number(seconds) => seconds.as_i64().and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        serde_json::Value::String(text) => text.parse().ok(),
        _ => None,
    })
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Account {
    pub id: Option<i64>,
    pub login: Option<String>,
    /// Enterprises have no login.
    pub slug: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

/// What an edit or a transfer changed.
#[derive(Debug, Deserialize)]
pub(super) struct Changes {
    pub body: Option<Was>,
    pub title: Option<Was>,
    pub old_issue: Option<IgnoredAny>,
    pub new_issue: Option<Numbered>,
    pub new_repository: Option<Repository>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Numbered {
    pub number: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Was {
    pub from: Option<String>,
}

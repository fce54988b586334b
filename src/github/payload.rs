//! The few fields of GitHub's webhook payloads that we read. Everything is optional: GitHub adds actions, omits users of deleted
//! accounts and sends fields we never heard of.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;

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
    pub repository: Option<Repository>,
    pub installation: Option<Installation>,
    pub sender: Option<Account>,
    pub changes: Option<Changes>,
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

#[derive(Debug, Deserialize)]
pub(super) struct Comment {
    pub id: Option<i64>,
    pub body: Option<String>,
    pub html_url: Option<String>,
    pub user: Option<Account>,
    pub created_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
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
}

#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub id: Option<i64>,
    pub login: Option<String>,
    /// Enterprises have no login.
    pub slug: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

/// What an edit changed.
#[derive(Debug, Deserialize)]
pub(super) struct Changes {
    pub body: Option<Was>,
    pub old_issue: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Was {
    pub from: Option<String>,
}

//! Webhooks: made, signed, sent, kept for redelivery.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Shared;
use super::world::{APP_ID, IssueRef, World};
use crate::http::signature::sign;
use crate::secret::SecretString;

/// GitHub waits this long for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().user_agent("GitHub-Hookshot/standin").timeout(PATIENCE).no_proxy().build()
}

/// A webhook, sent or not.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its number, for [`super::GithubStandin::redeliver`].
    pub id: u64,
    /// `X-GitHub-Delivery`.
    pub guid: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// The action, or nothing.
    pub action: String,
    /// The exact body.
    pub body: Bytes,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// The status of each attempt; none when nobody answered.
    pub attempts: Vec<Option<u16>>,
}

impl Delivery {
    /// The headers GitHub sends with it, signature included.
    pub fn headers(&self, secret: &SecretString) -> Vec<(&'static str, String)> {
        vec![
            ("content-type", "application/json".into()),
            ("x-github-event", self.event.clone()),
            ("x-github-delivery", self.guid.clone()),
            ("x-github-hook-id", "1".into()),
            ("x-github-hook-installation-target-type", "integration".into()),
            ("x-github-hook-installation-target-id", APP_ID.to_string()),
            ("x-hub-signature-256", sign(secret, &self.body)),
        ]
    }
}

/// What came of sending a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The delivery's number.
    pub delivery: u64,
    /// Its `X-GitHub-Delivery`.
    pub guid: String,
    /// The receiver's status; none when no receiver is set or none answered.
    pub status: Option<u16>,
    /// The receiver's words.
    pub reply: String,
}

impl World {
    pub(super) fn deliver(&mut self, event: &str, payload: &Value) -> u64 {
        let id = self.id().unsigned_abs();
        self.keep(Delivery {
            id,
            guid: Uuid::now_v7().to_string(),
            event: event.to_owned(),
            action: payload["action"].as_str().unwrap_or_default().to_owned(),
            body: Bytes::from(payload.to_string()),
            made_at: self.now(),
            attempts: Vec::new(),
        });
        id
    }

    /// Makes an `issue_comment` webhook; `before` is the text an edit replaced.
    pub(super) fn comment_event(&mut self, action: &str, comment: i64, sender: &str, before: Option<&str>) -> Option<u64> {
        let comment = self.comments.get(&comment)?;
        let mut payload = self.envelope(action, self.repositories.get(&comment.issue.0)?, sender);
        payload["issue"] = self.issue_json(self.issues.get(&comment.issue)?);
        payload["comment"] = self.comment_json(comment);
        if let Some(before) = before {
            payload["changes"] = json!({"body": {"from": before}});
        }
        Some(self.deliver("issue_comment", &payload))
    }

    /// Makes an `issues` webhook.
    pub(super) fn issue_event(&mut self, action: &str, issue: &IssueRef, sender: &str, before: Option<&str>) -> Option<u64> {
        let mut payload = self.envelope(action, self.repository(&issue.repository)?, sender);
        payload["issue"] = self.issue_json(self.issue(issue)?);
        if let Some(before) = before {
            payload["changes"] = json!({"body": {"from": before}});
        }
        Some(self.deliver("issues", &payload))
    }
}

impl Shared {
    /// Sends a webhook in the background.
    pub(super) fn send_later(self: &Arc<Self>, delivery: Option<u64>) {
        let Some(delivery) = delivery.filter(|_| self.with(|world| world.hook.is_some())) else { return };
        self.with(|world| world.in_flight += 1);
        let shared = self.clone();
        tokio::spawn(async move {
            shared.send(delivery).await;
            shared.with(|world| world.in_flight -= 1);
            shared.notify();
        });
    }

    /// Sends what the service's own request brought about, where that echoes; otherwise nobody ever hears of it.
    pub(super) fn announce(self: &Arc<Self>, deliveries: Vec<u64>) {
        if self.echo {
            deliveries.into_iter().for_each(|delivery| self.send_later(Some(delivery)));
        } else {
            self.with(|world| world.deliveries.retain(|kept| !deliveries.contains(&kept.id)));
        }
        self.notify();
    }

    /// Sends a webhook and waits for the answer.
    pub(super) async fn send(&self, id: u64) -> Option<Sent> {
        let (delivery, hook, lost) = self.with(|world| {
            let delivery = world.deliveries.iter().rev().find(|delivery| delivery.id == id).cloned();
            delivery.map(|delivery| (delivery.clone(), world.hook.clone(), world.loses(&delivery)))
        })?;
        let (status, reply) = match hook {
            Some(_) if lost => (None, "it got lost".into()),
            Some(hook) => self.post(&hook, &delivery).await,
            None => (None, "no receiver is set".into()),
        };
        self.with(|world| world.attempted(id, status, &reply));
        self.notify();
        Some(Sent { delivery: id, guid: delivery.guid, status, reply })
    }

    async fn post(&self, hook: &str, delivery: &Delivery) -> (Option<u16>, String) {
        let mut request = self.client.post(hook).body(delivery.body.clone());
        for (name, value) in delivery.headers(&self.webhook_secret) {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                (Some(status), answer.text().await.unwrap_or_default())
            }
            Err(error) => (None, error.to_string()),
        }
    }
}

//! The webhooks of reviews, their comments, threads and requests.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::Shared;
use super::super::world::{Key, World};

impl World {
    fn pull_envelope(&self, action: &str, key: Key, sender: &str) -> Option<Value> {
        let mut payload = self.envelope(action, self.repositories.get(&key.0)?, sender);
        payload["pull_request"] = self.pull_json_of(key);
        Some(payload)
    }

    /// Makes the webhooks of a review that was submitted: one for itself, one for each of its comments.
    pub(super) fn review_events(&mut self, id: i64) -> Vec<u64> {
        let Some(review) = self.review.all.get(&id).cloned() else { return Vec::new() };
        if review.submitted_at.is_none() {
            return Vec::new();
        }
        let mut made: Vec<u64> = self.review_event("submitted", id, &review.author, None).into_iter().collect();
        let of_it: Vec<i64> = self.review.comments.values().filter(|one| one.review == id).map(|one| one.id).collect();
        made.extend(of_it.into_iter().filter_map(|comment| self.remark_event("created", comment, &review.author, None)));
        made
    }

    /// Makes a `pull_request_review` webhook; `before` is the text an edit replaced.
    pub(super) fn review_event(&mut self, action: &str, id: i64, sender: &str, before: Option<&str>) -> Option<u64> {
        let review = self.review.all.get(&id)?;
        let mut payload = self.pull_envelope(action, review.pull, sender)?;
        let mut json = self.review_json(review);
        // Webhooks write the state in small letters and an empty text as none.
        json["state"] = review.state.as_str().to_lowercase().into();
        if review.body.is_empty() {
            json["body"] = Value::Null;
        }
        payload["review"] = json;
        if let Some(before) = before {
            payload["changes"] = json!({"body": {"from": before}});
        }
        Some(self.deliver("pull_request_review", &payload))
    }

    /// Makes a `pull_request_review_comment` webhook; `before` is the text an edit replaced.
    pub(super) fn remark_event(&mut self, action: &str, id: i64, sender: &str, before: Option<&str>) -> Option<u64> {
        let comment = self.review.comments.get(&id)?;
        let mut payload = self.pull_envelope(action, comment.pull, sender)?;
        payload["comment"] = self.remark_json(comment);
        if let Some(before) = before {
            payload["changes"] = json!({"body": {"from": before}});
        }
        Some(self.deliver("pull_request_review_comment", &payload))
    }

    /// Makes a `pull_request_review_thread` webhook.
    pub(in super::super) fn thread_event(&mut self, action: &str, root: i64, sender: &str) -> Option<u64> {
        let key = self.review.comments.get(&root)?.pull;
        let mut payload = self.pull_envelope(action, key, sender)?;
        payload["thread"] = self.thread_json(root);
        Some(self.deliver("pull_request_review_thread", &payload))
    }

    /// Makes a `pull_request` webhook about a request for a review.
    pub(super) fn review_request_event(&mut self, action: &str, key: Key, reviewer: &str, sender: &str) -> Option<u64> {
        let mut payload = self.pull_envelope(action, key, sender)?;
        payload["number"] = key.1.into();
        payload["requested_reviewer"] = self.user_json(reviewer);
        Some(self.deliver("pull_request", &payload))
    }
}

impl Shared {
    /// Sends webhooks in the background, in this order as far as the receiver is quick.
    pub(in super::super) fn send_all_later(self: &Arc<Self>, deliveries: Vec<u64>) {
        for delivery in deliveries {
            self.send_later(Some(delivery));
        }
    }
}

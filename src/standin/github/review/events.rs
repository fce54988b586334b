//! The webhooks of reviews, their comments and threads.

use serde_json::{Value, json};

use super::super::world::World;

/// What an edit replaced, as webhooks tell it.
fn changed(mut with: Value, before: Option<&str>) -> Value {
    if let Some(before) = before {
        with["changes"] = json!({"body": {"from": before}});
    }
    with
}

impl World {
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
        let mut json = self.review_json(review);
        // Webhooks write the state in small letters and an empty text as none.
        json["state"] = review.state.as_str().to_lowercase().into();
        if review.body.is_empty() {
            json["body"] = Value::Null;
        }
        let with = json!({"review": json, "pull_request": self.pull_simple_json(review.pull)});
        self.event("pull_request_review", Some(action), review.pull.0, sender, changed(with, before))
    }

    /// Makes a `pull_request_review_comment` webhook; `before` is the text an edit replaced.
    pub(super) fn remark_event(&mut self, action: &str, id: i64, sender: &str, before: Option<&str>) -> Option<u64> {
        let comment = self.review.comments.get(&id)?;
        let with = json!({"comment": self.remark_json(comment), "pull_request": self.pull_simple_json(comment.pull)});
        self.event("pull_request_review_comment", Some(action), comment.pull.0, sender, changed(with, before))
    }

    /// Makes a `pull_request_review_thread` webhook.
    pub(in super::super) fn thread_event(&mut self, action: &str, root: i64, sender: &str) -> Option<u64> {
        let key = self.review.comments.get(&root)?.pull;
        let with = json!({"thread": self.thread_json(root), "pull_request": self.pull_simple_json(key)});
        self.event("pull_request_review_thread", Some(action), key.0, sender, with)
    }
}

//! The JSON of reviews and their comments, with the fields of GitHub's published description.

use serde_json::{Value, json};

use super::super::shape::{node, time};
use super::super::world::{Key, World};
use super::{Anchor, Review, ReviewComment};

impl World {
    fn pull_urls(&self, key: Key) -> (String, String) {
        let name = self.repository_name(key.0);
        (format!("{}/repos/{name}/pulls/{}", self.api, key.1), format!("{}/{name}/pull/{}", self.origin, key.1))
    }

    pub(in super::super) fn review_json(&self, review: &Review) -> Value {
        let (api, page) = self.pull_urls(review.pull);
        let page = format!("{page}#pullrequestreview-{}", review.id);
        let mut json = json!({
            "id": review.id, "node_id": node("PRR", review.id), "user": self.user_json(&review.author), "body": review.body,
            "state": review.state.as_str(), "html_url": page, "pull_request_url": api,
            "author_association": self.association(review.pull.0, &review.author), "commit_id": review.commit,
            "_links": {"html": {"href": page}, "pull_request": {"href": api}},
        });
        if let Some(at) = review.submitted_at {
            json["submitted_at"] = time(at).into();
        }
        json
    }

    pub(super) fn review_json_by_id(&self, id: i64) -> Value {
        self.review.all.get(&id).map(|review| self.review_json(review)).unwrap_or_default()
    }

    pub(in super::super) fn remark_json(&self, comment: &ReviewComment) -> Value {
        let (pull, page) = self.pull_urls(comment.pull);
        let api = format!("{}/repos/{}/pulls/comments/{}", self.api, self.repository_name(comment.pull.0), comment.id);
        let page = format!("{page}#discussion_r{}", comment.id);
        let current = self.current(comment);
        let commit = current.as_ref().map_or_else(|| self.last_current(comment), |current| current.commit.clone());
        let now = current.and_then(|current| current.anchor);
        let then = comment.anchor;
        let first = |anchor: Option<Anchor>| anchor.and_then(|anchor| anchor.start).map(|(_, line)| line);
        // Sides never change; GitHub calls a comment on a whole file one on line 1 to the right.
        let (side, start_side) = then.map_or(("RIGHT", None), |a| (a.side.as_str(), a.start.map(|(side, _)| side.as_str())));
        let whole = then.is_none().then_some(1);
        let mut json = json!({
            "url": api, "pull_request_review_id": comment.review, "id": comment.id, "node_id": node("PRRC", comment.id),
            "diff_hunk": comment.diff_hunk, "path": comment.path, "commit_id": commit,
            "original_commit_id": comment.original_commit, "user": self.user_json(&comment.author), "body": comment.body(),
            "created_at": time(comment.created_at), "updated_at": time(comment.updated_at), "html_url": page,
            "pull_request_url": pull, "author_association": self.association(comment.pull.0, &comment.author),
            "_links": {"self": {"href": api}, "html": {"href": page}, "pull_request": {"href": pull}},
            "reactions": self.rollup(&format!("{api}/reactions"), comment.pull, Some(comment.id)),
            "start_line": first(now), "original_start_line": first(then), "start_side": start_side,
            "line": now.map(|anchor| anchor.line).or(whole), "original_line": then.map(|anchor| anchor.line).or(whole),
            "side": side, "original_position": then.map(|anchor| anchor.position).or(whole),
            "position": now.map(|anchor| anchor.position).or(whole),
            "subject_type": if then.is_some() { "line" } else { "file" },
        });
        if let Some(to) = comment.reply_to {
            json["in_reply_to_id"] = to.into();
        }
        json
    }

    /// A thread as webhooks show it.
    pub(super) fn thread_json(&self, root: i64) -> Value {
        let all = self.review.comments.values().filter(|comment| comment.root() == root);
        json!({"node_id": node("PRRT", root), "comments": all.map(|comment| self.remark_json(comment)).collect::<Vec<_>>()})
    }
}

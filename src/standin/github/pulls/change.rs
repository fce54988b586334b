//! What happens to issues and pull requests, by whomever: text, labels, open and closed, drafts, asked reviewers. Each returns its
//! webhooks; nothing that changes nothing has one.

use serde_json::{Value, json};

use super::super::world::{Key, World};

impl World {
    /// An `issues` or `pull_request` webhook, after what it is.
    pub(in super::super) fn told(&mut self, action: &str, key: Key, sender: &str, mut with: Value) -> Option<u64> {
        let issue = self.issues.get(&key)?;
        if issue.is_pull_request {
            return self.pull_event(action, key, sender, with);
        }
        with["issue"] = self.issue_json(issue);
        self.event("issues", Some(action), key.0, sender, with)
    }

    pub(in super::super) fn reword(&mut self, key: Key, title: Option<&str>, body: Option<&str>, sender: &str) -> Vec<u64> {
        let Some(issue) = self.issues.get_mut(&key) else { return Vec::new() };
        let mut changes = json!({});
        if let Some(title) = title.filter(|title| *title != issue.title) {
            changes["title"] = json!({"from": std::mem::replace(&mut issue.title, title.to_owned())});
        }
        if let Some(body) = body.filter(|body| *body != issue.body) {
            changes["body"] = json!({"from": std::mem::replace(&mut issue.body, body.to_owned())});
        }
        if changes == json!({}) {
            return Vec::new();
        }
        self.touch(key);
        self.told("edited", key, sender, json!({"changes": changes})).into_iter().collect()
    }

    pub(in super::super) fn close(&mut self, key: Key, sender: &str) -> Vec<u64> {
        if !self.end(key) {
            return Vec::new();
        }
        self.told("closed", key, sender, json!({})).into_iter().collect()
    }

    /// Closes it without a word. False when it was closed.
    pub(in super::super) fn end(&mut self, key: Key) -> bool {
        let (tip, now) = (self.base_tip(key), self.now());
        let Some(issue) = self.issues.get_mut(&key).filter(|issue| issue.open) else { return false };
        issue.open = false;
        issue.closed_at = Some(now);
        if let (Some(pull), Some(tip)) = (self.pulls.get_mut(&key), tip) {
            pull.closed_at = Some(now);
            pull.base_sha = tip;
        }
        self.touch(key);
        self.count_open(key.0, false);
        true
    }

    pub(in super::super) fn reopen(&mut self, key: Key, sender: &str) -> Vec<u64> {
        let Some(issue) = self.issues.get_mut(&key).filter(|issue| !issue.open) else { return Vec::new() };
        issue.open = true;
        issue.closed_at = None;
        if let Some(pull) = self.pulls.get_mut(&key) {
            pull.closed_at = None;
            pull.looked_at = false;
        }
        self.touch(key);
        self.count_open(key.0, true);
        self.told("reopened", key, sender, json!({})).into_iter().collect()
    }

    pub(in super::super) fn set_draft(&mut self, key: Key, draft: bool, sender: &str) -> Vec<u64> {
        let Some(pull) = self.pulls.get_mut(&key).filter(|pull| pull.draft != draft) else { return Vec::new() };
        pull.draft = draft;
        self.touch(key);
        let action = if draft { "converted_to_draft" } else { "ready_for_review" };
        self.pull_event(action, key, sender, json!({})).into_iter().collect()
    }

    pub(in super::super) fn rebase_onto(&mut self, key: Key, branch: &str, sender: &str) -> Vec<u64> {
        let Some(tip) = self.repositories.get(&key.0).and_then(|repository| repository.git.branch(branch)).cloned() else {
            return Vec::new();
        };
        let Some(pull) = self.pulls.get_mut(&key).filter(|pull| pull.base_branch != branch) else { return Vec::new() };
        let was = std::mem::replace(&mut pull.base_branch, branch.to_owned());
        let was_at = std::mem::replace(&mut pull.base_sha, tip);
        pull.looked_at = false;
        self.touch(key);
        let changes = json!({"base": {"ref": {"from": was}, "sha": {"from": was_at}}});
        self.pull_event("edited", key, sender, json!({"changes": changes})).into_iter().collect()
    }

    pub(in super::super) fn label(&mut self, key: Key, name: &str, sender: &str) -> Vec<u64> {
        let label = self.make_label(key.0, name);
        let Some(issue) = self.issues.get_mut(&key) else { return Vec::new() };
        if issue.labels.contains(&label) {
            return Vec::new();
        }
        issue.labels.push(label.clone());
        self.touch(key);
        let with = json!({"label": self.label_json(key.0, &label)});
        self.told("labeled", key, sender, with).into_iter().collect()
    }

    pub(in super::super) fn unlabel(&mut self, key: Key, name: &str, sender: &str) -> Vec<u64> {
        let Some(issue) = self.issues.get_mut(&key) else { return Vec::new() };
        let Some(at) = issue.labels.iter().position(|label| label.eq_ignore_ascii_case(name)) else { return Vec::new() };
        let label = issue.labels.remove(at);
        self.touch(key);
        let with = json!({"label": self.label_json(key.0, &label)});
        self.told("unlabeled", key, sender, with).into_iter().collect()
    }

    pub(in super::super) fn ask_review(&mut self, key: Key, reviewer: &str, sender: &str) -> Vec<u64> {
        let Some(reviewer) = self.user(reviewer).map(|user| user.login.clone()) else { return Vec::new() };
        let Some(pull) = self.pulls.get_mut(&key) else { return Vec::new() };
        if pull.requested_reviewers.contains(&reviewer) {
            return Vec::new();
        }
        pull.requested_reviewers.push(reviewer.clone());
        self.touch(key);
        let with = json!({"requested_reviewer": self.user_json(&reviewer)});
        self.pull_event("review_requested", key, sender, with).into_iter().collect()
    }

    pub(in super::super) fn unask_review(&mut self, key: Key, reviewer: &str, sender: &str) -> Vec<u64> {
        let Some(pull) = self.pulls.get_mut(&key) else { return Vec::new() };
        let Some(at) = pull.requested_reviewers.iter().position(|login| login.eq_ignore_ascii_case(reviewer)) else {
            return Vec::new();
        };
        let reviewer = pull.requested_reviewers.remove(at);
        self.touch(key);
        let with = json!({"requested_reviewer": self.user_json(&reviewer)});
        self.pull_event("review_request_removed", key, sender, with).into_iter().collect()
    }
}

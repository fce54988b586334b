//! What reviews need to know of a pull request's commits.

use anyhow::Context;
use bytes::Bytes;

use super::super::world::{Key, World};

impl World {
    /// The head of a pull request.
    pub(in super::super) fn head_of(&self, key: Key) -> Option<String> {
        self.commits_of(key).last().cloned()
    }

    /// The commits of a pull request, oldest first.
    pub(in super::super) fn commits_of(&self, key: Key) -> Vec<String> {
        self.repositories.get(&key.0).map(|repository| repository.git.commits_of(key.1)).unwrap_or_default()
    }

    /// A file as it is at a commit of a pull request.
    pub(in super::super) fn content_at(&self, key: Key, commit: &str, path: &str) -> Option<Bytes> {
        self.repositories.get(&key.0)?.git.content(commit, path)
    }

    /// The same file as it was where the pull request left its base.
    pub(super) fn content_before(&self, key: Key, commit: &str, path: &str) -> Option<Bytes> {
        let git = &self.repositories.get(&key.0)?.git;
        git.content(&git.fork_point(key.1, commit)?, path)
    }

    /// What a pull request up to a commit does to a file: none when it does nothing to it, none inside when that cannot be shown.
    pub(super) fn patch_at(&self, key: Key, commit: &str, path: &str) -> Option<Option<String>> {
        let (before, after) = (self.content_before(key, commit, path), self.content_at(key, commit, path));
        if before == after {
            return None;
        }
        Some(super::super::diff::patch(&before.unwrap_or_default(), &after.unwrap_or_default()))
    }

    /// The pull request as webhooks and answers show it.
    pub(in super::super) fn pull_json_of(&self, key: Key) -> serde_json::Value {
        let Some(issue) = self.issues.get(&key) else { return serde_json::Value::Null };
        let mut json = self.issue_json(issue);
        json["head"] = serde_json::json!({"sha": self.head_of(key), "ref": "work"});
        json["requested_reviewers"] = self.requested_json(key);
        json
    }

    /// A person commits files to the branch of a pull request; the commit and the webhooks of it.
    pub(super) fn commit_on_pull(
        &mut self,
        key: Key,
        _author: &str,
        _message: &str,
        files: Vec<(String, Bytes)>,
    ) -> anyhow::Result<(String, Vec<u64>)> {
        let now = self.now();
        let repository = self.repositories.get_mut(&key.0).context("no such repository")?;
        Ok((repository.git.change(key.1, files, now).context("the pull request has no commits")?, Vec::new()))
    }
}

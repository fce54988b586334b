//! Merging a pull request.

use serde_json::json;

use super::super::git::github;
use super::super::git::merge::merge;
use super::super::git::object::{Commit, Sha};
use super::super::git::store::Files;
use super::super::git::update::Update;
use super::super::world::{Key, World};

/// How a pull request is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeMethod {
    /// With a commit that has both as parents.
    Merge,
    /// As one commit upon the base.
    Squash,
    /// Each commit anew upon the base.
    Rebase,
}

impl World {
    /// The files as they would be, or the paths in conflict.
    pub(in super::super) fn merged_files(&self, key: Key) -> Result<Files, Vec<String>> {
        let (Some(pull), Some(repository)) = (self.pulls.get(&key), self.repositories.get(&key.0)) else {
            return Err(Vec::new());
        };
        let store = &repository.git.store;
        let base = self.merge_base_of(key).map(|sha| store.files_of(&sha)).unwrap_or_default();
        let ours = self.base_tip(key).map(|sha| store.files_of(&sha)).unwrap_or_default();
        merge(store, &base, &ours, &store.files_of(&pull.head_sha))
    }

    /// Merges, whatever branch protection says. Returns the commit and the webhooks; none when there are conflicts.
    pub(in super::super) fn land(&mut self, key: Key, method: MergeMethod, sender: &str) -> Option<(Sha, Vec<u64>)> {
        let files = self.merged_files(key).ok()?;
        let (pull, issue, tip) = (self.pulls.get(&key)?, self.issues.get(&key).filter(|issue| issue.open)?, self.base_tip(key)?);
        let git = &self.repositories.get(&key.0)?.git;
        let now = self.now();
        let make = |message: String, parents: Vec<Sha>, tree: Sha, author| {
            let commit = Commit { sha: Sha::new(), tree, parents, author, committer: github(now), message, signature: None };
            git.write(commit.signed())
        };
        let tree = git.store.write_tree(&files);
        let sha = match method {
            MergeMethod::Merge => {
                let from = format!("{}/{}", pull.head_owner, pull.head_branch);
                let message = format!("Merge pull request #{} from {from}\n\n{}", key.1, issue.title);
                make(message, vec![tip.clone(), pull.head_sha.clone()], tree, self.person(sender, now))
            }
            MergeMethod::Squash => {
                let author = git.store.commit(&pull.head_sha)?.author;
                make(format!("{} (#{})", issue.title, key.1), vec![tip.clone()], tree, author)
            }
            MergeMethod::Rebase => {
                let mut upon = tip.clone();
                for commit in self.commits_of(key) {
                    let before = commit.parents.first().map(|parent| git.store.files_of(parent)).unwrap_or_default();
                    let files = merge(&git.store, &before, &git.store.files_of(&upon), &git.store.files(&commit.tree)).ok()?;
                    upon = make(commit.message.clone(), vec![upon], git.store.write_tree(&files), commit.author.clone());
                }
                upon
            }
        };
        let reference = format!("refs/heads/{}", pull.base_branch);
        if let Some(pull) = self.pulls.get_mut(&key) {
            pull.base_sha = tip;
        }
        let mut sent = self.update_ref(&Update { repository: key.0, reference: &reference, after: Some(&sha), sender });
        // A merge commit has the head before it, which is noticed; what was squashed or rebased does not.
        sent.extend(self.mark_merged(key, &sha, sender));
        Some((sha, sent))
    }

    /// It is merged, and closed by that.
    pub(in super::super) fn mark_merged(&mut self, key: Key, commit: &str, sender: &str) -> Vec<u64> {
        let now = self.now();
        let base = self.pulls.get(&key).map(|pull| pull.base_sha.clone());
        let moved = self.base_tip(key).is_some_and(|tip| tip == commit);
        if !self.end(key) {
            return Vec::new();
        }
        let Some(pull) = self.pulls.get_mut(&key) else { return Vec::new() };
        // When the base has moved already, its tip is not where the pull request began.
        if let (true, Some(base)) = (moved, base) {
            pull.base_sha = base;
        }
        pull.merged_at = Some(now);
        pull.merged_by = Some(sender.to_owned());
        pull.merge_commit = Some(commit.to_owned());
        self.pull_event("closed", key, sender, json!({})).into_iter().collect()
    }
}

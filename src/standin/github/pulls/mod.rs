//! Pull requests: two branches and what is between them. Their conversation is an issue with the same number.

pub(super) mod change;
pub(super) mod create;
pub(super) mod http;
pub(super) mod land;
pub(super) mod people;
pub(super) mod shape;

use anyhow::Context;
use chrono::{DateTime, Utc};

pub use self::land::MergeMethod;
pub use self::people::NewPull;
use super::git::changes::{Change, changes};
use super::git::object::{Commit, Sha};
use super::world::{Key, Repository, World};

/// What an issue has beyond its conversation when it is a pull request.
pub(super) struct Pull {
    pub id: i64,
    pub draft: bool,
    /// Where the head branch is: the repository itself or a fork.
    pub head_repository: i64,
    /// Who owned that when the pull request was opened.
    pub head_owner: String,
    pub head_branch: String,
    pub head_sha: Sha,
    pub base_branch: String,
    /// The base branch's tip when the head last moved; where it was when the pull request ended.
    pub base_sha: Sha,
    pub maintainer_can_modify: bool,
    /// Logins.
    pub requested_reviewers: Vec<String>,
    pub merged_at: Option<DateTime<Utc>>,
    pub merged_by: Option<String>,
    pub merge_commit: Option<Sha>,
    pub closed_at: Option<DateTime<Utc>>,
    /// Whether it can be merged is worked out after somebody asks; the first answer is that nobody knows yet.
    pub looked_at: bool,
}

/// From where to where a pull request goes.
pub(super) struct Course {
    pub head_repository: i64,
    pub head_branch: String,
    pub head_sha: Sha,
    pub base_branch: String,
    pub base_sha: Sha,
}

impl World {
    /// Gives an issue its two branches.
    pub(super) fn add_pull(&mut self, key: Key, course: Course, draft: bool, maintainer_can_modify: bool) {
        let id = self.id();
        let Course { head_repository, head_branch, head_sha, base_branch, base_sha } = course;
        let head_owner = self.repositories.get(&head_repository).map(Repository::owner).unwrap_or_default().to_owned();
        self.pulls.insert(
            key,
            Pull {
                id,
                draft,
                head_repository,
                head_owner,
                head_branch,
                head_sha: String::new(),
                base_branch,
                base_sha,
                maintainer_can_modify,
                requested_reviewers: Vec::new(),
                merged_at: None,
                merged_by: None,
                merge_commit: None,
                closed_at: None,
                looked_at: false,
            },
        );
        self.set_pull_head(key, &head_sha);
    }

    /// Branches for a pull request that had only a conversation.
    pub(super) fn give_branches(&mut self, key: Key) -> anyhow::Result<()> {
        if self.pulls.contains_key(&key) || !self.issues.get(&key).is_some_and(|issue| issue.is_pull_request) {
            return Ok(());
        }
        let git = &mut self.repositories.get_mut(&key.0).context("no such repository")?.git;
        let base_branch = git.default_branch.clone();
        let base_sha = git.branch(&base_branch).cloned().context("the repository is empty")?;
        let head_branch = if git.branch("work").is_some() { format!("work-{}", key.1) } else { "work".to_owned() };
        git.refs.insert(format!("refs/heads/{head_branch}"), base_sha.clone());
        let course = Course { head_repository: key.0, head_branch, head_sha: base_sha.clone(), base_branch, base_sha };
        self.add_pull(key, course, false, false);
        Ok(())
    }

    /// The head moved: what hangs on it follows.
    pub(super) fn set_pull_head(&mut self, key: Key, head: &str) {
        let tip = self.base_tip(key);
        if let Some(repository) = self.repositories.get_mut(&key.0) {
            repository.git.refs.insert(format!("refs/pull/{}/head", key.1), head.to_owned());
        }
        if let Some(pull) = self.pulls.get_mut(&key) {
            head.clone_into(&mut pull.head_sha);
            pull.looked_at = false;
            if let Some(tip) = tip {
                pull.base_sha = tip;
            }
        }
        self.touch(key);
    }

    pub(super) fn open_pulls(&self) -> impl Iterator<Item = Key> {
        self.pulls.keys().copied().filter(|key| self.issues.get(key).is_some_and(|issue| issue.open))
    }

    /// Where the base is: its branch's tip while the pull request is open.
    pub(super) fn base_tip(&self, key: Key) -> Option<Sha> {
        let pull = self.pulls.get(&key)?;
        let open = self.issues.get(&key).is_some_and(|issue| issue.open);
        let tip = self.repositories.get(&key.0)?.git.branch(&pull.base_branch).filter(|_| open);
        Some(tip.unwrap_or(&pull.base_sha).clone())
    }

    /// The commits a pull request brings, oldest first.
    pub(super) fn commits_of(&self, key: Key) -> Vec<Commit> {
        let (Some(pull), Some(repository)) = (self.pulls.get(&key), self.repositories.get(&key.0)) else { return Vec::new() };
        repository.git.store.between(self.base_tip(key).as_deref(), &pull.head_sha)
    }

    /// Where head and base parted: what the changes are counted from.
    pub(super) fn merge_base_of(&self, key: Key) -> Option<Sha> {
        let pull = self.pulls.get(&key)?;
        self.repositories.get(&key.0)?.git.store.merge_base(&self.base_tip(key)?, &pull.head_sha)
    }

    /// What a pull request changes, by path.
    pub(super) fn changes_of(&self, key: Key) -> Vec<Change> {
        let (Some(pull), Some(repository)) = (self.pulls.get(&key), self.repositories.get(&key.0)) else { return Vec::new() };
        let store = &repository.git.store;
        let from = self.merge_base_of(key).map(|sha| store.files_of(&sha)).unwrap_or_default();
        changes(store, &from, &store.files_of(&pull.head_sha))
    }
}

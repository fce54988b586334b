//! The reading side of git and pull requests: what became of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::git::{Change, Mode, Person};
use super::world::{Issue, IssueRef, Key, Repository, World};

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// What it is.
    pub mode: Mode,
    /// Its id.
    pub sha: String,
    /// Its content; a link's target; empty for a submodule.
    pub content: Bytes,
}

impl TreeFile {
    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitView {
    /// Its id.
    pub sha: String,
    /// Its tree's id.
    pub tree: String,
    /// The commits it follows.
    pub parents: Vec<String>,
    /// Its message.
    pub message: String,
    /// Who wrote it.
    pub author: Person,
    /// Who committed it.
    pub committer: Person,
    /// Whether GitHub signed it.
    pub verified: bool,
}

/// A pull request.
#[derive(Clone, Debug)]
pub struct PullView {
    /// Its conversation: number, title, text, author, state, labels.
    pub issue: Issue,
    /// Whether it is a draft.
    pub draft: bool,
    /// The full name of the repository its head is in.
    pub head_repository: String,
    /// Its head branch.
    pub head_branch: String,
    /// Where that is; where it was when it was deleted.
    pub head_sha: String,
    /// Its base branch.
    pub base_branch: String,
    /// Where that was when the head last moved.
    pub base_sha: String,
    /// Whether those who maintain the base may push to it.
    pub maintainer_can_modify: bool,
    /// Logins.
    pub requested_reviewers: Vec<String>,
    /// When it was merged.
    pub merged_at: Option<DateTime<Utc>>,
    /// By whom.
    pub merged_by: Option<String>,
    /// The commit it was merged as.
    pub merge_commit: Option<String>,
    /// Its commits, oldest first.
    pub commits: Vec<CommitView>,
    /// What it changes, by path.
    pub files: Vec<Change>,
    /// Whether it merges without conflict.
    pub mergeable: bool,
}

impl World {
    /// The branches of a repository and where they are; empty when there is no such repository.
    pub fn branches(&self, repository: &str) -> BTreeMap<String, String> {
        let found = self.repository(repository);
        found.into_iter().flat_map(|found| found.git.branches()).map(|(name, sha)| (name.to_owned(), sha.clone())).collect()
    }

    /// Where a branch is.
    pub fn branch(&self, repository: &str, branch: &str) -> Option<String> {
        self.repository(repository)?.git.branch(branch).cloned()
    }

    /// All files of a commit, by path. `reference` is a branch, tag, reference or commit.
    pub fn tree(&self, repository: &str, reference: &str) -> Option<BTreeMap<String, TreeFile>> {
        let git = &self.repository(repository)?.git;
        let files = git.store.files(&git.resolve(reference)?.tree);
        let file = |mode, sha: String| TreeFile { mode, content: git.store.blob(&sha).unwrap_or_default(), sha };
        Some(files.into_iter().map(|(path, (mode, sha))| (path, file(mode, sha))).collect())
    }

    /// The text of a file of a commit.
    pub fn file(&self, repository: &str, reference: &str, path: &str) -> Option<String> {
        self.tree(repository, reference)?.get(path).map(TreeFile::text)
    }

    /// A commit.
    pub fn commit(&self, repository: &str, reference: &str) -> Option<CommitView> {
        Some(view(self.repository(repository)?.git.resolve(reference)?))
    }

    /// The commits that lead to one, newest first.
    pub fn log(&self, repository: &str, reference: &str) -> Vec<CommitView> {
        let Some(git) = self.repository(repository).map(|found| &found.git) else { return Vec::new() };
        let head = git.resolve(reference);
        head.into_iter().flat_map(|head| git.store.between(None, &head.sha)).rev().map(view).collect()
    }

    /// A pull request with branches.
    pub fn pull(&self, pull: &IssueRef) -> Option<PullView> {
        self.pull_view(self.key(pull)?)
    }

    /// The pull requests of a repository, by number.
    pub fn pulls(&self, repository: &str) -> Vec<PullView> {
        let id = self.repository(repository).map_or(0, |found| found.id);
        self.pulls.keys().filter(|key| key.0 == id).filter_map(|key| self.pull_view(*key)).collect()
    }

    fn pull_view(&self, key: Key) -> Option<PullView> {
        let (pull, issue) = (self.pulls.get(&key)?, self.issues.get(&key)?);
        Some(PullView {
            issue: issue.clone(),
            draft: pull.draft,
            head_repository: self.repositories.get(&pull.head_repository).map(name).unwrap_or_default(),
            head_branch: pull.head_branch.clone(),
            head_sha: pull.head_sha.clone(),
            base_branch: pull.base_branch.clone(),
            base_sha: pull.base_sha.clone(),
            maintainer_can_modify: pull.maintainer_can_modify,
            requested_reviewers: pull.requested_reviewers.clone(),
            merged_at: pull.merged_at,
            merged_by: pull.merged_by.clone(),
            merge_commit: pull.merge_commit.clone(),
            commits: self.commits_of(key).into_iter().map(view).collect(),
            files: self.changes_of(key),
            mergeable: self.merged_files(key).is_ok(),
        })
    }
}

fn name(repository: &Repository) -> String {
    repository.full_name.clone()
}

fn view(commit: super::git::object::Commit) -> CommitView {
    CommitView {
        verified: commit.is_verified(),
        sha: commit.sha,
        tree: commit.tree,
        parents: commit.parents,
        message: commit.message,
        author: commit.author,
        committer: commit.committer,
    }
}

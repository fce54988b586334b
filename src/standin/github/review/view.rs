//! What reviews and checks need to know of commits.

use anyhow::{Context, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

use super::super::diff::patch;
use super::super::git::changes::changes;
use super::super::git::object::Mode;
use super::super::git::update::Update;
use super::super::world::{Key, World};
use crate::settings::Permission;

impl World {
    /// The head of a pull request.
    pub(in super::super) fn head_of(&self, key: Key) -> Option<String> {
        self.pulls.get(&key).map(|pull| pull.head_sha.clone())
    }

    /// The commits of a pull request, oldest first.
    pub(in super::super) fn commit_ids(&self, key: Key) -> Vec<String> {
        self.commits_of(key).into_iter().map(|commit| commit.sha).collect()
    }

    /// A file as it is at a commit.
    pub(in super::super) fn content_at(&self, key: Key, commit: &str, path: &str) -> Option<Bytes> {
        let store = &self.repositories.get(&key.0)?.git.store;
        let files = store.files_of(commit);
        let (mode, sha) = files.get(path)?;
        match mode {
            Mode::File | Mode::Executable | Mode::Link => store.blob(sha),
            Mode::Tree | Mode::Submodule => None,
        }
    }

    /// Where the base and a commit parted.
    fn parted(&self, key: Key, commit: &str) -> Option<String> {
        self.repositories.get(&key.0)?.git.store.merge_base(&self.base_tip(key)?, commit)
    }

    /// The same file, perhaps under another name, as it was where the pull request left its base.
    pub(super) fn content_before(&self, key: Key, commit: &str, path: &str) -> Option<Bytes> {
        let base = self.parted(key, commit)?;
        self.content_at(key, &base, path).or_else(|| {
            let store = &self.repositories.get(&key.0)?.git.store;
            let all = changes(store, &store.files_of(&base), &store.files_of(commit));
            let renamed = all.into_iter().find(|change| change.path == path)?.previous?;
            self.content_at(key, &base, &renamed)
        })
    }

    /// What a pull request up to a commit does to a file: none when it does nothing to it, none inside when that cannot be shown.
    pub(super) fn patch_at(&self, key: Key, commit: &str, path: &str) -> Option<Option<String>> {
        let base = self.parted(key, commit)?;
        let (before, after) = (self.content_at(key, &base, path), self.content_at(key, commit, path));
        if let (Some(before), Some(after)) = (&before, &after)
            && before != after
        {
            return Some(patch(before, after));
        }
        // New, gone, renamed or with another mode: only all changes together tell which.
        let store = &self.repositories.get(&key.0)?.git.store;
        let all = changes(store, &store.files_of(&base), &store.files_of(commit));
        all.into_iter().find(|change| change.path == path).map(|change| change.patch)
    }

    /// The commit a branch, tag or id means.
    pub(in super::super) fn commit_named(&self, repository: i64, reference: &str) -> Option<String> {
        self.repositories.get(&repository)?.git.resolve(reference).map(|commit| commit.sha)
    }

    /// A branch that ends at a commit.
    pub(in super::super) fn branch_at(&self, repository: i64, commit: &str) -> Option<String> {
        let mut branches = self.repositories.get(&repository)?.git.branches();
        branches.find(|(_, sha)| *sha == commit).map(|(name, _)| name.to_owned())
    }

    /// A commit in the short form of check suites.
    pub(in super::super) fn head_commit_json(&self, repository: i64, sha: &str) -> Value {
        let commit = self.repositories.get(&repository).and_then(|repository| repository.git.store.commit(sha));
        commit.map_or(Value::Null, |commit| {
            json!({"id": commit.sha, "tree_id": commit.tree, "message": commit.message,
                "timestamp": commit.author.at.to_rfc3339(), "author": {"name": commit.author.name, "email": commit.author.email},
                "committer": {"name": commit.committer.name, "email": commit.committer.email}})
        })
    }

    /// A person commits files to the branch of a pull request; the commit and the webhooks of it.
    pub(super) fn commit_on_pull(
        &mut self,
        key: Key,
        author: &str,
        message: &str,
        files: Vec<(String, Bytes)>,
    ) -> anyhow::Result<(String, Vec<u64>)> {
        let pull = self.pulls.get(&key).context("the pull request has no branches")?;
        let (head, reference, parent) = (pull.head_repository, format!("refs/heads/{}", pull.head_branch), pull.head_sha.clone());
        let let_in = pull.maintainer_can_modify;
        let writes = |id: i64| self.repositories.get(&id).is_some_and(|r| self.permission(r, author) >= Permission::Write);
        ensure!(writes(head) || let_in && writes(key.0), "{author} may not push to the branch");
        let by = self.person(author, self.now());
        let git = &self.repositories.get(&head).context("no such repository")?.git;
        let mut all = git.store.files_of(&parent);
        for (path, content) in files {
            let (_, sha) = all.get_mut(&path).context("the file is not there any more")?;
            *sha = git.store.put(super::super::git::object::Object::Blob(content));
        }
        let sha = git.commit(&by, message, vec![parent], &all);
        let update = Update { repository: head, reference: &reference, after: Some(&sha), sender: author };
        let deliveries = self.update_ref(&update);
        Ok((sha, deliveries))
    }
}

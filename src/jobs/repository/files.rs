//! The files of commits, for what is remembered about code: one look-up for all files of a commit, kept by commit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::{Repositories, lock};
use crate::github::{GithubError, RepoRef};
use crate::memory::working::code::{Files, Now};

/// Commits whose files are kept.
const MOST: usize = 32;
/// Files of all of them together, about 40 bytes each; the newest commit is kept in any case.
const MOST_FILES: usize = 250_000;

/// The files of the commits that were looked at last, by repository and commit, the newest last.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<VecDeque<((i64, String), Arc<Files>)>>);

impl Kept {
    fn get(&self, key: &(i64, String)) -> Option<Arc<Files>> {
        lock(&self.0).iter().find(|(known, _)| known == key).map(|(_, files)| Arc::clone(files))
    }

    fn put(&self, key: (i64, String), files: &Arc<Files>) {
        let mut kept = lock(&self.0);
        kept.retain(|(known, _)| *known != key);
        kept.push_back((key, Arc::clone(files)));
        while kept.len() > 1 && (kept.len() > MOST || kept.iter().map(|(_, files)| files.count()).sum::<usize>() > MOST_FILES) {
            kept.pop_front();
        }
    }
}

impl Repositories {
    /// What the repository holds as of half a minute ago at most: the files of its default branch, then those of `head`, the head of a
    /// pull request, where there is one. None where they could not be looked up; that is logged.
    pub async fn files_now(&self, repo: &RepoRef, head: Option<&str>) -> Now {
        match self.look(repo, head).await {
            Ok(found) => Some(found),
            Err(error) => {
                tracing::info!(repository = repo.full_name, %error, "what is remembered about code is not checked");
                None
            }
        }
    }

    async fn look(&self, repo: &RepoRef, head: Option<&str>) -> Result<Vec<Arc<Files>>, GithubError> {
        let default = self.of(repo).await?.commit.clone();
        let mut found = Vec::new();
        for commit in [default.as_deref(), head].into_iter().flatten() {
            found.push(self.files_at(repo, commit).await?);
        }
        Ok(found)
    }

    async fn files_at(&self, repo: &RepoRef, commit: &str) -> Result<Arc<Files>, GithubError> {
        let key = (repo.id, commit.to_owned());
        if let Some(known) = self.files.get(&key) {
            return Ok(known);
        }
        let tree = self.github.commit_tree(repo, commit).await?;
        let entries = tree.tree.iter().map(|(path, node)| (path.as_str(), node.sha.as_str()));
        let files = Arc::new(Files::new(commit, entries, tree.is_complete));
        self.files.put(key, &files);
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_kept_has_a_limit() {
        let kept = Kept::default();
        let many: Vec<String> = (0..200_000).map(|at| format!("file{at}")).collect();
        let sha = "1".repeat(40);
        let large = Arc::new(Files::new("large", many.iter().map(|path| (path.as_str(), sha.as_str())), true));
        let small = Arc::new(Files::new("small", [("a", sha.as_str())], true));
        kept.put((1, "a".to_owned()), &large);
        kept.put((1, "b".to_owned()), &large);
        assert!(kept.get(&(1, "a".to_owned())).is_none() && kept.get(&(1, "b".to_owned())).is_some());
        for at in 0..100 {
            kept.put((2, at.to_string()), &small);
        }
        assert_eq!(lock(&kept.0).len(), MOST);
    }
}

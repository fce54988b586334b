//! What a repository says about itself on its default branch: the repository file and its guide for agents, remembered by commit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::github::{Github, GithubError, REPOSITORY_FILE, RepoRef, RepositoryFile};

/// Repositories that are remembered.
const MOST: usize = 256;

/// What a repository says about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RepositoryFacts {
    /// The newest commit of the default branch; none when the repository is empty.
    pub commit: Option<String>,
    /// `.github/threadbox.toml` there; the defaults where there is none.
    pub file: RepositoryFile,
    /// What it tells agents, such as `AGENTS.md`, with the file's path.
    pub guide: Option<(String, String)>,
}

/// Looks repositories up.
pub struct Repositories {
    github: Arc<Github>,
    /// By repository and commit, the newest last.
    known: Mutex<Known>,
}

type Known = VecDeque<((i64, String), Arc<RepositoryFacts>)>;

impl Repositories {
    /// Nothing is looked up yet.
    pub fn new(github: Arc<Github>) -> Self {
        Self { github, known: Mutex::default() }
    }

    /// What the repository says now.
    ///
    /// # Errors
    /// As the calls.
    pub async fn of(&self, repo: &RepoRef) -> Result<Arc<RepositoryFacts>, GithubError> {
        let Some(commit) = self.github.default_head(repo).await? else { return Ok(Arc::default()) };
        let key = (repo.id, commit.clone());
        if let Some((_, facts)) = self.known().iter().find(|(known, _)| *known == key) {
            return Ok(Arc::clone(facts));
        }
        let content = self.github.small_file(repo, &commit, REPOSITORY_FILE).await?;
        let file = content.map(|content| RepositoryFile::parse(&content)).unwrap_or_default();
        let facts = Arc::new(RepositoryFacts { commit: Some(commit), file, guide: None });
        let mut known = self.known();
        if known.len() == MOST {
            known.pop_front();
        }
        known.push_back((key, Arc::clone(&facts)));
        Ok(facts)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Repositories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Repositories")
    }
}

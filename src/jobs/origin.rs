//! Where the repository of a conversation comes from: the commit is looked up on GitHub, its archive fetched by the service.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::gate::moved;
use super::repository::Repositories;
use crate::github::{ArchiveError, Archives, Github, GithubError, RepoRef, Since};
use crate::intake::{Place, Request};
use crate::sandbox::checkout::{Origin, OriginError, Wanted};

/// Makes the origins of conversations.
pub struct Origins {
    github: Arc<Github>,
    archives: Archives,
    repositories: Arc<Repositories>,
}

impl Origins {
    /// Archives are kept in `directory`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(github: Arc<Github>, repositories: Arc<Repositories>, directory: PathBuf) -> reqwest::Result<Self> {
        Ok(Self { github, archives: Archives::new(directory)?, repositories })
    }

    /// Where the repository of a request's conversation comes from.
    pub fn of(self: &Arc<Self>, request: &Request) -> Option<Arc<dyn Origin>> {
        let repo = RepoRef::about(&request.place)?;
        let pull_request = RepoRef::of(&request.place).filter(|_| request.place.is_pull_request()).map(|(_, number)| number);
        Some(Arc::new(GithubOrigin {
            origins: self.clone(),
            repo,
            is_linked: matches!(request.place, Place::Discord { .. }),
            pull_request,
            written_at: request.written_at,
            head: request.head.clone(),
        }))
    }
}

impl std::fmt::Debug for Origins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Origins")
    }
}

/// The repository a GitHub conversation is about.
struct GithubOrigin {
    origins: Arc<Origins>,
    repo: RepoRef,
    /// True when the conversation lives elsewhere.
    is_linked: bool,
    /// The pull request the conversation is about.
    pull_request: Option<i64>,
    written_at: DateTime<Utc>,
    /// The head of the pull request when the request was made, where that is known for certain.
    head: Option<String>,
}

#[async_trait]
impl Origin for GithubOrigin {
    async fn wanted(&self) -> Result<Wanted, OriginError> {
        let github = &self.origins.github;
        let refused = |error: GithubError| origin_error(&error);
        let mut wanted = Wanted { repository: self.repo.full_name.clone(), ..Wanted::default() };
        let facts = self.origins.repositories.of(&self.repo).await.map_err(refused)?;
        let Some(default) = facts.commit.clone() else { return Ok(wanted) };
        let file = &facts.file;
        wanted.notes.extend(file.problems.iter().map(|problem| format!("{problem}. This has no effect.")));
        let sandbox = &file.sandbox;
        (wanted.snapshot, wanted.setup, wanted.test) = (sandbox.snapshot.clone(), sandbox.setup.clone(), sandbox.test.clone());
        wanted.commit = Some(default);
        if let Some(number) = self.pull_request {
            let (commit, since) = self.head(github, number).await.map_err(refused)?;
            wanted.notes.extend(moved(&since));
            wanted.commit = Some(commit);
        }
        Ok(wanted)
    }

    fn moves(&self) -> bool {
        self.pull_request.is_some()
    }

    fn linked(&self) -> Option<&str> {
        self.is_linked.then_some(self.repo.full_name.as_str())
    }

    async fn archive(&self, commit: &str) -> Result<PathBuf, OriginError> {
        let fetched = self.origins.archives.fetch(&self.origins.github, &self.repo, commit).await;
        fetched.map_err(|error| {
            tracing::warn!(repository = self.repo.full_name, commit, %error, "no archive of the repository");
            match error {
                ArchiveError::Github(GithubError::NotFound) if self.head.is_some() => OriginError::Refused(format!(
                    "the commit {commit}, which the request is about, is no longer on GitHub: the branch was pushed to by force. Ask again \
                     for the one that is there now"
                )),
                ArchiveError::Github(error) => origin_error(&error),
                ArchiveError::TooLarge(_) => OriginError::Refused(format!("{error}, more than is fetched")),
                ArchiveError::Disk(_) => OriginError::Unavailable(error.to_string()),
            }
        })
    }
}

impl GithubOrigin {
    /// The head as the request saw it: the commit it names, before any date.
    async fn head(&self, github: &Github, number: i64) -> Result<(String, Since), GithubError> {
        if let Some(head) = &self.head {
            let since = github.since_head(&self.repo, number, head).await?;
            return Ok((head.clone(), since));
        }
        let head = github.pull_head(&self.repo, number, self.written_at).await?;
        let since = head.moved_to.map_or(Since::Unmoved, |head| Since::Continued { head });
        Ok((head.sha, since))
    }
}

fn origin_error(error: &GithubError) -> OriginError {
    match error.is_transient() {
        true => OriginError::Unavailable(error.to_string()),
        false => OriginError::Refused(error.to_string()),
    }
}

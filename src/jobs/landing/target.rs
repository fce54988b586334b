//! Where the work of a conversation goes: the branch of its pull request when that is open and may be pushed to, else a new one.

use super::GithubLander;
use super::trouble::Trouble;
use crate::github::{GithubError, Pull, PullRequestMode, RepoRef};
use crate::landing::{Landing, LandingState, words};

/// Whether something may be pushed.
pub(super) enum Place {
    /// There.
    Here(Target),
    /// Nowhere, and why.
    Nowhere(String),
}

/// A branch that is made or moved.
pub(super) struct Target {
    /// Where the branch is.
    pub repo: RepoRef,
    /// Where contents, trees and commits are made: a person who was let into the branch of a fork may make nothing else there, and forks
    /// share what is made.
    pub objects: RepoRef,
    pub branch: String,
    /// Where its pull request goes.
    pub base_branch: String,
    /// True when the branch and the pull request are to be made.
    pub opens: bool,
    pub draft: bool,
    /// What the commits go on top of; none for the commit the workspace was checked out at.
    pub onto: Option<String>,
    /// Number and address.
    pub pull: Option<(i64, String)>,
    /// True when the conversation is a pull request.
    pub is_pull_request: bool,
}

impl GithubLander {
    /// `again` counts the names that turned out to be taken.
    pub(super) async fn target(&self, again: usize) -> Result<Place, Trouble> {
        if let Some(why) = self.may_not_write().await? {
            return Ok(Place::Nowhere(why));
        }
        let file = match &self.services.repositories {
            Some(repositories) => repositories.of(&self.repo).await?.file.pull_request.clone(),
            None => crate::github::PullRequestSection::default(),
        };
        let draft = match file.mode {
            PullRequestMode::Draft => true,
            PullRequestMode::Ready => false,
            PullRequestMode::None => {
                return Ok(Place::Nowhere("This repository wants no pull requests of mine (`mode = \"none\"`).".to_owned()));
            }
        };
        let default = self.github.default_branch(&self.repo).await?;
        let mut pull = self.pull().await?;
        if let Some(pull) = pull.take_if(|pull| pull.is_open) {
            return self.existing(pull, &default).await;
        }
        // What was merged is there already; the rest goes on top of it.
        let base_branch = pull.as_ref().map_or(default, |pull| pull.base_branch.clone());
        let onto = match pull {
            Some(pull) if pull.is_merged => {
                let head = self.github.branch_head(&self.repo, &base_branch).await?;
                if head.is_none() {
                    return Ok(Place::Nowhere(format!("#{} is merged, and the branch it went into is gone.", pull.number)));
                }
                head
            }
            // The commits of a fork on a branch here would be run by the checks of this repository, with what they may read.
            Some(pull) if !pull.is_same_repository => {
                return Ok(Place::Nowhere(format!(
                    "#{} comes from a fork and is closed: a branch for it here would hold commits of the fork, which the checks of this \
                     repository would run.",
                    pull.number
                )));
            }
            Some(_) | None => None,
        };
        let mut branch = words::branch(&file.branch_prefix, self.number, &self.request.title, self.run);
        if again > 0 {
            branch.push_str(&format!("-{}", again + 1));
        }
        Ok(Place::Here(Target {
            repo: self.repo.clone(),
            objects: self.repo.clone(),
            branch,
            base_branch,
            opens: true,
            draft,
            onto,
            pull: None,
            is_pull_request: self.is_pull_request(),
        }))
    }

    fn is_pull_request(&self) -> bool {
        self.request.place.is_pull_request()
    }

    /// The pull request of the conversation: itself, or the last one that was opened for it.
    pub(super) async fn pull(&self) -> Result<Option<Pull>, Trouble> {
        let number = match self.is_pull_request() {
            true => self.number,
            false => last_pull(&self.writer.landings().await?, self.repo.id),
        };
        let Some(number) = number else { return Ok(None) };
        match self.github.pull(&self.repo, number).await {
            Ok(pull) => Ok(Some(pull)),
            Err(GithubError::NotFound) if !self.is_pull_request() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The branch of an open pull request, when it may be pushed to.
    async fn existing(&self, pull: Pull, default: &str) -> Result<Place, Trouble> {
        let Some(repo) = pull.head_repository.clone() else {
            return Ok(Place::Nowhere("The repository this pull request comes from was deleted.".to_owned()));
        };
        if pull.is_same_repository && pull.head_branch == default {
            return Ok(Place::Nowhere(format!(
                "This pull request comes from `{default}`, the default branch, which I never push to."
            )));
        }
        if !pull.is_same_repository && !pull.maintainers_may_push {
            let why = "This pull request comes from a fork, and its author does not let maintainers push to it (\"Allow edits by maintainers\").";
            return Ok(Place::Nowhere(why.to_owned()));
        }
        let protected = match self.github.is_protected(&repo, &pull.head_branch).await {
            Ok(protected) => protected,
            Err(GithubError::Gone(_) | GithubError::Forbidden { .. }) if !pull.is_same_repository => {
                let why = format!(
                    "This pull request comes from the fork {}, where I may not push: the GitHub App is not installed there.",
                    repo.full_name
                );
                return Ok(Place::Nowhere(why));
            }
            Err(error) => return Err(error.into()),
        };
        if protected {
            return Ok(Place::Nowhere(format!("The branch `{}` is protected.", pull.head_branch)));
        }
        let head = self.github.branch_head(&repo, &pull.head_branch).await?;
        let Some(head) = head else {
            return Ok(Place::Nowhere(format!("The branch `{}` of this pull request is gone.", pull.head_branch)));
        };
        let objects = if self.github.acts_as_person() { self.repo.clone() } else { repo.clone() };
        Ok(Place::Here(Target {
            repo,
            objects,
            branch: pull.head_branch,
            base_branch: pull.base_branch,
            opens: false,
            draft: pull.is_draft,
            onto: Some(head),
            pull: Some((pull.number, pull.url)),
            is_pull_request: self.is_pull_request(),
        }))
    }
}

/// The pull request that was opened last for this repository: a conversation elsewhere can be linked to another one since.
fn last_pull(landings: &[Landing], repository: i64) -> Option<i64> {
    let counts = |landing: &&Landing| {
        // One that came from a fork is in another repository.
        let here = landing.repository_id == repository || !landing.opens;
        here && matches!(landing.state, LandingState::Landed | LandingState::Landing)
    };
    landings.iter().rev().filter(counts).find_map(|landing| landing.pull_request)
}

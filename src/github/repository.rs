//! Commits and small files of a repository, as the service looks them up; it never clones.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::auth::{As, Needs};
use super::client::{Call, Effect, Github};
use super::error::GithubError;
use super::{RepoRef, paging};

/// The head of a pull request as it stood at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullHead {
    /// The commit.
    pub sha: String,
    /// The head now, when that is another one: commits made after the moment are left out.
    pub moved_to: Option<String>,
    /// True when its commits are in somebody else's repository.
    pub from_fork: bool,
}

/// What became of a commit that was the head of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// It is the head.
    Unmoved,
    /// There are newer commits on it.
    Continued {
        /// The head now.
        head: String,
    },
    /// It is no longer part of the pull request: the branch was pushed to by force.
    Replaced {
        /// The head now.
        head: String,
    },
}

#[derive(Deserialize)]
struct WireCommit {
    sha: String,
    commit: WireCommitText,
}

#[derive(Deserialize)]
struct WireCommitText {
    committer: Option<WireSignature>,
}

#[derive(Deserialize)]
struct WireSignature {
    date: Option<DateTime<Utc>>,
}

impl WireCommit {
    /// By its own date, which whoever made it chose.
    fn is_before(&self, moment: DateTime<Utc>) -> bool {
        self.commit.committer.as_ref().and_then(|committer| committer.date).is_none_or(|date| date <= moment)
    }
}

#[derive(Deserialize)]
struct WirePull {
    head: WireHead,
    base: Option<WireHead>,
    commits: Option<u32>,
}

#[derive(Deserialize)]
struct WireHead {
    sha: String,
    repo: Option<WireRepo>,
}

#[derive(Deserialize)]
struct WireRepo {
    id: i64,
}

impl WirePull {
    /// A fork that was deleted is somebody else's, too.
    fn is_from_fork(&self) -> bool {
        let id = |head: &WireHead| head.repo.as_ref().map(|repo| repo.id);
        self.base.as_ref().is_some_and(|base| id(&self.head) != id(base))
    }
}

#[derive(Deserialize)]
struct WireComparison {
    status: String,
    commits: Vec<WireCommit>,
}

#[derive(Deserialize)]
struct WireFile {
    content: Option<String>,
    size: u64,
    #[serde(rename = "type")]
    kind: Option<String>,
}

const PER_PAGE: u32 = 100;
/// Commits GitHub lists of a pull request.
const MOST_LISTED: u32 = 250;

impl Github {
    /// The newest commit of the default branch; none when the repository is empty.
    ///
    /// # Errors
    /// As the call.
    pub async fn default_head(&self, repo: &RepoRef) -> Result<Option<String>, GithubError> {
        let call = Call::get(format!("{}/commits/HEAD", repo.path()?)).remembered();
        let asked = self.within(Effect::None, self.call(As::Repository(repo, Needs::Contents), &call)).await;
        match asked {
            Ok(answer) => Ok(Some(answer.json::<WireCommit>(Effect::None)?.sha)),
            // "Git Repository is empty."
            Err(GithubError::Invalid(why)) if why.starts_with("HTTP 409") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The head of a pull request as it stood at `moment`, as far as the dates of its commits tell: when none of its last hundred or
    /// more commits is that old, it is the head as it stands now.
    ///
    /// # Errors
    /// As the calls.
    pub async fn pull_head(&self, repo: &RepoRef, number: i64, moment: DateTime<Utc>) -> Result<PullHead, GithubError> {
        let operation = async {
            let who = As::Repository(repo, Needs::Contents);
            let path = format!("{}/pulls/{number}", repo.path()?);
            let pull: WirePull = self.call(who, &Call::get(&path).remembered()).await?.json(Effect::None)?;
            let commits = self.last_commits(repo, &path, &pull).await?;
            let from_fork = pull.is_from_fork();
            let head = pull.head.sha;
            match commits.into_iter().rev().find(|commit| commit.is_before(moment)) {
                Some(before) if before.sha != head => Ok(PullHead { sha: before.sha, moved_to: Some(head), from_fork }),
                Some(_) | None => Ok(PullHead { sha: head, moved_to: None, from_fork }),
            }
        };
        self.within(Effect::None, operation).await
    }

    /// The last commits of a pull request, oldest first: a hundred or more where it has as many. GitHub lists the first 250 of a pull
    /// request and no more; what is beyond is found by comparing.
    async fn last_commits(&self, repo: &RepoRef, path: &str, pull: &WirePull) -> Result<Vec<WireCommit>, GithubError> {
        let who = As::Repository(repo, Needs::Contents);
        let count = pull.commits.unwrap_or(1).max(1);
        let base = pull.base.as_ref().filter(|_| count > MOST_LISTED);
        let list = match base {
            Some(base) => format!("{}/compare/{}...{}?", repo.path()?, paging::encode(&base.sha), paging::encode(&pull.head.sha)),
            None => format!("{path}/commits?"),
        };
        let last = count.div_ceil(PER_PAGE);
        let mut commits = Vec::new();
        // The last page may hold one commit only.
        for page in last.saturating_sub(1).max(1)..=last {
            let answer = self.call(who, &Call::get(format!("{list}per_page={PER_PAGE}&page={page}"))).await?;
            let more: Vec<WireCommit> = match base {
                Some(_) => answer.json::<WireComparison>(Effect::None)?.commits,
                None => answer.json(Effect::None)?,
            };
            commits.extend(more);
        }
        Ok(commits)
    }

    /// What became of `commit`, which was the head of a pull request once.
    ///
    /// # Errors
    /// As the calls.
    pub async fn since_head(&self, repo: &RepoRef, number: i64, commit: &str) -> Result<Since, GithubError> {
        let operation = async {
            let who = As::Repository(repo, Needs::Contents);
            let path = format!("{}/pulls/{number}", repo.path()?);
            let pull: WirePull = self.call(who, &Call::get(&path)).await?.json(Effect::None)?;
            let head = pull.head.sha;
            if head == commit {
                return Ok(Since::Unmoved);
            }
            let commits = format!("{}...{}", paging::encode(commit), paging::encode(&head));
            let call = Call::get(format!("{}/compare/{commits}?per_page=1", repo.path()?));
            let there = match self.call(who, &call).await {
                Ok(answer) => answer.json::<WireComparison>(Effect::None)?.status == "ahead",
                Err(GithubError::NotFound) => false,
                Err(error) => return Err(error),
            };
            Ok(if there { Since::Continued { head } } else { Since::Replaced { head } })
        };
        self.within(Effect::None, operation).await
    }

    /// A small file at a commit; none when there is none. Files over 1 MB cannot be read this way and count as none.
    ///
    /// # Errors
    /// As the call.
    pub async fn small_file(&self, repo: &RepoRef, commit: &str, path: &str) -> Result<Option<Vec<u8>>, GithubError> {
        let encoded = path.split('/').map(paging::encode).collect::<Vec<_>>().join("/");
        let call = Call::get(format!("{}/contents/{encoded}?ref={}", repo.path()?, paging::encode(commit)));
        let asked = self.within(Effect::None, self.call(As::Repository(repo, Needs::Contents), &call)).await;
        let file: WireFile = match asked {
            Ok(answer) => match answer.json(Effect::None) {
                Ok(file) => file,
                // A directory is a list.
                Err(_) => return Ok(None),
            },
            Err(GithubError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        if file.kind.as_deref().is_some_and(|kind| kind != "file") {
            return Ok(None);
        }
        let base64: String = file.content.unwrap_or_default().split_whitespace().collect();
        let content = STANDARD.decode(base64).map_err(|error| GithubError::Invalid(format!("{path} cannot be read: {error}")))?;
        Ok((content.len() as u64 == file.size).then_some(content))
    }
}

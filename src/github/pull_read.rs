//! Pull requests as they can be read: what they bring, what was said about it, and how it stands.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::{Call, Effect, Github};
use super::error::GithubError;
use super::issue::Reads;
use super::paging;
use super::person::WireUser;
use crate::intake::Author;

/// Things on a page.
pub const PER_PAGE: usize = 100;
/// GitHub lists no more files of a pull request.
pub const MOST_FILES: usize = 3_000;
/// Pages of reviews, comments or commits that are read for one question.
const MOST_PAGES: usize = 10;

/// A pull request as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullInFull {
    /// Its title.
    pub title: String,
    /// Its text, Markdown; may be empty.
    pub body: String,
    /// `open` or `closed`.
    pub state: String,
    /// Not yet meant to be merged.
    pub is_draft: bool,
    /// True once it was merged.
    pub is_merged: bool,
    /// Who opened it.
    pub author: Option<Author>,
    /// The branch it goes to, and the commit that was.
    pub base: Tip,
    /// The branch it comes from, with its newest commit.
    pub head: Tip,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// Files changed.
    pub changed_files: u64,
    /// Commits it brings.
    pub commits: u64,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When anything about it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A branch with a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tip {
    /// The branch.
    pub branch: String,
    /// The commit.
    pub sha: String,
    /// `owner/name` of its repository; none when that was deleted.
    pub repository: Option<String>,
}

/// A file that a pull request changes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ChangedFile {
    /// Its path.
    #[serde(rename = "filename")]
    pub path: String,
    /// Its path before, when it was renamed.
    #[serde(rename = "previous_filename")]
    pub previous: Option<String>,
    /// `added`, `removed`, `modified`, `renamed`, `copied`, `changed`, `unchanged`.
    pub status: String,
    /// Lines added.
    #[serde(default)]
    pub additions: u64,
    /// Lines removed.
    #[serde(default)]
    pub deletions: u64,
    /// The diff without its head; none for binary files and for what GitHub finds too large.
    pub patch: Option<String>,
}

/// A commit of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullCommit {
    /// Its name.
    pub sha: String,
    /// Its message.
    pub message: String,
    /// Whom its author says to be.
    pub author: String,
    /// When it was committed, by its own word.
    pub at: Option<DateTime<Utc>>,
}

/// A review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullReview {
    /// Who wrote it.
    pub author: Option<Author>,
    /// `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`, `DISMISSED`.
    pub state: String,
    /// Its text; may be empty.
    pub body: String,
    /// When it was handed in.
    pub at: Option<DateTime<Utc>>,
    /// The commit it is about.
    pub commit: Option<String>,
}

/// A comment on lines of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineComment {
    /// Its number.
    pub id: i64,
    /// The first comment of its thread; none when it is that.
    pub reply_to: Option<i64>,
    /// Who wrote it.
    pub author: Option<Author>,
    /// The file.
    pub path: String,
    /// The line it is about now; none when that is gone.
    pub line: Option<i64>,
    /// The line it was about.
    pub original_line: Option<i64>,
    /// The hunk it stands under.
    pub hunk: String,
    /// Its text.
    pub body: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct WirePull {
    title: String,
    body: Option<String>,
    state: String,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    merged: bool,
    user: Option<WireUser>,
    base: WireTip,
    head: WireTip,
    #[serde(default)]
    additions: u64,
    #[serde(default)]
    deletions: u64,
    #[serde(default)]
    changed_files: u64,
    #[serde(default)]
    commits: u64,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct WireTip {
    #[serde(rename = "ref")]
    branch: Option<String>,
    sha: Option<String>,
    repo: Option<WireName>,
}

#[derive(Deserialize)]
struct WireName {
    full_name: String,
}

impl From<WireTip> for Tip {
    fn from(tip: WireTip) -> Self {
        Self {
            branch: tip.branch.unwrap_or_default(),
            sha: tip.sha.unwrap_or_default(),
            repository: tip.repo.map(|repo| repo.full_name),
        }
    }
}

#[derive(Deserialize)]
struct WireCommit {
    sha: String,
    commit: WireCommitText,
}

#[derive(Deserialize)]
struct WireCommitText {
    message: String,
    author: Option<WireSignature>,
    committer: Option<WireSignature>,
}

#[derive(Deserialize)]
struct WireSignature {
    name: Option<String>,
    date: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct WireReview {
    user: Option<WireUser>,
    state: String,
    body: Option<String>,
    submitted_at: Option<DateTime<Utc>>,
    commit_id: Option<String>,
}

#[derive(Deserialize)]
struct WireLineComment {
    id: i64,
    in_reply_to_id: Option<i64>,
    user: Option<WireUser>,
    path: String,
    line: Option<i64>,
    original_line: Option<i64>,
    #[serde(default)]
    diff_hunk: String,
    body: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Compared {
    #[serde(default)]
    files: Vec<ChangedFile>,
}

impl Github {
    /// A pull request.
    ///
    /// # Errors
    /// As the call.
    pub async fn pull_in_full(&self, reader: Reads<'_>, number: i64) -> Result<PullInFull, GithubError> {
        let call = Call::get(format!("{}/pulls/{number}", reader.repo.path()?));
        let answer = self.within(Effect::None, self.call(reader.contents(), &call)).await?;
        let pull: WirePull = answer.json(Effect::None)?;
        Ok(PullInFull {
            title: pull.title,
            body: pull.body.unwrap_or_default(),
            state: pull.state,
            is_draft: pull.draft,
            is_merged: pull.merged,
            author: pull.user.map(Author::from),
            base: pull.base.into(),
            head: pull.head.into(),
            additions: pull.additions,
            deletions: pull.deletions,
            changed_files: pull.changed_files,
            commits: pull.commits,
            created_at: pull.created_at.unwrap_or_default(),
            updated_at: pull.updated_at.unwrap_or_default(),
        })
    }

    /// One page of the files a pull request changes now, at most a hundred; the pages count from 1.
    ///
    /// # Errors
    /// As the call.
    pub async fn changed_files(&self, reader: Reads<'_>, number: i64, page: usize) -> Result<Vec<ChangedFile>, GithubError> {
        let call = Call::get(format!("{}/pulls/{number}/files?per_page={PER_PAGE}&page={page}", reader.repo.path()?));
        self.within(Effect::None, self.call(reader.contents(), &call)).await?.json(Effect::None)
    }

    /// The files that differ between what two commits have in common and the second; at most 300.
    ///
    /// # Errors
    /// As the call.
    pub async fn compared_files(&self, reader: Reads<'_>, base: &str, head: &str) -> Result<Vec<ChangedFile>, GithubError> {
        let (base, head) = (paging::encode(base), paging::encode(head));
        let call = Call::get(format!("{}/compare/{base}...{head}?per_page={PER_PAGE}", reader.repo.path()?));
        let answer = self.within(Effect::None, self.call(reader.contents(), &call)).await?;
        Ok(answer.json::<Compared>(Effect::None)?.files)
    }

    /// The commits of a pull request, oldest first, as far as GitHub lists them (250).
    ///
    /// # Errors
    /// As the calls.
    pub async fn pull_commits(&self, reader: Reads<'_>, number: i64) -> Result<Vec<PullCommit>, GithubError> {
        let commits: Vec<WireCommit> = self.all(reader, &format!("pulls/{number}/commits")).await?;
        let read = |commit: WireCommit| PullCommit {
            sha: commit.sha,
            message: commit.commit.message,
            author: commit.commit.author.and_then(|author| author.name).unwrap_or_default(),
            at: commit.commit.committer.and_then(|committer| committer.date),
        };
        Ok(commits.into_iter().map(read).collect())
    }

    /// The reviews of a pull request, oldest first.
    ///
    /// # Errors
    /// As the calls.
    pub async fn pull_reviews(&self, reader: Reads<'_>, number: i64) -> Result<Vec<PullReview>, GithubError> {
        let reviews: Vec<WireReview> = self.all(reader, &format!("pulls/{number}/reviews")).await?;
        let read = |review: WireReview| PullReview {
            author: review.user.map(Author::from),
            state: review.state,
            body: review.body.unwrap_or_default(),
            at: review.submitted_at,
            commit: review.commit_id,
        };
        Ok(reviews.into_iter().map(read).collect())
    }

    /// The comments on lines of a pull request's diff, oldest first.
    ///
    /// # Errors
    /// As the calls.
    pub async fn line_comments(&self, reader: Reads<'_>, number: i64) -> Result<Vec<LineComment>, GithubError> {
        let comments: Vec<WireLineComment> = self.all(reader, &format!("pulls/{number}/comments")).await?;
        let read = |comment: WireLineComment| LineComment {
            id: comment.id,
            reply_to: comment.in_reply_to_id,
            author: comment.user.map(Author::from),
            path: comment.path,
            line: comment.line,
            original_line: comment.original_line,
            hunk: comment.diff_hunk,
            body: comment.body,
            created_at: comment.created_at,
            updated_at: comment.updated_at,
        };
        Ok(comments.into_iter().map(read).collect())
    }

    /// Which threads of a pull request are resolved, by the number of their first comment; REST does not say. At most 2,000.
    ///
    /// # Errors
    /// As the calls.
    pub async fn resolved_threads(&self, reader: Reads<'_>, number: i64) -> Result<HashMap<i64, bool>, GithubError> {
        let threads = self.threads_as(reader.contents(), reader.repo, number).await?;
        Ok(threads.into_iter().map(|thread| (thread.root, thread.resolved_by.is_some())).collect())
    }

    /// All pages of a list below the repository, up to ten.
    async fn all<T: DeserializeOwned>(&self, reader: Reads<'_>, path: &str) -> Result<Vec<T>, GithubError> {
        let mut next = Some(format!("{}/{path}?per_page={PER_PAGE}", reader.repo.path()?));
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(path) = next else { break };
            let answer = self.within(Effect::None, self.call(reader.contents(), &Call::get(path))).await?;
            all.extend(answer.json::<Vec<T>>(Effect::None)?);
            next = self.link(&answer, "next");
        }
        Ok(all)
    }
}

//! The diff of a pull request at the reviewed commit, as GitHub has it; nothing of it comes from a sandbox.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::diffing;
use crate::github::{Comparison, Github, GithubError, Pull, RepoRef, ReviewedFile};
use crate::intake::Request;
use crate::review::diff::{Changed, Hunk, digest, hunks_between, hunks_of, is_of};

/// Files GitHub lists of a pull request, and of a comparison.
const MOST_LISTED: usize = 3_000;
const MOST_COMPARED: usize = 300;

/// The changed files of a pull request at one commit.
pub(in crate::jobs) struct PullDiff {
    github: Arc<Github>,
    repo: RepoRef,
    /// The reviewed commit.
    pub commit: String,
    /// The pull request as it stood when this was made.
    pub pull: Pull,
    /// What it changes.
    pub files: Vec<ReviewedFile>,
    is_whole: bool,
    contents: Mutex<HashMap<(String, String), Content>>,
    merge_base: OnceCell<String>,
}

/// A file at a commit.
#[derive(Clone, Debug)]
pub(in crate::jobs) enum Content {
    /// Its text.
    Text(Arc<str>),
    /// It is not there, or is no file, or is over a megabyte.
    Missing,
    /// It is not UTF-8.
    Binary,
}

/// The commit a request is about: the head it names, else the head as it stood when it was written.
pub(super) async fn commit_of(github: &Github, repo: &RepoRef, number: i64, request: &Request) -> Result<String, GithubError> {
    match &request.head {
        Some(head) => Ok(head.clone()),
        None => Ok(github.pull_head(repo, number, request.written_at).await?.sha),
    }
}

impl PullDiff {
    /// What the pull request changed at a commit of it.
    pub async fn load(github: Arc<Github>, repo: RepoRef, number: i64, commit: String) -> Result<Self, GithubError> {
        let listed = github.reviewed_files(&repo, number).await?;
        let pull = github.pull(&repo, number).await?;
        let merge_base = OnceCell::new();
        // GitHub makes the list some time after a push; each of its files says which commit it is of.
        let is_of_commit = |file: &ReviewedFile| {
            file.contents_url.as_deref().is_none_or(|url| url.rsplit_once("ref=").is_none_or(|(_, of)| of == commit))
        };
        let (files, most) = if pull.head == commit && listed.iter().all(is_of_commit) {
            (listed, MOST_LISTED)
        } else {
            let Comparison { merge_base: base, files, .. } = github.compare(&repo, &pull.base, &commit).await?;
            // Nobody else has the cell yet.
            let _ = merge_base.set(base);
            (files, MOST_COMPARED)
        };
        let is_whole = files.len() < most;
        Ok(Self { github, repo, commit, pull, files, is_whole, contents: Mutex::default(), merge_base })
    }

    /// False when GitHub lists no more files than these.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// A digest of what it changes.
    pub fn digest(&self) -> String {
        let view: Vec<Changed<'_>> = self.files.iter().map(changed).collect();
        digest(&view)
    }

    /// What it does to a file; none when nothing.
    pub fn file(&self, path: &str) -> Option<&ReviewedFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// A file as it was reviewed.
    pub async fn content(&self, path: &str) -> Result<Content, GithubError> {
        self.content_at(&self.commit, path).await
    }

    async fn content_at(&self, commit: &str, path: &str) -> Result<Content, GithubError> {
        let key = (commit.to_owned(), path.to_owned());
        if let Some(known) = self.contents.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let content = match self.github.small_file(&self.repo, commit, path).await? {
            None => Content::Missing,
            Some(bytes) => match String::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => Content::Text(text.into()),
                Ok(_) | Err(_) => Content::Binary,
            },
        };
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).insert(key, content.clone());
        Ok(content)
    }

    /// The hunks of a file's diff; none of them when the pull request leaves it alone. Where GitHub shows no patch, or another one than
    /// that of the content, the diff is made here.
    pub async fn hunks(&self, path: &str, text: &str) -> Result<Vec<Hunk>, GithubError> {
        let Some(file) = self.file(path) else { return Ok(Vec::new()) };
        if let Some(patch) = file.patch.as_deref().filter(|patch| is_of(patch, text)) {
            return Ok(hunks_of(patch));
        }
        if file.status == "added" {
            return Ok(hunks_between("", text));
        }
        let base = self.merge_base().await?;
        match self.content_at(base, file.previous.as_deref().unwrap_or(path)).await? {
            Content::Text(before) => {
                let text = text.to_owned();
                Ok(diffing::apart(move || hunks_between(&before, &text)).await)
            }
            Content::Missing | Content::Binary => Ok(Vec::new()),
        }
    }

    async fn merge_base(&self) -> Result<&str, GithubError> {
        let ask = || async {
            let compared = self.github.compare(&self.repo, &self.pull.base, &self.commit).await?;
            Ok(compared.merge_base)
        };
        self.merge_base.get_or_try_init(ask).await.map(String::as_str)
    }
}

fn changed(file: &ReviewedFile) -> Changed<'_> {
    Changed {
        path: &file.path,
        previous: file.previous.as_deref(),
        patch: file.patch.as_deref(),
        blob: file.sha.as_deref().unwrap_or_default(),
    }
}

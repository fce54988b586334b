//! What a review needs of GitHub: the pull request, its changed files, and the one review at the end.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::auth::{As, Needs};
use super::client::{Answer, Call, Effect, Github};
use super::error::GithubError;
use super::person::WireUser;
use super::{RepoRef, paging};

const PER_PAGE: usize = 100;
/// GitHub lists no more than 3,000 files of a pull request.
const MOST_FILE_PAGES: u32 = 30;
const MOST_PAGES: usize = 30;

/// A changed file of a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ReviewedFile {
    /// Its path.
    #[serde(rename = "filename")]
    pub path: String,
    /// Its path before it was renamed.
    #[serde(rename = "previous_filename")]
    pub previous: Option<String>,
    /// `added`, `removed`, `modified`, `renamed`, …
    pub status: String,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// Names its content; none for a submodule.
    pub sha: Option<String>,
    /// The diff; none for binary and large files.
    pub patch: Option<String>,
    /// Where its content is read; names the commit the list is of.
    pub contents_url: Option<String>,
}

/// Two commits against each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Where they parted.
    pub merge_base: String,
    /// True when the second is the first or comes after it.
    pub is_ahead: bool,
    /// What changed since they parted; at most 300 files.
    pub files: Vec<ReviewedFile>,
}

/// A comment of a review that is to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRemark {
    /// The file.
    pub path: String,
    /// The first line, on the new side.
    pub first: u32,
    /// The last line, in the same hunk.
    pub last: u32,
    /// Markdown.
    pub body: String,
}

/// A review that is to be written. It decides nothing: our reviews never approve and never block.
#[derive(Clone, Copy, Debug)]
pub struct NewReview<'a> {
    /// The reviewed commit; the head when none.
    pub commit: Option<&'a str>,
    /// Markdown, not empty, at most 65,536 characters.
    pub body: &'a str,
    /// Its comments.
    pub comments: &'a [NewRemark],
}

/// A comment on lines of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewRemark {
    /// Its number.
    pub id: i64,
    /// The comment it answers; none when it begins a thread.
    pub reply_to: Option<i64>,
    /// True when we wrote it.
    pub is_ours: bool,
    /// Markdown.
    pub body: String,
    /// How many people put 👎 on it.
    pub disliked: u64,
}

#[derive(Deserialize)]
struct WireTip {
    sha: String,
}

#[derive(Deserialize)]
struct WireComparison {
    merge_base_commit: WireTip,
    status: String,
    #[serde(default)]
    files: Vec<ReviewedFile>,
}

#[derive(Deserialize)]
struct WireReview {
    id: i64,
    body: Option<String>,
    user: Option<WireUser>,
}

#[derive(Deserialize)]
struct WireRemark {
    id: i64,
    in_reply_to_id: Option<i64>,
    body: Option<String>,
    user: Option<WireUser>,
    reactions: Option<WireReactions>,
}

#[derive(Deserialize)]
struct WireReactions {
    #[serde(rename = "-1", default)]
    down: u64,
}

#[derive(Deserialize)]
struct Created {
    id: i64,
}

impl NewRemark {
    fn wire(&self) -> Value {
        let mut json = json!({"path": self.path, "body": self.body, "line": self.last, "side": "RIGHT"});
        if self.first < self.last {
            json["start_line"] = self.first.into();
            json["start_side"] = "RIGHT".into();
        }
        json
    }
}

impl Github {
    /// The files a pull request changes, as of its head: at most 3,000, as GitHub lists no more. Each page is a call of its own.
    ///
    /// # Errors
    /// As the calls.
    pub async fn reviewed_files(&self, repo: &RepoRef, number: i64) -> Result<Vec<ReviewedFile>, GithubError> {
        let mut files = Vec::new();
        for page in 1..=MOST_FILE_PAGES {
            let call = Call::get(format!("{}/pulls/{number}/files?per_page={PER_PAGE}&page={page}", repo.path()?));
            let answer = self.within(Effect::None, self.call(As::Repository(repo, Needs::Reviews), &call)).await?;
            let mut more: Vec<ReviewedFile> = answer.json(Effect::None)?;
            let is_last = more.len() < PER_PAGE;
            files.append(&mut more);
            if is_last {
                break;
            }
        }
        Ok(files)
    }

    /// Compares two commits from where they parted.
    ///
    /// # Errors
    /// As the call; `NotFound` when one of them is gone, or they have nothing in common.
    pub async fn compare(&self, repo: &RepoRef, base: &str, head: &str) -> Result<Comparison, GithubError> {
        let commits = format!("{}...{}", paging::encode(base), paging::encode(head));
        let call = Call::get(format!("{}/compare/{commits}?per_page=1", repo.path()?));
        let answer = self.within(Effect::None, self.call(As::Repository(repo, Needs::Contents), &call)).await?;
        let compared: WireComparison = answer.json(Effect::None)?;
        Ok(Comparison {
            merge_base: compared.merge_base_commit.sha,
            is_ahead: matches!(compared.status.as_str(), "ahead" | "identical"),
            files: compared.files,
        })
    }

    /// Writes a review that decides nothing, with all its comments or not at all. Not idempotent: put a marker at the end of the body, and
    /// after an error with [`GithubError::maybe_done`] look for it with [`Github::find_review`] first.
    ///
    /// # Errors
    /// As the call; `Invalid` beginning with `HTTP 422` when a comment or the commit does not fit: nothing was written then.
    pub async fn create_review(&self, repo: &RepoRef, number: i64, review: NewReview<'_>) -> Result<i64, GithubError> {
        let comments: Vec<Value> = review.comments.iter().map(NewRemark::wire).collect();
        let mut body = json!({"body": review.body, "event": "COMMENT", "comments": comments});
        if let Some(commit) = review.commit {
            body["commit_id"] = commit.into();
        }
        let call = Call::post(format!("{}/pulls/{number}/reviews", repo.path()?), body, Effect::Create);
        let operation = async {
            let answer = self.call(As::Repository(repo, Needs::Reviews), &call).await?;
            answer.json::<Created>(Effect::Create).map(|created| created.id)
        };
        self.within(Effect::Create, operation).await
    }

    /// Finds the review of ours that ends with `marker`.
    ///
    /// # Errors
    /// As the calls. When more than 3,000 reviews would have to be read it fails instead of claiming there is none.
    pub async fn find_review(&self, repo: &RepoRef, number: i64, marker: &str) -> Result<Option<i64>, GithubError> {
        let us = self.identity().await?;
        let mut next = Some(format!("{}/pulls/{number}/reviews?per_page={PER_PAGE}", repo.path()?));
        for _ in 0..MOST_PAGES {
            let Some(path) = next else { return Ok(None) };
            let answer = self.within(Effect::None, self.reviews_page(repo, path)).await?;
            let reviews: Vec<WireReview> = answer.json(Effect::None)?;
            let is_it = |review: WireReview| {
                let ends = review.body.is_some_and(|body| body.trim_end().ends_with(marker));
                let ours = review.user.is_some_and(|user| us.is(&user.into()));
                (ends && ours).then_some(review.id)
            };
            if let Some(id) = reviews.into_iter().find_map(is_it) {
                return Ok(Some(id));
            }
            next = self.link(&answer, "next");
        }
        match next {
            None => Ok(None),
            Some(_) => Err(GithubError::Invalid(format!("more than {} reviews to search", MOST_PAGES * PER_PAGE))),
        }
    }

    /// The comments of one review.
    ///
    /// # Errors
    /// As the calls.
    pub async fn remarks_of(&self, repo: &RepoRef, number: i64, review: i64) -> Result<Vec<ReviewRemark>, GithubError> {
        let path = format!("{}/pulls/{number}/reviews/{review}/comments?per_page={PER_PAGE}", repo.path()?);
        Ok(self.remarks(repo, path).await?.0)
    }

    /// The comments of all reviews of a pull request, oldest first, at most 3,000; false when there are more.
    ///
    /// # Errors
    /// As the calls.
    pub async fn all_remarks(&self, repo: &RepoRef, number: i64) -> Result<(Vec<ReviewRemark>, bool), GithubError> {
        self.remarks(repo, format!("{}/pulls/{number}/comments?per_page={PER_PAGE}", repo.path()?)).await
    }

    async fn remarks(&self, repo: &RepoRef, first: String) -> Result<(Vec<ReviewRemark>, bool), GithubError> {
        let us = self.identity().await?;
        let mut next = Some(first);
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(path) = next else { break };
            let answer = self.within(Effect::None, self.reviews_page(repo, path)).await?;
            let page: Vec<WireRemark> = answer.json(Effect::None)?;
            found.extend(page.into_iter().map(|remark| ReviewRemark {
                id: remark.id,
                reply_to: remark.in_reply_to_id,
                is_ours: remark.user.is_some_and(|user| us.is(&user.into())),
                body: remark.body.unwrap_or_default(),
                disliked: remark.reactions.map_or(0, |reactions| reactions.down),
            }));
            next = self.link(&answer, "next");
        }
        Ok((found, next.is_none()))
    }

    async fn reviews_page(&self, repo: &RepoRef, path: String) -> Result<Answer, GithubError> {
        self.call(As::Repository(repo, Needs::Reviews), &Call::get(path)).await
    }
}

//! Checks of a commit, what they say about lines, and the ends of their logs.

use serde::Deserialize;
use url::Url;

use super::RepoRef;
use super::auth::{As, Needs};
use super::client::{Call, Effect, Github};
use super::download::{At, Keep, Order};
use super::error::GithubError;

/// Bytes kept of the end of a log.
const LOG_END: usize = 256 << 10;

/// A check of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRun {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// `queued`, `in_progress`, `completed`, …
    pub status: String,
    /// `success`, `failure`, `timed_out`, …; none until it is over.
    pub conclusion: Option<String>,
    /// What it says about itself: title, summary and text.
    pub output: [String; 3],
    /// The job of GitHub Actions it stands for.
    pub job: Option<i64>,
    /// When it began, as GitHub writes it.
    pub started_at: Option<String>,
}

impl CheckRun {
    /// True when it is over and something is wrong.
    pub fn failed(&self) -> bool {
        matches!(self.conclusion.as_deref(), Some("failure" | "timed_out" | "action_required" | "startup_failure" | "cancelled"))
    }
}

/// What a check says about lines of a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Annotation {
    /// The file.
    pub path: String,
    /// The first line.
    pub start_line: i64,
    /// `notice`, `warning`, `failure`.
    pub annotation_level: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Its text.
    pub message: Option<String>,
}

/// The end of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// As it came, terminal escapes included.
    pub text: String,
    /// Bytes of the whole log.
    pub size: u64,
}

#[derive(Deserialize)]
struct Checks {
    check_runs: Vec<WireCheck>,
}

#[derive(Deserialize)]
struct WireCheck {
    id: i64,
    name: String,
    status: String,
    conclusion: Option<String>,
    output: Option<WireOutput>,
    details_url: Option<String>,
    app: Option<WireApp>,
    started_at: Option<String>,
}

#[derive(Default, Deserialize)]
struct WireOutput {
    title: Option<String>,
    summary: Option<String>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct WireApp {
    slug: Option<String>,
}

impl From<WireCheck> for CheckRun {
    fn from(check: WireCheck) -> Self {
        let by_actions = check.app.and_then(|app| app.slug).as_deref() == Some("github-actions");
        let output = check.output.unwrap_or_default();
        Self {
            // The check of a job has the job's number.
            job: by_actions.then(|| check.details_url.as_deref().and_then(job_of).unwrap_or(check.id)),
            id: check.id,
            name: check.name,
            status: check.status,
            conclusion: check.conclusion,
            output: [output.title, output.summary, output.text].map(Option::unwrap_or_default),
            started_at: check.started_at,
        }
    }
}

/// The job in an address such as `…/actions/runs/5/job/7`.
fn job_of(details_url: &str) -> Option<i64> {
    let (_, after) = details_url.split_once("/job/")?;
    after.split(['?', '#', '/']).next()?.parse().ok()
}

impl Github {
    /// The latest checks of a commit, at most a hundred.
    ///
    /// # Errors
    /// As the call. An App needs `checks: read` and `actions: read`.
    pub async fn check_runs(&self, repo: &RepoRef, commit: &str) -> Result<Vec<CheckRun>, GithubError> {
        let commit = super::paging::encode(commit);
        let call = Call::get(format!("{}/commits/{commit}/check-runs?filter=latest&per_page=100", repo.path()?));
        let answer = self.within(Effect::None, self.call(As::Repository(repo, Needs::Logs), &call)).await?;
        Ok(answer.json::<Checks>(Effect::None)?.check_runs.into_iter().map(CheckRun::from).collect())
    }

    /// What a check says about lines, at most fifty.
    ///
    /// # Errors
    /// As the call.
    pub async fn annotations(&self, repo: &RepoRef, check: i64) -> Result<Vec<Annotation>, GithubError> {
        let call = Call::get(format!("{}/check-runs/{check}/annotations?per_page=50", repo.path()?));
        self.within(Effect::None, self.call(As::Repository(repo, Needs::Logs), &call)).await?.json(Effect::None)
    }

    /// The end of a job's log. GitHub redirects to where the log is, under an address that works once; our credential does not go there.
    ///
    /// # Errors
    /// As the calls; `NotFound` when the log has expired.
    pub async fn log_end(&self, repo: &RepoRef, job: i64) -> Result<LogEnd, GithubError> {
        let url = self.api_address(&format!("{}/actions/jobs/{job}/logs", repo.path()?))?;
        // GitHub itself names the place in its answer to us; nobody else has a say in it.
        let at = |url: &Url| if self.is_api(url) { At::Home } else { At::Open };
        let order = Order {
            url,
            accept: "application/vnd.github+json",
            who: As::Repository(repo, Needs::Logs),
            at: &at,
            keep: Keep::End(LOG_END),
        };
        let fetched = self.download(order).await?;
        Ok(LogEnd { text: String::from_utf8_lossy(&fetched.bytes).into_owned(), size: fetched.size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_stands_in_the_address_of_its_details() {
        assert_eq!(job_of("https://github.com/o/r/actions/runs/5/job/77?pr=1"), Some(77));
        assert_eq!(job_of("https://github.com/o/r/actions/runs/5"), None);
        assert_eq!(job_of("https://ci.example/job/abc"), None);
    }
}

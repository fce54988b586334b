//! Check runs, the suites they stand in, jobs with logs, and commit statuses.

mod actions;
mod events;
mod people;
mod read;
mod shape;
mod status;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, patch, post};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use serde_json::Value;

pub(super) use self::actions::serve_log;
pub use self::people::{NewCheck, ReportedCheck};
use self::status::Status;
use super::Shared;
use super::auth::{Actor, Level};
use super::refuse::Refuse;
use super::world::{APP_ID, Repository, World};

/// The App GitHub's own CI is.
pub(super) const CI_APP: (i64, &str) = (15_368, "github-actions");

/// All checks of all repositories.
#[derive(Default)]
pub(super) struct Checks {
    pub runs: BTreeMap<i64, CheckRun>,
    suites: BTreeMap<i64, Suite>,
    statuses: Vec<Status>,
    /// Tokens in addresses of logs, with the job each is for.
    log_tokens: BTreeMap<String, i64>,
    logs: BTreeMap<i64, String>,
    /// Jobs whose logs are gone.
    expired: BTreeSet<i64>,
}

/// What one App says about one commit.
#[derive(Clone)]
struct Suite {
    id: i64,
    repository: i64,
    head_sha: String,
    app: i64,
    /// The run of a workflow, for suites of GitHub's own CI.
    workflow_run: i64,
    created_at: DateTime<Utc>,
}

/// A check run; for GitHub's own CI a job, too, with the same number.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckRun {
    /// Its number.
    pub id: i64,
    pub(super) repository: i64,
    pub(super) suite: i64,
    pub(super) app: i64,
    /// True when the service made it.
    pub is_ours: bool,
    /// The commit it is about.
    pub head_sha: String,
    /// Its name.
    pub name: String,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// How it ended, such as `failure`; none before.
    pub conclusion: Option<String>,
    /// What whoever made it calls it.
    pub external_id: Option<String>,
    /// Where more is to be seen.
    pub details_url: Option<String>,
    /// The heading of what it says.
    pub title: Option<String>,
    /// What it says.
    pub summary: Option<String>,
    /// More of it.
    pub text: Option<String>,
    /// Annotations as GitHub lists them.
    pub annotations: Vec<Value>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// How often it was changed after it was made.
    pub updates: usize,
}

impl World {
    /// The check runs of a commit, oldest first.
    pub fn check_runs(&self, repository: &str, sha: &str) -> Vec<CheckRun> {
        let id = self.repository(repository).map(|repository| repository.id);
        self.checks.runs.values().filter(|run| Some(run.repository) == id && run.head_sha == sha).cloned().collect()
    }

    /// The suite of an App for a commit, made when there is none.
    fn suite(&mut self, repository: i64, sha: &str, app: i64) -> i64 {
        let same = |suite: &&Suite| suite.repository == repository && suite.head_sha == sha && suite.app == app;
        if let Some(suite) = self.checks.suites.values().find(same) {
            return suite.id;
        }
        let (id, workflow_run, created_at) = (self.id(), self.id(), self.now());
        let suite = Suite { id, repository, head_sha: sha.to_owned(), app, workflow_run, created_at };
        self.checks.suites.insert(id, suite);
        id
    }

    /// The repository, when the actor holds one of the permissions.
    fn checkable(&self, actor: &Actor, owner: &str, repo: &str, accepted: &[(&str, Level)]) -> Result<&Repository, Refuse> {
        let repository = self.repository(&format!("{owner}/{repo}")).ok_or_else(Refuse::not_found)?;
        actor.may(self, repository, accepted)?;
        Ok(repository)
    }

    fn is_our_app(app: i64) -> bool {
        app == APP_ID
    }
}

type Asked = (State<Arc<Shared>>, Extension<Actor>);
type Answer = Result<Json<Value>, Refuse>;

pub(super) fn routes() -> Router<Arc<Shared>> {
    const REPO: &str = "/repos/{owner}/{repo}";
    let at = |path: &str| format!("{REPO}{path}");
    Router::new()
        .route(&at("/check-runs"), post(write::create))
        .route(&at("/check-runs/{id}"), patch(write::update).get(read::run))
        .route(&at("/check-runs/{id}/annotations"), get(read::annotations))
        .route(&at("/check-runs/{id}/rerequest"), post(write::rerequest))
        .route(&at("/check-suites/{id}"), get(read::suite))
        .route(&at("/check-suites/{id}/check-runs"), get(read::of_suite))
        .route(&at("/commits/{reference}/check-runs"), get(read::of_commit))
        .route(&at("/commits/{reference}/check-suites"), get(read::suites))
        .route(&at("/commits/{reference}/status"), get(status::combined))
        .route(&at("/commits/{reference}/statuses"), get(status::list))
        .route(&at("/statuses/{sha}"), post(status::create))
        .route(&at("/actions/runs/{id}"), get(actions::run))
        .route(&at("/actions/runs/{id}/jobs"), get(actions::jobs))
        .route(&at("/actions/jobs/{id}"), get(actions::job))
        .route(&at("/actions/jobs/{id}/logs"), get(actions::logs))
}

//! The people's side of checks: what a CI system reports, and what somebody presses.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::super::GithubStandin;
use super::super::deliver::Sent;
use super::CI_APP;
use super::status::Wanted;

/// A check GitHub's own CI reports.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCheck {
    name: String,
    conclusion: String,
    log: Option<String>,
    output: Option<Value>,
}

impl NewCheck {
    /// A check that ended, such as `failure` or `success`.
    pub fn ended(name: &str, conclusion: &str) -> Self {
        Self { name: name.to_owned(), conclusion: conclusion.to_owned(), log: None, output: None }
    }

    /// With the log of its job.
    pub fn log(mut self, log: &str) -> Self {
        self.log = Some(log.to_owned());
        self
    }

    /// With something to say about it. `annotations` are as GitHub's description has them, at most 50.
    pub fn output(mut self, title: &str, summary: &str, annotations: Value) -> Self {
        self.output = Some(json!({"title": title, "summary": summary, "annotations": annotations}));
        self
    }
}

/// A check that was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedCheck {
    /// The number of the check run, which is the job's, too.
    pub id: i64,
    /// The number of the workflow run.
    pub workflow_run: i64,
    /// What came of `check_run.completed`, `check_suite.completed`, `workflow_job.completed` and `workflow_run.completed`.
    pub sent: Vec<Sent>,
}

impl GithubStandin {
    /// GitHub's own CI reports a check of a commit that has ended.
    ///
    /// # Errors
    /// When there is no such repository or commit.
    pub async fn report_check(&self, repository: &str, sha: &str, check: NewCheck) -> anyhow::Result<ReportedCheck> {
        let (id, workflow_run, deliveries) = self.shared.with(|world| {
            let repository = world.repository(repository).context("no such repository")?.id;
            ensure!(world.commit_named(repository, sha).as_deref() == Some(sha), "no such commit");
            let mut change = json!({"name": check.name, "conclusion": check.conclusion, "external_id": "ci"});
            if let Some(output) = &check.output {
                change["output"] = output.clone();
            }
            let id = world.add_check(repository, sha, CI_APP.0, serde_json::from_value(change)?);
            if let Some(log) = check.log {
                world.checks.logs.insert(id, log);
            }
            let suite = world.checks.runs.get(&id).context("it was just made")?.suite;
            let workflow_run = world.checks.suites.get(&suite).context("it was just made")?.workflow_run;
            let by = world.repositories.get(&repository).map(|r| r.owner().to_owned()).unwrap_or_default();
            let mut deliveries: Vec<u64> = world.check_event("completed", id, &by, None).into_iter().collect();
            deliveries.extend(world.suite_event("completed", suite, &by));
            deliveries.extend(world.job_events(id, &by));
            anyhow::Ok((id, workflow_run, deliveries))
        })?;
        Ok(ReportedCheck { id, workflow_run, sent: self.send_all(deliveries).await? })
    }

    /// The log of a job expires: GitHub answers 410 for it.
    pub fn expire_log(&self, job: i64) {
        self.shared.with(|world| world.checks.expired.insert(job));
    }

    /// A person wants a check run of the service to run again.
    ///
    /// # Errors
    /// When there is no such check run.
    pub async fn rerun_check(&self, check: i64, user: &str) -> anyhow::Result<Sent> {
        let delivery = self.shared.with(|world| world.ask_again(check, user));
        self.send_now(delivery).await
    }

    /// A person presses a button of a check run.
    ///
    /// # Errors
    /// When there is no such check run.
    pub async fn press_check_action(&self, check: i64, user: &str, identifier: &str) -> anyhow::Result<Sent> {
        let delivery = self.shared.with(|world| world.check_event("requested_action", check, user, Some(identifier)));
        self.send_now(delivery).await
    }

    /// Somebody sets a commit status.
    ///
    /// # Errors
    /// When there is no such repository or commit.
    pub fn set_status(&self, repository: &str, sha: &str, context: &str, state: &str) -> anyhow::Result<()> {
        self.shared.with(|world| {
            let repository = world.repository(repository).context("no such repository")?.id;
            ensure!(world.commit_named(repository, sha).as_deref() == Some(sha), "no such commit");
            let by = world.repositories.get(&repository).map(|r| r.owner().to_owned()).unwrap_or_default();
            let (state, context) = (state.to_owned(), Some(context.to_owned()));
            world.add_status(repository, sha, &by, Wanted { state, context, description: None, target_url: None });
            Ok(())
        })
    }
}

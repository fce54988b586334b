//! The webhooks of checks.

use serde_json::{Value, json};

use super::super::world::World;

impl World {
    /// Makes a `check_run` webhook; `pressed` is the button somebody pressed.
    pub(super) fn check_event(&mut self, action: &str, id: i64, sender: &str, pressed: Option<&str>) -> Option<u64> {
        let run = self.checks.runs.get(&id)?;
        let suite = self.checks.suites.get(&run.suite)?;
        let mut with = json!({"check_run": self.check_json(run)});
        with["check_run"]["check_suite"] = self.suite_json(suite);
        if let Some(identifier) = pressed {
            with["requested_action"] = json!({"identifier": identifier});
        }
        self.event("check_run", Some(action), run.repository, sender, with)
    }

    /// Makes a `check_suite` webhook.
    pub(super) fn suite_event(&mut self, action: &str, suite: i64, sender: &str) -> Option<u64> {
        let suite = self.checks.suites.get(&suite)?;
        let mut json = self.whole_suite_json(suite);
        if let Value::Object(json) = &mut json {
            json.remove("repository");
        }
        self.event("check_suite", Some(action), suite.repository, sender, json!({"check_suite": json}))
    }

    /// Makes the webhooks of a job of GitHub's own CI and of the workflow it belongs to.
    pub(super) fn job_events(&mut self, id: i64, sender: &str) -> Vec<u64> {
        let Some((job, run, repository)) = self.checks.runs.get(&id).and_then(|check| {
            let suite = self.checks.suites.get(&check.suite)?;
            Some((self.job_json(check)?, self.workflow_json(suite), check.repository))
        }) else {
            return Vec::new();
        };
        let workflow = json!({"id": run["workflow_id"], "name": "CI", "path": ".github/workflows/ci.yml", "state": "active"});
        let of_job = self.event("workflow_job", Some("completed"), repository, sender, json!({"workflow_job": job}));
        let with = json!({"workflow_run": run, "workflow": workflow});
        let of_run = self.event("workflow_run", Some("completed"), repository, sender, with);
        of_job.into_iter().chain(of_run).collect()
    }
}

//! The JSON of checks, with the fields of GitHub's published description.

use serde_json::{Value, json};

use super::super::shape::{node, time};
use super::super::world::World;
use super::{CI_APP, CheckRun, Suite};

impl World {
    fn checks_url(&self, id: i64) -> String {
        format!("{}/repos/{}", self.api, self.repository_name(id))
    }

    fn app_of(&self, app: i64) -> Value {
        if Self::is_our_app(app) {
            return self.app_json();
        }
        let mut json = self.app_json();
        let (id, slug) = CI_APP;
        json["id"] = id.into();
        json["slug"] = slug.into();
        json["client_id"] = "Iv1.05c79e9ad1f6bdfa".into();
        json["node_id"] = node("A", id).into();
        json["name"] = "GitHub Actions".into();
        json["description"] = "Automate your workflow from idea to production".into();
        json["html_url"] = format!("{}/apps/{slug}", self.origin).into();
        json["permissions"] = json!({"actions": "write", "checks": "write", "contents": "write", "metadata": "read"});
        json["events"] = json!(["check_run", "check_suite", "push"]);
        json
    }

    /// The open pull requests of the same repository that end at a commit, in short.
    pub(super) fn pulls_at(&self, repository: i64, sha: &str) -> Value {
        let ends_here = self.issues.iter().filter(|(key, issue)| key.0 == repository && issue.is_pull_request && issue.open);
        let pulls = ends_here.filter(|(key, _)| self.head_of(**key).as_deref() == Some(sha));
        pulls
            .map(|(key, _)| self.pull_simple_json(*key))
            // GitHub leaves out those that come from forks.
            .filter(|pull| pull["head"]["repo"]["id"] == pull["base"]["repo"]["id"])
            .map(|pull| {
                let side = |name: &str| {
                    let side = &pull[name];
                    let repo = &side["repo"];
                    json!({"ref": side["ref"], "sha": side["sha"],
                        "repo": {"id": repo["id"], "url": repo["url"], "name": repo["name"]}})
                };
                json!({"url": pull["url"], "id": pull["id"], "number": pull["number"], "head": side("head"), "base": side("base")})
            })
            .collect()
    }

    pub(super) fn check_json(&self, run: &CheckRun) -> Value {
        let api = format!("{}/check-runs/{}", self.checks_url(run.repository), run.id);
        let page = format!("{}/{}/runs/{}", self.origin, self.repository_name(run.repository), run.id);
        json!({
            "id": run.id, "name": run.name, "node_id": node("CR", run.id), "head_sha": run.head_sha,
            "external_id": run.external_id.as_deref().unwrap_or(""), "url": api, "html_url": page,
            "details_url": run.details_url.as_deref().unwrap_or(&self.origin), "status": run.status, "conclusion": run.conclusion,
            "started_at": time(run.started_at), "completed_at": run.completed_at.map(time),
            "output": {"title": run.title, "summary": run.summary, "text": run.text,
                "annotations_count": run.annotations.len(), "annotations_url": format!("{api}/annotations")},
            "check_suite": {"id": run.suite}, "app": self.app_of(run.app),
            "pull_requests": self.pulls_at(run.repository, &run.head_sha),
        })
    }

    pub(super) fn check_json_by_id(&self, id: i64) -> Value {
        self.checks.runs.get(&id).map(|run| self.check_json(run)).unwrap_or_default()
    }

    /// Done when all its runs are; as bad as the worst of them.
    pub(super) fn verdict(&self, suite: i64) -> (&'static str, Option<&str>) {
        let runs: Vec<&CheckRun> = self.checks.runs.values().filter(|run| run.suite == suite).collect();
        if runs.is_empty() || runs.iter().any(|run| run.status != "completed") {
            return (if runs.is_empty() { "queued" } else { "in_progress" }, None);
        }
        let order = ["failure", "timed_out", "cancelled", "action_required", "success", "neutral", "skipped"];
        let worst = order.into_iter().find(|one| runs.iter().any(|run| run.conclusion.as_deref() == Some(one)));
        ("completed", worst)
    }

    pub(super) fn suite_json(&self, suite: &Suite) -> Value {
        let (status, conclusion) = self.verdict(suite.id);
        let pulls = self.pulls_at(suite.repository, &suite.head_sha);
        let branch = self.branch_at(suite.repository, &suite.head_sha).map(Value::from);
        json!({
            "id": suite.id, "node_id": node("CS", suite.id), "head_sha": suite.head_sha, "status": status, "conclusion": conclusion,
            "head_branch": branch.unwrap_or_else(|| pulls[0]["head"]["ref"].clone()),
            "url": format!("{}/check-suites/{}", self.checks_url(suite.repository), suite.id),
            "before": null, "after": suite.head_sha, "pull_requests": pulls, "app": self.app_of(suite.app),
            "created_at": time(suite.created_at), "updated_at": time(suite.created_at),
        })
    }

    pub(super) fn whole_suite_json(&self, suite: &Suite) -> Value {
        let mut json = self.suite_json(suite);
        json["check_runs_url"] = format!("{}/check-runs", json["url"].as_str().unwrap_or_default()).into();
        json["latest_check_runs_count"] = self.checks.runs.values().filter(|run| run.suite == suite.id).count().into();
        json["repository"] = self.repositories.get(&suite.repository).map(|r| self.repository_json(r)).unwrap_or_default();
        json["head_commit"] = self.head_commit_json(suite.repository, &suite.head_sha);
        json["rerequestable"] = true.into();
        json["runs_rerequestable"] = true.into();
        json
    }
}

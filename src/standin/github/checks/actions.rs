//! Jobs of GitHub's own CI, and their logs, which are kept at another address.

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::super::Shared;
use super::super::api::Paging;
use super::super::auth::{Actor, Level, random};
use super::super::refuse::Refuse;
use super::super::shape::{node, time};
use super::super::world::World;
use super::{Answer, Asked, CI_APP, CheckRun, Suite};

const READ: [(&str, Level); 1] = [("actions", Level::Read)];
const WORKFLOW: i64 = 159_038;

type Place = Path<(String, String, i64)>;

impl World {
    /// A job; none for a check run another App made.
    pub(super) fn job_json(&self, run: &CheckRun) -> Option<Value> {
        let suite = self.checks.suites.get(&run.suite).filter(|suite| suite.app == CI_APP.0)?;
        let api = format!("{}/repos/{}", self.api, self.repository_name(run.repository));
        let page = format!("{}/{}/actions/runs/{}", self.origin, self.repository_name(run.repository), suite.workflow_run);
        let step = |number: u32, name: &str, conclusion: &Option<String>| {
            json!({"name": name, "status": run.status, "conclusion": conclusion, "number": number,
                "started_at": time(run.started_at), "completed_at": run.completed_at.map(time)})
        };
        let went_well = Some("success".to_owned());
        Some(json!({
            "id": run.id, "run_id": suite.workflow_run, "run_url": format!("{api}/actions/runs/{}", suite.workflow_run),
            "run_attempt": 1, "node_id": node("CR", run.id), "head_sha": run.head_sha, "name": run.name,
            "url": format!("{api}/actions/jobs/{}", run.id), "html_url": format!("{page}/job/{}", run.id), "status": run.status,
            "conclusion": run.conclusion, "created_at": time(run.started_at), "started_at": time(run.started_at),
            "completed_at": run.completed_at.map(time), "labels": ["ubuntu-latest"], "workflow_name": "CI",
            "steps": [step(1, "Set up job", &went_well), step(2, &format!("Run {}", run.name), &run.conclusion)],
            "check_run_url": format!("{api}/check-runs/{}", run.id), "runner_id": 1, "runner_name": "GitHub Actions 1",
            "runner_group_id": 0, "runner_group_name": "GitHub Actions",
            "head_branch": self.suite_json(suite)["head_branch"],
        }))
    }

    pub(super) fn workflow_json(&self, suite: &Suite) -> Value {
        let api = format!("{}/repos/{}", self.api, self.repository_name(suite.repository));
        let url = format!("{api}/actions/runs/{}", suite.workflow_run);
        let page = format!("{}/{}/actions/runs/{}", self.origin, self.repository_name(suite.repository), suite.workflow_run);
        let of_suite = self.suite_json(suite);
        let repository = self.repositories.get(&suite.repository).map(|r| self.repository_json(r)).unwrap_or_default();
        let by = self.repositories.get(&suite.repository).map(|r| self.user_json(r.owner())).unwrap_or_default();
        json!({
            "id": suite.workflow_run, "name": "CI", "node_id": node("WFR", suite.workflow_run), "check_suite_id": suite.id,
            "check_suite_node_id": of_suite["node_id"], "head_branch": of_suite["head_branch"], "head_sha": suite.head_sha,
            "path": ".github/workflows/ci.yml", "run_number": 1, "run_attempt": 1, "referenced_workflows": [],
            "event": "push", "status": of_suite["status"], "conclusion": of_suite["conclusion"], "workflow_id": WORKFLOW,
            "url": url, "html_url": page, "pull_requests": of_suite["pull_requests"], "created_at": time(suite.created_at),
            "updated_at": time(suite.created_at), "actor": by, "triggering_actor": by, "run_started_at": time(suite.created_at),
            "jobs_url": format!("{url}/jobs"), "logs_url": format!("{url}/logs"), "check_suite_url": of_suite["url"],
            "artifacts_url": format!("{url}/artifacts"), "cancel_url": format!("{url}/cancel"),
            "rerun_url": format!("{url}/rerun"), "previous_attempt_url": null,
            "workflow_url": format!("{api}/actions/workflows/{WORKFLOW}"), "display_title": "CI",
            "head_commit": self.head_commit_json(suite.repository, &suite.head_sha),
            "repository": repository, "head_repository": repository,
        })
    }

    fn workflow_run(&self, actor: &Actor, place: &Place) -> Result<&Suite, Refuse> {
        let repository = self.checkable(actor, &place.0.0, &place.0.1, &READ)?.id;
        let here = |suite: &&Suite| suite.repository == repository && suite.app == CI_APP.0 && suite.workflow_run == place.0.2;
        self.checks.suites.values().find(here).ok_or_else(Refuse::not_found)
    }

    fn job_of(&self, actor: &Actor, place: &Place) -> Result<(&CheckRun, Value), Refuse> {
        let repository = self.checkable(actor, &place.0.0, &place.0.1, &READ)?.id;
        let run = self.checks.runs.get(&place.0.2).filter(|run| run.repository == repository).ok_or_else(Refuse::not_found)?;
        Ok((run, self.job_json(run).ok_or_else(Refuse::not_found)?))
    }
}

pub(super) async fn run((State(shared), Extension(actor)): Asked, place: Place) -> Answer {
    let world = shared.lock();
    Ok(Json(world.workflow_json(world.workflow_run(&actor, &place)?)))
}

pub(super) async fn jobs(
    (State(shared), Extension(actor)): Asked,
    place: Place,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let suite = world.workflow_run(&actor, &place)?;
    let runs = world.checks.runs.values().filter(|run| run.suite == suite.id);
    let all: Vec<Value> = runs.filter_map(|run| world.job_json(run)).collect();
    let url = format!("{}/repositories/{}/actions/runs/{}/jobs", shared.api(), suite.repository, suite.workflow_run);
    Ok(paging.counted("jobs", all, &url))
}

pub(super) async fn job((State(shared), Extension(actor)): Asked, place: Place) -> Answer {
    let world = shared.lock();
    Ok(Json(world.job_of(&actor, &place)?.1))
}

/// Sends whoever asks to where logs are, with a token for this one.
pub(super) async fn logs((State(shared), Extension(actor)): Asked, place: Place) -> Result<Response, Refuse> {
    let mut world = shared.lock();
    let id = world.job_of(&actor, &place)?.0.id;
    if world.checks.expired.contains(&id) {
        return Err(Refuse::new(StatusCode::GONE, "Server Error"));
    }
    if !world.checks.logs.contains_key(&id) {
        return Err(Refuse::not_found());
    }
    let token = random();
    let location = format!("{}/logs/{id}.txt?sig={token}", shared.codeload);
    world.checks.log_tokens.insert(token, id);
    Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}

/// The log a token is for; each token works once.
pub(in super::super) fn serve_log(shared: &Shared, token: &str) -> Response {
    let log = shared.with(|world| {
        let job = world.checks.log_tokens.remove(token)?;
        world.checks.logs.get(&job).cloned()
    });
    match log {
        Some(log) => ([(header::CONTENT_TYPE, "text/plain")], log).into_response(),
        None => (StatusCode::FORBIDDEN, "AuthenticationFailed").into_response(),
    }
}

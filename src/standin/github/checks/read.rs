//! Reading check runs, their annotations and suites.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::Value;

use super::super::api::Paging;
use super::super::auth::Level;
use super::super::refuse::Refuse;
use super::super::world::World;
use super::{Answer, Asked, CheckRun, Suite};

const READ: [(&str, Level); 1] = [("checks", Level::Read)];

type Place = Path<(String, String, i64)>;
type OfCommit = Path<(String, String, String)>;

#[derive(Deserialize)]
pub(super) struct Filter {
    check_name: Option<String>,
    app_id: Option<i64>,
    status: Option<String>,
    filter: Option<String>,
}

impl Filter {
    fn apply<'a>(&self, runs: impl Iterator<Item = &'a CheckRun>) -> Vec<&'a CheckRun> {
        let mut kept: Vec<&CheckRun> = runs
            .filter(|run| self.check_name.as_ref().is_none_or(|name| *name == run.name))
            .filter(|run| self.app_id.is_none_or(|app| app == run.app))
            .filter(|run| self.status.as_ref().is_none_or(|status| *status == run.status))
            .collect();
        // The newest first; only the newest of a name, unless all are wanted.
        kept.reverse();
        if self.filter.as_deref() != Some("all") {
            let all = kept.clone();
            kept.retain(|run| {
                all.iter().find(|other| (other.app, &other.name) == (run.app, &run.name)).map(|r| r.id) == Some(run.id)
            });
        }
        kept
    }

    fn query(&self) -> String {
        let of = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name}={value}"));
        let app = self.app_id.map(|app| format!("app_id={app}"));
        let all = [of("check_name", &self.check_name), app, of("status", &self.status), of("filter", &self.filter)];
        let all: Vec<String> = all.into_iter().flatten().collect();
        if all.is_empty() { String::new() } else { format!("?{}", all.join("&")) }
    }
}

impl World {
    fn check_of(&self, actor: &super::super::auth::Actor, place: &Place) -> Result<&CheckRun, Refuse> {
        let repository = self.checkable(actor, &place.0.0, &place.0.1, &READ)?.id;
        self.checks.runs.get(&place.0.2).filter(|run| run.repository == repository).ok_or_else(Refuse::not_found)
    }
}

pub(super) async fn run((State(shared), Extension(actor)): Asked, place: Place) -> Answer {
    let world = shared.lock();
    Ok(Json(world.check_json(world.check_of(&actor, &place)?)))
}

pub(super) async fn annotations(
    (State(shared), Extension(actor)): Asked,
    place: Place,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let run = world.check_of(&actor, &place)?;
    let url = format!("{}/repositories/{}/check-runs/{}/annotations", shared.api(), run.repository, run.id);
    Ok(paging.answer(run.annotations.clone(), &url))
}

pub(super) async fn of_commit(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, reference)): OfCommit,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.checkable(&actor, &owner, &repo, &READ)?.id;
    let sha = world.commit_named(repository, &reference);
    let sha = sha.ok_or_else(|| Refuse::unprocessable(&format!("No commit found for SHA: {reference}")))?;
    let here = world.checks.runs.values().filter(|run| run.repository == repository && run.head_sha == sha);
    let all: Vec<Value> = filter.apply(here).into_iter().map(|run| world.check_json(run)).collect();
    let url = format!("{}/repositories/{repository}/commits/{reference}/check-runs{}", shared.api(), filter.query());
    Ok(paging.counted("check_runs", all, &url))
}

pub(super) async fn of_suite(
    (State(shared), Extension(actor)): Asked,
    place: Place,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.checkable(&actor, &place.0.0, &place.0.1, &READ)?.id;
    let here = world.checks.runs.values().filter(|run| run.repository == repository && run.suite == place.0.2);
    let all: Vec<Value> = filter.apply(here).into_iter().map(|run| world.check_json(run)).collect();
    let url = format!("{}/repositories/{repository}/check-suites/{}/check-runs{}", shared.api(), place.0.2, filter.query());
    Ok(paging.counted("check_runs", all, &url))
}

pub(super) async fn suite((State(shared), Extension(actor)): Asked, place: Place) -> Answer {
    let world = shared.lock();
    let repository = world.checkable(&actor, &place.0.0, &place.0.1, &READ)?.id;
    let suite = world.checks.suites.get(&place.0.2).filter(|suite| suite.repository == repository);
    Ok(Json(world.whole_suite_json(suite.ok_or_else(Refuse::not_found)?)))
}

pub(super) async fn suites(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, reference)): OfCommit,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.checkable(&actor, &owner, &repo, &READ)?.id;
    let sha = world.commit_named(repository, &reference).ok_or_else(Refuse::not_found)?;
    let here = |suite: &&Suite| suite.repository == repository && suite.head_sha == sha;
    let all: Vec<Value> = world.checks.suites.values().filter(here).map(|suite| world.whole_suite_json(suite)).collect();
    let url = format!("{}/repositories/{repository}/commits/{reference}/check-suites", shared.api());
    Ok(paging.counted("check_suites", all, &url))
}

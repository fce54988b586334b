//! Making and changing check runs, which only Apps may.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::auth::{Actor, Level};
use super::super::body::read;
use super::super::refuse::Refuse;
use super::super::world::{APP_ID, World};
use super::{Answer, Asked, CheckRun};

const WRITE: [(&str, Level); 1] = [("checks", Level::Write)];
const LONGEST_TEXT: usize = 65_535;
const MOST_ANNOTATIONS: usize = 50;
const STATUSES: [&str; 3] = ["queued", "in_progress", "completed"];
const CONCLUSIONS: [&str; 7] = ["action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"];

#[derive(Deserialize)]
struct Annotation {
    path: String,
    start_line: u32,
    end_line: u32,
    start_column: Option<u32>,
    end_column: Option<u32>,
    annotation_level: String,
    message: String,
    title: Option<String>,
    raw_details: Option<String>,
}

#[derive(Deserialize)]
struct Output {
    title: Option<String>,
    summary: String,
    text: Option<String>,
    #[serde(default)]
    annotations: Vec<Annotation>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Change {
    name: Option<String>,
    head_sha: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    details_url: Option<String>,
    external_id: Option<String>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    output: Option<Output>,
    actions: Vec<Value>,
}

fn invalid(message: &str) -> Refuse {
    Refuse::unprocessable(&format!("Invalid request.\n\n{message}"))
}

fn app(actor: &Actor) -> Result<(), Refuse> {
    match actor {
        Actor::Installation(_) => Ok(()),
        Actor::User(_) => Err(Refuse::new(StatusCode::FORBIDDEN, "You must authenticate via a GitHub App.")),
        Actor::App | Actor::Nobody => Err(Refuse::unauthorized("Requires authentication")),
    }
}

impl Change {
    fn check(&self) -> Result<(), Refuse> {
        let unknown =
            |value: &Option<String>, known: &[&str]| value.as_deref().filter(|value| !known.contains(value)).map(str::to_owned);
        if let Some(status) = unknown(&self.status, &STATUSES) {
            return Err(invalid(&format!("{status} is not a member of {STATUSES:?}.")));
        }
        if let Some(conclusion) = unknown(&self.conclusion, &CONCLUSIONS) {
            return Err(invalid(&format!("{conclusion} is not a member of {CONCLUSIONS:?}.")));
        }
        let ends = self.status.as_deref() == Some("completed") || self.completed_at.is_some();
        if ends && self.conclusion.is_none() {
            return Err(invalid("\"conclusion\" wasn't supplied."));
        }
        if self.actions.len() > 3 {
            return Err(invalid(&format!("No more than 3 items are allowed; {} were supplied.", self.actions.len())));
        }
        let Some(output) = &self.output else { return Ok(()) };
        for text in [Some(&output.summary), output.text.as_ref()].into_iter().flatten() {
            if text.chars().count() > LONGEST_TEXT {
                return Err(invalid("Only 65535 characters are allowed."));
            }
        }
        if output.annotations.len() > MOST_ANNOTATIONS {
            let count = output.annotations.len();
            return Err(invalid(&format!("No more than 50 items are allowed; {count} were supplied.")));
        }
        output.annotations.iter().try_for_each(Annotation::check)
    }

    fn apply(self, run: &mut CheckRun, now: DateTime<Utc>, page: &str) {
        let keep = |new: Option<String>, old: &mut Option<String>| {
            if new.is_some() {
                *old = new;
            }
        };
        if let Some(name) = self.name {
            run.name = name;
        }
        keep(self.details_url, &mut run.details_url);
        keep(self.external_id, &mut run.external_id);
        run.started_at = self.started_at.unwrap_or(run.started_at);
        match (self.conclusion, self.status) {
            (Some(conclusion), _) => {
                run.status = "completed".into();
                run.conclusion = Some(conclusion);
                run.completed_at = Some(self.completed_at.unwrap_or(now));
            }
            (None, Some(status)) => {
                run.status = status;
                (run.conclusion, run.completed_at) = (None, None);
            }
            (None, None) => {}
        }
        if let Some(output) = self.output {
            keep(output.title, &mut run.title);
            run.summary = Some(output.summary);
            keep(output.text, &mut run.text);
            run.annotations.extend(output.annotations.into_iter().map(|annotation| annotation.json(page, &run.head_sha)));
        }
    }
}

impl Annotation {
    fn check(&self) -> Result<(), Refuse> {
        if !["notice", "warning", "failure"].contains(&self.annotation_level.as_str()) {
            return Err(invalid("annotation_level is not a member of [\"notice\", \"warning\", \"failure\"]."));
        }
        if self.start_line == 0 || self.end_line < self.start_line {
            return Err(invalid("end_line must not precede start_line."));
        }
        let columns = self.start_column.is_some() || self.end_column.is_some();
        if columns && self.start_line != self.end_line {
            return Err(invalid("Annotations only support columns on the same line."));
        }
        Ok(())
    }

    fn json(self, page: &str, sha: &str) -> Value {
        json!({"path": self.path, "start_line": self.start_line, "end_line": self.end_line, "start_column": self.start_column,
            "end_column": self.end_column, "annotation_level": self.annotation_level, "title": self.title,
            "message": self.message, "raw_details": self.raw_details, "blob_href": format!("{page}/blob/{sha}/{}", self.path)})
    }
}

impl World {
    /// Keeps a new check run.
    pub(super) fn add_check(&mut self, repository: i64, sha: &str, app: i64, change: Change) -> i64 {
        let suite = self.suite(repository, sha, app);
        let (id, now) = (self.id(), self.now());
        let mut run = CheckRun {
            id,
            repository,
            suite,
            app,
            is_ours: Self::is_our_app(app),
            head_sha: sha.to_owned(),
            name: String::new(),
            status: "queued".into(),
            conclusion: None,
            external_id: None,
            details_url: None,
            title: None,
            summary: None,
            text: None,
            annotations: Vec::new(),
            started_at: now,
            completed_at: None,
            updates: 0,
        };
        let page = format!("{}/{}", self.origin, self.repository_name(repository));
        change.apply(&mut run, now, &page);
        self.checks.runs.insert(id, run);
        id
    }

    fn own_run(&self, actor: &Actor, place: &Path<(String, String, i64)>) -> Result<CheckRun, Refuse> {
        let repository = self.checkable(actor, &place.0.0, &place.0.1, &WRITE)?.id;
        app(actor)?;
        let run = self.checks.runs.get(&place.0.2).filter(|run| run.repository == repository).ok_or_else(Refuse::not_found)?;
        if !run.is_ours {
            let message =
                format!("Invalid app_id `{APP_ID}` - check run can only be modified by the GitHub App that created it.");
            return Err(Refuse::new(StatusCode::FORBIDDEN, message));
        }
        Ok(run.clone())
    }
}

pub(super) async fn create(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, Refuse> {
    let (json, deliveries) = {
        let mut world = shared.lock();
        // Only Apps, whatever they were granted: a token hears so first.
        let repository = world.checkable(&actor, &owner, &repo, &WRITE)?.id;
        app(&actor)?;
        let change: Change = read(&body)?;
        let missing = |field: &str| invalid(&format!("\"{field}\" wasn't supplied."));
        change.name.as_ref().filter(|name| !name.is_empty()).ok_or_else(|| missing("name"))?;
        let sha = change.head_sha.clone().ok_or_else(|| missing("head_sha"))?;
        if change.output.as_ref().is_some_and(|output| output.title.is_none()) {
            return Err(missing("title"));
        }
        change.check()?;
        if world.commit_named(repository, &sha).as_deref() != Some(sha.as_str()) {
            return Err(Refuse::unprocessable(&format!("No commit found for SHA: {sha}")));
        }
        let id = world.add_check(repository, &sha, APP_ID, change);
        let by = world.our_login();
        let mut deliveries: Vec<u64> = world.check_event("created", id, &by, None).into_iter().collect();
        if world.checks.runs.get(&id).is_some_and(|run| run.conclusion.is_some()) {
            deliveries.extend(world.check_event("completed", id, &by, None));
        }
        (world.check_json_by_id(id), deliveries)
    };
    shared.announce(deliveries);
    let location = json["url"].as_str().unwrap_or_default().to_owned();
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(json)).into_response())
}

pub(super) async fn update((State(shared), Extension(actor)): Asked, place: Path<(String, String, i64)>, body: Bytes) -> Answer {
    let (json, delivery) = {
        let mut world = shared.lock();
        let run = world.own_run(&actor, &place)?;
        let change: Change = read(&body)?;
        change.check()?;
        let (now, by) = (world.now(), world.our_login());
        let page = format!("{}/{}", world.origin, world.repository_name(run.repository));
        let ends = change.conclusion.is_some() && run.conclusion.is_none();
        let kept = world.checks.runs.get_mut(&run.id).ok_or_else(Refuse::not_found)?;
        change.apply(kept, now, &page);
        kept.updates += 1;
        let delivery = if ends { world.check_event("completed", run.id, &by, None) } else { None };
        (world.check_json_by_id(run.id), delivery.filter(|_| shared.echo))
    };
    shared.send_later(delivery);
    Ok(Json(json))
}

pub(super) async fn rerequest(
    (State(shared), Extension(actor)): Asked,
    place: Path<(String, String, i64)>,
) -> Result<Response, Refuse> {
    let delivery = {
        let mut world = shared.lock();
        let run = world.own_run(&actor, &place)?;
        let by = world.our_login();
        world.ask_again(run.id, &by)
    };
    shared.send_later(delivery);
    Ok((StatusCode::CREATED, Json(json!({}))).into_response())
}

impl World {
    /// Somebody wants a check to run again: it waits, and its App hears of it.
    pub(super) fn ask_again(&mut self, id: i64, by: &str) -> Option<u64> {
        let run = self.checks.runs.get_mut(&id)?;
        run.status = "queued".into();
        (run.conclusion, run.completed_at) = (None, None);
        self.check_event("rerequested", id, by, None)
    }
}

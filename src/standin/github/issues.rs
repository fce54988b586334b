//! Issues as a list, their labels, and their text and state changed over HTTP. Pull requests count as issues here.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Paging;
use super::auth::Level;
use super::git::read::{Asked, Given};
use super::refuse::Refuse;
use super::shape::node;
use super::world::{Issue, World};

const LONGEST_BODY: usize = 65_536;
const LONGEST_TITLE: usize = 256;

pub(super) fn check_title(resource: &str, title: &str) -> Result<(), Refuse> {
    if title.trim().is_empty() {
        return Err(Refuse::validation(resource, "missing_field", Some("title"), None));
    }
    if title.chars().count() > LONGEST_TITLE {
        let message = "title is too long (maximum is 256 characters)";
        return Err(Refuse::validation(resource, "custom", Some("title"), Some(message)));
    }
    Ok(())
}

pub(super) fn check_body(resource: &str, body: &str) -> Result<(), Refuse> {
    if body.chars().count() > LONGEST_BODY {
        let message = "body is too long (maximum is 65536 characters)";
        return Err(Refuse::validation(resource, "custom", Some("body"), Some(message)));
    }
    Ok(())
}

impl World {
    /// The label's own spelling; made when there is none.
    pub(super) fn make_label(&mut self, repository: i64, name: &str) -> String {
        let key = (repository, name.to_lowercase());
        if let Some((_, known)) = self.labels.get(&key) {
            return known.clone();
        }
        let id = self.id();
        self.labels.insert(key, (id, name.to_owned()));
        name.to_owned()
    }

    pub(super) fn label_json(&self, repository: i64, name: &str) -> Value {
        let id = self.labels.get(&(repository, name.to_lowercase())).map_or(0, |(id, _)| *id);
        let url = self.repositories.get(&repository).map(|repository| self.repository_url(repository)).unwrap_or_default();
        let url = format!("{url}/labels/{}", name.replace(' ', "%20"));
        json!({"id": id, "node_id": node("LA", id), "url": url, "name": name, "description": null, "color": "ededed", "default": false})
    }

    pub(super) fn labels_json(&self, issue: &Issue) -> Value {
        issue.labels.iter().map(|name| self.label_json(issue.repository, name)).collect()
    }
}

#[derive(Deserialize)]
pub(super) struct Filter {
    state: Option<String>,
    labels: Option<String>,
    creator: Option<String>,
    sort: Option<String>,
    direction: Option<String>,
    since: Option<DateTime<Utc>>,
}

pub(super) async fn list(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.named(&owner, &repo)?;
    actor.may(&world, repository, &[("issues", Level::Read), ("pull_requests", Level::Read)])?;
    let state = filter.state.as_deref().unwrap_or("open");
    if !["open", "closed", "all"].contains(&state) {
        return Err(Refuse::validation("Issue", "invalid", Some("state"), None));
    }
    let labels: Vec<&str> = filter.labels.as_deref().unwrap_or_default().split(',').filter(|label| !label.is_empty()).collect();
    let has = |issue: &Issue, wanted: &str| issue.labels.iter().any(|label| label.eq_ignore_ascii_case(wanted));
    let wanted = |issue: &&Issue| {
        (state == "all" || issue.open == (state == "open"))
            && labels.iter().all(|label| has(issue, label))
            && filter.since.is_none_or(|since| issue.updated_at >= since)
            && filter.creator.as_ref().is_none_or(|creator| issue.author.eq_ignore_ascii_case(creator))
    };
    let mut all: Vec<&Issue> =
        world.issues.range((repository.id, 0)..=(repository.id, i64::MAX)).map(|(_, issue)| issue).filter(wanted).collect();
    match filter.sort.as_deref() {
        Some("updated") => all.sort_by_key(|issue| (issue.updated_at, issue.number)),
        Some("comments") => all.sort_by_key(|issue| world.said((issue.repository, issue.number)).count()),
        Some(_) | None => all.sort_by_key(|issue| issue.number),
    }
    if filter.direction.as_deref() != Some("asc") {
        all.reverse();
    }
    let mut url = format!("{}/repositories/{}/issues?state={state}", shared.api(), repository.id);
    let kept = [("labels", filter.labels.clone()), ("creator", filter.creator.clone()), ("sort", filter.sort.clone())];
    let rest = [("direction", filter.direction.clone()), ("since", filter.since.map(super::shape::time))];
    for (name, value) in kept.into_iter().chain(rest) {
        if let Some(value) = value {
            url.push_str(&format!("&{name}={value}"));
        }
    }
    Ok(paging.answer(all.into_iter().map(|issue| world.issue_json(issue)).collect(), &url))
}

type Place = Path<(String, String, i64)>;

pub(super) async fn labels(
    (State(shared), Extension(actor)): Asked,
    place: Place,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let key = world.conversation(&actor, &place, Level::Read)?;
    let all = world.issues.get(&key).map(|issue| issue.labels.clone()).unwrap_or_default();
    let all = all.iter().map(|name| world.label_json(key.0, name)).collect();
    Ok(paging.answer(all, &format!("{}/repositories/{}/issues/{}/labels", shared.api(), key.0, key.1)))
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum NewLabels {
    Named { labels: Vec<Label> },
    Bare(Vec<Label>),
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Label {
    Name(String),
    Object { name: String },
}

pub(super) async fn add_labels(
    (State(shared), Extension(actor)): Asked,
    place: Place,
    Given(new): Given<NewLabels>,
) -> Result<Json<Value>, Refuse> {
    let (json, sent) = {
        let mut world = shared.lock();
        let key = world.conversation(&actor, &place, Level::Write)?;
        let by = actor.login(&world)?;
        let (NewLabels::Named { labels } | NewLabels::Bare(labels)) = new;
        let mut sent = Vec::new();
        for label in labels {
            let (Label::Name(name) | Label::Object { name }) = label;
            if name.trim().is_empty() || name.chars().count() > 50 {
                return Err(Refuse::validation("Label", "invalid", Some("name"), None));
            }
            sent.extend(world.label(key, &name, &by));
        }
        let json = world.issues.get(&key).map(|issue| world.labels_json(issue)).unwrap_or_default();
        (json, sent)
    };
    shared.announce(sent);
    Ok(Json(json))
}

pub(super) async fn remove_label(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, number, name)): Path<(String, String, i64, String)>,
) -> Result<Json<Value>, Refuse> {
    let (json, sent) = {
        let mut world = shared.lock();
        let key = world.conversation(&actor, &Path((owner, repo, number)), Level::Write)?;
        let by = actor.login(&world)?;
        let has = |issue: &Issue| issue.labels.iter().any(|label| label.eq_ignore_ascii_case(&name));
        if !world.issues.get(&key).is_some_and(has) {
            return Err(Refuse::new(axum::http::StatusCode::NOT_FOUND, "Label does not exist"));
        }
        let sent = world.unlabel(key, &name, &by);
        (world.issues.get(&key).map(|issue| world.labels_json(issue)).unwrap_or_default(), sent)
    };
    shared.announce(sent);
    Ok(Json(json))
}

#[derive(Deserialize)]
pub(super) struct Changes {
    title: Option<String>,
    body: Option<String>,
    state: Option<String>,
}

pub(super) async fn update(
    (State(shared), Extension(actor)): Asked,
    place: Place,
    Given(wanted): Given<Changes>,
) -> Result<Json<Value>, Refuse> {
    let (json, sent) = {
        let mut world = shared.lock();
        let key = world.conversation(&actor, &place, Level::Write)?;
        world.own_or_write(&actor, key)?;
        let by = actor.login(&world)?;
        wanted.title.as_deref().map_or(Ok(()), |title| check_title("Issue", title))?;
        wanted.body.as_deref().map_or(Ok(()), |body| check_body("Issue", body))?;
        let mut sent = world.reword(key, wanted.title.as_deref(), wanted.body.as_deref(), &by);
        match wanted.state.as_deref() {
            Some("closed") => sent.extend(world.close(key, &by)),
            Some("open") => sent.extend(world.reopen(key, &by)),
            Some(_) => return Err(Refuse::validation("Issue", "invalid", Some("state"), None)),
            None => {}
        }
        (world.issues.get(&key).map(|issue| world.issue_json(issue)).unwrap_or_default(), sent)
    };
    shared.announce(sent);
    Ok(Json(json))
}

//! Opening a pull request over HTTP.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;

use super::super::auth::{Actor, Level};
use super::super::git::read::{Asked, Given, not_archived};
use super::super::issues::{check_body, check_title};
use super::super::refuse::Refuse;
use super::super::world::{Repository, World};
use super::Course;
use crate::settings::Permission;

#[derive(Deserialize)]
pub(in super::super) struct NewPull {
    title: Option<String>,
    body: Option<String>,
    head: Option<String>,
    head_repo: Option<String>,
    base: Option<String>,
    draft: Option<bool>,
    maintainer_can_modify: Option<bool>,
}

pub(in super::super) async fn create(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
    Given(wanted): Given<NewPull>,
) -> Result<Response, Refuse> {
    let (json, sent) = {
        let mut world = shared.lock();
        let repository = world.named(&owner, &repo)?;
        actor.may(&world, repository, &[("pull_requests", Level::Write)])?;
        not_archived(repository)?;
        let title = wanted.title.clone().unwrap_or_default();
        check_title("PullRequest", &title)?;
        check_body("PullRequest", wanted.body.as_deref().unwrap_or_default())?;
        let course = world.course(repository, &wanted)?;
        world.check_collaboration(&actor, repository, &course, wanted.maintainer_can_modify)?;
        let fork = course.head_repository != repository.id;
        let (by, name) = (actor.login(&world)?, repository.full_name.clone());
        let body = wanted.body.unwrap_or_default();
        let issue = world.open(&name, &by, &title, &body, true).map_err(|_| Refuse::not_found())?;
        let key = world.key(&issue).ok_or_else(Refuse::not_found)?;
        let modifiable = fork && wanted.maintainer_can_modify.unwrap_or(true);
        world.add_pull(key, course, wanted.draft.unwrap_or(false), modifiable);
        let sent: Vec<u64> = world.pull_event("opened", key, &by, json!({})).into_iter().collect();
        (world.pull_json(key), sent)
    };
    shared.announce(sent);
    let location = json["url"].as_str().unwrap_or_default().to_owned();
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(json)).into_response())
}

impl World {
    fn course(&self, repository: &Repository, wanted: &NewPull) -> Result<Course, Refuse> {
        let invalid = |field: &str| Refuse::validation("PullRequest", "invalid", Some(field), None);
        let (head, base) = (wanted.head.as_deref().unwrap_or_default(), wanted.base.as_deref().unwrap_or_default());
        let head = match (&wanted.head_repo, head.split_once(':')) {
            (Some(name), None) => format!("{}:{name}:{head}", repository.owner()),
            (_, _) => head.to_owned(),
        };
        let base_sha = repository.git.branch(base).cloned().ok_or_else(|| invalid("base"))?;
        let (head_repository, head_branch) = self.side(repository, &head).ok_or_else(|| invalid("head"))?;
        let head_sha = head_repository.git.branch(&head_branch).cloned().ok_or_else(|| invalid("head"))?;
        let course =
            Course { head_repository: head_repository.id, head_branch, head_sha, base_branch: base.to_owned(), base_sha };
        self.check_course(repository, head_repository, &course)
            .map_err(|message| Refuse::validation("PullRequest", "custom", None, Some(&message)))?;
        Ok(course)
    }

    /// Why GitHub takes no pull request from there to there.
    pub(in super::super) fn check_course(&self, base: &Repository, head: &Repository, course: &Course) -> Result<(), String> {
        let label = format!("{}:{}", head.owner(), course.head_branch);
        let same = |key: &super::super::world::Key| {
            let pull = self.pulls.get(key);
            key.0 == base.id
                && pull.is_some_and(|pull| {
                    pull.head_repository == head.id
                        && pull.head_branch == course.head_branch
                        && pull.base_branch == course.base_branch
                })
        };
        if self.open_pulls().any(|key| same(&key)) {
            return Err(format!("A pull request already exists for {label}."));
        }
        let store = &base.git.store;
        if store.merge_base(&course.base_sha, &course.head_sha).is_none() {
            return Err(format!("The {} branch has no history in common with {}", course.head_branch, course.base_branch));
        }
        if store.is_before(&course.head_sha, &course.base_sha) {
            let head = if head.id == base.id { course.head_branch.clone() } else { label };
            return Err(format!("No commits between {} and {head}", course.base_branch));
        }
        Ok(())
    }

    /// Only who may write to a fork can let maintainers of the base write to it, which is what GitHub assumes unless told.
    fn check_collaboration(
        &self,
        actor: &Actor,
        base: &Repository,
        course: &Course,
        maintainer_can_modify: Option<bool>,
    ) -> Result<(), Refuse> {
        let Some(head) = self.repositories.get(&course.head_repository).filter(|head| head.id != base.id) else { return Ok(()) };
        let seen = actor.may(self, head, &[("contents", Level::Read)]);
        seen.map_err(|_| Refuse::validation("PullRequest", "invalid", Some("head"), None))?;
        let owns = match actor {
            Actor::User(login) => self.permission(head, login) >= Permission::Write,
            Actor::App | Actor::Nobody | Actor::Installation(_) => actor.may(self, head, &[("contents", Level::Write)]).is_ok(),
        };
        if maintainer_can_modify.unwrap_or(true) && !owns {
            let message = "Fork collab can't be granted by someone without permission";
            return Err(Refuse::validation("PullRequest", "fork_collab", Some("fork_collab"), Some(message)));
        }
        Ok(())
    }
}

//! Reactions on review comments, and taking reactions back anywhere. Reviews have none in REST.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde::Deserialize;

use super::super::api::Paging;
use super::super::auth::{Actor, Level};
use super::super::conversation::{react, reactions};
use super::super::refuse::Refuse;
use super::super::world::{Target, World};
use super::{Asked, Part, Pull};

#[derive(Deserialize)]
pub(super) struct Content {
    content: String,
}

pub(super) async fn list(
    (State(shared), Extension(actor)): Asked,
    pull: Pull,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let comment = world.remark(&actor, &pull, Level::Read)?;
    Ok(reactions(&shared, &world, comment.pull, Some(comment.id), paging))
}

pub(super) async fn create(
    (State(shared), Extension(actor)): Asked,
    pull: Pull,
    Json(Content { content }): Json<Content>,
) -> Result<Response, Refuse> {
    let mut world = shared.lock();
    let comment = world.remark(&actor, &pull, Level::Write)?;
    react(&mut world, &actor, comment.pull, Some(comment.id), &content)
}

pub(super) async fn remove_from_remark((State(shared), Extension(actor)): Asked, part: Part) -> Result<StatusCode, Refuse> {
    let mut world = shared.lock();
    let (owner, repo, id, reaction) = &*part;
    let comment = world.remark(&actor, &Path((owner.clone(), repo.clone(), *id)), Level::Write)?;
    world.take_back(&actor, (comment.pull, Some(comment.id)), *reaction)
}

pub(super) async fn remove_from_comment((State(shared), Extension(actor)): Asked, part: Part) -> Result<StatusCode, Refuse> {
    let mut world = shared.lock();
    let (owner, repo, id, reaction) = &*part;
    let comment = world.commented(&actor, &Path((owner.clone(), repo.clone(), *id)), Level::Write)?;
    world.take_back(&actor, (comment.issue, Some(comment.id)), *reaction)
}

pub(super) async fn remove_from_issue((State(shared), Extension(actor)): Asked, part: Part) -> Result<StatusCode, Refuse> {
    let mut world = shared.lock();
    let (owner, repo, number, reaction) = &*part;
    let key = world.conversation(&actor, &Path((owner.clone(), repo.clone(), *number)), Level::Write)?;
    world.take_back(&actor, (key, None), *reaction)
}

impl World {
    /// Removes a reaction of the actor's own.
    fn take_back(&mut self, actor: &Actor, target: Target, reaction: i64) -> Result<StatusCode, Refuse> {
        let me = actor.login(self)?;
        let on_it = self.reactions.entry(target).or_default();
        let at = on_it.iter().position(|one| one.id == reaction).ok_or_else(Refuse::not_found)?;
        if on_it[at].user != me {
            return Err(Refuse::not_accessible(""));
        }
        on_it.remove(at);
        Ok(StatusCode::NO_CONTENT)
    }
}

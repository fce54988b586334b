//! Issues, comments and reactions.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::Shared;
use super::api::Paging;
use super::auth::{Actor, Level};
use super::refuse::Refuse;
use super::world::{Comment, Issue, Key, Reaction, Version, World};

pub(super) const REACTIONS: [&str; 8] = ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];
const LONGEST_TEXT: usize = 65_536;

type Place = Path<(String, String, i64)>;

#[derive(Deserialize)]
pub(super) struct Text {
    body: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Content {
    content: String,
}

#[derive(Deserialize)]
pub(super) struct Since {
    since: Option<DateTime<Utc>>,
}

impl World {
    /// The issue, when the actor may read or write its conversation.
    pub(super) fn conversation(&self, actor: &Actor, Path((owner, repo, number)): &Place, level: Level) -> Result<Key, Refuse> {
        let repository = self.repository(&format!("{owner}/{repo}")).ok_or_else(Refuse::not_found)?;
        let key = (repository.id, *number);
        let on_pull_request = self.issues.get(&key).is_some_and(|issue| issue.is_pull_request);
        let accepted = [("issues", level), ("pull_requests", level)];
        actor.may(self, repository, if on_pull_request { &accepted } else { &accepted[..1] })?;
        if level == Level::Write {
            super::git::read::not_archived(repository)?;
        }
        self.issues.contains_key(&key).then_some(key).ok_or_else(Refuse::not_found)
    }

    /// The comment, when the actor may read or write its conversation.
    pub(super) fn commented(&self, actor: &Actor, Path((owner, repo, id)): &Place, level: Level) -> Result<Comment, Refuse> {
        let comment = self.comments.get(id).cloned();
        let number = comment.as_ref().map_or(0, |comment| comment.issue.1);
        let key = self.conversation(actor, &Path((owner.clone(), repo.clone(), number)), level)?;
        comment.filter(|comment| comment.issue == key).ok_or_else(Refuse::not_found)
    }

    pub(super) fn add_comment(&mut self, issue: Key, author: &str, body: &str) -> i64 {
        let (id, now) = (self.id(), self.now());
        let versions = vec![Version { body: body.to_owned(), at: now, by: author.to_owned() }];
        let is_ours = author == self.our_login();
        let comment = Comment { id, issue, author: author.to_owned(), is_ours, versions, created_at: now, updated_at: now };
        self.comments.insert(id, comment);
        self.conversations.entry(issue).or_default().push(id);
        self.touch(issue);
        id
    }

    pub(super) fn edit(&mut self, comment: i64, by: &str, body: &str) -> Option<Comment> {
        let now = self.now();
        let comment = self.comments.get_mut(&comment)?;
        comment.versions.push(Version { body: body.to_owned(), at: now, by: by.to_owned() });
        comment.updated_at = now;
        Some(comment.clone())
    }

    pub(super) fn touch(&mut self, issue: Key) {
        let now = self.now();
        if let Some(issue) = self.issues.get_mut(&issue) {
            issue.updated_at = now;
        }
    }

    pub(super) fn react(&mut self, user: &str, issue: Key, comment: Option<i64>, content: &str) -> (Reaction, StatusCode) {
        let same = |r: &&Reaction| r.user == user && r.content == content;
        if let Some(reaction) = self.reactions.get(&(issue, comment)).and_then(|all| all.iter().find(same)) {
            return (reaction.clone(), StatusCode::OK);
        }
        let (id, created_at) = (self.id(), self.now());
        let reaction = Reaction { id, user: user.to_owned(), content: content.to_owned(), created_at };
        self.reactions.entry((issue, comment)).or_default().push(reaction.clone());
        (reaction, StatusCode::CREATED)
    }

    fn found(&self, key: Key) -> Result<&Issue, Refuse> {
        self.issues.get(&key).ok_or_else(Refuse::not_found)
    }
}

fn checked(text: Text) -> Result<String, Refuse> {
    let body = text.body.unwrap_or_default();
    if body.trim().is_empty() {
        return Err(Refuse::field("IssueComment", "body", "body can't be blank"));
    }
    if body.chars().count() > LONGEST_TEXT {
        return Err(Refuse::field("IssueComment", "data", "Body is too long (maximum is 65536 characters)"));
    }
    Ok(body)
}

pub(super) async fn issue(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    place: Place,
) -> Result<Json<Value>, Refuse> {
    let world = shared.lock();
    let key = world.conversation(&actor, &place, Level::Read)?;
    Ok(Json(world.issue_json(world.found(key)?)))
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    place: Place,
    Query(paging): Query<Paging>,
    Query(Since { since }): Query<Since>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let key = world.conversation(&actor, &place, Level::Read)?;
    let recent = world.said(key).filter(|comment| since.is_none_or(|since| comment.updated_at >= since));
    let all: Vec<Value> = recent.map(|comment| world.comment_json(comment)).collect();
    // GitHub's links name repositories by number.
    let url = format!("{}/repositories/{}/issues/{}/comments", shared.api(), key.0, key.1);
    let url = since.map_or_else(|| url.clone(), |since| format!("{url}?since={}", super::shape::time(since)));
    Ok(paging.answer(all, &url))
}

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    place: Place,
    Json(text): Json<Text>,
) -> Result<Response, Refuse> {
    let (json, delivery) = {
        let mut world = shared.lock();
        let key = world.conversation(&actor, &place, Level::Write)?;
        let body = checked(text)?;
        let by = actor.login(&world)?;
        let id = world.add_comment(key, &by, &body);
        let json = world.comments.get(&id).map(|comment| world.comment_json(comment)).unwrap_or_default();
        (json, shared.echo.then(|| world.comment_event("created", id, &by, None)).flatten())
    };
    shared.send_later(delivery);
    let location = json["url"].as_str().unwrap_or_default().to_owned();
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(json)).into_response())
}

pub(super) async fn comment(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    place: Place,
) -> Result<Json<Value>, Refuse> {
    let world = shared.lock();
    Ok(Json(world.comment_json(&world.commented(&actor, &place, Level::Read)?)))
}

/// Stricter than GitHub, where who may write may edit what others wrote: the service has no business there.
fn own(world: &World, actor: &Actor, place: &Place) -> Result<(Comment, String), Refuse> {
    let comment = world.commented(actor, place, Level::Write)?;
    let by = actor.login(world)?;
    if comment.author == by { Ok((comment, by)) } else { Err(Refuse::not_accessible("")) }
}

pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    place: Place,
    Json(text): Json<Text>,
) -> Result<Json<Value>, Refuse> {
    let (json, delivery) = {
        let mut world = shared.lock();
        let (before, by) = own(&world, &actor, &place)?;
        let body = checked(text)?;
        let after = world.edit(before.id, &by, &body).ok_or_else(Refuse::not_found)?;
        let json = world.comment_json(&after);
        (json, shared.echo.then(|| world.comment_event("edited", before.id, &by, Some(before.body()))).flatten())
    };
    shared.send_later(delivery);
    Ok(Json(json))
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    place: Place,
) -> Result<StatusCode, Refuse> {
    let mut world = shared.lock();
    let (comment, _) = own(&world, &actor, &place)?;
    world.forget_comment(comment.id);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn reactions(shared: &Shared, world: &World, issue: Key, comment: Option<i64>, paging: Paging) -> Response {
    let on_it = world.reactions.get(&(issue, comment)).into_iter().flatten();
    let what = comment.map_or_else(|| issue.1.to_string(), |id| format!("comments/{id}"));
    let url = format!("{}/repositories/{}/issues/{what}/reactions", shared.api(), issue.0);
    paging.answer(on_it.map(|reaction| world.reaction_json(reaction)).collect(), &url)
}

pub(super) fn react(
    world: &mut World,
    actor: &Actor,
    issue: Key,
    comment: Option<i64>,
    content: &str,
) -> Result<Response, Refuse> {
    if !REACTIONS.contains(&content) {
        return Err(Refuse::field("Reaction", "content", "content is not a reaction"));
    }
    let by = actor.login(world)?;
    let (reaction, status) = world.react(&by, issue, comment, content);
    Ok((status, Json(world.reaction_json(&reaction))).into_response())
}

pub(super) async fn issue_reactions(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    place: Place,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let key = world.conversation(&actor, &place, Level::Read)?;
    Ok(reactions(&shared, &world, key, None, paging))
}

pub(super) async fn comment_reactions(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    place: Place,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let comment = world.commented(&actor, &place, Level::Read)?;
    Ok(reactions(&shared, &world, comment.issue, Some(comment.id), paging))
}

pub(super) async fn react_to_issue(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    place: Place,
    Json(Content { content }): Json<Content>,
) -> Result<Response, Refuse> {
    let mut world = shared.lock();
    let key = world.conversation(&actor, &place, Level::Write)?;
    react(&mut world, &actor, key, None, &content)
}

pub(super) async fn react_to_comment(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    place: Place,
    Json(Content { content }): Json<Content>,
) -> Result<Response, Refuse> {
    let mut world = shared.lock();
    let comment = world.commented(&actor, &place, Level::Write)?;
    react(&mut world, &actor, comment.issue, Some(comment.id), &content)
}

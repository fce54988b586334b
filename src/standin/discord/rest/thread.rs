//! Threads and posts, and who is in them.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::super::body::{Ids, Said};
use super::super::draft::{Draft, Flags};
use super::super::error::{Code, Problems, Refuse};
use super::super::model::{Channel, ChannelKind, Id};
use super::super::permission::Permissions;
use super::super::shape::thread_member;
use super::super::thread::NewThread;
use super::super::world::World;
use super::{Answer, Asked, Done};

type Made = Result<(StatusCode, Json<Value>), Refuse>;

pub(super) async fn from_message(State(shared): Asked, Ids((channel, message)): Ids<(Id, Id)>, said: Said) -> Made {
    let new = NewThread::read(said.object()?, ChannelKind::PublicThread)?;
    let mut world = shared.lock();
    let us = world.us();
    let thread = world.open_thread(channel, message, us, new)?;
    Ok((StatusCode::CREATED, Json(world.channel_json(&world.channels[&thread]))))
}

/// A thread without a message, or a post with one, as the channel has it.
pub(super) async fn create(State(shared): Asked, Ids(channel): Ids<Id>, said: Said) -> Made {
    let body = said.object()?;
    let mut world = shared.lock();
    let us = world.us();
    let (place, _) = world.seen(channel, us)?;
    let thread = if place.kind == ChannelKind::Forum {
        let new = NewThread::read(body, ChannelKind::PublicThread)?;
        if !body["message"].is_object() {
            let mut problems = Problems::default();
            problems.required("message");
            problems.finish()?;
        }
        let draft = Draft::read(&body["message"], said.files.clone(), Flags::Channel)?;
        world.open_post(channel, us, new, draft)?
    } else {
        // Discord's default here is private.
        world.open_bare_thread(channel, us, NewThread::read(body, bare_kind(body))?)?
    };
    let mut json = world.channel_json(&world.channels[&thread]);
    if let Ok(message) = world.public_message(thread, thread) {
        json["message"] = world.message_json(message, world.content());
    }
    Ok((StatusCode::CREATED, Json(json)))
}

fn bare_kind(body: &Value) -> ChannelKind {
    if body["type"].is_null() { ChannelKind::PrivateThread } else { ChannelKind::PublicThread }
}

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    before: Option<DateTime<Utc>>,
    limit: Option<usize>,
}

pub(super) async fn archived_public(State(shared): Asked, Ids(channel): Ids<Id>, Query(page): Query<Page>) -> Answer {
    let world = shared.lock();
    world.allowed(channel, world.us(), Permissions::READ_MESSAGE_HISTORY)?;
    Ok(Json(world.archived(channel, ChannelKind::PublicThread, &page)))
}

pub(super) async fn archived_private(State(shared): Asked, Ids(channel): Ids<Id>, Query(page): Query<Page>) -> Answer {
    let world = shared.lock();
    world.allowed(channel, world.us(), Permissions::READ_MESSAGE_HISTORY | Permissions::MANAGE_THREADS)?;
    Ok(Json(world.archived(channel, ChannelKind::PrivateThread, &page)))
}

impl World {
    /// Archived threads of a channel, those archived last first.
    fn archived(&self, parent: Id, kind: ChannelKind, page: &Page) -> Value {
        let when = |channel: &Channel| channel.thread.as_ref().map(|thread| thread.archive_changed);
        let archived = |channel: &&Channel| channel.thread.as_ref().is_some_and(|thread| thread.archived);
        let mut all: Vec<&Channel> = self.threads(parent).filter(archived).filter(|one| one.kind == kind).collect();
        all.retain(|channel| page.before.is_none_or(|before| when(channel).is_some_and(|at| at < before)));
        all.sort_by_key(|channel| std::cmp::Reverse(when(channel)));
        let limit = page.limit.unwrap_or(50).clamp(1, 100);
        let mut list = self.thread_list(all.iter().take(limit).copied());
        list["has_more"] = (all.len() > limit).into();
        list
    }

    fn whom(&self, said: &str) -> Result<Id, Refuse> {
        match said {
            "@me" => Ok(self.us()),
            number => number.parse().map_err(|_| Code::UNKNOWN_USER.into()),
        }
    }
}

pub(super) async fn join(State(shared): Asked, Ids((thread, user)): Ids<(Id, String)>) -> Done {
    let mut world = shared.lock();
    let (us, who) = (world.us(), world.whom(&user)?);
    world.join_thread(thread, who, us)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn leave(State(shared): Asked, Ids((thread, user)): Ids<(Id, String)>) -> Done {
    let mut world = shared.lock();
    let (us, who) = (world.us(), world.whom(&user)?);
    world.leave_thread(thread, who, us)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn members(State(shared): Asked, Ids(id): Ids<Id>) -> Answer {
    let world = shared.lock();
    let (place, _) = world.seen(id, world.us())?;
    let Some(thread) = &place.thread else { return Err(Code::WRONG_CHANNEL.into()) };
    Ok(Json(thread.members.iter().map(|(who, joined)| thread_member(id, *who, *joined)).collect()))
}

pub(super) async fn member(State(shared): Asked, Ids((id, user)): Ids<(Id, String)>) -> Answer {
    let world = shared.lock();
    let who = world.whom(&user)?;
    let (place, _) = world.seen(id, world.us())?;
    let joined = place.thread.as_ref().and_then(|thread| thread.members.get(&who));
    Ok(Json(thread_member(id, who, *joined.ok_or(Code::UNKNOWN_MEMBER)?)))
}

//! Messages of a channel.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::super::body::{Ids, Said};
use super::super::draft::{Change, Draft, Flags};
use super::super::error::{Code, Refuse};
use super::super::mention::id_of;
use super::super::model::{Id, Message};
use super::super::permission::Permissions;
use super::super::world::World;
use super::{Answer, Asked, Done};

/// Which messages of a channel.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Around {
    before: Option<Id>,
    after: Option<Id>,
    around: Option<Id>,
    limit: Option<usize>,
}

/// Newest first, up to a hundred. Whoever may not read history gets none.
pub(super) async fn list(State(shared): Asked, Ids(channel): Ids<Id>, query: Query<Around>) -> Answer {
    let world = shared.lock();
    let (place, may) = world.seen(channel, world.us())?;
    if !place.kind.holds_messages() {
        return Err(Code::NOT_A_TEXT_CHANNEL.into());
    }
    let limit = query.limit.unwrap_or(50);
    if !(1..=100).contains(&limit) {
        return Err(Refuse::form("limit", "NUMBER_TYPE_MAX", "int value should be less than or equal to 100."));
    }
    if !may.has(Permissions::READ_MESSAGE_HISTORY) {
        return Ok(Json(serde_json::json!([])));
    }
    let all: Vec<&Message> = world.messages(channel).filter(|message| message.only_for.is_none()).collect();
    let chosen = choose(&all, &query, limit);
    Ok(Json(chosen.into_iter().map(|message| world.message_json(message, world.content())).collect()))
}

fn choose<'a>(all: &[&'a Message], query: &Around, limit: usize) -> Vec<&'a Message> {
    let until = |id: Id| all.partition_point(|message| message.id < id);
    let range = match (query.around, query.after, query.before) {
        (Some(id), _, _) => until(id).saturating_sub(limit / 2)..(until(id) + limit.div_ceil(2)).min(all.len()),
        (None, Some(id), _) => {
            let first = until(id.saturating_add(1));
            first..(first + limit).min(all.len())
        }
        (None, None, before) => {
            let end = before.map_or(all.len(), until);
            end.saturating_sub(limit)..end
        }
    };
    all[range].iter().rev().copied().collect()
}

pub(super) async fn get(State(shared): Asked, Ids((channel, message)): Ids<(Id, Id)>) -> Answer {
    let world = shared.lock();
    let (_, may) = world.seen(channel, world.us())?;
    if !may.has(Permissions::READ_MESSAGE_HISTORY) {
        return Err(Code::MISSING_PERMISSIONS.into());
    }
    Ok(Json(world.message_json(world.public_message(channel, message)?, world.content())))
}

impl World {
    fn shown(&self, channel: Id, message: Id) -> Answer {
        Ok(Json(self.message_json(self.public_message(channel, message)?, self.content())))
    }
}

pub(super) async fn create(State(shared): Asked, Ids(channel): Ids<Id>, said: Said) -> Answer {
    let mut world = shared.lock();
    let us = world.us();
    // Whoever may not look hears that first, not what is wrong with the message.
    world.seen(channel, us)?;
    let draft = Draft::read(said.object()?, said.files.clone(), Flags::Channel)?;
    let message = world.post(channel, us, draft)?;
    world.shown(channel, message)
}

pub(super) async fn edit(State(shared): Asked, Ids((channel, message)): Ids<(Id, Id)>, said: Said) -> Answer {
    let mut world = shared.lock();
    let us = world.us();
    world.seen(channel, us)?;
    let change = Change::read(said.object()?, said.files.clone())?;
    world.change(channel, message, us, change)?;
    world.shown(channel, message)
}

pub(super) async fn delete(State(shared): Asked, Ids((channel, message)): Ids<(Id, Id)>) -> Done {
    let mut world = shared.lock();
    let us = world.us();
    world.remove(channel, message, us)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn bulk_delete(State(shared): Asked, Ids(channel): Ids<Id>, said: Said) -> Done {
    let body = said.object()?;
    let ids: Vec<Id> = body["messages"].as_array().into_iter().flatten().filter_map(id_of).collect();
    let mut world = shared.lock();
    let us = world.us();
    world.remove_many(channel, &ids, us)?;
    Ok(StatusCode::NO_CONTENT)
}

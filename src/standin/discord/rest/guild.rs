//! A guild, its channels, members, roles and open threads.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::body::Ids;
use super::super::error::Code;
use super::super::model::{Channel, Id};
use super::super::permission::Permissions;
use super::super::shape;
use super::super::world::World;
use super::{Answer, Asked};

pub(super) async fn one(State(shared): Asked, Ids(guild): Ids<Id>) -> Answer {
    let world = shared.lock();
    Ok(Json(world.guild_json(world.our_guild(guild)?)))
}

/// Discord shows a bot all channels of a guild, also those it cannot look into.
pub(super) async fn channels(State(shared): Asked, Ids(guild): Ids<Id>) -> Answer {
    let world = shared.lock();
    world.our_guild(guild)?;
    let all = world.channels.values().filter(|channel| channel.guild == Some(guild) && channel.thread.is_none());
    Ok(Json(all.map(|channel| world.channel_json(channel)).collect()))
}

pub(super) async fn member(State(shared): Asked, Ids((guild, user)): Ids<(Id, Id)>) -> Answer {
    let world = shared.lock();
    let guild = world.our_guild(guild)?;
    if world.user(user).is_none() {
        return Err(Code::UNKNOWN_USER.into());
    }
    Ok(Json(world.member_json(guild, user).ok_or(Code::UNKNOWN_MEMBER)?))
}

pub(super) async fn roles(State(shared): Asked, Ids(guild): Ids<Id>) -> Answer {
    let world = shared.lock();
    Ok(Json(shape::roles(world.our_guild(guild)?).into()))
}

pub(super) async fn active_threads(State(shared): Asked, Ids(guild): Ids<Id>) -> Answer {
    let world = shared.lock();
    world.our_guild(guild)?;
    let us = world.us();
    let open = world.channels.values().rev().filter(|channel| {
        let active = channel.thread.as_ref().is_some_and(|thread| !thread.archived);
        channel.guild == Some(guild) && active && world.permissions_in(channel, us).has(Permissions::VIEW_CHANNEL)
    });
    let mut list = world.thread_list(open);
    list["has_more"] = false.into();
    Ok(Json(list))
}

impl World {
    /// Threads, with our membership beside those we are in.
    pub(super) fn thread_list<'a>(&self, threads: impl Iterator<Item = &'a Channel>) -> Value {
        let us = self.us();
        let (mut shown, mut members) = (Vec::new(), Vec::new());
        for channel in threads {
            let joined = channel.thread.as_ref().and_then(|thread| thread.members.get(&us));
            members.extend(joined.map(|joined| shape::thread_member(channel.id, us, *joined)));
            shown.push(self.channel_json(channel));
        }
        json!({"threads": shown, "members": members})
    }
}

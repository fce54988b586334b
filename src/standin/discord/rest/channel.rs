//! A channel or thread by itself.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::super::body::{Ids, Said};
use super::super::error::Code;
use super::super::model::Id;
use super::super::permission::Permissions;
use super::super::thread::Renovation;
use super::{Answer, Asked, Done};

pub(super) async fn get(State(shared): Asked, Ids(channel): Ids<Id>) -> Answer {
    let world = shared.lock();
    let (channel, _) = world.seen(channel, world.us())?;
    Ok(Json(world.channel_json(channel)))
}

pub(super) async fn edit(State(shared): Asked, Ids(channel): Ids<Id>, said: Said) -> Answer {
    let to = Renovation::read(said.object()?)?;
    let mut world = shared.lock();
    let us = world.us();
    world.renovate(channel, us, to)?;
    let (channel, _) = world.seen(channel, us)?;
    Ok(Json(world.channel_json(channel)))
}

pub(super) async fn delete(State(shared): Asked, Ids(channel): Ids<Id>) -> Answer {
    let mut world = shared.lock();
    let us = world.us();
    let gone = world.seen(channel, us)?.0.clone();
    if gone.guild.is_some() {
        world.drop_channel(channel, us)?;
    }
    Ok(Json(world.channel_json(&gone)))
}

pub(super) async fn typing(State(shared): Asked, Ids(channel): Ids<Id>) -> Done {
    let mut world = shared.lock();
    let us = world.us();
    let (place, may) = world.seen(channel, us)?;
    if !place.kind.holds_messages() {
        return Err(Code::NOT_A_TEXT_CHANNEL.into());
    }
    let voice = if place.thread.is_some() { Permissions::SEND_MESSAGES_IN_THREADS } else { Permissions::SEND_MESSAGES };
    if !may.has(voice) {
        return Err(Code::MISSING_PERMISSIONS.into());
    }
    world.note_typing(channel, us);
    Ok(StatusCode::NO_CONTENT)
}

//! Application commands, of everywhere and of one guild.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::super::body::{Ids, Said};
use super::super::error::{Code, Refuse};
use super::super::model::Id;
use super::super::world::World;
use super::{Answer, Asked, Done};

/// What a path names.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Which {
    application: Id,
    guild: Option<Id>,
    command: Option<Id>,
}

impl Which {
    fn guild(self, world: &World) -> Result<Option<Id>, Refuse> {
        if self.application != world.app.id {
            return Err(Code::NOT_OUR_APPLICATION.into());
        }
        if let Some(guild) = self.guild {
            world.our_guild(guild)?;
        }
        Ok(self.guild)
    }
}

pub(super) async fn list(State(shared): Asked, Ids(which): Ids<Which>) -> Answer {
    let world = shared.lock();
    Ok(Json(world.commands(which.guild(&world)?).into()))
}

pub(super) async fn overwrite(State(shared): Asked, Ids(which): Ids<Which>, said: Said) -> Answer {
    let mut world = shared.lock();
    let guild = which.guild(&world)?;
    let Some(all) = said.json.as_array() else { return Err(Code::BAD_JSON.into()) };
    Ok(Json(world.overwrite_commands(guild, all)?.into()))
}

pub(super) async fn create(
    State(shared): Asked,
    Ids(which): Ids<Which>,
    said: Said,
) -> Result<(StatusCode, Json<Value>), Refuse> {
    let mut world = shared.lock();
    let guild = which.guild(&world)?;
    let (command, new) = world.make_command(guild, said.object()?)?;
    Ok((if new { StatusCode::CREATED } else { StatusCode::OK }, Json(command)))
}

pub(super) async fn one(State(shared): Asked, Ids(which): Ids<Which>) -> Answer {
    let world = shared.lock();
    let guild = which.guild(&world)?;
    Ok(Json(world.one_command(guild, which.command.unwrap_or_default())?.clone()))
}

pub(super) async fn edit(State(shared): Asked, Ids(which): Ids<Which>, said: Said) -> Answer {
    let mut world = shared.lock();
    let guild = which.guild(&world)?;
    Ok(Json(world.change_command(guild, which.command.unwrap_or_default(), said.object()?)?))
}

pub(super) async fn delete(State(shared): Asked, Ids(which): Ids<Which>) -> Done {
    let mut world = shared.lock();
    let guild = which.guild(&world)?;
    let taken = world.take_command(guild, which.command.unwrap_or_default());
    if taken { Ok(StatusCode::NO_CONTENT) } else { Err(Code::UNKNOWN_COMMAND.into()) }
}

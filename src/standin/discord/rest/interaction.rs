//! Answers to interactions: the first, and those that follow.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::body::{Ids, Said};
use super::super::draft::Change;
use super::super::error::Refuse;
use super::super::interaction::{Answered, InteractionKind};
use super::super::model::Id;
use super::super::shape::Content;
use super::super::world::World;
use super::{Answer, Asked, Done};

#[derive(Debug, Deserialize)]
pub(super) struct Wishes {
    with_response: Option<bool>,
}

pub(super) async fn callback(
    State(shared): Asked,
    Ids((id, token)): Ids<(Id, String)>,
    Query(wishes): Query<Wishes>,
    said: Said,
) -> Result<Response, Refuse> {
    let mut world = shared.lock();
    let original = world.answer(id, &token, &said)?;
    if wishes.with_response != Some(true) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Json(world.callback_json(id, original)).into_response())
}

impl World {
    fn callback_json(&self, id: Id, original: Option<Id>) -> Value {
        let Some((known, answered)) = self.interactions.get(&id).and_then(|one| Some((one, &one.answered.as_ref()?.0))) else {
            return Value::Null;
        };
        let number = match known.kind {
            InteractionKind::Command => 2,
            InteractionKind::Component => 3,
            InteractionKind::Autocomplete => 4,
            InteractionKind::Modal => 5,
        };
        let (kind, loading, ephemeral) = match answered {
            Answered::Message { ephemeral } => (4, false, *ephemeral),
            Answered::Deferred { ephemeral } => (5, true, *ephemeral),
            Answered::DeferredUpdate => (6, false, false),
            Answered::Update => (7, false, false),
            Answered::Choices(_) => (8, false, false),
            Answered::Modal(_) => (9, false, false),
        };
        let mut json = json!({"interaction": {"id": id.to_string(), "type": number}});
        let message = original.and_then(|id| self.messages.get(&known.channel)?.get(&id));
        if let Some(message) = message.filter(|_| matches!(kind, 4 | 5 | 7)) {
            json["interaction"]["response_message_id"] = message.id.to_string().into();
            json["interaction"]["response_message_loading"] = loading.into();
            json["interaction"]["response_message_ephemeral"] = ephemeral.into();
            json["resource"] = json!({"type": kind, "message": self.message_json(message, Content::Shown)});
        }
        json
    }

    fn any_message(&self, channel: Id, id: Id) -> Answer {
        let message = self.messages.get(&channel).and_then(|all| all.get(&id)).ok_or(super::Code::UNKNOWN_MESSAGE)?;
        Ok(Json(self.message_json(message, Content::Shown)))
    }
}

/// Discord gives the message of a follow-up whether or not it is asked to wait.
pub(super) async fn follow_up(State(shared): Asked, Ids((application, token)): Ids<(Id, String)>, said: Said) -> Answer {
    let mut world = shared.lock();
    let message = world.follow_up(application, &token, &said)?;
    let channel = world.by_token(application, &token)?.channel;
    world.any_message(channel, message)
}

type Which = Ids<(Id, String, String)>;

pub(super) async fn get(State(shared): Asked, Ids((application, token, which)): Which) -> Answer {
    let world = shared.lock();
    let (channel, message) = world.token_message(application, &token, &which)?;
    world.any_message(channel, message)
}

pub(super) async fn edit(State(shared): Asked, Ids((application, token, which)): Which, said: Said) -> Answer {
    let mut world = shared.lock();
    let (channel, message) = world.token_message(application, &token, &which)?;
    let change = Change::read(said.object()?, said.files.clone())?;
    world.rewrite(channel, message, change)?;
    world.any_message(channel, message)
}

pub(super) async fn delete(State(shared): Asked, Ids((application, token, which)): Which) -> Done {
    let mut world = shared.lock();
    let (channel, message) = world.token_message(application, &token, &which)?;
    world.take_away(channel, message);
    Ok(StatusCode::NO_CONTENT)
}

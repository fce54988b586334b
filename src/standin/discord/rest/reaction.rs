//! Reactions of a message.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::super::body::Ids;
use super::super::error::{Code, Refuse};
use super::super::model::Id;
use super::super::permission::Permissions;
use super::{Answer, Asked, Done};

type Which = Ids<(Id, Id, String, String)>;

pub(super) async fn add(State(shared): Asked, Ids((channel, message, emoji, user)): Which) -> Done {
    if user != "@me" {
        return Err(Code::METHOD_NOT_ALLOWED.into());
    }
    let mut world = shared.lock();
    let us = world.us();
    world.react(channel, message, us, &emoji)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(State(shared): Asked, Ids((channel, message, emoji, user)): Which) -> Done {
    let mut world = shared.lock();
    let us = world.us();
    let whose = match user.as_str() {
        "@me" => us,
        number => number.parse().map_err(|_| Refuse::from(Code::UNKNOWN_USER))?,
    };
    world.unreact(channel, message, whose, &emoji, us)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    limit: Option<usize>,
    after: Option<Id>,
}

pub(super) async fn list(
    State(shared): Asked,
    Ids((channel, message, emoji)): Ids<(Id, Id, String)>,
    Query(page): Query<Page>,
) -> Answer {
    let world = shared.lock();
    world.allowed(channel, world.us(), Permissions::READ_MESSAGE_HISTORY)?;
    let message = world.public_message(channel, message)?;
    let who = message.reactions.iter().find(|(name, _)| *name == emoji).map_or(&[][..], |(_, who)| who);
    let mut who = who.to_vec();
    who.sort_unstable();
    let after = page.after.unwrap_or(0);
    let some = who.into_iter().filter(|id| *id > after).take(page.limit.unwrap_or(25).clamp(1, 100));
    Ok(Json(some.map(|id| world.user_json(id)).collect()))
}

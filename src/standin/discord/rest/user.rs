//! The bot, its application, where it is, and the address of the gateway.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::super::body::{Ids, Said, required_id};
use super::super::error::{Code, Refuse};
use super::super::gateway::intents;
use super::super::model::Id;
use super::super::shape::bits;
use super::super::world::World;
use super::{Answer, Asked, Done};

pub(super) async fn gateway(State(shared): Asked) -> Answer {
    Ok(Json(json!({"url": shared.named_gateway()})))
}

pub(super) async fn gateway_bot(State(shared): Asked) -> Answer {
    let begun = shared.with(|world| world.gateway.begun());
    let limit = json!({"total": 1000, "remaining": 1000_u64.saturating_sub(begun), "reset_after": 86_400_000,
        "max_concurrency": shared.max_concurrency});
    Ok(Json(json!({"url": shared.named_gateway(), "shards": shared.shards(), "session_start_limit": limit})))
}

pub(super) async fn me(State(shared): Asked) -> Answer {
    let world = shared.lock();
    let mut me = world.user_json(world.us());
    for (name, value) in
        [("mfa_enabled", true.into()), ("locale", "en-US".into()), ("verified", true.into()), ("email", Value::Null)]
    {
        me[name] = value;
    }
    Ok(Json(me))
}

pub(super) async fn one(State(shared): Asked, Ids(user): Ids<Id>) -> Answer {
    let world = shared.lock();
    if world.user(user).is_none() {
        return Err(Code::UNKNOWN_USER.into());
    }
    Ok(Json(world.user_json(user)))
}

pub(super) async fn guilds(State(shared): Asked) -> Answer {
    let world = shared.lock();
    let us = world.us();
    let ours = world.guilds.values().filter(|guild| guild.members.contains_key(&us));
    let shown = ours.map(|guild| {
        json!({"id": guild.id.to_string(), "name": guild.name, "icon": null, "banner": null, "owner": guild.owner == us,
            "permissions": bits(guild.permissions(us)), "features": []})
    });
    Ok(Json(shown.collect()))
}

pub(super) async fn leave(State(shared): Asked, Ids(guild): Ids<Id>) -> Done {
    shared.with(|world| {
        world.our_guild(guild)?;
        world.leave_guild(guild);
        Ok::<_, Refuse>(StatusCode::NO_CONTENT)
    })
}

pub(super) async fn open_direct(State(shared): Asked, said: Said) -> Answer {
    let with = required_id(said.object()?, "recipient_id")?;
    let mut world = shared.lock();
    let known = world.user(with).filter(|user| user.id != world.us());
    if known.is_none_or(|user| user.bot) {
        return Err(Refuse::new(StatusCode::BAD_REQUEST, 50033, "Invalid Recipient(s)"));
    }
    let channel = world.direct_channel(with);
    let channel = &world.channels[&channel];
    Ok(Json(world.channel_json(channel)))
}

pub(super) async fn application(State(shared): Asked) -> Answer {
    let world = shared.lock();
    let flags = world.app_flags();
    let scopes = json!(["bot", "applications.commands"]);
    Ok(Json(json!({"id": world.app.id.to_string(), "name": world.app.name, "icon": null, "description": "", "type": null,
        "summary": "", "bot": world.user_json(world.app.id), "bot_public": true, "bot_require_code_grant": false,
        "verify_key": "0".repeat(64), "flags": flags, "flags_new": flags.to_string(), "redirect_uris": [],
        "interactions_endpoint_url": null, "role_connections_verification_url": null,
        "owner": world.user_json(world.app.owner), "approximate_guild_count": world.guilds.len(),
        "approximate_user_install_count": 0, "approximate_user_authorization_count": 0, "explicit_content_filter": 0,
        "team": null, "eligible_oauth2_scopes": scopes})))
}

impl World {
    /// What the application's settings say about privileged intents; bots of few guilds have the limited ones.
    pub(in super::super) fn app_flags(&self) -> u64 {
        let switched =
            [(intents::GUILD_PRESENCES, 1 << 13), (intents::GUILD_MEMBERS, 1 << 15), (intents::MESSAGE_CONTENT, 1 << 19)];
        let on = switched.iter().filter(|(intent, _)| self.app.privileged & intent != 0);
        // Has commands.
        on.fold(1 << 23, |flags, (_, flag)| flags | flag)
    }
}

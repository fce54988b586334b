//! What clients say on a connection, and how the gateway takes it.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::super::Shared;
use super::super::mention::id_of;
use super::super::world::World;
use super::intents;
use super::session::Session;

/// What a client hears at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Nothing,
    Payload(Value),
    Close(u16, &'static str),
}

/// How a client wants its payloads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    /// Large ones compressed, each by itself.
    pub compress: bool,
}

const UNKNOWN_OPCODE: Reply = Reply::Close(4001, "Unknown opcode.");
const DECODE_ERROR: Reply = Reply::Close(4002, "Error while decoding payload.");
const NOT_AUTHENTICATED: Reply = Reply::Close(4003, "Not authenticated.");
const WRONG_TOKEN: Reply = Reply::Close(4004, "Authentication failed.");
const ALREADY: Reply = Reply::Close(4005, "Already authenticated.");
const INVALID_SEQ: Reply = Reply::Close(4007, "Invalid seq.");
const INVALID_SHARD: Reply = Reply::Close(4010, "Invalid shard.");
const SHARDING_REQUIRED: Reply = Reply::Close(4011, "Sharding required.");
const INVALID_INTENTS: Reply = Reply::Close(4013, "Invalid intent(s).");
const DISALLOWED_INTENTS: Reply = Reply::Close(4014, "Disallowed intent(s).");

fn invalid_session() -> Reply {
    Reply::Payload(json!({"op": 9, "d": false, "s": null, "t": null}))
}

/// Takes what a client says.
pub(super) fn take(shared: &Shared, connection: u64, text: &str, wishes: &mut Wishes) -> Reply {
    let Ok(payload) = serde_json::from_str::<Value>(text) else { return DECODE_ERROR };
    let Some(op) = payload["op"].as_u64() else { return DECODE_ERROR };
    let data = &payload["d"];
    let mut world = shared.lock();
    let known = world.gateway.connections.get(&connection).is_some_and(|connection| connection.session.is_some());
    match op {
        1 if world.gateway.script.mute => Reply::Nothing,
        1 => Reply::Payload(json!({"op": 11, "d": null, "s": null, "t": null})),
        2 if known => ALREADY,
        2 => {
            wishes.compress = data["compress"].as_bool().unwrap_or(false);
            identify(shared, &mut world, connection, data)
        }
        6 if known => ALREADY,
        6 => resume(shared, &mut world, connection, data),
        3 | 4 | 8 | 31 if !known => NOT_AUTHENTICATED,
        3 => {
            world.gateway.presence = Some(data.clone());
            Reply::Nothing
        }
        4 | 31 => Reply::Nothing,
        8 => members(&mut world, connection, data),
        _ => UNKNOWN_OPCODE,
    }
}

fn right_token(shared: &Shared, data: &Value) -> bool {
    let said = data["token"].as_str().unwrap_or_default();
    shared.is_right(said.strip_prefix("Bot ").unwrap_or(said))
}

fn identify(shared: &Shared, world: &mut World, connection: u64, data: &Value) -> Reply {
    if !data.is_object() || !data["properties"].is_object() {
        return DECODE_ERROR;
    }
    if !right_token(shared, data) {
        return WRONG_TOKEN;
    }
    let Some(wanted) = data["intents"].as_u64().filter(|wanted| intents::valid(*wanted)) else { return INVALID_INTENTS };
    if wanted & intents::PRIVILEGED & !world.app.privileged != 0 {
        return DISALLOWED_INTENTS;
    }
    let shard = match data["shard"].as_array().map(Vec::as_slice) {
        None => (0, 1),
        Some([id, count]) => match (id.as_u64(), count.as_u64()) {
            (Some(id), Some(count)) if id < count => (id, count),
            _ => return INVALID_SHARD,
        },
        Some(_) => return INVALID_SHARD,
    };
    if shard.1 < shared.shards() {
        return SHARDING_REQUIRED;
    }
    if too_fast(shared, world) {
        return invalid_session();
    }
    if !data["presence"].is_null() {
        world.gateway.presence = Some(data["presence"].clone());
    }
    begin(shared, world, connection, wanted, shard);
    Reply::Nothing
}

/// Only so many may identify in a while, and the script may want none to.
fn too_fast(shared: &Shared, world: &mut World) -> bool {
    if world.gateway.script.refuse_identifies > 0 {
        world.gateway.script.refuse_identifies -= 1;
        return true;
    }
    let now = world.now();
    let recent = &mut world.gateway.identifies;
    recent.retain(|at| now - *at < shared.identify_every);
    if recent.len() >= shared.max_concurrency && shared.identify_every > TimeDelta::zero() {
        return true;
    }
    recent.push_back(now);
    false
}

fn begin(shared: &Shared, world: &mut World, connection: u64, wanted: u64, shard: (u64, u64)) {
    let us = world.us();
    let id = format!("{:032x}", uuid::Uuid::now_v7().as_u128());
    let mut session = Session::new(wanted, shard, connection);
    let ours = world.guilds.values().filter(|guild| guild.members.contains_key(&us) && session.hears(Some(guild.id)));
    let ours: Vec<u64> = ours.map(|guild| guild.id).collect();
    let guilds: Vec<Value> = ours.iter().map(|id| json!({"id": id.to_string(), "unavailable": true})).collect();
    let mut user = world.user_json(us);
    user["verified"] = true.into();
    user["mfa_enabled"] = true.into();
    user["email"] = Value::Null;
    let ready = json!({"v": 10, "user": user, "guilds": guilds, "session_id": id, "session_type": "normal",
        "resume_gateway_url": shared.resume_url(), "shard": [shard.0, shard.1], "user_settings": {}, "private_channels": [],
        "relationships": [], "presences": [], "guild_join_requests": [], "geo_ordered_rtc_regions": [], "_trace": [],
        "application": {"id": us.to_string(), "flags": world.app_flags()}});
    session.push("READY", Arc::new(ready));
    if wanted & intents::GUILDS != 0 {
        for guild in ours.iter().filter_map(|id| world.guilds.get(id)) {
            session.push("GUILD_CREATE", Arc::new(world.guild_event(guild)));
        }
    }
    world.gateway.begun += 1;
    world.gateway.sessions.insert(id.clone(), session);
    if let Some(connection) = world.gateway.connections.get_mut(&connection) {
        (connection.session, connection.sent) = (Some(id), 0);
    }
}

fn resume(shared: &Shared, world: &mut World, connection: u64, data: &Value) -> Reply {
    if !right_token(shared, data) {
        return WRONG_TOKEN;
    }
    let (Some(id), Some(seq)) = (data["session_id"].as_str().map(str::to_owned), data["seq"].as_u64()) else {
        return DECODE_ERROR;
    };
    let now = world.now();
    if world.gateway.script.refuse_resumes > 0 {
        world.gateway.script.refuse_resumes -= 1;
        world.gateway.sessions.remove(&id);
        return invalid_session();
    }
    let Some(session) = world.gateway.sessions.get_mut(&id) else { return invalid_session() };
    if seq > session.seq() {
        world.gateway.sessions.remove(&id);
        return INVALID_SEQ;
    }
    if !session.can_resume(seq, now) {
        world.gateway.sessions.remove(&id);
        return invalid_session();
    }
    let before = session.attached.replace(connection).filter(|before| *before != connection);
    session.alone_since = None;
    session.push("RESUMED", Arc::new(json!({"_trace": []})));
    world.gateway.resumed += 1;
    if let Some(before) = before.and_then(|before| world.gateway.connections.get_mut(&before)) {
        before.session = None;
        before.orders.push_back(super::Order::Drop);
    }
    if let Some(connection) = world.gateway.connections.get_mut(&connection) {
        (connection.session, connection.sent) = (Some(id), seq);
    }
    Reply::Nothing
}

/// Answers who is in a guild, in one chunk.
fn members(world: &mut World, connection: u64, data: &Value) -> Reply {
    let Some(guild) = id_of(&data["guild_id"]).and_then(|id| world.guilds.get(&id)) else { return Reply::Nothing };
    let wanted: Option<Vec<u64>> = match &data["user_ids"] {
        Value::Null => None,
        Value::Array(all) => Some(all.iter().filter_map(id_of).collect()),
        one => Some(id_of(one).into_iter().collect()),
    };
    let query = data["query"].as_str().unwrap_or_default();
    let limit = data["limit"].as_u64().filter(|limit| *limit > 0).unwrap_or(1000) as usize;
    let asked = |id: &u64| match &wanted {
        Some(ids) => ids.contains(id),
        None => world.users.get(id).is_some_and(|user| user.name.starts_with(query)),
    };
    let found: Vec<Value> =
        guild.members.keys().copied().filter(asked).take(limit).filter_map(|id| world.member_json(guild, id)).collect();
    let chunk = json!({"guild_id": guild.id.to_string(), "members": found, "chunk_index": 0, "chunk_count": 1,
        "not_found": [], "nonce": data["nonce"]});
    let gateway = &mut world.gateway;
    let session = gateway.connections.get(&connection).and_then(|connection| connection.session.as_ref());
    if let Some(session) = session.and_then(|id| gateway.sessions.get_mut(id)) {
        session.push("GUILD_MEMBERS_CHUNK", Arc::new(chunk));
    }
    Reply::Nothing
}

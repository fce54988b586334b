//! Telling sessions what happened: each gets what its intents, its shard and our permissions let it see.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::mention::id_of;
use super::super::model::{ChannelKind, Id};
use super::super::permission::Permissions;
use super::super::shape::{Content, emoji, thread_member};
use super::super::world::World;
use super::intents::{self, MESSAGE_CONTENT};

/// Where something happened: decides who hears of it.
#[derive(Clone, Copy, Debug)]
enum Scope {
    /// In a guild, whoever sees which channel.
    Guild(Id),
    /// In a channel that must be seen.
    Channel(Id),
}

impl World {
    fn emit(&mut self, name: &'static str, scope: Scope, shown: Value) {
        let shown = Arc::new(shown);
        self.emit_two(name, scope, &shown, &shown);
    }

    /// Tells of something of which some may not read everything.
    fn emit_two(&mut self, name: &'static str, scope: Scope, shown: &Arc<Value>, withheld: &Arc<Value>) {
        let us = self.us();
        let guild = match scope {
            Scope::Guild(guild) => Some(guild),
            Scope::Channel(channel) => {
                if !self.permissions(channel, us).has(Permissions::VIEW_CHANNEL) {
                    return;
                }
                self.channels.get(&channel).and_then(|channel| channel.guild)
            }
        };
        if guild.and_then(|id| self.guilds.get(&id)).is_some_and(|guild| !guild.members.contains_key(&us)) {
            return;
        }
        let needed = intents::needed(name, guild.is_some());
        let (copies, withholds) = (self.gateway.script.copies(name), self.gateway.script.withholds);
        let about_us = name == "GUILD_MEMBER_UPDATE" && id_of(&shown["user"]["id"]) == Some(us);
        for session in self.gateway.sessions.values_mut() {
            let wants = about_us || needed.is_none_or(|needed| session.intents & needed != 0);
            if wants && session.hears(guild) {
                let data = if session.intents & MESSAGE_CONTENT != 0 && !withholds { shown } else { withheld };
                (0..copies).for_each(|_| session.push(name, data.clone()));
            }
        }
    }

    pub(in super::super) fn emit_message(&mut self, name: &'static str, channel: Id, id: Id) {
        let Ok(message) = self.public_message(channel, id) else { return };
        let guild = self.channels.get(&channel).and_then(|place| place.guild).and_then(|id| self.guilds.get(&id));
        let full = |content: Content| {
            let mut json = self.message_json(message, content);
            if let Some(guild) = guild {
                json["guild_id"] = guild.id.to_string().into();
                if let Some(member) = guild.members.get(&message.author) {
                    json["member"] = super::super::shape::member(member);
                }
            }
            Arc::new(json)
        };
        let (shown, withheld) = (full(Content::Shown), full(Content::Withheld));
        self.emit_two(name, Scope::Channel(channel), &shown, &withheld);
    }

    fn placed(&self, channel: Id, mut json: Value) -> Value {
        json["channel_id"] = channel.to_string().into();
        if let Some(guild) = self.channels.get(&channel).and_then(|channel| channel.guild) {
            json["guild_id"] = guild.to_string().into();
        }
        json
    }

    pub(in super::super) fn emit_gone(&mut self, channel: Id, id: Id) {
        let json = self.placed(channel, json!({"id": id.to_string()}));
        self.emit("MESSAGE_DELETE", Scope::Channel(channel), json);
    }

    pub(in super::super) fn emit_gone_many(&mut self, channel: Id, ids: &[Id]) {
        let ids: Vec<String> = ids.iter().map(Id::to_string).collect();
        let json = self.placed(channel, json!({"ids": ids}));
        self.emit("MESSAGE_DELETE_BULK", Scope::Channel(channel), json);
    }

    pub(in super::super) fn emit_reaction(&mut self, name: &'static str, channel: Id, id: Id, by: Id, with: &str) {
        let said =
            json!({"user_id": by.to_string(), "message_id": id.to_string(), "emoji": emoji(with), "burst": false, "type": 0});
        let mut json = self.placed(channel, said);
        let guild = self.channels.get(&channel).and_then(|channel| channel.guild).and_then(|id| self.guilds.get(&id));
        if let Some(member) = guild.and_then(|guild| self.member_json(guild, by)).filter(|_| name.ends_with("ADD")) {
            json["member"] = member;
        }
        if let Ok(message) = self.public_message(channel, id) {
            json["message_author_id"] = message.author.to_string().into();
        }
        self.emit(name, Scope::Channel(channel), json);
    }

    pub(in super::super) fn emit_typing(&mut self, channel: Id, user: Id, at: DateTime<Utc>) {
        let mut json = self.placed(channel, json!({"user_id": user.to_string(), "timestamp": at.timestamp()}));
        let guild = self.channels.get(&channel).and_then(|channel| channel.guild).and_then(|id| self.guilds.get(&id));
        if let Some(member) = guild.and_then(|guild| self.member_json(guild, user)) {
            json["member"] = member;
        }
        self.emit("TYPING_START", Scope::Channel(channel), json);
    }

    /// Tells of a channel or thread that is new, different or about to go.
    pub(in super::super) fn emit_channel(&mut self, name: &'static str, id: Id) {
        let Some(channel) = self.channels.get(&id) else { return };
        let mut json = self.channel_json(channel);
        if name == "THREAD_DELETE" {
            json = json!({"id": json["id"], "guild_id": json["guild_id"], "parent_id": json["parent_id"], "type": json["type"]});
        }
        if name == "THREAD_CREATE" {
            json["newly_created"] = true.into();
        }
        self.emit(name, Scope::Channel(id), json);
    }

    pub(in super::super) fn emit_thread_members(&mut self, id: Id, added: &[Id], removed: &[Id]) {
        let Some(channel) = self.channels.get(&id) else { return };
        let Some((thread, guild)) = channel.thread.as_ref().zip(channel.guild) else { return };
        let now = self.now();
        let added: Vec<Value> = added.iter().map(|who| thread_member(id, *who, now)).collect();
        let removed: Vec<String> = removed.iter().map(Id::to_string).collect();
        let json = json!({"id": id.to_string(), "guild_id": guild.to_string(), "member_count": thread.members.len().min(50),
            "added_members": added, "removed_member_ids": removed});
        // Whoever was put out of a private thread sees it no more; the parent decides who hears of it.
        let scope =
            channel.parent.filter(|_| channel.kind != ChannelKind::PrivateThread).map_or(Scope::Channel(id), Scope::Channel);
        self.emit("THREAD_MEMBERS_UPDATE", scope, json);
    }

    pub(in super::super) fn emit_member(&mut self, name: &'static str, guild: Id, user: Id) {
        let Some(place) = self.guilds.get(&guild) else { return };
        let mut json = self.member_json(place, user).unwrap_or_else(|| json!({"user": self.user_json(user)}));
        json["guild_id"] = guild.to_string().into();
        self.emit(name, Scope::Guild(guild), json);
    }

    pub(in super::super) fn emit_role(&mut self, name: &'static str, guild: Id, role: Id) {
        let Some(place) = self.guilds.get(&guild) else { return };
        let found = super::super::shape::roles(place).into_iter().find(|one| id_of(&one["id"]) == Some(role));
        self.emit(name, Scope::Guild(guild), json!({"guild_id": guild.to_string(), "role": found}));
    }

    /// Tells that we came into a guild.
    pub(in super::super) fn emit_joined(&mut self, guild: Id) {
        let Some(place) = self.guilds.get(&guild) else { return };
        let json = self.guild_event(place);
        self.emit("GUILD_CREATE", Scope::Guild(guild), json);
    }

    /// Tells that we are no longer in a guild; while we still are.
    pub(in super::super) fn emit_left(&mut self, guild: Id) {
        self.emit("GUILD_DELETE", Scope::Guild(guild), json!({"id": guild.to_string()}));
    }

    /// Tells that a guild cannot be reached for a while.
    pub(in super::super) fn emit_unavailable(&mut self, guild: Id) {
        self.emit("GUILD_DELETE", Scope::Guild(guild), json!({"id": guild.to_string(), "unavailable": true}));
    }

    pub(in super::super) fn emit_interaction(&mut self, json: Value, guild: Option<Id>) {
        let json = Arc::new(json);
        let copies = self.gateway.script.copies("INTERACTION_CREATE");
        for session in self.gateway.sessions.values_mut().filter(|session| session.hears(guild)) {
            (0..copies).for_each(|_| session.push("INTERACTION_CREATE", json.clone()));
        }
    }
}

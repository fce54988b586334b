//! What things look like in Discord's JSON.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::model::{Attachment, Channel, Guild, HAS_THREAD, Id, Member, Message, OverwriteOf, Role, Tag, Thread, User};
use super::permission::Permissions;
use super::world::{World, made_at};

/// Whether somebody without the right to content is looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Shown,
    Withheld,
}

pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, false)
}

pub(super) fn user(user: &User) -> Value {
    json!({"id": user.id.to_string(), "username": user.name, "avatar": null, "discriminator": "0", "public_flags": 0,
        "flags": 0, "bot": user.bot, "banner": null, "accent_color": null, "global_name": null,
        "avatar_decoration_data": null, "collectibles": null, "primary_guild": null})
}

pub(super) fn member(of: &Member) -> Value {
    let roles: Vec<String> = of.roles.iter().map(Id::to_string).collect();
    json!({"avatar": null, "banner": null, "communication_disabled_until": null, "flags": 0, "nick": null, "pending": false,
        "premium_since": null, "joined_at": time(of.joined_at), "roles": roles, "mute": false, "deaf": false})
}

pub(super) fn role(role: &Role, position: usize) -> Value {
    let mut json = json!({"id": role.id.to_string(), "name": role.name, "permissions": bits(role.permissions),
        "position": position, "color": 0, "colors": {"primary_color": 0, "secondary_color": null, "tertiary_color": null},
        "hoist": false, "managed": role.bot.is_some(), "mentionable": role.mentionable, "icon": null, "unicode_emoji": null,
        "flags": 0});
    if let Some(bot) = role.bot {
        json["tags"] = json!({"bot_id": bot.to_string()});
    }
    json
}

pub(super) fn bits(permissions: Permissions) -> String {
    permissions.0.to_string()
}

pub(super) fn roles(guild: &Guild) -> Vec<Value> {
    guild.roles.values().enumerate().map(|(position, one)| role(one, position)).collect()
}

fn tag(tag: &Tag) -> Value {
    json!({"id": tag.id.to_string(), "name": tag.name, "moderated": tag.moderated, "emoji_id": null, "emoji_name": null})
}

pub(super) fn emoji(name: &str) -> Value {
    // `name:number` is one of a guild's own.
    match name.split_once(':') {
        Some((name, id)) => json!({"id": id, "name": name}),
        None => json!({"id": null, "name": name}),
    }
}

pub(super) fn thread_member(thread: Id, of: Id, joined: DateTime<Utc>) -> Value {
    json!({"id": thread.to_string(), "user_id": of.to_string(), "join_timestamp": time(joined), "flags": 1})
}

impl World {
    pub(super) fn user_json(&self, id: Id) -> Value {
        self.users.get(&id).map_or(Value::Null, user)
    }

    pub(super) fn member_json(&self, guild: &Guild, id: Id) -> Option<Value> {
        let mut json = member(guild.members.get(&id)?);
        json["user"] = self.user_json(id);
        Some(json)
    }

    /// A channel as whoever may see it sees it.
    pub(super) fn channel_json(&self, channel: &Channel) -> Value {
        let last = channel.last_message.map(|id| id.to_string());
        let mut json = json!({"id": channel.id.to_string(), "type": channel.kind.number(), "last_message_id": last, "flags": 0});
        let Some(guild) = channel.guild else {
            let them = channel.recipients.iter().filter(|id| **id != self.us());
            json["recipients"] = them.map(|id| self.user_json(*id)).collect();
            return json;
        };
        json["guild_id"] = guild.to_string().into();
        json["name"] = channel.name.as_str().into();
        json["parent_id"] = channel.parent.map(|id| id.to_string()).into();
        json["rate_limit_per_user"] = channel.slowmode.into();
        json["last_pin_timestamp"] = Value::Null;
        match &channel.thread {
            Some(thread) => self.thread_parts(&mut json, channel, thread),
            None => channel_parts(&mut json, channel),
        }
        json
    }

    fn thread_parts(&self, json: &mut Value, channel: &Channel, thread: &Thread) {
        json["owner_id"] = thread.owner.to_string().into();
        json["thread_metadata"] = json!({"archived": thread.archived, "archive_timestamp": time(thread.archive_changed),
            "auto_archive_duration": thread.auto_archive, "locked": thread.locked, "create_timestamp": time(thread.created_at)});
        json["message_count"] = thread.messages.into();
        // Discord stops counting there.
        json["member_count"] = thread.members.len().min(50).into();
        json["total_message_sent"] = thread.sent.into();
        json["applied_tags"] = thread.tags.iter().map(Id::to_string).collect();
        if let Some(joined) = thread.members.get(&self.us()) {
            json["member"] = thread_member(channel.id, self.us(), *joined);
        }
    }

    pub(super) fn guild_json(&self, guild: &Guild) -> Value {
        json!({"id": guild.id.to_string(), "name": guild.name, "icon": null, "description": null, "home_header": null,
            "splash": null, "discovery_splash": null, "features": [], "banner": null, "owner_id": guild.owner.to_string(),
            "application_id": null, "region": "us-east", "afk_channel_id": null, "afk_timeout": 300,
            "system_channel_id": null, "system_channel_flags": 0, "widget_enabled": false, "widget_channel_id": null,
            "verification_level": 0, "roles": roles(guild), "default_message_notifications": 1, "mfa_level": 0,
            "explicit_content_filter": 0, "max_presences": null, "max_members": 500_000,
            "max_stage_video_channel_users": 50, "max_video_channel_users": 25, "vanity_url_code": null,
            "premium_tier": guild.tier, "premium_subscription_count": 0, "preferred_locale": "en-US",
            "rules_channel_id": null, "safety_alerts_channel_id": null, "public_updates_channel_id": null,
            "premium_progress_bar_enabled": false, "nsfw": false, "nsfw_level": 0, "emojis": [], "stickers": [],
            "incidents_data": null})
    }

    /// A guild as the gateway tells of it: with what of it the service sees.
    pub(super) fn guild_event(&self, guild: &Guild) -> Value {
        let us = self.us();
        let seen = |channel: &&Channel| self.permissions_in(channel, us).has(Permissions::VIEW_CHANNEL);
        let here = self.channels.values().filter(|channel| channel.guild == Some(guild.id)).filter(seen);
        let (threads, channels): (Vec<&Channel>, Vec<&Channel>) = here.partition(|channel| channel.thread.is_some());
        let active = threads.into_iter().filter(|channel| channel.thread.as_ref().is_some_and(|thread| !thread.archived));
        let mut json = self.guild_json(guild);
        json["joined_at"] = guild.members.get(&us).map(|member| time(member.joined_at)).into();
        json["large"] = false.into();
        json["unavailable"] = false.into();
        json["member_count"] = guild.members.len().into();
        json["members"] = self.member_json(guild, us).into_iter().collect();
        json["channels"] = channels.into_iter().map(|channel| self.channel_json(channel)).collect();
        json["threads"] = active.map(|channel| self.channel_json(channel)).collect();
        for empty in ["voice_states", "presences", "stage_instances", "guild_scheduled_events", "soundboard_sounds"] {
            json[empty] = json!([]);
        }
        json
    }

    /// Whether somebody without the intent for content may read this.
    pub(super) fn open_to_us(&self, message: &Message) -> bool {
        let us = self.us();
        let direct = self.channels.get(&message.channel).is_some_and(|channel| channel.guild.is_none());
        direct || message.author == us || message.mentions.contains(&us)
    }

    pub(super) fn message_json(&self, message: &Message, content: Content) -> Value {
        let mut json = self.plain_message(message, content);
        let Some((channel, id)) = message.reference else { return json };
        let guild = self.channels.get(&channel).and_then(|channel| channel.guild).map(|id| id.to_string());
        json["message_reference"] = json!({"type": 0, "channel_id": channel.to_string(), "message_id": id.to_string()});
        if let Some(guild) = guild {
            json["message_reference"]["guild_id"] = guild.into();
        }
        if matches!(message.kind, 19 | 21) {
            let to = self.messages.get(&channel).and_then(|all| all.get(&id));
            json["referenced_message"] = to.map_or(Value::Null, |to| self.plain_message(to, content));
        }
        json
    }

    fn plain_message(&self, message: &Message, content: Content) -> Value {
        let shown = content == Content::Shown || self.open_to_us(message);
        let mentions: Vec<Value> = message.mentions.iter().map(|id| self.user_json(*id)).collect();
        let roles: Vec<String> = message.pings.roles.iter().map(Id::to_string).collect();
        let thread = self.thread_of(message.id);
        let flags = message.flags | if thread.is_some() { HAS_THREAD } else { 0 };
        let mut json = json!({"id": message.id.to_string(), "channel_id": message.channel.to_string(), "type": message.kind,
            "author": self.user_json(message.author), "content": if shown { message.content.as_str() } else { "" },
            "mentions": mentions, "mention_roles": roles, "mention_everyone": message.pings.everyone,
            "attachments": [], "embeds": [], "components": [], "timestamp": time(made_at(message.id)),
            "edited_timestamp": message.edited_at.map(time), "flags": flags, "pinned": false, "tts": false});
        if shown {
            json["attachments"] = message.attachments.iter().map(|one| self.attachment_json(message.channel, one)).collect();
            json["embeds"] = message.embeds.iter().map(embed).collect();
            json["components"] = numbered(&message.components);
        }
        if !message.reactions.is_empty() {
            json["reactions"] = message.reactions.iter().map(|(emoji, who)| self.reaction_json(emoji, who)).collect();
        }
        if let Some(nonce) = &message.nonce {
            json["nonce"] = nonce.clone();
        }
        if let Some(thread) = thread {
            json["thread"] = self.channel_json(thread);
        }
        if let Some(interaction) = message.interaction.and_then(|id| self.interactions.get(&id)) {
            json["webhook_id"] = self.app.id.to_string().into();
            json["application_id"] = self.app.id.to_string().into();
            json["interaction_metadata"] = self.interaction_metadata(interaction);
        }
        json
    }

    fn reaction_json(&self, name: &str, who: &[Id]) -> Value {
        json!({"emoji": emoji(name), "count": who.len(), "count_details": {"burst": 0, "normal": who.len()},
            "burst_colors": [], "me_burst": false, "me": who.contains(&self.us())})
    }

    pub(super) fn attachment_json(&self, channel: Id, attachment: &Attachment) -> Value {
        let url = self.file_url(channel, attachment);
        let mut json = json!({"id": attachment.id.to_string(), "filename": attachment.name, "size": attachment.bytes.len(),
            "url": url, "proxy_url": url});
        for (name, value) in [("content_type", &attachment.content_type), ("description", &attachment.description)] {
            if let Some(value) = value {
                json[name] = value.as_str().into();
            }
        }
        json
    }
}

fn channel_parts(json: &mut Value, channel: &Channel) {
    json["topic"] = channel.topic.as_deref().into();
    json["position"] = 0.into();
    json["nsfw"] = false.into();
    json["permission_overwrites"] = channel
        .overwrites
        .iter()
        .map(|one| {
            let kind = match one.of {
                OverwriteOf::Role => 0,
                OverwriteOf::Member => 1,
            };
            json!({"id": one.id.to_string(), "type": kind, "allow": bits(one.allow), "deny": bits(one.deny)})
        })
        .collect();
    if channel.kind == super::model::ChannelKind::Forum {
        json["available_tags"] = channel.tags.iter().map(tag).collect();
        json["default_reaction_emoji"] = Value::Null;
        json["default_sort_order"] = Value::Null;
        json["default_forum_layout"] = 0.into();
        // Whether a tag is required.
        json["flags"] = if channel.tag_required { 1 << 4 } else { 0 }.into();
    }
}

/// Discord says of every embed what kind it is.
fn embed(embed: &Value) -> Value {
    let mut json = embed.clone();
    json["type"] = "rich".into();
    for field in json["fields"].as_array_mut().into_iter().flatten() {
        if field["inline"].is_null() {
            field["inline"] = false.into();
        }
    }
    if json["fields"].is_null() {
        json.as_object_mut().map(|all| all.remove("fields"));
    }
    json
}

/// Discord numbers components that have no number.
fn numbered(components: &[Value]) -> Value {
    fn number(component: &mut Value, next: &mut u64) {
        if component["id"].is_null() {
            component["id"] = (*next).into();
        }
        *next += 1;
        for inner in component["components"].as_array_mut().into_iter().flatten() {
            number(inner, next);
        }
    }
    let mut next = 1;
    let mut all = components.to_vec();
    all.iter_mut().for_each(|component| number(component, &mut next));
    all.into()
}

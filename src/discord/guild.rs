//! Guilds: their names, roles and members, and what a member may in a channel.

use serde::Deserialize;
use serenity::model::Permissions;
use serenity::model::channel::PermissionOverwriteType;
use serenity::model::id::{GuildId, RoleId, UserId};

use super::channel::Channel;
use super::client::{Call, Discord, Effect};
use super::error::DiscordError;

/// A guild, which people call server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Guild {
    /// Its id.
    pub id: GuildId,
    /// Its name.
    pub name: String,
    /// Who owns it and may do everything.
    #[serde(rename = "owner_id")]
    pub owner: UserId,
    /// Its roles, with the one of everybody, whose id is the guild's.
    pub roles: Vec<GuildRole>,
    /// How far it is boosted, 0 to 3.
    #[serde(default)]
    pub premium_tier: u8,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct GuildRole {
    /// Its id.
    pub id: RoleId,
    /// Its name.
    pub name: String,
    /// What it lets its members do.
    pub permissions: Permissions,
}

/// A member of a guild.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct GuildMember {
    /// The roles they have, without the one of everybody.
    pub roles: Vec<RoleId>,
    /// What they are called there, if that differs.
    #[serde(default)]
    pub nick: Option<String>,
}

/// A guild the bot is in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OurGuild {
    /// Its id.
    pub id: GuildId,
    /// Its name.
    pub name: String,
    /// What the bot may where no channel says otherwise.
    #[serde(default)]
    pub permissions: Permissions,
}

const MEBIBYTE: u64 = 1024 * 1024;
/// How many guilds one call lists.
const PER_PAGE: usize = 200;
/// No more pages than this are read.
const MOST_PAGES: usize = 50;

impl Guild {
    /// Bytes a file may have in a guild of this tier, and in direct messages at tier 0.
    pub fn largest_file(premium_tier: u8) -> u64 {
        match premium_tier {
            0 | 1 => 10 * MEBIBYTE,
            2 => 50 * MEBIBYTE,
            _ => 100 * MEBIBYTE,
        }
    }

    /// What a member may in a channel; for a thread, pass the channel it is in.
    pub fn permissions_in(&self, channel: &Channel, user: UserId, member: &GuildMember) -> Permissions {
        let everyone = RoleId::new(self.id.get());
        let has = |id: RoleId| id == everyone || member.roles.contains(&id);
        let roles = self.roles.iter().filter(|role| has(role.id));
        let base = roles.fold(Permissions::empty(), |sum, role| sum | role.permissions);
        if self.owner == user || base.administrator() {
            return Permissions::all();
        }
        let apply = |to: Permissions, counts: &dyn Fn(&PermissionOverwriteType) -> bool| {
            let those = channel.overwrites.iter().filter(|one| counts(&one.kind));
            let (deny, allow) = those
                .fold((Permissions::empty(), Permissions::empty()), |(deny, allow), one| (deny | one.deny, allow | one.allow));
            to.difference(deny) | allow
        };
        let for_everyone = apply(base, &|kind| matches!(kind, PermissionOverwriteType::Role(id) if *id == everyone));
        let for_roles =
            apply(for_everyone, &|kind| matches!(kind, PermissionOverwriteType::Role(id) if *id != everyone && has(*id)));
        let own = apply(for_roles, &|kind| matches!(kind, PermissionOverwriteType::Member(id) if *id == user));
        if own.view_channel() { own } else { Permissions::empty() }
    }
}

impl Discord {
    /// A guild we are in.
    ///
    /// # Errors
    /// As the call; `NotFound` when we are not in it.
    pub async fn guild(&self, id: GuildId) -> Result<Guild, DiscordError> {
        self.call(&Call::get(format!("/guilds/{id}"))).await?.json(Effect::None)
    }

    /// A member of a guild.
    ///
    /// # Errors
    /// As the call; `NotFound` when they are not in it.
    pub async fn member(&self, guild: GuildId, user: UserId) -> Result<GuildMember, DiscordError> {
        self.call(&Call::get(format!("/guilds/{guild}/members/{user}"))).await?.json(Effect::None)
    }

    /// The guilds we are in; 10,000 at the most.
    ///
    /// # Errors
    /// As the calls.
    pub async fn guilds(&self) -> Result<Vec<OurGuild>, DiscordError> {
        let mut all: Vec<OurGuild> = Vec::new();
        for _ in 0..MOST_PAGES {
            let after = all.last().map_or_else(String::new, |last| format!("&after={}", last.id));
            let call = Call::get(format!("/users/@me/guilds?limit={PER_PAGE}{after}"));
            let page: Vec<OurGuild> = self.call(&call).await?.json(Effect::None)?;
            let full = page.len() == PER_PAGE;
            all.extend(page);
            if !full {
                break;
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn channel(overwrites: serde_json::Value) -> Channel {
        let wire = json!({"id": "9", "type": 0, "guild_id": "1", "name": "general", "permission_overwrites": overwrites});
        super::super::channel::from_wire(wire).unwrap()
    }

    #[test]
    fn a_member_may_what_roles_and_the_channel_say() {
        let role = |id: &str, bits: Permissions| json!({"id": id, "name": "r", "permissions": bits.bits().to_string()});
        let guild: Guild = serde_json::from_value(json!({"id": "1", "name": "Octo", "owner_id": "5", "premium_tier": 2,
            "roles": [role("1", Permissions::VIEW_CHANNEL), role("2", Permissions::SEND_MESSAGES), role("3", Permissions::ADMINISTRATOR)]}))
        .unwrap();
        let member = |roles: &[u64]| GuildMember { roles: roles.iter().map(|id| RoleId::new(*id)).collect(), nick: None };
        let overwrite = |id: &str, kind: u8, allow: Permissions, deny: Permissions| json!({"id": id, "type": kind, "allow": allow, "deny": deny});
        let plain = channel(json!([]));
        let may = |channel: &Channel, user: u64, roles: &[u64]| guild.permissions_in(channel, UserId::new(user), &member(roles));
        assert_eq!(may(&plain, 7, &[]), Permissions::VIEW_CHANNEL);
        assert_eq!(may(&plain, 7, &[2]), Permissions::VIEW_CHANNEL | Permissions::SEND_MESSAGES);
        assert_eq!((may(&plain, 5, &[]), may(&plain, 7, &[3])), (Permissions::all(), Permissions::all()));
        let nothing = Permissions::empty();
        let closed = channel(json!([
            overwrite("1", 0, nothing, Permissions::VIEW_CHANNEL),
            overwrite("7", 1, Permissions::VIEW_CHANNEL, nothing)
        ]));
        assert_eq!(may(&closed, 8, &[2]), nothing);
        assert_eq!(may(&closed, 7, &[2]), Permissions::VIEW_CHANNEL | Permissions::SEND_MESSAGES);
        assert_eq!(Guild::largest_file(guild.premium_tier), 50 * MEBIBYTE);
    }
}

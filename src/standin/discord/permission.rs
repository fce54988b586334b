//! What a member may do: roles, then the overwrites of the channel, then what follows from one missing permission for others.

use std::ops::{BitAnd, BitOr, Not};

use super::model::{Channel, ChannelKind, Guild, Id, Overwrite};
use super::world::World;

/// A set of permissions, as Discord numbers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(pub u64);

impl Permissions {
    /// No permission.
    pub const NONE: Self = Self(0);
    /// Everything, everywhere.
    pub const ADMINISTRATOR: Self = Self(1 << 3);
    /// Create, edit and delete channels.
    pub const MANAGE_CHANNELS: Self = Self(1 << 4);
    /// Add a reaction nobody has added yet.
    pub const ADD_REACTIONS: Self = Self(1 << 6);
    /// See a channel.
    pub const VIEW_CHANNEL: Self = Self(1 << 10);
    /// Write in a channel.
    pub const SEND_MESSAGES: Self = Self(1 << 11);
    /// Delete what others wrote.
    pub const MANAGE_MESSAGES: Self = Self(1 << 13);
    /// Show embeds.
    pub const EMBED_LINKS: Self = Self(1 << 14);
    /// Send files.
    pub const ATTACH_FILES: Self = Self(1 << 15);
    /// See what was written before.
    pub const READ_MESSAGE_HISTORY: Self = Self(1 << 16);
    /// Ping everybody and every role.
    pub const MENTION_EVERYONE: Self = Self(1 << 17);
    /// Use slash commands.
    pub const USE_APPLICATION_COMMANDS: Self = Self(1 << 31);
    /// Archive, rename and lock others' threads, and see the private ones.
    pub const MANAGE_THREADS: Self = Self(1 << 34);
    /// Open threads everybody sees.
    pub const CREATE_PUBLIC_THREADS: Self = Self(1 << 35);
    /// Open threads for some.
    pub const CREATE_PRIVATE_THREADS: Self = Self(1 << 36);
    /// Write in threads.
    pub const SEND_MESSAGES_IN_THREADS: Self = Self(1 << 38);
    /// Every permission.
    pub const ALL: Self = Self((1 << 53) - 1);

    /// What somebody may in a new guild, and what the bot is invited with.
    pub const USUAL: Self = Self(
        Self::VIEW_CHANNEL.0
            | Self::SEND_MESSAGES.0
            | Self::SEND_MESSAGES_IN_THREADS.0
            | Self::CREATE_PUBLIC_THREADS.0
            | Self::EMBED_LINKS.0
            | Self::ATTACH_FILES.0
            | Self::READ_MESSAGE_HISTORY.0
            | Self::ADD_REACTIONS.0
            | Self::USE_APPLICATION_COMMANDS.0,
    );

    /// Whether all of these are among them.
    pub fn has(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// These, without those.
    pub fn without(self, those: Self) -> Self {
        self & !those
    }
}

impl BitOr for Permissions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Permissions {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Permissions {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl Guild {
    /// What a member may where no overwrite applies. Nothing for those who are not members.
    pub(super) fn permissions(&self, user: Id) -> Permissions {
        let Some(member) = self.members.get(&user) else { return Permissions::NONE };
        if self.owner == user {
            return Permissions::ALL;
        }
        let ids = member.roles.iter().chain([&self.id]);
        let sum = ids.filter_map(|id| self.roles.get(id)).fold(Permissions::NONE, |sum, role| sum | role.permissions);
        if sum.has(Permissions::ADMINISTRATOR) { Permissions::ALL } else { sum }
    }
}

impl World {
    /// What somebody may in a channel; in a thread, what they may in its parent.
    pub(super) fn permissions_in(&self, channel: &Channel, user: Id) -> Permissions {
        let Some(guild) = channel.guild.and_then(|id| self.guilds.get(&id)) else {
            return if channel.recipients.contains(&user) { Permissions::USUAL } else { Permissions::NONE };
        };
        let Some(member) = guild.members.get(&user) else { return Permissions::NONE };
        let base = guild.permissions(user);
        if base.has(Permissions::ADMINISTRATOR) {
            return base;
        }
        let from = if channel.thread.is_some() { channel.parent.and_then(|id| self.channels.get(&id)) } else { Some(channel) };
        let overwrites: &[Overwrite] = from.map_or(&[], |channel| &channel.overwrites);
        let apply = |to: Permissions, those: &mut dyn Iterator<Item = &Overwrite>| {
            let (deny, allow) = those.fold((Permissions::NONE, Permissions::NONE), |(d, a), o| (d | o.deny, a | o.allow));
            to.without(deny) | allow
        };
        let everyone = apply(base, &mut overwrites.iter().filter(|one| one.id == guild.id));
        let roles = apply(everyone, &mut overwrites.iter().filter(|one| one.id != guild.id && member.roles.contains(&one.id)));
        let own = apply(roles, &mut overwrites.iter().filter(|one| one.id == user));
        self.implied(channel, user, own)
    }

    /// Without a view there is nothing; without a voice nothing that needs one; a private thread is for its members.
    fn implied(&self, channel: &Channel, user: Id, own: Permissions) -> Permissions {
        let hidden = channel.kind == ChannelKind::PrivateThread
            && !own.has(Permissions::MANAGE_THREADS)
            && !channel.thread.as_ref().is_some_and(|thread| thread.members.contains_key(&user));
        if !own.has(Permissions::VIEW_CHANNEL) || hidden {
            return Permissions::NONE;
        }
        let voice = if channel.thread.is_some() { Permissions::SEND_MESSAGES_IN_THREADS } else { Permissions::SEND_MESSAGES };
        if own.has(voice) {
            return own;
        }
        own.without(Permissions::ATTACH_FILES | Permissions::EMBED_LINKS | Permissions::MENTION_EVERYONE)
    }
}

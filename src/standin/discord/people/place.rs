//! Accounts, guilds, roles, members and channels.

use super::super::model::{ChannelKind, Guild, Id, Member, Overwrite, OverwriteOf, Role, Tag};
use super::super::permission::Permissions;
use super::super::thread::Renovation;
use super::super::world::World;
use super::super::{DiscordStandin, gateway::intents};

/// A channel that is to be made.
#[derive(Clone, Debug)]
pub struct NewChannel {
    name: String,
    kind: ChannelKind,
    parent: Option<Id>,
    topic: Option<String>,
    tags: Vec<(String, bool)>,
    tag_required: bool,
    hidden: bool,
}

impl NewChannel {
    fn new(name: &str, kind: ChannelKind) -> Self {
        let name = name.to_owned();
        Self { name, kind, parent: None, topic: None, tags: Vec::new(), tag_required: false, hidden: false }
    }

    /// Text.
    pub fn text(name: &str) -> Self {
        Self::new(name, ChannelKind::Text)
    }

    /// A forum whose posts can be tagged with these.
    pub fn forum(name: &str, tags: &[&str]) -> Self {
        let tags = tags.iter().map(|tag| ((*tag).to_owned(), false)).collect();
        Self { tags, ..Self::new(name, ChannelKind::Forum) }
    }

    /// A heading over channels.
    pub fn category(name: &str) -> Self {
        Self::new(name, ChannelKind::Category)
    }

    /// Text that others may follow.
    pub fn announcements(name: &str) -> Self {
        Self::new(name, ChannelKind::Announcement)
    }

    /// Under a category.
    pub fn under(mut self, category: Id) -> Self {
        self.parent = Some(category);
        self
    }

    /// What it says about itself.
    pub fn topic(mut self, topic: &str) -> Self {
        self.topic = Some(topic.to_owned());
        self
    }

    /// Every post of this forum needs a tag.
    pub fn tag_required(mut self) -> Self {
        self.tag_required = true;
        self
    }

    /// With one more tag, which only moderators may set.
    pub fn moderated_tag(mut self, tag: &str) -> Self {
        self.tags.push((tag.to_owned(), true));
        self
    }

    /// Nobody sees it whom no overwrite lets.
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }
}

impl DiscordStandin {
    /// An account of a person.
    pub fn add_person(&self, name: &str) -> Id {
        self.act(|world| world.add_user(name, false))
    }

    /// An account of another application.
    pub fn add_bot(&self, name: &str) -> Id {
        self.act(|world| world.add_user(name, true))
    }

    /// A guild with nobody in it but its owner and us, who are invited with [`Permissions::USUAL`].
    pub fn add_guild(&self, name: &str, owner: Id) -> Id {
        let guild = self.add_guild_without_us(name, owner);
        self.invite(guild, Permissions::USUAL);
        guild
    }

    /// A guild we are not in.
    pub fn add_guild_without_us(&self, name: &str, owner: Id) -> Id {
        self.act(|world| world.make_guild(name, owner))
    }

    /// Invites us with a role of our own that allows this.
    pub fn invite(&self, guild: Id, permissions: Permissions) {
        self.act(|world| {
            let (role, us, now) = (world.fresh(), world.us(), world.now());
            let name = world.app.name.clone();
            let Some(place) = world.guilds.get_mut(&guild) else { return };
            place.roles.insert(role, Role { id: role, name, permissions, mentionable: false, bot: Some(us) });
            place.members.insert(us, Member { roles: [role].into(), joined_at: now });
            world.emit_joined(guild);
        });
    }

    /// Puts us out of a guild.
    pub fn kick(&self, guild: Id) {
        self.act(|world| world.leave_guild(guild));
    }

    /// A guild is told to be out of reach, as during an outage, and back; what happens in it is told all the same.
    pub fn interrupt(&self, guild: Id) {
        self.act(|world| {
            world.emit_unavailable(guild);
            world.emit_joined(guild);
        });
    }

    /// How far a guild is boosted, 0 to 3: files may have 10, 10, 50 or 100 MiB.
    pub fn set_tier(&self, guild: Id, tier: u8) {
        self.change_guild(guild, |place| place.tier = tier);
    }

    fn change_guild(&self, guild: Id, change: impl FnOnce(&mut Guild)) {
        self.act(|world| world.guilds.get_mut(&guild).map(change));
    }

    /// What everybody may in a guild where nothing else is said.
    pub fn set_everyone(&self, guild: Id, permissions: Permissions) {
        self.set_role(guild, guild, permissions);
    }

    /// What a role allows.
    pub fn set_role(&self, guild: Id, role: Id, permissions: Permissions) {
        self.act(|world| {
            let place = world.guilds.get_mut(&guild);
            if let Some(role) = place.and_then(|place| place.roles.get_mut(&role)) {
                role.permissions = permissions;
            }
            world.emit_role("GUILD_ROLE_UPDATE", guild, role);
        });
    }

    /// What our own role in a guild allows.
    pub fn set_our_permissions(&self, guild: Id, permissions: Permissions) {
        let us = self.us();
        let ours = |world: &World| world.guild(guild)?.roles.values().find(|role| role.bot == Some(us)).map(|role| role.id);
        if let Some(role) = self.world(ours) {
            self.set_role(guild, role, permissions);
        }
    }

    /// A role that may be pinged by anybody or not.
    pub fn add_role(&self, guild: Id, name: &str, permissions: Permissions, mentionable: bool) -> Id {
        self.act(|world| {
            let id = world.fresh();
            if let Some(place) = world.guilds.get_mut(&guild) {
                place.roles.insert(id, Role { id, name: name.to_owned(), permissions, mentionable, bot: None });
            }
            world.emit_role("GUILD_ROLE_CREATE", guild, id);
            id
        })
    }

    /// Lets somebody into a guild, or gives a member other roles.
    pub fn add_member(&self, guild: Id, user: Id, roles: &[Id]) {
        self.act(|world| {
            let now = world.now();
            let Some(place) = world.guilds.get_mut(&guild) else { return };
            let new = !place.members.contains_key(&user);
            let member = place.members.entry(user).or_insert_with(|| Member { roles: [].into(), joined_at: now });
            member.roles = roles.iter().copied().collect();
            world.emit_member(if new { "GUILD_MEMBER_ADD" } else { "GUILD_MEMBER_UPDATE" }, guild, user);
        });
    }

    /// Somebody leaves a guild.
    pub fn remove_member(&self, guild: Id, user: Id) {
        self.act(|world| {
            if world.guilds.get_mut(&guild).is_some_and(|place| place.members.remove(&user).is_some()) {
                world.emit_member("GUILD_MEMBER_REMOVE", guild, user);
            }
        });
    }

    /// A channel with the usual permissions, unless it is hidden.
    pub fn add_channel(&self, guild: Id, new: NewChannel) -> Id {
        self.act(|world| {
            let mut channel = world.make_channel(Some(guild), new.kind, &new.name);
            (channel.parent, channel.topic, channel.tag_required) = (new.parent, new.topic, new.tag_required);
            channel.tags = new.tags.into_iter().map(|(name, moderated)| Tag { id: world.fresh(), name, moderated }).collect();
            if new.hidden {
                let (deny, allow) = (Permissions::VIEW_CHANNEL, Permissions::NONE);
                channel.overwrites.push(Overwrite { id: guild, of: OverwriteOf::Role, allow, deny });
            }
            let id = channel.id;
            world.channels.insert(id, channel);
            world.emit_channel("CHANNEL_CREATE", id);
            id
        })
    }

    /// A text channel.
    pub fn add_text_channel(&self, guild: Id, name: &str) -> Id {
        self.add_channel(guild, NewChannel::text(name))
    }

    /// Says who may more or less in a channel; the last word about somebody counts.
    pub fn overwrite(&self, channel: Id, overwrite: Overwrite) {
        self.act(|world| {
            if let Some(place) = world.channels.get_mut(&channel) {
                place.overwrites.retain(|one| one.id != overwrite.id);
                place.overwrites.push(overwrite);
            }
            world.emit_channel("CHANNEL_UPDATE", channel);
        });
    }

    /// Takes permissions from us in one channel.
    pub fn deny_us(&self, channel: Id, deny: Permissions) {
        self.overwrite(channel, Overwrite { id: self.us(), of: OverwriteOf::Member, allow: Permissions::NONE, deny });
    }

    /// Gives us permissions in one channel.
    pub fn allow_us(&self, channel: Id, allow: Permissions) {
        self.overwrite(channel, Overwrite { id: self.us(), of: OverwriteOf::Member, allow, deny: Permissions::NONE });
    }

    /// Somebody deletes a channel or thread.
    ///
    /// # Errors
    /// When they may not.
    pub fn delete_channel(&self, channel: Id, by: Id) -> anyhow::Result<()> {
        self.try_act(|world| world.drop_channel(channel, by))
    }

    /// Somebody takes no direct messages from us any more, or takes them again.
    pub fn close_direct(&self, user: Id, closed: bool) {
        self.act(|world| if closed { world.faults.closed.insert(user) } else { world.faults.closed.remove(&user) });
    }

    /// Somebody archives a thread, or brings it back.
    ///
    /// # Errors
    /// When they may not.
    pub fn archive(&self, thread: Id, by: Id, archived: bool) -> anyhow::Result<()> {
        self.renovate(thread, by, Renovation { archived: Some(archived), ..Renovation::default() })
    }

    /// Somebody locks a thread, or unlocks it.
    ///
    /// # Errors
    /// When they may not.
    pub fn lock(&self, thread: Id, by: Id, locked: bool) -> anyhow::Result<()> {
        self.renovate(thread, by, Renovation { locked: Some(locked), ..Renovation::default() })
    }

    /// Somebody renames a channel or thread.
    ///
    /// # Errors
    /// When they may not, or it was renamed twice in ten minutes.
    pub fn rename(&self, channel: Id, by: Id, name: &str) -> anyhow::Result<()> {
        self.renovate(channel, by, Renovation { name: Some(name.to_owned()), ..Renovation::default() })
    }

    fn renovate(&self, channel: Id, by: Id, to: Renovation) -> anyhow::Result<()> {
        self.try_act(|world| world.renovate(channel, by, to))
    }

    /// Archives every thread that was silent for as long as it was to be, by the clock.
    pub fn archive_silent_threads(&self) {
        self.act(|world| {
            let now = world.now();
            let silent = world.channels.values().filter_map(|channel| {
                let thread = channel.thread.as_ref().filter(|thread| !thread.archived)?;
                let last = channel.last_message.map_or(thread.created_at, super::super::world::made_at);
                let minutes = (now - last.max(thread.archive_changed)).num_minutes();
                (minutes >= i64::try_from(thread.auto_archive).unwrap_or(i64::MAX)).then_some(channel.id)
            });
            for id in silent.collect::<Vec<Id>>() {
                if let Some(thread) = world.thread_mut(id) {
                    (thread.archived, thread.archive_changed) = (true, now);
                }
                world.emit_channel("THREAD_UPDATE", id);
            }
        });
    }

    /// Whether the settings let messages be read without being named.
    pub fn reads_content(&self) -> bool {
        self.world(|world| world.app.privileged & intents::MESSAGE_CONTENT != 0)
    }
}

impl World {
    /// We leave a guild, or are put out.
    pub(in super::super) fn leave_guild(&mut self, guild: Id) {
        if self.our_guild(guild).is_err() {
            return;
        }
        self.emit_left(guild);
        let us = self.us();
        if let Some(place) = self.guilds.get_mut(&guild) {
            place.members.remove(&us);
            place.roles.retain(|_, role| role.bot != Some(us));
        }
        self.commands.remove(&Some(guild));
    }
}

//! Channels and threads: looked at, opened from a message, renamed, brought back; and the sign that somebody types.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use serenity::model::channel::PermissionOverwrite;
use serenity::model::id::{ChannelId, ForumTagId, GuildId, MessageId, UserId};

use super::client::{Call, Discord, Effect};
use super::error::{DiscordError, code};

/// A channel, thread, forum or conversation with one person. Holds what we use of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// What it is.
    pub kind: ChannelKind,
    /// The guild it is in; none for direct messages.
    pub guild: Option<GuildId>,
    /// Of a thread or post: the channel or forum it is in. Of a channel: its category.
    pub parent: Option<ChannelId>,
    /// Its name; empty for direct messages.
    pub name: String,
    /// Who opened the thread.
    pub owner: Option<UserId>,
    /// The newest message; it may have been deleted.
    pub last_message: Option<MessageId>,
    /// What only threads have.
    pub thread: Option<ThreadState>,
    /// Tags the posts of a forum may have.
    pub tags: Vec<ForumTag>,
    /// What roles and people may differently here.
    pub overwrites: Vec<PermissionOverwrite>,
    /// With whom a direct conversation is.
    pub recipients: Vec<UserId>,
}

/// Kinds of channels, as far as we treat them differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// Text, also of voice channels, and announcements.
    Text,
    /// A conversation with one person.
    Direct,
    /// A thread or a post everybody sees.
    PublicThread,
    /// A thread for those who are in it.
    PrivateThread,
    /// Holds posts, which are threads, and no messages.
    Forum,
    /// Nothing we can write in: categories, directories, and what is newer than this.
    Other,
}

impl ChannelKind {
    fn of(number: u8) -> Self {
        match number {
            0 | 2 | 5 | 13 => Self::Text,
            1 => Self::Direct,
            10 | 11 => Self::PublicThread,
            12 => Self::PrivateThread,
            15 | 16 => Self::Forum,
            _ => Self::Other,
        }
    }

    /// True for threads and posts.
    pub fn is_thread(self) -> bool {
        match self {
            Self::PublicThread | Self::PrivateThread => true,
            Self::Text | Self::Direct | Self::Forum | Self::Other => false,
        }
    }
}

/// What only threads have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadState {
    /// Hidden until somebody writes.
    pub archived: bool,
    /// Only moderators write.
    pub locked: bool,
    /// When it was archived or brought back.
    pub archive_changed: DateTime<Utc>,
    /// The tags of a post.
    pub applied_tags: Vec<ForumTagId>,
}

/// A tag of a forum.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ForumTag {
    /// Its id.
    pub id: ForumTagId,
    /// Its name.
    pub name: String,
    /// Only moderators give it.
    #[serde(default)]
    pub moderated: bool,
}

/// A thread that is to be opened from a message.
#[derive(Clone, Copy, Debug)]
pub struct NewThread<'a> {
    /// Its name; cut to 100 characters.
    pub name: &'a str,
}

/// What became of a thread that was to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It was opened.
    Now {
        /// Its name, as Discord has it.
        name: String,
    },
    /// It was there already: opened by somebody else, or by us with an answer that was lost.
    Before,
}

/// Characters a name may have.
const LONGEST_NAME: usize = 100;

#[derive(Deserialize)]
struct Wire {
    id: ChannelId,
    #[serde(rename = "type")]
    kind: u8,
    guild_id: Option<GuildId>,
    parent_id: Option<ChannelId>,
    name: Option<String>,
    owner_id: Option<UserId>,
    last_message_id: Option<MessageId>,
    thread_metadata: Option<WireThread>,
    #[serde(default)]
    applied_tags: Vec<ForumTagId>,
    #[serde(default)]
    available_tags: Vec<ForumTag>,
    #[serde(default)]
    permission_overwrites: Vec<Value>,
    #[serde(default)]
    recipients: Vec<WireUser>,
}

#[derive(Deserialize)]
struct WireThread {
    archived: bool,
    #[serde(default)]
    locked: bool,
    archive_timestamp: DateTime<Utc>,
}

#[derive(Deserialize)]
struct WireUser {
    id: UserId,
}

impl From<Wire> for Channel {
    fn from(wire: Wire) -> Self {
        let applied_tags = wire.applied_tags;
        let thread = wire.thread_metadata.map(|thread| ThreadState {
            archived: thread.archived,
            locked: thread.locked,
            archive_changed: thread.archive_timestamp,
            applied_tags,
        });
        Self {
            id: wire.id,
            kind: ChannelKind::of(wire.kind),
            guild: wire.guild_id,
            parent: wire.parent_id,
            name: wire.name.unwrap_or_default(),
            owner: wire.owner_id,
            last_message: wire.last_message_id,
            thread,
            tags: wire.available_tags,
            overwrites: wire.permission_overwrites.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect(),
            recipients: wire.recipients.into_iter().map(|user| user.id).collect(),
        }
    }
}

#[derive(Deserialize)]
struct Threads {
    threads: Vec<Wire>,
}

impl Discord {
    /// A channel or thread.
    ///
    /// # Errors
    /// As the call; `NotFound` when it was deleted, `Forbidden` when we do not see it.
    pub async fn channel(&self, id: ChannelId) -> Result<Channel, DiscordError> {
        Ok(self.call(&Call::get(format!("/channels/{id}"))).await?.json::<Wire>(Effect::None)?.into())
    }

    /// Opens the thread of a message, which has the message's number. Idempotent: a thread that is there already is the thread.
    ///
    /// # Errors
    /// As the call; `Forbidden` when we may not open threads there, `Invalid` where there cannot be one.
    pub async fn start_thread(&self, channel: ChannelId, message: MessageId, new: NewThread<'_>) -> Result<Opened, DiscordError> {
        let name = thread_name(new.name);
        let call = Call::post(format!("/channels/{channel}/messages/{message}/threads"), json!({"name": name}), Effect::Change);
        match self.call(&call).await {
            Ok(answer) => Ok(Opened::Now { name: answer.json::<Wire>(Effect::Change)?.name.unwrap_or(name) }),
            Err(error) if error.code() == Some(code::THREAD_EXISTS) => Ok(Opened::Before),
            Err(error) => Err(error),
        }
    }

    /// Renames a channel or thread; the name is cut to 100 characters. Discord allows it twice in ten minutes.
    ///
    /// # Errors
    /// As the call; `RateLimited` for minutes when it was renamed twice already, which holds up nothing else.
    pub async fn rename(&self, id: ChannelId, name: &str) -> Result<(), DiscordError> {
        let call = Call::patch(format!("/channels/{id}"), json!({"name": thread_name(name)}));
        self.call(&call.with_own_limit()).await.map(drop)
    }

    /// Archives a thread or brings it back. Idempotent.
    ///
    /// # Errors
    /// As the call; `Forbidden` or `Invalid` when it is locked.
    pub async fn archive(&self, thread: ChannelId, archived: bool) -> Result<(), DiscordError> {
        self.call(&Call::patch(format!("/channels/{thread}"), json!({"archived": archived}))).await.map(drop)
    }

    /// Replaces the tags of a post; at most five. Idempotent.
    ///
    /// # Errors
    /// As the call; `Forbidden` when somebody else opened it and we are no moderator.
    pub async fn tag(&self, post: ChannelId, tags: &[ForumTagId]) -> Result<(), DiscordError> {
        let call = Call::patch(format!("/channels/{post}"), json!({"applied_tags": tags}));
        self.call(&call.with_own_limit()).await.map(drop)
    }

    /// Shows for ten seconds, or until we write, that we type.
    ///
    /// # Errors
    /// As the call.
    pub async fn type_in(&self, channel: ChannelId) -> Result<(), DiscordError> {
        self.call(&Call::post(format!("/channels/{channel}/typing"), json!({}), Effect::Change)).await.map(drop)
    }

    /// The threads and posts of a guild that are not archived and that we see.
    ///
    /// # Errors
    /// As the call.
    pub async fn active_threads(&self, guild: GuildId) -> Result<Vec<Channel>, DiscordError> {
        let threads: Threads = self.call(&Call::get(format!("/guilds/{guild}/threads/active"))).await?.json(Effect::None)?;
        Ok(threads.threads.into_iter().map(Channel::from).collect())
    }

    /// The channels of a guild, without threads; also those we cannot look into.
    ///
    /// # Errors
    /// As the call.
    pub async fn guild_channels(&self, guild: GuildId) -> Result<Vec<Channel>, DiscordError> {
        let channels: Vec<Wire> = self.call(&Call::get(format!("/guilds/{guild}/channels"))).await?.json(Effect::None)?;
        Ok(channels.into_iter().map(Channel::from).collect())
    }

    /// The conversation with one person; made when there is none.
    ///
    /// # Errors
    /// As the call.
    pub async fn direct_channel(&self, person: UserId) -> Result<Channel, DiscordError> {
        let call = Call::post("/users/@me/channels", json!({"recipient_id": person}), Effect::Change);
        Ok(self.call(&call).await?.json::<Wire>(Effect::Change)?.into())
    }
}

/// A name that Discord takes: on one line, neither empty nor longer than 100 characters.
pub fn thread_name(name: &str) -> String {
    let line = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().take(LONGEST_NAME).collect();
    if cut.is_empty() { "thread".to_owned() } else { cut.trim_end().to_owned() }
}

/// A channel from Discord's JSON.
#[cfg(test)]
pub(super) fn from_wire(wire: Value) -> Option<Channel> {
    serde_json::from_value::<Wire>(wire).ok().map(Channel::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_that_fits() {
        assert_eq!(thread_name(" Fix\nthe  build "), "Fix the build");
        assert_eq!(thread_name(" \n"), "thread");
        assert_eq!(thread_name(&"é".repeat(200)).chars().count(), 100);
    }

    #[test]
    fn what_is_newer_than_this_is_something_else() {
        assert_eq!(ChannelKind::of(99), ChannelKind::Other);
        assert!(ChannelKind::of(11).is_thread() && !ChannelKind::of(15).is_thread());
    }
}

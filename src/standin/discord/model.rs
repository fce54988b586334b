//! What exists on this Discord.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::permission::Permissions;

/// A snowflake: when something was made, and which of that moment's things it is. Larger is newer.
pub type Id = u64;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub id: Id,
    /// Its name, lower case.
    pub name: String,
    /// True for an application's account.
    pub bot: bool,
}

/// What a server is called in the API.
#[derive(Clone, Debug)]
pub struct Guild {
    /// Its number, and that of its role `@everyone`.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Who may everything.
    pub owner: Id,
    /// By number.
    pub roles: BTreeMap<Id, Role>,
    /// By account.
    pub members: BTreeMap<Id, Member>,
    /// How far it is boosted, 0 to 3: decides how large files may be.
    pub tier: u8,
}

/// What several members have in common.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its number.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// What it allows.
    pub permissions: Permissions,
    /// Whether anybody may ping it.
    pub mentionable: bool,
    /// The bot it was made for.
    pub bot: Option<Id>,
}

/// Somebody in a guild.
#[derive(Clone, Debug)]
pub struct Member {
    /// Beside `@everyone`.
    pub roles: BTreeSet<Id>,
    /// Since when.
    pub joined_at: DateTime<Utc>,
}

/// What a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// Text in a guild.
    Text,
    /// Two people.
    Dm,
    /// Talk.
    Voice,
    /// A heading over channels.
    Category,
    /// Text that others may follow.
    Announcement,
    /// A thread everybody sees.
    PublicThread,
    /// A thread for some.
    PrivateThread,
    /// Nothing but threads.
    Forum,
}

impl ChannelKind {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Text => 0,
            Self::Dm => 1,
            Self::Voice => 2,
            Self::Category => 4,
            Self::Announcement => 5,
            Self::PublicThread => 11,
            Self::PrivateThread => 12,
            Self::Forum => 15,
        }
    }

    pub(super) fn holds_messages(self) -> bool {
        !matches!(self, Self::Category | Self::Forum)
    }
}

/// Where messages are: a channel, a thread, or what two people say to each other.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its number.
    pub id: Id,
    /// Where it is; none for direct messages.
    pub guild: Option<Id>,
    /// What it is.
    pub kind: ChannelKind,
    /// Its name; empty for direct messages.
    pub name: String,
    /// What it says about itself.
    pub topic: Option<String>,
    /// The category of a channel, the channel of a thread.
    pub parent: Option<Id>,
    /// Who may more or less here than elsewhere.
    pub overwrites: Vec<Overwrite>,
    /// What posts of a forum can be tagged with.
    pub tags: Vec<Tag>,
    /// Whether every post of a forum needs a tag.
    pub tag_required: bool,
    /// Seconds people wait between two messages.
    pub slowmode: u64,
    /// The newest message there ever was.
    pub last_message: Option<Id>,
    /// What makes it a thread.
    pub thread: Option<Thread>,
    /// Both sides of a direct conversation.
    pub recipients: Vec<Id>,
    pub(super) renamed: VecDeque<DateTime<Utc>>,
    pub(super) old_edits: VecDeque<DateTime<Utc>>,
}

/// Permissions in one channel for one role or member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overwrite {
    /// Of the role or the account.
    pub id: Id,
    /// Whom it is for.
    pub of: OverwriteOf,
    /// What they may here.
    pub allow: Permissions,
    /// What they may not here.
    pub deny: Permissions,
}

/// Whom an overwrite is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverwriteOf {
    /// All with a role.
    Role,
    /// One account.
    Member,
}

/// What a post can be tagged with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its number.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Whether only moderators may set it.
    pub moderated: bool,
}

/// What a thread has beside a channel.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Who opened it.
    pub owner: Id,
    /// Out of sight until somebody writes.
    pub archived: bool,
    /// Whether only moderators may write.
    pub locked: bool,
    /// Minutes of silence until it is archived.
    pub auto_archive: u64,
    /// When it was archived or brought back.
    pub archive_changed: DateTime<Utc>,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// Since when who is in it.
    pub members: BTreeMap<Id, DateTime<Utc>>,
    /// A post's tags.
    pub tags: Vec<Id>,
    /// How many messages there are, the first of a forum post or the one it was opened from not counted.
    pub messages: u64,
    /// How many there ever were.
    pub sent: u64,
}

/// Whom a message reached with a sound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pings {
    /// `@everyone` or `@here`.
    pub everyone: bool,
    /// Roles.
    pub roles: Vec<Id>,
    /// Single people; also whom a reply was to.
    pub users: Vec<Id>,
}

/// Something that was written.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its number.
    pub id: Id,
    /// Where it stands.
    pub channel: Id,
    /// Who wrote it.
    pub author: Id,
    /// What it says now.
    pub content: String,
    /// What it said before, oldest first.
    pub versions: Vec<String>,
    /// When it was changed last.
    pub edited_at: Option<DateTime<Utc>>,
    /// Discord's number for what it is: 0 usual, 19 a reply, 20 an answer to a command, 21 the first of a thread.
    pub kind: u8,
    /// Discord's flags: 64 for one person's eyes, 128 still thinking.
    pub flags: u64,
    /// Its files.
    pub attachments: Vec<Attachment>,
    /// As they were sent.
    pub embeds: Vec<Value>,
    /// As they were sent.
    pub components: Vec<Value>,
    /// Channel and message it replies to.
    pub reference: Option<(Id, Id)>,
    /// Whom it names now.
    pub mentions: Vec<Id>,
    /// Whom it reached with a sound when it was sent; editing pings nobody.
    pub pings: Pings,
    /// In the order they appeared: emoji, and who.
    pub reactions: Vec<(String, Vec<Id>)>,
    /// Who alone sees it.
    pub only_for: Option<Id>,
    /// The interaction it answers.
    pub interaction: Option<Id>,
    pub(super) nonce: Option<Value>,
}

/// For one person's eyes.
pub(super) const EPHEMERAL: u64 = 1 << 6;
/// Thinking.
pub(super) const LOADING: u64 = 1 << 7;
/// A thread was opened from it.
pub(super) const HAS_THREAD: u64 = 1 << 5;
/// Links show no embeds.
pub(super) const SUPPRESS_EMBEDS: u64 = 1 << 2;
/// Sent without a sound.
pub(super) const SUPPRESS_NOTIFICATIONS: u64 = 1 << 12;

/// A file of a message. Its bytes are at its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its number.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// What it says it is.
    pub content_type: Option<String>,
    /// What somebody said about it.
    pub description: Option<String>,
    /// Bytes.
    pub bytes: bytes::Bytes,
}

//! Everything there is, how it is found, and who may see it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::error::{Code, Refuse};
use super::fault::Faults;
use super::gateway::Gateway;
use super::interaction::Interaction;
use super::limits::Limits;
use super::model::{Channel, ChannelKind, Guild, Id, Member, Message, Role, Thread, User};
use super::permission::Permissions;
use crate::clock::Clock;

/// 2015, in milliseconds.
const FIRST_MOMENT: i64 = 1_420_070_400_000;
const MOST_REQUESTS: usize = 5_000;
const MOST_TYPING: usize = 1_000;

/// Everything there is.
pub struct World {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) origin: String,
    pub(super) app: Application,
    last_id: Id,
    pub(super) users: BTreeMap<Id, User>,
    pub(super) guilds: BTreeMap<Id, Guild>,
    pub(super) channels: BTreeMap<Id, Channel>,
    /// By channel.
    pub(super) messages: BTreeMap<Id, BTreeMap<Id, Message>>,
    /// Of everywhere, and of single guilds.
    pub(super) commands: BTreeMap<Option<Id>, Vec<Value>>,
    pub(super) commands_made: u64,
    pub(super) interactions: BTreeMap<Id, Interaction>,
    pub(super) gateway: Gateway,
    pub(super) limits: Limits,
    pub(super) faults: Faults,
    pub(super) requests: VecDeque<RequestRecord>,
    pub(super) typing: VecDeque<Typing>,
}

/// The application whose bot the service is.
#[derive(Clone, Debug)]
pub(super) struct Application {
    /// Its number, which is also its bot's.
    pub id: Id,
    pub name: String,
    pub owner: Id,
    /// Privileged intents switched on in its settings.
    pub privileged: u64,
}

/// Somebody was seen typing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Typing {
    /// Where.
    pub channel: Id,
    /// Who.
    pub user: Id,
    /// When.
    pub at: DateTime<Utc>,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// Its method.
    pub method: String,
    /// Its path below the version, without query, such as `/channels/1/messages`.
    pub path: String,
    /// What follows the question mark.
    pub query: Option<String>,
    /// Its JSON, also that of a form with files.
    pub body: Option<Value>,
    /// Names of files that came with it.
    pub files: Vec<String>,
    /// What it was answered with; none while it hangs.
    pub status: Option<u16>,
    /// Discord's code when it was refused.
    pub code: Option<u64>,
    /// When it arrived.
    pub at: DateTime<Utc>,
}

impl World {
    pub(super) fn new(clock: Arc<dyn Clock>, origin: String, name: &str, privileged: u64) -> Self {
        let app = Application { id: 0, name: name.to_owned(), owner: 0, privileged };
        let mut world = Self {
            clock,
            origin,
            app,
            last_id: 0,
            users: BTreeMap::new(),
            guilds: BTreeMap::new(),
            channels: BTreeMap::new(),
            messages: BTreeMap::new(),
            commands: BTreeMap::new(),
            commands_made: 0,
            interactions: BTreeMap::new(),
            gateway: Gateway::default(),
            limits: Limits::default(),
            faults: Faults::default(),
            requests: VecDeque::new(),
            typing: VecDeque::new(),
        };
        world.app.owner = world.add_user("developer", false);
        world.app.id = world.add_user(name, true);
        world
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A number newer than every other.
    pub(super) fn fresh(&mut self) -> Id {
        let since = (self.now().timestamp_millis() - FIRST_MOMENT).max(1).unsigned_abs();
        self.last_id = (since << 22).max(self.last_id + 1);
        self.last_id
    }

    pub(super) fn add_user(&mut self, name: &str, bot: bool) -> Id {
        let id = self.fresh();
        self.users.insert(id, User { id, name: name.to_lowercase(), bot });
        id
    }

    /// The account of the service.
    pub(super) fn us(&self) -> Id {
        self.app.id
    }

    /// An account by number.
    pub fn user(&self, id: Id) -> Option<&User> {
        self.users.get(&id)
    }

    /// A guild by number.
    pub fn guild(&self, id: Id) -> Option<&Guild> {
        self.guilds.get(&id)
    }

    /// A channel, thread or direct conversation by number.
    pub fn channel(&self, id: Id) -> Option<&Channel> {
        self.channels.get(&id)
    }

    /// What stands in a channel, oldest first, with what only single people see.
    pub fn messages(&self, channel: Id) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.get(&channel).into_iter().flat_map(BTreeMap::values)
    }

    /// A message wherever it stands.
    pub fn message(&self, id: Id) -> Option<&Message> {
        self.messages.values().find_map(|of_channel| of_channel.get(&id))
    }

    /// The threads of a channel or forum, oldest first, archived ones too.
    pub fn threads(&self, parent: Id) -> impl Iterator<Item = &Channel> {
        self.channels.values().filter(move |channel| channel.thread.is_some() && channel.parent == Some(parent))
    }

    /// The thread that was opened from a message.
    pub fn thread_of(&self, message: Id) -> Option<&Channel> {
        // A thread has the number of the message it was opened from.
        self.channels.get(&message).filter(|channel| channel.thread.is_some())
    }

    /// Who was seen typing, oldest first; the last 1,000.
    pub fn typing(&self) -> impl Iterator<Item = &Typing> {
        self.typing.iter()
    }

    /// The requests that arrived, oldest first; the last 5,000.
    pub fn requests(&self) -> impl Iterator<Item = &RequestRecord> {
        self.requests.iter()
    }

    /// What somebody may in a channel; nothing where they see nothing.
    pub fn permissions(&self, channel: Id, user: Id) -> Permissions {
        self.channels.get(&channel).map_or(Permissions::NONE, |channel| self.permissions_in(channel, user))
    }

    pub(super) fn record(&mut self, request: RequestRecord) {
        self.requests.push_back(request);
        if self.requests.len() > MOST_REQUESTS {
            self.requests.pop_front();
        }
    }

    /// A channel that somebody sees, with what they may there.
    pub(super) fn seen(&self, channel: Id, by: Id) -> Result<(&Channel, Permissions), Refuse> {
        let channel = self.channels.get(&channel).ok_or(Code::UNKNOWN_CHANNEL)?;
        let may = self.permissions_in(channel, by);
        if may.has(Permissions::VIEW_CHANNEL) { Ok((channel, may)) } else { Err(Code::MISSING_ACCESS.into()) }
    }

    /// The same, with a permission that is needed there.
    pub(super) fn allowed(&self, channel: Id, by: Id, wanted: Permissions) -> Result<&Channel, Refuse> {
        let (channel, may) = self.seen(channel, by)?;
        if may.has(wanted) { Ok(channel) } else { Err(Code::MISSING_PERMISSIONS.into()) }
    }

    /// A message of a channel that everybody there sees.
    pub(super) fn public_message(&self, channel: Id, message: Id) -> Result<&Message, Code> {
        let found = self.messages.get(&channel).and_then(|all| all.get(&message));
        found.filter(|message| message.only_for.is_none()).ok_or(Code::UNKNOWN_MESSAGE)
    }

    pub(super) fn message_mut(&mut self, channel: Id, message: Id) -> Result<&mut Message, Code> {
        self.messages.get_mut(&channel).and_then(|all| all.get_mut(&message)).ok_or(Code::UNKNOWN_MESSAGE)
    }

    pub(super) fn thread_mut(&mut self, channel: Id) -> Option<&mut Thread> {
        self.channels.get_mut(&channel)?.thread.as_mut()
    }

    /// A guild the service is in.
    pub(super) fn our_guild(&self, guild: Id) -> Result<&Guild, Code> {
        let ours = self.guilds.get(&guild).filter(|guild| guild.members.contains_key(&self.us()));
        ours.ok_or(if self.guilds.contains_key(&guild) { Code::MISSING_ACCESS } else { Code::UNKNOWN_GUILD })
    }

    pub(super) fn make_guild(&mut self, name: &str, owner: Id) -> Id {
        let id = self.fresh();
        let everyone = Role { id, name: "@everyone".into(), permissions: Permissions::USUAL, mentionable: false, bot: None };
        let mut guild = Guild {
            id,
            name: name.to_owned(),
            owner,
            roles: BTreeMap::from([(id, everyone)]),
            members: BTreeMap::new(),
            tier: 0,
        };
        guild.members.insert(owner, Member { roles: [].into(), joined_at: self.now() });
        self.guilds.insert(id, guild);
        id
    }

    pub(super) fn make_channel(&mut self, guild: Option<Id>, kind: ChannelKind, name: &str) -> Channel {
        let id = self.fresh();
        Channel {
            id,
            guild,
            kind,
            name: name.to_owned(),
            topic: None,
            parent: None,
            overwrites: Vec::new(),
            tags: Vec::new(),
            tag_required: false,
            slowmode: 0,
            last_message: None,
            thread: None,
            recipients: Vec::new(),
            renamed: VecDeque::new(),
            old_edits: VecDeque::new(),
        }
    }

    /// The direct conversation with somebody, opened when there is none.
    pub(super) fn direct_channel(&mut self, with: Id) -> Id {
        let us = self.us();
        let known =
            self.channels.values().find(|one| one.kind == ChannelKind::Dm && one.recipients.contains(&with)).map(|one| one.id);
        if let Some(id) = known {
            return id;
        }
        let mut channel = self.make_channel(None, ChannelKind::Dm, "");
        channel.recipients = vec![with, us];
        let id = channel.id;
        self.channels.insert(id, channel);
        id
    }

    pub(super) fn note_typing(&mut self, channel: Id, user: Id) {
        let at = self.now();
        self.typing.push_back(Typing { channel, user, at });
        if self.typing.len() > MOST_TYPING {
            self.typing.pop_front();
        }
        self.emit_typing(channel, user, at);
    }

    /// What a failed wait shows.
    pub(super) fn describe(&self) -> String {
        let mut text = String::from("Messages:");
        for message in self.messages.values().flat_map(BTreeMap::values).rev().take(20) {
            let author = self.users.get(&message.author).map_or("?", |user| &user.name);
            let place = self.channels.get(&message.channel).map_or("?", |channel| &channel.name);
            text.push_str(&format!("\n- #{place} {author}: {}", message.content));
        }
        text.push_str("\nLast requests:");
        for request in self.requests.iter().rev().take(10) {
            text.push_str(&format!("\n- {} {} → {:?} {:?}", request.method, request.path, request.status, request.code));
        }
        text.push_str(&format!("\n{}", self.gateway.describe()));
        text
    }
}

/// When something with this number was made.
pub fn made_at(id: Id) -> DateTime<Utc> {
    let since = i64::try_from(id >> 22).unwrap_or(i64::MAX / 2);
    DateTime::from_timestamp_millis(FIRST_MOMENT + since).unwrap_or(DateTime::UNIX_EPOCH + TimeDelta::days(1))
}

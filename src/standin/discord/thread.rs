//! Threads and the posts of forums: opened, changed, joined, left.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::Value;

use super::draft::Draft;
use super::error::{Code, Problems, Refuse};
use super::mention::id_of;
use super::model::{Channel, ChannelKind, Id, Thread};
use super::permission::Permissions;
use super::world::World;

const LONGEST_NAME: usize = 100;
const MOST_TAGS: usize = 5;
/// How often a channel or thread can be renamed in ten minutes.
const MOST_RENAMES: usize = 2;

/// A thread that is asked for.
#[derive(Debug)]
pub(super) struct NewThread {
    pub name: String,
    pub auto_archive: u64,
    pub kind: ChannelKind,
    pub tags: Vec<Id>,
}

impl NewThread {
    pub fn read(body: &Value, kind: ChannelKind) -> Result<Self, Refuse> {
        let mut problems = Problems::default();
        let name = name(body, &mut problems);
        if name.is_none() && body["name"].is_null() {
            problems.required("name");
        }
        let auto_archive = auto_archive(body, &mut problems).unwrap_or(4320);
        let tags = tags(body, &mut problems).unwrap_or_default();
        let kind = match body["type"].as_u64() {
            None | Some(11) => kind,
            Some(12) => ChannelKind::PrivateThread,
            Some(_) => {
                problems.choice("type", "(10, 11, 12)");
                kind
            }
        };
        problems.finish()?;
        Ok(Self { name: name.unwrap_or_default(), auto_archive, kind, tags })
    }
}

pub(super) fn name(body: &Value, problems: &mut Problems) -> Option<String> {
    let name = body["name"].as_str()?.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        problems.length("name", 1, LONGEST_NAME);
    }
    Some(name.to_owned())
}

fn auto_archive(body: &Value, problems: &mut Problems) -> Option<u64> {
    let minutes = body["auto_archive_duration"].as_u64()?;
    if ![60, 1440, 4320, 10_080].contains(&minutes) {
        problems.choice("auto_archive_duration", "(60, 1440, 4320, 10080)");
    }
    Some(minutes)
}

fn tags(body: &Value, problems: &mut Problems) -> Option<Vec<Id>> {
    let tags: Vec<Id> = body["applied_tags"].as_array()?.iter().filter_map(id_of).collect();
    if tags.len() > MOST_TAGS {
        problems.too_long("applied_tags", MOST_TAGS);
    }
    Some(tags)
}

/// What is asked to be different about a channel or thread.
#[derive(Debug, Default)]
pub(super) struct Renovation {
    pub name: Option<String>,
    pub topic: Option<Option<String>>,
    pub archived: Option<bool>,
    pub locked: Option<bool>,
    pub auto_archive: Option<u64>,
    pub tags: Option<Vec<Id>>,
    pub slowmode: Option<u64>,
}

impl Renovation {
    pub fn read(body: &Value) -> Result<Self, Refuse> {
        let mut problems = Problems::default();
        let slowmode = body["rate_limit_per_user"].as_u64();
        if slowmode.is_some_and(|seconds| seconds > 21_600) {
            problems.add("rate_limit_per_user", "NUMBER_TYPE_MAX", "int value should be less than or equal to 21600.");
        }
        let topic = body.get("topic").map(|topic| topic.as_str().map(str::to_owned));
        if topic.iter().flatten().any(|topic| topic.chars().count() > 1024) {
            problems.too_long("topic", 1024);
        }
        let read = Self {
            name: name(body, &mut problems),
            topic,
            archived: body["archived"].as_bool(),
            locked: body["locked"].as_bool(),
            auto_archive: auto_archive(body, &mut problems),
            tags: tags(body, &mut problems),
            slowmode,
        };
        problems.finish()?;
        Ok(read)
    }
}

impl World {
    /// Opens a thread from a message; it gets the message's number.
    pub(super) fn open_thread(&mut self, channel: Id, message: Id, by: Id, new: NewThread) -> Result<Id, Refuse> {
        let place = self.allowed(channel, by, Permissions::CREATE_PUBLIC_THREADS)?;
        if !matches!(place.kind, ChannelKind::Text | ChannelKind::Announcement) {
            return Err(Code::WRONG_CHANNEL.into());
        }
        self.public_message(channel, message)?;
        if self.thread_of(message).is_some() {
            return Err(Code::THREAD_EXISTS.into());
        }
        let thread = self.begin_thread(channel, by, new, Some(message));
        self.emit_message("MESSAGE_UPDATE", channel, message);
        let starter = (channel, message);
        self.put(thread, by, Draft::default(), |message| (message.kind, message.reference) = (21, Some(starter)));
        Ok(thread)
    }

    /// Opens a thread without a message.
    pub(super) fn open_bare_thread(&mut self, channel: Id, by: Id, new: NewThread) -> Result<Id, Refuse> {
        let wanted = match new.kind {
            ChannelKind::PrivateThread => Permissions::CREATE_PRIVATE_THREADS,
            _ => Permissions::CREATE_PUBLIC_THREADS,
        };
        let place = self.allowed(channel, by, wanted)?;
        if !matches!(place.kind, ChannelKind::Text | ChannelKind::Announcement) {
            return Err(Code::WRONG_CHANNEL.into());
        }
        Ok(self.begin_thread(channel, by, new, None))
    }

    /// Writes a post in a forum: a thread with its first message, which has its number.
    pub(super) fn open_post(&mut self, forum: Id, by: Id, new: NewThread, draft: Draft) -> Result<Id, Refuse> {
        let place = self.allowed(forum, by, Permissions::SEND_MESSAGES)?;
        if place.kind != ChannelKind::Forum {
            return Err(Code::WRONG_CHANNEL.into());
        }
        self.check_tags(place, by, &new.tags)?;
        let may = self.permissions_in(place, by);
        let lacks_files = !draft.files.is_empty() && !may.has(Permissions::ATTACH_FILES);
        if lacks_files || (!draft.embeds.is_empty() && !may.has(Permissions::EMBED_LINKS)) {
            return Err(Code::MISSING_PERMISSIONS.into());
        }
        let most = self.largest_file(place);
        if draft.files.iter().any(|file| file.bytes.len() > most) {
            return Err(Code::TOO_LARGE.into());
        }
        let thread = self.begin_thread(forum, by, new, None);
        self.put(thread, by, draft, |message| message.id = thread);
        Ok(thread)
    }

    fn check_tags(&self, forum: &Channel, by: Id, tags: &[Id]) -> Result<(), Refuse> {
        let moderates = self.permissions_in(forum, by).has(Permissions::MANAGE_THREADS);
        if tags.is_empty() && forum.tag_required {
            return Err(Code::TAG_REQUIRED.into());
        }
        for id in tags {
            let Some(tag) = forum.tags.iter().find(|tag| tag.id == *id) else {
                return Err(Refuse::form("applied_tags", "UNKNOWN_TAG", "Unknown tag"));
            };
            if tag.moderated && !moderates {
                return Err(Code::MISSING_PERMISSIONS.into());
            }
        }
        Ok(())
    }

    fn begin_thread(&mut self, parent: Id, by: Id, new: NewThread, from: Option<Id>) -> Id {
        let now = self.now();
        let guild = self.channels.get(&parent).and_then(|channel| channel.guild);
        let mut channel = self.make_channel(guild, new.kind, &new.name);
        channel.id = from.unwrap_or(channel.id);
        channel.parent = Some(parent);
        channel.thread = Some(Thread {
            owner: by,
            archived: false,
            locked: false,
            auto_archive: new.auto_archive,
            archive_changed: now,
            created_at: now,
            members: BTreeMap::from([(by, now)]),
            tags: new.tags,
            messages: 0,
            sent: 0,
        });
        let id = channel.id;
        self.channels.insert(id, channel);
        self.emit_channel("THREAD_CREATE", id);
        id
    }

    /// Changes a channel or thread, as far as whoever asks may.
    pub(super) fn renovate(&mut self, id: Id, by: Id, to: Renovation) -> Result<(), Refuse> {
        let (place, may) = self.seen(id, by)?;
        if place.guild.is_none() {
            return Err(Code::DM_CHANNEL.into());
        }
        match &place.thread {
            Some(thread) => self.may_renovate(place, thread, by, may, &to)?,
            None if may.has(Permissions::MANAGE_CHANNELS) => {}
            None => return Err(Code::MISSING_PERMISSIONS.into()),
        }
        self.count_rename(id, &to)?;
        let now = self.now();
        let Some(channel) = self.channels.get_mut(&id) else { return Err(Code::UNKNOWN_CHANNEL.into()) };
        if let Some(name) = to.name {
            channel.name = name;
        }
        if let Some(topic) = to.topic {
            channel.topic = topic;
        }
        channel.slowmode = to.slowmode.unwrap_or(channel.slowmode);
        let Some(thread) = &mut channel.thread else {
            self.emit_channel("CHANNEL_UPDATE", id);
            return Ok(());
        };
        thread.locked = to.locked.unwrap_or(thread.locked);
        thread.auto_archive = to.auto_archive.unwrap_or(thread.auto_archive);
        thread.tags = to.tags.unwrap_or_else(|| thread.tags.clone());
        if let Some(archived) = to.archived.filter(|archived| *archived != thread.archived) {
            (thread.archived, thread.archive_changed) = (archived, now);
        }
        self.emit_channel("THREAD_UPDATE", id);
        Ok(())
    }

    /// Its opener may rename, archive and tag it; the rest is for moderators. Archived it can only be brought back.
    fn may_renovate(&self, place: &Channel, thread: &Thread, by: Id, may: Permissions, to: &Renovation) -> Result<(), Refuse> {
        let moderates = may.has(Permissions::MANAGE_THREADS);
        let beyond = to.locked.is_some_and(|locked| locked != thread.locked) || to.slowmode.is_some();
        let wakes = to.archived == Some(false);
        if thread.locked && !moderates {
            return Err(Code::THREAD_LOCKED.into());
        }
        if thread.archived && !wakes {
            return Err(Code::THREAD_ARCHIVED.into());
        }
        let only_wakes = wakes && to.name.is_none() && to.tags.is_none() && to.auto_archive.is_none();
        let owns = thread.owner == by || (only_wakes && may.has(Permissions::SEND_MESSAGES_IN_THREADS));
        if !moderates && (beyond || !owns) {
            return Err(Code::MISSING_PERMISSIONS.into());
        }
        let forum = place.parent.and_then(|id| self.channels.get(&id));
        match (&to.tags, forum) {
            (Some(tags), Some(forum)) if forum.kind == ChannelKind::Forum => self.check_tags(forum, by, tags),
            (Some(tags), _) if !tags.is_empty() => Err(Refuse::form("applied_tags", "UNKNOWN_TAG", "Unknown tag")),
            _ => Ok(()),
        }
    }

    /// Names and topics change twice in ten minutes; Discord says so only when it is too often.
    fn count_rename(&mut self, id: Id, to: &Renovation) -> Result<(), Refuse> {
        let now = self.now();
        let window = TimeDelta::minutes(10);
        let Some(channel) = self.channels.get_mut(&id) else { return Ok(()) };
        let renames = to.name.as_ref().is_some_and(|name| *name != channel.name)
            || to.topic.as_ref().is_some_and(|topic| *topic != channel.topic);
        if !renames {
            return Ok(());
        }
        channel.renamed.retain(|at| now - *at < window);
        if let Some(first) = channel.renamed.front().filter(|_| channel.renamed.len() >= MOST_RENAMES) {
            let wait = (*first + window - now).as_seconds_f64();
            return Err(super::limits::too_many(wait, super::limits::Scope::User));
        }
        channel.renamed.push_back(now);
        Ok(())
    }

    /// Joins a thread, or brings somebody in.
    pub(super) fn join_thread(&mut self, id: Id, who: Id, by: Id) -> Result<(), Refuse> {
        let (place, may) = self.seen(id, by)?;
        let Some(thread) = &place.thread else { return Err(Code::WRONG_CHANNEL.into()) };
        if thread.archived {
            return Err(Code::THREAD_ARCHIVED.into());
        }
        if who != by && !may.has(Permissions::SEND_MESSAGES_IN_THREADS) {
            return Err(Code::MISSING_PERMISSIONS.into());
        }
        if !self.permissions_in(place, who).has(Permissions::VIEW_CHANNEL) && place.kind != ChannelKind::PrivateThread {
            return Err(Code::MISSING_ACCESS.into());
        }
        let now = self.now();
        if let Some(thread) = self.thread_mut(id) {
            thread.members.entry(who).or_insert(now);
        }
        self.emit_thread_members(id, &[who], &[]);
        Ok(())
    }

    /// Leaves a thread, or puts somebody out.
    pub(super) fn leave_thread(&mut self, id: Id, who: Id, by: Id) -> Result<(), Refuse> {
        let (place, may) = self.seen(id, by)?;
        let Some(thread) = &place.thread else { return Err(Code::WRONG_CHANNEL.into()) };
        if thread.archived {
            return Err(Code::THREAD_ARCHIVED.into());
        }
        if who != by && !may.has(Permissions::MANAGE_THREADS) {
            return Err(Code::MISSING_PERMISSIONS.into());
        }
        if let Some(thread) = self.thread_mut(id) {
            thread.members.remove(&who);
        }
        self.emit_thread_members(id, &[], &[who]);
        Ok(())
    }

    /// Deletes a channel or thread with all that is in it.
    pub(super) fn drop_channel(&mut self, id: Id, by: Id) -> Result<(), Refuse> {
        let (place, may) = self.seen(id, by)?;
        let wanted = if place.thread.is_some() { Permissions::MANAGE_THREADS } else { Permissions::MANAGE_CHANNELS };
        if place.guild.is_some() && !may.has(wanted) {
            return Err(Code::MISSING_PERMISSIONS.into());
        }
        let inside: Vec<Id> = self.threads(id).map(|thread| thread.id).collect();
        self.emit_channel(if place.thread.is_some() { "THREAD_DELETE" } else { "CHANNEL_DELETE" }, id);
        for gone in inside.into_iter().chain([id]) {
            self.channels.remove(&gone);
            self.messages.remove(&gone);
        }
        Ok(())
    }
}

//! What becomes of messages: written, changed, deleted, reacted to, by the service and by people under the same rules.

use chrono::TimeDelta;

use super::draft::{Change, Draft, File};
use super::error::{Code, Refuse};
use super::model::{Attachment, Channel, ChannelKind, Id, LOADING, Message};
use super::permission::Permissions;
use super::world::{World, made_at};

const MOST_REACTIONS: usize = 20;
/// How often messages older than an hour may be changed in an hour, in one channel. Discord does not say how often.
const MOST_OLD_EDITS: usize = 30;
/// How long a nonce is remembered.
const NONCE_MINUTES: i64 = 5;

/// Bytes a file may have where nobody boosts.
const USUAL_FILE: usize = 10 * 1024 * 1024;

impl World {
    /// Bytes a file may have in a channel.
    pub(super) fn largest_file(&self, channel: &Channel) -> usize {
        let tier = channel.guild.and_then(|id| self.guilds.get(&id)).map_or(0, |guild| guild.tier);
        match tier {
            0 | 1 => USUAL_FILE,
            2 => 5 * USUAL_FILE,
            _ => 10 * USUAL_FILE,
        }
    }

    /// Writes a message, as far as whoever writes it may.
    pub(super) fn post(&mut self, channel: Id, by: Id, draft: Draft) -> Result<Id, Refuse> {
        let (place, may) = self.seen(channel, by)?;
        self.may_write(place, by, may)?;
        self.may_send(place, may, &draft.files, !draft.embeds.is_empty())?;
        if let Some(known) = self.known_nonce(channel, by, &draft) {
            return Ok(known);
        }
        let reference = match draft.reply_to {
            Some(_) if !may.has(Permissions::READ_MESSAGE_HISTORY) => return Err(Code::REPLY_NEEDS_HISTORY.into()),
            Some(reply) => match self.public_message(channel, reply.message) {
                Ok(message) => Some((channel, message.id)),
                Err(_) if reply.must_exist => {
                    return Err(Refuse::form("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message"));
                }
                Err(_) => None,
            },
            None => None,
        };
        self.wake_thread(channel, by)?;
        let kind = if reference.is_some() { 19 } else { 0 };
        Ok(self.put(channel, by, draft, |message| (message.kind, message.reference) = (kind, reference)))
    }

    fn may_write(&self, place: &Channel, by: Id, may: Permissions) -> Result<(), Refuse> {
        if !place.kind.holds_messages() {
            return Err(Code::NOT_A_TEXT_CHANNEL.into());
        }
        let other = place.recipients.iter().find(|id| **id != by);
        if place.kind == ChannelKind::Dm && other.is_some_and(|id| self.faults.closed.contains(id)) {
            return Err(Code::CANNOT_WRITE_TO.into());
        }
        let voice = if place.thread.is_some() { Permissions::SEND_MESSAGES_IN_THREADS } else { Permissions::SEND_MESSAGES };
        if may.has(voice) { Ok(()) } else { Err(Code::MISSING_PERMISSIONS.into()) }
    }

    fn may_send(&self, place: &Channel, may: Permissions, files: &[File], embeds: bool) -> Result<(), Refuse> {
        let lacks_files = !files.is_empty() && !may.has(Permissions::ATTACH_FILES);
        if lacks_files || (embeds && !may.has(Permissions::EMBED_LINKS)) {
            return Err(Code::MISSING_PERMISSIONS.into());
        }
        let most = self.largest_file(place);
        if files.iter().any(|file| file.bytes.len() > most) { Err(Code::TOO_LARGE.into()) } else { Ok(()) }
    }

    /// The message that was written with the same nonce a moment ago.
    fn known_nonce(&self, channel: Id, by: Id, draft: &Draft) -> Option<Id> {
        let nonce = draft.nonce.as_ref().filter(|_| draft.enforce_nonce)?;
        let since = self.now() - TimeDelta::minutes(NONCE_MINUTES);
        let recent = self.messages.get(&channel)?.values().rev().take_while(|one| made_at(one.id) >= since);
        recent.into_iter().find(|one| one.author == by && one.nonce.as_ref() == Some(nonce)).map(|one| one.id)
    }

    /// Writing in a thread brings it back and joins it; a locked one is for moderators.
    fn wake_thread(&mut self, channel: Id, by: Id) -> Result<(), Refuse> {
        let moderates = self.permissions(channel, by).has(Permissions::MANAGE_THREADS);
        let now = self.now();
        let Some(thread) = self.thread_mut(channel) else { return Ok(()) };
        if thread.locked && !moderates {
            return Err(Code::THREAD_LOCKED.into());
        }
        thread.members.entry(by).or_insert(now);
        if thread.archived {
            (thread.archived, thread.archive_changed) = (false, now);
            self.emit_channel("THREAD_UPDATE", channel);
        }
        Ok(())
    }

    /// Puts a message where it belongs, without asking whether it may stand there, and tells of it.
    pub(super) fn put(&mut self, channel: Id, by: Id, draft: Draft, adjust: impl FnOnce(&mut Message)) -> Id {
        let id = self.fresh();
        let attachments = self.attach(draft.files);
        let mut message = Message {
            id,
            channel,
            author: by,
            content: draft.content,
            versions: Vec::new(),
            edited_at: None,
            kind: 0,
            flags: draft.flags,
            attachments,
            embeds: draft.embeds,
            components: draft.components,
            reference: None,
            mentions: Vec::new(),
            pings: Default::default(),
            reactions: Vec::new(),
            only_for: None,
            interaction: None,
            nonce: draft.nonce,
        };
        adjust(&mut message);
        let id = message.id;
        if let Some(place) = self.channels.get(&channel) {
            let replied = message.reference.filter(|_| message.kind == 19);
            let replied = replied.and_then(|(channel, id)| self.public_message(channel, id).ok()).map(|one| one.author);
            message.pings = self.pings(place, by, &message.content, replied, &draft.allowed);
        }
        message.mentions = message.pings.users.clone();
        let secret = message.only_for.is_some();
        self.messages.entry(channel).or_default().insert(id, message);
        if !secret {
            self.count_message(channel, id);
            self.emit_message("MESSAGE_CREATE", channel, id);
        }
        id
    }

    fn count_message(&mut self, channel: Id, message: Id) {
        let Some(place) = self.channels.get_mut(&channel) else { return };
        place.last_message = Some(message);
        if let Some(thread) = place.thread.as_mut().filter(|_| message != channel) {
            thread.messages += 1;
            thread.sent += 1;
        }
    }

    fn attach(&mut self, files: Vec<File>) -> Vec<Attachment> {
        let attach = |file: File| {
            let id = self.fresh();
            let File { name, content_type, bytes, description, .. } = file;
            Attachment { id, name, content_type, description, bytes }
        };
        files.into_iter().map(attach).collect()
    }

    /// Changes a message of one's own.
    pub(super) fn change(&mut self, channel: Id, id: Id, by: Id, change: Change) -> Result<(), Refuse> {
        let (place, may) = self.seen(channel, by)?;
        let message = self.public_message(channel, id)?;
        if message.author != by {
            // Of others' messages a moderator may switch embeds off, nothing else.
            return Err(Code::NOT_YOURS.into());
        }
        if place.thread.as_ref().is_some_and(|thread| thread.archived) {
            return Err(Code::THREAD_ARCHIVED.into());
        }
        self.may_send(place, may, &change.files, change.embeds.as_ref().is_some_and(|all| !all.is_empty()))?;
        self.count_old_edit(channel, id)?;
        self.rewrite(channel, id, change)
    }

    fn count_old_edit(&mut self, channel: Id, message: Id) -> Result<(), Refuse> {
        let now = self.now();
        if now - made_at(message) < TimeDelta::hours(1) {
            return Ok(());
        }
        let Some(place) = self.channels.get_mut(&channel) else { return Ok(()) };
        place.old_edits.retain(|at| now - *at < TimeDelta::hours(1));
        if let Some(first) = place.old_edits.front().filter(|_| place.old_edits.len() >= MOST_OLD_EDITS) {
            let wait = (*first + TimeDelta::hours(1) - now).as_seconds_f64();
            return Err(Refuse::from(Code::TOO_MANY_OLD_EDITS).with("retry_after", wait.into()).with("global", false.into()));
        }
        place.old_edits.push_back(now);
        Ok(())
    }

    /// Changes a message without asking whose it is.
    pub(super) fn rewrite(&mut self, channel: Id, id: Id, change: Change) -> Result<(), Refuse> {
        let now = self.now();
        let new = self.attach(change.files);
        let message = self.message_mut(channel, id)?;
        let was = message.clone();
        if let Some(keep) = change.keep {
            message.attachments.retain(|one| keep.contains(&one.id));
        }
        message.attachments.extend(new);
        if let Some(embeds) = change.embeds {
            message.embeds = embeds;
        }
        if let Some(components) = change.components {
            message.components = components;
        }
        if let Some(flags) = change.flags {
            message.flags = (message.flags & !super::model::SUPPRESS_EMBEDS) | flags;
        }
        if let Some(content) = change.content {
            message.versions.push(std::mem::replace(&mut message.content, content));
        }
        // What was thinking has thought.
        let was_loading = message.flags & LOADING != 0;
        message.flags &= !LOADING;
        message.edited_at = (!was_loading).then_some(now);
        let nothing = message.attachments.is_empty() && message.embeds.is_empty() && message.components.is_empty();
        if message.content.trim().is_empty() && nothing {
            *message = was;
            return Err(Code::EMPTY_MESSAGE.into());
        }
        self.name_again(channel, id, &change.allowed);
        self.emit_message("MESSAGE_UPDATE", channel, id);
        Ok(())
    }

    fn name_again(&mut self, channel: Id, id: Id, allowed: &super::mention::Allowed) {
        let found = self.message_mut(channel, id).ok().map(|one| (one.content.clone(), one.author));
        let Some(((text, author), place)) = found.zip(self.channels.get(&channel)) else { return };
        let now = self.pings(place, author, &text, None, allowed);
        if let Ok(message) = self.message_mut(channel, id) {
            message.mentions = now.users;
        }
    }

    /// Takes a message away: one's own, or with the permission any.
    pub(super) fn remove(&mut self, channel: Id, id: Id, by: Id) -> Result<(), Refuse> {
        let (place, may) = self.seen(channel, by)?;
        let message = self.public_message(channel, id)?;
        let direct = place.guild.is_none();
        if message.author != by && (direct || !may.has(Permissions::MANAGE_MESSAGES)) {
            return Err(if direct { Code::DM_CHANNEL } else { Code::MISSING_PERMISSIONS }.into());
        }
        if message.kind == 21 {
            return Err(Code::SYSTEM_MESSAGE.into());
        }
        self.take_away(channel, id);
        Ok(())
    }

    pub(super) fn take_away(&mut self, channel: Id, id: Id) {
        let gone = self.messages.get_mut(&channel).and_then(|all| all.remove(&id));
        if let Some(thread) = self.thread_mut(channel).filter(|_| id != channel) {
            thread.messages = thread.messages.saturating_sub(1);
        }
        if gone.is_some_and(|message| message.only_for.is_none()) {
            self.emit_gone(channel, id);
        }
    }

    /// Takes several away at once, as only guilds allow.
    pub(super) fn remove_many(&mut self, channel: Id, ids: &[Id], by: Id) -> Result<(), Refuse> {
        if self.allowed(channel, by, Permissions::MANAGE_MESSAGES)?.guild.is_none() {
            return Err(Code::DM_CHANNEL.into());
        }
        if !(2..=100).contains(&ids.len()) {
            return Err(Code::BULK_COUNT.into());
        }
        let oldest = self.now() - TimeDelta::days(14);
        if ids.iter().any(|id| made_at(*id) < oldest) {
            return Err(Code::BULK_TOO_OLD.into());
        }
        let gone: Vec<Id> = ids.iter().copied().filter(|id| self.public_message(channel, *id).is_ok()).collect();
        for id in &gone {
            self.messages.get_mut(&channel).and_then(|all| all.remove(id));
        }
        self.emit_gone_many(channel, &gone);
        Ok(())
    }

    /// Adds a reaction; the second time changes nothing.
    pub(super) fn react(&mut self, channel: Id, id: Id, by: Id, emoji: &str) -> Result<(), Refuse> {
        let (place, may) = self.seen(channel, by)?;
        if place.thread.as_ref().is_some_and(|thread| thread.archived) {
            return Err(Code::THREAD_ARCHIVED.into());
        }
        if !may.has(Permissions::READ_MESSAGE_HISTORY) {
            return Err(Code::MISSING_PERMISSIONS.into());
        }
        let message = self.public_message(channel, id)?;
        if !is_emoji(emoji) {
            return Err(Code::UNKNOWN_EMOJI.into());
        }
        let known = message.reactions.iter().position(|(name, _)| name == emoji);
        if known.is_none() && !may.has(Permissions::ADD_REACTIONS) {
            return Err(Code::MISSING_PERMISSIONS.into());
        }
        if known.is_none() && message.reactions.len() >= MOST_REACTIONS {
            return Err(Code::TOO_MANY_REACTIONS.into());
        }
        let message = self.message_mut(channel, id)?;
        let at = known.unwrap_or_else(|| {
            message.reactions.push((emoji.to_owned(), Vec::new()));
            message.reactions.len() - 1
        });
        if message.reactions[at].1.contains(&by) {
            return Ok(());
        }
        message.reactions[at].1.push(by);
        self.emit_reaction("MESSAGE_REACTION_ADD", channel, id, by, emoji);
        Ok(())
    }

    /// Takes somebody's reaction away; others' only with the permission.
    pub(super) fn unreact(&mut self, channel: Id, id: Id, whose: Id, emoji: &str, by: Id) -> Result<(), Refuse> {
        let (_, may) = self.seen(channel, by)?;
        if whose != by && !may.has(Permissions::MANAGE_MESSAGES) {
            return Err(Code::MISSING_PERMISSIONS.into());
        }
        self.public_message(channel, id)?;
        let message = self.message_mut(channel, id)?;
        let Some((_, who)) = message.reactions.iter_mut().find(|(name, who)| name == emoji && who.contains(&whose)) else {
            return if is_emoji(emoji) { Ok(()) } else { Err(Code::UNKNOWN_EMOJI.into()) };
        };
        who.retain(|one| *one != whose);
        message.reactions.retain(|(_, who)| !who.is_empty());
        self.emit_reaction("MESSAGE_REACTION_REMOVE", channel, id, whose, emoji);
        Ok(())
    }
}

/// `name:number`, or something that is no letter, no space and not long.
fn is_emoji(emoji: &str) -> bool {
    match emoji.split_once(':') {
        Some((name, id)) => !name.is_empty() && id.parse::<Id>().is_ok(),
        None => {
            !emoji.is_empty() && emoji.chars().count() <= 12 && !emoji.chars().any(|c| c.is_alphabetic() || c.is_whitespace())
        }
    }
}

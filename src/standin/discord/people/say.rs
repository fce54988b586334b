//! Messages, threads, posts, reactions.

use bytes::Bytes;

use super::super::DiscordStandin;
use super::super::body::guess;
use super::super::draft::{Change, Draft, File, Reply};
use super::super::error::Refuse;
use super::super::model::{ChannelKind, Id};
use super::super::thread::NewThread;
use super::super::world::World;

/// What somebody says, with everything that may come with it.
#[derive(Clone, Debug, Default)]
pub struct Words {
    text: String,
    reply_to: Option<Id>,
    files: Vec<Upload>,
}

/// A file somebody sends.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub bytes: Bytes,
    /// What it says it is; by its name when none.
    pub content_type: Option<String>,
}

impl Words {
    /// Nothing but text.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    /// In reply to a message, whose author is pinged.
    pub fn reply_to(mut self, message: Id) -> Self {
        self.reply_to = Some(message);
        self
    }

    /// With a file.
    pub fn attach(mut self, name: &str, bytes: impl Into<Bytes>) -> Self {
        self.files.push(Upload { name: name.to_owned(), bytes: bytes.into(), content_type: guess(name) });
        self
    }

    fn draft(self) -> Draft {
        let reply_to = self.reply_to.map(|message| Reply { message, must_exist: true });
        let file = |(key, upload): (usize, Upload)| File {
            key: key as u64,
            name: upload.name,
            content_type: upload.content_type,
            bytes: upload.bytes,
            description: None,
        };
        let files = self.files.into_iter().enumerate().map(file).collect();
        Draft { reply_to, files, ..Draft::text(&self.text) }
    }
}

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

/// People of Discord's usual kind write up to 2,000 characters.
fn measured(words: Words) -> Result<Draft, Refuse> {
    let draft = words.draft();
    if draft.content.chars().count() > 2_000 {
        return Err(Refuse::form("content", "BASE_TYPE_MAX_LENGTH", "Must be 2000 or fewer in length."));
    }
    if draft.is_empty() {
        return Err(super::super::error::Code::EMPTY_MESSAGE.into());
    }
    Ok(draft)
}

impl DiscordStandin {
    /// Somebody writes in a channel or thread.
    ///
    /// # Errors
    /// When they may not, or it is empty or too long.
    pub fn say(&self, channel: Id, by: Id, words: impl Into<Words>) -> anyhow::Result<Id> {
        let words = words.into();
        self.try_act(|world| world.post(channel, by, measured(words)?))
    }

    /// Somebody replies to a message, whose author is pinged.
    ///
    /// # Errors
    /// When there is no such message, or they may not.
    pub fn reply(&self, message: Id, by: Id, text: &str) -> anyhow::Result<Id> {
        let channel = self.place_of(message)?;
        self.say(channel, by, Words::new(text).reply_to(message))
    }

    fn place_of(&self, message: Id) -> anyhow::Result<Id> {
        let place = self.world(|world| world.message(message).map(|message| message.channel));
        place.ok_or_else(|| anyhow::anyhow!("there is no message {message}"))
    }

    /// Somebody writes to us alone. Gives the direct conversation and the message.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn direct(&self, by: Id, words: impl Into<Words>) -> anyhow::Result<(Id, Id)> {
        let words = words.into();
        self.try_act(|world| {
            let channel = world.direct_channel(by);
            Ok((channel, world.post(channel, by, measured(words)?)?))
        })
    }

    /// Somebody changes what they wrote.
    ///
    /// # Errors
    /// When it is not theirs, empty or too long.
    pub fn edit(&self, message: Id, by: Id, text: &str) -> anyhow::Result<()> {
        let channel = self.place_of(message)?;
        self.try_act(|world| {
            let draft = measured(Words::new(text))?;
            world.change(channel, message, by, Change { content: Some(draft.content), ..Change::default() })
        })
    }

    /// Somebody deletes a message: their own, or as a moderator any.
    ///
    /// # Errors
    /// When they may not.
    pub fn delete(&self, message: Id, by: Id) -> anyhow::Result<()> {
        let channel = self.place_of(message)?;
        self.try_act(|world| world.remove(channel, message, by))
    }

    /// A moderator deletes several messages of a channel at once.
    ///
    /// # Errors
    /// When they may not, or they are fewer than 2, more than 100 or too old.
    pub fn delete_many(&self, channel: Id, messages: &[Id], by: Id) -> anyhow::Result<()> {
        self.try_act(|world| world.remove_many(channel, messages, by))
    }

    /// Somebody reacts with an emoji, or `name:number` for one of a guild's own.
    ///
    /// # Errors
    /// When they may not, or it is none.
    pub fn react(&self, message: Id, by: Id, emoji: &str) -> anyhow::Result<()> {
        let channel = self.place_of(message)?;
        self.try_act(|world| world.react(channel, message, by, emoji))
    }

    /// Somebody takes their reaction away.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn unreact(&self, message: Id, by: Id, emoji: &str) -> anyhow::Result<()> {
        let channel = self.place_of(message)?;
        self.try_act(|world| world.unreact(channel, message, by, emoji, by))
    }

    /// Somebody is seen typing.
    pub fn type_in(&self, channel: Id, by: Id) {
        self.act(|world| world.note_typing(channel, by));
    }

    /// Somebody opens a thread, from a message where one is given.
    ///
    /// # Errors
    /// When they may not, or the message has one.
    pub fn open_thread(&self, channel: Id, by: Id, name: &str, from: Option<Id>) -> anyhow::Result<Id> {
        self.try_act(|world| match from {
            Some(message) => world.open_thread(channel, message, by, named(name)),
            None => world.open_bare_thread(channel, by, named(name)),
        })
    }

    /// Somebody opens a thread for those who are named in it.
    ///
    /// # Errors
    /// When they may not.
    pub fn open_private_thread(&self, channel: Id, by: Id, name: &str) -> anyhow::Result<Id> {
        let new = NewThread { kind: ChannelKind::PrivateThread, ..named(name) };
        self.try_act(|world| world.open_bare_thread(channel, by, new))
    }

    /// Somebody brings somebody into a thread.
    ///
    /// # Errors
    /// When they may not.
    pub fn bring_in(&self, thread: Id, who: Id, by: Id) -> anyhow::Result<()> {
        self.try_act(|world| world.join_thread(thread, who, by))
    }

    /// Somebody writes a post in a forum. Gives the thread, which has the number of its first message.
    ///
    /// # Errors
    /// When they may not, a tag is missing or unknown.
    pub fn forum_post(&self, forum: Id, by: Id, title: &str, words: impl Into<Words>, tags: &[&str]) -> anyhow::Result<Id> {
        let words = words.into();
        self.try_act(|world| {
            let tags = tags.iter().map(|name| tag(world, forum, name)).collect::<Result<Vec<Id>, Refuse>>()?;
            world.open_post(forum, by, NewThread { tags, ..named(title) }, measured(words)?)
        })
    }
}

fn named(name: &str) -> NewThread {
    NewThread { name: name.to_owned(), auto_archive: 4320, kind: ChannelKind::PublicThread, tags: Vec::new() }
}

fn tag(world: &World, forum: Id, name: &str) -> Result<Id, Refuse> {
    let known = world.channel(forum).and_then(|forum| forum.tags.iter().find(|tag| tag.name == name));
    known.map(|tag| tag.id).ok_or_else(|| Refuse::form("applied_tags", "UNKNOWN_TAG", format!("There is no tag {name}")))
}

//! Messages: written once, edited often, found again by their nonce, read as they come.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use serenity::builder::{CreateActionRow, CreateEmbed};
use serenity::model::channel::Message;
use serenity::model::id::{AttachmentId, ChannelId, MessageId};
use sha2::{Digest, Sha256};

use super::client::{Answer, Call, Discord, Effect};
use super::error::DiscordError;

/// Characters a message may have.
pub const MOST_CONTENT: usize = 2_000;
/// Files a message may have.
pub const MOST_FILES: usize = 10;
/// How many messages one call lists.
const PER_PAGE: usize = 100;
/// No more pages than this are searched.
const MOST_PAGES: usize = 10;
const SUPPRESS_EMBEDS: u64 = 1 << 2;
const SUPPRESS_NOTIFICATIONS: u64 = 1 << 12;

/// A message as it is to be written. Whatever its text says, it pings nobody.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// At most [`MOST_CONTENT`] characters.
    pub content: String,
    /// Embeds; 10 and 6,000 characters at the most.
    pub embeds: Vec<CreateEmbed>,
    /// Buttons; 5 rows of 5 at the most.
    pub rows: Vec<CreateActionRow>,
    /// At most [`MOST_FILES`].
    pub files: Vec<NewFile>,
    /// Attachments that are there and stay, when a message is edited; all others go.
    pub keep: Vec<AttachmentId>,
    /// The message this replies to, when it is written; if that is gone it is a message like others.
    pub reply_to: Option<MessageId>,
    /// See [`nonce`]. For writing alone.
    pub nonce: Option<String>,
    /// Shows no previews of links.
    pub without_previews: bool,
    /// Notifies nobody, not even those who want to hear of every message. For writing alone.
    pub silent: bool,
}

/// A file to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Its name, without directories.
    pub name: String,
    /// What is in it.
    pub bytes: Bytes,
    /// Its type, such as `image/png`; guessed from the name when unset.
    pub media_type: Option<String>,
    /// What is to be seen, for those who do not see it; 1,024 characters at the most.
    pub description: Option<String>,
}

/// Which messages of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The newest.
    Newest,
    /// The newest of those written before this one.
    Before(MessageId),
    /// The oldest of those written after this one.
    After(MessageId),
}

/// The nonce of a key: the same for the same key, 25 characters, which is as long as Discord takes.
pub fn nonce(key: &str) -> String {
    hex::encode(Sha256::digest(key.as_bytes())).chars().take(25).collect()
}

impl Draft {
    /// Nothing but text.
    pub fn text(content: impl Into<String>) -> Self {
        Self { content: content.into(), ..Self::default() }
    }

    fn new_body(&self) -> Value {
        let mut body = self.body();
        if let Some(nonce) = &self.nonce {
            body["nonce"] = nonce.as_str().into();
            body["enforce_nonce"] = true.into();
        }
        if let Some(message) = self.reply_to {
            body["message_reference"] = json!({"message_id": message, "fail_if_not_exists": false});
        }
        let flags = if self.silent { self.flags() | SUPPRESS_NOTIFICATIONS } else { self.flags() };
        if flags != 0 {
            body["flags"] = flags.into();
        }
        body
    }

    /// Says everything, so that what the message had before goes.
    fn changed_body(&self) -> Value {
        let mut body = self.body();
        let kept = self.keep.iter().map(|id| json!({"id": id}));
        let attachments = kept.chain(self.described()).collect::<Vec<_>>();
        body["attachments"] = attachments.into();
        body["flags"] = self.flags().into();
        body
    }

    fn flags(&self) -> u64 {
        if self.without_previews { SUPPRESS_EMBEDS } else { 0 }
    }

    fn body(&self) -> Value {
        let mut body = json!({"content": self.content, "embeds": self.embeds, "components": self.rows,
            "allowed_mentions": {"parse": []}});
        if !self.files.is_empty() {
            body["attachments"] = self.described().collect::<Vec<_>>().into();
        }
        body
    }

    fn described(&self) -> impl Iterator<Item = Value> {
        self.files.iter().enumerate().map(|(n, file)| {
            let mut described = json!({"id": n, "filename": file.name});
            if let Some(description) = &file.description {
                described["description"] = description.as_str().into();
            }
            described
        })
    }
}

impl Discord {
    /// Writes a message. With a nonce it may be repeated within minutes: the second time finds the first. Later,
    /// [`Discord::own_messages`] have to be looked through before.
    ///
    /// # Errors
    /// As the call.
    pub async fn create_message(&self, channel: ChannelId, draft: &Draft) -> Result<Message, DiscordError> {
        let call = Call::post(format!("/channels/{channel}/messages"), draft.new_body(), Effect::Create);
        read_one(&self.call(&call.with_files(draft.files.clone())).await?)
    }

    /// Makes a message of ours say what the draft says, whatever it said before. Idempotent, apart from the files, which are sent again.
    ///
    /// # Errors
    /// As the call; `NotFound` when it was deleted, `Invalid` with [`super::code::THREAD_ARCHIVED`] in an archived thread, and with
    /// [`super::code::TOO_MANY_OLD_EDITS`] when it is older than an hour and was edited too often.
    pub async fn edit_message(&self, channel: ChannelId, id: MessageId, draft: &Draft) -> Result<Message, DiscordError> {
        let call = Call::patch(format!("/channels/{channel}/messages/{id}"), draft.changed_body());
        read_one(&self.call(&call.with_files(draft.files.clone())).await?)
    }

    /// Deletes a message of ours; one that is gone is deleted.
    ///
    /// # Errors
    /// As the call.
    pub async fn delete_message(&self, channel: ChannelId, id: MessageId) -> Result<(), DiscordError> {
        match self.call(&Call::delete(format!("/channels/{channel}/messages/{id}"))).await {
            Ok(_) | Err(DiscordError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// One message.
    ///
    /// # Errors
    /// As the call; `NotFound` when it was deleted, `Forbidden` without the permission to read history.
    pub async fn message(&self, channel: ChannelId, id: MessageId) -> Result<Message, DiscordError> {
        read_one(&self.call(&Call::get(format!("/channels/{channel}/messages/{id}"))).await?)
    }

    /// Messages of a channel, oldest first; 100 at the most. Without the permission to read history there are none.
    ///
    /// # Errors
    /// As the call.
    pub async fn messages(&self, channel: ChannelId, page: Page, limit: usize) -> Result<Vec<Message>, DiscordError> {
        let place = match page {
            Page::Newest => String::new(),
            Page::Before(id) => format!("&before={id}"),
            Page::After(id) => format!("&after={id}"),
        };
        let limit = limit.clamp(1, PER_PAGE);
        let answer = self.call(&Call::get(format!("/channels/{channel}/messages?limit={limit}{place}"))).await?;
        let mut messages: Vec<Message> = answer.json::<Vec<Value>>(Effect::None)?.into_iter().filter_map(tolerant).collect();
        messages.sort_unstable_by_key(|message| message.id);
        Ok(messages)
    }

    /// Our messages among those written in a channel from `since` to `until`, oldest first. They carry their nonce where Discord still
    /// tells it. The first 1,000 messages are read; what comes after them is passed over. Each page is a call of its own.
    ///
    /// # Errors
    /// As the calls.
    pub async fn own_messages(
        &self,
        channel: ChannelId,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<Message>, DiscordError> {
        let us = self.known_bot().await?.id;
        let mut ours = Vec::new();
        let mut after = super::first_at(since - TimeDelta::milliseconds(1));
        for _ in 0..MOST_PAGES {
            let messages = self.messages(channel, Page::After(after), PER_PAGE).await?;
            let Some(newest) = messages.last().map(|message| message.id) else { return Ok(ours) };
            let wanted = |message: &Message| message.author.id == us && (since..=until).contains(&super::made_at(message.id));
            ours.extend(messages.into_iter().filter(wanted));
            if super::made_at(newest) > until {
                return Ok(ours);
            }
            after = newest;
        }
        tracing::warn!(discord.channel = channel.get(), "more than {} messages to search", MOST_PAGES * PER_PAGE);
        Ok(ours)
    }
}

fn read_one(answer: &Answer) -> Result<Message, DiscordError> {
    let message: Value = answer.json(Effect::Create)?;
    tolerant(message).ok_or_else(|| DiscordError::unavailable(Effect::Create, "a message that cannot be read"))
}

/// Reads a message also when it holds parts that are newer than the model of it: they are left out. What is no message at all is passed
/// over.
fn tolerant(mut message: Value) -> Option<Message> {
    if let Ok(message) = serde_json::from_value(message.clone()) {
        return Some(message);
    }
    for part in ["components", "poll", "interaction_metadata", "interaction", "sticker_items", "referenced_message", "thread"] {
        if let Some(fields) = message.as_object_mut() {
            fields.remove(part);
        }
    }
    match serde_json::from_value(message) {
        Ok(message) => Some(message),
        Err(error) => {
            tracing::warn!(%error, "a message on Discord cannot be read and is passed over");
            None
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_the_same_for_the_same_key_and_fits() {
        assert_eq!(nonce("run-1"), nonce("run-1"));
        assert_ne!(nonce("run-1"), nonce("run-1/2"));
        assert_eq!(nonce("run-1").len(), 25);
    }

    #[test]
    fn no_message_pings_anybody() {
        let draft = Draft { nonce: Some("n".into()), without_previews: true, silent: true, ..Draft::text("@everyone") };
        let none = json!({"parse": []});
        let (new, changed) = (draft.new_body(), draft.changed_body());
        assert_eq!((&new["allowed_mentions"], &changed["allowed_mentions"]), (&none, &none));
        assert_eq!((&new["nonce"], &new["enforce_nonce"], &new["flags"]), (&json!("n"), &json!(true), &json!(4 + 4096)));
        assert_eq!((changed.get("nonce"), &changed["flags"]), (None, &json!(4)));
    }

    #[test]
    fn an_edit_says_which_files_stay_and_which_are_new() {
        let file = NewFile {
            name: "a.txt".into(),
            bytes: Bytes::from_static(b"x"),
            media_type: None,
            description: Some("what it shows".into()),
        };
        let draft = Draft { files: vec![file], keep: vec![AttachmentId::new(7)], ..Draft::text("x") };
        let new = json!({"id": 0, "filename": "a.txt", "description": "what it shows"});
        assert_eq!(draft.changed_body()["attachments"], json!([{"id": "7"}, new]));
        assert_eq!(draft.new_body()["attachments"], json!([new]));
        assert_eq!(Draft::text("x").changed_body()["attachments"], json!([]));
    }

    #[test]
    fn a_message_with_parts_from_the_future_is_read_without_them() {
        let mut message = json!({"id": "5", "channel_id": "6", "content": "hello", "timestamp": "2026-11-01T10:00:00Z",
            "edited_timestamp": null, "tts": false, "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [],
            "embeds": [], "pinned": false, "type": 0, "author": {"id": "7", "username": "ada", "discriminator": "0", "avatar": null}});
        assert_eq!(tolerant(message.clone()).unwrap().content, "hello");
        message["components"] = json!([{"type": 17, "components": [{"type": 10, "content": "x"}]}]);
        message["referenced_message"] = json!({"nothing": "we know"});
        assert_eq!(tolerant(message).unwrap().content, "hello");
        assert!(tolerant(json!({"no": "message"})).is_none());
    }
}

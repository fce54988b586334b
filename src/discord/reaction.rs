//! Reactions of ours on what triggered us. Discord keeps one of each kind per account, so the same again changes nothing.

use serenity::model::id::{ChannelId, MessageId};

use super::client::{Call, Discord};
use super::error::DiscordError;

impl Discord {
    /// Adds our reaction with a Unicode emoji to a message. Idempotent.
    ///
    /// # Errors
    /// As the call; `Forbidden` without the permission to add reactions, `NotFound` when the message was deleted.
    pub async fn react(&self, channel: ChannelId, message: MessageId, emoji: &str) -> Result<(), DiscordError> {
        self.call(&Call::put(own(channel, message, emoji), None)).await.map(drop)
    }

    /// Takes our reaction away; one that is not there is taken away.
    ///
    /// # Errors
    /// As the call; `NotFound` when the message was deleted.
    pub async fn unreact(&self, channel: ChannelId, message: MessageId, emoji: &str) -> Result<(), DiscordError> {
        self.call(&Call::delete(own(channel, message, emoji))).await.map(drop)
    }
}

fn own(channel: ChannelId, message: MessageId, emoji: &str) -> String {
    let emoji = percent_encoding::utf8_percent_encode(emoji, percent_encoding::NON_ALPHANUMERIC);
    format!("/channels/{channel}/messages/{message}/reactions/{emoji}/@me")
}

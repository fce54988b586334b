//! What was said while nobody listened: looked through when a session begins, from when everything is accounted for.

use chrono::{DateTime, TimeDelta, Utc};
use serenity::model::guild::Guild;
use serenity::model::id::{ChannelId, MessageId};

use super::listen::{Listener, Unheard, lock};
use super::store;
use crate::discord::{DiscordError, Page, first_at, id, number};

/// A dead connection is noticed late, and clocks differ.
pub(super) const OVERLAP: TimeDelta = TimeDelta::minutes(5);
/// What is older is not looked for.
const OLDEST: TimeDelta = TimeDelta::days(7);
/// How long ago a direct conversation may have been used to be looked through.
const DIRECT: TimeDelta = TimeDelta::days(30);
/// Pages of a hundred that are read of one channel.
const MOST_PAGES: usize = 50;
const PER_PAGE: usize = 100;

impl Listener {
    /// Looks through the channels and threads of a guild in which something was said since.
    pub(super) async fn look_through(&self, guild: &Guild) -> Result<(), Unheard> {
        let number_of_guild = number(guild.id);
        let due = lock(&self.pending).contains(&number_of_guild);
        let since = *lock(&self.since);
        if let Some(since) = since.filter(|_| due) {
            let first: MessageId = self.first(since);
            let channels = guild.channels.values().chain(&guild.threads);
            let spoken: Vec<ChannelId> = channels
                .filter(|channel| channel.last_message_id.is_some_and(|last| last >= first))
                .map(|channel| channel.id)
                .collect();
            for channel in spoken {
                self.look_through_channel(channel, Some(number_of_guild), first).await?;
            }
        }
        lock(&self.pending).remove(&number_of_guild);
        Ok(())
    }

    /// Discord lists no direct conversations, so those that are known are looked through.
    pub(super) async fn look_through_direct(&self) -> Result<(), Unheard> {
        let since = *lock(&self.since);
        let Some(since) = since else { return Ok(()) };
        let used = store::direct(&self.gateway.pool, self.gateway.clock.now() - DIRECT).await?;
        for channel in used {
            self.look_through_channel(id(channel), None, self.first(since)).await?;
        }
        Ok(())
    }

    fn first(&self, since: DateTime<Utc>) -> MessageId {
        first_at(since.max(self.gateway.clock.now() - OLDEST))
    }

    async fn look_through_channel(&self, channel: ChannelId, guild: Option<i64>, first: MessageId) -> Result<(), Unheard> {
        let mut after = MessageId::new(first.get().saturating_sub(1).max(1));
        for _ in 0..MOST_PAGES {
            let page = match self.gateway.discord.messages(channel, Page::After(after), PER_PAGE).await {
                Ok(page) => page,
                // Not ours to read; nothing said there was for us.
                Err(DiscordError::Forbidden { .. } | DiscordError::NotFound { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let whole = page.len() >= PER_PAGE;
            let Some(last) = page.last().map(|message| message.id) else { return Ok(()) };
            for mut message in page {
                message.guild_id = guild.map(id);
                match self.message(&message).await {
                    Ok(Some(crate::intake::Accepted::Stored { .. })) => {
                        tracing::info!(message.id = %message.id, "found what was missed")
                    }
                    Ok(_) => {}
                    Err(error) => return Err(error),
                }
            }
            if !whole {
                return Ok(());
            }
            after = last;
        }
        tracing::warn!(%channel, "more was said than is looked through; what is left there needs another mention");
        Ok(())
    }
}

//! What was said while nobody listened: looked through when a session begins, from when everything is accounted for.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use serenity::model::guild::Guild;
use serenity::model::id::{ChannelId, GuildId, MessageId};

use super::listen::{Listener, Unheard, lock};
use super::store;
use crate::discord::{DiscordError, Page, event, first_at, id, number};
use crate::intake::Accepted;

/// A dead connection is noticed late, and clocks differ.
pub(super) const OVERLAP: TimeDelta = TimeDelta::minutes(5);
/// What is older is not looked for.
const OLDEST: TimeDelta = TimeDelta::days(7);
/// How long ago a direct conversation may have been used to be looked through.
const DIRECT: TimeDelta = TimeDelta::days(30);
/// Pages of a hundred that are read of one channel.
const MOST_PAGES: usize = 50;
const PER_PAGE: usize = 100;

/// A channel of which something was not read yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behind {
    pub channel: i64,
    pub guild: Option<i64>,
    /// Everything up to this message is taken care of.
    after: MessageId,
    /// The newest that is known to be there; none where Discord does not tell.
    target: Option<MessageId>,
    pages: usize,
}

impl Listener {
    /// Looks through the channels and threads of a guild in which something was said since.
    pub(super) async fn look_through(&self, guild: &Guild) -> Result<(), Unheard> {
        let number_of_guild = number(guild.id);
        let due = lock(&self.pending).contains(&number_of_guild);
        let since = *lock(&self.since);
        lock(&self.roles).clear();
        if let Some(since) = since.filter(|_| due) {
            let first = self.first(since);
            let channels = || guild.channels.values().chain(&guild.threads);
            let mut spoken: Vec<ChannelId> = Vec::new();
            for channel in channels() {
                if let Some(last) = channel.last_message_id.filter(|last| *last >= first) {
                    self.add_behind(channel.id, Some(number_of_guild), before(first), Some(last));
                    spoken.push(channel.id);
                }
            }
            // Threads that fell asleep meanwhile are not told of.
            let told: HashSet<i64> = channels().map(|channel| number(channel.id)).collect();
            let talks = store::talks_in(&self.gateway.pool, number_of_guild, self.gateway.clock.now() - OLDEST).await?;
            for thread in talks.into_iter().filter(|thread| !told.contains(thread)) {
                self.add_behind(id(thread), Some(number_of_guild), before(first), None);
                spoken.push(id(thread));
            }
            for channel in spoken {
                self.read(channel).await?;
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
            self.add_behind(id(channel), None, before(self.first(since)), None);
            self.read(id(channel)).await?;
        }
        Ok(())
    }

    fn first(&self, since: DateTime<Utc>) -> MessageId {
        first_at(since.max(self.gateway.clock.now() - OLDEST))
    }

    /// A message could not be taken in, because Discord did not answer: it is read later.
    pub(super) fn is_behind(&self, channel: ChannelId, guild: Option<GuildId>, message: MessageId) {
        self.add_behind(channel, guild.map(number), before(message), Some(message));
    }

    fn add_behind(&self, channel: ChannelId, guild: Option<i64>, after: MessageId, target: Option<MessageId>) {
        let new = Behind { channel: number(channel), guild, after, target, pages: 0 };
        let mut behind = lock(&self.behind);
        let known = behind.entry(new.channel).or_insert(new);
        (known.after, known.target, known.pages) = (known.after.min(after), known.target.max(target), 0);
    }

    /// Those need not be read any more.
    pub(super) fn forget_behind(&self, gone: impl Fn(&Behind) -> bool) {
        lock(&self.behind).retain(|_, behind| !gone(behind));
    }

    /// Reads on where something could not be read before.
    pub(super) async fn read_behind(&self) -> Result<(), Unheard> {
        lock(&self.roles).clear();
        let all: Vec<i64> = lock(&self.behind).keys().copied().collect();
        for channel in all {
            self.read(id(channel)).await?;
        }
        Ok(())
    }

    /// Reads a channel that is behind. What Discord does not give out now is read later.
    async fn read(&self, channel: ChannelId) -> Result<(), Unheard> {
        loop {
            let Some(behind) = lock(&self.behind).get(&number(channel)).copied() else { return Ok(()) };
            match self.read_page(channel, behind).await {
                Ok(true) => {}
                Ok(false) => {
                    lock(&self.behind).remove(&behind.channel);
                    return Ok(());
                }
                Err(error) if error.waits_for_discord() => {
                    tracing::warn!(%channel, %error, "what was missed in a channel is read later");
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads a page. True when there may be more.
    async fn read_page(&self, channel: ChannelId, behind: Behind) -> Result<bool, Unheard> {
        let page = match self.gateway.discord.messages(channel, Page::After(behind.after), PER_PAGE).await {
            Ok(page) => page,
            Err(error) if error.is_transient() => return Err(error.into()),
            // Not ours to read; nothing said there was for us.
            Err(DiscordError::Forbidden { .. } | DiscordError::NotFound { .. }) => return Ok(false),
            Err(error) => {
                tracing::warn!(%channel, %error, "what was missed in a channel cannot be read");
                return Ok(false);
            }
        };
        let Some(last) = page.last().map(|message| message.id) else { return Ok(false) };
        for mut message in page {
            message.guild_id = behind.guild.map(id);
            let edited = event::edited_at(&message).is_some();
            match self.message(&message).await {
                Ok(Some(Accepted::Stored { .. })) => tracing::info!(message.id = %message.id, "found what was missed"),
                // It was known; what it says may be new.
                Ok(Some(Accepted::Duplicate)) if edited => self.reworded(&message).await?,
                Ok(Some(Accepted::Duplicate | Accepted::Noted(_) | Accepted::Nothing(_)) | None) => {}
                // One that cannot be taken in keeps no other out.
                Err(error) if error.is_final() => {
                    tracing::error!(message.id = %message.id, %error, "something that was missed cannot be taken in");
                }
                Err(error) => return Err(error),
            }
            if let Some(known) = lock(&self.behind).get_mut(&behind.channel) {
                known.after = message.id;
            }
        }
        let pages = behind.pages + 1;
        if pages >= MOST_PAGES {
            tracing::warn!(%channel, "more was said than is looked through; what is left there needs another mention");
            return Ok(false);
        }
        if let Some(known) = lock(&self.behind).get_mut(&behind.channel) {
            known.pages = pages;
        }
        // A short page is no sign of the end: what cannot be understood is left out of it.
        Ok(behind.target.is_none_or(|target| last < target))
    }
}

fn before(message: MessageId) -> MessageId {
    MessageId::new(message.get().saturating_sub(1).max(1))
}

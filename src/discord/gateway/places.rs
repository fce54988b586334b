//! Channels and threads: learnt, renamed, deleted.

use serenity::model::channel::GuildChannel;
use serenity::model::id::GuildId;

use super::channels::Known;
use super::listen::{Listener, Unheard, lock};
use super::said::SOMEBODY;
use super::store;
use crate::discord::number;
use crate::intake::{self, Closed, Closing, Renamed};
use crate::memory::title;
use crate::storable;

/// Characters of a thread's name.
const LONGEST_NAME: usize = 100;

impl Listener {
    /// Remembers a channel; what it was called before.
    pub(super) fn learn(&self, channel: &GuildChannel, guild: GuildId) -> Option<String> {
        let mut channels = lock(&self.channels);
        if channel.owner_id.is_some_and(|owner| number(owner) == self.us) {
            channels.is_ours_now(number(channel.id));
        }
        channels.learn(number(channel.id), Known::of(channel, guild))
    }

    /// The same for what only has to be remembered.
    pub(super) fn learnt(&self, channel: &GuildChannel, guild: GuildId) -> Result<(), Unheard> {
        self.learn(channel, guild);
        Ok(())
    }

    /// A person gives a thread another name. What we named it ourselves is its title already.
    pub(super) async fn renamed(&self, thread: &GuildChannel) -> Result<(), Unheard> {
        let channel = number(thread.id);
        let before = self.learn(thread, thread.guild_id);
        if !lock(&self.channels).is_ours(channel) || before.is_none_or(|before| before == thread.name) {
            return Ok(());
        }
        let known = store::title(&self.gateway.pool, channel).await?;
        let ours = known.as_deref().map(|title| title.chars().take(LONGEST_NAME).collect::<String>());
        if ours.as_deref() == Some(thread.name.as_str()) || known.as_deref() == Some(title::tidy(&thread.name).as_str()) {
            return Ok(());
        }
        if store::is_our_name(&self.gateway.pool, channel, &thread.name).await? {
            return Ok(());
        }
        let at = self.gateway.clock.now();
        let mut name = thread.name.clone();
        storable::text(&mut name);
        let renamed = Renamed {
            place: self.place_of(channel, Some(number(thread.guild_id)), channel),
            title: name,
            by: SOMEBODY.to_owned(),
            at,
        };
        self.note(format!("{channel}:renamed:{}", at.timestamp_millis()), "thread.renamed", intake::Event::Renamed(renamed)).await
    }

    /// A thread or a channel was deleted, and with a channel the threads in it, of which nothing more is told.
    pub(super) async fn gone(&self, channel: i64, is_thread: bool) -> Result<(), Unheard> {
        let places = match is_thread {
            true => store::conversation(&self.gateway.pool, channel).await?.into_iter().collect(),
            false => store::conversations_in(&self.gateway.pool, channel).await?,
        };
        for place in places {
            let key = place.key();
            if let Ok(thread) = key.parse() {
                lock(&self.channels).forget(thread);
                self.forget_behind(|behind| behind.channel == thread);
            }
            let closed = Closed { place, closing: Closing::Deleted, by: SOMEBODY.to_owned(), at: None };
            self.note(format!("{key}:gone"), "thread.deleted", intake::Event::Closed(closed)).await?;
        }
        lock(&self.channels).forget(channel);
        self.forget_behind(|behind| behind.channel == channel);
        Ok(())
    }
}

//! What is heard, one after the other, on its way to intake: until it is stored, or read from the channel later.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serenity::model::event::Event;
use serenity::model::gateway::Ready;
use serenity::model::id::{ChannelId, GuildId, MessageId};
use tokio::sync::mpsc;

use super::backfill::{Behind, OVERLAP};
use super::channels::Channels;
use super::{Gateway, Trouble, store};
use crate::discord::{DiscordError, number};
use crate::intake::{self, AcceptError, Delivery, Inbound, Surface};

/// How long between attempts to store what was heard, and how often it is tried where the trouble may not pass.
const AGAIN: Duration = Duration::from_secs(1);
const TRIES: u32 = 5;
/// How often channels are read again of which something could not be read.
const READ_AGAIN: Duration = Duration::from_secs(15);
/// Messages without anything in them, one after the other, that show that we are told nothing.
const EMPTY_ENOUGH: u32 = 3;

/// Takes in what is heard on one connection.
pub(super) struct Listener {
    pub gateway: Gateway,
    pub us: i64,
    pub channels: Mutex<Channels>,
    /// Something found no room in the queue.
    left_out: Arc<AtomicBool>,
    /// Events that are not worked off.
    waiting: AtomicUsize,
    /// From when on what was said is looked through, until all guilds were; none at the very first connection.
    pub since: Mutex<Option<DateTime<Utc>>>,
    /// Guilds that were not looked through yet.
    pub pending: Mutex<HashSet<i64>>,
    /// Channels of which something was not read yet.
    pub behind: Mutex<HashMap<i64, Behind>>,
    /// Roles of those who said something that was missed, while it is read: lists do not tell them.
    pub roles: Mutex<HashMap<(i64, i64), Vec<i64>>>,
    /// True from the first session on.
    begun: AtomicBool,
    /// Messages of others that were empty, one after the other.
    empty: AtomicU32,
}

/// Why an event was not taken in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unheard {
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Accept(#[from] AcceptError),
    #[error(transparent)]
    Discord(#[from] DiscordError),
}

impl Unheard {
    /// Whether it makes sense to try again after so many failures. A database that does not answer is waited for.
    fn passes(&self, tries: u32) -> bool {
        match self {
            Self::Database(error) => is_outage(error) || tries < TRIES,
            Self::Accept(AcceptError::Database(error)) => is_outage(error) || tries < TRIES,
            Self::Accept(AcceptError::Ending) => true,
            Self::Discord(error) => error.is_transient() && tries < TRIES,
        }
    }

    /// Whether it fails whenever it is tried.
    pub fn is_final(&self) -> bool {
        !self.passes(TRIES) && !self.waits_for_discord()
    }

    /// Whether Discord may answer later.
    pub fn waits_for_discord(&self) -> bool {
        match self {
            Self::Discord(error) => error.is_transient(),
            Self::Database(_) | Self::Accept(_) => false,
        }
    }
}

/// Connections that break, or are refused while the server ends or begins.
fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["08", "53", "57", "40", "55"].iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listener {
    pub fn new(gateway: Gateway, us: i64) -> Self {
        Self {
            gateway,
            us,
            channels: Mutex::default(),
            left_out: Arc::default(),
            waiting: AtomicUsize::new(0),
            since: Mutex::default(),
            pending: Mutex::default(),
            behind: Mutex::default(),
            roles: Mutex::default(),
            begun: AtomicBool::new(false),
            empty: AtomicU32::new(0),
        }
    }

    /// For whoever fills the queue.
    pub fn left_out(&self) -> Arc<AtomicBool> {
        self.left_out.clone()
    }

    /// True when something was left out and everything before it is stored.
    pub fn has_left_out(&self) -> bool {
        self.left_out.load(Ordering::Acquire) && self.waiting.load(Ordering::Acquire) == 0
    }

    /// True when everything that was heard so far is stored, and what was missed is found.
    pub fn is_even(&self) -> bool {
        self.begun.load(Ordering::Acquire)
            && self.waiting.load(Ordering::Acquire) == 0
            && !self.left_out.load(Ordering::Acquire)
            && lock(&self.pending).is_empty()
            && lock(&self.behind).is_empty()
    }

    /// What keeps us from understanding what we are told.
    pub fn trouble(&self) -> Option<Trouble> {
        (self.empty.load(Ordering::Relaxed) >= EMPTY_ENOUGH).then_some(Trouble::Empty)
    }

    /// Counts messages that hold nothing although somebody wrote them.
    pub fn note_content(&self, is_empty: bool) {
        if !is_empty {
            self.empty.store(0, Ordering::Relaxed);
        } else if self.empty.fetch_add(1, Ordering::Relaxed) + 1 == EMPTY_ENOUGH {
            tracing::error!("{}", Trouble::Empty);
        }
    }

    /// Works events off in their order, each until it is stored.
    pub async fn listen(&self, mut heard: mpsc::Receiver<Event>) {
        let mut again = tokio::time::interval(READ_AGAIN);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = heard.recv() => {
                    let Some(event) = event else { return };
                    self.waiting.store(heard.len() + 1, Ordering::Release);
                    self.insist(&event).await;
                    self.waiting.store(heard.len(), Ordering::Release);
                }
                _ = again.tick() => {
                    if let Err(error) = self.read_behind().await {
                        tracing::warn!(%error, "what was said on Discord meanwhile cannot be stored yet");
                    }
                }
            }
        }
    }

    async fn insist(&self, event: &Event) {
        let mut tries = 0;
        while let Err(error) = self.hear(event).await {
            tries += 1;
            if !error.passes(tries) {
                match said_in(event).filter(|_| error.waits_for_discord()) {
                    Some((channel, guild, message)) => {
                        tracing::warn!(%error, "Discord does not answer; what was said is read later");
                        self.is_behind(channel, guild, message);
                    }
                    None => tracing::error!(%error, "something told by Discord cannot be taken in"),
                }
                return;
            }
            tracing::warn!(%error, "what was heard on Discord is not stored yet");
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn hear(&self, event: &Event) -> Result<(), Unheard> {
        match event {
            Event::Ready(ready) => self.begin(&ready.ready).await,
            Event::GuildCreate(made) => {
                let guild = &made.guild;
                for channel in guild.channels.values().chain(&guild.threads) {
                    self.learn(channel, guild.id);
                }
                self.back(guild).await?;
                self.look_through(guild).await
            }
            // One that cannot be reached for a while is not left.
            Event::GuildDelete(gone) if gone.guild.unavailable => Ok(()),
            Event::GuildDelete(gone) => self.left(number(gone.guild.id)).await,
            Event::ChannelCreate(made) => self.learnt(&made.channel, made.channel.guild_id),
            Event::ChannelUpdate(changed) => self.learnt(&changed.channel, changed.channel.guild_id),
            Event::ThreadCreate(made) => self.learnt(&made.thread, made.thread.guild_id),
            Event::ThreadListSync(seen) => seen.threads.iter().try_for_each(|thread| self.learnt(thread, seen.guild_id)),
            Event::ThreadUpdate(changed) => self.renamed(&changed.thread).await,
            Event::ThreadDelete(gone) => self.gone(number(gone.thread.id), true).await,
            Event::ChannelDelete(gone) => self.gone(number(gone.channel.id), false).await,
            Event::MessageCreate(made) => {
                if let Some(is_empty) = super::said::holds_nothing(&made.message, self.us) {
                    self.note_content(is_empty);
                }
                self.message(&made.message).await.map(drop)
            }
            Event::MessageUpdate(changed) => self.edited(changed).await,
            Event::MessageDelete(gone) => {
                self.deleted(number(gone.channel_id), gone.guild_id.map(number), number(gone.message_id)).await
            }
            Event::MessageDeleteBulk(gone) => {
                for message in &gone.ids {
                    self.deleted(number(gone.channel_id), gone.guild_id.map(number), number(*message)).await?;
                }
                Ok(())
            }
            // Everything else asks for nothing.
            _ => Ok(()),
        }
    }

    /// A session of a shard begins, and nobody listened to its guilds before it.
    async fn begin(&self, ready: &Ready) -> Result<(), Unheard> {
        let pool = &self.gateway.pool;
        let (shard, total) = ready.shard.map_or((0, 1), |shard| (u64::from(shard.id.0), u64::from(shard.total.max(1))));
        let seen = store::seen_until(pool).await?;
        for channel in store::conversations(pool).await? {
            lock(&self.channels).is_ours_now(channel);
        }
        {
            let (mut since, mut pending) = (lock(&self.since), lock(&self.pending));
            // Other shards may still be looking through what was said since an earlier moment.
            let earlier = since.filter(|_| !pending.is_empty());
            *since = earlier.into_iter().chain(seen.map(|seen| seen - OVERLAP)).min();
            pending.retain(|guild| u64::try_from(*guild).is_ok_and(|guild| (guild >> 22) % total != shard));
            if seen.is_some() {
                pending.extend(ready.guilds.iter().map(|guild| number(guild.id)));
            }
        }
        tracing::info!(shard, first = seen.is_none(), "connected to Discord");
        if seen.is_none() {
            // What is said from now on counts, whatever happens next.
            store::begin(pool, &self.gateway.holder, self.gateway.clock.now()).await?;
        }
        if shard == 0 {
            self.look_through_direct().await?;
        }
        self.left_meanwhile(ready).await?;
        self.begun.store(true, Ordering::Release);
        Ok(())
    }

    pub(super) async fn note(&self, external_id: String, kind: &str, event: intake::Event) -> Result<(), Unheard> {
        let delivery = Delivery { surface: Surface::Discord, external_id, kind: kind.to_owned(), object: None, was_also: None };
        self.gateway.intake.accept(Inbound { delivery, event }).await?;
        Ok(())
    }
}

/// Of something somebody said or changed: where, and which message.
fn said_in(event: &Event) -> Option<(ChannelId, Option<GuildId>, MessageId)> {
    match event {
        Event::MessageCreate(made) => Some((made.message.channel_id, made.message.guild_id, made.message.id)),
        Event::MessageUpdate(changed) => Some((changed.channel_id, changed.guild_id, changed.id)),
        _ => None,
    }
}

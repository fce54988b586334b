//! What is heard, one after the other: messages, edits, deletions and threads, on their way to intake.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serenity::model::channel::{GuildChannel, Message};
use serenity::model::event::{Event, MessageUpdateEvent};
use tokio::sync::mpsc;

use super::channels::{Channels, Known};
use super::{Gateway, store};
use crate::discord::event::{self, Heard, Spot};
use crate::discord::{DiscordError, id, number};
use crate::intake::{self, AcceptError, Accepted, Change, Changed, Closed, Closing, Delivery, Inbound, Place, Renamed, Surface};
use crate::memory::title;

/// How long between attempts to store what was heard.
const AGAIN: Duration = Duration::from_secs(1);
/// Characters of a thread's name.
const LONGEST_NAME: usize = 100;
/// Who is named where Discord does not say who it was.
const SOMEBODY: &str = "somebody on Discord";

/// Takes in what is heard on one connection.
pub(super) struct Listener {
    pub gateway: Gateway,
    pub us: i64,
    pub channels: Mutex<Channels>,
    overflow: Arc<AtomicUsize>,
    /// Events that are not worked off.
    waiting: AtomicUsize,
    /// From when on what was said is looked through, until all guilds were; none at the very first connection.
    pub since: Mutex<Option<DateTime<Utc>>>,
    /// Guilds that were not looked through yet.
    pub pending: Mutex<HashSet<i64>>,
    /// True from the first session on, and while nothing is missing.
    begun: AtomicBool,
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
    fn passes(&self) -> bool {
        match self {
            Self::Database(_) | Self::Accept(_) => true,
            Self::Discord(error) => error.is_transient(),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listener {
    pub fn new(gateway: Gateway, us: i64, overflow: Arc<AtomicUsize>) -> Self {
        Self {
            gateway,
            us,
            channels: Mutex::default(),
            overflow,
            waiting: AtomicUsize::new(0),
            since: Mutex::default(),
            pending: Mutex::default(),
            begun: AtomicBool::new(false),
        }
    }

    /// True when everything that was heard so far is stored, and what was missed is found.
    pub fn is_even(&self) -> bool {
        self.begun.load(Ordering::Acquire)
            && self.waiting.load(Ordering::Acquire) == 0
            && self.overflow.load(Ordering::Relaxed) == 0
            && lock(&self.pending).is_empty()
    }

    /// Works events off in their order, each until it is stored.
    pub async fn listen(&self, mut heard: mpsc::Receiver<Event>) {
        while let Some(event) = heard.recv().await {
            self.waiting.store(heard.len() + 1, Ordering::Release);
            while let Err(error) = self.hear(&event).await {
                if !error.passes() {
                    tracing::info!(%error, "something on Discord cannot be read");
                    break;
                }
                tracing::warn!(%error, "what was heard on Discord is not stored yet");
                tokio::time::sleep(AGAIN).await;
            }
            self.waiting.store(heard.len(), Ordering::Release);
        }
    }

    async fn hear(&self, event: &Event) -> Result<(), Unheard> {
        match event {
            Event::Ready(ready) => {
                let guilds = ready.ready.guilds.iter().map(|guild| number(guild.id)).collect();
                self.begin(guilds).await
            }
            Event::GuildCreate(made) => {
                let guild = &made.guild;
                for channel in guild.channels.values().chain(&guild.threads) {
                    self.learn(channel);
                }
                self.look_through(guild).await
            }
            Event::GuildDelete(gone) => {
                lock(&self.pending).remove(&number(gone.guild.id));
                Ok(())
            }
            Event::ChannelCreate(made) => {
                self.learn(&made.channel);
                Ok(())
            }
            Event::ChannelUpdate(changed) => {
                self.learn(&changed.channel);
                Ok(())
            }
            Event::ThreadCreate(made) => {
                self.learn(&made.thread);
                Ok(())
            }
            Event::ThreadUpdate(changed) => self.renamed(&changed.thread).await,
            Event::ThreadDelete(gone) => self.gone(number(gone.thread.id), number(gone.thread.guild_id)).await,
            Event::ChannelDelete(gone) => self.gone(number(gone.channel.id), number(gone.channel.guild_id)).await,
            Event::MessageCreate(made) => self.message(&made.message).await.map(drop),
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

    /// A session begins, and nobody listened before it.
    async fn begin(&self, guilds: HashSet<i64>) -> Result<(), Unheard> {
        let pool = &self.gateway.pool;
        let seen = store::seen_until(pool).await?;
        for channel in store::conversations(pool).await? {
            lock(&self.channels).is_ours_now(channel);
        }
        *lock(&self.since) = seen.map(|seen| seen - super::backfill::OVERLAP);
        self.overflow.store(0, Ordering::Relaxed);
        *lock(&self.pending) = if seen.is_some() { guilds } else { HashSet::new() };
        tracing::info!(first = seen.is_none(), "connected to Discord");
        self.look_through_direct().await?;
        self.begun.store(true, Ordering::Release);
        Ok(())
    }

    /// Remembers a channel; what it was called before.
    fn learn(&self, channel: &GuildChannel) -> Option<String> {
        let mut channels = lock(&self.channels);
        if channel.owner_id.is_some_and(|owner| number(owner) == self.us) {
            channels.is_ours_now(number(channel.id));
        }
        channels.learn(number(channel.id), Known::from(channel))
    }

    /// Takes a message in, if it is for us.
    pub async fn message(&self, message: &Message) -> Result<Option<Accepted>, Unheard> {
        if message.author.bot || message.webhook_id.is_some() {
            return Ok(None);
        }
        let channel = number(message.channel_id);
        let mentions = event::mentions(&message.content, self.us);
        let is_ours = lock(&self.channels).is_ours(channel);
        let replies = message.referenced_message.as_ref().filter(|replied| number(replied.author.id) == self.us);
        if message.guild_id.is_some() && !mentions && !is_ours && replies.is_none() {
            return Ok(None);
        }
        let Some(mut spot) = self.spot(message).await? else { return Ok(None) };
        if let (Spot::Channel { .. }, Some(replied)) = (&spot, replies)
            && let Some(place) = store::place_of_post(&self.gateway.pool, number(replied.id)).await?
        {
            spot = Spot::Reply { place };
        }
        let (author, said) = (number(message.author.id), number(message.id));
        let is_thread = matches!(spot, Spot::Thread { .. });
        let is_follow_up = is_thread && !mentions && store::follows_up(&self.gateway.pool, channel, author, said).await?;
        let roles = self.roles(message, &spot).await?;
        let heard = Heard { us: self.us, handle: &self.gateway.handle, spot, is_follow_up, roles };
        let inbound = event::message(message, &heard);
        let intake::Event::Request(request) = &inbound.event else { return Ok(None) };
        let talk = match &request.place {
            Place::Discord { channel, opening, .. } => opening.unwrap_or(*channel),
            Place::Github { .. } => channel,
        };
        let accepted = self.gateway.intake.accept(inbound).await?;
        lock(&self.channels).is_ours_now(talk);
        store::addressed(&self.gateway.pool, talk, author, said).await?;
        Ok(Some(accepted))
    }

    /// Where a message was said; none where that is nothing we talk in.
    async fn spot(&self, message: &Message) -> Result<Option<Spot>, Unheard> {
        let channel = number(message.channel_id);
        let known = lock(&self.channels).get(channel).cloned();
        if let Some(known) = known {
            return Ok(Some(known.spot()));
        }
        let Some(guild) = message.guild_id else { return self.looked_up(message).await };
        let found = self.gateway.discord.channel(message.channel_id).await?;
        let known = Known {
            guild: number(guild),
            parent: found.parent.map(number).filter(|_| found.kind.is_thread()),
            is_thread: found.kind.is_thread(),
            name: found.name,
        };
        let spot = known.spot();
        lock(&self.channels).learn(channel, known);
        Ok(Some(spot))
    }

    /// A message without a guild is a direct one, unless it comes from a list, which does not say.
    async fn looked_up(&self, message: &Message) -> Result<Option<Spot>, Unheard> {
        let found = self.gateway.discord.channel(message.channel_id).await?;
        let Some(guild) = found.guild else { return Ok(Some(Spot::Direct)) };
        let is_thread = found.kind.is_thread();
        let parent = found.parent.map(number).filter(|_| is_thread);
        let known = Known { guild: number(guild), parent, is_thread, name: found.name };
        let spot = known.spot();
        lock(&self.channels).learn(number(message.channel_id), known);
        Ok(Some(spot))
    }

    /// The roles of the author, where the message does not tell them.
    async fn roles(&self, message: &Message, spot: &Spot) -> Result<Option<Vec<i64>>, Unheard> {
        let guild = match spot {
            Spot::Channel { guild } | Spot::Thread { guild, .. } => *guild,
            Spot::Reply { place: Place::Discord { guild: Some(guild), .. } } => *guild,
            Spot::Reply { .. } | Spot::Direct => return Ok(None),
        };
        if message.member.is_some() {
            return Ok(None);
        }
        match self.gateway.discord.member(id(guild), message.author.id).await {
            Ok(member) => Ok(Some(member.roles.into_iter().map(number).collect())),
            // Who has left has no roles.
            Err(DiscordError::NotFound { .. }) => Ok(Some(Vec::new())),
            Err(error) => Err(error.into()),
        }
    }

    /// An edit adds a request, or changes what we know already. Previews of links that appear are no edits.
    async fn edited(&self, changed: &MessageUpdateEvent) -> Result<(), Unheard> {
        if changed.edited_timestamp.is_none() || changed.author.as_ref().is_some_and(|author| author.bot) {
            return Ok(());
        }
        let object = event::object(changed.id);
        let is_ours = lock(&self.channels).is_ours(number(changed.channel_id));
        let mentions = changed.content.as_ref().is_some_and(|text| event::mentions(text, self.us));
        let known = store::is_known(&self.gateway.pool, &object).await?;
        if !is_ours && !mentions && !known && changed.guild_id.is_some() {
            return Ok(());
        }
        let message = match self.gateway.discord.message(changed.channel_id, changed.id).await {
            Ok(mut message) => {
                message.guild_id = changed.guild_id;
                message
            }
            Err(DiscordError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        match self.message(&message).await? {
            Some(Accepted::Stored { .. }) => return Ok(()),
            Some(Accepted::Duplicate | Accepted::Noted(_) | Accepted::Nothing(_)) | None => {}
        }
        if !known && !mentions {
            return Ok(());
        }
        let at = event::edited_at(&message).unwrap_or_else(|| self.gateway.clock.now());
        let change = Changed {
            place: self.place_of(number(message.channel_id), changed.guild_id.map(number), number(message.id)),
            object,
            change: Change::Edited,
            by: message.author.name.clone(),
            at,
            text: message.content.clone(),
        };
        self.note(format!("{}:{}:changed", message.id, at.timestamp_millis()), "message.edited", intake::Event::Changed(change))
            .await
    }

    async fn deleted(&self, channel: i64, guild: Option<i64>, message: i64) -> Result<(), Unheard> {
        let object = format!("message:{message}");
        if !lock(&self.channels).is_ours(channel) && !store::is_known(&self.gateway.pool, &object).await? {
            return Ok(());
        }
        let change = Changed {
            place: self.place_of(channel, guild, message),
            object,
            change: Change::Deleted,
            by: SOMEBODY.to_owned(),
            at: self.gateway.clock.now(),
            text: String::new(),
        };
        self.note(format!("{message}:deleted"), "message.deleted", intake::Event::Changed(change)).await
    }

    /// A person gives a thread another name. What we named it ourselves is its title already.
    async fn renamed(&self, thread: &GuildChannel) -> Result<(), Unheard> {
        let channel = number(thread.id);
        let before = self.learn(thread);
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
        let renamed = Renamed {
            place: self.place_of(channel, Some(number(thread.guild_id)), channel),
            title: thread.name.clone(),
            by: SOMEBODY.to_owned(),
            at,
        };
        self.note(format!("{channel}:renamed:{}", at.timestamp_millis()), "thread.renamed", intake::Event::Renamed(renamed)).await
    }

    /// A thread or channel was deleted.
    async fn gone(&self, channel: i64, guild: i64) -> Result<(), Unheard> {
        let place = self.place_of(channel, Some(guild), channel);
        let is_ours = lock(&self.channels).is_ours(channel);
        lock(&self.channels).forget(channel);
        if !is_ours {
            return Ok(());
        }
        let closed = Closed { place, closing: Closing::Deleted, by: SOMEBODY.to_owned(), at: None };
        self.note(format!("{channel}:gone"), "thread.deleted", intake::Event::Closed(closed)).await
    }

    /// The conversation something belongs to, as far as can be told without it.
    fn place_of(&self, channel: i64, guild: Option<i64>, message: i64) -> Place {
        let channels = lock(&self.channels);
        let spot = match (channels.get(channel), guild) {
            (Some(known), _) => known.spot(),
            (None, Some(guild)) if channels.is_ours(channel) => Spot::Thread { guild, parent: None, name: String::new() },
            (None, Some(guild)) => Spot::Channel { guild },
            (None, None) => Spot::Direct,
        };
        event::place_of(channel, message, channel, &spot)
    }

    async fn note(&self, external_id: String, kind: &str, event: intake::Event) -> Result<(), Unheard> {
        let delivery = Delivery { surface: Surface::Discord, external_id, kind: kind.to_owned(), object: None, was_also: None };
        self.gateway.intake.accept(Inbound { delivery, event }).await?;
        Ok(())
    }
}

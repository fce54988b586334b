//! What people say, change and delete: what of it is for us, and where it belongs.

use serenity::model::channel::{Message, MessageReferenceKind, MessageType};
use serenity::model::event::MessageUpdateEvent;

use super::channels::Known;
use super::listen::{Listener, Unheard, lock};
use super::store;
use crate::discord::event::{self, Heard, Spot};
use crate::discord::{DiscordError, id, number};
use crate::intake::{self, Accepted, Change, Changed, Place};
use crate::storable;

/// Members whose roles are remembered while what was missed is read.
const MOST_MEMBERS: usize = 1_000;

/// Who is named where Discord does not say who it was.
pub(super) const SOMEBODY: &str = "somebody on Discord";

/// Whether what a person wrote to others holds nothing, as if it were withheld from us. None where that says nothing: what mentions us, or
/// is said to us alone, is always told.
pub(super) fn holds_nothing(message: &Message, us: i64) -> Option<bool> {
    let is_said = matches!(message.kind, MessageType::Regular | MessageType::InlineReply);
    let is_to_others = message.guild_id.is_some() && !message.mentions.iter().any(|named| number(named.id) == us);
    if message.author.bot || message.webhook_id.is_some() || !is_said || !is_to_others {
        return None;
    }
    let forwards = message.message_reference.as_ref().is_some_and(|reference| reference.kind == MessageReferenceKind::Forward);
    let has_words = !message.content.is_empty() || message.poll.is_some() || !message.sticker_items.is_empty();
    let has_things = !(message.attachments.is_empty() && message.embeds.is_empty() && message.components.is_empty());
    Some(!has_words && !has_things && !forwards)
}

impl Listener {
    /// Takes a message in, if it is for us.
    pub async fn message(&self, message: &Message) -> Result<Option<Accepted>, Unheard> {
        if message.author.bot || message.webhook_id.is_some() {
            return Ok(None);
        }
        let channel = number(message.channel_id);
        let mentions = event::mentions(&message.content, self.us);
        let replies = message.referenced_message.as_ref().filter(|replied| number(replied.author.id) == self.us);
        if message.guild_id.is_some() && !mentions && replies.is_none() && !self.is_ours(channel).await? {
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
        // A reply to what we said pings us, unless the person switches that off.
        let answers_us = replies.is_some() && message.mentions.iter().any(|named| number(named.id) == self.us);
        let is_follow_up = is_thread && (store::follows_up(&self.gateway.pool, channel, author, said).await? || answers_us);
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

    /// Whether a thread is a conversation of ours; another process, or a command, may have begun it.
    async fn is_ours(&self, channel: i64) -> Result<bool, Unheard> {
        {
            let channels = lock(&self.channels);
            if channels.is_ours(channel) || channels.get(channel).is_some_and(|known| !known.is_thread) {
                return Ok(channels.is_ours(channel));
            }
        }
        let is_ours = store::has_partner(&self.gateway.pool, channel).await?;
        if is_ours {
            lock(&self.channels).is_ours_now(channel);
        }
        Ok(is_ours)
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
        let member = (guild, number(message.author.id));
        if let Some(roles) = lock(&self.roles).get(&member) {
            return Ok(Some(roles.clone()));
        }
        let roles: Vec<i64> = match self.gateway.discord.member(id(guild), message.author.id).await {
            Ok(member) => member.roles.into_iter().map(number).collect(),
            Err(error) if error.is_transient() => return Err(error.into()),
            // Who has left has no roles.
            Err(_) => Vec::new(),
        };
        let mut known = lock(&self.roles);
        if known.len() >= MOST_MEMBERS {
            known.clear();
        }
        known.insert(member, roles.clone());
        Ok(Some(roles))
    }

    /// An edit adds a request, or changes what we know already. Previews of links that appear are no edits.
    pub(super) async fn edited(&self, changed: &MessageUpdateEvent) -> Result<(), Unheard> {
        // Roles may have changed since something that was missed was read.
        lock(&self.roles).clear();
        if changed.edited_timestamp.is_none() || changed.author.as_ref().is_some_and(|author| author.bot) {
            return Ok(());
        }
        let object = event::object(changed.id);
        let is_ours = self.is_ours(number(changed.channel_id)).await?;
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
        self.again(&message, mentions).await
    }

    /// Takes in a message that was edited: a request, if the edit makes it one, and else new words of what is known.
    async fn again(&self, message: &Message, mentions: bool) -> Result<(), Unheard> {
        match self.message(message).await? {
            Some(Accepted::Stored { .. }) => return Ok(()),
            Some(Accepted::Duplicate | Accepted::Noted(_) | Accepted::Nothing(_)) | None => {}
        }
        if !mentions && !store::is_known(&self.gateway.pool, &event::object(message.id)).await? {
            return Ok(());
        }
        self.reworded(message).await
    }

    /// Something that is known says something else now. Idempotent for each edit.
    pub(super) async fn reworded(&self, message: &Message) -> Result<(), Unheard> {
        let object = event::object(message.id);
        let at = event::edited_at(message).unwrap_or_else(|| self.gateway.clock.now());
        let mut change = Changed {
            place: self.place_of(number(message.channel_id), message.guild_id.map(number), number(message.id)),
            object,
            change: Change::Edited,
            by: message.author.name.clone(),
            at,
            text: message.content.clone(),
        };
        storable::text(&mut change.text);
        storable::text(&mut change.by);
        let id = format!("{}:{}:changed", message.id, at.timestamp_millis());
        self.note(id, "message.edited", intake::Event::Changed(change)).await
    }

    pub(super) async fn deleted(&self, channel: i64, guild: Option<i64>, message: i64) -> Result<(), Unheard> {
        let object = format!("message:{message}");
        if !self.is_ours(channel).await? && !store::is_known(&self.gateway.pool, &object).await? {
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

    /// The conversation something belongs to, as far as can be told without it.
    pub(super) fn place_of(&self, channel: i64, guild: Option<i64>, message: i64) -> Place {
        let channels = lock(&self.channels);
        let spot = match (channels.get(channel), guild) {
            (Some(known), _) => known.spot(),
            (None, Some(guild)) if channels.is_ours(channel) => Spot::Thread { guild, parent: None, name: String::new() },
            (None, Some(guild)) => Spot::Channel { guild },
            (None, None) => Spot::Direct,
        };
        event::place_of(channel, message, channel, &spot)
    }
}

//! Posting on Discord: pieces become messages, each with a key that makes it happen once.
//!
//! The first piece of a post is its live message and, edited, its answer; further pieces are posts of their own (`<key>/2`, …). A message
//! carries the nonce of its key, by which it is found again when the answer to its creation was lost. Where we talk is decided once for
//! each conversation: in the thread of the message it began with, or, where none can be opened, in the channel.

mod draft;
mod replace;
mod store;
mod tags;
mod talk;

use std::sync::Arc;

use chrono::TimeDelta;
use serenity::model::application::{ActionRowComponent, ButtonKind};
use serenity::model::channel::{Message, Nonce};
use serenity::model::id::{ChannelId, MessageId};
use sqlx::PgPool;

use self::draft::Grounds;
use self::replace::Of;
use self::store::There;
use self::talk::{Hindrance, Where};
use super::Redactor;
use super::discord::{self, Piece};
use super::post::{CommentPost, PostError};
use super::said::Said;
use super::store::Begun;
use crate::clock::Clock;
use crate::discord::button::Button;
use crate::discord::{self as surface, Discord, DiscordError, Draft, code};
use crate::github::{CommentId, Reaction};
use crate::id::RunId;
use crate::intake::{Place, Request, Trigger};

/// Clocks differ; a message is looked for this much earlier than its post was begun.
const SKEW: TimeDelta = TimeDelta::minutes(5);
/// Discord finds a message by its nonce for some minutes; after this we look ourselves.
const NONCE_HOLDS: TimeDelta = TimeDelta::minutes(2);
/// How many pieces a post may have had; more are not looked for.
const MOST_PIECES: i32 = 200;

/// Performs posts on Discord.
#[derive(Debug)]
pub(super) struct DiscordPosts {
    pool: PgPool,
    discord: Arc<Discord>,
    redactor: Arc<Redactor>,
    clock: Arc<dyn Clock>,
    grounds: Grounds,
}

/// The key of a piece of a post.
fn piece_key(key: &str, n: usize) -> String {
    if n == 0 { key.to_owned() } else { format!("{key}/{}", n + 1) }
}

impl DiscordPosts {
    pub fn new(pool: PgPool, discord: Arc<Discord>, redactor: Arc<Redactor>, clock: Arc<dyn Clock>) -> Self {
        Self { pool, discord, redactor, clock, grounds: Grounds::default() }
    }

    /// Makes the post say it, in as many messages as it takes; what it said beyond that goes. Idempotent by key.
    pub async fn comment(&self, post: &CommentPost<'_>, said: &Said<'_>) -> Result<CommentId, PostError> {
        let mut talk = self.where_to(post).await?;
        let mut with_frames = true;
        loop {
            let mut here = self.grounds.here(&self.discord, post, said, &talk, self.clock.now()).await;
            here.may_embed &= with_frames;
            let pieces = draft::spread(discord::render(said, &here));
            let error = match self.say(post, &talk, &pieces).await {
                Err(PostError::Discord(error)) => error,
                done => return done,
            };
            if self.grounds.learn(&self.discord, &talk, (&here, &pieces), &error, self.clock.now()).await {
                tracing::info!(discord.channel = talk.channel.get(), %error, "said again with less");
            } else if here.may_embed && draft::have_frames(&pieces) && error.code() == Some(code::INVALID_FORM) {
                tracing::warn!(discord.channel = talk.channel.get(), %error, "said again without frames");
                with_frames = false;
            } else if let (Some(instead), Some(why)) = (talk.instead, Hindrance::read(&error)) {
                talk = self.fall_back(post, &talk, instead, why).await?;
            } else {
                return Err(error.into());
            }
        }
    }

    async fn say(&self, post: &CommentPost<'_>, talk: &Where, pieces: &[Piece]) -> Result<CommentId, PostError> {
        let mut first = None;
        for (n, piece) in pieces.iter().enumerate() {
            let message = self.put(post, n, talk, piece).await?;
            first.get_or_insert(message);
        }
        self.take_away_rest(post.key, pieces.len()).await?;
        first.ok_or_else(|| DiscordError::Invalid { code: code::EMPTY_MESSAGE, why: "there is nothing to say".into() }.into())
    }

    async fn put(&self, post: &CommentPost<'_>, n: usize, talk: &Where, piece: &Piece) -> Result<CommentId, PostError> {
        let kind = if n == 0 { post.kind } else { "piece" };
        let draft = self.draft(piece).await?;
        let of = Of { post, n, draft: &draft };
        let key = of.key();
        let begun = of.begin(self, &key, kind).await?;
        match self.known(of, &key, &begun, talk).await? {
            Some(there) => self.edit_or_replace(of, there, talk).await,
            None => self.create(of, &key, talk, begun.first).await,
        }
    }

    /// Edits the messages of a post that are there; does nothing about those that are not known to be, or were deleted by somebody.
    pub async fn edit(&self, post: &CommentPost<'_>, said: &Said<'_>) -> Result<(), PostError> {
        let Some(first) = store::whereabouts(&self.pool, post.key).await? else { return Ok(()) };
        let talk = Where::in_channel(surface::id(first.channel), post.place);
        let here = self.grounds.here(&self.discord, post, said, &talk, self.clock.now()).await;
        for (n, piece) in draft::spread(discord::render(said, &here)).iter().enumerate() {
            let Some(there) = store::whereabouts(&self.pool, &piece_key(post.key, n)).await? else { continue };
            match self.update(there, &self.draft(piece).await?).await {
                Ok(()) | Err(DiscordError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sets our reaction to what was written, in place of one we set before. Where we may not react, or nothing was written that could
    /// carry one, there is none.
    pub async fn react(&self, request: &Request, reaction: Reaction) -> Result<(), PostError> {
        let (Place::Discord { channel, .. }, Trigger::Comment(message)) = (&request.place, request.trigger) else {
            return Ok(());
        };
        let (channel, message): (ChannelId, MessageId) = (surface::id(*channel), surface::id(message));
        match self.discord.react(channel, message, emoji(reaction)).await {
            Ok(()) => {}
            Err(error) if error.is_transient() || error == DiscordError::Unauthorized => return Err(error.into()),
            Err(error) => {
                tracing::debug!(%error, "no reaction here");
                return Ok(());
            }
        }
        let before = [Reaction::Eyes, Reaction::Rocket, Reaction::Confused];
        // What was seen a moment ago has no other yet.
        for earlier in before.into_iter().filter(|earlier| *earlier != reaction && reaction != Reaction::Eyes) {
            match self.discord.unreact(channel, message, emoji(earlier)).await {
                Err(error) if error.is_transient() => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Shows for some seconds that we type, where we talk already.
    pub async fn show_typing(&self, place: &Place) -> Result<(), PostError> {
        let Place::Discord { channel, opening, .. } = place else { return Ok(()) };
        let channel = match opening {
            None => Some(*channel),
            Some(opening) => store::talk(&self.pool, *opening).await?.map(|talk| talk.channel),
        };
        if let Some(channel) = channel {
            self.discord.type_in(surface::id(channel)).await?;
        }
        Ok(())
    }

    /// Where a piece that was begun stands.
    async fn known(&self, of: Of<'_>, key: &str, begun: &Begun, talk: &Where) -> Result<Option<There>, PostError> {
        match store::whereabouts(&self.pool, key).await? {
            Some(there) => Ok(Some(there)),
            None if begun.first => Ok(None),
            None => self.find(of, key, begun, talk.channel).await,
        }
    }

    /// The message of a post whose creation was answered to nobody: by its nonce, or, where Discord does not tell it any more, by being
    /// ours, saying the same or having buttons of the same run, and belonging to no other post.
    async fn find(&self, of: Of<'_>, key: &str, begun: &Begun, channel: ChannelId) -> Result<Option<There>, PostError> {
        if self.clock.now() - begun.begun_at < NONCE_HOLDS {
            // Sent again it finds itself.
            return Ok(None);
        }
        let nonce = surface::nonce(key);
        let run = of.post.run.filter(|_| of.n == 0);
        let ours = self.discord.own_messages(channel, begun.begun_at - SKEW, replace::written_until(begun)).await?;
        let has_nonce = |message: &&Message| matches!(&message.nonce, Some(Nonce::String(text)) if *text == nonce);
        let found = match ours.iter().find(has_nonce) {
            Some(message) => Some(message),
            None => {
                let says_it = |one: &&Message| one.nonce.is_none() && (one.content == of.draft.content || is_of(run, one));
                let alike: Vec<&Message> = ours.iter().filter(says_it).collect();
                let ids: Vec<String> = alike.iter().map(|message| message.id.to_string()).collect();
                let known = if ids.is_empty() { Vec::new() } else { store::known(&self.pool, &ids).await? };
                alike.into_iter().find(|message| !known.contains(&message.id.to_string()))
            }
        };
        let Some(message) = found else { return Ok(None) };
        let there = There { channel: surface::number(channel), message: surface::number(message.id) };
        store::done(&self.pool, key, there, self.clock.now()).await?;
        Ok(Some(there))
    }

    async fn create(&self, of: Of<'_>, key: &str, talk: &Where, is_first: bool) -> Result<CommentId, PostError> {
        let (channel, reply_to) = (talk.channel, talk.reply_to.filter(|_| of.n == 0));
        let draft = &Draft { reply_to, nonce: Some(surface::nonce(key)), ..of.draft.clone() };
        let message = match self.discord.create_message(channel, draft).await {
            // It says the same without hanging on the message it answers.
            Err(error) if error.code() == Some(code::REPLY_NEEDS_HISTORY) && draft.reply_to.is_some() => {
                let alone = Draft { reply_to: None, ..draft.clone() };
                self.discord.create_message(channel, &alone).await?
            }
            done => done?,
        };
        let there = There { channel: surface::number(channel), message: surface::number(message.id) };
        store::done(&self.pool, key, there, self.clock.now()).await?;
        // By its nonce an earlier one may have been found, which says what was to be said then.
        if !is_first && (message.content != draft.content || message.attachments.len() != draft.files.len()) {
            self.update(there, draft).await?;
        }
        Ok(CommentId(there.message))
    }

    /// Edits a message; one in an archived thread after the thread was brought back, unless that is refused.
    async fn update(&self, there: There, draft: &Draft) -> Result<(), DiscordError> {
        let (channel, message) = (surface::id(there.channel), surface::id(there.message));
        match self.discord.edit_message(channel, message, draft).await {
            Err(error) if error.code() == Some(code::THREAD_ARCHIVED) => {
                match self.discord.archive(channel, false).await {
                    Err(refusal) if !refusal.is_transient() && refusal != DiscordError::Unauthorized => return Err(error),
                    brought_back => brought_back?,
                }
                self.discord.edit_message(channel, message, draft).await.map(drop)
            }
            done => done.map(drop),
        }
    }

    /// Takes the messages away that a post does not need any more, the last ones first: wherever that ends, the next time goes on.
    async fn take_away_rest(&self, key: &str, pieces: usize) -> Result<(), PostError> {
        for (key, n, there) in store::pieces(&self.pool, key, MOST_PIECES).await? {
            if n > pieces {
                self.take_away(there).await?;
                store::gone(&self.pool, &key).await?;
            }
        }
        Ok(())
    }
}

/// Whether a message carries a button of a run.
fn is_of(run: Option<RunId>, message: &Message) -> bool {
    let parts = message.components.iter().flat_map(|row| &row.components);
    let mut runs = parts.filter_map(|part| match part {
        ActionRowComponent::Button(button) => match &button.data {
            ButtonKind::NonLink { custom_id, .. } => run_of(custom_id),
            _ => None,
        },
        _ => None,
    });
    run.is_some() && runs.any(|of| Some(of) == run)
}

fn run_of(custom_id: &str) -> Option<RunId> {
    match Button::parse(custom_id)? {
        Button::Stop(run) | Button::Retry(run) | Button::Continue(run) | Button::OpenPullRequest(run) => Some(run),
        Button::Again(_) | Button::Approve(_) | Button::Decline(_) => None,
    }
}

/// What stands for a reaction.
fn emoji(reaction: Reaction) -> &'static str {
    match reaction {
        Reaction::Eyes => "👀",
        Reaction::Rocket => "🚀",
        Reaction::Confused => "😕",
    }
}

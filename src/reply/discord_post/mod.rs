//! Posting on Discord: pieces become messages, each with a key that makes it happen once.
//!
//! The first piece of a post is its live message and, edited, its answer; further pieces are posts of their own (`<key>/2`, …). A message
//! carries the nonce of its key, by which it is found again when the answer to its creation was lost. Where we talk is decided once for
//! each conversation: in the thread of the message it began with, or, where none can be opened, in the channel.

mod draft;
mod store;
mod tags;
mod talk;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serenity::model::application::{ActionRowComponent, ButtonKind};
use serenity::model::channel::{Message, Nonce};
use serenity::model::id::{ChannelId, MessageId};
use sqlx::PgPool;

use self::draft::Grounds;
use self::store::There;
use self::talk::Where;
use super::Redactor;
use super::discord::{self, Piece};
use super::post::{CommentPost, PostError};
use super::said::Said;
use super::store::{self as posts, PostRow};
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
const MOST_PIECES: usize = 200;

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
        loop {
            let here = self.grounds.here(&self.discord, post, said, &talk, self.clock.now()).await;
            let pieces = draft::spread(discord::render(said, &here));
            let error = match self.say(post, &talk, &pieces).await {
                Err(PostError::Discord(error)) => error,
                done => return done,
            };
            if self.grounds.learn(&self.discord, &talk, &pieces, &error, self.clock.now()).await {
                tracing::info!(discord.channel = talk.channel.get(), %error, "said again with less");
            } else if talk.is_thread_of_ours && cannot_talk(&error) {
                talk = self.fall_back(post, &talk).await?;
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
        let key = piece_key(post.key, n);
        // A piece is no refusal of its own, which are counted.
        let kind = if n == 0 { post.kind } else { "piece" };
        let row = PostRow { key: &key, thread: post.thread, run: post.run, kind, about: post.about };
        let begun = posts::begin(&self.pool, row, self.clock.now()).await?;
        let mut draft = self.draft(piece).await?;
        let there = match store::whereabouts(&self.pool, &key).await? {
            Some(there) => Some(there),
            None if begun.first => None,
            None => self.find(&key, post.run.filter(|_| n == 0), talk.channel, &draft, begun.begun_at).await?,
        };
        match there {
            Some(there) => self.edit_or_replace(&key, there, talk, draft).await,
            None => {
                draft.reply_to = talk.reply_to.filter(|_| n == 0);
                draft.nonce = Some(surface::nonce(&key));
                self.create(&key, talk.channel, &draft, begun.first).await
            }
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

    /// The message of a post whose creation was answered to nobody: by its nonce, or, where Discord does not tell it any more, by being
    /// ours, saying the same or having buttons of the same run, and belonging to no other post.
    async fn find(
        &self,
        key: &str,
        run: Option<RunId>,
        channel: ChannelId,
        draft: &Draft,
        begun_at: DateTime<Utc>,
    ) -> Result<Option<There>, PostError> {
        if self.clock.now() - begun_at < NONCE_HOLDS {
            // Sent again it finds itself.
            return Ok(None);
        }
        let nonce = surface::nonce(key);
        let ours = self.discord.own_messages(channel, begun_at - SKEW).await?;
        let has_nonce = |message: &&Message| matches!(&message.nonce, Some(Nonce::String(text)) if *text == nonce);
        let found = match ours.iter().find(has_nonce) {
            Some(message) => Some(message),
            None => {
                let alike: Vec<&Message> =
                    ours.iter().filter(|one| one.nonce.is_none() && (one.content == draft.content || is_of(run, one))).collect();
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

    async fn create(&self, key: &str, channel: ChannelId, draft: &Draft, is_first: bool) -> Result<CommentId, PostError> {
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

    async fn edit_or_replace(&self, key: &str, there: There, talk: &Where, mut draft: Draft) -> Result<CommentId, PostError> {
        let error = match self.update(there, &draft).await {
            Ok(()) => return Ok(CommentId(there.message)),
            Err(error) => error,
        };
        let was_deleted = matches!(error, DiscordError::NotFound { code } if code != code::UNKNOWN_CHANNEL);
        let is_worn_out = error.code() == Some(code::TOO_MANY_OLD_EDITS);
        if !was_deleted && !is_worn_out {
            return Err(error.into());
        }
        // Somebody deleted the message, or it is old and was edited too often; an answer that nobody sees is no answer. Which one it takes
        // the place of is in the nonce, so that it is replaced once.
        draft.nonce = Some(surface::nonce(&format!("{key}#{}", there.message)));
        draft.reply_to = talk.reply_to;
        let id = self.create(key, talk.channel, &draft, false).await?;
        if is_worn_out {
            self.discord.delete_message(surface::id(there.channel), surface::id(there.message)).await?;
        }
        Ok(id)
    }

    /// Edits a message; one in an archived thread after the thread was brought back.
    async fn update(&self, there: There, draft: &Draft) -> Result<(), DiscordError> {
        let (channel, message) = (surface::id(there.channel), surface::id(there.message));
        match self.discord.edit_message(channel, message, draft).await {
            Err(error) if error.code() == Some(code::THREAD_ARCHIVED) => {
                self.discord.archive(channel, false).await?;
                self.discord.edit_message(channel, message, draft).await.map(drop)
            }
            done => done.map(drop),
        }
    }

    /// Takes the messages away that a post does not need any more.
    async fn take_away_rest(&self, key: &str, pieces: usize) -> Result<(), PostError> {
        for n in pieces..MOST_PIECES {
            let key = piece_key(key, n);
            let Some(there) = store::whereabouts(&self.pool, &key).await? else { return Ok(()) };
            self.discord.delete_message(surface::id(there.channel), surface::id(there.message)).await?;
            store::gone(&self.pool, &key).await?;
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

/// Whether a thread is one we may not write in.
fn cannot_talk(error: &DiscordError) -> bool {
    matches!(error, DiscordError::Forbidden { code: code::MISSING_PERMISSIONS | code::MISSING_ACCESS, .. })
}

/// What stands for a reaction.
fn emoji(reaction: Reaction) -> &'static str {
    match reaction {
        Reaction::Eyes => "👀",
        Reaction::Rocket => "🚀",
        Reaction::Confused => "😕",
    }
}

//! Posting: an effect with a key that happens once, however often it is asked for.
//!
//! A post is recorded before it is performed. When it is asked for again without a known result (a crash, a lost answer), it is
//! looked for by its hidden marker first. That is sound because a call of ours ends (at most 10 s) before a lease does
//! (15 s): nobody else can have the same post in flight.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::discord_post::DiscordPosts;
use super::redact::Redactor;
use super::said::Said;
use super::standing::Standing;
use super::store::{self, Begun, PostRow};
use super::{marker, mention};
use crate::clock::Clock;
use crate::discord::{Discord, DiscordError};
use crate::github::{CommentId, Github, GithubError, Reaction, RepoRef};
use crate::id::{LeaseEpoch, RunId, ThreadId};
use crate::intake::{Place, Request};

/// Clocks differ; a marker is looked for this much earlier than the post was begun.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// Performs posts. Every text goes through redaction here and nowhere else.
#[derive(Clone)]
pub struct Poster {
    pool: PgPool,
    github: Option<Arc<Github>>,
    discord: Option<Arc<DiscordPosts>>,
    redactor: Arc<Redactor>,
    clock: Arc<dyn Clock>,
}

/// Which comment.
#[derive(Clone, Debug)]
pub struct CommentPost<'a> {
    /// Names it for ever, such as `run-<id>`.
    pub key: &'a str,
    /// The thread it belongs to.
    pub thread: ThreadId,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// `answer`, `refusal`, `notice`.
    pub kind: &'a str,
    /// Whom it is about, for refusals.
    pub about: Option<&'a str>,
    /// Where it goes.
    pub place: &'a Place,
    /// Where in the place.
    pub spot: Spot,
}

/// Where in a place a post stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spot {
    /// The conversation itself.
    #[default]
    Conversation,
    /// The review thread whose first comment has this number. When that is gone the post goes to the conversation and says so.
    ReviewThread(i64),
}

impl Spot {
    /// Where a request is answered: there, where it was made.
    pub fn of(request: &Request) -> Self {
        request.review_thread.as_ref().map_or(Self::Conversation, |thread| Self::ReviewThread(thread.root))
    }

    fn of_root(root: Option<i64>) -> Self {
        root.map_or(Self::Conversation, Self::ReviewThread)
    }

    fn root(self) -> Option<i64> {
        match self {
            Self::Conversation => None,
            Self::ReviewThread(root) => Some(root),
        }
    }
}

/// What precedes a post that could not go where it belongs.
const THREAD_GONE: &str = "*The review thread this belongs to is gone, so it stands here.*\n\n";

/// Why a post was not performed.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// GitHub did not take it.
    #[error(transparent)]
    Github(#[from] GithubError),
    /// Discord did not take it.
    #[error(transparent)]
    Discord(#[from] DiscordError),
    /// The database did not answer.
    #[error("cannot record the post: {0}")]
    Database(#[from] sqlx::Error),
    /// The surface is switched off in this process.
    #[error("the surface it belongs to is not configured in this process")]
    Off,
}

// Everything that is decided or run has the futures of this within its own, so what talks to a surface is boxed here.
impl Poster {
    /// A poster; `github` is none where that surface is off.
    pub fn new(pool: PgPool, github: Option<Arc<Github>>, redactor: Arc<Redactor>, clock: Arc<dyn Clock>) -> Self {
        Self { pool, github, discord: None, redactor, clock }
    }

    /// The same poster, which also posts on Discord.
    #[must_use]
    pub fn on_discord(mut self, discord: Arc<Discord>) -> Self {
        let posts = DiscordPosts::new(self.pool.clone(), discord, self.redactor.clone(), self.clock.clone());
        self.discord = Some(Arc::new(posts));
        self
    }

    /// For views, which are redacted before they are rendered, so that no secret is cut in half.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Makes the comment say it: creates it, or edits the one that is there. Idempotent by key.
    pub async fn comment(&self, post: &CommentPost<'_>, said: &Said<'_>) -> Result<CommentId, PostError> {
        if let Place::Discord { .. } = post.place {
            return Box::pin(self.discord()?.comment(post, said)).await;
        }
        let row = PostRow { key: post.key, thread: post.thread, run: post.run, kind: post.kind, about: post.about };
        let begun = store::begin(&self.pool, row, self.clock.now()).await?;
        let body = said.on_github(post.key);
        let body = self.redactor.redact(&body);
        match self.existing(post, &begun).await? {
            Some(there) => Box::pin(self.edit_or_replace(post, there, begun.begun_at, &body)).await,
            None => Box::pin(self.create(post, &body)).await,
        }
    }

    /// Edits a comment that is there; does nothing when it is not known to be, or was deleted by somebody.
    pub async fn edit(&self, post: &CommentPost<'_>, said: &Said<'_>) -> Result<(), PostError> {
        if let Place::Discord { .. } = post.place {
            return Box::pin(self.discord()?.edit(post, said)).await;
        }
        let Some((id, root)) = store::whereabouts(&self.pool, post.key).await? else { return Ok(()) };
        let there = There { id: CommentId(id), spot: Spot::of_root(root) };
        match self.update(post, there, &self.redactor.redact(&said.on_github(post.key))).await {
            Ok(()) | Err(PostError::Github(GithubError::NotFound)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// True while the lease of a thread is held by whoever took it as `epoch`; also false where that cannot be known now.
    pub async fn holds(&self, thread: ThreadId, epoch: LeaseEpoch) -> bool {
        match store::holds(&self.pool, thread, epoch).await {
            Ok(holds) => holds,
            Err(error) => {
                tracing::info!(thread.id = %thread, %error, "whether the lease is held is not known");
                false
            }
        }
    }

    /// True once a comment with this key is known to be there.
    pub async fn is_posted(&self, key: &str) -> Result<bool, PostError> {
        Ok(store::whereabouts(&self.pool, key).await?.is_some())
    }

    /// Reacts to what was written. A surface keeps one reaction of a kind per person, so this may be repeated.
    pub async fn react(&self, request: &Request, reaction: Reaction) -> Result<(), PostError> {
        if let Place::Discord { .. } = &request.place {
            return Box::pin(self.discord()?.react(request, reaction)).await;
        }
        let (github, repo, number) = self.target(&request.place)?;
        match github.react(&repo, number, request.trigger, reaction).await {
            // What was written is gone; there is nothing to react to.
            Ok(()) | Err(GithubError::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Shows for some seconds that something is being written, where the surface shows such a thing.
    pub async fn show_typing(&self, place: &Place) -> Result<(), PostError> {
        match place {
            Place::Github { .. } => Ok(()),
            Place::Discord { .. } => self.discord()?.show_typing(place).await,
        }
    }

    /// Shows how a conversation stands where a place has a sign for that: tags of a post in a forum. Idempotent; nothing elsewhere, or where
    /// we may not.
    ///
    /// # Errors
    /// What passes by itself alone.
    pub async fn show_standing(&self, place: &Place, standing: Standing) -> Result<(), PostError> {
        match (place, &self.discord) {
            (Place::Discord { .. }, Some(discord)) => discord.show_standing(place, standing).await,
            (Place::Github { .. } | Place::Discord { .. }, _) => Ok(()),
        }
    }

    /// Shows the title of a thread on the surfaces where the conversation has a name that we gave it. Idempotent. A name that a person
    /// gave stays.
    pub async fn show_title(&self, thread: ThreadId, title: &str) -> Result<(), PostError> {
        match &self.discord {
            Some(discord) => discord.rename(thread, title).await,
            None => Ok(()),
        }
    }

    /// Whether this name of a thread on Discord is one that we gave it, so that it is nobody's wish.
    pub async fn is_our_name(&self, channel: i64, name: &str) -> Result<bool, PostError> {
        match &self.discord {
            Some(discord) => Ok(discord.is_our_name(channel, name).await?),
            None => Ok(false),
        }
    }

    fn discord(&self) -> Result<&DiscordPosts, PostError> {
        self.discord.as_deref().ok_or(PostError::Off)
    }

    async fn existing(&self, post: &CommentPost<'_>, begun: &Begun) -> Result<Option<There>, PostError> {
        if let Some(id) = begun.external_id {
            return Ok(Some(There { id: CommentId(id), spot: Spot::of_root(begun.review_thread) }));
        }
        if begun.first {
            return Ok(None);
        }
        self.find(post, begun.begun_at).await
    }

    /// Looks where it belongs first, and then where it went if that was gone.
    async fn find(&self, post: &CommentPost<'_>, begun_at: DateTime<Utc>) -> Result<Option<There>, PostError> {
        let (github, repo, number) = self.target(post.place)?;
        let (marker, since) = (marker::marker(post.key), begun_at - SKEW);
        let in_thread = match post.spot {
            Spot::Conversation => None,
            Spot::ReviewThread(_) => github.find_review_comment(&repo, number, &marker, since).await?,
        };
        let found = match in_thread {
            Some(id) => Some(There { id, spot: post.spot }),
            None => github.find_comment(&repo, number, &marker, since).await?.map(|id| There { id, spot: Spot::Conversation }),
        };
        if let Some(there) = found {
            self.done(post, there).await?;
        }
        Ok(found)
    }

    async fn edit_or_replace(
        &self,
        post: &CommentPost<'_>,
        there: There,
        begun_at: DateTime<Utc>,
        body: &str,
    ) -> Result<CommentId, PostError> {
        match self.update(post, there, body).await {
            Ok(()) => Ok(there.id),
            // Somebody deleted the comment; an answer that nobody sees is no answer. It may have been written anew already.
            Err(PostError::Github(GithubError::NotFound)) => match self.find(post, begun_at).await? {
                Some(again) if again.id != there.id => {
                    self.update(post, again, body).await?;
                    Ok(again.id)
                }
                Some(_) | None => self.create(post, body).await,
            },
            Err(error) => Err(error),
        }
    }

    async fn update(&self, post: &CommentPost<'_>, there: There, body: &str) -> Result<(), PostError> {
        let (github, repo, _) = self.target(post.place)?;
        match there.spot {
            Spot::Conversation => github.update_comment(&repo, there.id, &placed(post.spot, there.spot, body)).await?,
            Spot::ReviewThread(_) => github.update_review_comment(&repo, there.id, body).await?,
        }
        Ok(())
    }

    async fn create(&self, post: &CommentPost<'_>, body: &str) -> Result<CommentId, PostError> {
        let (github, repo, number) = self.target(post.place)?;
        let replied = match post.spot {
            Spot::Conversation => Err(GithubError::NotFound),
            Spot::ReviewThread(root) => github.reply_in_review(&repo, number, root, body).await,
        };
        let there = match replied {
            Ok(id) => There { id, spot: post.spot },
            Err(GithubError::NotFound) => {
                let body = placed(post.spot, Spot::Conversation, body);
                There { id: github.create_comment(&repo, number, &body).await?, spot: Spot::Conversation }
            }
            Err(error) => return Err(error.into()),
        };
        self.done(post, there).await?;
        Ok(there.id)
    }

    async fn done(&self, post: &CommentPost<'_>, there: There) -> Result<(), PostError> {
        Ok(store::done(&self.pool, post.key, there.id.0, there.spot.root(), self.clock.now()).await?)
    }

    fn target<'a>(&'a self, place: &Place) -> Result<(&'a Github, RepoRef, i64), PostError> {
        let github = self.github.as_deref().ok_or(PostError::Off)?;
        let (repo, number) = RepoRef::of(place).ok_or(PostError::Off)?;
        Ok((github, repo, number))
    }
}

/// A post that is on the surface.
#[derive(Clone, Copy, Debug)]
struct There {
    id: CommentId,
    spot: Spot,
}

/// The body as it is said at `spot`, when it belongs to `wanted`.
fn placed(wanted: Spot, spot: Spot, body: &str) -> String {
    if wanted == spot { body.to_owned() } else { format!("{THREAD_GONE}{body}") }
}

/// The people an answer may mention: those the request itself mentions, and its author.
pub fn allowed_mentions(request: &Request) -> Vec<String> {
    let mut allowed = mention::written_by(&request.text);
    allowed.push(request.author.login.clone());
    allowed
}

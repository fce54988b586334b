//! Messages that take the place of others: of those that somebody deleted, that cannot be edited any more, or that stand where we cannot
//! talk any more.
//!
//! A replacement is a post of its own until it has taken the place, under a key that names which message it replaces: so it is written
//! once, and whoever takes it up again knows that the other one still has to go.

use chrono::{DateTime, Utc};

use super::store::{self, There};
use super::talk::Where;
use super::{DiscordPosts, piece_key};
use crate::discord::{self as surface, DiscordError, Draft, code};
use crate::github::CommentId;
use crate::reply::post::{CommentPost, PostError};
use crate::reply::store::{self as posts, Begun, PostRow};

/// How often in one go a message is replaced; beyond that somebody deletes them as fast as they are written.
const MOST_REPLACED: usize = 3;

/// A piece of a post: which, and what it is to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of<'a> {
    pub post: &'a CommentPost<'a>,
    pub n: usize,
    pub draft: &'a Draft,
}

impl Of<'_> {
    pub fn key(&self) -> String {
        piece_key(self.post.key, self.n)
    }

    /// A piece, and a replacement, is no refusal of its own, which are counted.
    pub async fn begin(&self, posts: &DiscordPosts, key: &str, kind: &str) -> Result<Begun, sqlx::Error> {
        let CommentPost { thread, run, about, .. } = *self.post;
        posts::begin(&posts.pool, PostRow { key, thread, run, kind, about }, posts.clock.now()).await
    }
}

impl DiscordPosts {
    /// Makes the message of a piece say it: edits it, or writes another one in its place when nobody would see that.
    pub(super) async fn edit_or_replace(&self, of: Of<'_>, mut there: There, talk: &Where) -> Result<CommentId, PostError> {
        for _ in 0..MOST_REPLACED {
            let again = format!("{}#{}", of.key(), there.message);
            // One that is being replaced is not worth another word, and one that stands elsewhere belongs to where we talk now.
            let is_to_go = there.channel != surface::number(talk.channel) || store::is_begun(&self.pool, &again).await?;
            if !is_to_go {
                match self.update(there, of.draft).await {
                    Ok(()) => return Ok(CommentId(there.message)),
                    Err(error) if is_lost(&error) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            match self.replace(of, &again, there, talk).await? {
                Replaced::Now(message) => return Ok(message),
                Replaced::Before(earlier) => there = earlier,
            }
        }
        Err(DiscordError::NotFound { code: code::UNKNOWN_MESSAGE }.into())
    }

    async fn replace(&self, of: Of<'_>, again: &str, old: There, talk: &Where) -> Result<Replaced, PostError> {
        let begun = of.begin(self, again, "piece").await?;
        let known = self.known(of, again, &begun, talk).await?;
        let replaced = match known {
            Some(earlier) => Replaced::Before(earlier),
            None => match self.create(of, again, talk, begun.first).await {
                Ok(message) => Replaced::Now(message),
                Err(error) => {
                    if begun.first && !matches!(&error, PostError::Discord(error) if error.maybe_done()) {
                        store::gone(&self.pool, again).await?;
                    }
                    return Err(error);
                }
            },
        };
        self.take_away(old).await?;
        store::replaced(&self.pool, &of.key(), again, self.clock.now()).await?;
        Ok(replaced)
    }

    /// Deletes a message of ours, if it is there and we may.
    pub(super) async fn take_away(&self, there: There) -> Result<(), DiscordError> {
        match self.discord.delete_message(surface::id(there.channel), surface::id(there.message)).await {
            Err(error) if !error.is_transient() && error != DiscordError::Unauthorized => {
                tracing::info!(discord.channel = there.channel, %error, "a message of ours stays");
                Ok(())
            }
            done => done,
        }
    }
}

/// What stands in the place of a message.
enum Replaced {
    /// It says what it is to say.
    Now(CommentId),
    /// Written at an earlier attempt; says what it was to say then.
    Before(There),
}

/// Whether what is edited would be seen by nobody: somebody deleted the message, or it is old and was edited too often.
fn is_lost(error: &DiscordError) -> bool {
    let was_deleted = matches!(error, DiscordError::NotFound { code } if *code != code::UNKNOWN_CHANNEL);
    was_deleted || error.code() == Some(code::TOO_MANY_OLD_EDITS)
}

/// Until when a post can have been written: a little after its last attempt.
pub(super) fn written_until(begun: &Begun) -> DateTime<Utc> {
    begun.tried_at.unwrap_or(begun.begun_at) + super::SKEW
}

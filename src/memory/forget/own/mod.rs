//! What people take back themselves, in a conversation: how much that is, and whose.

mod store;

use sqlx::PgPool;

pub(super) use self::store::{forget_opened, opened};
use super::{Reached, Target, Words};
use crate::id::{MessageId, ThreadId};
use crate::intake::Place;

/// How much would be forgotten. Runs are those whose answers go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Things people said.
    pub messages: i64,
    /// Runs of ours.
    pub runs: i64,
    /// Of these, how many are at work.
    pub at_work: i64,
    /// Passages that recall finds.
    pub passages: i64,
    /// Lines of working memory.
    pub lines: i64,
}

impl Amount {
    /// True when there is nothing to forget.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// How much of somebody's words there is, beside the message that asks and what is on its way out.
///
/// # Errors
/// As the database.
pub async fn of_words(pool: &PgPool, words: Words, but: MessageId) -> Result<Amount, sqlx::Error> {
    store::amount(pool, words.thread, Some(words.author), Some(&Target::Words(words)), None, but).await
}

/// How much there is of a conversation, beside the message that asks: all of its thread or, where others share that, what was said in it.
///
/// # Errors
/// As the database.
pub async fn of_conversation(
    pool: &PgPool,
    thread: ThreadId,
    place: &Place,
    but: MessageId,
) -> Result<(Amount, Reached), sqlx::Error> {
    if !super::store::is_shared(pool, thread).await? {
        return Ok((store::amount(pool, Some(thread), None, None, None, but).await?, Reached::Whole));
    }
    let objects = super::store::objects(pool, thread, place).await?;
    Ok((store::amount(pool, Some(thread), None, None, Some(&objects), but).await?, Reached::Part))
}

/// Whether everything that people said in a thread was said by this one.
///
/// # Errors
/// As the database.
pub async fn is_alone(pool: &PgPool, thread: ThreadId, author: i64) -> Result<bool, sqlx::Error> {
    store::is_alone(pool, thread, author).await
}

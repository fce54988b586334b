//! What people take back themselves, in a conversation: how much that is, and whose.

mod store;

use sqlx::PgPool;

pub(super) use self::store::{forget_opened, opened};
use super::Words;
use crate::id::{MessageId, ThreadId};

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

/// How much of somebody's words there is, beside the message that asks.
///
/// # Errors
/// As the database.
pub async fn of_words(pool: &PgPool, words: Words, but: MessageId) -> Result<Amount, sqlx::Error> {
    store::amount(pool, words.thread, Some(words.author), but).await
}

/// How much there is of a thread, beside the message that asks.
///
/// # Errors
/// As the database.
pub async fn of_thread(pool: &PgPool, thread: ThreadId, but: MessageId) -> Result<Amount, sqlx::Error> {
    store::amount(pool, Some(thread), None, but).await
}

/// Whether everything that people said in a thread was said by this one.
///
/// # Errors
/// As the database.
pub async fn is_alone(pool: &PgPool, thread: ThreadId, author: i64) -> Result<bool, sqlx::Error> {
    store::is_alone(pool, thread, author).await
}

/// Whether several conversations share a thread.
///
/// # Errors
/// As the database.
pub async fn is_shared(pool: &PgPool, thread: ThreadId) -> Result<bool, sqlx::Error> {
    super::store::is_shared(pool, thread).await
}

//! What was said in a conversation, by when and by whom, a page at a time or around certain messages.

pub(super) mod store;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::MOST_LISTED;
use crate::id::{RunId, ThreadId};
use crate::memory::{By, Period};
use crate::model::Role;

/// Characters of one message that are shown.
pub const LONGEST_SHOWN: usize = 4_000;

/// Something that was said.
#[derive(Clone, Debug, Serialize)]
pub struct Said {
    /// Its id.
    pub id: Uuid,
    /// `user`, `assistant` or `tool`.
    pub role: String,
    /// Who wrote it; none for the agent.
    pub author: Option<String>,
    /// In plain text, at most [`LONGEST_SHOWN`] characters.
    pub text: String,
    /// Its receipt, as the model sees it.
    pub receipt: String,
    /// Where it was said.
    pub url: Option<String>,
    /// The run it belongs to.
    pub run: Option<Uuid>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Which of it is wanted; all by default.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Said then.
    pub period: Period,
    /// By people, the agent or its tools.
    pub role: Option<Role>,
    /// By them.
    pub by: Option<By>,
    /// In this run.
    pub run: Option<RunId>,
}

/// A page, oldest first: what was said after the message `after`, at most `most` and never more than [`MOST_LISTED`].
///
/// # Errors
/// As the database.
pub async fn page(
    pool: &PgPool,
    thread: ThreadId,
    which: &Which,
    after: Option<Uuid>,
    most: u32,
) -> Result<Vec<Said>, sqlx::Error> {
    store::page(pool, thread, which, after, i64::from(most.min(MOST_LISTED))).await
}

/// These messages of the conversation, each with so many before and after it; each once, oldest first, and no more than [`MOST_LISTED`] in
/// all. What is not there, or not in this conversation, is left out.
///
/// # Errors
/// As the database.
pub async fn around(
    pool: &PgPool,
    thread: ThreadId,
    ids: &[Uuid],
    (before, after): (u32, u32),
) -> Result<Vec<Said>, sqlx::Error> {
    let most = MOST_LISTED as usize;
    let around = (i64::from(before.min(MOST_LISTED)), i64::from(after.min(MOST_LISTED)));
    store::around(pool, thread, &ids[..ids.len().min(most)], around, i64::from(MOST_LISTED)).await
}

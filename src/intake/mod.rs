//! Intake: what arrived, in the words of no particular surface, and the one statement that makes it ours.
//!
//! [`Intake::accept`] is called before a webhook is answered: when it says `Stored`, the delivery, its thread, the message, the
//! inbox row are committed; a worker is woken after it. It makes no call to any surface and may be repeated with the same delivery.
//! Deliveries that come at the same moment share a statement and a commit.

pub mod command;
mod event;
mod noted;
pub mod policy;
mod store;
mod writer;

pub use event::*;
pub use noted::store::change_of;
pub use writer::{AcceptError, Intake};

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::id::ThreadId;

/// Commits what the service itself found out, such as a reaction; otherwise as [`Intake::accept`] does for a request. Idempotent by the
/// delivery's id.
///
/// # Errors
/// When the database does not take it.
pub async fn accept_found(
    pool: &PgPool,
    delivery: &Delivery,
    request: &Request,
    now: DateTime<Utc>,
) -> Result<Accepted, sqlx::Error> {
    let accepted = store::accept(pool, &[store::Row::new(delivery, request)], now).await?;
    Ok(accepted.into_iter().next().unwrap_or(Accepted::Duplicate))
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Committed; a worker was told.
    Stored {
        /// The conversation.
        thread: ThreadId,
        /// Place in its inbox, from 1.
        sequence: i64,
    },
    /// Committed; needs no worker.
    Noted(&'static str),
    /// We have it already, under this or another delivery id.
    Duplicate,
    /// Not for us; nothing was stored.
    Nothing(&'static str),
}

//! Intake: what arrived, in the words of no particular surface, and the one statement that makes it ours.
//!
//! [`accept`] is called before a webhook is answered: when it returns `Stored`, the delivery, its thread, the message, the inbox
//! row and the wake-up of a worker are committed. It makes no network call and may be called any number of times with the
//! same delivery.

pub mod command;
mod event;
pub mod policy;
mod store;

pub use event::*;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::id::ThreadId;

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

/// Commits a delivery. Idempotent by delivery id and by object and edit time. An error means that nothing was stored.
pub async fn accept(pool: &PgPool, inbound: &Inbound, now: DateTime<Utc>) -> Result<Accepted, sqlx::Error> {
    match &inbound.event {
        Event::Request(request) => store::accept_request(pool, &inbound.delivery, request, now).await,
        Event::Closed(place) => {
            store::close_thread(pool, place, now).await?;
            Ok(Accepted::Noted("the conversation is closed"))
        }
        Event::Installation(installation) => {
            store::record_installation(pool, installation, now).await?;
            Ok(Accepted::Noted("the installation is recorded"))
        }
        Event::Nothing(reason) => Ok(Accepted::Nothing(reason)),
    }
}

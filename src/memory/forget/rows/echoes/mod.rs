//! What requests of others on Discord hold of a message: it named their thread, they answered or linked to it, or it stood above theirs in a
//! channel.

mod store;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::id::ThreadId;
use crate::memory::forget::{Target, store as queue};

/// Empties it. Runs at work are looked at again when they are over.
pub(super) async fn forget(
    tx: &mut Transaction<'_, Postgres>,
    messages: &[Uuid],
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let gone = store::places(tx, messages).await?;
    if gone.channels.is_empty() {
        return Ok(());
    }
    store::forget_titles(tx, &gone).await?;
    store::forget_quotes(tx, &gone).await?;
    for thread in store::forget_snapshots(tx, &gone).await? {
        queue::ask_in(tx, &Target::Quotes(ThreadId(thread)), by, now).await?;
    }
    Ok(())
}

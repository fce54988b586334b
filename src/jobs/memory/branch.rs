//! A branch whose readers may not read its source any more: from then on it has its own words alone.

use super::borders;
use crate::id::ThreadId;
use crate::jobs::Services;
use crate::memory::branch;
use crate::thread;

/// Parts a conversation of `owner` from what it began with, where not everybody who reads it may be told that any more: on Discord fewer
/// may read the source by now, or somebody made it one with a conversation elsewhere. That is looked up when it would be told.
pub(in crate::jobs) async fn keep_border(services: &Services, thread: ThreadId, owner: &str) -> Result<(), sqlx::Error> {
    let sources = branch::sources(&services.pool, thread).await?;
    if sources.is_empty() {
        return Ok(());
    }
    let places = thread::places(&services.pool, thread).await?;
    let is_one = places.windows(2).all(|two| two[0].payer() == two[1].payer());
    if is_one && (!borders::is_guild(owner) || borders::hidden(services, owner, sources).await?.is_empty()) {
        return Ok(());
    }
    tracing::info!(thread.id = %thread, "a branch has its own words alone: fewer may read what it began with");
    branch::part(&services.pool, thread, services.clock.now()).await
}

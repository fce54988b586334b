//! A branch on Discord whose source fewer may read by now: from then on it has its own words alone.

use super::borders;
use crate::id::ThreadId;
use crate::jobs::Services;
use crate::memory::branch;

/// Parts a conversation of `owner` from what it began with, where not everybody who reads it may be told that any more. That is looked up
/// when it would be told.
pub(in crate::jobs) async fn keep_border(services: &Services, thread: ThreadId, owner: &str) -> Result<(), sqlx::Error> {
    if !borders::is_guild(owner) {
        return Ok(());
    }
    let sources = branch::sources(&services.pool, thread).await?;
    if borders::hidden(services, owner, sources).await?.is_empty() {
        return Ok(());
    }
    tracing::info!(thread.id = %thread, "a branch has its own words alone: fewer may read what it began with");
    branch::part(&services.pool, thread, services.clock.now()).await
}

//! Puts what was said in finished runs into memory.

use crate::jobs::Services;
use crate::memory::index;

/// Works until nothing is due. What a process left undone is found by the next sweep, and what was there before memory was.
pub(in crate::jobs) async fn work(services: Services) {
    while !services.shutdown.is_cancelled() {
        match index::some(&services.pool, services.poster.redactor()).await {
            Ok(done) => {
                if done.pieces > 0 {
                    services.bells.embedding.ring();
                }
                if done.messages == 0 {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "what was said is not in memory yet");
                return;
            }
        }
    }
}

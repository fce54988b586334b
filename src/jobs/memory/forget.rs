//! Forgets what people deleted or asked to be forgotten, and what is older than memory is to be.

use chrono::TimeDelta;

use crate::jobs::Services;
use crate::memory::forget::{self, work};

/// Whoever asked can see that it is done for so long; nothing written before it arrives later.
const KNOWN: TimeDelta = TimeDelta::days(30);

/// Works until nothing is due.
pub(in crate::jobs) async fn work(services: Services) {
    while !services.shutdown.is_cancelled() {
        match work::step(&services.pool, services.clock.now()).await {
            Ok(true) => {
                // Somebody may have been asked to stop, and something to be condensed again.
                services.bells.runs.ring();
                services.bells.indexing.ring();
                services.bells.condensing.ring();
            }
            Ok(false) => return,
            Err(error) => {
                tracing::error!(%error, "forgetting has to stop for now");
                return;
            }
        }
    }
}

/// Forgets what was said longer ago than memory is kept, and that something was forgotten long ago. Days count from midnight (UTC), so that
/// a long thread loses its oldest part once a day.
pub(in crate::jobs) async fn age(services: &Services) -> Result<(), sqlx::Error> {
    let now = services.clock.now();
    forget::forget_done(&services.pool, now - KNOWN).await?;
    let Some(days) = services.settings.memory_days else { return Ok(()) };
    let midnight = now.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    let forgotten = work::forget_older(&services.pool, midnight - TimeDelta::days(i64::from(days)), now).await?;
    if forgotten > 0 {
        tracing::info!(messages = forgotten, days, "forgot what is older than memory is kept");
    }
    Ok(())
}

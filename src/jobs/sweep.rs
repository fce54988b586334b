//! The sweep: finds what was left behind by processes that died, and forgets what is old.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Services, store};

const BETWEEN: Duration = Duration::from_secs(5);
const BETWEEN_CLEANINGS: Duration = Duration::from_secs(60 * 60);
/// GitHub redelivers for three days; a week more is for people.
const DELIVERIES_KEPT: TimeDelta = TimeDelta::days(10);
/// Snapshots of finished runs, which only matter to people who look into a failure.
const SNAPSHOTS_KEPT: TimeDelta = TimeDelta::days(7);

/// Sweeps at once, then again and again until shutdown.
pub(super) async fn keep_sweeping(services: Services) {
    let mut cleaned: Option<tokio::time::Instant> = None;
    loop {
        // Whoever wakes looks for what is due in nobody's hands, whichever process left it behind.
        services.bells.gate.ring();
        services.bells.runs.ring();
        if cleaned.is_none_or(|at| at.elapsed() > BETWEEN_CLEANINGS) {
            cleaned = Some(tokio::time::Instant::now());
            let now = services.clock.now();
            if let Err(error) = store::forget_old(&services.pool, now - DELIVERIES_KEPT, now - SNAPSHOTS_KEPT).await {
                tracing::warn!(%error, "cannot forget what is old");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(BETWEEN) => {}
            () = services.shutdown.cancelled() => return,
        }
    }
}

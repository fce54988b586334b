//! The sweep: finds what was left behind by processes that died, and forgets what is old.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Services, store};

const BETWEEN: Duration = Duration::from_secs(5);
const BETWEEN_CLEANINGS: Duration = Duration::from_secs(60 * 60);
/// What is younger is still on its ordinary way.
const LEFT_BEHIND: TimeDelta = TimeDelta::seconds(5);
/// GitHub redelivers for three days; a week more is for people.
const DELIVERIES_KEPT: TimeDelta = TimeDelta::days(10);
/// Snapshots of finished runs, which only matter to people who look into a failure.
const SNAPSHOTS_KEPT: TimeDelta = TimeDelta::days(7);

/// Sweeps at once, then again and again until shutdown.
pub(super) async fn keep_sweeping(services: Services) {
    let mut age = TimeDelta::zero();
    let mut cleaned: Option<tokio::time::Instant> = None;
    loop {
        if let Err(error) = store::wake_left_behind(&services.pool, services.clock.now() - age).await {
            tracing::warn!(%error, "cannot sweep");
        }
        if cleaned.is_none_or(|at| at.elapsed() > BETWEEN_CLEANINGS) {
            cleaned = Some(tokio::time::Instant::now());
            let now = services.clock.now();
            if let Err(error) = store::forget_old(&services.pool, now - DELIVERIES_KEPT, now - SNAPSHOTS_KEPT).await {
                tracing::warn!(%error, "cannot forget what is old");
            }
        }
        age = LEFT_BEHIND;
        tokio::select! {
            () = tokio::time::sleep(BETWEEN) => {}
            () = services.shutdown.cancelled() => return,
        }
    }
}

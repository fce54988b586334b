//! The sweep: finds what was left behind by processes that died, and removes what nobody needs any more.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Services, store};
use crate::agent::sandboxes::reap::{self, Reaper};
use crate::agent::sandboxes::warm::WarmPool;

const BETWEEN: Duration = Duration::from_secs(5);
const BETWEEN_CLEANINGS: Duration = Duration::from_secs(60 * 60);
/// Where sandboxes are held ready.
const BETWEEN_LOOKS_AT_WARM: Duration = Duration::from_secs(60);
/// GitHub redelivers for three days; a week more is for people.
const DELIVERIES_KEPT: TimeDelta = TimeDelta::days(10);
/// Snapshots of finished runs, which only matter to people who look into a failure.
const SNAPSHOTS_KEPT: TimeDelta = TimeDelta::days(7);
/// Requests that came to nothing: strangers could fill the database with them.
const REQUESTS_KEPT: TimeDelta = TimeDelta::days(30);
/// Sweeps at once, then again and again until shutdown.
pub(super) async fn keep_sweeping(services: Services) {
    let mut cleaned: Option<tokio::time::Instant> = None;
    let mut looked: Option<tokio::time::Instant> = None;
    let keeps_warm = services.settings.sandbox.warm.size > 0;
    loop {
        // Whoever wakes looks for what is due in nobody's hands, whichever process left it behind.
        services.bells.gate.ring();
        services.bells.runs.ring();
        let cleaning = cleaned.is_none_or(|at| at.elapsed() > BETWEEN_CLEANINGS);
        if cleaning {
            cleaned = Some(tokio::time::Instant::now());
            let now = services.clock.now();
            if let Err(error) =
                store::forget_old(&services.pool, now - DELIVERIES_KEPT, now - SNAPSHOTS_KEPT, now - REQUESTS_KEPT).await
            {
                tracing::warn!(%error, "cannot forget what is old");
            }
        }
        if cleaning || (keeps_warm && looked.is_none_or(|at| at.elapsed() > BETWEEN_LOOKS_AT_WARM)) {
            looked = Some(tokio::time::Instant::now());
            if let Err(error) = look_after_sandboxes(&services, cleaning).await {
                tracing::warn!(%error, "cannot look after the sandboxes");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(BETWEEN) => {}
            () = services.shutdown.cancelled() => return,
        }
    }
}

/// Looks after sandboxes that no run uses, unless another process does.
async fn look_after_sandboxes(services: &Services, cleaning: bool) -> Result<(), sqlx::Error> {
    if !reap::begin(&services.pool, reap::CLAIM).await? {
        return Ok(());
    }
    let (pool, provider, shutdown) = (services.pool.clone(), services.sandboxes.clone(), services.shutdown.clone());
    let now = services.clock.now();
    let done = async {
        if cleaning {
            let reaper = Reaper { pool: pool.clone(), provider: provider.clone(), shutdown: shutdown.clone() };
            reaper.remove_disused(now).await?;
            reaper.remove_orphans(now).await?;
        }
        let settings = services.settings.sandbox.warm.clone();
        WarmPool { pool: pool.clone(), provider, settings, shutdown }.tend(now).await
    };
    let done = done.await;
    reap::end(&pool).await?;
    done
}

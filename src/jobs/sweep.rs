//! The sweep: finds what was left behind by processes that died, and removes what nobody needs any more.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Services, store};
use crate::agent::sandboxes::remove_all;
use crate::attachment;
use crate::sandbox::{SandboxError, SandboxId};

const BETWEEN: Duration = Duration::from_secs(5);
const BETWEEN_CLEANINGS: Duration = Duration::from_secs(60 * 60);
/// GitHub redelivers for three days; a week more is for people.
const DELIVERIES_KEPT: TimeDelta = TimeDelta::days(10);
/// Snapshots of finished runs, which only matter to people who look into a failure.
const SNAPSHOTS_KEPT: TimeDelta = TimeDelta::days(7);
/// Files of answers, as `http` tells whoever fetches them.
const ATTACHMENTS_KEPT: TimeDelta = TimeDelta::days(30);
/// Requests that came to nothing: strangers could fill the database with them.
const REQUESTS_KEPT: TimeDelta = TimeDelta::days(30);
/// Sandboxes of closed conversations, which may be reopened by a mention.
const CLOSED_SANDBOXES_KEPT: TimeDelta = TimeDelta::days(1);
/// Sandboxes of conversations that fell asleep.
const SANDBOXES_KEPT: TimeDelta = TimeDelta::days(30);
/// Removed by one sweep at most.
const SANDBOXES_AT_ONCE: usize = 50;
/// How long nothing else touches a thread whose sandbox is removed.
const REMOVAL: Duration = Duration::from_secs(120);

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
            if let Err(error) =
                store::forget_old(&services.pool, now - DELIVERIES_KEPT, now - SNAPSHOTS_KEPT, now - REQUESTS_KEPT).await
            {
                tracing::warn!(%error, "cannot forget what is old");
            }
            if let Err(error) = attachment::store::forget(&services.pool, now - ATTACHMENTS_KEPT).await {
                tracing::warn!(%error, "cannot forget old attachments");
            }
            if let Err(error) = remove_disused(&services).await {
                tracing::warn!(%error, "cannot look for sandboxes that nobody needs");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(BETWEEN) => {}
            () = services.shutdown.cancelled() => return,
        }
    }
}

/// Removes sandboxes that nobody needs. What cannot be removed now is tried again by the next sweep.
async fn remove_disused(services: &Services) -> Result<(), sqlx::Error> {
    let now = services.clock.now();
    let (closed, untouched) = (now - CLOSED_SANDBOXES_KEPT, now - SANDBOXES_KEPT);
    for _ in 0..SANDBOXES_AT_ONCE {
        let Some(disused) = store::take_disused(&services.pool, closed, untouched, REMOVAL).await? else { return Ok(()) };
        let sandbox = SandboxId(disused.sandbox.clone());
        let removed = tokio::select! {
            removed = remove_all(services.sandboxes.as_ref(), &sandbox) => removed,
            () = services.shutdown.cancelled() => Err(SandboxError::Unavailable("the service ends".to_owned())),
        };
        store::release_disused(&services.pool, &disused, removed.is_ok()).await?;
        if let Err(error) = removed {
            // It would be the next one again.
            tracing::warn!(thread.id = %disused.thread, sandbox.id = %sandbox, %error, "a sandbox that nobody needs stays for now");
            return Ok(());
        }
    }
    Ok(())
}

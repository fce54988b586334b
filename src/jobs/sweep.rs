//! The sweep: finds what was left behind by processes that died, and removes what nobody needs any more.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Services, store};
use crate::agent::sandboxes::reap::{self, Reaper};
use crate::agent::sandboxes::warm::WarmPool;
use crate::attachment;

const BETWEEN: Duration = Duration::from_secs(5);
const BETWEEN_CLEANINGS: Duration = Duration::from_secs(60 * 60);
/// What is disused is few and known; what is left over is looked for among all.
const BETWEEN_REMOVALS: Duration = Duration::from_secs(5 * 60);
/// Where sandboxes are held ready.
const BETWEEN_LOOKS_AT_WARM: Duration = Duration::from_secs(60);
/// GitHub redelivers for three days; a week more is for people.
const DELIVERIES_KEPT: TimeDelta = TimeDelta::days(10);
/// Snapshots of finished runs, which only matter to people who look into a failure.
const SNAPSHOTS_KEPT: TimeDelta = TimeDelta::days(7);
/// Nobody looks at them again once their run is over.
const PICTURES_KEPT: TimeDelta = TimeDelta::days(7);
/// Files of answers, as `http` tells whoever fetches them.
const ATTACHMENTS_KEPT: TimeDelta = TimeDelta::days(30);
/// Requests that came to nothing: strangers could fill the database with them.
const REQUESTS_KEPT: TimeDelta = TimeDelta::days(30);

/// Sweeps at once, then again and again until shutdown.
pub(super) async fn keep_sweeping(services: Services) {
    let mut cleaned = Timer::new(BETWEEN_CLEANINGS);
    loop {
        // Whoever wakes looks for what is due in nobody's hands, whichever process left it behind.
        services.bells.gate.ring();
        services.bells.runs.ring();
        services.bells.reactions.ring();
        services.bells.indexing.ring();
        services.bells.embedding.ring();
        services.bells.condensing.ring();
        services.bells.forgetting.ring();
        if cleaned.is_due() {
            clean(&services).await;
        }
        if !pause(&services).await {
            return;
        }
    }
}

/// Looks after the sandboxes at once, then again and again until shutdown. Not part of the sweep, because a provider that takes its time
/// must not keep anybody from finding runs that were left behind.
pub(super) async fn keep_sandboxes(services: Services) {
    let (mut cleaned, mut looked) = (Timer::new(BETWEEN_CLEANINGS), Timer::new(BETWEEN_LOOKS_AT_WARM));
    let mut removed = Timer::new(BETWEEN_REMOVALS);
    let keeps_warm = services.settings.sandbox.warm.size > 0;
    loop {
        let due = Due { removing: removed.is_due(), cleaning: cleaned.is_due(), looking: keeps_warm && looked.is_due() };
        if (due.removing || due.cleaning || due.looking)
            && let Err(error) = look_after_sandboxes(&services, &due).await
        {
            tracing::warn!(%error, "cannot look after the sandboxes");
        }
        if !pause(&services).await {
            return;
        }
    }
}

/// False at shutdown.
async fn pause(services: &Services) -> bool {
    tokio::select! {
        () = tokio::time::sleep(BETWEEN) => true,
        () = services.shutdown.cancelled() => false,
    }
}

/// Due at once, and again when some time has passed since.
struct Timer {
    every: Duration,
    last: Option<tokio::time::Instant>,
}

impl Timer {
    fn new(every: Duration) -> Self {
        Self { every, last: None }
    }

    fn is_due(&mut self) -> bool {
        let due = self.last.is_none_or(|last| last.elapsed() > self.every);
        if due {
            self.last = Some(tokio::time::Instant::now());
        }
        due
    }
}

async fn clean(services: &Services) {
    let now = services.clock.now();
    if let Err(error) = store::forget_old(&services.pool, now - DELIVERIES_KEPT, now - SNAPSHOTS_KEPT, now - REQUESTS_KEPT).await
    {
        tracing::warn!(%error, "cannot forget what is old");
    }
    if let Err(error) = super::pictures::forget(&services.pool, now - PICTURES_KEPT).await {
        tracing::warn!(%error, "cannot forget old pictures");
    }
    if let Err(error) = attachment::store::forget(&services.pool, now - ATTACHMENTS_KEPT).await {
        tracing::warn!(%error, "cannot forget old attachments");
    }
    if let Err(error) = super::memory::forget::age(services).await {
        tracing::warn!(%error, "cannot forget what memory has kept for long enough");
    }
}

/// What is to be done about sandboxes now.
struct Due {
    /// Those of conversations that are over go.
    removing: bool,
    /// Those that no row knows go.
    cleaning: bool,
    /// The ones held ready are looked at.
    looking: bool,
}

/// Looks after sandboxes that no run uses, unless another process does.
async fn look_after_sandboxes(services: &Services, due: &Due) -> Result<(), sqlx::Error> {
    if !reap::begin(&services.pool, reap::CLAIM).await? {
        return Ok(());
    }
    let (pool, provider, shutdown) = (services.pool.clone(), services.sandboxes.clone(), services.shutdown.clone());
    let now = services.clock.now();
    let done = async {
        let reaper = Reaper { pool: pool.clone(), provider: provider.clone(), shutdown: shutdown.clone() };
        if due.removing {
            reaper.remove_disused(now).await?;
        }
        if due.cleaning {
            reaper.remove_orphans(now).await?;
        }
        let settings = services.settings.sandbox.warm.clone();
        WarmPool { pool: pool.clone(), provider, settings, shutdown }.tend(now).await
    };
    let done = done.await;
    reap::end(&pool).await?;
    done
}

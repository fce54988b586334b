//! Removes sandboxes that nobody needs: those of conversations that are over or asleep, and those that no row knows.

mod store;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub use self::store::{begin, end};
use super::{INSTANCE_LABEL, labels_of};
use crate::sandbox::{Provider, SandboxError, SandboxId};

/// Sandboxes of closed conversations. A mention may reopen them: the next one is made from the checkpoint.
const CLOSED_KEPT: TimeDelta = TimeDelta::minutes(15);
/// Sandboxes of conversations that fell asleep.
const KEPT: TimeDelta = TimeDelta::days(30);
/// Checkpoints of removed sandboxes.
const CHECKPOINTS_KEPT: TimeDelta = TimeDelta::days(90);
/// What no row knows may be in the making.
const ORPHANS_KEPT: TimeDelta = TimeDelta::hours(1);
/// Removed by one sweep at most, of each sort.
const AT_ONCE: usize = 50;
/// Looked at by one sweep.
const LISTED: usize = 10_000;
/// How long nothing else touches a thread whose sandboxes are removed.
const REMOVAL: Duration = Duration::from_secs(120);
/// When a removal is given up: before that is over, so that no run works in a sandbox that is about to go.
const LONGEST_REMOVAL: Duration = Duration::from_secs(90);
/// How long one process looks for what is left over, and no other.
pub const CLAIM: Duration = Duration::from_secs(600);

/// Removes what nobody needs.
#[derive(Clone)]
pub struct Reaper {
    /// The database.
    pub pool: PgPool,
    /// Where the sandboxes are.
    pub provider: Arc<dyn Provider>,
    /// Cancelled when the process is to end.
    pub shutdown: CancellationToken,
}

impl Reaper {
    /// Removes the sandboxes of threads that were closed or not touched for long, and forgets checkpoints nobody came back for. What
    /// cannot be removed now is tried again by the next sweep.
    pub async fn remove_disused(&self, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        let provider = self.provider.name();
        for _ in 0..AT_ONCE {
            let disused = store::take_disused(&self.pool, provider, now - CLOSED_KEPT, now - KEPT, REMOVAL).await?;
            let Some(disused) = disused else { break };
            let removed = self.remove_all(&disused.sandboxes).await;
            store::release_disused(&self.pool, provider, &disused, removed.is_ok(), now).await?;
            if let Err(error) = removed {
                // It would be the next one again.
                tracing::warn!(thread.id = %disused.thread, %error, "a sandbox that nobody needs stays for now");
                break;
            }
        }
        for name in store::forgotten(&self.pool, provider, AT_ONCE as i64).await? {
            match self.remove_all(std::slice::from_ref(&name)).await {
                Ok(()) => store::forget(&self.pool, provider, &name).await?,
                Err(error) => tracing::warn!(sandbox.id = name, %error, "the sandbox of a forgotten thread stays for now"),
            }
        }
        store::forget_checkpoints(&self.pool, now - CHECKPOINTS_KEPT).await
    }

    async fn remove_all(&self, ids: &[String]) -> Result<(), SandboxError> {
        let all = async {
            for id in ids {
                self.provider.remove(&SandboxId(id.clone())).await?;
            }
            Ok(())
        };
        tokio::select! {
            removed = all => removed,
            () = tokio::time::sleep(LONGEST_REMOVAL) => Err(SandboxError::Unavailable("the removal takes too long".to_owned())),
            () = self.shutdown.cancelled() => Err(SandboxError::Unavailable("the service ends".to_owned())),
        }
    }

    /// Removes sandboxes of this deployment that are older than an hour and that no row knows: a process died before it could
    /// record them, or they were replaced.
    pub async fn remove_orphans(&self, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        let instance = super::warm::instance(&self.pool).await?;
        let labels = labels_of(instance);
        let listed = tokio::select! {
            listed = self.provider.labelled(&labels, LISTED) => listed,
            () = self.shutdown.cancelled() => return Ok(()),
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(%error, "cannot look for sandboxes that are left over");
                return Ok(());
            }
        };
        // A provider that ignores the filter must not cost somebody else a sandbox.
        let ours =
            |labels: &std::collections::BTreeMap<String, String>| labels.get(INSTANCE_LABEL) == Some(&instance.to_string());
        let old = listed.into_iter().filter(|listed| listed.created_at.is_some_and(|made| now - made > ORPHANS_KEPT));
        let old: Vec<String> = old.filter(|listed| ours(&listed.labels)).map(|listed| listed.id.0).collect();
        let known: BTreeSet<String> = store::known(&self.pool, self.provider.name(), &old).await?.into_iter().collect();
        for id in old.into_iter().filter(|id| !known.contains(id)).take(AT_ONCE) {
            match self.remove_all(std::slice::from_ref(&id)).await {
                Ok(()) => tracing::info!(sandbox.id = id, "removed a sandbox that was left over"),
                Err(error) => tracing::warn!(sandbox.id = id, %error, "a sandbox that was left over stays for now"),
            }
        }
        Ok(())
    }
}

//! Keeps the work: what a run changed as a diff, and what differs from the checkout as a checkpoint in the database.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::store::State;
use super::{Kept, Own, Thread, database, stored, taken_over, wake_and_find};
use crate::agent::tools::diff::unified_diff;
use crate::sandbox::checkout;
use crate::sandbox::checkpoint::Checkpoint;
use crate::sandbox::workspace::WorkspaceSnapshot;
use crate::sandbox::{SandboxError, SandboxId};

/// How long the end of a run waits for its sandbox.
const LONGEST_END: Duration = Duration::from_secs(120);

/// What was saved last in this run.
#[derive(Default)]
pub(super) struct Saved {
    /// The sandbox it was saved of.
    of: Option<SandboxId>,
    /// The workspace at that moment.
    workspace: Option<Arc<WorkspaceSnapshot>>,
    checkpoint: Option<Checkpoint>,
}

impl Saved {
    /// This was saved just now.
    pub(super) fn now(of: &SandboxId, workspace: Arc<WorkspaceSnapshot>, checkpoint: Checkpoint) -> Self {
        Self { of: Some(of.clone()), workspace: Some(workspace), checkpoint: Some(checkpoint) }
    }
}

impl Thread {
    /// The diff of the run; saves the work. Without a sandbox, or one that does not answer, there is none.
    pub(super) async fn conclude(&self) -> Option<String> {
        let concluded = tokio::time::timeout(LONGEST_END, self.conclude_anyway()).await;
        match concluded {
            Ok(Ok(diff)) => diff,
            Ok(Err(error)) => {
                tracing::warn!(run.id = %self.with.run, %error, "the changes of the run are not known");
                None
            }
            Err(_) => {
                tracing::warn!(run.id = %self.with.run, "the sandbox does not tell in time what the run changed");
                None
            }
        }
    }

    async fn conclude_anyway(&self) -> Result<Option<String>, SandboxError> {
        let Some(own) = self.opened().await? else { return Ok(None) };
        let now = match self.save(&own).await {
            // It may have gone to sleep; a lost one cannot tell any more.
            Err(SandboxError::Unavailable(_)) => {
                let sandbox = wake_and_find(&self.with, own.sandbox.id()).await?;
                self.save(&Own { sandbox, ..own.clone() }).await?
            }
            saved => saved?,
        };
        let beginning = self.complete(&own, &now).await;
        Ok(unified_diff(&beginning, &now))
    }

    /// The state at the beginning with the text of touched files that were not read then: large checkouts are not read as a whole, but
    /// what nobody had touched before this run stands in the archive.
    pub(super) async fn complete(&self, own: &Own, now: &WorkspaceSnapshot) -> Arc<WorkspaceSnapshot> {
        let mut unread = own.beginning.unread_before(now);
        let as_checked_out = |path: &String| {
            let (then, base) = (own.beginning.files().get(path), own.base.files().get(path));
            then.zip(base).is_some_and(|(then, base)| then.untouched(base))
        };
        unread.retain(as_checked_out);
        let (Some(origin), Some(commit), false) = (&self.with.origin, &own.commit, unread.is_empty()) else {
            return Arc::clone(&own.beginning);
        };
        match origin.archive(commit).await {
            Ok(archive) => {
                let mut beginning = own.beginning.as_ref().clone();
                beginning.learn(checkout::originals(archive, unread).await);
                Arc::new(beginning)
            }
            Err(_) => Arc::clone(&own.beginning),
        }
    }

    /// The thread's own sandbox, when this run has used it: in this process, or in one that died.
    async fn opened(&self) -> Result<Option<Own>, SandboxError> {
        // Whoever holds the lock has nothing opened yet.
        if let Ok(own) = self.own.try_lock()
            && let Some(own) = own.as_ref()
        {
            return Ok(Some(own.clone()));
        }
        let is_known = match self.holder.apart {
            None => self.with.known.is_some(),
            Some(_) => self.with.resumed && self.holder.has_own().await.map_err(database)?,
        };
        if !self.with.resumed || !is_known {
            return Ok(None);
        }
        let row = self.holder.own(&self.name(0), self.with.clock.now()).await.map_err(database)?.ok_or_else(taken_over)?;
        let used = row.state == State::Ready && row.baseline_run == Some(self.with.run);
        let (Some(id), true) = (&row.id, used) else { return Ok(None) };
        let sandbox = wake_and_find(&self.with, &SandboxId(id.clone())).await?;
        let snapshot =
            |bytes: Option<Vec<u8>>| Arc::new(bytes.and_then(|b| WorkspaceSnapshot::from_bytes(&b)).unwrap_or_default());
        Ok(Some(Own {
            sandbox,
            name: row.name,
            generation: row.generation,
            base: snapshot(row.base),
            beginning: snapshot(row.baseline),
            commit: row.checkout.and_then(|checkout| checkout.0.commit),
            kept: Kept::Before,
            rebuilt: 0,
        }))
    }

    /// Saves the work while the run goes on.
    pub(super) async fn save_if_dirty(&self) {
        if !self.dirty.swap(false, Ordering::Relaxed) {
            return;
        }
        let own = self.own.lock().await.clone();
        if let Some(own) = own
            && let Err(error) = self.save(&own).await
        {
            self.touched();
            tracing::info!(run.id = %self.with.run, %error, "the work is not saved yet");
        }
    }

    /// Stores a checkpoint when something differs from what was stored. Returns the workspace as it is.
    async fn save(&self, own: &Own) -> Result<Arc<WorkspaceSnapshot>, SandboxError> {
        let mut saved = self.saving.lock().await;
        if saved.of.as_ref() != Some(own.sandbox.id()) {
            *saved = Saved { of: Some(own.sandbox.id().clone()), ..Saved::default() };
        }
        let clock = &self.with.clock;
        let known = saved.workspace.as_deref().unwrap_or(&own.beginning);
        let now = Arc::new(WorkspaceSnapshot::take(own.sandbox.as_ref(), Some(known), clock.now()).await?);
        let kept = saved.workspace.is_some() || own.kept == Kept::Now || now.untouched(&own.base);
        if kept && now.untouched(known) {
            saved.workspace = Some(Arc::clone(&now));
            return Ok(now);
        }
        if saved.checkpoint.is_none() && own.kept != Kept::Never {
            let stored = self.holder.last_checkpoint(&own.name).await.map_err(database)?;
            saved.checkpoint = stored.as_deref().and_then(Checkpoint::from_bytes);
        }
        let checkpoint = Checkpoint::take(own.sandbox.as_ref(), &own.base, &now, saved.checkpoint.as_ref()).await?;
        if saved.checkpoint.as_ref() != Some(&checkpoint) {
            let bytes = encode(checkpoint.clone()).await?;
            if !self.holder.checkpoint(&own.name, &bytes, clock.now()).await.map_err(database)? {
                return Err(taken_over());
            }
        }
        saved.workspace = Some(Arc::clone(&now));
        saved.checkpoint = Some(checkpoint);
        Ok(now)
    }
}

/// Compresses where it may take a while.
pub(super) async fn encode(checkpoint: Checkpoint) -> Result<Vec<u8>, SandboxError> {
    match tokio::task::spawn_blocking(move || checkpoint.to_bytes()).await {
        Ok(bytes) => bytes.map_err(stored),
        Err(error) => Err(SandboxError::Unavailable(error.to_string())),
    }
}

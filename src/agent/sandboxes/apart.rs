//! The sandbox of a run whose work never lands. It stands beside the thread's own and is that run's alone: what strangers asked for
//! leaves nothing behind that a later run builds with, lands or trusts.

mod store;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::ThreadSandboxes;
use super::store::Holder;
use crate::id::{LeaseEpoch, RunId, ThreadId};
use crate::sandbox::{Provider, SandboxError, SandboxId};

/// How long the end of a run waits for the removal.
const LONGEST_REMOVAL: Duration = Duration::from_secs(30);

/// What such a run is told that wants another sandbox.
const ALONE: &str = "this run has the one sandbox that it works in, and can make no other; do it there";

/// The sandbox of a run that has ended.
pub struct Ended {
    /// The database.
    pub pool: PgPool,
    /// Where it is.
    pub provider: Arc<dyn Provider>,
    /// The thread of the run.
    pub thread: ThreadId,
    /// The run.
    pub run: RunId,
    /// The lease the run is held with.
    pub epoch: LeaseEpoch,
    /// The run may be continued: its last checkpoint is kept for it.
    pub may_go_on: bool,
    /// Cancelled when the process is to end.
    pub shutdown: CancellationToken,
}

impl Ended {
    /// Removes it, when there is one. First no row knows it any more, so that the reaper removes what is not removed here. May be
    /// repeated. Never takes longer than half a minute.
    pub async fn remove(self) -> Result<(), sqlx::Error> {
        let provider = self.provider.name().to_owned();
        let holder = Holder { pool: self.pool, provider, thread: self.thread, epoch: self.epoch, apart: Some(self.run) };
        let Some(sandbox) = holder.end_apart(self.run, self.may_go_on).await? else { return Ok(()) };
        let sandbox = SandboxId(sandbox);
        let removed = tokio::select! {
            removed = self.provider.remove(&sandbox) => removed,
            () = tokio::time::sleep(LONGEST_REMOVAL) => Err(SandboxError::Unavailable("the removal takes too long".to_owned())),
            () = self.shutdown.cancelled() => Err(SandboxError::Unavailable("the service ends".to_owned())),
        };
        if let Err(error) = removed {
            tracing::warn!(run.id = %self.run, sandbox.id = %sandbox, %error, "the sandbox of a run stays until it is reaped");
        }
        Ok(())
    }
}

impl ThreadSandboxes {
    /// Refuses what a run that stands apart must not have.
    pub(super) fn not_apart(&self) -> Result<(), SandboxError> {
        match self.thread.holder.apart {
            Some(_) => Err(SandboxError::Invalid(ALONE.to_owned())),
            None => Ok(()),
        }
    }
}

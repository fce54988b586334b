//! The jobs that say there is something to do: they ring, and hold no data.

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::Services;
use crate::id::ThreadId;

/// Something arrived for a thread.
#[derive(Debug, Serialize, Deserialize)]
pub struct WakeThread {
    /// Which; a hint only.
    pub thread_id: ThreadId,
}

impl TaskHandler for WakeThread {
    const IDENTIFIER: &'static str = "wake_thread";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let services = context.get_ext::<Services>().ok_or("the services are missing")?;
        services.bells.gate.ring();
        services.bells.reactions.ring();
        Ok::<(), &str>(())
    }
}

/// A thread has a run to work on, now that its time has come.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunThread {
    /// Which; a hint only.
    pub thread_id: ThreadId,
}

impl TaskHandler for RunThread {
    const IDENTIFIER: &'static str = "run_thread";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let services = context.get_ext::<Services>().ok_or("the services are missing")?;
        services.ring_for_a_run().await.map_err(|error| error.to_string())
    }
}

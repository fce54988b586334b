//! The job that says a thread has mail: the gate works until no inbox row is due.

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::{Services, gate};
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
        gate::work(services).await.map_err(|error| error.to_string())
    }
}

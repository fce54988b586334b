//! The job that names a thread, after its first run.

use std::time::Duration;

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::Services;
use crate::id::ThreadId;
use crate::memory::title;
use crate::thread;

/// A title is not worth more of a slot's time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A thread without a title.
#[derive(Debug, Serialize, Deserialize)]
pub struct TitleThread {
    /// Which.
    pub thread_id: ThreadId,
}

impl TaskHandler for TitleThread {
    const IDENTIFIER: &'static str = "title_thread";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let services = context.get_ext::<Services>().ok_or("the services are missing")?;
        tokio::select! {
            found = find_title(services, self.thread_id) => found.map_err(|error| error.to_string()),
            () = services.shutdown.cancelled() => Err("the service is ending".to_owned()),
        }
    }
}

async fn find_title(services: &Services, thread: ThreadId) -> anyhow::Result<()> {
    let Some(opening) = thread::opening_text(&services.pool, thread).await? else { return Ok(()) };
    let title = tokio::time::timeout(PATIENCE, title::find(services.title_model.as_ref(), opening)).await??;
    if let Some(title) = title {
        thread::set_title(&services.pool, thread, &title).await?;
    }
    Ok(())
}

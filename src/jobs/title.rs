//! The job that names a thread, after its first run.

use std::time::Duration;

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::Services;
use super::house::House;
use crate::agent::spending::{self, Charge, Purpose};
use crate::id::ThreadId;
use crate::intake::policy;
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
            named = name(services, self.thread_id) => named.map_err(|error| error.to_string()),
            () = services.shutdown.cancelled() => Err("the service is ending".to_owned()),
        }
    }
}

/// Finds a title where there is none, and shows the one that is ours. A surface that does not show it now is asked again with the job,
/// which finds the title then.
async fn name(services: &Services, thread: ThreadId) -> anyhow::Result<()> {
    find_title(services, thread).await?;
    if let Some(title) = thread::own_title(&services.pool, thread).await? {
        services.poster.show_title(thread, &title).await?;
    }
    Ok(())
}

async fn find_title(services: &Services, thread: ThreadId) -> anyhow::Result<()> {
    let Some(opening) = thread::opening(&services.pool, thread).await? else { return Ok(()) };
    let Some(place) = thread::place(&services.pool, thread).await? else { return Ok(()) };
    let house = House::of(services, &place).await?;
    if !house.memory().titles {
        return Ok(());
    }
    let now = services.clock.now();
    let limits = &house.limits;
    let spending = &services.kit.spending;
    let spent = spending.today(&services.pool, limits, &opening.requester, &opening.repository, now).await?;
    if policy::line_reached(limits, &spent, 0.0).is_some() {
        // A later run makes up for it.
        return Ok(());
    }
    let redactor = services.poster.redactor();
    let found = tokio::time::timeout(PATIENCE, title::find(services.title_model.as_ref(), &opening.messages, redactor)).await??;
    let charge = Charge {
        run: opening.run,
        purpose: Purpose::Title,
        requester: opening.requester,
        repository: opening.repository,
        model: found.answer.model,
        usage: found.answer.usage,
        at: now,
    };
    spending::charge(&services.pool, &charge).await?;
    if let Some(title) = found.title {
        thread::set_title(&services.pool, thread, &title).await?;
    }
    Ok(())
}

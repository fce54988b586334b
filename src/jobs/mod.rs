//! Jobs: the one module that knows the job engine. It carries wake-ups; order, lease and fencing are ours.
//!
//! A wake-up says "there is something to do" and holds no data; it rings the [`pool`]'s bell. Whoever wakes works until nothing is
//! left that anybody waits for, so a lost, doubled or late wake-up costs time at most, and a `sweep` rings for those that got lost.

mod approvals;
mod bridge;
mod earlier;
mod ends;
mod gate;
mod given;
mod hands;
mod house;
mod landing;
mod lease;
mod members;
mod memory;
mod migrate;
mod origin;
mod pictures;
pub mod pool;
mod reactions;
mod reader;
mod reconcile;
mod repository;
mod review;
mod run;
mod services;
mod store;
mod sweep;
mod title;
mod wake;

pub use bridge::accounts::begin as begin_account;
pub use members::Members;
pub(crate) use memory::embed::adopt as adopt_embedder;
pub use migrate::{SCHEMA, migrate};
pub use origin::Origins;
pub use repository::{Repositories, RepositoryFacts};
pub use services::{Bells, Services, Stops, Waker};

use std::time::Duration;

use futures::FutureExt;
use graphile_worker::{JobRecovery, JobRecoveryResult, Worker, WorkerOptions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Requests let in at once, beside the runs.
const GATES: usize = 8;
/// Who looks for reactions; one is enough, and polite.
const LOOKERS: usize = 1;
/// Slots of the engine for jobs that do their work themselves, and for those that only ring.
const TITLES: usize = 2;
const RINGERS: usize = 1;
/// How often a slot looks without having been told; the sweep rings for what it misses.
const POLL: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_secs(5);
const DEAD_AFTER: Duration = Duration::from_secs(20);
/// Handlers hand their work back at once on shutdown; this is for the database to take it.
const GRACE: Duration = Duration::from_secs(10);

const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// The workers of this process.
#[derive(Debug)]
pub struct Engine {
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Starts working.
    pub async fn start(services: Services) -> anyhow::Result<Self> {
        let shutdown = services.shutdown.clone();
        let mut tasks = Vec::new();
        for slots in [Slots::Ringers, Slots::Titles] {
            // The first start is waited for, so that what keeps it from working is an error here.
            let worker = slots.worker(&services).await?;
            tasks.push(tokio::spawn(keep_working(slots, worker, services.clone())));
        }
        let runs = services.settings.limits.max_concurrent_runs as usize;
        let (gate, run) = (services.clone(), services.clone());
        tasks.extend(pool::start(GATES, &services.bells.gate, &shutdown, move || gate::work(gate.clone()).boxed()));
        tasks.extend(pool::start(runs, &services.bells.runs, &shutdown, move || run::work(run.clone()).boxed()));
        let look = services.clone();
        tasks.extend(pool::start(LOOKERS, &services.bells.reactions, &shutdown, move || reactions::work(look.clone()).boxed()));
        let (index, embed, condense) = (services.clone(), services.clone(), services.clone());
        tasks.extend(pool::start(1, &services.bells.indexing, &shutdown, move || memory::index::work(index.clone()).boxed()));
        tasks.extend(pool::start(1, &services.bells.embedding, &shutdown, move || memory::embed::work(embed.clone()).boxed()));
        tasks.extend(pool::start(1, &services.bells.condensing, &shutdown, move || {
            memory::condense::work(condense.clone()).boxed()
        }));
        let forget = services.clone();
        tasks.extend(pool::start(1, &services.bells.forgetting, &shutdown, move || memory::forget::work(forget.clone()).boxed()));
        tasks.push(tokio::spawn(sweep::keep_sweeping(services.clone())));
        tasks.push(tokio::spawn(sweep::keep_sandboxes(services.clone())));
        tasks.push(tokio::spawn(landing::keep_settling(services.clone())));
        tasks.push(tokio::spawn(reconcile::keep_looking(services.clone())));
        tasks.push(tokio::spawn(services::listen(services)));
        Ok(Self { shutdown, tasks })
    }

    /// Hands work back and waits until every slot is empty.
    pub async fn shut_down(self) {
        self.shutdown.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a worker ended badly");
            }
        }
    }
}

/// The slots of the engine: a title takes as long as a model does, and a ring must not wait for it.
#[derive(Clone, Copy, Debug)]
enum Slots {
    Ringers,
    Titles,
}

impl Slots {
    async fn worker(self, services: &Services) -> anyhow::Result<Worker> {
        let options = match self {
            Self::Ringers => options(services, RINGERS).define_job::<wake::WakeThread>().define_job::<wake::RunThread>(),
            Self::Titles => options(services, TITLES).define_job::<title::TitleThread>(),
        };
        Ok(options.init().await?)
    }
}

fn options(services: &Services, slots: usize) -> WorkerOptions {
    WorkerOptions::default()
        .schema(SCHEMA)
        .pg_pool(services.pool.clone())
        .concurrency(slots)
        .poll_interval(POLL)
        .heartbeat_interval(HEARTBEAT)
        .sweep_interval(HEARTBEAT)
        .sweep_threshold(DEAD_AFTER)
        .recovery_delay(Duration::ZERO)
        .listen_os_shutdown_signals(false)
        .shutdown_signal(services.shutdown.clone().cancelled_owned().boxed().shared())
        .shutdown_grace_period(GRACE)
        .shutdown_interrupted_job_retry_delay(Duration::ZERO)
        .add_extension(services.clone())
        // By default a job is taken up again without counting: one that kills its process would do so for ever.
        .on(JobRecovery, |_| async { JobRecoveryResult::FailWithBackoff })
}

/// Runs the worker until shutdown, and a new one whenever it ends before: it does when the database goes away.
async fn keep_working(slots: Slots, first: Worker, services: Services) {
    let mut next = Some(first);
    while !services.shutdown.is_cancelled() {
        let ended = match next.take() {
            Some(worker) => worker.run().await.map_err(anyhow::Error::from),
            None => slots.worker(&services).await.map(|worker| next = Some(worker)),
        };
        if let Err(error) = ended {
            tracing::error!(%error, ?slots, "the worker ended; a new one is started");
            tokio::select! {
                () = tokio::time::sleep(RESTART_PAUSE) => {}
                () = services.shutdown.cancelled() => {}
            }
        }
    }
}

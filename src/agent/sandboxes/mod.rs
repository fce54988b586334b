//! The sandboxes of one thread: its own, made on first use, found again after restarts, woken when it sleeps and rebuilt when it is
//! provably gone; and those the agent made beside it.
//!
//! Every sandbox has a row before it exists ([`store`]), so that none is ever left behind. [`prepare`] makes one ready to work in,
//! [`guard`] stands between the tools and a sandbox that may die under them, [`save`] keeps the work, [`reap`] removes what nobody needs,
//! [`warm`] holds some ready.

pub mod apart;
pub mod beginning;
mod guard;
mod prepare;
pub mod reap;
mod save;
mod store;
pub mod warm;
mod workplace;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::guard::Guarded;
use self::store::{Holder, Ready};
pub use self::workplace::Workplace;
use super::event::RunEvent;
use super::tools::{Readings, Sandboxes};
use crate::clock::Clock;
use crate::id::{LeaseEpoch, RunId, ThreadId};
use crate::sandbox::checkout::Origin;
use crate::sandbox::workspace::WorkspaceSnapshot;
use crate::sandbox::{Provider, Sandbox, SandboxError, SandboxId, SandboxSpec};
use crate::settings::Network;

/// Sandboxes a thread may have beside its own.
const MOST_EXTRAS: i64 = 4;
/// How often a provider hears that a sandbox is in use.
const KEEP_ALIVE: Duration = Duration::from_secs(120);
/// How often the work is saved while a run goes on, when something was done.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Label of everything this service makes.
const APP_LABEL: (&str, &str) = ("app", "threadbox");
/// Label with the deployment.
const INSTANCE_LABEL: &str = "threadbox-instance";
/// Label with the thread.
const THREAD_LABEL: &str = "threadbox-thread";

/// What the sandboxes of a run are made with.
pub struct SandboxesOf {
    /// The database.
    pub pool: PgPool,
    /// Makes them.
    pub provider: Arc<dyn Provider>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The thread whose they are.
    pub thread: ThreadId,
    /// The run that uses them.
    pub run: RunId,
    /// What the run does lands nowhere: it works in a sandbox that no other run ever uses.
    pub apart: bool,
    /// True when another worker may have used them in this run before.
    pub resumed: bool,
    /// The lease the run is held with.
    pub epoch: LeaseEpoch,
    /// The thread's own sandbox, when it is known to exist: it is woken before anybody asks for it.
    pub known: Option<SandboxId>,
    /// Where the repository of the conversation comes from.
    pub origin: Option<Arc<dyn Origin>>,
    /// Whether some are held ready.
    pub warm: bool,
    /// What they may reach, where that is less than the provider gives.
    pub network: Option<Network>,
    /// Cancelled when the run is to stop.
    pub stop: CancellationToken,
}

/// The sandboxes a run may use; clones share them.
#[derive(Clone)]
pub struct ThreadSandboxes {
    thread: Arc<Thread>,
}

/// What the guards of the sandboxes share with the run.
struct Thread {
    with: SandboxesOf,
    holder: Holder,
    /// The thread's own, once this run has opened it. The lock is held while it is opened or healed: never two at once.
    own: AsyncMutex<Option<Own>>,
    /// Held while the work is saved.
    saving: AsyncMutex<save::Saved>,
    extras: Mutex<HashMap<SandboxId, Arc<dyn Sandbox>>>,
    /// Something may have changed since the work was saved.
    dirty: AtomicBool,
    notices: Mutex<Notices>,
    readings: Readings,
}

/// The thread's own sandbox in this run.
#[derive(Clone)]
struct Own {
    sandbox: Arc<dyn Sandbox>,
    name: String,
    generation: i32,
    /// The files it began with.
    base: Arc<WorkspaceSnapshot>,
    /// The files when the run began.
    beginning: Arc<WorkspaceSnapshot>,
    /// The commit that was checked out.
    commit: Option<String>,
    /// What is known of a checkpoint.
    kept: Kept,
    /// How often it was rebuilt in this run.
    rebuilt: u32,
}

/// What is known of the last checkpoint when a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// There is none.
    Never,
    /// There is one, perhaps of an earlier state.
    Before,
    /// It holds what the run began with.
    Now,
}

impl Kept {
    /// `used_at` is when a run began with the sandbox or a checkpoint was stored; `unchanged_since` when the workspace was first seen as
    /// it is.
    fn of(checkpoint_at: Option<DateTime<Utc>>, used_at: DateTime<Utc>, unchanged_since: Option<i64>) -> Self {
        match checkpoint_at {
            None => Self::Never,
            // One from before that may be of something else: a save may have failed in between.
            Some(at) if at == used_at || unchanged_since.is_some_and(|since| at.timestamp() > since) => Self::Now,
            Some(_) => Self::Before,
        }
    }
}

/// What has to be said.
#[derive(Default)]
struct Notices {
    /// To the model, with the next result.
    told: Vec<String>,
    /// To people, with the next save.
    shown: Vec<RunEvent>,
}

impl ThreadSandboxes {
    /// Nothing is made before it is used.
    pub fn new(mut with: SandboxesOf) -> Self {
        // The thread's own is none of its business.
        with.known = with.known.filter(|_| !with.apart);
        let apart = with.apart.then_some(with.run);
        let (provider, thread, epoch) = (with.provider.name().to_owned(), with.thread, with.epoch);
        let holder = Holder { pool: with.pool.clone(), provider, thread, epoch, apart };
        Self {
            thread: Arc::new(Thread {
                with,
                holder,
                own: AsyncMutex::default(),
                saving: AsyncMutex::default(),
                extras: Mutex::default(),
                dirty: AtomicBool::new(false),
                readings: Readings::default(),
                notices: Mutex::default(),
            }),
        }
    }

    /// Wakes the thread's own sandbox when there is one, then keeps it alive and saves its work from time to time, for as long as it
    /// is polled.
    pub async fn tend(&self) -> Infallible {
        self.thread.wake_early().await;
        let begun = tokio::time::Instant::now();
        let mut keep_alive = tokio::time::interval_at(begun + KEEP_ALIVE, KEEP_ALIVE);
        let mut save = tokio::time::interval_at(begun + SAVE_EVERY, SAVE_EVERY);
        loop {
            tokio::select! {
                _ = keep_alive.tick() => self.thread.keep_alive().await,
                _ = save.tick() => self.thread.save_if_dirty().await,
            }
        }
    }

    /// What this run changed in the workspace of the thread's own sandbox, as a unified diff; the work is saved on the way. None when
    /// it changed nothing or never used the sandbox. Never takes longer than two minutes.
    pub async fn changes(&self) -> Option<String> {
        self.thread.conclude().await
    }

    /// What happened to the sandboxes since the last time, for the record of the run.
    pub fn events(&self) -> Vec<RunEvent> {
        std::mem::take(&mut self.thread.notices().shown)
    }
}

#[async_trait]
impl Sandboxes for ThreadSandboxes {
    async fn own(&self) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let sandbox = self.thread.open().await?.sandbox;
        Ok(Arc::new(Guarded::own(Arc::clone(&self.thread), sandbox)))
    }

    async fn named(&self, id: &SandboxId) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let own = self.thread.open().await?.sandbox;
        if own.id() == id {
            return Ok(Arc::new(Guarded::own(Arc::clone(&self.thread), own)));
        }
        let sandbox = self.thread.extra(id).await?;
        Ok(Arc::new(Guarded::extra(Arc::clone(&self.thread), sandbox)))
    }

    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        self.not_apart()?;
        let sandbox = self.thread.create_extra(spec).await?;
        Ok(Arc::new(Guarded::extra(Arc::clone(&self.thread), sandbox)))
    }

    async fn beginning(&self, id: &SandboxId) -> Result<Option<Arc<WorkspaceSnapshot>>, SandboxError> {
        let own = self.thread.open().await?;
        if own.sandbox.id() == id {
            return Ok(Some(own.beginning));
        }
        let known = self.thread.holder.extra_by_id(&id.0).await.map_err(database)?;
        Ok(known.and_then(|(_, baseline)| WorkspaceSnapshot::from_bytes(&baseline?)).map(Arc::new))
    }

    fn readings(&self) -> &Readings {
        &self.thread.readings
    }

    async fn complete(&self, id: &SandboxId, before: Arc<WorkspaceSnapshot>, now: &WorkspaceSnapshot) -> Arc<WorkspaceSnapshot> {
        match self.thread.open().await {
            Ok(own) if own.sandbox.id() == id => self.thread.complete(&own, now).await,
            Ok(_) | Err(_) => before,
        }
    }

    fn notices(&self) -> Vec<String> {
        std::mem::take(&mut self.thread.notices().told)
    }
}

impl Thread {
    fn notices(&self) -> std::sync::MutexGuard<'_, Notices> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn extras(&self) -> std::sync::MutexGuard<'_, HashMap<SandboxId, Arc<dyn Sandbox>>> {
        self.extras.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the model.
    fn tell(&self, text: impl Into<String>) {
        self.notices().told.push(text.into());
    }

    /// Shows people a line of the checklist.
    fn show(&self, summary: impl Into<String>, ok: bool) {
        let event = RunEvent::Acted { tool: "sandbox".to_owned(), summary: summary.into(), ok, execution: None };
        self.notices().shown.push(event);
    }

    fn touched(&self) {
        self.dirty.store(true, Ordering::Relaxed);
    }

    /// The name of the sandbox the run works in, or of the one after it.
    fn name(&self, generation: i32) -> String {
        let first = match self.holder.apart {
            None => format!("thread-{}", self.with.thread),
            Some(run) => format!("apart-{run}"),
        };
        match generation {
            0 => first,
            generation => format!("{first}-r{generation}"),
        }
    }

    /// A sandbox of this thread. The labels of the service win over given ones.
    fn spec(&self, instance: Uuid, name: String, given: SandboxSpec) -> SandboxSpec {
        let mut labels = given.labels;
        labels.extend(labels_of(instance));
        labels.insert(THREAD_LABEL.to_owned(), self.with.thread.to_string());
        let network = self.with.network.clone();
        SandboxSpec { thread: Some(self.with.thread), name: Some(name), labels, network, ..given }
    }

    /// Wakes the sandbox that is known to exist. What goes wrong is found again, and told, when it is opened.
    async fn wake_early(&self) {
        let Some(id) = &self.with.known else { return };
        let own = self.own.lock().await;
        if own.is_none()
            && let Err(error) = self.with.provider.wake(id).await
        {
            tracing::info!(run.id = %self.with.run, sandbox.id = %id, %error, "the sandbox did not wake early");
        }
    }

    async fn keep_alive(&self) {
        let own = self.own.lock().await.as_ref().map(|own| Arc::clone(&own.sandbox));
        let extras: Vec<_> = self.extras().values().cloned().collect();
        for sandbox in own.into_iter().chain(extras) {
            if let Err(error) = sandbox.keep_alive().await {
                tracing::info!(run.id = %self.with.run, sandbox.id = %sandbox.id(), %error, "the sandbox was not kept alive");
            }
        }
    }

    async fn create_extra(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let wanted = spec.name.clone().unwrap_or_default();
        let suffix: String = wanted.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        let unnamed = suffix.is_empty();
        let suffix = if unnamed { Uuid::now_v7().simple().to_string() } else { suffix.to_ascii_lowercase() };
        let name = format!("thread-{}-x-{suffix}", self.with.thread);
        let now = self.with.clock.now();
        let extra = self.holder.extra(&name, MOST_EXTRAS, now).await.map_err(database)?;
        if !extra.recorded {
            let there = extra.others.join(", ");
            let why = format!("this conversation has as many further sandboxes as it may have; use one of them: {there}");
            return Err(SandboxError::Invalid(why));
        }
        let sandbox = match self.with.provider.create(self.spec(extra.instance, name.clone(), spec)).await {
            // Nobody can ask for it again; if it is there all the same, it is reaped.
            Err(error) if unnamed => {
                self.holder.forget_extra(&name).await.map_err(database)?;
                return Err(error);
            }
            created => created?,
        };
        let beginning = WorkspaceSnapshot::take(sandbox.as_ref(), None, now).await?;
        let baseline = beginning.to_bytes().map_err(stored)?;
        let (id, run) = (sandbox.id().0.as_str(), Some(self.with.run));
        let ready = Ready { id, checkout: None, snapshot: None, base: None, baseline: Some(&baseline), run, now };
        if !self.holder.ready(&name, ready).await.map_err(database)? {
            return Err(taken_over());
        }
        self.extras().insert(sandbox.id().clone(), Arc::clone(&sandbox));
        Ok(sandbox)
    }

    /// Another sandbox of this thread, woken.
    async fn extra(&self, id: &SandboxId) -> Result<Arc<dyn Sandbox>, SandboxError> {
        if let Some(known) = self.extras().get(id) {
            return Ok(Arc::clone(known));
        }
        // By row: a model cannot reach into another thread by guessing.
        let Some((name, _)) = self.holder.extra_by_id(&id.0).await.map_err(database)? else {
            return Err(SandboxError::NotFound(format!("sandbox {id}")));
        };
        self.wake_extra(id, &name).await
    }

    async fn wake_extra(&self, id: &SandboxId, name: &str) -> Result<Arc<dyn Sandbox>, SandboxError> {
        match wake_and_find(&self.with, id).await {
            Ok(sandbox) => {
                self.extras().insert(id.clone(), Arc::clone(&sandbox));
                Ok(sandbox)
            }
            Err(SandboxError::NotFound(_)) => {
                self.extras().remove(id);
                self.holder.forget_extra(name).await.map_err(database)?;
                let why = format!("sandbox {id} is gone, with its files; make another one with createSandbox");
                Err(SandboxError::Invalid(why))
            }
            Err(error) => Err(error),
        }
    }
}

async fn wake_and_find(with: &SandboxesOf, id: &SandboxId) -> Result<Arc<dyn Sandbox>, SandboxError> {
    with.provider.wake(id).await?;
    with.provider.restrict(id, with.network.as_ref()).await?;
    with.provider.find(id).await
}

/// Labels of every sandbox of a deployment.
fn labels_of(instance: Uuid) -> BTreeMap<String, String> {
    BTreeMap::from([(APP_LABEL.0.to_owned(), APP_LABEL.1.to_owned()), (INSTANCE_LABEL.to_owned(), instance.to_string())])
}

fn database(error: sqlx::Error) -> SandboxError {
    SandboxError::Unavailable(format!("the service's database did not answer ({error})"))
}

fn stored(error: std::io::Error) -> SandboxError {
    SandboxError::Unavailable(format!("its state cannot be stored ({error})"))
}

fn taken_over() -> SandboxError {
    SandboxError::Unavailable("another worker has taken the conversation over".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_checkpoint_counts_only_for_what_it_was_taken_of() {
        let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap();
        assert_eq!(Kept::of(None, at(9), Some(1)), Kept::Never);
        assert_eq!(Kept::of(Some(at(5)), at(5), None), Kept::Now, "nobody has begun since");
        assert_eq!(Kept::of(Some(at(5)), at(9), Some(3)), Kept::Now, "and nothing has changed since");
        assert_eq!(Kept::of(Some(at(5)), at(9), None), Kept::Before);
        // Changed after the checkpoint by a run whose save failed, and unchanged since another run saw it.
        assert_eq!(Kept::of(Some(at(5)), at(9), Some(7)), Kept::Before);
    }
}

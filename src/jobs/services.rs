//! What jobs work with, made once per process by `app`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::members::Members;
use super::origin::Origins;
use super::pool::Bell;
use super::repository::Repositories;
use super::store;
use crate::agent::Kit;
use crate::clock::Clock;
use crate::discord::Discord;
use crate::github::Github;
use crate::id::RunId;
use crate::memory::recall::Recall;
use crate::model::{Embedder, Model, Shelf};
use crate::reply::Poster;
use crate::sandbox::Provider;
use crate::settings::Settings;

/// The channel on which stop requests are told, with the run's id.
const STOP_CHANNEL: &str = "threadbox_stop";
/// The channel on which a process says that runs wait and all its own workers are busy.
pub(super) const WORK_CHANNEL: &str = "threadbox_work";
/// The channel on which a process without workers says that something arrived.
const GATE_CHANNEL: &str = "threadbox_gate";

/// What jobs work with.
#[derive(Clone)]
pub struct Services {
    /// The database.
    pub pool: PgPool,
    /// Settings of this process.
    pub settings: Arc<Settings>,
    /// GitHub, when it is on.
    pub github: Option<Arc<Github>>,
    /// Discord, when it is on.
    pub discord: Option<Arc<Discord>>,
    /// Says things.
    pub poster: Poster,
    /// What runs work with; none when no model is configured.
    pub kit: Kit,
    /// Finds titles.
    pub title_model: Arc<dyn Model>,
    /// Embeds; none where recall goes by words alone.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// Finds what was said before.
    pub recall: Recall,
    /// Makes models, for repositories and threads that want another.
    pub models: Shelf,
    /// Makes sandboxes.
    pub sandboxes: Arc<dyn Provider>,
    /// Finds the repositories of conversations; none when GitHub is off.
    pub origins: Option<Arc<Origins>>,
    /// What repositories say about themselves; none when GitHub is off.
    pub repositories: Option<Arc<Repositories>>,
    /// Who is in which guild.
    pub members: Members,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The agent's instructions, when they are replaced.
    pub instructions: Option<Arc<str>>,
    /// Names this process in leases and logs.
    pub holder: Arc<str>,
    /// Runs at work here, so that they can be stopped at once.
    pub stops: Stops,
    /// Wake the workers of this process.
    pub bells: Bells,
    /// Cancelled when the process is to end.
    pub shutdown: CancellationToken,
}

/// The bells of the pools.
#[derive(Clone, Debug, Default)]
pub struct Bells {
    /// For requests to be let in.
    pub gate: Bell,
    /// For runs to be worked on.
    pub runs: Bell,
    /// For reactions to be looked for.
    pub reactions: Bell,
    /// For what was said to be put into memory.
    pub indexing: Bell,
    /// For what is in memory to be embedded.
    pub embedding: Bell,
    /// For long threads to be condensed.
    pub condensing: Bell,
    /// For what is to be forgotten.
    pub forgetting: Bell,
}

/// Tells a worker that something is stored for it. A wake-up that gets lost is made up for by the next sweep, within seconds: the
/// stored row is what counts.
#[derive(Clone, Debug)]
pub enum Waker {
    /// The workers are in this process.
    Here(Bells),
    /// They are in others.
    Elsewhere(PgPool),
}

impl Waker {
    /// Wakes those who let in and those who forget; each wakes others when there is more to do.
    pub async fn wake(&self) {
        match self {
            Self::Here(bells) => {
                bells.gate.ring();
                bells.forgetting.ring();
            }
            Self::Elsewhere(pool) => {
                if let Err(error) = store::tell_others(pool, GATE_CHANNEL).await {
                    tracing::warn!(%error, "the workers find out with their next sweep");
                }
            }
        }
    }
}

impl Services {
    /// Wakes a worker for a run: one of ours, or, when all of them are at work, whichever process has one that sleeps.
    pub async fn ring_for_a_run(&self) -> Result<(), sqlx::Error> {
        if self.bells.runs.ring() { Ok(()) } else { store::tell_others(&self.pool, WORK_CHANNEL).await }
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").field("holder", &self.holder).finish_non_exhaustive()
    }
}

/// The stop switches of the runs at work in this process.
#[derive(Clone, Debug, Default)]
pub struct Stops(Arc<Mutex<Switches>>);

/// Each with a number of its own: a run may be taken again here before the one who had it before is gone.
#[derive(Debug, Default)]
struct Switches {
    made: u64,
    of: HashMap<RunId, (u64, CancellationToken)>,
}

impl Stops {
    /// A switch for a run; it is forgotten when the guard goes.
    pub fn register(&self, run: RunId) -> StopGuard {
        let token = CancellationToken::new();
        let mut switches = self.lock();
        switches.made += 1;
        let number = switches.made;
        switches.of.insert(run, (number, token.clone()));
        StopGuard { stops: self.clone(), run, number, token }
    }

    /// Stops a run, if it is at work here.
    pub fn stop(&self, run: RunId) {
        if let Some((_, token)) = self.lock().of.get(&run) {
            token.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Switches> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A registered run.
#[derive(Debug)]
pub struct StopGuard {
    stops: Stops,
    run: RunId,
    number: u64,
    /// Cancelled when somebody asks the run to stop.
    pub token: CancellationToken,
}

impl Drop for StopGuard {
    fn drop(&mut self) {
        let mut switches = self.stops.lock();
        if switches.of.get(&self.run).is_some_and(|(number, _)| *number == self.number) {
            switches.of.remove(&self.run);
        }
    }
}

/// Hears stop requests and calls for help from all replicas. A stop that is missed is seen at the run's next save, a call at the
/// next sweep.
pub(super) async fn listen(services: Services) {
    while !services.shutdown.is_cancelled() {
        let heard = tokio::select! {
            heard = listen_once(&services) => heard,
            () = services.shutdown.cancelled() => return,
        };
        if let Err(error) = heard {
            tracing::warn!(%error, "not hearing the other processes; trying again");
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                () = services.shutdown.cancelled() => return,
            }
        }
    }
}

async fn listen_once(services: &Services) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(&services.pool).await?;
    listener.listen_all([STOP_CHANNEL, WORK_CHANNEL, GATE_CHANNEL]).await?;
    loop {
        let notification = listener.recv().await?;
        if notification.channel() == WORK_CHANNEL {
            services.bells.runs.ring();
        } else if notification.channel() == GATE_CHANNEL {
            services.bells.gate.ring();
            services.bells.forgetting.ring();
        } else if let Ok(run) = notification.payload().parse::<Uuid>() {
            services.stops.stop(RunId(run));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_had_a_run_before_takes_only_their_own_switch_along() {
        let (stops, run) = (Stops::default(), RunId::new());
        let before = stops.register(run);
        let after = stops.register(run);
        drop(before);
        stops.stop(run);
        assert!(after.token.is_cancelled());
        drop(after);
        assert!(stops.lock().of.is_empty());
    }
}

//! What jobs work with, made once per process by `app`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::agent::Kit;
use crate::clock::Clock;
use crate::github::Github;
use crate::id::RunId;
use crate::model::Model;
use crate::reply::Poster;
use crate::sandbox::Provider;
use crate::settings::Settings;

/// The channel on which stop requests are told.
const STOP_CHANNEL: &str = "threadbox_stop";

/// What jobs work with.
#[derive(Clone)]
pub struct Services {
    /// The database.
    pub pool: PgPool,
    /// Settings of this process.
    pub settings: Arc<Settings>,
    /// GitHub, when it is on.
    pub github: Option<Arc<Github>>,
    /// Says things.
    pub poster: Poster,
    /// What runs work with; none when no model is configured.
    pub kit: Kit,
    /// Finds titles.
    pub title_model: Arc<dyn Model>,
    /// Makes sandboxes.
    pub sandboxes: Arc<dyn Provider>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The agent's instructions, when they are replaced.
    pub instructions: Option<Arc<str>>,
    /// Names this process in leases and logs.
    pub holder: Arc<str>,
    /// Runs at work here, so that they can be stopped at once.
    pub stops: Stops,
    /// Cancelled when the process is to end.
    pub shutdown: CancellationToken,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").field("holder", &self.holder).finish_non_exhaustive()
    }
}

/// The stop switches of the runs at work in this process.
#[derive(Clone, Debug, Default)]
pub struct Stops(Arc<Mutex<HashMap<RunId, CancellationToken>>>);

impl Stops {
    /// A switch for a run; it is forgotten when the guard goes.
    pub fn register(&self, run: RunId) -> StopGuard {
        let token = CancellationToken::new();
        self.lock().insert(run, token.clone());
        StopGuard { stops: self.clone(), run, token }
    }

    /// Stops a run, if it is at work here.
    pub fn stop(&self, run: RunId) {
        if let Some(token) = self.lock().get(&run) {
            token.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, CancellationToken>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A registered run.
#[derive(Debug)]
pub struct StopGuard {
    stops: Stops,
    run: RunId,
    /// Cancelled when somebody asks the run to stop.
    pub token: CancellationToken,
}

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.stops.lock().remove(&self.run);
    }
}

/// Hears stop requests from all replicas. One that is missed is seen at the run's next save.
pub(super) async fn listen_for_stops(services: Services) {
    while !services.shutdown.is_cancelled() {
        let heard = tokio::select! {
            heard = listen_once(&services) => heard,
            () = services.shutdown.cancelled() => return,
        };
        if let Err(error) = heard {
            tracing::warn!(%error, "not hearing stop requests; trying again");
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                () = services.shutdown.cancelled() => return,
            }
        }
    }
}

async fn listen_once(services: &Services) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(&services.pool).await?;
    listener.listen(STOP_CHANNEL).await?;
    loop {
        let notification = listener.recv().await?;
        if let Ok(run) = notification.payload().parse::<Uuid>() {
            services.stops.stop(RunId(run));
        }
    }
}

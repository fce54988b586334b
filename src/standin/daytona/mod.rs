//! A Daytona on loopback, after its published description and what was observed of it. Three parts, as there: a *control plane*
//! (`api` and below) that knows sandboxes and their states; a *proxy* under `/toolbox/<id>`; and in each started sandbox a
//! *[`toolbox`] daemon*, which runs commands for real behind the walls of a local sandbox. It refuses what the real one refuses,
//! keeps states and transitions, and can be told to fail.
//!
//! Three sides: HTTP is what clients talk to; [`Daytona::befall`] and [`Fault`] are what happens behind their back; the
//! reading side ([`World`], [`Daytona::wait_for`]) is for whoever wants to see what became of it.

mod adjust;
mod api;
mod around;
mod create;
mod expiry;
mod fault;
mod keys;
mod lifecycle;
mod limit;
mod list;
mod machine;
mod options;
mod preview;
mod proxy;
mod record;
mod refuse;
mod shape;
mod state;
pub mod toolbox;
mod world;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

pub use self::fault::{Fault, Mischief};
pub use self::limit::Bucket;
use self::machine::Machines;
pub use self::options::{DaemonVersion, Options};
pub use self::record::{Execution, RequestRecord};
pub use self::state::State;
pub use self::world::{Quota, Sandbox, Snapshot, World};
use crate::clock::Clock;
use crate::secret::{SecretString, secret};
use crate::settings::{DaytonaCredential, DaytonaSettings};

/// A running stand-in. Dropping it ends its sandboxes soon; [`Daytona::shut_down`] waits for it and removes their files.
pub struct Daytona {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// What requests and the handle share.
struct Shared {
    world: Mutex<World>,
    changed: watch::Sender<u64>,
    origin: String,
    organization: String,
    daemon: DaemonVersion,
    clock: Arc<dyn Clock>,
    machines: Machines,
    /// What goes on beside requests: transitions.
    work: TaskTracker,
    /// Cancelled when the stand-in ends.
    closing: CancellationToken,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the world or changes it, and tells those who wait.
    fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let result = act(&mut self.lock());
        self.changed.send_modify(|version| *version += 1);
        result
    }

    /// Waits until `look` finds what it looks for, however long that takes.
    async fn until<T>(&self, look: impl Fn(&mut World) -> Option<T>) -> T {
        let mut versions = self.changed.subscribe();
        loop {
            versions.mark_unchanged();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            if versions.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Daytona {
    /// Starts one on a free loopback port. No sandbox exists yet.
    ///
    /// # Errors
    /// When no port can be bound, or the directory for sandboxes not be made.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let world = World::new(&options);
        let shared = Arc::new(Shared {
            organization: world.organization.clone(),
            world: Mutex::new(world),
            changed: watch::Sender::new(0),
            origin,
            daemon: options.daemon,
            clock: options.clock.clone(),
            machines: Machines::new(&options)?,
            work: TaskTracker::new(),
            closing: CancellationToken::new(),
        });
        let server = tokio::spawn(api::serve(listener, shared.clone()));
        Ok(Self { shared, server })
    }

    /// The base URL of the API, without trailing slash.
    pub fn url(&self) -> String {
        format!("{}/api", self.shared.origin)
    }

    /// The API key that is accepted.
    pub fn key(&self) -> SecretString {
        secret(self.world(|world| world.key.clone()))
    }

    /// What a service is told to use this Daytona.
    ///
    /// # Errors
    /// None in practice: the address is one of this machine.
    pub fn settings(&self) -> anyhow::Result<DaytonaSettings> {
        let credential = DaytonaCredential::Key(self.key());
        Ok(DaytonaSettings { api_url: Url::parse(&self.url())?, credential, target: None, snapshot: None, image: None })
    }

    /// A token that is accepted where [`Self::organization`] is named beside it.
    pub fn jwt(&self) -> SecretString {
        secret(self.world(|world| world.jwt.clone()))
    }

    /// The id of the one organisation there is.
    pub fn organization(&self) -> String {
        self.shared.organization.clone()
    }

    /// Where files of sandboxes lie on this machine.
    pub fn root(&self) -> &Path {
        self.shared.machines.root()
    }

    /// Looks at the state, or changes it.
    pub fn world<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        self.shared.with(act)
    }

    /// The requests that arrived, oldest first; the last 5,000.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.world(|world| world.requests.iter().cloned().collect())
    }

    /// What clients did that they should not: impossible requests, fields that do not exist.
    pub fn violations(&self) -> Vec<String> {
        self.world(|world| world.violations.iter().cloned().collect())
    }

    /// Makes a request fail, or something happen before it; see [`Fault`]. Faults are used up in the order they were given.
    pub fn inject(&self, fault: Fault) {
        self.world(|world| world.faults.push_back(fault));
    }

    /// Does something to a sandbox, named by id or name, behind the client's back; done when it returns.
    ///
    /// # Errors
    /// When there is no such sandbox, or it cannot be removed.
    pub async fn befall(&self, sandbox: &str, mischief: Mischief) -> anyhow::Result<()> {
        let id = self.world(|world| world.find(sandbox).map(|sandbox| sandbox.id.clone()));
        let id = id.ok_or_else(|| anyhow::anyhow!("there is no sandbox {sandbox}"))?;
        fault::befall(&self.shared, &id, mischief).await
    }

    /// Waits until `look` finds what it looks for.
    ///
    /// # Errors
    /// After `within`, with `what` and the states of all sandboxes.
    pub async fn wait_for<T>(&self, what: &str, within: Duration, look: impl Fn(&mut World) -> Option<T>) -> anyhow::Result<T> {
        match tokio::time::timeout(within, self.shared.until(look)).await {
            Ok(found) => Ok(found),
            Err(_) => Err(anyhow::anyhow!("{what} did not happen within {within:?}. {}", self.world(|world| world.describe()))),
        }
    }

    /// Ends all sandboxes, removes their files and closes the port.
    pub async fn shut_down(self) {
        self.server.abort();
        self.shared.closing.cancel();
        self.shared.work.close();
        self.shared.work.wait().await;
        self.shared.machines.remove_all().await;
    }
}

impl Drop for Daytona {
    fn drop(&mut self) {
        self.server.abort();
        self.shared.closing.cancel();
        self.shared.machines.cancel_all();
    }
}

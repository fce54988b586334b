//! What is behind the proxy: local sandboxes, and a daemon in each that is started.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{DaemonVersion, Options};
use crate::sandbox::local::{LocalConfig, LocalProvider};
use crate::sandbox::proxy::{Egress, Policy};
use crate::sandbox::{Command, Exec, Provider, SandboxId, SandboxSpec};

/// Where this binary appears inside.
const DAEMON: &str = "/opt/toolbox/daemon";
/// The daemon's socket below the private `/tmp`.
const SOCKET: &str = ".toolbox.sock";
/// Work and home directory inside.
pub(super) const HOME: &str = "/workspace";
/// How long a daemon may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);
/// A sandbox lives longer than any test; the walls need a number.
const FOR_EVER: Duration = Duration::from_secs(7 * 24 * 3600);

/// All sandboxes of one stand-in.
pub(super) struct Machines {
    provider: LocalProvider,
    root: PathBuf,
    daemon: DaemonVersion,
    running: Mutex<BTreeMap<String, Running>>,
}

/// A daemon and the walls around it.
struct Running {
    cancel: CancellationToken,
    /// Ends when nothing inside is left; says why it could not run.
    end: JoinHandle<Option<String>>,
}

impl Machines {
    pub fn new(options: &Options) -> anyhow::Result<Self> {
        // The walls are built from another working directory.
        let helper = options.helper.canonicalize().with_context(|| format!("Cannot find {}", options.helper.display()))?;
        let config = LocalConfig {
            root: options.root.clone(),
            helper: helper.clone(),
            cpus: 2,
            memory_mb: options.memory_mb,
            disk_mb: options.disk_mb,
            processes: 1024,
            search_path: options.search_path.clone(),
            network: Policy::new(Egress::None),
            without: BTreeSet::new(),
        };
        let provider = LocalProvider::showing(config, &[(helper, DAEMON)])?;
        Ok(Self { provider, root: options.root.clone(), daemon: options.daemon, running: Mutex::default() })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the daemon of a sandbox, whose disk is made when there is none. Fine when it runs.
    ///
    /// # Errors
    /// In words, when this machine cannot isolate or the daemon does not come up.
    pub async fn start(&self, id: &str, env: BTreeMap<String, String>) -> Result<(), String> {
        if self.connect(id).await.is_ok() {
            return Ok(());
        }
        self.stop(id).await;
        let spec = SandboxSpec { name: Some(id.to_owned()), env, ..SandboxSpec::default() };
        let sandbox = self.provider.create(spec).await.map_err(|error| error.to_string())?;
        let line = format!("exec {DAEMON} toolbox-daemon /tmp/{SOCKET} {} {HOME}", self.daemon.number());
        let mut exec = Exec::new(Command::Shell(line), FOR_EVER, 4096);
        exec.env.insert("HOME".to_owned(), HOME.to_owned());
        exec.env.insert("DAYTONA_SANDBOX_ID".to_owned(), id.to_owned());
        let cancel = CancellationToken::new();
        let watched = cancel.clone();
        let end = tokio::spawn(async move {
            match sandbox.exec(exec, &watched).await {
                Ok(ended) => Some(ended.stderr.text()).filter(|text| !text.is_empty()),
                Err(error) => Some(error.to_string()),
            }
        });
        self.lock().insert(id.to_owned(), Running { cancel, end });
        self.listening(id).await
    }

    async fn listening(&self, id: &str) -> Result<(), String> {
        let wait = async {
            loop {
                if self.connect(id).await.is_ok() {
                    return Ok(());
                }
                let ended = self.lock().get(id).is_none_or(|running| running.end.is_finished());
                if ended {
                    return Err(self.stop(id).await.unwrap_or_else(|| "the daemon ended at once".to_owned()));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| Err("the daemon does not listen".to_owned()))
    }

    /// Ends everything inside; the disk stays. Fine when nothing runs. Returns what the daemon said last.
    pub async fn stop(&self, id: &str) -> Option<String> {
        let running = self.lock().remove(id)?;
        running.cancel.cancel();
        running.end.await.ok().flatten()
    }

    /// Ends everything inside and removes the disk.
    ///
    /// # Errors
    /// When files cannot be removed.
    pub async fn remove(&self, id: &str) -> anyhow::Result<()> {
        self.stop(id).await;
        Ok(self.provider.remove(&SandboxId(id.to_owned())).await?)
    }

    pub async fn remove_all(&self) {
        let all: Vec<String> = self
            .provider
            .labelled(&BTreeMap::new(), usize::MAX)
            .await
            .unwrap_or_default()
            .into_iter()
            .map(|listed| listed.id.0)
            .collect();
        for id in all {
            if let Err(error) = self.remove(&id).await {
                tracing::warn!(sandbox.id = id, %error, "a sandbox of the stand-in was left behind");
            }
        }
    }

    /// True while something runs inside.
    pub fn runs(&self, id: &str) -> bool {
        self.lock().get(id).is_some_and(|running| !running.end.is_finished())
    }

    pub fn cancel_all(&self) {
        self.lock().values().for_each(|running| running.cancel.cancel());
    }

    /// Connects to the daemon. What lies at its place is made by the code inside: it is used only when it is a socket, and never a
    /// link, which could lead to a socket of this machine.
    pub async fn connect(&self, id: &str) -> std::io::Result<UnixStream> {
        let path = self.provider.temporary(&SandboxId(id.to_owned())).join(SOCKET);
        let place = openat(CWD, &path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&place)?.st_mode) != FileType::Socket {
            return Err(std::io::Error::other("not a socket"));
        }
        UnixStream::connect(format!("/proc/self/fd/{}", place.as_raw_fd())).await
    }
}

//! The sandbox on this machine: each command runs behind namespaces, a root of its own, Landlock and limits, or not at all.
//!
//! A sandbox is a directory, `<root>/<name>/{workspace,tmp}`; between commands nothing of it runs but what was started in the
//! background (`processes`), which shares its network (`shared_network`) with the commands of the same sandbox. `init` is the helper that builds
//! the walls around a command (this binary, started again), `plan` what it is told, `exec` starts and ends it. File operations
//! are done by the service itself, below a directory handle.
//!
//! # Threat model
//!
//! **Who attacks.** The code. It was written by a model that read text of strangers, or by a stranger whose exact words somebody let
//! run; it is taken to be hostile, to know this page, and to have as many tries as it likes. The people who run the service, their
//! kernel, and what is installed in the system directories are trusted.
//!
//! **What is protected.** The service and its secrets (keys, tokens, database); files, processes and devices of this machine;
//! sandboxes of other threads; everything this machine reaches by network; and that the machine stays usable. Not protected from
//! the code: its own workspace, `/tmp`, and other commands of the same sandbox (they do not see each other, but share files, and the
//! loopback while something runs in the background).
//!
//! **What each wall stops.** In the order they are built; [`LayerName::absence`] says what is lost without one.
//!
//! | wall | stops | needed |
//! | --- | --- | --- |
//! | control groups | using up memory, processes and processors, exactly and for all processes together | no: the helper watches memory, disk and files without a name every few milliseconds, `rlimits` count processes |
//! | user namespace | any right of the service or of root: files, signals, capabilities; where the service is root, each sandbox is a user of its own | yes |
//! | mount namespace, root directory | seeing files: only system directories (read-only, no devices, no set-user-id), `/workspace`, `/tmp` | yes |
//! | pid namespace, `proc` | seeing, signalling or tracing processes of this machine and of other commands; outliving the own command; what `/proc` says of the kernel | yes |
//! | network namespace | every connection out, abstract sockets, the machine's loopback and metadata addresses | yes |
//! | egress | reaching more than `SANDBOX_NETWORK` allows: see [`proxy`](super::proxy) | yes |
//! | ipc, uts namespace | shared memory and queues of others; changing the host name | yes |
//! | cgroup namespace | reading the names of the service's control groups | no |
//! | resource limits | using up processes, memory, file size, open files by one process | yes |
//! | Landlock | files again, and signals and abstract sockets, should a mount or namespace have a hole | no: older kernels lack it |
//! | no new privileges | gaining rights by executing a file | yes |
//! | seccomp | most of the kernel: mounts, namespaces, keys, bpf, io_uring, tracing; and sockets that no namespace holds (vsock) | yes |
//! | capabilities | rebuilding the walls from inside, where the code would otherwise be root of its own namespaces | yes |
//!
//! A needed wall that cannot be built means that nothing is run ([`SandboxError::NoIsolation`]), never that less is protected.
//! The helper outside the program (the first process) holds two capabilities of its own namespace to measure what the code hides
//! from it; it cannot be traced, executes nothing, and takes no input from the code. The service hears nothing from inside but
//! output, which is bounded, and connections to the proxy.
//!
//! Files left in a workspace are hostile too: the service opens them below a directory handle, follows no link out, opens nothing that
//! is not a regular file, and walks no further than its bounds.
//!
//! **What is not protected.** Against a hole in the kernel itself: the list of system calls makes it smaller, a virtual machine of
//! its own is the answer. Against what the processor gives away (caches, timing, how busy the machine is). Against other users of
//! this machine who are root. Where the service is not root, sandboxes are the service's own user outside: should namespaces and
//! Landlock both have a hole, its files lie open; as root each sandbox is somebody else, who owns nothing. Disk is measured, not
//! reserved: for some tens of milliseconds a command can write more than it may. The kernel's version, processor, memory and load are
//! visible. Programs of 32 bits are ended at their first system call. Debuggers can start programs, but not attach to running ones. A host
//! that is allowed can be told anything that is in the workspace: `SANDBOX_NETWORK` decides where to, not what.
//!
//! `tests/it/attacks.rs` makes the attacks, with all walls and with each one left out in turn; `tests/it/egress.rs` those on the proxy.

mod background;
mod cgroup;
mod exec;
mod files;
mod host;
pub mod init;
mod interpreters;
mod isolation;
mod machine;
mod network;
mod paths;
mod plan;
mod process;
mod processes;
mod program;
mod remove;
mod shared_network;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use self::host::Host;
pub use self::isolation::{Isolation, Layer, LayerName};
use self::machine::LocalSandbox;
use self::plan::Limits;
use self::processes::Processes;
use super::language::NodeVersion;
use super::proxy::Policy;
use super::{Exec, Listed, Provider, Sandbox, SandboxError, SandboxId, SandboxSpec, Surroundings};
use crate::id::ThreadId;
use crate::settings::Network;

/// How local sandboxes are made.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// Holds one directory per sandbox. Made when missing, for the service's user only.
    pub root: PathBuf,
    /// Path of the threadbox binary, which is its own helper.
    pub helper: PathBuf,
    /// Processors one command may keep busy, where control groups can be made.
    pub cpus: u32,
    /// Memory of one command and all it starts.
    pub memory_mb: u64,
    /// Size of workspace and temporary files together, and of a single file.
    pub disk_mb: u64,
    /// Processes and threads of one command.
    pub processes: u64,
    /// Where interpreters are looked for that the system directories do not have; the service's `PATH`, split.
    pub search_path: Vec<PathBuf>,
    /// What code may reach, through the service's proxy.
    pub network: Policy,
    /// Walls that are left out. Only for tests that ask whether the others hold by themselves; empty everywhere else. Those that
    /// carry the others (user, mount and pid namespace, root directory) stand in any case.
    pub without: BTreeSet<LayerName>,
}

/// Makes sandboxes on this machine.
#[derive(Debug)]
pub struct LocalProvider {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: LocalConfig,
    host: Host,
    node: OnceCell<Option<NodeVersion>>,
    processes: Processes,
}

/// What is remembered of a sandbox, in a file the code inside cannot see.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
    thread: Option<ThreadId>,
    labels: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    /// What it may reach, as it is written in settings, where that is less than what the service's proxy lets through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<String>,
}

impl Record {
    fn of(spec: SandboxSpec) -> Self {
        let network = spec.network.map(|network| network.to_string());
        Self { thread: spec.thread, labels: spec.labels, env: spec.env, network }
    }
}

const RECORD: &str = "sandbox.json";

impl LocalProvider {
    /// Looks at this machine and prepares the root directory; runs nothing yet. Fails when the directory cannot be made.
    pub fn new(config: LocalConfig) -> Result<Self, SandboxError> {
        Self::showing(config, &[])
    }

    /// The same, with further files or directories of this machine visible inside, read-only: where they are, and where they appear.
    pub fn showing(config: LocalConfig, further: &[(PathBuf, &str)]) -> Result<Self, SandboxError> {
        let unavailable = |error: std::io::Error| SandboxError::Unavailable(format!("{}: {error}", config.root.display()));
        make_private_directory(&config.root).map_err(unavailable)?;
        let root = config.root.canonicalize().map_err(unavailable)?;
        cgroup::sweep();
        sweep_trash(&root);
        let mut host = Host::look(&config.search_path);
        host.show(further);
        let config = LocalConfig { root, ..config };
        let (node, processes) = (OnceCell::new(), Processes::default());
        Ok(Self { shared: Arc::new(Shared { config, host, node, processes }) })
    }

    /// Ends what runs in the background and waits until it is gone; nothing can be started afterwards. Dropping the provider does
    /// the same without waiting.
    pub async fn close(&self) {
        self.shared.processes.close();
        self.shared.processes.closed().await;
    }

    /// Runs a program behind the walls and reports which stood. [`SandboxError::NoIsolation`] when one is missing without which
    /// nothing runs.
    pub async fn probe(&self) -> Result<Isolation, SandboxError> {
        let spec = SandboxSpec { name: Some(format!("probe-{}", uuid::Uuid::now_v7().simple())), ..SandboxSpec::default() };
        let sandbox = self.open(spec).await?;
        let exec = Exec::shell("exit 0", Duration::from_secs(20), 1024);
        let finished = sandbox.run(&exec, &CancellationToken::new(), None).await;
        self.remove(&sandbox.id).await?;
        let layers = finished?.layers;
        Ok(Isolation { layers })
    }

    /// Where the private `/tmp` of a sandbox lies on this machine. What is in there is made by the code inside.
    pub fn temporary(&self, id: &SandboxId) -> PathBuf {
        self.shared.config.root.join(&id.0).join(paths::Place::Temporary.outside())
    }

    async fn open(&self, spec: SandboxSpec) -> Result<LocalSandbox, SandboxError> {
        let name = directory_name(&spec);
        let record = Record::of(spec);
        let shared = Arc::clone(&self.shared);
        blocking(move || LocalSandbox::create(shared, name, record)).await
    }
}

impl Drop for LocalProvider {
    fn drop(&mut self) {
        self.shared.processes.close();
    }
}

#[async_trait]
impl Provider for LocalProvider {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Ok(Arc::new(self.open(spec).await?))
    }

    async fn find(&self, id: &SandboxId) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let (shared, id) = (Arc::clone(&self.shared), id.clone());
        let sandbox = blocking(move || LocalSandbox::find(shared, id)).await?;
        Ok(Arc::new(sandbox))
    }

    async fn remove(&self, id: &SandboxId) -> Result<(), SandboxError> {
        self.shared.processes.remove(id).await;
        let (root, id) = (self.shared.config.root.clone(), id.clone());
        blocking(move || {
            if !is_directory_name(&id.0) {
                return Ok(());
            }
            let failed = |error: std::io::Error| SandboxError::Unavailable(format!("cannot remove {id}: {error}"));
            let root = Dir::open_ambient_dir(root, ambient_authority()).map_err(failed)?;
            match remove::remove(&root, Path::new(&id.0)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
                Ok(()) | Err(_) => Ok(()),
            }
        })
        .await
    }

    async fn adopt(&self, id: &SandboxId, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let record = Record::of(spec);
        let (shared, id) = (Arc::clone(&self.shared), id.clone());
        Ok(Arc::new(blocking(move || LocalSandbox::adopt(shared, id, record)).await?))
    }

    async fn restrict(&self, id: &SandboxId, network: Option<&Network>) -> Result<(), SandboxError> {
        let (shared, id, network) = (Arc::clone(&self.shared), id.clone(), network.map(ToString::to_string));
        blocking(move || LocalSandbox::restrict(&shared, &id, network)).await
    }

    async fn labelled(&self, labels: &BTreeMap<String, String>, limit: usize) -> Result<Vec<Listed>, SandboxError> {
        let (root, labels) = (self.shared.config.root.clone(), labels.clone());
        blocking(move || {
            let failed = |error: std::io::Error| SandboxError::Unavailable(format!("{}: {error}", root.display()));
            let mut listed = Vec::new();
            for entry in std::fs::read_dir(&root).map_err(failed)?.flatten() {
                // What has no record yet is being made, or was half removed.
                let Ok(json) = std::fs::read(entry.path().join(RECORD)) else { continue };
                let Ok(record) = serde_json::from_slice::<Record>(&json) else { continue };
                if labels.iter().all(|(name, value)| record.labels.get(name) == Some(value)) {
                    let id = SandboxId(entry.file_name().to_string_lossy().into_owned());
                    let made = entry.metadata().and_then(|metadata| metadata.created().or_else(|_| metadata.modified())).ok();
                    listed.push(Listed { id, labels: record.labels, created_at: made.map(Into::into) });
                }
                if listed.len() == limit {
                    break;
                }
            }
            Ok(listed)
        })
        .await
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings { workspace: Some(paths::WORKSPACE.to_owned()), network: self.shared.config.network.words() }
    }
}

impl Shared {
    fn limits(&self, timeout: Duration) -> Limits {
        let config = &self.config;
        Limits {
            memory_bytes: config.memory_mb.saturating_mul(1 << 20),
            disk_bytes: config.disk_mb.saturating_mul(1 << 20),
            processes: config.processes,
            open_files: 4096,
            // The wall clock ends the run; this is for a process that the clock cannot reach.
            cpu_seconds: timeout.as_secs().saturating_mul(u64::from(config.cpus.max(1))).saturating_add(60),
            cpus: config.cpus,
        }
    }
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, SandboxError> + Send + 'static) -> Result<T, SandboxError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(SandboxError::Unavailable(error.to_string())),
    }
}

fn make_private_directory(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn sweep_trash(root: &Path) {
    let Ok(dir) = Dir::open_ambient_dir(root, ambient_authority()) else {
        return;
    };
    for entry in dir.entries().into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(remove::TRASH) {
            let _ = remove::remove(&dir, Path::new(&name));
        }
    }
}

const MAX_NAME: usize = 80;

/// The directory of a sandbox: its name where that can be one, else made from it; the thread's id when it has none.
fn directory_name(spec: &SandboxSpec) -> String {
    let wanted = match (&spec.name, spec.thread) {
        (Some(name), _) => name.clone(),
        (None, Some(thread)) => format!("thread-{thread}"),
        (None, None) => format!("sandbox-{}", uuid::Uuid::now_v7().simple()),
    };
    if is_directory_name(&wanted) {
        return wanted;
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '-' };
    let start: String = wanted.chars().map(plain).take(MAX_NAME / 2).collect();
    format!("s{start}-{:08x}", short_hash(&wanted))
}

fn is_directory_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(allowed) && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// The same on every machine and in every version.
fn short_hash(text: &str) -> u32 {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(text.as_bytes());
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> String {
        directory_name(&SandboxSpec { name: Some(name.to_owned()), ..SandboxSpec::default() })
    }

    #[test]
    fn names_become_directories_without_meeting_each_other() {
        assert_eq!(named("thread-7"), "thread-7");
        for name in ["../x", "A", "a", "ä", "", ".", "a/b", "a\\b", ".hidden", &"x".repeat(500)] {
            assert!(is_directory_name(&named(name)), "{name}: {}", named(name));
        }
        assert_ne!(named("a/b"), named("a\\b"));
        assert_ne!(named("A"), named("a"));
    }
}

//! The sandbox on this machine: each command runs behind namespaces, a root of its own, Landlock and limits, or not at all.
//!
//! A sandbox is a directory, `<root>/<name>/{workspace,tmp}`; between commands nothing of it runs. `init` is the helper that
//! builds the walls around a command (this binary, started again), `plan` what it is told, `exec` starts and ends it. File
//! operations are done by the service itself, below a directory handle.

mod cgroup;
mod exec;
mod files;
mod host;
pub mod init;
mod isolation;
mod output;
mod paths;
mod plan;
mod program;
mod remove;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use self::cgroup::Cgroups;
use self::exec::{Bounds, Finished, NotRun};
use self::files::Files;
use self::host::Host;
pub use self::isolation::{Isolation, Layer};
use self::paths::WORKSPACE;
use self::plan::{Limits, Mount, MountAccess, Plan};
use self::program::{NodeVersion, Prepared};
use super::{
    Command, Exec, Executed, FileInfo, LANGUAGE_LABEL, Language, Provider, Sandbox, SandboxError, SandboxId, SandboxSpec,
    WalkBounds, Walked,
};
use crate::id::ThreadId;

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
}

/// What is remembered of a sandbox, in a file the code inside cannot see.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
    thread: Option<ThreadId>,
    labels: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
}

const RECORD: &str = "sandbox.json";

impl LocalProvider {
    /// Looks at this machine and prepares the root directory; runs nothing yet. Fails when the directory cannot be made.
    pub fn new(config: LocalConfig) -> Result<Self, SandboxError> {
        let unavailable = |error: std::io::Error| SandboxError::Unavailable(format!("{}: {error}", config.root.display()));
        make_private_directory(&config.root).map_err(unavailable)?;
        let root = config.root.canonicalize().map_err(unavailable)?;
        cgroup::sweep();
        sweep_trash(&root);
        let host = Host::look(&config.search_path);
        let config = LocalConfig { root, ..config };
        Ok(Self { shared: Arc::new(Shared { config, host, node: OnceCell::new() }) })
    }

    /// Runs a program behind the walls and reports which stood. [`SandboxError::NoIsolation`] when one is missing without which
    /// nothing runs.
    pub async fn probe(&self) -> Result<Isolation, SandboxError> {
        let spec = SandboxSpec { name: Some(format!("probe-{}", uuid::Uuid::now_v7().simple())), ..SandboxSpec::default() };
        let sandbox = self.open(spec).await?;
        let exec = Exec {
            command: Command::Shell("exit 0".to_owned()),
            env: BTreeMap::new(),
            working_directory: None,
            timeout: Duration::from_secs(20),
            output_limit: 1024,
        };
        let finished = sandbox.run(&exec, &CancellationToken::new(), None).await;
        self.remove(&sandbox.id).await?;
        let layers = finished?.layers;
        Ok(Isolation { layers })
    }

    async fn open(&self, spec: SandboxSpec) -> Result<LocalSandbox, SandboxError> {
        let name = directory_name(&spec);
        let record = Record { thread: spec.thread, labels: spec.labels, env: spec.env };
        let shared = Arc::clone(&self.shared);
        blocking(move || LocalSandbox::create(shared, name, record)).await
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
}

/// One directory, and the walls around what runs in it.
struct LocalSandbox {
    id: SandboxId,
    shared: Arc<Shared>,
    files: Files,
    language: Language,
    env: BTreeMap<String, String>,
}

impl LocalSandbox {
    fn create(shared: Arc<Shared>, name: String, record: Record) -> Result<Self, SandboxError> {
        let directory = shared.config.root.join(&name);
        let prepare = || -> std::io::Result<Record> {
            make_private_directory(&directory)?;
            let path = directory.join(RECORD);
            match std::fs::read(&path) {
                Ok(json) => serde_json::from_slice(&json).map_err(std::io::Error::other),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    // Written under another name first: a crash leaves either no record or a whole one.
                    let new = directory.join(format!("{RECORD}.new"));
                    std::fs::write(&new, serde_json::to_vec(&record)?)?;
                    std::fs::rename(&new, &path)?;
                    Ok(record)
                }
                Err(error) => Err(error),
            }
        };
        let record = prepare().map_err(|error| SandboxError::Unavailable(format!("{name}: {error}")))?;
        Self::with_record(shared, SandboxId(name), record)
    }

    fn find(shared: Arc<Shared>, id: SandboxId) -> Result<Self, SandboxError> {
        if !is_directory_name(&id.0) {
            return Err(SandboxError::NotFound(format!("sandbox {id}")));
        }
        let record = match std::fs::read(shared.config.root.join(&id.0).join(RECORD)) {
            Ok(json) => serde_json::from_slice(&json).map_err(|error| SandboxError::Unavailable(format!("{id}: {error}")))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SandboxError::NotFound(format!("sandbox {id}")));
            }
            Err(error) => return Err(SandboxError::Unavailable(format!("{id}: {error}"))),
        };
        Self::with_record(shared, id, record)
    }

    fn with_record(shared: Arc<Shared>, id: SandboxId, record: Record) -> Result<Self, SandboxError> {
        let outside = rustix::process::geteuid().is_root().then(|| host::outside_ids(&id.0));
        let files = Files { directory: shared.config.root.join(&id.0), outside };
        files.prepare().map_err(|error| SandboxError::Unavailable(format!("{id}: {error}")))?;
        let language = record.labels.get(LANGUAGE_LABEL).and_then(|name| name.parse().ok()).unwrap_or_default();
        Ok(Self { id, shared, files, language, env: record.env })
    }

    /// Runs without looking at the version of Node when `node` is given.
    async fn run(&self, exec: &Exec, cancel: &CancellationToken, node: Option<NodeVersion>) -> Result<Finished, SandboxError> {
        let prepared = program::prepare(exec, &self.env, &self.shared.host, node)?;
        let Prepared { program, code, needs } = prepared;
        if let Some(code) = &code {
            self.write(&code.path, code.content.as_bytes()).await?;
        }
        let limits = self.shared.limits(exec.timeout);
        let cgroups = blocking(move || Ok(Cgroups::make(&limits))).await?;
        let plan = self.plan(program, limits, &cgroups);
        let bounds = Bounds { timeout: exec.timeout, output_limit: exec.output_limit, cancel };
        let finished = exec::run(&self.shared.config.helper, &plan, &cgroups, bounds).await;
        if let Some(code) = &code {
            let directory = code.path.rsplit_once('/').map_or(code.path.as_str(), |(directory, _)| directory);
            // What is left behind lies in the private temporary directory and disturbs nobody.
            let _ = self.delete(directory).await;
        }
        finished.map_err(|not_run| match not_run {
            NotRun::ProgramMissing => program::missing(needs),
            NotRun::Error(error) => error,
        })
    }

    fn plan(&self, program: plan::Program, limits: Limits, cgroups: &Cgroups) -> Plan {
        let mut mounts = self.shared.host.mounts.clone();
        for place in [paths::Place::Workspace, paths::Place::Temporary] {
            let source = self.files.directory.join(place.outside());
            mounts.push(Mount { source, target: place.inside().to_owned(), access: MountAccess::Write });
        }
        Plan {
            become_outside: self.files.outside,
            mounts,
            links: self.shared.host.links.clone(),
            files: self.shared.host.files.clone(),
            cgroups: cgroups.directories().to_vec(),
            limits,
            program,
        }
    }

    /// The version of Node, asked once per service and only when a command needs it.
    async fn node(&self) -> Result<Option<NodeVersion>, SandboxError> {
        let ask = async || {
            let exec = Exec {
                command: Command::Shell("exec node --version".to_owned()),
                env: BTreeMap::new(),
                working_directory: None,
                timeout: Duration::from_secs(20),
                output_limit: 1024,
            };
            let finished = self.run(&exec, &CancellationToken::new(), None).await?;
            Ok(NodeVersion::parse(&finished.executed.stdout.text()))
        };
        self.shared.node.get_or_try_init(ask).await.copied()
    }

    fn kept_path(&self, key: &str) -> PathBuf {
        self.files.directory.join(format!("kept-{:08x}.bin", short_hash(key)))
    }

    async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T, SandboxError> + Send + 'static,
    ) -> Result<T, SandboxError> {
        let files = self.files.clone();
        blocking(move || work(&files)).await
    }
}

#[async_trait]
impl Sandbox for LocalSandbox {
    fn id(&self) -> &SandboxId {
        &self.id
    }

    fn workspace(&self) -> &str {
        WORKSPACE
    }

    fn language(&self) -> Language {
        self.language
    }

    async fn keep(&self, key: &str, bytes: &[u8]) -> Result<(), SandboxError> {
        let path = self.kept_path(key);
        let (bytes, id) = (Bytes::copy_from_slice(bytes), self.id.clone());
        blocking(move || {
            let new = path.with_extension("new");
            let write = std::fs::write(&new, &bytes).and_then(|()| std::fs::rename(&new, &path));
            write.map_err(|error| SandboxError::Unavailable(format!("{id}: {error}")))
        })
        .await
    }

    async fn kept(&self, key: &str) -> Result<Option<Bytes>, SandboxError> {
        let (path, id) = (self.kept_path(key), self.id.clone());
        blocking(move || match std::fs::read(path) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SandboxError::Unavailable(format!("{id}: {error}"))),
        })
        .await
    }

    async fn exec(&self, exec: Exec, cancel: &CancellationToken) -> Result<Executed, SandboxError> {
        let node = match &exec.command {
            Command::Code { language: Language::Javascript | Language::Typescript, .. } => self.node().await?,
            Command::Code { language: Language::Python | Language::Shell, .. } | Command::Shell(_) => None,
        };
        Ok(self.run(&exec, cancel, node).await?.executed)
    }

    async fn read(&self, path: &str, offset: u64, limit: usize) -> Result<(Bytes, u64), SandboxError> {
        let path = path.to_owned();
        self.on_files(move |files| files.read(&path, offset, limit)).await
    }

    async fn write(&self, path: &str, content: &[u8]) -> Result<(), SandboxError> {
        let limit = self.shared.config.disk_mb.saturating_mul(1 << 20);
        if content.len() as u64 > limit {
            return Err(SandboxError::Invalid(format!(
                "{path}: {} bytes are more than the sandbox may hold ({limit})",
                content.len()
            )));
        }
        let (path, content) = (path.to_owned(), Bytes::copy_from_slice(content));
        self.on_files(move |files| files.write(&path, &content)).await
    }

    async fn list(&self, path: &str) -> Result<Vec<FileInfo>, SandboxError> {
        let path = path.to_owned();
        self.on_files(move |files| files.list(&path)).await
    }

    async fn walk(&self, path: &str, bounds: WalkBounds) -> Result<Walked, SandboxError> {
        let path = path.to_owned();
        self.on_files(move |files| files.walk(&path, bounds)).await
    }

    async fn info(&self, path: &str) -> Result<FileInfo, SandboxError> {
        let path = path.to_owned();
        self.on_files(move |files| files.info(&path)).await
    }

    async fn delete(&self, path: &str) -> Result<(), SandboxError> {
        let path = path.to_owned();
        self.on_files(move |files| files.delete(&path)).await
    }

    async fn create_directory(&self, path: &str) -> Result<(), SandboxError> {
        let path = path.to_owned();
        self.on_files(move |files| files.create_directory(&path)).await
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

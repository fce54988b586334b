//! One local sandbox: its files, and commands behind walls.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::cgroup::Cgroups;
use super::exec::{self, Bounds, Finished, NotRun};
use super::files::Files;
use super::paths::{self, WORKSPACE};
use super::plan::{self, Limits, Mount, MountAccess, Plan};
use super::program::{self, NodeVersion, Prepared};
use super::{RECORD, Record, Shared, blocking, host, is_directory_name, make_private_directory};
use crate::sandbox::{
    Command, Exec, Executed, FileInfo, LANGUAGE_LABEL, Language, Offsets, Preview, ProcessReport, Sandbox, SandboxError,
    SandboxId, WalkBounds, Walked,
};

/// One directory, and the walls around what runs in it.
pub(super) struct LocalSandbox {
    pub(super) id: SandboxId,
    shared: Arc<Shared>,
    files: Files,
    language: Language,
    env: BTreeMap<String, String>,
}

impl LocalSandbox {
    pub(super) fn create(shared: Arc<Shared>, name: String, record: Record) -> Result<Self, SandboxError> {
        let directory = shared.config.root.join(&name);
        let prepare = || -> std::io::Result<Record> {
            make_private_directory(&directory)?;
            let path = directory.join(RECORD);
            match std::fs::read(&path) {
                Ok(json) => match serde_json::from_slice::<Record>(&json)? {
                    known if known.thread == record.thread => Ok(known),
                    _ => Err(std::io::Error::other("this name belongs to another conversation; choose another name")),
                },
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    write_record(&directory, &record)?;
                    Ok(record)
                }
                Err(error) => Err(error),
            }
        };
        let record = prepare().map_err(|error| SandboxError::Unavailable(format!("{name}: {error}")))?;
        Self::with_record(shared, SandboxId(name), record)
    }

    pub(super) fn find(shared: Arc<Shared>, id: SandboxId) -> Result<Self, SandboxError> {
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

    /// Gives a sandbox without a thread to one.
    pub(super) fn adopt(shared: Arc<Shared>, id: SandboxId, record: Record) -> Result<Self, SandboxError> {
        // Known to exist and to be readable.
        Self::find(Arc::clone(&shared), id.clone())?;
        let written = write_record(&shared.config.root.join(&id.0), &record);
        written.map_err(|error| SandboxError::Unavailable(format!("{id}: {error}")))?;
        Self::with_record(shared, id, record)
    }

    fn with_record(shared: Arc<Shared>, id: SandboxId, record: Record) -> Result<Self, SandboxError> {
        let outside = host::outside_ids(&id.0);
        let files = Files { directory: shared.config.root.join(&id.0), outside };
        files.prepare().map_err(|error| SandboxError::Unavailable(format!("{id}: {error}")))?;
        let language = record.labels.get(LANGUAGE_LABEL).and_then(|name| name.parse().ok()).unwrap_or_default();
        Ok(Self { id, shared, files, language, env: record.env })
    }

    /// Runs without looking at the version of Node when `node` is given.
    pub(super) async fn run(
        &self,
        exec: &Exec,
        cancel: &CancellationToken,
        node: Option<NodeVersion>,
    ) -> Result<Finished, SandboxError> {
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
            let exec = Exec::shell("exec node --version", Duration::from_secs(20), 1024);
            let finished = self.run(&exec, &CancellationToken::new(), None).await?;
            Ok(NodeVersion::parse(&finished.executed.stdout.text()))
        };
        self.shared.node.get_or_try_init(ask).await.copied()
    }

    async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T, SandboxError> + Send + 'static,
    ) -> Result<T, SandboxError> {
        let files = self.files.clone();
        blocking(move || work(&files)).await
    }
}

/// Written under another name first: a crash leaves either no record or a whole one.
fn write_record(directory: &Path, record: &Record) -> std::io::Result<()> {
    let new = directory.join(format!("{RECORD}.new"));
    std::fs::write(&new, serde_json::to_vec(record)?)?;
    std::fs::rename(&new, directory.join(RECORD))
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

    async fn read_many(&self, paths: &[String], limit: usize) -> Result<Vec<Result<Bytes, SandboxError>>, SandboxError> {
        let paths = paths.to_vec();
        self.on_files(move |files| {
            let read = |path: &String| match files.read_whole(path, limit) {
                Err(error @ SandboxError::Unavailable(_)) => Err(error),
                read => Ok(read),
            };
            paths.iter().map(read).collect()
        })
        .await
    }

    async fn upload(&self, source: &Path, path: &str) -> Result<(), SandboxError> {
        let limit = self.shared.config.disk_mb.saturating_mul(1 << 20);
        let (source, path) = (source.to_owned(), path.to_owned());
        self.on_files(move |files| files.upload(&source, &path, limit)).await
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

    async fn start(&self, _: &str, _: Exec) -> Result<(), SandboxError> {
        Err(SandboxError::Invalid("local sandboxes run nothing in the background".to_owned()))
    }

    async fn process(&self, name: &str, _: Offsets, _: usize) -> Result<ProcessReport, SandboxError> {
        Err(SandboxError::NotFound(format!("process {name}")))
    }

    async fn stop(&self, _: &str, _: Duration) -> Result<(), SandboxError> {
        Ok(())
    }

    async fn processes(&self) -> Result<Vec<String>, SandboxError> {
        Ok(Vec::new())
    }

    async fn preview(&self, _: u16) -> Result<Preview, SandboxError> {
        Err(SandboxError::Invalid(
            "Ports of a local sandbox cannot be reached from outside; look from inside, for example with curl.".to_owned(),
        ))
    }
}

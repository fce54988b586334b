//! One local sandbox: its files, and commands behind walls.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::cgroup::Cgroups;
use super::exec::{self, Bounds, Finished, Job, NotRun};
use super::files::Files;
use super::network;
use super::paths::{self, WORKSPACE};
use super::plan::{self, Egress, Limits, Mount, MountAccess, Plan};
use super::program::{self, CodeFile, Prepared};
use super::shared_network::Network;
use super::{LayerName, RECORD, Record, Shared, blocking, host, is_directory_name, make_private_directory};
use crate::sandbox::language::NodeVersion;
use crate::sandbox::proxy::Policy;
use crate::sandbox::typescript;
use crate::sandbox::{
    Command, Exec, Executed, FileInfo, LANGUAGE_LABEL, Language, Offsets, Preview, ProcessReport, Sandbox, SandboxError,
    SandboxId, WalkBounds, Walked,
};

/// One directory, and the walls around what runs in it.
#[derive(Clone)]
pub(super) struct LocalSandbox {
    pub(super) id: SandboxId,
    pub(super) shared: Arc<Shared>,
    pub(super) files: Files,
    language: Language,
    env: BTreeMap<String, String>,
    /// What it may reach.
    pub(super) policy: Policy,
}

impl LocalSandbox {
    pub(super) fn create(shared: Arc<Shared>, name: String, record: Record) -> Result<Self, SandboxError> {
        let directory = shared.config.root.join(&name);
        let prepare = || -> std::io::Result<Record> {
            make_private_directory(&directory)?;
            let path = directory.join(RECORD);
            match std::fs::read(&path) {
                Ok(json) => match serde_json::from_slice::<Record>(&json)? {
                    known if known.thread == record.thread => {
                        let known = Record { network: record.network.clone(), ..known };
                        write_record(&directory, &known)?;
                        Ok(known)
                    }
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

    /// Changes what a sandbox may reach, for whoever opens it from now on.
    pub(super) fn restrict(shared: &Shared, id: &SandboxId, network: Option<String>) -> Result<(), SandboxError> {
        let directory = shared.config.root.join(&id.0);
        let change = || -> std::io::Result<()> {
            let mut record: Record = serde_json::from_slice(&std::fs::read(directory.join(RECORD))?)?;
            if record.network == network {
                return Ok(());
            }
            record.network = network;
            write_record(&directory, &record)
        };
        match change() {
            // Whoever finds it next says so.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            changed => changed.map_err(|error| SandboxError::Unavailable(format!("{id}: {error}"))),
        }
    }

    fn with_record(shared: Arc<Shared>, id: SandboxId, record: Record) -> Result<Self, SandboxError> {
        let outside = host::outside_ids(&id.0);
        let files = Files { directory: shared.config.root.join(&id.0), outside };
        files.prepare().map_err(|error| SandboxError::Unavailable(format!("{id}: {error}")))?;
        let language = record.labels.get(LANGUAGE_LABEL).and_then(|name| name.parse().ok()).unwrap_or_default();
        let mut env = BTreeMap::new();
        let policy = policy(&shared, record.network.as_deref());
        if policy.is_open() {
            env.extend(network::environment());
        }
        env.extend(record.env);
        Ok(Self { id, shared, files, language, env, policy })
    }

    /// Runs without looking at the version of Node when `node` is given.
    pub(super) async fn run(
        &self,
        exec: &Exec,
        cancel: &CancellationToken,
        node: Option<NodeVersion>,
    ) -> Result<Finished, SandboxError> {
        // A server that was started here is reached on 127.0.0.1.
        let network = self.shared.processes.network(&self.id);
        let ready = self.prepare(exec, node, if network.is_some() { Wires::Shared } else { Wires::Own }).await?;
        let proxy = if network.is_some() { None } else { self.policy.proxy(&self.id.0) };
        let bounds = Bounds { timeout: exec.timeout, cancel, ask: None, proxy };
        let job = ready.job(&self.shared.config.helper, network.as_deref());
        let finished = exec::run(job, bounds, exec.output_limit, exec.listener.as_ref()).await;
        self.clean_up(&ready).await;
        finished.map_err(|not_run| ready.explain(not_run))
    }

    /// Everything that is needed to run it. What this wrote is removed by [`Self::clean_up`].
    pub(super) async fn prepare(&self, exec: &Exec, node: Option<NodeVersion>, wires: Wires) -> Result<Ready, SandboxError> {
        let stripped = self.without_types(exec).await?;
        let exec = stripped.as_ref().unwrap_or(exec);
        let Prepared { program, code } = program::prepare(exec, &self.env, &self.shared.host, node)?;
        if let Some(code) = &code {
            self.write(&code.path, code.content.as_bytes()).await?;
        }
        let limits = self.shared.limits(exec.timeout);
        let config = &self.shared.config;
        let with_cgroups = !config.without.contains(&LayerName::ControlGroups);
        let cgroups = blocking(move || Ok(if with_cgroups { Cgroups::make(&limits) } else { Cgroups::default() })).await?;
        let plan = self.plan(program, limits, &cgroups, wires);
        let language = match &exec.command {
            Command::Code { language, .. } => Some(*language),
            Command::Shell(_) => None,
        };
        Ok(Ready { plan, cgroups, code, language })
    }

    /// The same command as JavaScript, when it is TypeScript.
    async fn without_types(&self, exec: &Exec) -> Result<Option<Exec>, SandboxError> {
        let Command::Code { language: language @ Language::Typescript, code, argv } = &exec.command else { return Ok(None) };
        let code = typescript::strip_apart(&self.shared.config.helper, code).await?;
        Ok(Some(Exec { command: Command::Code { language: *language, code, argv: argv.clone() }, ..exec.clone() }))
    }

    /// What is left behind lies in the private temporary directory and disturbs nobody.
    pub(super) async fn clean_up(&self, ready: &Ready) {
        if let Some(code) = &ready.code {
            let directory = code.path.rsplit_once('/').map_or(code.path.as_str(), |(directory, _)| directory);
            let _ = self.delete(directory).await;
        }
    }

    fn plan(&self, program: plan::Program, limits: Limits, cgroups: &Cgroups, wires: Wires) -> Plan {
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
            egress: match wires {
                _ if !self.policy.is_open() => Egress::None,
                Wires::Own => Egress::Opened,
                Wires::Shared => Egress::Shared,
            },
            without: self.shared.config.without.clone(),
            program,
        }
    }

    /// The version of Node, when a command needs it.
    pub(super) async fn node_for(&self, command: &Command) -> Result<Option<NodeVersion>, SandboxError> {
        match command {
            Command::Code { language: Language::Javascript | Language::Typescript, .. } => self.node().await,
            Command::Code { .. } | Command::Shell(_) => Ok(None),
        }
    }

    /// Asked once per service.
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

/// What the service lets through, narrowed to what a record says. What cannot be read any more reaches nothing.
fn policy(shared: &Shared, recorded: Option<&str>) -> Policy {
    let ours = &shared.config.network;
    let Some(recorded) = recorded else { return ours.clone() };
    let egress = crate::settings::Network::parse(recorded).ok().and_then(|network| network.egress().ok()).unwrap_or_default();
    ours.with_egress(egress)
}

/// Whose network a command runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wires {
    /// One of its own.
    Own,
    /// That of the programs in the background.
    Shared,
}

/// A command that can be run.
pub(super) struct Ready {
    plan: Plan,
    cgroups: Cgroups,
    code: Option<CodeFile>,
    language: Option<Language>,
}

impl Ready {
    /// What the helper gets.
    pub(super) fn job<'a>(&'a self, helper: &'a Path, network: Option<&'a Network>) -> Job<'a> {
        Job { helper, plan: &self.plan, cgroups: &self.cgroups, network }
    }

    /// Why it did not run, in words for the model.
    pub(super) fn explain(&self, not_run: NotRun) -> SandboxError {
        match not_run {
            // What a program needs was there a moment ago.
            NotRun::ProgramMissing => match self.language {
                Some(language) => program::missing(language, language.needs()[0][0]),
                None => SandboxError::Invalid("there is no shell in the sandbox, so commands cannot run here".to_owned()),
            },
            NotRun::Error(error) => error,
        }
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
        let node = self.node_for(&exec.command).await?;
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

    async fn start(&self, name: &str, exec: Exec) -> Result<(), SandboxError> {
        self.start_program(name, exec).await
    }

    async fn process(&self, name: &str, from: Offsets, limit: usize) -> Result<ProcessReport, SandboxError> {
        self.report(name, from, limit).await
    }

    async fn stop(&self, name: &str, grace: Duration) -> Result<(), SandboxError> {
        self.stop_program(name, grace).await
    }

    async fn processes(&self) -> Result<Vec<String>, SandboxError> {
        self.programs().await
    }

    async fn preview(&self, _: u16) -> Result<Preview, SandboxError> {
        Err(SandboxError::Invalid(
            "Ports of a local sandbox cannot be reached from outside; look from inside, for example with curl.".to_owned(),
        ))
    }
}

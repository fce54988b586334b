//! Sandboxes: isolated machines where the agent's code runs, one per thread.
//!
//! [`Sandbox`] is what tools act on, [`Provider`] makes and finds them. `local` isolates on this machine with what the kernel
//! gives, and refuses to run anything when that is not enough. Paths given to a sandbox are relative to its workspace; absolute paths are
//! accepted when they lie inside it.

pub mod checkout;
pub mod checkpoint;
pub mod daytona;
pub mod language;
pub mod local;
mod output;
mod paths;
pub mod proxy;
pub mod toolchains;
pub mod typescript;
pub mod workspace;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use self::language::Language;
use crate::id::ThreadId;
use crate::settings::Network;

/// A provider's name for a sandbox. Stable over restarts of the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SandboxId(pub String);

impl std::fmt::Display for SandboxId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Label of a sandbox that names its [`Language`], in lower case.
pub const LANGUAGE_LABEL: &str = "code-toolbox-language";

/// What to run.
#[derive(Clone, Debug)]
pub struct Exec {
    /// Program and arguments, or a shell line.
    pub command: Command,
    /// Additional environment; nothing of the service's environment is passed.
    pub env: BTreeMap<String, String>,
    /// Where, relative to the workspace; the workspace itself when unset.
    pub working_directory: Option<String>,
    /// Wall clock; the run is killed after it, and what it printed so far is kept.
    pub timeout: Duration,
    /// Bytes kept of each stream; the middle is dropped beyond it and counted.
    pub output_limit: usize,
    /// Makes it happen once: where [`Sandbox::rejoins`], a command that was begun under this key is waited for, not begun again.
    pub key: Option<String>,
    /// Hears what is printed while it runs.
    pub listener: Option<Listener>,
}

impl Exec {
    /// In the workspace, with nothing added to the environment, heard by nobody.
    pub fn new(command: Command, timeout: Duration, output_limit: usize) -> Self {
        Self { command, env: BTreeMap::new(), working_directory: None, timeout, output_limit, key: None, listener: None }
    }

    /// A line for the shell; for what the service itself looks up in a sandbox.
    pub fn shell(line: impl Into<String>, timeout: Duration, output_limit: usize) -> Self {
        Self::new(Command::Shell(line.into()), timeout, output_limit)
    }
}

/// One of the two streams of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Hears output while a command runs, in pieces of any size that may end within a character. What is far behind may be left out;
/// the whole truth is the result of the command.
#[derive(Clone)]
pub struct Listener(Arc<Hear>);

type Hear = dyn Fn(Stream, &[u8]) + Send + Sync;

impl Listener {
    /// `hear` must not block.
    pub fn new(hear: impl Fn(Stream, &[u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    /// Says what was printed.
    pub fn hear(&self, stream: Stream, bytes: &[u8]) {
        (self.0)(stream, bytes);
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

/// The two ways to name a program.
#[derive(Clone, Debug)]
pub enum Command {
    /// A line for the shell.
    Shell(String),
    /// Program text in a language, with arguments.
    Code {
        /// The language.
        language: Language,
        /// The program.
        code: String,
        /// Its arguments.
        argv: Vec<String>,
    },
}

/// How a command ended. A failing command is a normal result, not an error.
#[derive(Clone, Debug)]
pub struct Executed {
    /// Exit status as the shell would say it: 128 + signal when killed.
    pub exit_code: i32,
    /// What ended it, when it did not end by itself.
    pub killed: Option<Killed>,
    /// Captured standard output.
    pub stdout: Output,
    /// Captured standard error.
    pub stderr: Output,
    /// Wall clock.
    pub duration: Duration,
}

/// Why a command was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Killed {
    /// Its time was over.
    Timeout,
    /// The run was stopped.
    Cancelled,
    /// The workspace outgrew its limit.
    DiskLimit,
    /// It used more memory than allowed.
    MemoryLimit,
    /// It is gone without a result: the sandbox was restarted, or its keeper was killed.
    Lost,
}

/// Captured bytes of one stream, at most the limit of the [`Exec`].
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// What was kept. When `omitted > 0`, the first and the last part, with a line between them that says what was left out.
    pub bytes: Vec<u8>,
    /// How many bytes were left out of the middle.
    pub omitted: u64,
}

impl Output {
    /// The text, invalid UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// What is known of a file or directory.
#[derive(Clone, Debug)]
pub struct FileInfo {
    /// Base name.
    pub name: String,
    /// True for a directory.
    pub is_dir: bool,
    /// Bytes.
    pub size: u64,
    /// Permission bits and file type, as `st_mode`.
    pub mode: u32,
    /// Last modification.
    pub modified: DateTime<Utc>,
    /// Numeric owner inside the sandbox.
    pub owner: u32,
    /// Numeric group inside the sandbox.
    pub group: u32,
}

/// How far a walk through a directory goes.
#[derive(Clone, Copy, Debug)]
pub struct WalkBounds {
    /// Levels below the start; 1 is the directory itself.
    pub depth: usize,
    /// Most entries to return.
    pub entries: usize,
    /// Names of directories that are not entered.
    pub skip: &'static [&'static str],
}

/// What a walk found.
#[derive(Clone, Debug, Default)]
pub struct Walked {
    /// Paths relative to the start, with `/` between the parts, sorted; links are named but not followed.
    pub entries: Vec<(String, FileInfo)>,
    /// False when a bound cut the walk short.
    pub complete: bool,
}

/// Why a sandbox could not do it. The text is for the model: it names the cause, with the path, and what to try.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SandboxError {
    /// No such file or directory.
    #[error("{0}: no such file or directory")]
    NotFound(String),
    /// The request itself is wrong: outside the workspace, not a directory, already exists.
    #[error("{0}")]
    Invalid(String),
    /// The provider refuses, and will again: a wrong key, a quota, a missing snapshot. Names the remedy, which is the operator's.
    #[error("{0}")]
    Refused(String),
    /// The sandbox does not answer; a new attempt may find it again.
    #[error("the sandbox is not available: {0}")]
    Unavailable(String),
    /// The sandbox itself is provably gone, with what was in it; where that is noticed in the middle of using it.
    #[error("the sandbox is gone: {0}")]
    Gone(String),
    /// This machine cannot isolate; nothing was run. Names what is missing and the remedy.
    #[error("{0}")]
    NoIsolation(String),
}

/// One isolated machine with a workspace.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// The provider's id.
    fn id(&self) -> &SandboxId;

    /// Absolute path of the workspace as programs in the sandbox see it.
    fn workspace(&self) -> &str;

    /// The language of code that does not name one; chosen when the sandbox was made, with [`LANGUAGE_LABEL`].
    fn language(&self) -> Language {
        Language::default()
    }

    /// True when a command outlives this service, so that [`Exec::key`] finds it again after a restart.
    fn rejoins(&self) -> bool {
        false
    }

    /// Runs a command to its end, its timeout or the cancellation, whichever comes first; nothing it started survives.
    async fn exec(&self, exec: Exec, cancel: &CancellationToken) -> Result<Executed, SandboxError>;

    /// Reads at most `limit` bytes from `offset`. Returns the bytes and the file's whole size.
    async fn read(&self, path: &str, offset: u64, limit: usize) -> Result<(Bytes, u64), SandboxError>;

    /// Writes a whole file, with its parents; readers see the old or the new content, never half.
    async fn write(&self, path: &str, content: &[u8]) -> Result<(), SandboxError>;

    /// Reads files whole, those of at most `limit` bytes each; the answer has one entry for each path, in order.
    async fn read_many(&self, paths: &[String], limit: usize) -> Result<Vec<Result<Bytes, SandboxError>>, SandboxError> {
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            files.push(match self.read(path, 0, limit).await {
                Ok((bytes, size)) if size > bytes.len() as u64 => {
                    Err(SandboxError::Invalid(format!("{path}: {size} bytes are more than the {limit} that are read")))
                }
                Ok((bytes, _)) => Ok(bytes),
                Err(error @ (SandboxError::Unavailable(_) | SandboxError::Gone(_))) => return Err(error),
                Err(error) => Err(error),
            });
        }
        Ok(files)
    }

    /// Writes whole files with their parents. Stops at the first that cannot be written; those before it are there.
    async fn write_many(&self, files: &[(String, Bytes)]) -> Result<(), SandboxError> {
        for (path, content) in files {
            self.write(path, content).await?;
        }
        Ok(())
    }

    /// Copies a file of this machine into the sandbox, never all of it in memory.
    async fn upload(&self, source: &Path, path: &str) -> Result<(), SandboxError> {
        let content = tokio::fs::read(source).await.map_err(|error| SandboxError::Unavailable(error.to_string()))?;
        self.write(path, &content).await
    }

    /// Lists a directory, not recursive, sorted by name.
    async fn list(&self, path: &str) -> Result<Vec<FileInfo>, SandboxError>;

    /// Everything below a directory, within bounds. Directories that disappear or cannot be read meanwhile are left out.
    async fn walk(&self, path: &str, bounds: WalkBounds) -> Result<Walked, SandboxError> {
        walk_by_listing(self, path, bounds).await
    }

    /// Metadata of a file or directory; links are followed inside the workspace.
    async fn info(&self, path: &str) -> Result<FileInfo, SandboxError>;

    /// Deletes a file, or a directory with what is in it.
    async fn delete(&self, path: &str) -> Result<(), SandboxError>;

    /// Makes a directory and its parents; fine when it exists.
    async fn create_directory(&self, path: &str) -> Result<(), SandboxError>;

    /// Starts a program that goes on beside what else is run, under a name of its own: [`Exec::timeout`] is the longest it may live.
    /// A name that is in use by a living program is [`SandboxError::Invalid`]; one that ended is replaced.
    async fn start(&self, name: &str, exec: Exec) -> Result<(), SandboxError>;

    /// How a started program is, with what it printed from these offsets on, at most `limit` bytes of each stream.
    async fn process(&self, name: &str, from: Offsets, limit: usize) -> Result<ProcessReport, SandboxError>;

    /// Ends a started program and all it started: asked first, killed after `grace`. Fine when it has ended.
    async fn stop(&self, name: &str, grace: Duration) -> Result<(), SandboxError>;

    /// Names of the programs that were started here and not replaced, sorted.
    async fn processes(&self) -> Result<Vec<String>, SandboxError>;

    /// An address where people reach a port of the sandbox. [`SandboxError::Invalid`] where there is no such thing.
    async fn preview(&self, port: u16) -> Result<Preview, SandboxError>;

    /// Tells the provider that the sandbox is in use, so that it is not stopped for idleness.
    async fn keep_alive(&self) -> Result<(), SandboxError> {
        Ok(())
    }
}

/// Walks by listing one directory after the other, for sandboxes that have no quicker way.
async fn walk_by_listing<S: Sandbox + ?Sized>(sandbox: &S, path: &str, bounds: WalkBounds) -> Result<Walked, SandboxError> {
    let mut walked = Walked { entries: Vec::new(), complete: true };
    let mut pending = vec![(String::new(), 1)];
    while let Some((prefix, depth)) = pending.pop() {
        let listed = sandbox.list(&format!("{}/{prefix}", path.trim_end_matches('/'))).await;
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) if prefix.is_empty() => return Err(error),
            Err(_) => continue,
        };
        for info in entries {
            if walked.entries.len() == bounds.entries {
                walked.complete = false;
                return Ok(walked);
            }
            let path = format!("{prefix}{}", info.name);
            if info.is_dir && depth < bounds.depth && !bounds.skip.contains(&info.name.as_str()) {
                pending.push((format!("{path}/"), depth + 1));
            }
            walked.entries.push((path, info));
        }
    }
    walked.entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(walked)
}

/// Where to go on reading the output of a started program, in bytes from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offsets {
    /// Of standard output.
    pub stdout: u64,
    /// Of standard error.
    pub stderr: u64,
}

/// What is known of a started program.
#[derive(Clone, Debug)]
pub struct ProcessReport {
    /// How it is.
    pub state: ProcessState,
    /// Standard output from the offset that was asked for; from a later one when that is no longer kept.
    pub stdout: Bytes,
    /// Standard error likewise.
    pub stderr: Bytes,
    /// Where these two begin. Beyond what was asked for, what lies between is lost.
    pub from: Offsets,
    /// Where to go on.
    pub next: Offsets,
}

/// Whether a started program lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// It runs.
    Running,
    /// It ended: exit status, or 128 + signal; and why, when it was killed by us.
    Ended {
        /// As the shell would say it.
        exit_code: i32,
        /// Why it was killed.
        killed: Option<Killed>,
    },
    /// It is gone without an exit status: the sandbox, or for local sandboxes the service, was restarted.
    Lost,
}

/// An address of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Opens without any header.
    pub url: String,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What a new sandbox should be like.
#[derive(Clone, Debug, Default)]
pub struct SandboxSpec {
    /// The thread it belongs to.
    pub thread: Option<ThreadId>,
    /// A name to find it again; made from the thread when unset.
    pub name: Option<String>,
    /// Labels for people and reapers.
    pub labels: BTreeMap<String, String>,
    /// Variables every command in it gets.
    pub env: BTreeMap<String, String>,
    /// What it is made from, in the provider's words; its default when unset. Providers without such a thing ignore it.
    pub snapshot: Option<String>,
    /// What it may reach, where that is less than what the provider gives.
    pub network: Option<Network>,
}

/// Makes and finds sandboxes. Making one with the name of an existing one finds that one.
#[async_trait]
pub trait Provider: Send + Sync {
    /// `local` or `daytona`.
    fn name(&self) -> &'static str;

    /// Makes a sandbox, or finds the one with this name.
    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError>;

    /// Finds a sandbox by id. `NotFound` when it is provably gone.
    async fn find(&self, id: &SandboxId) -> Result<Arc<dyn Sandbox>, SandboxError>;

    /// Removes a sandbox and its files. Fine when it is gone.
    async fn remove(&self, id: &SandboxId) -> Result<(), SandboxError>;

    /// Makes one ready to use: resumed when it was stopped or archived. `NotFound` when it is provably gone.
    async fn wake(&self, id: &SandboxId) -> Result<(), SandboxError> {
        self.find(id).await.map(drop)
    }

    /// Makes a sandbox reach this and no more from the next command on, or what the provider gives when it is none. Idempotent. Providers
    /// whose sandboxes keep what they were made with do nothing.
    async fn restrict(&self, id: &SandboxId, network: Option<&Network>) -> Result<(), SandboxError> {
        let _ = (id, network);
        Ok(())
    }

    /// Takes a sandbox that was made without a thread for the thread of `spec`: gives it the thread and the labels of `spec` instead
    /// of its own, where the provider can change them, and leaves its name. Idempotent. `NotFound` when it is provably gone.
    async fn adopt(&self, id: &SandboxId, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let _ = spec;
        self.find(id).await
    }

    /// Those that carry all these labels, at most `limit`. May lag behind; only for finding what was left over.
    async fn labelled(&self, labels: &BTreeMap<String, String>, limit: usize) -> Result<Vec<Listed>, SandboxError>;

    /// What an agent is told about the place where its code runs.
    fn surroundings(&self) -> Surroundings;
}

/// A sandbox in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The provider's id.
    pub id: SandboxId,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, where that is known.
    pub created_at: Option<DateTime<Utc>>,
}

/// The place where code runs, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// Absolute path of the workspace, where it is the same in every sandbox.
    pub workspace: Option<String>,
    /// What can be reached from inside, such as `no network`.
    pub network: String,
}

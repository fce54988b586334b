//! One machine at Daytona as a [`Sandbox`].
//!
//! Containment is by text: file tools reach the workspace and `/tmp`. What a link in there leads to can be read, as any command in the
//! machine could; the wall is the machine. Our own files lie in a directory beside the workspace on the same disk, so that they
//! survive a stop. The code in the machine could tamper with them: it can lie about its own results, and reach nobody else's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::program::{self, Program};
use super::script;
use super::toolbox::{Script, Toolbox};
use super::{Client, Revive, wire};
use crate::sandbox::{
    Command, Exec, Executed, FileInfo, Language, Offsets, Preview, ProcessReport, Sandbox, SandboxError, SandboxId, WalkBounds,
    Walked, typescript,
};

/// How long the address of a port works, in seconds.
const PREVIEW: u32 = 3600;

/// A machine and the server inside it.
pub struct DaytonaSandbox {
    id: SandboxId,
    workspace: String,
    language: Language,
    pub(super) env: BTreeMap<String, String>,
    /// Directory of our own files.
    pub(super) base: String,
    pub(super) toolbox: Toolbox,
    helper: PathBuf,
}

impl DaytonaSandbox {
    /// Opens a machine that is ready, as the control plane described it last. Asks it for its directories, once.
    /// `helper` is the threadbox binary, which reads programs apart from the service.
    pub async fn open(
        client: Client,
        revive: Arc<dyn Revive>,
        sandbox: &wire::Sandbox,
        helper: &Path,
    ) -> Result<Self, SandboxError> {
        let toolbox = Toolbox::new(client, revive, sandbox).await?;
        let (workspace, home) = toolbox.directories().await?;
        let base = own_directory(&toolbox, &candidates(&workspace, &home)).await?;
        Ok(Self {
            id: SandboxId(sandbox.id.clone()),
            workspace,
            language: sandbox.language(),
            env: sandbox.env.clone(),
            base,
            toolbox,
            helper: helper.to_owned(),
        })
    }

    /// The program of a command whose job is at `job`.
    pub(super) async fn program(&self, exec: &Exec, job: &str) -> Result<Program, SandboxError> {
        let stripped = match &exec.command {
            Command::Code { language: Language::Typescript, code, .. } => {
                Some(typescript::strip_apart(&self.helper, code).await?)
            }
            Command::Code { .. } | Command::Shell(_) => None,
        };
        program::program(exec, stripped.as_deref(), &self.env, &self.workspace, job)
    }

    /// A fresh directory for what is on its way to its place.
    pub(super) fn stage(&self) -> String {
        format!("{}/stage/{}", self.base, uuid::Uuid::now_v7().simple())
    }
}

/// Where our own files may lie, best first: on the disk that survives a stop, and where the workspace does not show them.
fn candidates(workspace: &str, home: &str) -> Vec<String> {
    let all = [Path::new(home), Path::new("/var/tmp"), Path::new("/tmp")].map(|place| place.join(".threadbox"));
    let hidden = all.iter().filter(|own| !own.starts_with(workspace));
    let mut candidates: Vec<_> = hidden.map(|own| own.to_string_lossy().into_owned()).collect();
    if candidates.is_empty() {
        candidates.push("/var/tmp/.threadbox".to_owned());
    }
    candidates
}

async fn own_directory(toolbox: &Toolbox, candidates: &[String]) -> Result<String, SandboxError> {
    let arguments: Vec<&str> = std::iter::once("own").chain(candidates.iter().map(String::as_str)).collect();
    let read = |text: &str| {
        let own = script::answer(text).find_map(|line| line.strip_prefix("own "));
        let known = own.filter(|own| candidates.iter().any(|candidate| candidate == own));
        known.map(str::to_owned).ok_or_else(|| script::noise(text))
    };
    let script = Script { text: script::FILES, arguments: &arguments, variables: &[], patience: Duration::from_secs(5) };
    toolbox.run(script, read).await
}

/// A name for a directory, the same for the same text.
pub(super) fn digest(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..16])
}

#[async_trait]
impl Sandbox for DaytonaSandbox {
    fn id(&self) -> &SandboxId {
        &self.id
    }

    fn workspace(&self) -> &str {
        &self.workspace
    }

    fn language(&self) -> Language {
        self.language
    }

    fn rejoins(&self) -> bool {
        true
    }

    async fn exec(&self, exec: Exec, cancel: &CancellationToken) -> Result<Executed, SandboxError> {
        self.run_command(&exec, cancel).await
    }

    async fn read(&self, path: &str, offset: u64, limit: usize) -> Result<(Bytes, u64), SandboxError> {
        self.read_file(path, offset, limit).await
    }

    async fn write(&self, path: &str, content: &[u8]) -> Result<(), SandboxError> {
        self.write_file(path, content).await
    }

    async fn read_many(&self, paths: &[String], limit: usize) -> Result<Vec<Result<Bytes, SandboxError>>, SandboxError> {
        self.read_files(paths, limit).await
    }

    async fn write_many(&self, files: &[(String, Bytes)]) -> Result<(), SandboxError> {
        self.write_files(files).await
    }

    async fn upload(&self, source: &Path, path: &str) -> Result<(), SandboxError> {
        self.upload_file(source, path).await
    }

    async fn list(&self, path: &str) -> Result<Vec<FileInfo>, SandboxError> {
        self.list_directory(path).await
    }

    async fn walk(&self, path: &str, bounds: WalkBounds) -> Result<Walked, SandboxError> {
        self.walk_directory(path, bounds).await
    }

    async fn info(&self, path: &str) -> Result<FileInfo, SandboxError> {
        self.file_info(path).await
    }

    async fn delete(&self, path: &str) -> Result<(), SandboxError> {
        self.delete_file(path).await
    }

    async fn create_directory(&self, path: &str) -> Result<(), SandboxError> {
        self.make_directory(path).await
    }

    async fn start(&self, name: &str, exec: Exec) -> Result<(), SandboxError> {
        self.start_process(name, &exec).await
    }

    async fn process(&self, name: &str, from: Offsets, limit: usize) -> Result<ProcessReport, SandboxError> {
        self.process_report(name, from, limit).await
    }

    async fn stop(&self, name: &str, grace: Duration) -> Result<(), SandboxError> {
        self.stop_process(name, grace).await
    }

    async fn processes(&self) -> Result<Vec<String>, SandboxError> {
        self.process_names().await
    }

    async fn preview(&self, port: u16) -> Result<Preview, SandboxError> {
        let client = &self.toolbox.client;
        let asked_at = client.now();
        let signed = client.signed_preview(&self.id.0, port, PREVIEW).await?;
        Ok(Preview { url: signed.url, expires_at: Some(asked_at + TimeDelta::seconds(PREVIEW.into())) })
    }

    async fn keep_alive(&self) -> Result<(), SandboxError> {
        Ok(self.toolbox.client.touch_sandbox(&self.id.0).await?)
    }
}

#[cfg(test)]
mod tests;

//! One machine at Daytona as a [`Sandbox`].
//!
//! Containment is by text: file tools reach the workspace and `/tmp`. What a link in there leads to can be read, as any command in the
//! machine could; the wall is the machine. Our own files lie in a directory beside the workspace on the same disk, so that they
//! survive a stop. The code in the machine could tamper with them: it can lie about its own results, and reach nobody else's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::toolbox::Toolbox;
use super::{Client, Revive, wire};
use crate::sandbox::{
    Exec, Executed, FileInfo, Language, Offsets, Preview, ProcessReport, Sandbox, SandboxError, SandboxId, WalkBounds, Walked,
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
}

impl DaytonaSandbox {
    /// Opens a machine that is ready, as the control plane described it last. Asks it for its directories, once.
    pub async fn open(client: Client, revive: Arc<dyn Revive>, sandbox: &wire::Sandbox) -> Result<Self, SandboxError> {
        let toolbox = Toolbox::new(client, revive, sandbox).await?;
        let (workspace, home) = toolbox.directories().await?;
        let base = own_directory(&workspace, &home);
        Ok(Self {
            id: SandboxId(sandbox.id.clone()),
            workspace,
            language: sandbox.language(),
            env: sandbox.env.clone(),
            base,
            toolbox,
        })
    }

    /// A fresh directory for what is on its way to its place.
    pub(super) fn stage(&self) -> String {
        format!("{}/stage/{}", self.base, uuid::Uuid::now_v7().simple())
    }
}

/// In the home directory, unless the workspace would show it. Always the same for a machine, so that jobs are found again.
fn own_directory(workspace: &str, home: &str) -> String {
    let own = Path::new(home).join(".threadbox");
    if own.starts_with(workspace) { "/var/tmp/.threadbox".to_owned() } else { own.to_string_lossy().into_owned() }
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
        Ok(Preview { url: signed.url.into(), expires_at: Some(asked_at + TimeDelta::seconds(PREVIEW.into())) })
    }

    async fn keep_alive(&self) -> Result<(), SandboxError> {
        Ok(self.toolbox.client.touch_sandbox(&self.id.0).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_files_are_not_shown_in_the_workspace() {
        assert_eq!(own_directory("/home/daytona/work", "/home/daytona"), "/home/daytona/.threadbox");
        assert_eq!(own_directory("/workspace", "/root"), "/root/.threadbox");
        assert_eq!(own_directory("/home/daytona", "/home/daytona"), "/var/tmp/.threadbox");
        assert_eq!(own_directory("/", "/root"), "/var/tmp/.threadbox");
    }
}

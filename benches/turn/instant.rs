//! A sandbox that answers at once, so that a turn's own cost is what is measured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use threadbox::sandbox::{
    Exec, Executed, FileInfo, Listed, Offsets, Output, Preview, ProcessReport, Provider, Sandbox, SandboxError, SandboxId,
    SandboxSpec, Surroundings,
};
use tokio_util::sync::CancellationToken;

pub struct InstantProvider;

struct Instant(SandboxId);

#[async_trait]
impl Provider for InstantProvider {
    fn name(&self) -> &'static str {
        "instant"
    }

    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Ok(Arc::new(Instant(SandboxId(spec.name.unwrap_or_default()))))
    }

    async fn find(&self, id: &SandboxId) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Ok(Arc::new(Instant(id.clone())))
    }

    async fn remove(&self, _id: &SandboxId) -> Result<(), SandboxError> {
        Ok(())
    }

    async fn labelled(&self, _: &BTreeMap<String, String>, _: usize) -> Result<Vec<Listed>, SandboxError> {
        Ok(Vec::new())
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings { workspace: Some("/workspace".to_owned()), network: "no network".to_owned() }
    }
}

fn file(name: &str) -> FileInfo {
    FileInfo {
        name: name.to_owned(),
        is_dir: false,
        size: 12,
        mode: 0o100_644,
        modified: DateTime::<Utc>::UNIX_EPOCH,
        owner: 1000,
        group: 1000,
    }
}

#[async_trait]
impl Sandbox for Instant {
    fn id(&self) -> &SandboxId {
        &self.0
    }

    fn workspace(&self) -> &str {
        "/workspace"
    }

    async fn exec(&self, _exec: Exec, _cancel: &CancellationToken) -> Result<Executed, SandboxError> {
        let (stdout, stderr) = (Output::default(), Output::default());
        Ok(Executed { exit_code: 0, killed: None, stdout, stderr, duration: Duration::ZERO })
    }

    async fn read(&self, _path: &str, _offset: u64, _limit: usize) -> Result<(Bytes, u64), SandboxError> {
        Ok((Bytes::from_static(b"all is well\n"), 12))
    }

    async fn write(&self, _path: &str, _content: &[u8]) -> Result<(), SandboxError> {
        Ok(())
    }

    async fn list(&self, _path: &str) -> Result<Vec<FileInfo>, SandboxError> {
        Ok(vec![file("notes.txt")])
    }

    async fn info(&self, path: &str) -> Result<FileInfo, SandboxError> {
        Ok(file(path))
    }

    async fn delete(&self, _path: &str) -> Result<(), SandboxError> {
        Ok(())
    }

    async fn create_directory(&self, _path: &str) -> Result<(), SandboxError> {
        Ok(())
    }

    async fn start(&self, _name: &str, _exec: Exec) -> Result<(), SandboxError> {
        Ok(())
    }

    async fn process(&self, name: &str, _from: Offsets, _limit: usize) -> Result<ProcessReport, SandboxError> {
        Err(SandboxError::NotFound(name.to_owned()))
    }

    async fn stop(&self, _name: &str, _grace: Duration) -> Result<(), SandboxError> {
        Ok(())
    }

    async fn processes(&self) -> Result<Vec<String>, SandboxError> {
        Ok(Vec::new())
    }

    async fn preview(&self, port: u16) -> Result<Preview, SandboxError> {
        Err(SandboxError::Invalid(format!("nothing listens on port {port}")))
    }
}

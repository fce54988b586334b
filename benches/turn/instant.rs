//! A sandbox that answers at once, so that a turn's own cost is what is measured.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use threadbox::sandbox::{Exec, Executed, FileInfo, Output, Provider, Sandbox, SandboxError, SandboxId, SandboxSpec};
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
}

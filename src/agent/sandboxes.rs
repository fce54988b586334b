//! The sandboxes of one thread: its own, made on first use and found again after restarts, and those the agent made beside it.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::tools::{Sandboxes, diff};
use crate::id::{RunId, ThreadId};
use crate::sandbox::{Provider, Sandbox, SandboxError, SandboxId, SandboxSpec};

/// The sandboxes a run may use.
pub struct ThreadSandboxes {
    provider: Arc<dyn Provider>,
    thread: ThreadId,
    run: RunId,
    own: OnceCell<Arc<dyn Sandbox>>,
}

impl ThreadSandboxes {
    /// Nothing is made before it is used.
    pub fn new(provider: Arc<dyn Provider>, thread: ThreadId, run: RunId) -> Self {
        Self { provider, thread, run, own: OnceCell::new() }
    }

    fn name(&self) -> String {
        format!("thread-{}", self.thread)
    }

    /// What this run changed in the workspace of the thread's own sandbox, as a unified diff. None when it changed nothing or never
    /// used the sandbox.
    pub async fn changes(&self) -> Option<String> {
        let sandbox = self.own.get()?;
        match diff::since_begin(sandbox.as_ref()).await {
            Ok(diff) => diff,
            Err(error) => {
                tracing::warn!(run.id = %self.run, %error, "the changes of the run are not known");
                None
            }
        }
    }
}

#[async_trait]
impl Sandboxes for ThreadSandboxes {
    async fn own(&self) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let made = self.own.get_or_try_init(|| async {
            let spec = SandboxSpec { thread: Some(self.thread), name: Some(self.name()), ..SandboxSpec::default() };
            let sandbox = self.provider.create(spec).await?;
            diff::begin(sandbox.as_ref(), &self.run.to_string()).await?;
            Ok(sandbox)
        });
        made.await.cloned()
    }

    async fn named(&self, id: &SandboxId) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let own = self.own().await?;
        if own.id() == id {
            return Ok(own);
        }
        // Names of a thread's sandboxes begin with the thread's: a model cannot reach into another thread by guessing.
        if !id.0.starts_with(&self.name()) {
            return Err(SandboxError::NotFound(format!("sandbox {id}")));
        }
        self.provider.find(id).await
    }

    async fn create(&self, mut spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let suffix = spec.name.unwrap_or_else(|| "extra".to_owned());
        let suffix: String = suffix.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        spec.name = Some(format!("{}-{suffix}", self.name()));
        spec.thread = Some(self.thread);
        self.provider.create(spec).await
    }
}

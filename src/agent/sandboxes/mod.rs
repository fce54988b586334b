//! The sandboxes of one thread: its own, made on first use and found again after restarts, and those the agent made beside it.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::tools::{Sandboxes, diff};
use crate::id::{RunId, ThreadId};
use crate::sandbox::{Provider, Sandbox, SandboxError, SandboxId, SandboxSpec};

/// Sandboxes a thread may have beside its own.
const MOST_EXTRAS: usize = 4;
/// Under which their names are kept with the thread's own.
const EXTRAS: &str = "further-sandboxes";

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

    /// The name of the thread's own sandbox.
    pub fn name(&self) -> String {
        format!("thread-{}", self.thread)
    }

    /// True once this run has opened the thread's own sandbox.
    pub fn is_used(&self) -> bool {
        self.own.get().is_some()
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
        let wanted = spec.name.unwrap_or_default();
        let suffix: String = wanted.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        let suffix = if suffix.is_empty() { "extra" } else { &suffix }.to_ascii_lowercase();
        let name = format!("{}-{suffix}", self.name());
        let own = self.own().await?;
        let mut known = extras(own.as_ref()).await?;
        if !known.contains(&name) {
            if known.len() == MOST_EXTRAS {
                let there = known.join(", ");
                let why = format!("this conversation has as many further sandboxes as it may have; use one of them: {there}");
                return Err(SandboxError::Invalid(why));
            }
            known.push(name.clone());
            // Remembered before it is made, so that none is ever left behind.
            let json = serde_json::to_vec(&known).map_err(|error| SandboxError::Unavailable(error.to_string()))?;
            own.keep(EXTRAS, &json).await?;
        }
        spec.name = Some(name);
        spec.thread = Some(self.thread);
        self.provider.create(spec).await
    }
}

/// The names of the sandboxes beside a thread's own, kept with that.
async fn extras(own: &dyn Sandbox) -> Result<Vec<String>, SandboxError> {
    Ok(own.kept(EXTRAS).await?.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default())
}

/// Removes a thread's own sandbox and those beside it. Fine when they are gone.
pub async fn remove_all(provider: &dyn Provider, own: &SandboxId) -> Result<(), SandboxError> {
    match provider.find(own).await {
        Ok(sandbox) => {
            for extra in extras(sandbox.as_ref()).await? {
                provider.remove(&SandboxId(extra)).await?;
            }
        }
        Err(SandboxError::NotFound(_)) => {}
        Err(error) => return Err(error),
    }
    provider.remove(own).await
}

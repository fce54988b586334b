//! What tools get to see of a sandbox: when it dies under them it is woken, or rebuilt when it is provably gone, once for a call. What
//! only reads, or leaves the same behind when it is done twice, is then done again; of anything else the outcome is said to be
//! unknown.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::prepare::stopped;
use super::{Own, Thread, wake_and_find};
use crate::sandbox::{
    Exec, Executed, FileInfo, Language, Offsets, Preview, ProcessReport, Sandbox, SandboxError, SandboxId, WalkBounds, Walked,
};

/// A sandbox that dies more often than this in one run is not rebuilt any more.
const MOST_REBUILDS: u32 = 3;

const WOKEN: &str =
    "The sandbox did not answer and was woken again: its files are there, but processes that ran in it may be gone.";

/// A sandbox that is healed when it dies.
pub(super) struct Guarded {
    thread: Arc<Thread>,
    kind: Kind,
    /// As it was when the call began; a tool goes on with its successor under the old name.
    first: Arc<dyn Sandbox>,
    current: Mutex<Arc<dyn Sandbox>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Own,
    Extra,
}

/// A sandbox that answers again.
enum Healed {
    /// The same one.
    Woken(Arc<dyn Sandbox>),
    /// Another one, with the work of the last checkpoint.
    Replaced(Arc<dyn Sandbox>),
}

impl Guarded {
    pub(super) fn own(thread: Arc<Thread>, sandbox: Arc<dyn Sandbox>) -> Self {
        Self { thread, kind: Kind::Own, first: Arc::clone(&sandbox), current: Mutex::new(sandbox) }
    }

    pub(super) fn extra(thread: Arc<Thread>, sandbox: Arc<dyn Sandbox>) -> Self {
        Self { thread, kind: Kind::Extra, first: Arc::clone(&sandbox), current: Mutex::new(sandbox) }
    }

    fn current(&self) -> Arc<dyn Sandbox> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decides whether an error means that the sandbox is dead, and heals it. `about` is the path when the error may be about that.
    async fn heal(&self, failed: &Arc<dyn Sandbox>, error: &SandboxError, about: Option<&str>) -> Result<Healed, SandboxError> {
        let dead = match error {
            SandboxError::Unavailable(_) | SandboxError::Gone(_) => true,
            // A workspace is never missing in a sandbox that lives.
            SandboxError::NotFound(_) => about.is_none_or(|path| matches!(path.trim_matches('/'), "" | "." | "workspace")),
            SandboxError::Invalid(_) | SandboxError::Refused(_) | SandboxError::NoIsolation(_) => false,
        };
        if !dead {
            return Err(error.clone());
        }
        tracing::info!(run.id = %self.thread.with.run, sandbox.id = %failed.id(), %error, "the sandbox does not answer");
        let healing = async {
            match self.kind {
                Kind::Own => self.thread.heal_own(failed).await,
                Kind::Extra => self.thread.heal_extra(failed).await,
            }
        };
        let healed = tokio::select! {
            healed = healing => healed?,
            () = self.thread.with.stop.cancelled() => return Err(stopped()),
        };
        let (Healed::Woken(sandbox) | Healed::Replaced(sandbox)) = &healed;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(sandbox);
        Ok(healed)
    }

    /// Heals, and says that the outcome is unknown.
    async fn unknown(&self, failed: &Arc<dyn Sandbox>, error: SandboxError) -> SandboxError {
        match self.heal(failed, &error, None).await {
            Ok(healed) => healed.unknown(&error),
            Err(error) => error,
        }
    }
}

impl Healed {
    /// What is said of something that may or may not have been done before.
    fn unknown(&self, error: &SandboxError) -> SandboxError {
        let error = match error {
            // It says so itself.
            SandboxError::Unavailable(why) => why.clone(),
            other => other.to_string(),
        };
        SandboxError::Unavailable(match self {
            Self::Woken(_) => format!(
                "{error}. It answers again, but the outcome of this call is unknown: look at the present state before you repeat it"
            ),
            Self::Replaced(_) => format!(
                "{error}. It was replaced by a new one, and what this call did is lost with the old one: look at the present state, \
                 then repeat it"
            ),
        })
    }
}

impl Thread {
    async fn heal_own(&self, failed: &Arc<dyn Sandbox>) -> Result<Healed, SandboxError> {
        let mut slot = self.own.lock().await;
        let Some(own) = slot.clone() else {
            drop(slot);
            return Ok(Healed::Replaced(self.open().await?.sandbox));
        };
        if !Arc::ptr_eq(&own.sandbox, failed) {
            // A call beside this one was first.
            let same = own.sandbox.id() == failed.id();
            return Ok(if same { Healed::Woken(own.sandbox) } else { Healed::Replaced(own.sandbox) });
        }
        match wake_and_find(&self.with, own.sandbox.id()).await {
            Ok(sandbox) => {
                self.tell(WOKEN);
                *slot = Some(Own { sandbox: Arc::clone(&sandbox), ..own });
                Ok(Healed::Woken(sandbox))
            }
            Err(SandboxError::NotFound(_)) if own.rebuilt < MOST_REBUILDS => {
                let rebuilt = self.rebuild(&own).await?;
                let sandbox = Arc::clone(&rebuilt.sandbox);
                *slot = Some(rebuilt);
                Ok(Healed::Replaced(sandbox))
            }
            Err(SandboxError::NotFound(_)) => Err(SandboxError::Unavailable(format!(
                "it was lost {MOST_REBUILDS} times during this run and is not made again; finish with what you know"
            ))),
            Err(error) => Err(error),
        }
    }

    async fn heal_extra(&self, failed: &Arc<dyn Sandbox>) -> Result<Healed, SandboxError> {
        let id = failed.id();
        let Some((name, _)) = self.holder.extra_by_id(&id.0).await.map_err(super::database)? else {
            return Err(SandboxError::NotFound(format!("sandbox {id}")));
        };
        let sandbox = self.wake_extra(id, &name).await?;
        self.tell(WOKEN);
        Ok(Healed::Woken(sandbox))
    }
}

/// Does it, and once more when the sandbox had to be healed.
macro_rules! again {
    ($guard:ident, $about:expr, $sandbox:ident => $operation:expr) => {{
        let $sandbox = $guard.current();
        match $operation.await {
            Ok(done) => Ok(done),
            Err(error) => {
                let (Healed::Woken($sandbox) | Healed::Replaced($sandbox)) = $guard.heal(&$sandbox, &error, $about).await?;
                $operation.await
            }
        }
    }};
}

/// Does it once; when the sandbox died, says that the outcome is unknown.
macro_rules! once {
    ($guard:ident, $sandbox:ident => $operation:expr) => {{
        let $sandbox = $guard.current();
        match $operation.await {
            Err(error @ (SandboxError::Unavailable(_) | SandboxError::Gone(_))) => Err($guard.unknown(&$sandbox, error).await),
            done => done,
        }
    }};
}

#[async_trait]
impl Sandbox for Guarded {
    fn id(&self) -> &SandboxId {
        self.first.id()
    }

    fn workspace(&self) -> &str {
        self.first.workspace()
    }

    fn language(&self) -> Language {
        self.first.language()
    }

    fn rejoins(&self) -> bool {
        self.first.rejoins()
    }

    async fn exec(&self, exec: Exec, cancel: &CancellationToken) -> Result<Executed, SandboxError> {
        self.thread.touched();
        let sandbox = self.current();
        let error = match sandbox.exec(exec.clone(), cancel).await {
            Err(error @ (SandboxError::Unavailable(_) | SandboxError::Gone(_))) => error,
            done => return done,
        };
        if sandbox.rejoins() && exec.key.is_some() {
            match self.heal(&sandbox, &error, None).await? {
                // It finds the command that was begun.
                Healed::Woken(sandbox) => return sandbox.exec(exec, cancel).await,
                replaced @ Healed::Replaced(_) => return Err(replaced.unknown(&error)),
            }
        }
        Err(self.unknown(&sandbox, error).await)
    }

    async fn read(&self, path: &str, offset: u64, limit: usize) -> Result<(Bytes, u64), SandboxError> {
        again!(self, Some(path), sandbox => sandbox.read(path, offset, limit))
    }

    async fn write(&self, path: &str, content: &[u8]) -> Result<(), SandboxError> {
        self.thread.touched();
        again!(self, Some(path), sandbox => sandbox.write(path, content))
    }

    async fn read_many(&self, paths: &[String], limit: usize) -> Result<Vec<Result<Bytes, SandboxError>>, SandboxError> {
        again!(self, Some(""), sandbox => sandbox.read_many(paths, limit))
    }

    async fn write_many(&self, files: &[(String, Bytes)]) -> Result<(), SandboxError> {
        self.thread.touched();
        again!(self, Some("-"), sandbox => sandbox.write_many(files))
    }

    async fn upload(&self, source: &Path, path: &str) -> Result<(), SandboxError> {
        self.thread.touched();
        again!(self, Some(path), sandbox => sandbox.upload(source, path))
    }

    async fn list(&self, path: &str) -> Result<Vec<FileInfo>, SandboxError> {
        again!(self, Some(path), sandbox => sandbox.list(path))
    }

    async fn walk(&self, path: &str, bounds: WalkBounds) -> Result<Walked, SandboxError> {
        again!(self, Some(path), sandbox => sandbox.walk(path, bounds))
    }

    async fn info(&self, path: &str) -> Result<FileInfo, SandboxError> {
        again!(self, Some(path), sandbox => sandbox.info(path))
    }

    async fn delete(&self, path: &str) -> Result<(), SandboxError> {
        self.thread.touched();
        once!(self, sandbox => sandbox.delete(path))
    }

    async fn create_directory(&self, path: &str) -> Result<(), SandboxError> {
        self.thread.touched();
        again!(self, Some(path), sandbox => sandbox.create_directory(path))
    }

    async fn start(&self, name: &str, exec: Exec) -> Result<(), SandboxError> {
        self.thread.touched();
        once!(self, sandbox => sandbox.start(name, exec))
    }

    async fn process(&self, name: &str, from: Offsets, limit: usize) -> Result<ProcessReport, SandboxError> {
        self.thread.touched();
        again!(self, Some(name), sandbox => sandbox.process(name, from, limit))
    }

    async fn stop(&self, name: &str, grace: Duration) -> Result<(), SandboxError> {
        once!(self, sandbox => sandbox.stop(name, grace))
    }

    async fn processes(&self) -> Result<Vec<String>, SandboxError> {
        again!(self, Some("-"), sandbox => sandbox.processes())
    }

    async fn preview(&self, port: u16) -> Result<Preview, SandboxError> {
        again!(self, Some("-"), sandbox => sandbox.preview(port))
    }

    async fn keep_alive(&self) -> Result<(), SandboxError> {
        self.current().keep_alive().await
    }
}

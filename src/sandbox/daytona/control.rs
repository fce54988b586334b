//! Makes machines and keeps them usable: found by name or made once, woken, restarted when they are said to run but do not answer,
//! removed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::call::{Base, Call};
use super::client::Client;
use super::error::{ApiError, ErrorKind};
use super::request::{APP_LABEL, THREAD_LABEL, create_body, labels, name_of};
use super::state::{Looks, Settled, Wanted, settle};
use super::wire::{CreateSandbox, Page, Sandbox, State};
use super::{DaytonaConfig, Revive};
use crate::sandbox::{LANGUAGE_LABEL, SandboxError, SandboxSpec};

/// Most attempts to make or find one sandbox.
const ROUNDS: u32 = 6;
/// How long one sign of life may take.
const SIGN: Duration = Duration::from_secs(5);
/// Most pages of a list that are read.
const MOST_PAGES: usize = 50;

/// The control plane as the provider uses it. One per process.
#[derive(Debug)]
pub struct Control {
    client: Client,
    config: DaytonaConfig,
    /// Held while a machine is brought back, by id.
    revivals: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

/// Whether a sandbox was there before.
enum Found {
    Made(Sandbox),
    There(Sandbox),
}

impl Control {
    /// Makes no request.
    pub fn new(client: Client, config: DaytonaConfig) -> Self {
        Self { client, config, revivals: Mutex::default() }
    }

    /// The client it asks with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Makes a sandbox, or finds the one with this name, and has it started; who opens it finds out whether it answers. The name is what makes it happen once: when it is not clear
    /// whether one was made, the name is looked up before it is tried again. One that failed for good is replaced.
    pub async fn make(&self, spec: &SandboxSpec) -> Result<Sandbox, SandboxError> {
        let name = name_of(spec);
        let body = create_body(&self.config, name.clone(), spec);
        let (begun, mut pause) = (Instant::now(), self.config.pace.backoff);
        let mut last = SandboxError::Unavailable(format!("sandbox {name} can neither be found nor made. Try again in a minute."));
        for _ in 0..ROUNDS {
            match self.find_or_create(&name, &body).await {
                Ok(Found::Made(sandbox)) => return self.finish(sandbox).await,
                Ok(Found::There(sandbox)) if belongs_to_another(&sandbox, spec) => {
                    let why = format!("{name}: this name belongs to another conversation; choose another name");
                    return Err(SandboxError::Invalid(why));
                }
                Ok(Found::There(sandbox)) => match self.make_started(sandbox.clone()).await {
                    Ok(sandbox) => return Ok(sandbox),
                    Err(Trouble::Gone(why)) => last = SandboxError::Unavailable(format!("{why}. Try again in a moment.")),
                    Err(Trouble::Failed(why)) => {
                        tracing::warn!(sandbox.id, why, "a sandbox that failed for good is replaced");
                        self.remove(&sandbox.id).await?;
                        last = SandboxError::Unavailable(format!("{why}. It is being replaced; try again in a moment."));
                    }
                    Err(Trouble::Other(error)) => return Err(error),
                },
                Err(error) if is_unclear(error.kind) => last = error.into(),
                Err(error) => return Err(error.into()),
            }
            if begun.elapsed() >= self.config.pace.start {
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(last)
    }

    /// Makes one ready that was just made. One that never came up holds nothing: it is deleted, so that the name is free.
    async fn finish(&self, sandbox: Sandbox) -> Result<Sandbox, SandboxError> {
        let id = sandbox.id.clone();
        let error = match self.make_started(sandbox).await {
            Ok(sandbox) => return Ok(sandbox),
            Err(Trouble::Other(error)) => return Err(error),
            Err(Trouble::Gone(why)) => {
                format!("{why}. Try again in a minute, or set DAYTONA_TARGET to another region.")
            }
            Err(Trouble::Failed(why)) => {
                if let Err(error) = self.remove(&id).await {
                    tracing::warn!(sandbox.id = id, %error, "a sandbox that never started could not be deleted");
                }
                format!("{why}. Try again; if it stays so, choose another snapshot with DAYTONA_SNAPSHOT.")
            }
        };
        Err(SandboxError::Unavailable(error))
    }

    async fn find_or_create(&self, name: &str, body: &CreateSandbox) -> Result<Found, ApiError> {
        match self.client.sandbox(name).await {
            // Its name is free again as soon as it goes.
            Ok(sandbox) if !matches!(sandbox.state, State::Destroying | State::Destroyed) => return Ok(Found::There(sandbox)),
            Ok(_) => {}
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.client.create_sandbox(body).await.map(Found::Made)
    }

    /// Finds a sandbox by id or name and makes it ready: started, and its toolbox has answered. [`SandboxError::NotFound`] when it is gone,
    /// or has failed for good.
    pub async fn ready(&self, id: &str) -> Result<Sandbox, SandboxError> {
        let sandbox = self.client.sandbox(id).await.map_err(|error| about(id, error))?;
        self.make_ready(sandbox).await.map_err(not_there)
    }

    /// The same without waiting for a sign of life when it is said to run: for who opens it anyway, and revives it if need be.
    pub async fn started(&self, id: &str) -> Result<Sandbox, SandboxError> {
        let sandbox = self.client.sandbox(id).await.map_err(|error| about(id, error))?;
        self.make_started(sandbox).await.map_err(not_there)
    }

    /// Gives a sandbox the thread and the labels of `spec` instead of its own, but for its language. Idempotent.
    pub async fn relabel(&self, sandbox: &mut Sandbox, spec: &SandboxSpec) -> Result<(), SandboxError> {
        let mut spec = spec.clone();
        if let Some(language) = sandbox.labels.get(LANGUAGE_LABEL) {
            spec.labels.entry(LANGUAGE_LABEL.to_owned()).or_insert_with(|| language.clone());
        }
        let labels = labels(&spec);
        if sandbox.labels != labels {
            self.client.label_sandbox(&sandbox.id, &labels).await.map_err(|error| about(sandbox.known_as(), error))?;
            sandbox.labels = labels;
        }
        Ok(())
    }

    async fn make_started(&self, sandbox: Sandbox) -> Result<Sandbox, Trouble> {
        if sandbox.state == State::Started { self.with_toolbox(sandbox).await } else { self.make_ready(sandbox).await }
    }

    /// Started, and its toolbox answers. One that is said to run but does not answer is restarted, once.
    async fn make_ready(&self, sandbox: Sandbox) -> Result<Sandbox, Trouble> {
        let sandbox = self.with_toolbox(self.settled(sandbox, Wanted::Usable).await?).await?;
        if self.answers(&sandbox).await? {
            return Ok(sandbox);
        }
        let fresh = self.client.sandbox(&sandbox.id).await.map_err(|error| about(sandbox.known_as(), error))?;
        if fresh.state == State::Started {
            tracing::warn!(sandbox.id, "a sandbox is said to run but does not answer; it is restarted");
            match self.client.stop_sandbox(&fresh.id, true).await {
                Err(error) if !matches!(error.kind, ErrorKind::InProgress | ErrorKind::Lost | ErrorKind::Server) => {
                    return Err(Trouble::Other(about(fresh.known_as(), error)));
                }
                Ok(()) | Err(_) => {}
            }
            self.settled(self.left_started(&fresh).await?, Wanted::Stopped).await?;
        }
        let fresh = self.client.sandbox(&sandbox.id).await.map_err(|error| about(sandbox.known_as(), error))?;
        let sandbox = self.with_toolbox(self.settled(fresh, Wanted::Usable).await?).await?;
        if self.answers(&sandbox).await? {
            return Ok(sandbox);
        }
        let why = format!(
            "sandbox {} is started but does not answer, also after a restart. Try again in a minute.",
            sandbox.known_as()
        );
        Err(Trouble::Other(SandboxError::Unavailable(why)))
    }

    /// The sandbox once its state shows that the forced stop was heard; as it is when that takes long.
    async fn left_started(&self, sandbox: &Sandbox) -> Result<Sandbox, Trouble> {
        let mut looks = Looks::new(self.config.pace.poll);
        for _ in 0..20 {
            let fresh = self.client.sandbox(&sandbox.id).await.map_err(|error| about(sandbox.known_as(), error))?;
            if fresh.state != State::Started {
                return Ok(fresh);
            }
            tokio::time::sleep(looks.next()).await;
        }
        Ok(sandbox.clone())
    }

    async fn settled(&self, sandbox: Sandbox, wanted: Wanted) -> Result<Sandbox, Trouble> {
        let name = sandbox.known_as().to_owned();
        match settle(&self.client, sandbox, wanted).await {
            Ok(Settled::Reached(sandbox)) => Ok(*sandbox),
            Ok(Settled::Gone(why)) => Err(Trouble::Gone(why)),
            Ok(Settled::Failed(why)) => Err(Trouble::Failed(why)),
            Err(error) => Err(Trouble::Other(about(&name, error))),
        }
    }

    /// Older servers say elsewhere where the toolbox is.
    async fn with_toolbox(&self, mut sandbox: Sandbox) -> Result<Sandbox, Trouble> {
        if sandbox.toolbox().is_err() {
            let proxy = self.client.toolbox_proxy(&sandbox.id).await.map_err(|error| about(sandbox.known_as(), error))?;
            sandbox.toolbox_proxy_url = Some(proxy.into());
        }
        Ok(sandbox)
    }

    /// Whether the toolbox gives a sign of life within [`super::Pace::silence`]. Just after a start the proxy may not know yet where it is.
    async fn answers(&self, sandbox: &Sandbox) -> Result<bool, Trouble> {
        let toolbox = sandbox.toolbox().map_err(|error| about(sandbox.known_as(), error))?;
        let (begun, mut looks) = (Instant::now(), Looks::new(self.config.pace.poll));
        loop {
            let Err(error) = self.client.call(&Call::get(Base::Toolbox(&toolbox), &["version"]).deadline(SIGN)).await else {
                return Ok(true);
            };
            // It does not like the question, but it is there.
            if matches!(error.kind, ErrorKind::NotFound | ErrorKind::RouteMissing | ErrorKind::Invalid) {
                return Ok(true);
            }
            if !matches!(error.kind, ErrorKind::SandboxUnavailable | ErrorKind::Lost | ErrorKind::Unreachable | ErrorKind::Server)
            {
                return Err(Trouble::Other(error.into()));
            }
            if begun.elapsed() >= self.config.pace.silence {
                return Ok(false);
            }
            tokio::time::sleep(looks.next()).await;
        }
    }

    /// Deletes a sandbox by id or name. Fine when it is gone. Waits up to [`super::Pace::remove`] for another change to finish, then stops it hard.
    pub async fn remove(&self, id: &str) -> Result<(), SandboxError> {
        match self.client.delete_sandbox(id).await {
            Ok(()) => return Ok(()),
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            Err(error) if is_unclear(error.kind) || error.kind == ErrorKind::Errored => {}
            Err(error) => return Err(about(id, error)),
        }
        let sandbox = match self.client.sandbox(id).await {
            Ok(sandbox) => sandbox,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(about(id, error)),
        };
        settle(&self.client, sandbox, Wanted::Gone).await.map(drop).map_err(|error| about(id, error))
    }

    /// Ours that carry all these labels, at most `limit`, without those that are on their way out. What the server's index says is not
    /// trusted: labels are compared here too.
    pub async fn labelled(&self, labels: &BTreeMap<String, String>, limit: usize) -> Result<Vec<Sandbox>, SandboxError> {
        let mut wanted = labels.clone();
        wanted.insert(APP_LABEL.0.to_owned(), APP_LABEL.1.to_owned());
        let json = serde_json::to_string(&wanted).map_err(|error| SandboxError::Invalid(error.to_string()))?;
        let (mut found, mut cursor) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let Page { items, next_cursor } = self.client.list_sandboxes(&json, cursor.as_deref()).await?;
            let carries = |sandbox: &Sandbox| wanted.iter().all(|(name, value)| sandbox.labels.get(name) == Some(value));
            let lives = |sandbox: &Sandbox| !matches!(sandbox.state, State::Destroying | State::Destroyed);
            found.extend(items.into_iter().filter(|sandbox| carries(sandbox) && lives(sandbox)));
            // A cursor that leads to itself would lead round for ever.
            let goes_on = next_cursor.is_some() && next_cursor != cursor;
            if found.len() >= limit || !goes_on {
                break;
            }
            cursor = next_cursor;
        }
        found.truncate(limit);
        Ok(found)
    }

    fn revival(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut revivals = self.revivals.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(running) = revivals.get(id).and_then(Weak::upgrade) {
            return running;
        }
        revivals.retain(|_, running| running.strong_count() > 0);
        let new = Arc::default();
        revivals.insert(id.to_owned(), Arc::downgrade(&new));
        new
    }
}

#[async_trait]
impl Revive for Control {
    async fn revive(&self, id: &str) -> Result<Sandbox, SandboxError> {
        let revival = self.revival(id);
        // Whoever waited here finds it ready with two quick questions.
        let _one = revival.lock().await;
        self.ready(id).await
    }
}

/// Why a sandbox could not be made ready.
enum Trouble {
    /// It is gone.
    Gone(String),
    /// It has failed for good.
    Failed(String),
    /// Anything else.
    Other(SandboxError),
}

impl From<SandboxError> for Trouble {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::NotFound(what) => Self::Gone(what),
            other => Self::Other(other),
        }
    }
}

/// For who looks for a sandbox, one that failed for good is as good as gone: nothing brings it back.
fn not_there(trouble: Trouble) -> SandboxError {
    match trouble {
        Trouble::Gone(why) | Trouble::Failed(why) => SandboxError::NotFound(why),
        Trouble::Other(error) => error,
    }
}

/// Whether a sandbox of this name was made for somebody else.
fn belongs_to_another(sandbox: &Sandbox, spec: &SandboxSpec) -> bool {
    let owner = sandbox.labels.get(THREAD_LABEL);
    spec.thread.is_some_and(|thread| owner.is_some_and(|owner| *owner != thread.to_string()))
}

/// Names the sandbox an error is about.
fn about(name: &str, error: ApiError) -> SandboxError {
    match error.kind {
        ErrorKind::NotFound => SandboxError::NotFound(format!("sandbox {name}")),
        _ => error.into(),
    }
}

/// Whether a sandbox may have been made all the same, by us or by somebody else.
fn is_unclear(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Lost | ErrorKind::Server | ErrorKind::NameTaken | ErrorKind::InProgress)
}

//! Where the contract is tried: a provider, and a thread with sandboxes there.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tempfile::TempDir;
use threadbox::agent::Powers;
use threadbox::agent::tools::{Hands, Readings, Sandboxes, ToolContext, ToolLimits, ToolOutput, Toolbox};
use threadbox::clock::SystemClock;
use threadbox::id::ThreadId;
use threadbox::model::{Arguments, ToolCall};
use threadbox::sandbox::daytona::{Credential, DaytonaConfig, DaytonaProvider, Origin, Pace};
use threadbox::sandbox::local::{LocalConfig, LocalProvider};
use threadbox::sandbox::workspace::WorkspaceSnapshot;
use threadbox::sandbox::{Command, Exec, Executed, Language, Provider, Sandbox, SandboxError, SandboxId, SandboxSpec};
use threadbox::secret::{SecretString, secret};
use threadbox::settings::Network;
use threadbox::standin::daytona::{Daytona, Options};
use tokio_util::sync::CancellationToken;

use super::super::sandbox::config;

/// A provider, and what must live as long.
pub struct Place {
    pub provider: Arc<dyn Provider>,
    held: Held,
}

enum Held {
    Directory(#[expect(dead_code, reason = "only held")] TempDir),
    Standin(Box<Daytona>, TempDir),
    Nothing,
}

impl Place {
    async fn end(self) {
        match self.held {
            Held::Directory(_) | Held::Nothing => {}
            Held::Standin(standin, directory) => {
                standin.shut_down().await;
                drop(directory);
            }
        }
    }
}

/// This machine.
pub fn local() -> Place {
    let root = tempfile::tempdir().unwrap();
    let config = LocalConfig { search_path: search_path(), ..config(root.path()) };
    Place { provider: Arc::new(LocalProvider::new(config).unwrap()), held: Held::Directory(root) }
}

fn helper() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_threadbox"))
}

fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect()
}

/// Daytona's stand-in.
pub async fn daytona() -> Place {
    let root = tempfile::tempdir().unwrap();
    let options = Options { search_path: search_path(), ..Options::new(helper(), root.path().join("sandboxes")) };
    let standin = Daytona::start(options).await.unwrap();
    let provider = provider(&standin.url(), standin.key(), Pace { poll: Duration::from_millis(10), ..Pace::default() });
    Place { provider, held: Held::Standin(Box::new(standin), root) }
}

fn provider(url: &str, key: SecretString, pace: Pace) -> Arc<dyn Provider> {
    let config = DaytonaConfig {
        api_url: url.parse().unwrap(),
        credential: Credential::Key(key),
        target: None,
        origin: Origin::Default,
        network: Network::Full,
        idle_minutes: 15,
        ttl_minutes: Some(60),
        pace,
    };
    Arc::new(DaytonaProvider::new(config, helper(), Arc::new(SystemClock)).unwrap())
}

/// A server outside, as the environment of the test names it.
pub struct Endpoint {
    url: String,
    key: String,
}

impl Endpoint {
    pub fn named() -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (url, key) = (variable("THREADBOX_CONTRACT_DAYTONA_URL")?, variable("THREADBOX_CONTRACT_DAYTONA_KEY")?);
        Some(Self { url, key })
    }

    pub fn place(&self) -> Place {
        Place { provider: provider(&self.url, secret(self.key.clone()), Pace::default()), held: Held::Nothing }
    }
}

/// A conversation with a sandbox of its own, and others it made.
pub struct Thread {
    pub place: Place,
    pub own: Arc<dyn Sandbox>,
    pub others: Mutex<Vec<Arc<dyn Sandbox>>>,
    pub tools: Toolbox,
    pub cancel: CancellationToken,
    pub limits: Mutex<ToolLimits>,
    /// Names of its sandboxes begin so.
    pub name: String,
    calls: AtomicUsize,
    readings: Readings,
    pub beginning: Mutex<Option<Arc<WorkspaceSnapshot>>>,
}

#[async_trait]
impl Sandboxes for Thread {
    async fn own(&self) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Ok(Arc::clone(&self.own))
    }

    async fn named(&self, id: &SandboxId) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let others = self.others.lock().unwrap();
        let known = others.iter().chain([&self.own]).find(|sandbox| sandbox.id() == id);
        known.cloned().ok_or_else(|| SandboxError::NotFound(format!("sandbox {id}")))
    }

    async fn create(&self, mut spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        spec.name = Some(format!("{}-{}", self.name, spec.name.unwrap_or_default()));
        let sandbox = self.place.provider.create(spec).await?;
        self.others.lock().unwrap().push(Arc::clone(&sandbox));
        Ok(sandbox)
    }

    async fn beginning(&self, _: &SandboxId) -> Result<Option<Arc<WorkspaceSnapshot>>, SandboxError> {
        Ok(self.beginning.lock().unwrap().clone())
    }

    fn readings(&self) -> &Readings {
        &self.readings
    }
}

impl Thread {
    pub async fn start(place: Place) -> Self {
        let thread = ThreadId::new();
        let name = format!("thread-{thread}");
        let spec = SandboxSpec { thread: Some(thread), name: Some(name.clone()), ..SandboxSpec::default() };
        let own = place.provider.create(spec).await.unwrap();
        let limits = ToolLimits { default_timeout: Duration::from_secs(60), ..ToolLimits::default() };
        Self {
            place,
            own,
            others: Mutex::default(),
            tools: Toolbox::standard(),
            cancel: CancellationToken::new(),
            limits: Mutex::new(limits),
            name,
            calls: AtomicUsize::new(1),
            readings: Readings::default(),
            beginning: Mutex::default(),
        }
    }

    /// Removes what was made, and ends the place.
    pub async fn remove(self) {
        let others: Vec<_> = self.others.lock().unwrap().iter().map(|sandbox| sandbox.id().clone()).collect();
        for id in others.iter().chain([self.own.id()]) {
            self.place.provider.remove(id).await.unwrap();
        }
        self.place.end().await;
    }

    /// The path a program inside would use.
    pub fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.own.workspace()).trim_end_matches('/').to_owned()
    }

    pub async fn call(&self, call: &ToolCall) -> ToolOutput {
        self.call_as(&format!("call-{}", self.calls.fetch_add(1, Ordering::Relaxed)), call).await
    }

    /// The key says which call it is, also after a restart.
    pub async fn call_as(&self, key: &str, call: &ToolCall) -> ToolOutput {
        let limits = *self.limits.lock().unwrap();
        let context = ToolContext {
            powers: Powers::Everything,
            hands: &Hands::default(),
            sandboxes: self,
            cancel: &self.cancel,
            clock: &SystemClock,
            limits,
            key,
            listener: None,
        };
        self.tools.call(&context, call).await
    }

    pub async fn run(&self, name: &str, arguments: Value) -> ToolOutput {
        self.call(&call(name, arguments)).await
    }

    /// What a call returns that must succeed.
    pub async fn good(&self, name: &str, arguments: Value) -> Value {
        let output = self.run(name, arguments).await;
        assert!(!output.is_error, "{name}: {}", output.content);
        assert!(!output.summary.is_empty() && !output.summary.contains('\n'));
        output.content
    }

    /// What a call says that must fail.
    pub async fn bad(&self, name: &str, arguments: Value) -> String {
        let output = self.run(name, arguments).await;
        assert!(output.is_error, "{name}: {}", output.content);
        output.content["error"].as_str().unwrap().to_owned()
    }

    /// A line for the shell, without a tool.
    pub async fn sh(&self, line: &str) -> Executed {
        self.own.exec(shell(line), &self.cancel).await.unwrap()
    }

    /// What a line for the shell prints, which must go well.
    pub async fn prints(&self, line: &str) -> String {
        let ran = self.sh(line).await;
        assert_eq!((ran.exit_code, ran.killed), (0, None), "{line}: {}", ran.stderr.text());
        ran.stdout.text()
    }

    /// All of a file.
    pub async fn content(&self, path: &str) -> String {
        String::from_utf8(self.own.read(path, 0, 32 << 20).await.unwrap().0.to_vec()).unwrap()
    }
}

pub fn call(name: &str, arguments: Value) -> ToolCall {
    let Value::Object(arguments) = arguments else { panic!("an object") };
    ToolCall { id: "1".to_owned(), name: name.to_owned(), arguments: Arguments::Object(arguments), signature: None }
}

pub fn shell(line: &str) -> Exec {
    Exec::new(Command::Shell(line.to_owned()), Duration::from_secs(60), 64 << 10)
}

pub fn code(language: Language, code: &str, argv: &[&str]) -> Exec {
    let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
    Exec::new(Command::Code { language, code: code.to_owned(), argv }, Duration::from_secs(60), 64 << 10)
}

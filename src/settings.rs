//! Typed settings from the environment. Every problem is reported at once, with the variable and a remedy; secrets are wrapped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::model::ModelName;
use crate::secret::SecretString;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The mention handle, without `@`.
    pub name: String,
    /// Where HTTP listens.
    pub listen: SocketAddr,
    /// Base of links in comments.
    pub public_url: Url,
    /// Embedded database and local sandboxes.
    pub data_dir: PathBuf,
    /// Where the database is.
    pub database: DatabaseSettings,
    /// For console and API; generated at first start when unset.
    pub admin_token: Option<SecretString>,
    /// Models and their keys.
    pub models: ModelSettings,
    /// GitHub; off when unset.
    pub github: Option<GithubSettings>,
    /// Where code runs.
    pub sandbox: SandboxSettings,
    /// Ceilings.
    pub limits: Limits,
    /// Who may trigger on GitHub.
    pub allow: Allow,
    /// Replaces the agent's role text.
    pub instructions: Option<PathBuf>,
    /// How logs look.
    pub log: LogSettings,
}

/// Where the database is.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// `DATABASE_URL`; unset means the embedded cluster.
    pub url: Option<SecretString>,
    /// `THREADBOX_POSTGRES_BIN`.
    pub postgres_bin: Option<PathBuf>,
    /// `THREADBOX_OFFLINE`: never fetch binaries.
    pub offline: bool,
    /// `THREADBOX_POSTGRES_URL`: base of the archives the binaries are fetched from, for mirrors; unset means the public releases.
    pub archive_url: Option<Url>,
}

/// Models and their keys.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// `MODEL`: never empty, the first is asked first.
    pub chain: Vec<ModelName>,
    /// `TITLE_MODEL`, else the chain.
    pub title: Vec<ModelName>,
    /// By provider name in lower case. Holds every provider that a chain names or that has a key or a base URL.
    pub providers: BTreeMap<String, ProviderSettings>,
}

/// One model provider.
#[derive(Clone, Debug, Default)]
pub struct ProviderSettings {
    /// Its key.
    pub key: Option<SecretString>,
    /// `<PROVIDER>_BASE_URL`; unset means the provider's own.
    pub base_url: Option<Url>,
}

/// GitHub.
#[derive(Clone, Debug)]
pub struct GithubSettings {
    /// `GITHUB_API_URL` without trailing slash; may have a path such as `/api/v3`.
    pub api_url: Url,
    /// Who we are there.
    pub auth: GithubAuth,
    /// `GITHUB_WEBHOOK_SECRET`; two, comma-separated, while one is being replaced. Never empty.
    pub webhook_secrets: Vec<SecretString>,
}

/// Who we are on GitHub.
#[derive(Clone, Debug)]
pub enum GithubAuth {
    /// A GitHub App.
    App {
        /// `GITHUB_APP_ID`.
        id: u64,
        /// The PEM text.
        private_key: SecretString,
    },
    /// `GITHUB_TOKEN`: a person's or machine account's token.
    Token(SecretString),
}

/// Where code runs.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// `SANDBOX`.
    pub kind: SandboxKind,
    /// `SANDBOX_CPUS`.
    pub cpus: u32,
    /// `SANDBOX_MEMORY_MB`.
    pub memory_mb: u64,
    /// `SANDBOX_DISK_MB`.
    pub disk_mb: u64,
    /// `SANDBOX_NETWORK`.
    pub network: Network,
    /// `SANDBOX_IDLE_MINUTES`.
    pub idle_minutes: u32,
}

/// The sandbox providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxKind {
    /// On this machine.
    Local,
    /// Daytona.
    Daytona,
}

/// What a sandbox may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// Nothing.
    None,
    /// These hosts.
    Allow(Vec<String>),
    /// Everything.
    Full,
}

/// Ceilings. Money is in US dollars.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `RUN_MAX_STEPS`.
    pub max_steps: u32,
    /// `RUN_TIMEOUT`.
    pub run_timeout: Duration,
    /// `RUN_BUDGET_USD`.
    pub run_budget_usd: f64,
    /// `DAILY_BUDGET_USD`.
    pub daily_budget_usd: f64,
    /// `USER_RUNS_PER_HOUR`.
    pub user_runs_per_hour: u32,
    /// `MAX_CONCURRENT_RUNS`, per process.
    pub max_concurrent_runs: u32,
}

/// `THREADBOX_ALLOW`: who may trigger on GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allow {
    /// People with at least this permission on the repository.
    Permission(Permission),
    /// Members of the organisation that owns the repository.
    Member,
    /// These logins, compared without case. Empty means nobody.
    Logins(Vec<String>),
}

/// A collaborator's permission, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Cannot even read.
    None,
    /// Reads.
    Read,
    /// Triages.
    Triage,
    /// Writes.
    Write,
    /// Maintains.
    Maintain,
    /// Administers.
    Admin,
}

/// How logs look.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// `RUST_LOG`.
    pub filter: String,
    /// `LOG_FORMAT=json`.
    pub json: bool,
}

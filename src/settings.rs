//! Typed settings from the environment. Every problem is reported at once, with the variable and a remedy; secrets are wrapped.
//!
//! [`Sources`] reads, [`Settings::load`] understands. An empty variable is an unset one.

mod daytona;
mod discord;
mod finding;
mod github;
mod models;
mod names;
mod network;
mod reader;
mod sources;
#[cfg(test)]
mod tests;
mod value;

pub use daytona::{DaytonaCredential, DaytonaSettings};
pub use discord::DiscordSettings;
pub use finding::{Finding, OffPart, SettingsError, Warning};
pub use models::{base_url_variable, key_variables};
pub(crate) use names::closest;
pub use network::NotANetwork;
pub use sources::Sources;
pub use value::address_of;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::model::ModelName;
use crate::sandbox::proxy::{Egress, Rule};
use crate::secret::SecretString;
use reader::Reader;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The mention handle, without `@`.
    pub name: String,
    /// Where HTTP listens.
    pub listen: SocketAddr,
    /// Base of links in comments. Nothing is linked to yet.
    pub public_url: Url,
    /// Embedded database and local sandboxes.
    pub data_dir: PathBuf,
    /// Where the database is.
    pub database: DatabaseSettings,
    /// `THREADBOX_ADMIN_TOKEN`: for the API; unset means one that is made at the first start.
    pub admin_token: Option<SecretString>,
    /// Models and their keys.
    pub models: ModelSettings,
    /// GitHub; off when unset.
    pub github: Option<GithubSettings>,
    /// Discord; off when unset.
    pub discord: Option<DiscordSettings>,
    /// Where code runs.
    pub sandbox: SandboxSettings,
    /// Ceilings.
    pub limits: Limits,
    /// Who may trigger on GitHub.
    pub allow: Allow,
    /// Replaces the agent's role text.
    pub instructions: Option<PathBuf>,
    /// `THREADBOX_MEMORY_DAYS`: after how many days what was said is forgotten; none for never.
    pub memory_days: Option<u32>,
    /// How logs look.
    pub log: LogSettings,
}

/// Settings, and what should be said about them.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Complete and consistent.
    pub settings: Settings,
    /// For the log at start; without secrets.
    pub warnings: Vec<Warning>,
}

impl Settings {
    /// Understands the sources. Fails with every problem there is, never with the first alone. What is merely not configured is no
    /// problem: that part is off and among the warnings. Reads the files that settings name (private key, instructions).
    pub fn load(sources: &Sources) -> Result<Loaded, SettingsError> {
        let mut reader = Reader::new(sources);
        let settings = read(&mut reader);
        names::report_unknown(&mut reader);
        if !reader.problems.is_empty() {
            return Err(SettingsError { problems: reader.problems });
        }
        let mut warnings = reader.warnings;
        warnings.extend(settings.off_parts().into_iter().map(Warning::Off));
        Ok(Loaded { settings, warnings })
    }

    /// The parts that do nothing for want of a credential, each with what would turn it on.
    pub fn off_parts(&self) -> Vec<OffPart> {
        let mut parts = Vec::new();
        if self.github.is_none() {
            parts.push(OffPart { part: "GitHub", remedy: github::AUTH_REMEDY.to_owned() });
        }
        if self.discord.is_none() {
            parts.push(OffPart { part: "Discord", remedy: discord::REMEDY.to_owned() });
        }
        if !self.models.chain.iter().any(|model| self.models.can_ask(model)) {
            let model = &self.models.chain[0];
            let key = key_variables(&model.provider).join(" or ");
            parts.push(OffPart { part: "model", remedy: format!("set {key} for {model}, or MODEL to another provider/model") });
        }
        parts
    }
}

fn read(reader: &mut Reader<'_>) -> Settings {
    let listen = reader.parse("THREADBOX_LISTEN", value::listen).unwrap_or_else(|| ([127, 0, 0, 1], 8080).into());
    Settings {
        name: reader.parse("THREADBOX_NAME", value::handle).unwrap_or_else(|| "threadbox".into()),
        listen,
        public_url: reader.base_url("THREADBOX_PUBLIC_URL", None).unwrap_or_else(|| value::address_of(listen)),
        data_dir: reader.get("THREADBOX_DATA_DIR").map_or_else(crate::db::default_data_dir, PathBuf::from),
        database: database(reader),
        admin_token: reader.parse("THREADBOX_ADMIN_TOKEN", value::admin_token),
        models: models::read(reader),
        github: github::read(reader),
        discord: discord::read(reader),
        sandbox: sandbox(reader),
        limits: limits(reader),
        allow: allow(reader),
        instructions: reader.parse("THREADBOX_INSTRUCTIONS", value::readable_file),
        memory_days: reader.parse("THREADBOX_MEMORY_DAYS", |text| value::small_number(text, 1..=36_500)),
        log: LogSettings {
            filter: reader.parse("RUST_LOG", value::log_filter).unwrap_or_else(|| DEFAULT_LOG_FILTER.into()),
            json: reader.parse("LOG_FORMAT", value::log_format).unwrap_or(false),
        },
    }
}

/// A time as people write it, such as `90s`, `30m` or `1h30m`; from a second to a day. The error is one line for a person.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    value::duration(text, value::RUN_TIME).map_err(|wrong| format!("{}; {}", wrong.what, wrong.remedy))
}

/// What is logged when `RUST_LOG` says nothing.
pub const DEFAULT_LOG_FILTER: &str = "info,graphile_worker=warn,sqlx=warn";

fn database(reader: &mut Reader<'_>) -> DatabaseSettings {
    DatabaseSettings {
        url: reader.parse("DATABASE_URL", value::postgres_url),
        postgres_bin: reader.parse("THREADBOX_POSTGRES_BIN", value::directory),
        offline: reader.parse("THREADBOX_OFFLINE", value::boolean).unwrap_or(false),
        archive_url: reader.base_url("THREADBOX_POSTGRES_URL", None),
        search_path: reader.of_process("PATH").map(OsString::from),
    }
}

fn sandbox(reader: &mut Reader<'_>) -> SandboxSettings {
    let kind = sandbox_kind(reader);
    let daytona = daytona::read(reader);
    SandboxSettings {
        kind,
        cpus: reader.parse("SANDBOX_CPUS", |text| value::small_number(text, 1..=256)).unwrap_or(2),
        memory_mb: reader.parse("SANDBOX_MEMORY_MB", |text| value::mebibytes(text, 64..=1024 * 1024)).unwrap_or(2048),
        disk_mb: reader.parse("SANDBOX_DISK_MB", |text| value::mebibytes(text, 16..=16 * 1024 * 1024)).unwrap_or(4096),
        network: network(reader, kind),
        idle_minutes: reader.parse("SANDBOX_IDLE_MINUTES", |text| value::small_number(text, 1..=10_080)).unwrap_or(15),
        warm: WarmSettings {
            size: reader.parse("SANDBOX_WARM", |text| value::small_number(text, 0..=50)).unwrap_or(0),
            hours_per_day: reader.parse("SANDBOX_WARM_HOURS_PER_DAY", |text| value::small_number(text, 0..=1200)).unwrap_or(24),
        },
        daytona,
    }
}

/// What is asked for, else Daytona when there is a credential for it.
fn sandbox_kind(reader: &mut Reader<'_>) -> SandboxKind {
    let can_ask = daytona::is_wanted(reader);
    let default = if can_ask { SandboxKind::Daytona } else { SandboxKind::Local };
    let kind = reader.parse("SANDBOX", value::sandbox_kind).unwrap_or(default);
    if kind == SandboxKind::Daytona && !can_ask {
        reader.problem("SANDBOX", "is daytona, but there is no key for it", format!("{}, or unset SANDBOX", daytona::REMEDY));
    }
    let has_own_size = kind == SandboxKind::Daytona && !reader.has("DAYTONA_IMAGE");
    for name in ["SANDBOX_CPUS", "SANDBOX_MEMORY_MB", "SANDBOX_DISK_MB"] {
        if has_own_size && reader.has(name) {
            let what = "has no effect, because a Daytona snapshot has a size of its own";
            reader.warn(name, what, "choose one with DAYTONA_SNAPSHOT, or set DAYTONA_IMAGE");
        }
    }
    kind
}

/// A private address may be meant, but it is what somebody would want who is not.
fn network(reader: &mut Reader<'_>, kind: SandboxKind) -> Network {
    const NAME: &str = "SANDBOX_NETWORK";
    if kind == SandboxKind::Daytona {
        return reader.parse(NAME, value::network).unwrap_or(Network::Full);
    }
    let network = reader.parse(NAME, value::network).unwrap_or(Network::None);
    if let Ok(Egress::Allow(rules)) = network.egress() {
        for address in rules.iter().filter_map(Rule::opens_private_address) {
            let what = format!("lets code in sandboxes reach {address}, which is not on the public internet");
            reader.warn(NAME, what, "leave it out unless that is meant");
        }
    }
    network
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    let timeout = |text: &str| value::duration(text, value::RUN_TIME);
    Limits {
        max_steps: reader.parse("RUN_MAX_STEPS", |text| value::small_number(text, 1..=1000)).unwrap_or(50),
        run_timeout: reader.parse("RUN_TIMEOUT", timeout).unwrap_or(Duration::from_secs(30 * 60)),
        run_budget_usd: reader.parse("RUN_BUDGET_USD", value::dollars).unwrap_or(2.0),
        daily_budget_usd: reader.parse("DAILY_BUDGET_USD", value::dollars).unwrap_or(50.0),
        user_daily_budget_usd: reader.parse("USER_DAILY_BUDGET_USD", value::dollars),
        repository_daily_budget_usd: reader.parse("REPOSITORY_DAILY_BUDGET_USD", value::dollars),
        user_runs_per_hour: reader.parse("USER_RUNS_PER_HOUR", |text| value::small_number(text, 1..=100_000)).unwrap_or(30),
        max_concurrent_runs: reader.parse("MAX_CONCURRENT_RUNS", |text| value::small_number(text, 1..=1000)).unwrap_or(8),
    }
}

/// Present but empty is an empty list, and an empty list means nobody.
fn allow(reader: &mut Reader<'_>) -> Allow {
    const NAME: &str = "THREADBOX_ALLOW";
    if reader.is_blank(NAME) {
        reader.warn(NAME, "is empty, so nobody may trigger a run", "set it to write, or unset it");
        return Allow::Logins(Vec::new());
    }
    reader.parse(NAME, value::allow).unwrap_or(Allow::Permission(Permission::Write))
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
    /// `PATH`: where installed binaries are looked for.
    pub search_path: Option<OsString>,
}

/// Models and their keys.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// `MODEL`: never empty, the first is asked first.
    pub chain: Vec<ModelName>,
    /// `TITLE_MODEL`, else the chain.
    pub title: Vec<ModelName>,
    /// `EMBEDDING_MODEL`; none for recall by words alone.
    pub embedding: Option<ModelName>,
    /// By provider name in lower case. Holds every provider that a chain names, the known ones that have a key or a base URL, and
    /// others that have both.
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
    /// `SANDBOX_NETWORK`. At Daytona `Full` means what the organisation's plan gives.
    pub network: Network,
    /// `SANDBOX_IDLE_MINUTES`: after which a machine at Daytona is stopped. A local sandbox is only files between two commands.
    pub idle_minutes: u32,
    /// Daytona, when there is a credential for it.
    pub daytona: Option<DaytonaSettings>,
    /// `SANDBOX_WARM` and `SANDBOX_WARM_HOURS_PER_DAY`.
    pub warm: WarmSettings,
}

/// Sandboxes that are made ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmSettings {
    /// How many are held ready for each snapshot; 0 for none.
    pub size: u32,
    /// Sandbox-hours they may idle per day (UTC), together. When they are used up, all are removed until the next day.
    pub hours_per_day: u32,
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
    /// These hosts: names, `*.` and a name, addresses; each may have a port.
    Allow(Vec<String>),
    /// Everything; for local sandboxes, all of the public internet.
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
    /// `DAILY_BUDGET_USD`: everybody and everything together.
    pub daily_budget_usd: f64,
    /// `USER_DAILY_BUDGET_USD`: one person; none for no line of its own.
    pub user_daily_budget_usd: Option<f64>,
    /// `REPOSITORY_DAILY_BUDGET_USD`: one repository; none for no line of its own.
    pub repository_daily_budget_usd: Option<f64>,
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

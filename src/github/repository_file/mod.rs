//! `.github/threadbox.toml`: what a repository says about how it is worked on. Read from the default branch only, so that nobody
//! decides it with a pull request.

mod entry;
mod read;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::memory;
use crate::model::ModelName;
use crate::settings::{Network, Permission};

/// Where it lies.
pub const PATH: &str = ".github/threadbox.toml";

/// What the file says, as far as it is understood; the defaults elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RepositoryFile {
    /// `[agent]`.
    pub agent: AgentSection,
    /// `[triggers]`.
    pub triggers: TriggersSection,
    /// `[allow]`.
    pub allow: AllowSection,
    /// `[sandbox]`.
    pub sandbox: SandboxSection,
    /// `[pull_request]`.
    pub pull_request: PullRequestSection,
    /// `[limits]`.
    pub limits: LimitsSection,
    /// `[memory]`.
    pub memory: memory::Options,
    /// What is wrong with it, in the order of the lines.
    pub problems: Vec<FileProblem>,
    /// The line of each entry that was understood, such as `limits.run_budget_usd`.
    lines: Vec<(String, usize)>,
}

/// `[agent]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentSection {
    /// `provider/model`; a comma-separated list is a fallback chain. Empty when the file says nothing; else without repetitions.
    pub model: Vec<ModelName>,
    /// Added to what the agent is told.
    pub instructions: Option<String>,
    /// Steps of a run; never more than the service allows.
    pub max_steps: Option<u32>,
}

/// `[triggers]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggersSection {
    /// Whether a mention in free words counts. Where it does not, commands still do.
    pub mention: bool,
    /// The label that counts; none for no label.
    pub label: Option<String>,
    /// True when pull requests are reviewed as they are opened and pushed to.
    pub reviews_pull_requests: bool,
    /// True when failed checks of pull requests are worked on.
    pub fixes_checks: bool,
}

impl Default for TriggersSection {
    fn default() -> Self {
        Self { mention: true, label: Some("threadbox".to_owned()), reviews_pull_requests: false, fixes_checks: false }
    }
}

/// `[allow]`: who may beside those the service allows, or instead of them where `permission` is stricter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowSection {
    /// Logins.
    pub users: Vec<String>,
    /// Slugs of teams of the owning organisation.
    pub teams: Vec<String>,
    /// The permission it takes.
    pub permission: Option<Permission>,
}

/// `[pull_request]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequestSection {
    /// How they are opened.
    pub mode: PullRequestMode,
    /// What the names of our branches begin with, such as `threadbox/`. With anything of letters, digits and `-` after it, it is a valid
    /// name of a branch.
    pub branch_prefix: String,
}

impl Default for PullRequestSection {
    fn default() -> Self {
        Self { mode: PullRequestMode::Draft, branch_prefix: "threadbox/".to_owned() }
    }
}

/// How pull requests are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullRequestMode {
    /// As drafts.
    Draft,
    /// Ready for review.
    Ready,
    /// Not at all; the answer carries a patch.
    None,
}

/// `[limits]`: ceilings below those of the service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LimitsSection {
    /// Dollars of a run.
    pub run_budget_usd: Option<f64>,
    /// Dollars of a day, for this repository.
    pub daily_budget_usd: Option<f64>,
    /// Dollars of a day, for one person in all repositories together.
    pub user_daily_budget_usd: Option<f64>,
    /// How long a run may last.
    pub run_timeout: Option<Duration>,
    /// Runs a person may start in an hour here.
    pub user_runs_per_hour: Option<u32>,
}

/// `[sandbox]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxSection {
    /// What sandboxes are made from, in the provider's words.
    pub snapshot: Option<String>,
    /// Run once after the checkout.
    pub setup: Option<String>,
    /// How the repository is tested.
    pub test: Option<String>,
    /// How its files are formatted, in place.
    pub format: Option<String>,
    /// What sandboxes may reach; never more than the service allows.
    pub network: Option<Network>,
}

/// Something wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{PATH}, line {line}: {reason}")]
pub struct FileProblem {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl RepositoryFile {
    /// Reads the file. What is wrong is noted and has no effect; where it is no TOML at all, nothing has.
    pub fn parse(content: &[u8]) -> Self {
        read::read(content)
    }

    /// Notes something about an entry that only whoever knows the service's own settings can tell, such as a limit above the service's.
    pub fn note(&self, entry: &str, reason: String) -> FileProblem {
        let line = self.lines.iter().find(|(known, _)| known == entry).map_or(1, |(_, line)| *line);
        FileProblem { line, reason }
    }
}

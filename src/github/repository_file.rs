//! `.github/threadbox.toml`: what a repository says about how it is worked on. Read from the default branch only, so that nobody
//! decides it with a pull request.

use toml::de::{DeTable, DeValue};

use crate::settings::Permission;

/// Where it lies.
pub const PATH: &str = ".github/threadbox.toml";
/// Nobody writes a longer one.
const LARGEST: usize = 64 << 10;
const LONGEST_COMMAND: usize = 16 << 10;

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
    /// What is wrong with it, in the order of the lines.
    pub problems: Vec<FileProblem>,
}

/// `[agent]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentSection {
    /// `provider/model`; a comma-separated list is a fallback chain.
    pub model: Option<String>,
    /// Added to what the agent is told.
    pub instructions: Option<String>,
    /// Steps of a run; never more than the service allows.
    pub max_steps: Option<u32>,
}

/// `[triggers]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggersSection {
    /// Whether a mention counts.
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
    /// What the names of our branches begin with, such as `threadbox/`.
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
    /// `none`, `allow:host,…` or `full`; carried, not yet used.
    pub network: Option<String>,
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

/// Sections that mean something, also those that are not read here.
const SECTIONS: [&str; 6] = ["agent", "triggers", "allow", "sandbox", "pull_request", "limits"];
const SANDBOX: [&str; 5] = ["snapshot", "setup", "test", "format", "network"];

impl RepositoryFile {
    /// Reads the file. What is wrong is noted and has no effect; where it is no TOML at all, nothing has.
    pub fn parse(content: &[u8]) -> Self {
        let mut file = Self::default();
        let text = match std::str::from_utf8(content) {
            Ok(text) if text.len() <= LARGEST => text,
            Ok(_) => return Self::wrong(1, format!("is longer than {LARGEST} bytes")),
            Err(_) => return Self::wrong(1, "is not UTF-8"),
        };
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(text, span.start));
                return Self::wrong(line, error.message().to_owned());
            }
        };
        for (name, value) in table.get_ref() {
            let line = line_of(text, name.span().start);
            match (name.get_ref().as_ref(), value.get_ref()) {
                ("sandbox", DeValue::Table(section)) => file.read_sandbox(text, section),
                (known, DeValue::Table(_)) if SECTIONS.contains(&known) => {}
                (known, _) if SECTIONS.contains(&known) => {
                    file.problem(line, format!("`{known}` must be a section, `[{known}]`"))
                }
                (unknown, _) => file.problem(line, unknown_name("section", unknown, &SECTIONS)),
            }
        }
        file.problems.sort_by_key(|problem| problem.line);
        file
    }

    fn read_sandbox(&mut self, text: &str, section: &DeTable<'_>) {
        for (name, value) in section {
            let line = line_of(text, name.span().start);
            let name = name.get_ref().as_ref();
            let DeValue::String(value) = value.get_ref() else {
                let reason = if SANDBOX.contains(&name) {
                    format!("`{name}` must be a text in quotes")
                } else {
                    unknown_name("entry of `[sandbox]`", name, &SANDBOX)
                };
                self.problem(line, reason);
                continue;
            };
            let value = value.trim();
            if value.len() > LONGEST_COMMAND || value.contains('\0') {
                self.problem(line, format!("`{name}` is too long or has a NUL character"));
                continue;
            }
            let value = (!value.is_empty()).then(|| value.to_owned());
            match name {
                "snapshot" => self.sandbox.snapshot = value,
                "setup" => self.sandbox.setup = value,
                "test" => self.sandbox.test = value,
                "format" => self.sandbox.format = value,
                "network" => self.sandbox.network = value,
                unknown => self.problem(line, unknown_name("entry of `[sandbox]`", unknown, &SANDBOX)),
            }
        }
    }

    fn problem(&mut self, line: usize, reason: String) {
        self.problems.push(FileProblem { line, reason });
    }

    fn wrong(line: usize, reason: impl Into<String>) -> Self {
        Self { problems: vec![FileProblem { line, reason: reason.into() }], ..Self::default() }
    }
}

fn unknown_name(what: &str, name: &str, known: &[&str]) -> String {
    let alike = known.iter().map(|known| (strsim::normalized_damerau_levenshtein(name, known), known));
    let guess = alike.filter(|(alike, _)| *alike > 0.6).max_by(|a, b| a.0.total_cmp(&b.0));
    let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    match guess {
        Some((_, guess)) => format!("unknown {what} `{name}`; did you mean `{guess}`?"),
        None => format!("unknown {what} `{name}`; there are {}", known.join(", ")),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problems(text: &str) -> String {
        let problems = RepositoryFile::parse(text.as_bytes()).problems;
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_sandbox_section_is_read_and_others_are_left_alone() {
        let file = RepositoryFile::parse(
            b"[agent]\nmodel = \"x/y\"\n[limits]\nmax_steps = 3\n\n[sandbox]\nsetup = \"\"\"\nnpm ci\nnpm run build\"\"\"\ntest = 'npm test'\nsnapshot = 'node'\nnetwork = 'none'\n",
        );
        let sandbox = SandboxSection {
            snapshot: Some("node".into()),
            setup: Some("npm ci\nnpm run build".into()),
            test: Some("npm test".into()),
            network: Some("none".into()),
            ..SandboxSection::default()
        };
        assert_eq!(file, RepositoryFile { sandbox, ..RepositoryFile::default() });
        assert_eq!(RepositoryFile::parse(b""), RepositoryFile::default());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        insta::assert_snapshot!(
            problems("sandbox = 1\n[sandbx]\n[zzz]\n"), @r"
        .github/threadbox.toml, line 1: `sandbox` must be a section, `[sandbox]`
        .github/threadbox.toml, line 2: unknown section `sandbx`; did you mean `sandbox`?
        .github/threadbox.toml, line 3: unknown section `zzz`; there are agent, triggers, allow, sandbox, pull_request, limits
        ");
        insta::assert_snapshot!(
            problems("[sandbox]\nsetup = 3\nsetpu = 'x'\ntset = 1\n"), @r"
        .github/threadbox.toml, line 2: `setup` must be a text in quotes
        .github/threadbox.toml, line 3: unknown entry of `[sandbox]` `setpu`; did you mean `setup`?
        .github/threadbox.toml, line 4: unknown entry of `[sandbox]` `tset`; did you mean `test`?
        ");
        assert!(problems("[sandbox]\nsetup = 'x'\n[sandbox").contains("line 3"));
    }

    proptest! {
        #[test]
        fn no_file_breaks_the_reader(text in "\\PC{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            RepositoryFile::parse(&bytes);
            let file = RepositoryFile::parse(format!("[sandbox]\nsetup = {text}").as_bytes());
            prop_assert!(file.problems.iter().all(|problem| problem.line >= 1));
        }
    }
}

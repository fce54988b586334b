//! From TOML to the sections. What is wrong is noted with its line, and everything else counts all the same.

use toml::de::{DeTable, DeValue};

use super::entry::{self, Read};
use super::{FileProblem, RepositoryFile};
use crate::memory;

/// Nobody writes a longer one.
const LARGEST: usize = 64 << 10;
/// More problems are not worth listing.
const MOST_PROBLEMS: usize = 50;
const MOST_STEPS: u32 = 1000;
const MOST_RUNS: u32 = 100_000;
const MOST_PASSAGES: usize = 20;
const MOST_NEIGHBOURS: usize = 10;
const SECTIONS: [&str; 7] = ["agent", "triggers", "allow", "sandbox", "pull_request", "limits", "memory"];
const AGENT: &[&str] = &["model", "instructions", "max_steps"];
const TRIGGERS: &[&str] = &["mention", "label", "on_pull_request", "on_check_failure"];
const ALLOW: &[&str] = &["users", "teams", "permission"];
const SANDBOX: &[&str] = &["snapshot", "setup", "test", "format", "network"];
const PULL_REQUEST: &[&str] = &["mode", "branch_prefix"];
const LIMITS: &[&str] = &["run_budget_usd", "daily_budget_usd", "user_daily_budget_usd", "run_timeout", "user_runs_per_hour"];
const MEMORY: &[&str] = &["recall", "scope", "top_k", "before", "after", "threshold", "working_memory", "template", "titles"];

pub(super) fn read(content: &[u8]) -> RepositoryFile {
    let text = match std::str::from_utf8(content) {
        Ok(text) if text.len() <= LARGEST => text,
        Ok(_) => return wrong(1, format!("is longer than {LARGEST} bytes")),
        Err(error) => return wrong(line_of_bytes(content, error.valid_up_to()), "is not UTF-8"),
    };
    // Some editors put a mark at the beginning.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            return wrong(line, error.message().lines().next().unwrap_or_default());
        }
    };
    let mut reader = Reader { text, file: RepositoryFile::default() };
    for (name, value) in table.get_ref() {
        let line = line_of(text, name.span().start);
        match (name.get_ref().as_ref(), value.get_ref()) {
            (known, DeValue::Table(section)) if SECTIONS.contains(&known) => reader.section(known, section),
            (known, _) if SECTIONS.contains(&known) => {
                reader.problem(line, format!("`{known}` must be a section, `[{known}]`"));
            }
            (unknown, _) => {
                let elsewhere = section_of(unknown).map(|section| format!("`{unknown}` belongs under `[{section}]`"));
                reader.problem(line, elsewhere.unwrap_or_else(|| unknown_name("section", unknown, &SECTIONS)));
            }
        }
    }
    let mut file = reader.file;
    file.problems.sort_by_key(|problem| problem.line);
    file.problems.truncate(MOST_PROBLEMS);
    file
}

fn wrong(line: usize, reason: impl Into<String>) -> RepositoryFile {
    RepositoryFile { problems: vec![FileProblem { line, reason: reason.into() }], ..RepositoryFile::default() }
}

fn entries_of(section: &str) -> &'static [&'static str] {
    match section {
        "agent" => AGENT,
        "triggers" => TRIGGERS,
        "allow" => ALLOW,
        "sandbox" => SANDBOX,
        "pull_request" => PULL_REQUEST,
        "memory" => MEMORY,
        _ => LIMITS,
    }
}

/// Where an entry that stands in no section belongs.
fn section_of(entry: &str) -> Option<&'static str> {
    SECTIONS.into_iter().find(|section| entries_of(section).contains(&entry))
}

struct Reader<'t> {
    text: &'t str,
    file: RepositoryFile,
}

impl Reader<'_> {
    fn section(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let line = line_of(self.text, name.span().start);
            let name = name.get_ref().as_ref();
            let known = entries_of(section);
            if !known.contains(&name) {
                let what = format!("entry of `[{section}]`");
                let elsewhere = section_of(name).map(|other| format!("`{}` belongs under `[{other}]`", short(name)));
                self.problem(line, elsewhere.unwrap_or_else(|| unknown_name(&what, name, known)));
                continue;
            }
            match self.entry(section, name, value.get_ref()) {
                Ok(()) => self.file.lines.push((format!("{section}.{name}"), line)),
                Err(reason) => self.problem(line, format!("`{name}` {reason}")),
            }
        }
    }

    /// One known entry takes effect.
    fn entry(&mut self, section: &str, name: &str, value: &DeValue<'_>) -> Read<()> {
        let file = &mut self.file;
        match (section, name) {
            ("agent", "model") => file.agent.model = entry::models(value)?,
            ("agent", "instructions") => file.agent.instructions = entry::text(value)?,
            ("agent", "max_steps") => file.agent.max_steps = Some(entry::whole(value, MOST_STEPS)?),
            ("triggers", "mention") => file.triggers.mention = entry::boolean(value)?,
            ("triggers", "label") => file.triggers.label = entry::label(value)?,
            ("triggers", "on_pull_request") => file.triggers.reviews_pull_requests = entry::switch(value, "review")?,
            ("triggers", "on_check_failure") => file.triggers.fixes_checks = entry::switch(value, "fix")?,
            ("allow", "users") => file.allow.users = entry::logins(value)?,
            ("allow", "teams") => file.allow.teams = entry::teams(value)?,
            ("allow", "permission") => file.allow.permission = Some(entry::permission(value)?),
            ("sandbox", "snapshot") => file.sandbox.snapshot = entry::text(value)?,
            ("sandbox", "setup") => file.sandbox.setup = entry::text(value)?,
            ("sandbox", "test") => file.sandbox.test = entry::text(value)?,
            ("sandbox", "format") => file.sandbox.format = entry::text(value)?,
            ("sandbox", "network") => file.sandbox.network = Some(entry::network(value)?),
            ("pull_request", "mode") => file.pull_request.mode = entry::mode(value)?,
            ("pull_request", "branch_prefix") => file.pull_request.branch_prefix = entry::branch_prefix(value)?,
            ("limits", "run_budget_usd") => file.limits.run_budget_usd = Some(entry::dollars(value)?),
            ("limits", "daily_budget_usd") => file.limits.daily_budget_usd = Some(entry::dollars(value)?),
            ("limits", "user_daily_budget_usd") => file.limits.user_daily_budget_usd = Some(entry::dollars(value)?),
            ("limits", "run_timeout") => file.limits.run_timeout = Some(entry::duration(value)?),
            ("limits", "user_runs_per_hour") => file.limits.user_runs_per_hour = Some(entry::whole(value, MOST_RUNS)?),
            ("memory", _) => return memory(&mut file.memory, name, value),
            _ => return Err("has no meaning here".to_owned()),
        }
        Ok(())
    }

    fn problem(&mut self, line: usize, reason: String) {
        self.file.problems.push(FileProblem { line, reason });
    }
}

/// One known entry of `[memory]` takes effect.
fn memory(memory: &mut memory::Options, name: &str, value: &DeValue<'_>) -> Read<()> {
    match name {
        "recall" => memory.recall = entry::boolean(value)?,
        "scope" => memory.scope = entry::reach(value)?,
        "top_k" => memory.top_k = entry::within(value, 1..=MOST_PASSAGES)?,
        "before" => memory.before = entry::within(value, 0..=MOST_NEIGHBOURS)?,
        "after" => memory.after = entry::within(value, 0..=MOST_NEIGHBOURS)?,
        "threshold" => memory.threshold = Some(entry::share(value)?),
        "working_memory" => memory.working = entry::working_memory(value)?,
        "template" => memory.template = entry::template(value)?,
        "titles" => memory.titles = entry::boolean(value)?,
        _ => return Err("has no meaning here".to_owned()),
    }
    Ok(())
}

fn unknown_name(what: &str, name: &str, known: &[&str]) -> String {
    let alike = known.iter().map(|known| (strsim::normalized_damerau_levenshtein(name, known), known));
    let guess = alike.filter(|(alike, _)| *alike > 0.6).max_by(|a, b| a.0.total_cmp(&b.0));
    let name = short(name);
    match guess {
        Some((_, guess)) => format!("unknown {what} `{name}`; did you mean `{guess}`?"),
        None => format!("unknown {what} `{name}`; there are {}", known.join(", ")),
    }
}

fn short(name: &str) -> String {
    name.chars().filter(|c| !c.is_control() && *c != '`').take(60).collect()
}

fn line_of(text: &str, offset: usize) -> usize {
    line_of_bytes(text.as_bytes(), offset)
}

fn line_of_bytes(bytes: &[u8], offset: usize) -> usize {
    bytes[..offset.min(bytes.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

//! What the process tools share: reading on where the last reading ended, and waiting for output.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::ToolContext;
use crate::sandbox::{Killed, Offsets, ProcessReport, ProcessState, Sandbox, SandboxError, SandboxId};

/// Longest wait of one call.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(60);
/// Bytes asked for at once.
const PAGE: usize = 64 << 10;
/// Pages of output that are passed over in one call to catch up.
const MAX_PAGES: usize = 256;
/// How often a waiting call looks.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);
/// Characters of a name.
const MAX_NAME: usize = 40;

/// Where reading begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// Where the last reading ended; all that is new is passed through, and the middle of too much is left out.
    LastRead,
    /// At these bytes; as much as fits is shown.
    Bytes(Offsets),
}

/// What to wait for, and how long.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience {
    pub time: Duration,
    /// Any output when unset.
    pub until: Option<Regex>,
}

impl Patience {
    /// Of the arguments of a tool.
    pub(super) fn of(seconds: Option<f64>, pattern: Option<&str>) -> Result<Self, SandboxError> {
        let until = pattern.map(|pattern| {
            let built = regex::RegexBuilder::new(pattern).multi_line(true).size_limit(1 << 20).build();
            built.map_err(|error| SandboxError::Invalid(format!("waitFor is not a regular expression: {error}")))
        });
        let until = until.transpose()?;
        let default = if until.is_some() { 30.0 } else { 0.0 };
        let time = Duration::try_from_secs_f64(seconds.unwrap_or(default).max(0.0)).unwrap_or(MAX_WAIT).min(MAX_WAIT);
        Ok(Self { time, until })
    }
}

/// A name that every provider takes.
pub(super) fn check_name(name: &str) -> Result<(), SandboxError> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(fine) && !name.starts_with(['.', '-']) {
        return Ok(());
    }
    let shown = super::text::cut(name, 80);
    Err(SandboxError::Invalid(format!(
        "`{shown}` cannot be the name of a process; use at most {MAX_NAME} letters, digits, `-`, `_` and `.`, such as `server`"
    )))
}

/// A name made from the command, unlike those that are taken.
pub(super) fn name_for(command: &str, taken: &[String]) -> String {
    let words = command.split_whitespace().filter(|word| !word.contains('='));
    let word = words.into_iter().next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let plain: String = word.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(MAX_NAME - 8).collect();
    let plain = plain.trim_start_matches('-');
    let base = if plain.is_empty() { "process" } else { plain };
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    let mut names = std::iter::once(base.to_owned()).chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or_else(|| base.to_owned())
}

/// An error that names the processes there are.
pub(super) async fn unknown(sandbox: &dyn Sandbox, name: &str) -> SandboxError {
    let there = match sandbox.processes().await.as_deref() {
        Ok([]) => "none was started here; use startProcess".to_owned(),
        Ok(names) => format!("there is {}", names.join(", ")),
        Err(error) => return error.clone(),
    };
    SandboxError::Invalid(format!("there is no process `{name}`; {there}"))
}

/// The process that is meant: the named one, or the only one.
pub(super) async fn named(sandbox: &dyn Sandbox, name: Option<String>) -> Result<String, SandboxError> {
    if let Some(name) = name.filter(|name| !name.trim().is_empty()) {
        return Ok(name);
    }
    match &sandbox.processes().await?[..] {
        [only] => Ok(only.clone()),
        [] => Err(SandboxError::Invalid("no process was started here; use startProcess".to_owned())),
        names => Err(SandboxError::Invalid(format!("there are several processes, give name: {}", names.join(", ")))),
    }
}

/// Where the last reading of each process ended. A run that goes on after a restart reads from the beginning again.
#[derive(Debug, Default)]
pub struct Readings(Mutex<HashMap<(SandboxId, String), Offsets>>);

impl Readings {
    fn last(&self, sandbox: &dyn Sandbox, name: &str) -> Offsets {
        let readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readings.get(&(sandbox.id().clone(), name.to_owned())).copied().unwrap_or_default()
    }

    /// Remembers where the next reading begins.
    pub(super) fn remember(&self, sandbox: &dyn Sandbox, name: &str, next: Offsets) {
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readings.insert((sandbox.id().clone(), name.to_owned()), next);
    }
}

/// What was read of a process.
pub(super) struct Seen {
    pub state: ProcessState,
    stdout: Collected,
    stderr: Collected,
    /// Bytes that were printed but are no longer kept.
    lost: u64,
    next: Offsets,
    /// Whether the pattern was found; none when there was none.
    found: Option<bool>,
    /// True when there is more that was not passed over.
    more: bool,
}

/// Reads what a process printed, waiting for it when asked, and remembers where it stopped.
pub(super) async fn read(
    ctx: &ToolContext<'_>,
    sandbox: &dyn Sandbox,
    name: &str,
    from: From,
    patience: &Patience,
) -> Result<Seen, SandboxError> {
    let begin = match from {
        From::LastRead => ctx.sandboxes.readings().last(sandbox, name),
        From::Bytes(offsets) => offsets,
    };
    let room = ctx.limits.output_bytes / 2;
    let (page, pages) = match from {
        From::LastRead => (PAGE, MAX_PAGES),
        From::Bytes(_) => (room, 1),
    };
    let mut seen = Seen {
        state: ProcessState::Running,
        stdout: Collected::new(room),
        stderr: Collected::new(room),
        lost: 0,
        next: begin,
        found: None,
        more: false,
    };
    let deadline = Instant::now() + patience.time;
    let mut pause = SHORTEST_PAUSE;
    let mut reads = 0;
    loop {
        let report = match sandbox.process(name, seen.next, page).await {
            Ok(report) => report,
            Err(SandboxError::NotFound(_)) => return Err(unknown(sandbox, name).await),
            Err(error) => return Err(error),
        };
        seen.more = report.stdout.len() >= page || report.stderr.len() >= page;
        seen.take(report);
        seen.found = patience.until.as_ref().map(|pattern| seen.stdout.contains(pattern) || seen.stderr.contains(pattern));
        reads += 1;
        if seen.more && reads < pages {
            continue;
        }
        let satisfied = seen.found.unwrap_or(seen.stdout.total + seen.stderr.total > 0);
        let over = seen.state != ProcessState::Running || Instant::now() >= deadline || ctx.cancel.is_cancelled();
        if satisfied || over || seen.more {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(pause.min(deadline.saturating_duration_since(Instant::now()))) => {}
            () = ctx.cancel.cancelled() => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    seen.keep_characters_whole();
    ctx.sandboxes.readings().remember(sandbox, name, seen.next);
    Ok(seen)
}

impl Seen {
    fn take(&mut self, report: ProcessReport) {
        self.lost += report.from.stdout.saturating_sub(self.next.stdout) + report.from.stderr.saturating_sub(self.next.stderr);
        self.stdout.push(&report.stdout);
        self.stderr.push(&report.stderr);
        self.next = report.next;
        self.state = report.state;
    }

    /// A character that is printed only in part is left for the next reading.
    fn keep_characters_whole(&mut self) {
        if self.state == ProcessState::Running || self.more {
            self.next.stdout -= self.stdout.drop_partial();
            self.next.stderr -= self.stderr.drop_partial();
        }
    }

    /// The fields every process tool reports.
    pub(super) fn content(&self, name: &str) -> Value {
        let mut content = json!({
            "name": name,
            "state": state_name(self.state),
            "stdout": self.stdout.text(),
            "stderr": self.stderr.text(),
            "next": { "stdout": self.next.stdout, "stderr": self.next.stderr },
        });
        if let ProcessState::Ended { exit_code, killed } = self.state {
            content["exitCode"] = json!(exit_code);
            if let Some(why) = killed {
                content["killed"] = json!(why_killed(why));
            }
        }
        if let Some(found) = self.found {
            content["found"] = json!(found);
        }
        let omitted = self.stdout.omitted() + self.stderr.omitted();
        if omitted > 0 {
            content["omittedBytes"] = json!(omitted);
        }
        if self.lost > 0 {
            content["lostBytes"] = json!(self.lost);
        }
        if self.more {
            content["note"] = json!("There is more output; read on from `next`.");
        }
        content
    }

    /// How it is, in two words.
    pub(super) fn ending(&self) -> String {
        match self.state {
            ProcessState::Running => "running".to_owned(),
            ProcessState::Ended { exit_code, .. } => format!("exit {exit_code}"),
            ProcessState::Lost => "lost".to_owned(),
        }
    }
}

fn state_name(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Running => "running",
        ProcessState::Ended { .. } => "ended",
        ProcessState::Lost => "lost: its sandbox was restarted, and it with it; start it again if it is needed",
    }
}

fn why_killed(why: Killed) -> &'static str {
    match why {
        Killed::Timeout => "its time was over",
        Killed::Cancelled => "it was stopped",
        Killed::DiskLimit => "the sandbox ran out of disk space",
        Killed::MemoryLimit => "it used more memory than the sandbox has",
        Killed::Lost => "the sandbox was restarted",
    }
}

/// The first and the last part of a stream.
struct Collected {
    room: usize,
    head: Vec<u8>,
    tail: Vec<u8>,
    total: u64,
}

impl Collected {
    fn new(room: usize) -> Self {
        Self { room, head: Vec::new(), tail: Vec::new(), total: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(self.room / 2 - self.head.len().min(self.room / 2)));
        self.head.extend_from_slice(first);
        self.tail.extend_from_slice(rest);
        let most = self.room - self.room / 2;
        if self.tail.len() > most {
            self.tail.drain(..self.tail.len() - most);
        }
    }

    fn omitted(&self) -> u64 {
        self.total - (self.head.len() + self.tail.len()) as u64
    }

    fn contains(&self, pattern: &Regex) -> bool {
        if self.omitted() == 0 {
            return pattern.is_match(&self.text());
        }
        pattern.is_match(&String::from_utf8_lossy(&self.head)) || pattern.is_match(&String::from_utf8_lossy(&self.tail))
    }

    fn text(&self) -> String {
        let omitted = self.omitted();
        if omitted == 0 {
            return String::from_utf8_lossy(&[&self.head[..], &self.tail[..]].concat()).into_owned();
        }
        let (head, tail) = (String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&self.tail));
        format!("{head}\n[… {omitted} bytes left out …]\n{tail}")
    }

    /// Takes the beginning of a character off the end. Returns how many bytes that were.
    fn drop_partial(&mut self) -> u64 {
        let last = if self.tail.is_empty() { &mut self.head } else { &mut self.tail };
        let partial = match std::str::from_utf8(&last[last.len().saturating_sub(4)..]) {
            Ok(_) => 0,
            // The cut may be within a character too, so only the end of the error is looked at.
            Err(_) => (1..=last.len().min(3)).find(|length| begins_character(&last[last.len() - length..])).unwrap_or(0),
        };
        last.truncate(last.len() - partial);
        self.total -= partial as u64;
        partial as u64
    }
}

/// Whether these bytes are the beginning of a longer character.
fn begins_character(bytes: &[u8]) -> bool {
    let wanted = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return false,
    };
    bytes.len() < wanted && bytes[1..].iter().all(|byte| byte & 0xc0 == 0x80)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_come_from_the_command() {
        let taken = ["npm".to_owned(), "npm-2".to_owned()];
        assert_eq!(name_for("PORT=1 ./bin/server --x", &[]), "server");
        assert_eq!(name_for("npm run dev", &taken), "npm-3");
        assert_eq!(name_for("((", &[]), "process");
        assert!(check_name("web-1.x").is_ok());
        for wrong in ["", "a b", "../x", "-x", &"x".repeat(41), "ä"] {
            assert!(check_name(wrong).unwrap_err().to_string().contains("such as `server`"), "{wrong}");
        }
    }

    #[test]
    fn too_much_loses_its_middle() {
        let mut collected = Collected::new(10);
        for piece in ["abc", "defgh", "ijkl", "mno"] {
            collected.push(piece.as_bytes());
        }
        assert_eq!(collected.text(), "abcde\n[… 5 bytes left out …]\nklmno");
        let mut small = Collected::new(100);
        small.push(b"x\xf0\x9f\x98");
        assert_eq!((small.drop_partial(), small.text().as_str(), small.drop_partial()), (3, "x", 0));
        small.push("ä".as_bytes());
        assert_eq!(small.drop_partial(), 0);
    }

    #[test]
    fn patience_has_an_end() {
        let time = |seconds, pattern| Patience::of(seconds, pattern).unwrap().time.as_secs_f64();
        assert_eq!(
            (time(None, None), time(Some(2.5), None), time(Some(1e9), None), time(Some(-1.0), None)),
            (0.0, 2.5, 60.0, 0.0)
        );
        assert_eq!(time(None, Some("ready")), 30.0);
        assert!(Patience::of(None, Some("(")).unwrap_err().to_string().contains("not a regular expression"));
    }
}

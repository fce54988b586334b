//! What runCode and runCommand share: timeouts, new files, and how a run is told.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::pictures::{self, Pictures};
use super::{ToolContext, ToolLimits, diff};
use crate::reply::Execution;
use crate::sandbox::{Exec, Executed, Killed, Sandbox, SandboxError, WalkBounds};

const BOUNDS: WalkBounds = WalkBounds { depth: 16, entries: 5_000, skip: &diff::SKIPPED };
const MAX_NEW_FILES: usize = 50;

/// The wall clock of a run: the default when unset, the most there is when zero (for ever) or more than that.
pub(super) fn timeout(limits: &ToolLimits, seconds: Option<f64>) -> Duration {
    match seconds {
        Some(seconds) if seconds > 0.0 => {
            Duration::try_from_secs_f64(seconds).map_or(limits.max_timeout, |asked| asked.min(limits.max_timeout))
        }
        Some(0.0) => limits.max_timeout,
        Some(_) | None => limits.default_timeout.min(limits.max_timeout),
    }
}

/// A run and the files it made.
pub(super) struct Ran {
    pub executed: Executed,
    pub new_files: Vec<String>,
    /// Pictures that are new or changed.
    pub pictures: Pictures,
    timeout: Duration,
}

/// Runs, and looks which files are new afterwards.
pub(super) async fn run(ctx: &ToolContext<'_>, sandbox: &dyn Sandbox, exec: Exec) -> Result<Ran, SandboxError> {
    let timeout = exec.timeout;
    let before = Files::look(sandbox, Depth::All).await;
    let executed = sandbox.exec(exec, ctx.cancel).await?;
    let (new_files, touched) = match before {
        Some(before) => before.compare(sandbox).await,
        None => (Vec::new(), Vec::new()),
    };
    let pictures = pictures::collect(ctx, sandbox, touched).await;
    Ok(Ran { executed, new_files, pictures, timeout })
}

/// How much of the workspace is compared. Where there are too many files for all of it, what lies at its top is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    All,
    Top,
}

/// The files of a workspace at one moment, with what tells whether they changed.
struct Files {
    depth: Depth,
    seen: BTreeMap<String, (u64, DateTime<Utc>)>,
}

impl Files {
    async fn look(sandbox: &dyn Sandbox, depth: Depth) -> Option<Self> {
        let tried: &[Depth] = if depth == Depth::All { &[Depth::All, Depth::Top] } else { &[Depth::Top] };
        for depth in tried.iter().copied() {
            let bounds = match depth {
                Depth::All => BOUNDS,
                Depth::Top => WalkBounds { depth: 1, ..BOUNDS },
            };
            let walked = sandbox.walk(".", bounds).await.ok()?;
            if walked.complete {
                let files = walked.entries.into_iter().filter(|(_, info)| !info.is_dir);
                return Some(Self { depth, seen: files.map(|(path, info)| (path, (info.size, info.modified))).collect() });
            }
        }
        None
    }

    /// Files that are new since, and those that are new or changed.
    async fn compare(mut self, sandbox: &dyn Sandbox) -> (Vec<String>, Vec<(String, u64)>) {
        let Some(mut now) = Self::look(sandbox, self.depth).await else { return (Vec::new(), Vec::new()) };
        if now.depth != self.depth {
            self.seen.retain(|path, _| !path.contains('/'));
        }
        let new: Vec<String> = now.seen.keys().filter(|path| !self.seen.contains_key(*path)).cloned().collect();
        now.seen.retain(|path, state| self.seen.get(path) != Some(state));
        (new, now.seen.into_iter().map(|(path, (size, _))| (path, size)).collect())
    }
}

impl Ran {
    /// Fields every run reports.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let executed = &self.executed;
        let mut fields = Map::new();
        fields.insert("exitCode".to_owned(), json!(executed.exit_code));
        fields.insert("stdout".to_owned(), json!(executed.stdout.text()));
        fields.insert("stderr".to_owned(), json!(executed.stderr.text()));
        let omitted = executed.stdout.omitted + executed.stderr.omitted;
        if omitted > 0 {
            fields.insert("omittedBytes".to_owned(), json!(omitted));
        }
        if !self.new_files.is_empty() {
            let shown: Vec<_> = self.new_files.iter().take(MAX_NEW_FILES).collect();
            fields.insert("newFiles".to_owned(), json!(shown));
        }
        if self.new_files.len() > MAX_NEW_FILES {
            fields.insert("newFilesOmitted".to_owned(), json!(self.new_files.len() - MAX_NEW_FILES));
        }
        self.pictures.tell(&mut fields);
        if let Some(why) = executed.killed {
            fields.insert("killed".to_owned(), json!(self.why(why)));
        }
        fields
    }

    fn why(&self, killed: Killed) -> String {
        match killed {
            Killed::Timeout => format!(
                "It was killed after {} s; what it printed until then is kept. Raise timeoutSeconds, or do it in smaller parts.",
                self.timeout.as_secs_f64()
            ),
            Killed::Cancelled => "It was killed because the run was stopped.".to_owned(),
            Killed::DiskLimit => {
                "It was killed because the sandbox ran out of disk space; delete files that are not needed.".to_owned()
            }
            Killed::MemoryLimit => "It was killed because it used more memory than the sandbox has.".to_owned(),
            Killed::Lost => {
                "It was killed by a restart of the sandbox, or because the sandbox ran out of memory; what it printed until then \
                 is here, and files it wrote are still there."
                    .to_owned()
            }
        }
    }

    /// How it ended, in two words.
    pub(super) fn ending(&self) -> String {
        match self.executed.killed {
            None => format!("exit {}", self.executed.exit_code),
            Some(Killed::Timeout) => format!("timeout after {} s", self.timeout.as_secs_f64()),
            Some(Killed::Cancelled) => "stopped".to_owned(),
            Some(Killed::DiskLimit) => "disk full".to_owned(),
            Some(Killed::MemoryLimit) => "out of memory".to_owned(),
            Some(Killed::Lost) => "lost in a restart".to_owned(),
        }
    }

    /// For the answer.
    pub(super) fn execution(&self, language: &str, code: String) -> Execution {
        let (stdout, stderr) = (self.executed.stdout.text(), self.executed.stderr.text());
        let killed = self.executed.killed.map(|why| format!("\n[{}]", self.why(why))).unwrap_or_default();
        let between = if stdout.is_empty() || stderr.is_empty() || stdout.ends_with('\n') { "" } else { "\n" };
        Execution {
            language: language.to_owned(),
            code,
            output: format!("{stdout}{between}{stderr}{killed}{}", self.pictures.note()),
            exit_code: Some(self.executed.exit_code),
            duration_ms: millis(self.executed.duration),
            omitted: self.executed.stdout.omitted + self.executed.stderr.omitted,
            new_files: self.new_files.iter().take(MAX_NEW_FILES).cloned().collect(),
        }
    }
}

/// For the answer, when nothing ran.
pub(super) fn not_run(language: &str, code: String, error: &SandboxError) -> Execution {
    Execution {
        language: language.to_owned(),
        code,
        output: error.to_string(),
        exit_code: None,
        duration_ms: 0,
        omitted: 0,
        new_files: Vec::new(),
    }
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_stay_within_their_limits() {
        let limits = ToolLimits {
            default_timeout: Duration::from_secs(10),
            max_timeout: Duration::from_secs(100),
            ..ToolLimits::default()
        };
        let seconds = |given| timeout(&limits, given).as_secs_f64();
        let given = [None, Some(0.5), Some(0.0), Some(-1.0), Some(1e300), Some(f64::NAN), Some(1000.0)];
        assert_eq!(given.map(seconds), [10.0, 0.5, 100.0, 10.0, 100.0, 10.0, 100.0]);
    }
}

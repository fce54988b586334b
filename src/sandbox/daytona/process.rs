//! Programs that go on beside what else is run: jobs with a name.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::job::{Launch, Look, is_busy, killed, not_begun};
use super::machine::{DaytonaSandbox, digest};
use super::script::{self, JobState, StreamReport, Why};
use super::toolbox::Script;
use crate::sandbox::{Exec, Offsets, ProcessReport, ProcessState, SandboxError};

/// Ended programs whose output is kept in a machine.
const KEPT: usize = 32;
/// Bytes of each stream that are surely kept, from the end.
const TAIL: usize = 1 << 20;
/// How long a start waits for what fails at once, in milliseconds.
const WAIT: u64 = 300;
const LONGEST_NAME: usize = 64;
/// Longest time between asking and killing.
const LONGEST_GRACE: Duration = Duration::from_secs(60);

impl DaytonaSandbox {
    fn process_directory(&self, name: &str) -> String {
        format!("{}/processes/{}", self.base, digest(name))
    }

    pub(super) async fn start_process(&self, name: &str, exec: &Exec) -> Result<(), SandboxError> {
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(SandboxError::Invalid(format!("a name has 1 to {LONGEST_NAME} characters, none of them invisible")));
        }
        let job = self.process_directory(name);
        let program = self.program(exec, &job).await?;
        let key = digest(exec.key.as_deref().unwrap_or(&uuid::Uuid::now_v7().to_string()));
        let stage = self.stage();
        let launch = Launch {
            job: &job,
            stage: &stage,
            program: &program,
            timeout: exec.timeout,
            kept: (0, TAIL),
            neighbours: KEPT,
            wait: WAIT,
            named: Some((name, &key)),
        };
        let report = self.toolbox.launch(&launch).await?;
        if is_busy(&report) {
            let text = format!("a program named `{name}` is running; stop it with stopProcess, or choose another name");
            return Err(SandboxError::Invalid(text));
        }
        match report.state {
            JobState::Ended { why, .. } => not_begun(why, &program).map_or(Ok(()), Err),
            JobState::Absent | JobState::Starting | JobState::Running => Ok(()),
        }
    }

    pub(super) async fn process_report(&self, name: &str, from: Offsets, limit: usize) -> Result<ProcessReport, SandboxError> {
        let job = self.process_directory(name);
        let look = Look { wait: 0, news: false, inline: limit, some: true };
        let report = self.toolbox.look(&job, (from.stdout, from.stderr), look).await?;
        let state = match report.state {
            JobState::Absent => return Err(SandboxError::NotFound(format!("process {name}"))),
            JobState::Starting | JobState::Running => ProcessState::Running,
            JobState::Ended { why: Why::Lost, .. } => ProcessState::Lost,
            JobState::Ended { code, why } => ProcessState::Ended { exit_code: code, killed: killed(why) },
        };
        let (out_path, err_path) = (format!("{job}/out"), format!("{job}/err"));
        let (out, err) = tokio::try_join!(
            self.output(&out_path, from.stdout, limit, report.out),
            self.output(&err_path, from.stderr, limit, report.err)
        )?;
        let next = Offsets { stdout: out.0 + out.1.len() as u64, stderr: err.0 + err.1.len() as u64 };
        Ok(ProcessReport { state, from: Offsets { stdout: out.0, stderr: err.0 }, stdout: out.1, stderr: err.1, next })
    }

    /// Where the output begins that is still there, and at most `limit` bytes of it.
    async fn output(&self, path: &str, from: u64, limit: usize, report: StreamReport) -> Result<(u64, Bytes), SandboxError> {
        let start = from.max(report.cut).min(report.size);
        let end = report.size.min(start.saturating_add(limit as u64));
        let mut bytes = BytesMut::new();
        if start == from {
            bytes.extend_from_slice(&report.bytes[..report.bytes.len().min(limit)]);
        }
        let have = start + bytes.len() as u64;
        if have < end {
            bytes.extend_from_slice(&self.toolbox.download_range(path, have..end).await?);
        }
        Ok((start, bytes.freeze()))
    }

    pub(super) async fn stop_process(&self, name: &str, grace: Duration) -> Result<(), SandboxError> {
        let tenths = u64::try_from(grace.min(LONGEST_GRACE).as_millis() / 100).unwrap_or(0);
        let report = self.toolbox.end_known(&self.process_directory(name), "cancelled", tenths).await?;
        match report.state {
            JobState::Absent => Err(SandboxError::NotFound(format!("process {name}"))),
            JobState::Ended { .. } => Ok(()),
            JobState::Starting | JobState::Running => {
                Err(SandboxError::Unavailable(format!("the program `{name}` cannot be ended now; try again")))
            }
        }
    }

    pub(super) async fn process_names(&self) -> Result<Vec<String>, SandboxError> {
        let directory = format!("{}/processes", self.base);
        let arguments = ["list", &directory];
        let read = |text: &str| {
            let lines: Vec<_> = script::answer(text).collect();
            if lines.last() != Some(&"end") {
                return Err(script::noise(text));
            }
            let mut names: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("name ").map(str::to_owned)).collect();
            names.sort();
            Ok(names)
        };
        let script = Script { text: script::JOB, arguments: &arguments, variables: &[], patience: Duration::from_secs(5) };
        self.toolbox.run(script, read).await
    }
}

//! Runs one program to its end, with both streams in one pipe, as `execute` and `code-run` do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use super::Daemon;
use super::trouble::{Answer, Trouble};

/// More output than this is thrown away: the sandbox's memory holds the answer.
const MOST_OUTPUT: usize = 128 << 20;

/// What to run.
pub(super) struct Job {
    pub program: String,
    pub arguments: Vec<String>,
    /// What it reads as standard input.
    pub input: String,
    pub directory: PathBuf,
    pub env: BTreeMap<String, String>,
    /// None for none.
    pub timeout: Option<Duration>,
}

/// How it went.
pub(super) enum Outcome {
    /// It ended: its exit status, -1 when a signal ended it; and what it printed.
    Ended(i32, Vec<u8>),
    /// It could not be started.
    NotStarted(String),
    /// Its time was over; what it printed is lost.
    TimedOut,
}

/// Seconds as they arrive; 0 is no limit.
pub(super) fn timeout(seconds: Option<i64>) -> Answer<Option<Duration>> {
    match seconds {
        None | Some(0) => Ok(None),
        Some(seconds) => match u64::try_from(seconds) {
            Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
            Err(_) => Err(Trouble::bad_request("timeout must not be negative")),
        },
    }
}

/// Refuses names a shell could not use.
pub(super) fn check_names(env: &BTreeMap<String, String>) -> Answer<()> {
    let good = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    match env.keys().find(|name| !good(name)) {
        Some(name) => Err(Trouble::bad_request(format!("invalid environment variable name: {name}"))),
        None => Ok(()),
    }
}

impl Daemon {
    /// A command with the daemon's environment and what was set since.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, value) in self.env().iter() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs it. Ends when its streams are closed by all who hold them, not when the program itself ends.
    pub(super) async fn run(&self, job: Job) -> Outcome {
        let started = self.start(&job);
        let (mut child, mut output) = match started {
            Ok(started) => started,
            Err(error) => return Outcome::NotStarted(format!("{}: {error}", job.directory.display())),
        };
        if let Some(mut stdin) = child.stdin.take() {
            // Who does not read all of it is left alone.
            tokio::spawn(async move { stdin.write_all(job.input.as_bytes()).await });
        }
        let group = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        let end = async {
            let printed = drain(&mut output).await;
            let code = child.wait().await.ok().and_then(|status| status.code()).unwrap_or(-1);
            Outcome::Ended(code, printed)
        };
        let Some(limit) = job.timeout else { return end.await };
        match tokio::time::timeout(limit, end).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let _ = group.map(|group| kill_process_group(group, Signal::KILL));
                Outcome::TimedOut
            }
        }
    }

    fn start(&self, job: &Job) -> std::io::Result<(Child, pipe::Receiver)> {
        let (sender, output) = pipe::pipe()?;
        let both = sender.into_blocking_fd()?;
        let child = self
            .command(&job.program)
            .args(&job.arguments)
            .envs(&job.env)
            .current_dir(&job.directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::from(both.try_clone()?))
            .stderr(Stdio::from(both))
            .spawn()?;
        Ok((child, output))
    }
}

async fn drain(output: &mut pipe::Receiver) -> Vec<u8> {
    let mut printed = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        let room = MOST_OUTPUT - printed.len();
        printed.extend_from_slice(&buffer[..count.min(room)]);
    }
    printed
}

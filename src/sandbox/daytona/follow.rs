//! Follows a command that runs as a job: what it prints, and how it ends.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::ErrorKind;
use super::job::{INLINE, KEPT, LAUNCH_WAIT, Launch, Look, killed, not_begun};
use super::machine::{DaytonaSandbox, digest};
use super::program::Program;
use super::script::{JobState, Report, StreamReport, Why};
use super::toolbox::{Toolbox, Trouble};
use crate::sandbox::output::Ring;
use crate::sandbox::{Exec, Executed, Listener, Output, SandboxError, Stream};

/// How long one look waits for news, in milliseconds. Well below what silent connections live.
const LOOK_WAIT: u64 = 5000;
/// Between two looks at a program that prints without end.
const PACE: Duration = Duration::from_millis(200);
/// How long a job may be without its supervisor at the start.
const START: Duration = Duration::from_secs(15);
/// The machine keeps the time; after this we do.
const LATE: Duration = Duration::from_secs(10);
/// How long a cancelled command may take to be ended, before it is left to the time it was given.
const CANCEL: Duration = Duration::from_secs(30);
/// Tenths of a second between asking a command to end and killing it.
const GRACE: u64 = 10;
/// As the shell says it.
const BY_KILL: i32 = 128 + 9;
/// Most that is fetched in one request.
const PIECE: u64 = 4 << 20;

impl DaytonaSandbox {
    /// Runs a command to its end, its timeout or the cancellation. Dropping the future leaves it to the machine, which ends it in time.
    pub(super) async fn run_command(&self, exec: &Exec, cancel: &CancellationToken) -> Result<Executed, SandboxError> {
        let id = exec.key.as_deref().map_or_else(|| uuid::Uuid::now_v7().simple().to_string(), digest);
        let job = format!("{}/jobs/{id}", self.base);
        let program = self.program(exec, &job).await?;
        let stage = self.stage();
        let launch = Launch {
            job: &job,
            stage: &stage,
            program: &program,
            timeout: exec.timeout,
            kept: (exec.output_limit, exec.output_limit),
            neighbours: KEPT,
            wait: LAUNCH_WAIT,
            named: None,
        };
        let mut watch = Watch::new(&self.toolbox, &job, exec);
        let ended = tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            ended = watch.follow(&launch) => Some(ended?),
        };
        let (code, why) = match ended {
            Some(ended) => ended,
            None => watch.cancel().await?,
        };
        watch.result(code, why, &program)
    }
}

/// A command that is being followed, and what was seen of it.
struct Watch<'a> {
    toolbox: &'a Toolbox,
    job: &'a str,
    timeout: Duration,
    listener: Option<&'a Listener>,
    began: Instant,
    out: Ring,
    err: Ring,
}

impl<'a> Watch<'a> {
    fn new(toolbox: &'a Toolbox, job: &'a str, exec: &'a Exec) -> Self {
        let ring = || Ring::new(exec.output_limit);
        let (timeout, listener) = (exec.timeout, exec.listener.as_ref());
        Self { toolbox, job, timeout, listener, began: Instant::now(), out: ring(), err: ring() }
    }

    fn from(&self) -> (u64, u64) {
        (self.out.position(), self.err.position())
    }

    async fn follow(&mut self, launch: &Launch<'_>) -> Result<(i32, Why), SandboxError> {
        let mut report = self.toolbox.launch(launch).await?;
        loop {
            let state = report.state.clone();
            let is_over = matches!(state, JobState::Ended { .. });
            let news = self.from();
            if is_over || self.listener.is_some() {
                self.take(&report).await?;
            }
            let is_late = self.began.elapsed() > self.timeout.saturating_add(LATE);
            match state {
                JobState::Ended { code, why } => return Ok((code, why)),
                JobState::Absent => return Ok((BY_KILL, Why::Lost)),
                JobState::Starting if self.began.elapsed() > START => {
                    report = self.toolbox.end(self.job, "lost", 0, self.from()).await?;
                    continue;
                }
                JobState::Running if is_late => {
                    report = self.toolbox.end(self.job, "timeout", GRACE, self.from()).await?;
                    if report.state == JobState::Running {
                        // Nothing can end what hangs in the kernel; nobody has to wait for it.
                        self.take(&report).await?;
                        return Ok((BY_KILL, Why::Timeout));
                    }
                    continue;
                }
                JobState::Starting | JobState::Running => {}
            }
            if self.from() != news {
                tokio::time::sleep(PACE).await;
            }
            let look = Look { wait: LOOK_WAIT, news: self.listener.is_some(), inline: INLINE, some: false };
            report = self.toolbox.look(self.job, self.from(), look).await?;
        }
    }

    /// Ends it. A machine that does not answer ends it later by itself.
    async fn cancel(&mut self) -> Result<(i32, Why), SandboxError> {
        let end = async {
            let report = self.toolbox.end(self.job, "cancelled", GRACE, self.from()).await?;
            self.take(&report).await?;
            Ok(match report.state {
                JobState::Ended { code, why } => (code, why),
                JobState::Absent | JobState::Starting | JobState::Running => (BY_KILL, Why::Cancelled),
            })
        };
        match tokio::time::timeout(CANCEL, end).await {
            Ok(Ok(ended)) => Ok(ended),
            Ok(Err(error @ SandboxError::Gone(_))) => Err(error),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a cancelled command is left to its time limit");
                Ok((BY_KILL, Why::Cancelled))
            }
            Err(_) => {
                tracing::warn!("a cancelled command is left to its time limit: the sandbox does not answer");
                Ok((BY_KILL, Why::Cancelled))
            }
        }
    }

    /// Fetches what is new and wanted of both streams.
    async fn take(&mut self, report: &Report) -> Result<(), SandboxError> {
        let (toolbox, job, listener) = (self.toolbox, self.job, self.listener);
        let take =
            |stream, name: &'static str, ring, of| Take { toolbox, path: format!("{job}/{name}"), stream, listener, ring, of };
        tokio::try_join!(
            take(Stream::Stdout, "out", &mut self.out, &report.out).run(),
            take(Stream::Stderr, "err", &mut self.err, &report.err).run(),
        )?;
        Ok(())
    }

    fn result(self, code: i32, why: Why, program: &Program) -> Result<Executed, SandboxError> {
        if let Some(error) = not_begun(why, program) {
            return Err(error);
        }
        let killed = killed(why);
        let exit_code = if killed.is_some() { BY_KILL } else { code };
        let (stdout, stderr) = (Output::from(self.out), Output::from(self.err));
        Ok(Executed { exit_code, killed, stdout, stderr, duration: self.began.elapsed() })
    }
}

/// One stream to be brought up to date.
struct Take<'a> {
    toolbox: &'a Toolbox,
    path: String,
    stream: Stream,
    listener: Option<&'a Listener>,
    ring: &'a mut Ring,
    of: &'a StreamReport,
}

impl Take<'_> {
    async fn run(self) -> Result<(), SandboxError> {
        let Self { toolbox, path, stream, listener, ring, of } = self;
        let hear = |bytes: &[u8]| {
            if let Some(listener) = listener.filter(|_| !bytes.is_empty()) {
                listener.hear(stream, bytes);
            }
        };
        let behind = of.size.saturating_sub(ring.position());
        if behind > 0 && of.bytes.len() as u64 == behind {
            hear(&of.bytes);
            ring.push(&of.bytes);
            return Ok(());
        }
        while let Some(wanted) = ring.wanted(of.size) {
            let range = wanted.start..wanted.end.min(wanted.start + PIECE);
            let end = range.end;
            ring.skip_to(range.start);
            let bytes = match toolbox.download_range(&path, range).await {
                Ok(bytes) => bytes,
                Err(Trouble::Api(error)) if error.kind == ErrorKind::NotFound => Bytes::new(),
                Err(trouble) => return Err(trouble.into()),
            };
            hear(&bytes);
            ring.push(&bytes);
            if bytes.is_empty() {
                // The program cut its own output off, or removed it.
                ring.skip_to(end);
            }
        }
        // Without room for anything nothing is wanted.
        ring.skip_to(of.size);
        Ok(())
    }
}

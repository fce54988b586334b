//! Runs commands as jobs: programs that go on in the machine whatever becomes of the connection or of this service.
//!
//! A job is a directory in the machine, and making it is the lock that lets a command run once: a launch may be repeated after a lost
//! answer or a restart, and finds what the first one began. `job.sh` keeps the time, ends everything the program started, and leaves the
//! result as a file. From here it is looked at, a second or so at a time; a short command costs one round trip. Of output
//! beyond the limit only the two ends are fetched, and the machine gives the disk under the middle back.

use std::time::Duration;

use bytes::Bytes;

use super::program::{Program, missing};
use super::script::{self, Lock, MAX_VARIABLE, Report, Why};
use super::toolbox::{Script, Toolbox};
use crate::sandbox::{Killed, SandboxError};

/// Bytes of each stream that come along with an answer; more is fetched by range.
pub(super) const INLINE: usize = 48 << 10;
/// How long a launch waits for a short command, in milliseconds.
pub(super) const LAUNCH_WAIT: u64 = 1000;
/// Ended jobs that are kept in a machine.
pub(super) const KEPT: usize = 32;

/// A job to begin.
pub(super) struct Launch<'a> {
    /// Its directory.
    pub job: &'a str,
    /// Where texts that are too long for a variable are uploaded to.
    pub stage: &'a str,
    pub program: &'a Program,
    pub timeout: Duration,
    /// Bytes of each stream that are kept from its start, and from its end.
    pub kept: (usize, usize),
    /// Ended jobs that stay beside it.
    pub neighbours: usize,
    /// How long to wait for its end, in milliseconds.
    pub wait: u64,
    /// Name, and the key that tells one start of that name from the next.
    pub named: Option<(&'a str, &'a str)>,
}

/// Arguments and variables of a script, and files it needs.
pub(super) type Parts<'a> = (Vec<String>, Vec<(&'a str, &'a str)>, Vec<(String, Bytes)>);

impl<'a> Launch<'a> {
    /// Arguments and variables of the script, and the files that have to be uploaded before.
    pub(super) fn parts(&self) -> Parts<'a> {
        let numbers = [self.kept.0 as u64, self.kept.1 as u64, self.neighbours as u64, self.wait, INLINE as u64];
        let timeout = format!("{:.3}", self.timeout.as_secs_f64());
        let mut arguments = vec!["launch".to_owned(), self.job.to_owned(), timeout];
        arguments.extend(numbers.map(|number| number.to_string()));
        let mut variables = Vec::new();
        if let Some((name, key)) = self.named {
            variables.extend([("TB_NAME", name), ("TB_KEY", key)]);
        }
        let Program { run, code, .. } = self.program;
        let fits = |text: &str| text.len() <= MAX_VARIABLE && !text.contains('\0');
        if fits(run) && code.as_ref().is_none_or(|(_, code)| fits(code)) {
            variables.push(("TB_RUN", run.as_str()));
            if let Some((file, code)) = code {
                variables.extend([("TB_CODE_FILE", *file), ("TB_CODE", code.as_str())]);
            }
            return (arguments, variables, Vec::new());
        }
        variables.push(("TB_STAGE", self.stage));
        let files = std::iter::once(("run", run)).chain(code.as_ref().map(|(file, code)| (*file, code)));
        let files = files.map(|(name, text)| (format!("{}/{name}", self.stage), Bytes::from(text.clone()))).collect();
        (arguments, variables, files)
    }
}

impl Toolbox {
    /// Begins a job, or joins it where it was begun before.
    pub(super) async fn launch(&self, launch: &Launch<'_>) -> Result<Report, SandboxError> {
        let (arguments, variables, files) = launch.parts();
        if !files.is_empty() {
            self.upload_bytes(&files).await?;
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.job(&arguments, &variables, Duration::from_millis(launch.wait)).await
    }

    /// Looks at a job from these offsets on.
    pub(super) async fn look(&self, job: &str, from: (u64, u64), look: Look) -> Result<Report, SandboxError> {
        let (out, err) = (from.0.to_string(), from.1.to_string());
        let (wait, inline) = (look.wait.to_string(), look.inline.min(INLINE).to_string());
        let news = if look.news { "news" } else { "-" };
        let some = if look.some { "some" } else { "-" };
        self.job(&["tick", job, &out, &err, &wait, news, &inline, some], &[], Duration::from_millis(look.wait)).await
    }

    /// Ends a job and all it started: asked first, killed after so many tenths of a second. What was not begun never will be.
    pub(super) async fn end(&self, job: &str, why: &str, tenths: u64, from: (u64, u64)) -> Result<Report, SandboxError> {
        self.end_job(job, why, tenths, from, "any").await
    }

    /// Ends a job if there is one.
    pub(super) async fn end_known(&self, job: &str, why: &str, tenths: u64) -> Result<Report, SandboxError> {
        self.end_job(job, why, tenths, (0, 0), "known").await
    }

    async fn end_job(&self, job: &str, why: &str, tenths: u64, from: (u64, u64), which: &str) -> Result<Report, SandboxError> {
        let (tenths_text, out, err, inline) = (tenths.to_string(), from.0.to_string(), from.1.to_string(), INLINE.to_string());
        let patience = Duration::from_millis(tenths * 100 + 5000);
        self.job(&["kill", job, why, &tenths_text, &out, &err, &inline, which], &[], patience).await
    }

    async fn job(&self, arguments: &[&str], variables: &[(&str, &str)], patience: Duration) -> Result<Report, SandboxError> {
        self.run(Script { text: script::JOB, arguments, variables, patience }, Report::parse).await
    }
}

/// How to look.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// Milliseconds to wait for its end.
    pub wait: u64,
    /// Output is a reason to answer before that.
    pub news: bool,
    /// Most bytes of each stream to send along.
    pub inline: usize,
    /// Whether to send the first of them when there are more.
    pub some: bool,
}

/// The error of a command that could not be begun.
pub(super) fn not_begun(why: Why, program: &Program) -> Option<SandboxError> {
    Some(match why {
        Why::Full => SandboxError::Invalid(
            "the disk of the sandbox is full, so nothing was run; delete files that are not needed, for example with deleteFile".to_owned(),
        ),
        Why::NoSetsid => SandboxError::Refused(
            "the sandbox has no `setsid`, without which commands cannot be ended safely; use a snapshot with util-linux or busybox \
             (DAYTONA_SNAPSHOT)"
                .to_owned(),
        ),
        Why::NoDirectory => {
            SandboxError::Invalid(format!("{}: no such directory, so nothing was run; make it with createDirectory", program.directory))
        }
        Why::NoInterpreter(number) => missing(program.language, number),
        Why::Itself | Why::Timeout | Why::Cancelled | Why::Disk | Why::Memory | Why::Lost => return None,
    })
}

/// Why a command was killed, when it was.
pub(super) fn killed(why: Why) -> Option<Killed> {
    match why {
        Why::Timeout => Some(Killed::Timeout),
        Why::Cancelled => Some(Killed::Cancelled),
        Why::Disk => Some(Killed::DiskLimit),
        Why::Memory => Some(Killed::MemoryLimit),
        Why::Lost => Some(Killed::Lost),
        Why::Itself | Why::Full | Why::NoSetsid | Why::NoDirectory | Why::NoInterpreter(_) => None,
    }
}

/// True when the lock says that another program has the name.
pub(super) fn is_busy(report: &Report) -> bool {
    report.lock == Some(Lock::Busy)
}

//! Runs one plan through the helper: captures the output, keeps the time, and makes sure nothing survives.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::super::output::{Ring, capture};
use super::super::{Executed, Killed, SandboxError};
use super::cgroup::Cgroups;
use super::isolation::{Layer, refusal};
use super::plan::{Event, Plan};

/// How long the kernel may take to end everything after the helper was told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// When to stop and how much to keep.
pub(super) struct Bounds<'a> {
    pub timeout: Duration,
    pub output_limit: usize,
    pub cancel: &'a CancellationToken,
}

/// A run that took place.
pub(super) struct Finished {
    pub executed: Executed,
    /// The walls the program was behind.
    pub layers: Vec<Layer>,
}

/// Why a run did not take place.
pub(super) enum NotRun {
    /// The program does not exist inside.
    ProgramMissing,
    /// Anything else, in words for the model.
    Error(SandboxError),
}

/// Runs a plan. Dropping the future ends everything inside too: the helper sees its socket close.
pub(super) async fn run(helper: &Path, plan: &Plan, cgroups: &Cgroups, bounds: Bounds<'_>) -> Result<Finished, NotRun> {
    let started = Instant::now();
    let (socket, mut child) = spawn(helper).map_err(|error| NotRun::Error(no_helper(helper, &error)))?;
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
    let (events, mut commands) = socket.into_split();
    send(&mut commands, plan).await.map_err(|error| NotRun::Error(no_helper(helper, &error)))?;

    let (mut stdout, mut stderr, mut heard) = (Ring::new(bounds.output_limit), Ring::new(bounds.output_limit), Heard::default());
    let killed = {
        let all = follow(&mut child, events, &mut stdout, &mut stderr, &mut heard);
        tokio::pin!(all);
        let killed = tokio::select! {
            () = &mut all => None,
            () = bounds.cancel.cancelled() => Some(Killed::Cancelled),
            () = tokio::time::sleep(bounds.timeout) => Some(Killed::Timeout),
        };
        if killed.is_some() {
            let _ = commands.shutdown().await;
            if tokio::time::timeout(GRACE, &mut all).await.is_err() {
                // The outer process does nothing but wait; if even it hangs, its end is the end of all inside.
                let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
                let _ = tokio::time::timeout(GRACE, &mut all).await;
            }
        }
        killed
    };
    let (exit_code, killed) = heard.verdict(killed, cgroups.out_of_memory())?;
    let executed = Executed { exit_code, killed, stdout: stdout.into(), stderr: stderr.into(), duration: started.elapsed() };
    Ok(Finished { executed, layers: heard.layers })
}

fn spawn(helper: &Path) -> std::io::Result<(UnixStream, Child)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    // The command owns their end, and is dropped here: only the helper keeps it.
    let child = Command::new(helper)
        .arg("sandbox-init")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok((UnixStream::from_std(ours)?, child))
}

fn no_helper(helper: &Path, error: &std::io::Error) -> SandboxError {
    SandboxError::NoIsolation(refusal("helper", &format!("{}: {error}", helper.display())))
}

async fn send(socket: &mut (impl AsyncWriteExt + Unpin), plan: &Plan) -> std::io::Result<()> {
    let json = serde_json::to_vec(plan)?;
    let length = u32::try_from(json.len()).map_err(std::io::Error::other)?;
    socket.write_all(&length.to_le_bytes()).await?;
    socket.write_all(&json).await
}

/// Ends when the helper, everything inside and all they held are gone.
async fn follow(
    child: &mut Child,
    events: impl tokio::io::AsyncRead + Unpin,
    stdout: &mut Ring,
    stderr: &mut Ring,
    heard: &mut Heard,
) {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let stdout = async {
        if let Some(stream) = out {
            capture(stream, stdout).await;
        }
    };
    let stderr = async {
        if let Some(stream) = err {
            capture(stream, stderr).await;
        }
    };
    tokio::join!(stdout, stderr, listen(events, heard), async {
        let _ = child.wait().await;
    });
}

/// The helper says a handful of short lines.
const MAX_HEARD: u64 = 64 << 10;

async fn listen(events: impl tokio::io::AsyncRead + Unpin, heard: &mut Heard) {
    let mut lines = BufReader::new(events.take(MAX_HEARD)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(Event::Ready { layers }) => heard.layers = layers,
            Ok(event) => heard.last = heard.last.take().or(Some(event)),
            Err(error) => tracing::warn!(%error, "the sandbox helper said something unexpected"),
        }
    }
}

#[derive(Default)]
struct Heard {
    layers: Vec<Layer>,
    last: Option<Event>,
}

impl Heard {
    fn verdict(&self, killed: Option<Killed>, out_of_memory: bool) -> Result<(i32, Option<Killed>), NotRun> {
        const BY_KILL: i32 = 128 + 9;
        match (&self.last, killed) {
            (Some(Event::NotStarted { not_found: true, .. }), _) => Err(NotRun::ProgramMissing),
            (Some(Event::NotStarted { reason, .. }), _) => Err(NotRun::Error(SandboxError::Invalid(reason.clone()))),
            (Some(Event::NoIsolation { layer, reason }), _) => {
                Err(NotRun::Error(SandboxError::NoIsolation(refusal(layer, reason))))
            }
            (Some(Event::Exited { code: BY_KILL }), _) if out_of_memory => Ok((BY_KILL, Some(Killed::MemoryLimit))),
            (Some(Event::Exited { code }), _) => Ok((*code, None)),
            (Some(Event::Killed { why }), _) => Ok((BY_KILL, Some(*why))),
            (Some(Event::Ready { .. }) | None, Some(why)) => Ok((BY_KILL, Some(why))),
            (Some(Event::Ready { .. }) | None, None) if out_of_memory => Ok((BY_KILL, Some(Killed::MemoryLimit))),
            (Some(Event::Ready { .. }) | None, None) => {
                let text = "the sandbox ended without a result; it may have been killed from outside";
                Err(NotRun::Error(SandboxError::Unavailable(text.to_owned())))
            }
        }
    }
}

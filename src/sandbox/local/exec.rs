//! Runs one plan through the helper: hands on the output, keeps the time, and makes sure nothing survives.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::super::proxy::Proxy;
use super::super::{Executed, Killed, Listener, SandboxError, Stream};
use super::cgroup::Cgroups;
use super::isolation::{Layer, refusal};
use super::network;
use super::output::Ring;
use super::plan::{ASK_TO_END, Event, Order, Plan};
use super::shared_network::Network;

/// How long the kernel may take to end everything after the helper was told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// What runs, and where.
pub(super) struct Job<'a> {
    pub helper: &'a Path,
    pub plan: &'a Plan,
    pub cgroups: &'a Cgroups,
    /// Namespaces to join; new ones when unset.
    pub network: Option<&'a Network>,
}

/// When it ends at the latest.
pub(super) struct Bounds<'a> {
    pub timeout: Duration,
    /// Kills everything.
    pub cancel: &'a CancellationToken,
    /// Asks everything inside to end.
    pub ask: Option<&'a CancellationToken>,
    /// Serves what the plan lets out.
    pub proxy: Option<Proxy>,
}

/// Hears of a run while it lasts.
pub(super) trait Observer: Sync {
    /// The walls stand, and the program starts.
    fn ready(&self) {}

    /// It printed something.
    fn printed(&self, stream: Stream, bytes: &[u8]);
}

/// How a run ended.
pub(super) struct Ended {
    /// Exit status, or 128 + signal.
    pub exit_code: i32,
    /// Who ended it, when it was not itself.
    pub killed: Option<Killed>,
    /// The walls the program was behind.
    pub layers: Vec<Layer>,
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

/// Keeps at most `limit` bytes of each stream.
struct Rings<'a> {
    stdout: Mutex<Ring>,
    stderr: Mutex<Ring>,
    listener: Option<&'a Listener>,
}

impl Observer for Rings<'_> {
    fn printed(&self, stream: Stream, bytes: &[u8]) {
        let ring = match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        };
        ring.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        if let Some(listener) = self.listener {
            listener.hear(stream, bytes);
        }
    }
}

/// Runs a plan and keeps what it prints, `limit` bytes of each stream.
pub(super) async fn run(job: Job<'_>, bounds: Bounds<'_>, limit: usize, listener: Option<&Listener>) -> Result<Finished, NotRun> {
    let started = Instant::now();
    let rings = Rings { stdout: Mutex::new(Ring::new(limit)), stderr: Mutex::new(Ring::new(limit)), listener };
    let Ended { exit_code, killed, layers } = observe(job, bounds, &rings).await?;
    let kept = |ring: Mutex<Ring>| ring.into_inner().unwrap_or_else(PoisonError::into_inner).into();
    let (stdout, stderr) = (kept(rings.stdout), kept(rings.stderr));
    Ok(Finished { executed: Executed { exit_code, killed, stdout, stderr, duration: started.elapsed() }, layers })
}

/// Runs a plan before an observer. Dropping the future ends everything inside too: the helper sees its socket close.
pub(super) async fn observe(job: Job<'_>, bounds: Bounds<'_>, observer: &impl Observer) -> Result<Ended, NotRun> {
    let helper = job.helper;
    let failed = |error| NotRun::Error(no_helper(helper, &error));
    let order = framed(&Order::Run(job.plan)).map_err(failed)?;
    let (socket, mut child) = spawn(&job, &order[..LENGTH]).map_err(failed)?;
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
    let (events, mut commands) = socket.into_split();
    commands.write_all(&order[LENGTH..]).await.map_err(failed)?;

    let mut heard = Heard::default();
    let killed = {
        let all = follow(&mut child, (events, bounds.proxy), observer, &mut heard);
        tokio::pin!(all);
        let killed = tokio::select! {
            () = &mut all => None,
            () = bounds.cancel.cancelled() => Some(Killed::Cancelled),
            () = tokio::time::sleep(bounds.timeout) => Some(Killed::Timeout),
            never = ask_to_end(bounds.ask, &mut commands) => match never {},
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
    let (exit_code, killed) = heard.verdict(killed, job.cgroups.out_of_memory())?;
    Ok(Ended { exit_code, killed, layers: heard.layers })
}

/// Hands the wish on when it comes; never ends by itself.
async fn ask_to_end(ask: Option<&CancellationToken>, commands: &mut OwnedWriteHalf) -> std::convert::Infallible {
    if let Some(ask) = ask {
        ask.cancelled().await;
        // A helper that is gone has nothing left to end.
        let _ = commands.write_all(&[ASK_TO_END]).await;
    }
    std::future::pending().await
}

/// Starts a helper and sends it the first bytes of its order, with the namespaces to join.
fn spawn(job: &Job<'_>, first: &[u8]) -> std::io::Result<(UnixStream, Child)> {
    let (mut ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    // The command owns their end, and is dropped here: only the helper keeps it.
    let child = Command::new(job.helper)
        .arg("sandbox-init")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // A new socket has room for these few bytes.
    match job.network {
        Some(network) => network.send_with(&ours, first)?,
        None => std::io::Write::write_all(&mut ours, first)?,
    }
    Ok((UnixStream::from_std(ours)?, child))
}

pub(super) fn no_helper(helper: &Path, error: &std::io::Error) -> SandboxError {
    SandboxError::NoIsolation(refusal("helper", &format!("{}: {error}", helper.display())))
}

/// Bytes that say how long an order is.
const LENGTH: usize = 4;

/// An order as the helper reads it.
pub(super) fn framed(order: &Order<&Plan>) -> std::io::Result<Vec<u8>> {
    let json = serde_json::to_vec(order)?;
    let length = u32::try_from(json.len()).map_err(std::io::Error::other)?;
    Ok([&length.to_le_bytes()[..], &json].concat())
}

/// Ends when the helper, everything inside and all they held are gone.
async fn follow(child: &mut Child, (events, proxy): (OwnedReadHalf, Option<Proxy>), observer: &impl Observer, heard: &mut Heard) {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    tokio::join!(
        hand_on(out, Stream::Stdout, observer),
        hand_on(err, Stream::Stderr, observer),
        listen(events, proxy, observer, heard),
        async {
            let _ = child.wait().await;
        }
    );
}

/// Reads a stream to its end.
async fn hand_on(stream: Option<impl tokio::io::AsyncRead + Unpin>, which: Stream, observer: &impl Observer) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; 16 << 10];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => observer.printed(which, &buffer[..count]),
        }
    }
}

/// The helper says a handful of short lines.
const MAX_HEARD: u64 = 64 << 10;

async fn listen(events: OwnedReadHalf, proxy: Option<Proxy>, observer: &impl Observer, heard: &mut Heard) {
    // The way out is open as long as the helper lives.
    let (first, _way_out) = match proxy {
        Some(proxy) => network::open(events.as_ref(), proxy).await,
        None => (Vec::new(), None),
    };
    let mut lines = BufReader::new(first.chain(events).take(MAX_HEARD)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            _ if line.is_empty() => {}
            Ok(Event::Ready { layers }) => {
                heard.layers = layers;
                observer.ready();
            }
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

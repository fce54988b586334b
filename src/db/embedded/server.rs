//! The server process: spawned, recognised by its pid file, stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{oneshot, watch};

use super::account::Account;
use super::layout::Layout;
use super::search::Binaries;
use super::{Durability, EmbeddedError, Lifetime, Tuning};

/// A log that is bigger at start is put aside once; the server itself writes little.
const LOG_LIMIT: u64 = 1024 * 1024;
/// How much of the log an error quotes, in bytes.
const TAIL: u64 = 2048;
/// How long a server may take to write everything down before it is made to end.
const STOP_LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// Fit for a small machine. The log gets no statements and no values: they may hold what people wrote.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "shared_buffers=32MB",
    "max_wal_size=256MB",
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_checkpoints=off",
    "log_min_messages=log",
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
    "logging_collector=off",
    "cluster_name=threadbox",
];

/// A server that this process started.
pub(super) struct Spawned {
    /// Becomes `Some` when it ended.
    pub exited: watch::Receiver<Option<Option<ExitStatus>>>,
    log_start: u64,
}

impl Spawned {
    /// What it logged since it was started, the last part.
    pub fn log_tail(&self, layout: &Layout) -> String {
        read_tail(&layout.log, self.log_start).unwrap_or_default()
    }
}

/// Starts `postgres` in a session of its own, so that Ctrl-C in a terminal reaches us and not the server.
///
/// The thread that spawns it also waits for it: the server is never a zombie of ours, and a death signal (which is tied to the
/// spawning thread) comes with the end of the process and not earlier.
pub(super) async fn spawn(
    layout: &Layout,
    binaries: &Binaries,
    account: &Account,
    tuning: &Tuning,
) -> Result<Spawned, EmbeddedError> {
    let fail = |source| EmbeddedError::Files { what: "run", path: binaries.dir.join("postgres"), source };
    let (log, log_start) = open_log(&layout.log).map_err(fail)?;
    let mut command = command(layout, binaries, account, tuning, log).map_err(fail)?;
    let (told, answer) = oneshot::channel();
    let (ended, exited) = watch::channel(None);
    let body = move || match command.spawn() {
        Ok(mut child) => {
            told.send(Ok(())).ok();
            ended.send_replace(Some(child.wait().ok()));
        }
        Err(error) => drop(told.send(Err(error))),
    };
    std::thread::Builder::new().name("postgres".into()).spawn(body).map_err(fail)?;
    answer.await.unwrap_or_else(|_| Err(io::Error::other("the spawning thread ended"))).map_err(fail)?;
    Ok(Spawned { exited, log_start })
}

fn command(layout: &Layout, binaries: &Binaries, account: &Account, tuning: &Tuning, log: File) -> io::Result<Command> {
    let mut command = account.command(&binaries.dir.join("postgres"));
    command.arg("-D").arg(&layout.data).arg("-k").arg(&layout.socket_dir).current_dir(&layout.root);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command.arg("-c").arg(format!("max_connections={}", tuning.max_connections));
    match tuning.durability {
        Durability::Full => {}
        Durability::None => drop(command.args(["-c", "fsync=off", "-c", "full_page_writes=off"])),
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let lifetime = tuning.lifetime;
    // SAFETY: only system calls between fork and exec, no allocation, no lock.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || detach(lifetime));
    }
    Ok(command)
}

fn detach(lifetime: Lifetime) -> io::Result<()> {
    rustix::process::setsid()?;
    match lifetime {
        Lifetime::Shared => {}
        #[cfg(target_os = "linux")]
        Lifetime::EndsWithProcess => rustix::process::set_parent_process_death_signal(Some(Signal::QUIT))?,
        #[cfg(not(target_os = "linux"))]
        Lifetime::EndsWithProcess => {}
    }
    Ok(())
}

fn open_log(path: &Path) -> io::Result<(File, u64)> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_LIMIT) {
        fs::rename(path, path.with_extension("old"))?;
    }
    let log = OpenOptions::new().create(true).append(true).open(path)?;
    let start = log.metadata()?.len();
    Ok((log, start))
}

fn read_tail(path: &Path, start: u64) -> io::Result<String> {
    let mut log = File::open(path)?;
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(start.max(length.saturating_sub(TAIL))))?;
    let mut bytes = Vec::new();
    log.take(TAIL).read_to_end(&mut bytes)?;
    Ok(super::tail_of(&String::from_utf8_lossy(&bytes)))
}

/// Who holds the cluster according to its pid file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// Nobody: no file, or the process is gone.
    Nobody,
    /// A process that ended and was not reaped by whoever has to.
    Zombie(u32),
    /// A process that has nothing to do with the cluster and only got the number.
    Stranger(u32),
    /// The cluster's server.
    Server(u32),
}

/// Who holds the cluster. In doubt it is a server.
pub(super) fn holder(layout: &Layout) -> Holder {
    holder_by(&pid_file(layout), layout)
}

fn pid_file(layout: &Layout) -> PathBuf {
    layout.data.join("postmaster.pid")
}

fn holder_by(file: &Path, layout: &Layout) -> Holder {
    let text = fs::read_to_string(file).unwrap_or_default();
    let Some(pid) = text.lines().next().and_then(|line| line.trim().parse::<u32>().ok()).filter(|pid| *pid > 1) else {
        return Holder::Nobody;
    };
    identify(pid, layout)
}

fn identify(pid: u32, layout: &Layout) -> Holder {
    match process(pid) {
        Process::Gone => Holder::Nobody,
        Process::Zombie => Holder::Zombie(pid),
        Process::Alive(arguments) => {
            let data = layout.data.to_string_lossy();
            // Right after a fork the arguments are still empty.
            let ours = arguments.is_empty() || arguments.iter().any(|argument| argument.contains(&*data));
            if ours { Holder::Server(pid) } else { Holder::Stranger(pid) }
        }
    }
}

/// Removes lock files that only keep Postgres from starting: Postgres sees that the number in them is in use and no more.
///
/// The caller holds the start lock and found nobody at the socket. Should children of a dead server still run, Postgres finds
/// their shared memory and refuses by itself.
pub(super) fn clear_stale_locks(layout: &Layout) -> bool {
    let files = [pid_file(layout), layout.socket_dir.join(".s.PGSQL.5432.lock")];
    files.iter().filter(|file| clear_if_stale(file, layout)).count() > 0
}

fn clear_if_stale(file: &Path, layout: &Layout) -> bool {
    match holder_by(file, layout) {
        Holder::Zombie(pid) | Holder::Stranger(pid) => {
            tracing::info!(pid, file = %file.display(), "removing the lock of a database server that is gone");
            fs::remove_file(file).is_ok()
        }
        Holder::Nobody | Holder::Server(_) => false,
    }
}

enum Process {
    Gone,
    Zombie,
    Alive(Vec<String>),
}

#[cfg(target_os = "linux")]
fn process(pid: u32) -> Process {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return Process::Gone };
    // The name in parentheses may hold anything, so the state is what follows the last one.
    match stat.rsplit(") ").next().and_then(|rest| rest.chars().next()) {
        Some('Z' | 'X') => Process::Zombie,
        _ => {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let arguments = line.split(|byte| *byte == 0).filter(|argument| !argument.is_empty());
            Process::Alive(arguments.map(|argument| String::from_utf8_lossy(argument).into_owned()).collect())
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn process(pid: u32) -> Process {
    let output = Command::new("ps").args(["-ww", "-o", "stat=,args=", "-p", &pid.to_string()]).output();
    let Ok(output) = output else { return Process::Alive(Vec::new()) };
    let line = String::from_utf8_lossy(&output.stdout).trim().to_string();
    match line.split_once(char::is_whitespace) {
        None => Process::Gone,
        Some((state, _)) if state.starts_with('Z') => Process::Zombie,
        Some((_, arguments)) => Process::Alive(vec![arguments.to_string()]),
    }
}

/// Stops the cluster's server and returns when it is gone. Blocks.
#[expect(
    clippy::disallowed_methods,
    reason = "the server is not always a child, and nothing tells when another process ends; callers are on a blocking thread"
)]
pub(super) fn stop(layout: &Layout) -> Result<(), EmbeddedError> {
    let Holder::Server(pid) = holder(layout) else { return Ok(()) };
    for (signal, limit) in [(Signal::INT, STOP_LIMIT), (Signal::QUIT, STOP_LIMIT / 3)] {
        send(pid, signal);
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            // The process and not the file: the server removes the file shortly before it ends.
            if identify(pid, layout) != Holder::Server(pid) {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
    }
    Err(EmbeddedError::DoesNotStop { path: layout.data.clone() })
}

/// Sends the signal if the process is still there.
fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}

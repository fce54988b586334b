//! The shell of a session. Each command is sourced from a file, with pipes of its own: what it prints is read by the daemon, and its
//! exit status comes through a pipe too. A command that exits takes the shell with it, and its status never comes.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin};
use tokio_util::sync::CancellationToken;

use super::super::Daemon;
use super::log::{Log, Mark};

/// How long children may take after they were asked to end.
const GRACE: Duration = Duration::from_secs(5);
/// Commands a session remembers; older ones are forgotten.
const MOST_COMMANDS: usize = 1000;
/// Holds the files of all sessions.
const DIRECTORY: &str = "/tmp/.toolbox-sessions";

/// A shell that stays.
pub(super) struct Shell {
    directory: PathBuf,
    child: tokio::sync::Mutex<Child>,
    group: Option<Pid>,
    stdin: tokio::sync::Mutex<ChildStdin>,
    commands: Mutex<Vec<Arc<Command>>>,
    /// Cancelled when the session is deleted.
    pub gone: CancellationToken,
}

/// One command of a session.
pub(super) struct Command {
    pub id: String,
    pub text: String,
    pub log: Log,
    echo: bool,
    input: tokio::sync::Mutex<pipe::Sender>,
}

impl Shell {
    pub fn start(daemon: &Daemon) -> std::io::Result<Self> {
        let directory = Path::new(DIRECTORY).join(uuid::Uuid::now_v7().simple().to_string());
        std::fs::create_dir_all(&directory)?;
        let mut child = daemon
            .command(daemon.shell)
            .current_dir(&daemon.home)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let stdin = child.stdin.take().ok_or_else(|| std::io::Error::other("the shell has no input"))?;
        let group = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        Ok(Self {
            directory,
            child: child.into(),
            group,
            stdin: stdin.into(),
            commands: Mutex::default(),
            gone: CancellationToken::new(),
        })
    }

    pub fn commands(&self) -> MutexGuard<'_, Vec<Arc<Command>>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn find(&self, id: &str) -> Option<Arc<Command>> {
        self.commands().iter().find(|command| command.id == id).cloned()
    }

    /// Hands a command to the shell, which begins it when those before it have ended.
    ///
    /// # Errors
    /// When the shell has exited: its pipe is broken.
    pub async fn run(&self, text: &str, suppress_echo: bool) -> std::io::Result<Arc<Command>> {
        let id = uuid::Uuid::now_v7().to_string();
        let directory = self.directory.join(&id);
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join("script"), text)?;
        let [input, out, err, code] = ["in", "out", "err", "code"].map(|name| directory.join(name));
        for path in [&input, &out, &err, &code] {
            mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
        }
        // Open for both directions a pipe never blocks and never ends.
        let both = |path: &Path| pipe::OpenOptions::new().read_write(true).open_receiver(path);
        let (out, err, code) = (both(&out)?, both(&err)?, both(&code)?);
        let input = pipe::OpenOptions::new().read_write(true).open_sender(&input)?;
        let command =
            Arc::new(Command { id, text: text.to_owned(), log: Log::default(), echo: !suppress_echo, input: input.into() });
        let place = directory.display();
        let line = format!(
            "{{ . '{place}/script'; }} <'{place}/in' >'{place}/out' 2>'{place}/err'; printf '%s\\n' \"$?\" >'{place}/code'\n"
        );
        self.stdin.lock().await.write_all(line.as_bytes()).await?;
        {
            let mut commands = self.commands();
            let surplus = (commands.len() + 1).saturating_sub(MOST_COMMANDS);
            commands.drain(..surplus);
            commands.push(command.clone());
        }
        tokio::spawn(listen(command.clone(), out, err, code, self.gone.clone()));
        Ok(command)
    }

    /// Asks everything in the group to end, and kills what has not after a while.
    pub async fn end(&self) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::TERM);
            let mut child = self.child.lock().await;
            let gone = async {
                let _ = child.wait().await;
                while rustix::process::test_kill_process_group(group).is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            if tokio::time::timeout(GRACE, gone).await.is_err() {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = child.wait().await;
            }
        }
        self.gone.cancel();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Command {
    /// A line of input.
    pub async fn input(&self, data: &str) -> std::io::Result<()> {
        let line = format!("{}\n", data.trim_end_matches('\n'));
        self.input.lock().await.write_all(line.as_bytes()).await?;
        if self.echo {
            self.log.line(Mark::Stdout, line.trim_end_matches('\n').as_bytes());
        }
        Ok(())
    }
}

/// Reads what a command prints until the session is gone: what it left in the background may print after its end.
async fn listen(command: Arc<Command>, out: pipe::Receiver, err: pipe::Receiver, code: pipe::Receiver, gone: CancellationToken) {
    let (mut out, mut err) = (Stream::new(out, Mark::Stdout), Stream::new(err, Mark::Stderr));
    let mut code = BufReader::new(code);
    let mut status = String::new();
    loop {
        tokio::select! {
            biased;
            () = gone.cancelled() => return,
            read = out.read(&command.log) => if read.is_err() { return },
            read = err.read(&command.log) => if read.is_err() { return },
            read = code.read_line(&mut status), if command.log.exit_code().is_none() => {
                if read.is_err() {
                    return;
                }
                out.drain(&command.log);
                err.drain(&command.log);
                command.log.end(status.trim().parse().unwrap_or(-1));
            }
        }
    }
}

/// One of the two pipes and the line it is in.
struct Stream {
    pipe: pipe::Receiver,
    mark: Mark,
    line: Vec<u8>,
}

impl Stream {
    fn new(pipe: pipe::Receiver, mark: Mark) -> Self {
        Self { pipe, mark, line: Vec::new() }
    }

    async fn read(&mut self, log: &Log) -> std::io::Result<()> {
        let mut buffer = [0; 16 << 10];
        let count = self.pipe.read(&mut buffer).await?;
        self.take(&buffer[..count], log);
        Ok(())
    }

    /// What is in the pipe now, and a last line without an end.
    fn drain(&mut self, log: &Log) {
        let mut buffer = [0; 16 << 10];
        while let Ok(count @ 1..) = self.pipe.try_read(&mut buffer) {
            self.take(&buffer[..count], log);
        }
        if !self.line.is_empty() {
            log.line(self.mark, &std::mem::take(&mut self.line));
        }
    }

    fn take(&mut self, bytes: &[u8], log: &Log) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.pop_if(|byte| *byte == b'\n').is_some() {
                log.line(self.mark, &std::mem::take(&mut self.line));
            }
        }
    }
}

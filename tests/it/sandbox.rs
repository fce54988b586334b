//! The local sandbox, attacked through the real helper. Each attack prints what happened, so that a test cannot pass because
//! nothing ran.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use threadbox::sandbox::local::{LocalConfig, LocalProvider};
use threadbox::sandbox::{Command, Exec, Executed, Killed, Language, Provider, Sandbox, SandboxError, SandboxSpec};
use tokio_util::sync::CancellationToken;

/// A provider with a directory of its own; both are gone afterwards.
pub struct Machine {
    pub provider: LocalProvider,
    root: tempfile::TempDir,
}

pub fn config(root: &Path) -> LocalConfig {
    LocalConfig {
        root: root.join("sandboxes"),
        helper: PathBuf::from(env!("CARGO_BIN_EXE_threadbox")),
        cpus: 2,
        memory_mb: 512,
        disk_mb: 64,
        processes: 128,
        search_path: Vec::new(),
    }
}

pub fn machine() -> Machine {
    let root = tempfile::tempdir().unwrap();
    Machine { provider: LocalProvider::new(config(root.path())).unwrap(), root }
}

impl Machine {
    pub async fn sandbox(&self, name: &str) -> Arc<dyn Sandbox> {
        self.provider.create(SandboxSpec { name: Some(name.to_owned()), ..SandboxSpec::default() }).await.unwrap()
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.root.path().join("sandboxes").join(name)
    }
}

fn exec(command: Command) -> Exec {
    Exec { command, env: BTreeMap::new(), working_directory: None, timeout: Duration::from_secs(30), output_limit: 64 << 10 }
}

async fn sh(sandbox: &dyn Sandbox, line: &str) -> Executed {
    sandbox.exec(exec(Command::Shell(line.to_owned())), &CancellationToken::new()).await.unwrap()
}

async fn python(sandbox: &dyn Sandbox, code: &str) -> Executed {
    let command = Command::Code { language: Language::Python, code: code.to_owned(), argv: Vec::new() };
    sandbox.exec(exec(command), &CancellationToken::new()).await.unwrap()
}

/// Processes of this machine whose command line contains the text.
fn host_processes_with(text: &str) -> usize {
    let contains = |entry: &std::fs::DirEntry| {
        std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter(contains).count()
}

#[tokio::test]
async fn code_runs_and_its_streams_are_told_apart() {
    let machine = machine();
    let sandbox = machine.sandbox("plain").await;
    let ran = sh(&*sandbox, "echo out; echo err >&2; pwd; exit 3").await;
    assert_eq!((ran.exit_code, ran.killed), (3, None));
    assert_eq!(ran.stdout.text(), "out\n/workspace\n");
    assert_eq!(ran.stderr.text(), "err\n");

    let command = Command::Code {
        language: Language::Python,
        code: "import sys, helper; print(helper.x, sys.argv[1:], repr(sys.stdin.read()))".to_owned(),
        argv: vec!["a b".to_owned(), "$(id); 'quoted'".to_owned()],
    };
    sandbox.write("helper.py", b"x = 41 + 1").await.unwrap();
    let ran = sandbox.exec(exec(command), &CancellationToken::new()).await.unwrap();
    assert_eq!(ran.stdout.text(), "42 ['a b', \"$(id); 'quoted'\"] ''\n", "{}", ran.stderr.text());
    assert_eq!(sh(&*sandbox, "ls -A /tmp; echo x >/dev/stdout; kill -9 $$").await.exit_code, 137);
}

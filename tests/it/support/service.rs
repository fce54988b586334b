//! The real binary as a process of its own, so that it can be killed.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::bot::LIMIT;

/// A running `threadbox serve`.
pub struct Service {
    child: Child,
    /// Where it listens; empty for a worker.
    pub url: String,
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Service {
    /// Starts one and waits until it says that it is ready.
    pub async fn start(environment: &BTreeMap<String, String>) -> Self {
        Self::start_as("all", environment).await
    }

    /// Starts one with this role.
    pub async fn start_as(role: &str, environment: &BTreeMap<String, String>) -> Self {
        Self::launch(role, environment).await.0
    }

    /// Starts one, and tells what it printed until it was ready.
    pub async fn start_and_listen(environment: &BTreeMap<String, String>) -> (Self, Vec<String>) {
        Self::launch("all", environment).await
    }

    async fn launch(role: &str, environment: &BTreeMap<String, String>) -> (Self, Vec<String>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_threadbox"))
            .args(["serve", "--role", role])
            .env_clear()
            .envs(environment)
            .env("RUST_LOG", std::env::var("TEST_LOG").unwrap_or_else(|_| "error".into()))
            .current_dir(environment.get("THREADBOX_DATA_DIR").unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let ready = async {
            while let Some(line) = stdout.next_line().await.unwrap() {
                said.push(line.clone());
                if let Some((_, url)) = line.split_once("ready on ") {
                    return url.trim().to_owned();
                }
                if line.contains("is working") {
                    return String::new();
                }
            }
            panic!("the service ended before it was ready");
        };
        let url = tokio::time::timeout(LIMIT, ready).await.unwrap();
        (Self { child, url, _stdout: stdout }, said)
    }

    /// kill -9.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends SIGTERM and does not wait.
    pub fn tell_to_end(&self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// SIGTERM; it must end by itself, and well.
    pub async fn terminate(mut self) {
        self.tell_to_end();
        let status = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "it ended with {status}");
    }
}

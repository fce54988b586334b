//! `POST /process/execute`: one command, fed to a shell on its standard input.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::Daemon;
use super::run::{Job, Outcome, check_names, timeout};
use super::trouble::{Answer, Trouble, read};

#[derive(Deserialize)]
struct Execute {
    command: String,
    cwd: Option<String>,
    #[serde(default)]
    envs: Option<BTreeMap<String, String>>,
    timeout: Option<i64>,
}

pub(super) async fn execute(State(daemon): State<Arc<Daemon>>, body: Bytes) -> Answer {
    let request: Execute = read(&body)?;
    if request.command.trim().is_empty() {
        return Err(Trouble::bad_request("empty command"));
    }
    let env = request.envs.unwrap_or_default();
    check_names(&env)?;
    let job = Job {
        program: daemon.shell.to_owned(),
        arguments: Vec::new(),
        input: request.command,
        directory: daemon.resolve(request.cwd.as_deref().unwrap_or_default()),
        env,
        timeout: timeout(request.timeout)?,
    };
    answered(apart(daemon, job).await, |code, result| json!({"exitCode": code, "result": result}))
}

/// Runs it in a task of its own: a client that goes away does not end the command.
pub(super) async fn apart(daemon: Arc<Daemon>, job: Job) -> Answer<Outcome> {
    let task = tokio::spawn(async move { daemon.run(job).await });
    task.await.map_err(|error| Trouble::internal(error.to_string()))
}

/// The answer to a run, from its exit status and its output as text.
pub(super) fn answered(outcome: Answer<Outcome>, body: impl FnOnce(i32, String) -> serde_json::Value) -> Answer<Response> {
    match outcome? {
        Outcome::Ended(code, output) => Ok(Json(body(code, String::from_utf8_lossy(&output).into_owned())).into_response()),
        Outcome::NotStarted(reason) => Ok(Json(body(-1, reason)).into_response()),
        Outcome::TimedOut => {
            Err(Trouble::new(StatusCode::REQUEST_TIMEOUT, "PROCESS_EXECUTION_TIMEOUT", "command execution timeout"))
        }
    }
}

//! Sessions: a shell that stays, and the commands it was given. What they print is kept line by line with a mark of its stream.

mod log;
mod shell;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use self::log::Log;
use self::shell::{Command, Shell};
use super::Daemon;
use super::trouble::{Answer, Trouble, read};
use crate::standin::daytona::DaemonVersion;

/// The session every daemon has by itself.
const ENTRYPOINT: &str = "entrypoint";

/// All sessions by name.
#[derive(Default)]
pub(super) struct Sessions(Mutex<BTreeMap<String, Arc<Shell>>>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Shell>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Answer<Arc<Shell>> {
        let missing = || Trouble::new(StatusCode::NOT_FOUND, "PROCESS_NOT_FOUND", format!("session not found: {id}"));
        self.lock().get(id).cloned().ok_or_else(missing)
    }

    fn command(&self, id: &str, command: &str) -> Answer<Arc<Command>> {
        let missing = || Trouble::new(StatusCode::NOT_FOUND, "PROCESS_NOT_FOUND", format!("command not found: {command}"));
        self.find(id)?.find(command).ok_or_else(missing)
    }
}

#[derive(Deserialize)]
struct Create {
    #[serde(rename = "sessionId")]
    id: String,
}

pub(super) async fn create(State(daemon): State<Arc<Daemon>>, body: Bytes) -> Answer<StatusCode> {
    let Create { id } = read(&body)?;
    if id.is_empty() || id.contains('/') || id.contains("..") {
        return Err(Trouble::bad_request("invalid session id"));
    }
    let mut sessions = daemon.sessions.lock();
    if sessions.contains_key(&id) || id == ENTRYPOINT {
        return Err(Trouble::conflict("session already exists"));
    }
    let shell = Shell::start(&daemon).map_err(|error| Trouble::internal(format!("cannot start a session: {error}")))?;
    sessions.insert(id, Arc::new(shell));
    Ok(StatusCode::CREATED)
}

pub(super) async fn list(State(daemon): State<Arc<Daemon>>) -> Json<Value> {
    let sessions = daemon.sessions.lock();
    Json(sessions.iter().map(|(id, shell)| described(id, shell)).collect())
}

pub(super) async fn show(State(daemon): State<Arc<Daemon>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    if id == ENTRYPOINT {
        return Ok(Json(json!({"sessionId": id, "commands": []})));
    }
    Ok(Json(described(&id, &*daemon.sessions.find(&id)?)))
}

fn described(id: &str, shell: &Shell) -> Value {
    let commands: Vec<Value> = shell.commands().iter().map(|command| command_json(command)).collect();
    json!({"sessionId": id, "commands": commands})
}

fn command_json(command: &Command) -> Value {
    let mut described = json!({"id": command.id, "command": command.text});
    if let Some(code) = command.log.exit_code() {
        described["exitCode"] = json!(code);
    }
    described
}

pub(super) async fn delete(State(daemon): State<Arc<Daemon>>, Path(id): Path<String>) -> Answer<StatusCode> {
    let shell = daemon.sessions.find(&id)?;
    shell.end().await;
    daemon.sessions.lock().remove(&id);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Execute {
    command: String,
    #[serde(default)]
    run_async: bool,
    /// The old name.
    #[serde(default)]
    r#async: bool,
    #[serde(default)]
    suppress_input_echo: bool,
}

pub(super) async fn exec(
    State(daemon): State<Arc<Daemon>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    let request: Execute = read(&body)?;
    if request.command.trim().is_empty() {
        return Ok(StatusCode::BAD_REQUEST.into_response());
    }
    let shell = daemon.sessions.find(&id).map_err(|missing| match daemon.version {
        DaemonVersion::V0_190 => Trouble::internal(missing.message),
        DaemonVersion::Hosted => missing,
    })?;
    let command =
        shell.run(&request.command, request.suppress_input_echo).await.map_err(|error| Trouble::internal(error.to_string()))?;
    if request.run_async || request.r#async {
        let body = json!({"cmdId": command.id, "output": null, "stdout": null, "stderr": null, "exitCode": null});
        return Ok((StatusCode::ACCEPTED, Json(body)).into_response());
    }
    let Some(code) = command.log.ended(&shell.gone).await else {
        return Err(Trouble::new(StatusCode::GONE, "SESSION_ENDED", "session ended before the command did"));
    };
    let mut answer = json!({"cmdId": command.id, "exitCode": code});
    match form(&headers) {
        Form::Split => {
            let (stdout, stderr) = command.log.split();
            answer["output"] = json!(command.log.raw());
            answer["stdout"] = json!(stdout);
            answer["stderr"] = json!(stderr);
        }
        Form::Marked => answer["output"] = json!(command.log.raw()),
        Form::Merged => answer["output"] = json!(command.log.merged()),
    }
    Ok(Json(answer).into_response())
}

pub(super) async fn command(
    State(daemon): State<Arc<Daemon>>,
    Path((id, command)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    Ok(Json(command_json(&*daemon.sessions.command(&id, &command)?)))
}

#[derive(Deserialize)]
pub(super) struct Follow {
    #[serde(default)]
    follow: bool,
}

pub(super) async fn logs(
    State(daemon): State<Arc<Daemon>>,
    Path((id, command)): Path<(String, String)>,
    Query(Follow { follow }): Query<Follow>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Answer<Response> {
    let command = daemon.sessions.command(&id, &command)?;
    match upgrade {
        Ok(upgrade) => Ok(upgrade.on_upgrade(async move |socket| {
            if follow {
                log::follow(&command.log, socket).await;
            }
        })),
        Err(_) => Ok(logged(&command.log, &headers)),
    }
}

pub(super) async fn entrypoint_logs(headers: HeaderMap) -> Response {
    logged(&Log::default(), &headers)
}

fn logged(log: &Log, headers: &HeaderMap) -> Response {
    match form(headers) {
        Form::Split => {
            let (stdout, stderr) = log.split();
            Json(json!({"output": log.raw(), "stdout": stdout, "stderr": stderr})).into_response()
        }
        Form::Marked => log.raw().into_response(),
        Form::Merged => log.merged().into_response(),
    }
}

#[derive(Deserialize)]
struct Input {
    data: String,
}

pub(super) async fn input(
    State(daemon): State<Arc<Daemon>>,
    Path((id, command)): Path<(String, String)>,
    body: Bytes,
) -> Answer<StatusCode> {
    let command = daemon.sessions.command(&id, &command)?;
    let Input { data } = read(&body)?;
    if command.log.exit_code().is_some() {
        return Err(Trouble::new(StatusCode::GONE, "COMMAND_ALREADY_COMPLETED", "command has already completed"));
    }
    command.input(&data).await.map_err(|error| Trouble::internal(error.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

/// How output is given, which depends on the version the client says it has.
enum Form {
    /// JSON, streams apart.
    Split,
    /// Text with the marks.
    Marked,
    /// Text without.
    Merged,
}

fn form(headers: &HeaderMap) -> Form {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut numbers = text("x-daytona-sdk-version").unwrap_or_default().split(['.', '-']).map(str::parse::<u32>);
    let version = (numbers.next().and_then(Result::ok), numbers.next().and_then(Result::ok));
    match version {
        (Some(major), Some(minor)) if (major, minor) >= (0, 167) => Form::Split,
        _ if text("x-daytona-split-output") == Some("true") => Form::Marked,
        _ => Form::Merged,
    }
}

//! `POST /process/code-run`: program text, given to an interpreter on its standard input.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Daemon;
use super::process::{answered, apart};
use super::run::{Job, check_names, timeout};
use super::trouble::{Answer, Trouble, read};

/// Begins a line of output that is a chart, not text.
const ARTIFACT: &str = "dtn_artifact_k39fd2:";

#[derive(Deserialize)]
struct CodeRun {
    code: String,
    language: String,
    #[serde(default)]
    argv: Option<Vec<String>>,
    #[serde(default)]
    envs: Option<BTreeMap<String, String>>,
    timeout: Option<i64>,
}

pub(super) async fn run(State(daemon): State<Arc<Daemon>>, body: Bytes) -> Answer {
    let request: CodeRun = read(&body)?;
    let interpreter = match request.language.as_str() {
        "python" => "python3 -u -",
        "javascript" => "node -",
        "typescript" => typescript(),
        other => return Err(Trouble::bad_request(format!("unsupported language: {other}"))),
    };
    let env = request.envs.unwrap_or_default();
    check_names(&env)?;
    // Joined as they are: an argument with a space becomes two, and the shell expands what it knows.
    let line = [interpreter.to_owned()].into_iter().chain(request.argv.unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let job = Job {
        program: "sh".to_owned(),
        arguments: vec!["-c".to_owned(), line],
        input: request.code,
        directory: daemon.home.clone(),
        env,
        timeout: timeout(request.timeout)?,
    };
    answered(apart(daemon, job).await, |code, output| {
        let (result, charts) = charts(&output);
        json!({"exitCode": code, "result": result, "artifacts": {"charts": charts}})
    })
}

/// What runs it, where something does; else the shell says what is missing.
fn typescript() -> &'static str {
    let installed = ["/usr/bin/ts-node", "/usr/local/bin/ts-node"].into_iter().any(|path| Path::new(path).exists());
    if installed {
        r#"ts-node -T -O '{"module":"CommonJS"}' -"#
    } else {
        "node --experimental-strip-types --no-warnings --input-type=commonjs-typescript -"
    }
}

fn charts(output: &str) -> (String, Vec<Value>) {
    let mut found = Vec::new();
    let mut text = String::with_capacity(output.len());
    for line in output.split_inclusive('\n') {
        match line.trim_end().strip_prefix(ARTIFACT).map(serde_json::from_str::<Value>) {
            Some(Ok(artifact)) => found.push(artifact.get("value").cloned().unwrap_or(artifact)),
            Some(Err(_)) | None => text.push_str(line),
        }
    }
    (text, found)
}

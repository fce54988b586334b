//! The Daytona stand-in, spoken to in plain HTTP: each documented behaviour once.

mod control;
mod faults;
mod files;
mod processes;

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use threadbox::clock::ManualClock;
use threadbox::secret::ExposeSecret;
use threadbox::standin::daytona::{DaemonVersion, Daytona, Options};

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// A stand-in, a client of it, and the directory of its sandboxes.
struct Setup {
    daytona: Daytona,
    http: reqwest::Client,
    _root: tempfile::TempDir,
}

impl Setup {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut options = Options::new(PathBuf::from(env!("CARGO_BIN_EXE_threadbox")), root.path().join("sandboxes"));
        change(&mut options);
        let daytona = Daytona::start(options).await.unwrap();
        Self { daytona, http: reqwest::Client::new(), _root: root }
    }

    /// A request with the key and the version of a recent SDK. `path` is below the origin.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.daytona.url().trim_end_matches("/api"));
        let request = self.http.request(method, url).header("x-daytona-sdk-version", "0.226.1");
        request.bearer_auth(self.daytona.key().expose_secret())
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).json(body).send().await.unwrap()
    }

    /// A POST with nothing in it.
    async fn tell(&self, path: &str) -> Response {
        self.request(Method::POST, path).send().await.unwrap()
    }

    async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await.unwrap()
    }

    /// A started sandbox; its id.
    async fn sandbox(&self) -> String {
        let made = self.post("/api/sandbox", &json!({"env": {}, "labels": {"code-toolbox-language": "python"}})).await;
        assert_eq!(made.status(), 200);
        let made: Value = made.json().await.unwrap();
        assert_eq!(made["state"], "started", "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    /// What a command answered: exit status and output.
    async fn execute(&self, id: &str, body: Value) -> (i64, String) {
        let answer = self.post(&format!("/toolbox/{id}/process/execute"), &body).await;
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        (answer["exitCode"].as_i64().unwrap(), answer["result"].as_str().unwrap().to_owned())
    }

    async fn sh(&self, id: &str, command: &str) -> String {
        let (code, output) = self.execute(id, json!({"command": command})).await;
        assert_eq!(code, 0, "{output}");
        output
    }

    /// Waits until a sandbox is in a state.
    async fn is(&self, id: &str, state: &str) {
        let found = self
            .daytona
            .wait_for(state, LIMIT, |world| world.find(id).is_none_or(|sandbox| sandbox.state.name() == state).then_some(()));
        found.await.unwrap();
    }
}

async fn old() -> Setup {
    Setup::with(|options| options.daemon = DaemonVersion::V0_190).await
}

/// A stand-in whose clock stands still.
async fn timed() -> (Setup, ManualClock) {
    let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap());
    let own = clock.clone();
    (Setup::with(move |options| options.clock = std::sync::Arc::new(own)).await, clock)
}

async fn body(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Status and message of a refusal.
async fn refused(response: Response) -> (u16, String) {
    let (status, body) = body(response).await;
    (status, body["message"].as_str().unwrap_or_default().to_owned())
}

//! What is remembered of requests.

use std::collections::BTreeMap;

use serde_json::Value;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// `GET` and the like.
    pub method: String,
    /// As sent, from `/api` or `/toolbox` on.
    pub path: String,
    /// As sent, without the question mark.
    pub query: String,
    /// In lower case: those of Daytona's own, `user-agent`, `accept`, `content-type`, `range`. Never the credential.
    pub headers: BTreeMap<String, String>,
    /// Bytes of the body, as far as they are known from its head.
    pub body_bytes: u64,
    /// The body of a JSON request of at most a megabyte.
    pub body: Option<Value>,
    /// What was answered; none while it is under way, or when the answer was lost.
    pub status: Option<u16>,
}

impl RequestRecord {
    /// `GET /api/sandbox`: method and path.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// A command that was handed to a daemon.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The id of the sandbox.
    pub sandbox: String,
    /// The path without its beginning, such as `/process/execute`.
    pub path: String,
    /// What was asked.
    pub body: Value,
}

impl Execution {
    /// The command, or the program text.
    pub fn text(&self) -> &str {
        ["command", "code"].iter().find_map(|name| self.body.get(name)?.as_str()).unwrap_or_default()
    }
}

/// Headers that are remembered beside Daytona's own.
pub(super) const HEADERS: [&str; 5] = ["user-agent", "accept", "content-type", "range", "upgrade"];
/// Larger bodies are not remembered.
pub(super) const LARGEST_KEPT: usize = 1 << 20;

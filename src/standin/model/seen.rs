//! A request as the stand-in understood it, whatever the protocol, and what any provider would object to.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use axum::http::HeaderMap;
use serde_json::Value;

use super::Protocol;
use crate::model::Role;

/// A request that came in.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// How it was spoken.
    pub protocol: Protocol,
    /// The model asked for.
    pub model: String,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// The key sent.
    pub key: String,
    /// Role and rules.
    pub system: String,
    /// The conversation.
    pub messages: Vec<SeenMessage>,
    /// Names of the tools offered.
    pub tools: Vec<String>,
    /// The body as it came.
    pub body: Value,
    /// Whether figures about tokens were asked for, where they must be.
    pub(super) shows_usage: bool,
    /// Whether a cache was asked for, where it must be.
    pub(super) asks_for_cache: bool,
}

/// A message of the conversation.
#[derive(Clone, Debug)]
pub struct SeenMessage {
    /// Who speaks; results of tools have [`Role::Tool`], also where the protocol calls them user messages.
    pub role: Role,
    /// All its text.
    pub text: String,
    /// Tool calls in it.
    pub calls: Vec<SeenCall>,
    /// Results in it.
    pub results: Vec<SeenResult>,
}

/// A tool call in the history.
#[derive(Clone, Debug)]
pub struct SeenCall {
    /// Its id; made up for Gemini, which has none.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
}

/// A tool result in the history.
#[derive(Clone, Debug)]
pub struct SeenResult {
    /// The id of its call.
    pub id: String,
    /// What the tool said.
    pub text: String,
    /// Whether it was marked as an error (Anthropic).
    pub is_error: bool,
}

impl SeenMessage {
    pub(super) fn new(role: Role) -> Self {
        Self { role, text: String::new(), calls: vec![], results: vec![] }
    }

    pub(super) fn say(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }
}

impl RecordedRequest {
    /// The last thing a person said; empty when nobody did.
    pub fn last_user_text(&self) -> &str {
        let last = self.messages.iter().rev().find(|message| message.role == Role::User && !message.text.is_empty());
        last.map_or("", |message| message.text.as_str())
    }

    /// The results that came since the model last spoke, in order.
    pub fn new_results(&self) -> Vec<&SeenResult> {
        let spoken = self.messages.iter().rposition(|message| message.role == Role::Assistant).map_or(0, |index| index + 1);
        self.messages[spoken..].iter().flat_map(|message| &message.results).collect()
    }

    /// Whether the model has not spoken yet.
    pub fn is_first(&self) -> bool {
        self.messages.iter().all(|message| message.role != Role::Assistant)
    }

    /// Whether the tool is offered.
    pub fn offers(&self, tool: &str) -> bool {
        self.tools.iter().any(|name| name == tool)
    }

    /// The same for all requests of one conversation.
    pub(super) fn prefix_hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.protocol, &self.model, &self.system, self.messages.first().map(|message| &message.text)).hash(&mut hasher);
        hasher.finish()
    }

    /// Every call has its result before anything else is said, and every result has its call.
    pub(super) fn check(&self) -> Result<(), Objection> {
        let mut known = HashSet::new();
        let mut open: Vec<&str> = Vec::new();
        for message in &self.messages {
            for result in &message.results {
                let call = open.iter().position(|id| *id == result.id).ok_or_else(|| Objection::Orphan(result.id.clone()))?;
                open.remove(call);
            }
            let speaks = message.role != Role::Tool && message.results.is_empty();
            if speaks && !open.is_empty() {
                return Err(missing(&open));
            }
            for call in &message.calls {
                if !known.insert(call.id.as_str()) {
                    return Err(Objection::Duplicate(call.id.clone()));
                }
                open.push(&call.id);
            }
        }
        if open.is_empty() { Ok(()) } else { Err(missing(&open)) }
    }
}

fn missing(ids: &[&str]) -> Objection {
    Objection::Missing(ids.iter().map(|id| (*id).to_owned()).collect())
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Objection {
    /// A result nobody asked for.
    Orphan(String),
    /// Calls without results.
    Missing(Vec<String>),
    /// Two calls with one id.
    Duplicate(String),
    /// No key.
    NoKey,
    /// Something of the protocol's own, status 400.
    Other(String),
}

impl Objection {
    pub(super) fn other(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }

    pub(super) fn status(&self, protocol: Protocol) -> u16 {
        match self {
            Self::NoKey if protocol == Protocol::Gemini => 403,
            Self::NoKey => 401,
            Self::Orphan(_) | Self::Missing(_) | Self::Duplicate(_) | Self::Other(_) => 400,
        }
    }

    /// In the provider's words, or close to them.
    pub(super) fn text(&self, protocol: Protocol) -> String {
        match (self, protocol) {
            (Self::Orphan(_), Protocol::OpenAi) => "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.".into(),
            (Self::Orphan(id), Protocol::Responses) => format!("No tool call found for function call output with call_id {id}."),
            (Self::Orphan(id), Protocol::Anthropic) => {
                format!("unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.")
            }
            (Self::Missing(ids), Protocol::OpenAi) => {
                format!("An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {}", ids.join(", "))
            }
            (Self::Missing(ids), Protocol::Responses) => format!("No tool output found for function call {}.", ids.join(", ")),
            (Self::Missing(ids), Protocol::Anthropic) => {
                format!("`tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the next message.", ids.join(", "))
            }
            (Self::Orphan(_) | Self::Missing(_), Protocol::Gemini) => {
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.".into()
            }
            (Self::Duplicate(_), Protocol::Anthropic) => "messages: `tool_use` ids must be unique".into(),
            (Self::Duplicate(id), _) => format!("Duplicate value for 'tool_call_id' of '{id}'"),
            (Self::NoKey, Protocol::Anthropic) => "x-api-key header is required".into(),
            (Self::NoKey, Protocol::Gemini) => "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.".into(),
            (Self::NoKey, Protocol::OpenAi | Protocol::Responses) => "You didn't provide an API key.".into(),
            (Self::Other(text), _) => text.clone(),
        }
    }
}

/// The key, where the protocol wants it.
pub(super) fn key(protocol: Protocol, headers: &HeaderMap) -> Result<String, Objection> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = match protocol {
        Protocol::OpenAi | Protocol::Responses => header("authorization").and_then(|value| value.strip_prefix("Bearer ")),
        Protocol::Anthropic => header("x-api-key"),
        Protocol::Gemini => header("x-goog-api-key"),
    };
    key.map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned).ok_or(Objection::NoKey)
}

/// A text field.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str()
}

/// A list field; empty when it is missing or null.
pub(super) fn list<'a>(value: &'a Value, field: &str) -> Result<&'a [Value], Objection> {
    match value.get(field) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(Objection::other(format!("'{field}' must be a list"))),
    }
}

/// Names of tools: the right letters, no two alike, and a schema of an object.
pub(super) fn check_tool(names: &mut Vec<String>, name: Option<&str>, schema: Option<&Value>) -> Result<(), Objection> {
    let name = name.unwrap_or_default();
    let valid = !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !valid {
        return Err(Objection::other(format!(
            "Invalid tool name '{name}': expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        )));
    }
    if names.iter().any(|known| known == name) {
        return Err(Objection::other(format!("tools: Tool names must be unique: '{name}'")));
    }
    let kind = schema.and_then(|schema| text(schema, "type"));
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("object")) {
        let found = kind.unwrap_or("None");
        return Err(Objection::other(format!(
            "Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{found}\"'."
        )));
    }
    names.push(name.to_owned());
    Ok(())
}

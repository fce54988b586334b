//! Models: what is asked of one, what it answers, and where the answer comes from.
//!
//! [`Model`] is the seam. `router` turns `provider/model` strings into clients, `chat` is the one module that knows the wire
//! library, `retry` decides what is tried again and when the next model of the chain takes over, `price` knows what tokens cost.

mod chat;
pub mod embedding;
mod message;
pub mod price;
pub mod retry;
pub mod router;
mod shelf;
mod unavailable;
pub mod vision;

pub use embedding::{Embedded, Embedder, Input};
pub use message::{Arguments, Message, Part, Picture, Role, ToolCall, ToolResult};
pub use retry::RetryPolicy;
pub use router::{Http, Patience, RouterError, build};
pub use shelf::Shelf;
pub use unavailable::Unavailable;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A `provider/model` string that was parsed: split at the first `/`, both sides non-empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName {
    /// The provider's name in lower case, such as `openai`.
    pub provider: String,
    /// The provider's name of the model; may contain further slashes.
    pub model: String,
}

impl std::fmt::Display for ModelName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl std::str::FromStr for ModelName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
                Ok(Self { provider: provider.to_ascii_lowercase(), model: model.to_owned() })
            }
            _ => Err(format!("`{text}` is not of the form provider/model, for example openai/gpt-4.1")),
        }
    }
}

impl TryFrom<String> for ModelName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.to_string()
    }
}

/// A tool as the model sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Unique within a request.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// JSON Schema (draft 7, without references) of the arguments.
    pub schema: serde_json::Value,
}

/// One question to a model.
#[derive(Clone, Debug)]
pub struct Request {
    /// Role and rules; stable within a run, so that providers can cache the prefix.
    pub system: String,
    /// The conversation so far. Every tool call is followed by its result.
    pub messages: Vec<Message>,
    /// The tools the model may call.
    pub tools: Vec<ToolSpec>,
    /// Ceiling for the answer, in tokens.
    pub max_output_tokens: Option<u32>,
}

/// Tokens of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens, including those read from a cache.
    pub input: u64,
    /// The part of `input` that was read from a cache.
    pub cached: u64,
    /// The part of `input` that was written to a cache, where the provider says so.
    #[serde(default)]
    pub written: u64,
    /// Tokens of the answer, reasoning included.
    pub output: u64,
    /// True when the provider did not say and the figures are our estimate.
    pub estimated: bool,
}

/// What a model said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Text, reasoning and tool calls in the order they came.
    pub message: Message,
    /// What it took.
    pub usage: Usage,
    /// Which model of the chain answered.
    pub model: ModelName,
    /// True when the answer stopped at the output limit.
    pub truncated: bool,
}

/// A piece of an answer while it streams.
#[derive(Clone, Debug)]
pub enum Delta {
    /// More text.
    Text(String),
    /// What streamed so far is void: the answer is tried again, perhaps by another model.
    Restart {
        /// Why, for the log and the live comment.
        reason: String,
    },
}

/// Why no answer came.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ModelError {
    /// Worth trying again: overload, rate limit, network, a cut stream.
    #[error("{reason}")]
    Retry {
        /// One line without secrets.
        reason: String,
        /// What the provider asked us to wait.
        after: Option<Duration>,
    },
    /// The conversation does not fit into the model's context.
    #[error("the conversation is too long for the model: {0}")]
    TooLong(String),
    /// Trying again will not help. `reason` names the cause, `remedy` the next step, both for a person to read.
    #[error("{reason} {remedy}")]
    Fail {
        /// What is wrong.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
}

/// Something that answers. Implementations are cancel-safe: dropping the future ends the request.
#[async_trait]
pub trait Model: Send + Sync {
    /// Asks once and streams pieces into `deltas` as they come. Retries, fallbacks and deadlines are the implementation's.
    async fn answer(&self, request: &Request, deltas: &(dyn Fn(Delta) + Send + Sync)) -> Result<Answer, ModelError>;

    /// The model that is asked first.
    fn name(&self) -> &ModelName;
}

//! One model of one provider over the wire library. This folder is the only place that names the library's types.
//!
//! Every request streams: whole answers would be lost on empty or cut-off tool arguments. `request` translates ours into the
//! library's types, `answer` back, and `trouble` turns what went wrong into a decision.

mod answer;
mod mark;
mod request;
pub(super) mod trouble;

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use genai::adapter::AdapterKind;
use genai::chat::{ChatStreamEvent, StreamEnd};
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, ModelIden, ServiceTarget};
use url::Url;

use super::retry::{Ask, AskError, Deltas};
use super::router::{Protocol, Reasoning};
use super::{Answer, Delta, ModelError, ModelName, Request};
use crate::secret::{ExposeSecret, SecretString};

/// More than any model writes in one answer; beyond it the answer is refused rather than kept in memory.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// How long one try may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Until the response's headers arrive, connecting included.
    pub headers: Duration,
    /// Between two reads of the body. Long, because a model may reason in silence.
    pub idle: Duration,
    /// Everything.
    pub total: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { headers: Duration::from_secs(120), idle: Duration::from_secs(300), total: Duration::from_secs(900) }
    }
}

/// Who is asked, and what people must check when it does not answer.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The model's full name.
    pub(crate) name: ModelName,
    /// What people call the provider.
    pub(crate) title: String,
    /// The variable that holds the key.
    pub(crate) key_variable: String,
    /// The variable that replaces the address.
    pub(crate) base_url_variable: String,
    /// The variable that names the model.
    pub(crate) setting: &'static str,
    /// What the provider speaks.
    pub(crate) protocol: Protocol,
    /// Whether reasoning goes back.
    pub(crate) reasoning: Reasoning,
}

/// A model of a provider.
pub(crate) struct Chat {
    source: Source,
    kind: AdapterKind,
    endpoint: Endpoint,
    key: SecretString,
    client: Client,
    deadlines: Deadlines,
}

impl Chat {
    /// Makes no request. `base_url` ends in `/`. Fails with a reason when the library cannot be set up.
    pub(crate) fn new(
        source: Source,
        base_url: &Url,
        key: SecretString,
        http: reqwest::Client,
        deadlines: Deadlines,
    ) -> Result<Self, String> {
        let client =
            Client::builder().with_reqwest(http).build().map_err(|_| "the wire library refused its settings".to_owned())?;
        let kind = kind(source.protocol, &source.name.model);
        Ok(Self { source, kind, endpoint: Endpoint::from_owned(base_url.as_str()), key, client, deadlines })
    }

    fn target(&self) -> ServiceTarget {
        ServiceTarget {
            endpoint: self.endpoint.clone(),
            auth: AuthData::from_single(self.key.expose_secret()),
            model: ModelIden::new(self.kind, wire_name(&self.source.name.model)),
        }
    }

    async fn stream(&self, request: &Request, deltas: Deltas<'_>) -> Result<Answer, AskError> {
        let options = request::options(&self.source, self.kind, request, self.deadlines);
        let chat = request::chat(&self.source, self.kind, request);
        let end = self.read(chat, &options, deltas).await?;
        answer::read(&self.source, self.kind, request, end)
    }

    async fn read(
        &self,
        chat: genai::chat::ChatRequest,
        options: &genai::chat::ChatOptions,
        deltas: Deltas<'_>,
    ) -> Result<StreamEnd, AskError> {
        let started = self.client.exec_chat_stream(self.target(), chat, Some(options)).await;
        let mut stream = started.map_err(|error| trouble::from_library(&self.source, &error))?.stream;
        let (mut size, mut arguments) = (0, 0);
        while let Some(event) = stream.next().await {
            // The first error ends the turn, even where the library would go on to an end event.
            match event.map_err(|error| trouble::from_library(&self.source, &error))? {
                ChatStreamEvent::End(end) => return Ok(end),
                ChatStreamEvent::Chunk(chunk) => {
                    size += chunk.content.len();
                    deltas(Delta::Text(chunk.content));
                }
                ChatStreamEvent::ReasoningChunk(chunk) | ChatStreamEvent::ThoughtSignatureChunk(chunk) => {
                    size += chunk.content.len()
                }
                // Repeats the arguments so far.
                ChatStreamEvent::ToolCallChunk(chunk) => arguments = chunk.tool_call.fn_arguments.as_str().map_or(0, str::len),
                ChatStreamEvent::Start | ChatStreamEvent::Heartbeat => {}
            }
            if size + arguments > LARGEST_ANSWER {
                return Err(trouble::too_large(&self.source));
            }
        }
        Err(trouble::cut(&self.source))
    }
}

#[async_trait]
impl Ask for Chat {
    async fn ask(&self, request: &Request, deltas: Deltas<'_>) -> Result<Answer, AskError> {
        match tokio::time::timeout(self.deadlines.total, self.stream(request, deltas)).await {
            Ok(result) => result,
            Err(_) => Err(trouble::late(&self.source, self.deadlines.total)),
        }
    }

    fn name(&self) -> &ModelName {
        &self.source.name
    }
}

/// The library's protocol for a provider. Hosts that are merely compatible get a neutral kind: the OpenAI kind has habits of its own,
/// and DeepSeek's would switch thinking on.
fn kind(protocol: Protocol, model: &str) -> AdapterKind {
    match protocol {
        Protocol::OpenAi if reasons(model) => AdapterKind::OpenAIResp,
        Protocol::OpenAi => AdapterKind::OpenAI,
        Protocol::Anthropic => AdapterKind::Anthropic,
        Protocol::Gemini => AdapterKind::Gemini,
        Protocol::Groq => AdapterKind::Groq,
        Protocol::Mistral => AdapterKind::Mistral,
        Protocol::OpenRouter => AdapterKind::OpenRouter,
        Protocol::Xai => AdapterKind::Xai,
        Protocol::Compatible => AdapterKind::Together,
    }
}

/// Whether OpenAI's `model` reasons: `o1`, `o3-…`, `gpt-5` and later, codex. The chat variants of these do not.
fn reasons(model: &str) -> bool {
    let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let generation = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|number| number.parse::<u32>().ok());
    if model.contains("-chat") {
        return false;
    }
    model.contains("codex")
        || model.strip_prefix('o').is_some_and(digit)
        || model.strip_prefix("gpt-").and_then(generation).is_some_and(|number| number >= 5)
}

/// The library takes what stands before `::` for a provider and drops it; a prefix of ours takes its place.
fn wire_name(model: &str) -> String {
    if model.contains("::") { format!("threadbox::{model}") } else { model.to_owned() }
}

/// A failure worth another try.
pub(super) fn again(reason: String, after: Option<Duration>) -> AskError {
    ModelError::Retry { reason, after }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoning_models_of_openai_speak_responses() {
        for model in [
            "o1",
            "o3-mini",
            "o4-mini-2025-04-16",
            "gpt-5",
            "gpt-5.6-luna",
            "gpt-6",
            "gpt-5-codex",
            "codex-mini-latest",
            "gpt-10",
        ] {
            assert_eq!(kind(Protocol::OpenAi, model), AdapterKind::OpenAIResp, "{model}");
        }
        for model in ["gpt-4.1", "gpt-4o", "gpt-5-chat-latest", "chatgpt-4o-latest", "omni", "gpt-oss-120b"] {
            assert_eq!(kind(Protocol::OpenAi, model), AdapterKind::OpenAI, "{model}");
        }
    }
}

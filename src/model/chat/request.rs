//! Ours → the wire library's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use genai::adapter::AdapterKind;
use genai::chat::{
    Binary, CacheControl, ChatMessage, ChatOptions, ChatRequest, ChatRole, ContentPart, MessageContent, MessageOptions,
    ReasoningEffort, Tool, ToolCall, ToolResponse,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::mark::{self, Keepsake};
use super::{Deadlines, Source};
use crate::model::router::Reasoning;
use crate::model::{Arguments, Message, Part, Picture, Request, Role, ToolResult, ToolSpec, vision};

/// Endings the library would take for an effort and cut off the name.
const EFFORTS: &[&str] = &["low", "medium", "high", "max", "minimal", "none", "zero", "xhigh"];

pub(super) fn options(source: &Source, kind: AdapterKind, request: &Request, deadlines: Deadlines) -> ChatOptions {
    let mut options = ChatOptions::default()
        .with_stream_header_timeout(deadlines.headers)
        .with_stream_read_timeout(deadlines.idle)
        .with_capture_usage(true)
        .with_capture_content(true)
        .with_capture_tool_calls(true)
        // Asking Gemini for its thoughts fails on models without any; signatures come unasked.
        .with_capture_reasoning_content(kind != AdapterKind::Gemini);
    options.reasoning_effort = effort(kind, &source.name.model);
    options.max_tokens =
        request.max_output_tokens.or_else(|| (kind == AdapterKind::Anthropic).then(|| anthropic_ceiling(&source.name.model)));
    if kind == AdapterKind::OpenAIResp {
        // With the capture above the library asks for summaries too, which OpenAI refuses to unverified organisations.
        options.extra_body = Some(json!({ "reasoning": {} }));
    }
    if matches!(kind, AdapterKind::OpenAI | AdapterKind::OpenAIResp) {
        // Keeps the turns of a run on one cache. Without it the library switches the cache of newer models off.
        options.prompt_cache_key = Some(digest(&request.system, 32));
    }
    if kind == AdapterKind::OpenRouter && source.name.model.starts_with("anthropic/") {
        // Anthropic caches nothing unasked; this moves the mark to the end of each request. The makers of the others need no asking.
        options.extra_body = Some(json!({ "cache_control": { "type": "ephemeral" } }));
    }
    options
}

/// An effort that sends nothing and keeps the model's name whole.
fn effort(kind: AdapterKind, model: &str) -> Option<ReasoningEffort> {
    let cut_off = model.rsplit_once('-').is_some_and(|(_, last)| EFFORTS.contains(&last));
    match kind {
        // A budget would go out here; without an effort the provider's default applies.
        AdapterKind::Anthropic | AdapterKind::Gemini => cut_off.then_some(ReasoningEffort::Zero),
        _ => Some(ReasoningEffort::Budget(0)),
    }
}

/// Anthropic demands a ceiling; a higher one than the model has is an error.
fn anthropic_ceiling(model: &str) -> u32 {
    match model {
        _ if model.contains("claude-3-5") => 8_192,
        _ if model.contains("claude-3-") && !model.contains("claude-3-7") => 4_096,
        _ => 32_000,
    }
}

pub(super) fn chat(source: &Source, kind: AdapterKind, request: &Request) -> ChatRequest {
    let mut messages = messages(source, kind, &request.messages);
    let mut tools: Vec<Tool> = request.tools.iter().map(|tool| self::tool(kind, tool)).collect();
    let mut chat = ChatRequest::default();
    if kind == AdapterKind::Anthropic {
        mark_for_cache(&mut tools, &mut messages);
        if !request.system.trim().is_empty() {
            messages.insert(0, ChatMessage::system(request.system.as_str()).with_options(cached()));
        }
    } else if !request.system.trim().is_empty() {
        chat.system = Some(request.system.clone());
    }
    chat.messages = messages;
    chat.tools = (!tools.is_empty()).then_some(tools);
    chat
}

/// Where later requests may have the same beginning, beside the system prompt; Anthropic takes four marks. The tools come first and
/// are the same for every repository; what earlier runs said ends with the last answer, and stays when the next run begins; the end of
/// the conversation is where the next step of this run goes on.
fn mark_for_cache(tools: &mut [Tool], messages: &mut [ChatMessage]) {
    if let Some(last) = tools.last_mut() {
        last.cache_control = Some(CacheControl::Ephemeral);
    }
    let is_answer = |message: &&mut ChatMessage| {
        message.role == ChatRole::Assistant && message.content.contains_text() && !message.content.contains_tool_call()
    };
    if let Some(answer) = messages.iter_mut().rev().find(is_answer) {
        answer.options = Some(cached());
    }
    let markable = |message: &&mut ChatMessage| matches!(message.role, ChatRole::User | ChatRole::Tool);
    if let Some(last) = messages.iter_mut().rev().find(markable) {
        last.options = Some(cached());
    }
}

fn cached() -> MessageOptions {
    CacheControl::Ephemeral.into()
}

fn tool(kind: AdapterKind, spec: &ToolSpec) -> Tool {
    let tool = Tool::new(spec.name.as_str()).with_description(spec.description.as_str()).with_schema(spec.schema.clone());
    // Responses would otherwise be strict, and refuse schemas with optional fields.
    if kind == AdapterKind::OpenAIResp { tool.with_strict(false) } else { tool }
}

/// Results in a row become one message: Anthropic and Gemini want all results of a turn together.
fn messages(source: &Source, kind: AdapterKind, ours: &[Message]) -> Vec<ChatMessage> {
    let mut theirs: Vec<ChatMessage> = Vec::with_capacity(ours.len() + 1);
    for message in ours {
        let parts: Vec<ContentPart> =
            message.parts.iter().flat_map(|part| self::part(source, kind, message.role, part)).collect();
        if parts.is_empty() {
            continue;
        }
        let translated = match message.role {
            Role::User => ChatMessage::user(MessageContent::from_parts(parts)),
            Role::Assistant => ChatMessage::assistant(MessageContent::from_parts(parts)),
            Role::Tool => ChatMessage::tool(MessageContent::from_parts(parts)),
        };
        match theirs.last_mut() {
            Some(last) if message.role == Role::Tool && last.role == translated.role => last.content.extend(translated.content),
            _ => theirs.push(translated),
        }
    }
    theirs
}

fn part(source: &Source, kind: AdapterKind, role: Role, part: &Part) -> Vec<ContentPart> {
    match part {
        // Anthropic refuses blank text, and it says nothing to the others.
        Part::Text { text } if text.trim().is_empty() || role == Role::Tool => vec![],
        Part::Text { text } => vec![ContentPart::Text(text.clone())],
        Part::Reasoning { text, signature } => reasoning(source, kind, text, signature.as_deref()),
        Part::ToolCall(call) => vec![ContentPart::ToolCall(ToolCall {
            call_id: wire_id(kind, &call.id),
            fn_name: call.name.clone(),
            fn_arguments: arguments(&call.arguments),
            thought_signatures: signature(source, call.signature.as_deref()).map(|signature| vec![signature]),
        })],
        Part::ToolResult(result) => vec![tool_result(kind, result)],
        Part::Picture(picture) if role == Role::User => vec![self::picture(source, picture)],
        // Nobody else shows any.
        Part::Picture(_) => vec![],
    }
}

/// The picture for those who see it, a note for the others.
fn picture(source: &Source, picture: &Picture) -> ContentPart {
    match &picture.content {
        Some(content) if vision::sees(&source.name) && vision::takes(&source.name, &picture.media_type) => {
            ContentPart::Binary(Binary::from_base64(picture.media_type.as_str(), STANDARD.encode(content), None))
        }
        Some(_) | None => ContentPart::Text("(an image that was not shown to you)".to_owned()),
    }
}

fn signature(source: &Source, stored: Option<&str>) -> Option<String> {
    match mark::load(&source.name, stored)? {
        Keepsake::Signature(data) => Some(data.to_owned()),
        Keepsake::Unsigned | Keepsake::Block(_) => None,
    }
}

/// Only the model that reasoned gets its reasoning back, and only where the provider takes it. OpenAI's chat completions have no place for it.
fn reasoning(source: &Source, kind: AdapterKind, text: &str, stored: Option<&str>) -> Vec<ContentPart> {
    if source.reasoning == Reasoning::Dropped || kind == AdapterKind::OpenAI {
        return vec![];
    }
    match mark::load(&source.name, stored) {
        Some(Keepsake::Signature(data)) => {
            let signature = ContentPart::ThoughtSignature(data.to_owned());
            // Anthropic pairs every signature with a text, be it empty.
            let text = (kind == AdapterKind::Anthropic).then(|| ContentPart::ReasoningContent(text.to_owned()));
            std::iter::once(signature).chain(text).collect()
        }
        Some(Keepsake::Block(block)) => {
            serde_json::from_str(block).ok().map(|block| ContentPart::from_custom(block, None)).into_iter().collect()
        }
        Some(Keepsake::Unsigned) if kind != AdapterKind::Anthropic && !text.is_empty() => {
            vec![ContentPart::ReasoningContent(text.to_owned())]
        }
        Some(Keepsake::Unsigned) | None => vec![],
    }
}

/// Providers insist on an object, so text that was none goes back inside one: the model sees what it wrote.
fn arguments(arguments: &Arguments) -> Value {
    match arguments {
        Arguments::Object(object) => Value::Object(object.clone()),
        Arguments::Broken(text) => json!({ "invalid_json": text }),
    }
}

fn tool_result(kind: AdapterKind, result: &ToolResult) -> ContentPart {
    let id = wire_id(kind, &result.id);
    let content = match &result.content {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if kind == AdapterKind::Anthropic && result.is_error {
        // The library has no field for it. An error without a text is refused.
        let content = if content.is_empty() { "failed".to_owned() } else { content };
        let block = json!({ "type": "tool_result", "tool_use_id": id, "content": content, "is_error": true });
        return ContentPart::from_custom(block, None);
    }
    ContentPart::ToolResponse(ToolResponse::new(id, content).with_fn_name(result.name.as_str()))
}

/// Tool call ids as the provider takes them: a conversation may have begun with another provider, whose ids look different.
fn wire_id(kind: AdapterKind, id: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let fits = match kind {
        AdapterKind::Mistral => id.len() == 9 && id.chars().all(|c| c.is_ascii_alphanumeric()),
        AdapterKind::Gemini => true,
        _ => !id.is_empty() && id.len() <= 40 && id.chars().all(plain),
    };
    match kind {
        _ if fits => id.to_owned(),
        AdapterKind::Mistral => digest(id, 9),
        _ => format!("call_{}", digest(id, 24)),
    }
}

fn digest(text: &str, length: usize) -> String {
    let mut digest = hex::encode(Sha256::digest(text.as_bytes()));
    digest.truncate(length);
    digest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::model::ToolCall as OurCall;
    use crate::model::router::{Protocol, provider};

    fn source(name: &str) -> Source {
        let name: crate::model::ModelName = name.parse().unwrap();
        let provider = provider(&name.provider).unwrap();
        Source {
            title: provider.title.into(),
            key_variable: "KEY".into(),
            base_url_variable: "URL".into(),
            setting: "MODEL",
            protocol: provider.protocol,
            reasoning: provider.reasoning,
            name,
        }
    }

    fn kinds(name: &str, parts: Vec<Part>) -> Vec<String> {
        let source = source(name);
        let kind = super::super::kind(source.protocol, &source.name.model);
        let message = Message { role: Role::Assistant, parts };
        let sent = messages(&source, kind, &[message]);
        sent.iter()
            .flat_map(|message| message.content.parts())
            .map(|part| match part {
                ContentPart::Text(text) => format!("text {text}"),
                ContentPart::ReasoningContent(text) => format!("reasoning {text}"),
                ContentPart::ThoughtSignature(text) => format!("signature {text}"),
                ContentPart::Custom(custom) => format!("block {}", custom.data),
                ContentPart::ToolCall(call) => {
                    format!("call {} {} {:?}", call.call_id, call.fn_arguments, call.thought_signatures)
                }
                ContentPart::ToolResponse(response) => format!("result {} {}", response.call_id, response.content),
                ContentPart::Binary(_) => "binary".to_owned(),
            })
            .collect()
    }

    fn thought(model: &str, keepsake: &Keepsake<'_>) -> Part {
        Part::Reasoning { text: "hm".into(), signature: Some(mark::store(&model.parse().unwrap(), keepsake)) }
    }

    #[test]
    fn reasoning_goes_back_only_to_the_model_it_came_from() {
        let claude = "anthropic/claude-opus-4-8";
        let signed = || vec![thought(claude, &Keepsake::Signature("sig")), Part::Text { text: "a".into() }];
        assert_eq!(kinds(claude, signed()), ["signature sig", "reasoning hm", "text a"]);
        for other in ["openai/gpt-5", "google/gemini-3-pro", "anthropic/claude-sonnet-5", "deepseek/deepseek-chat"] {
            assert_eq!(kinds(other, signed()), ["text a"], "{other}");
        }
        let unsigned = |model| vec![thought(model, &Keepsake::Unsigned), Part::Text { text: "a".into() }];
        assert_eq!(kinds("deepseek/deepseek-chat", unsigned("deepseek/deepseek-chat")), ["reasoning hm", "text a"]);
        for refusing in ["groq/qwen/qwen3-32b", "cerebras/gpt-oss-120b", "openai/gpt-4.1"] {
            assert_eq!(kinds(refusing, unsigned(refusing)), ["text a"], "{refusing}");
        }
        let redacted = vec![thought(claude, &Keepsake::Block("{\"type\":\"redacted_thinking\",\"data\":\"x\"}"))];
        assert_eq!(kinds(claude, redacted), ["block {\"type\":\"redacted_thinking\",\"data\":\"x\"}"]);
    }

    #[test]
    fn foreign_ids_are_made_to_fit_and_stay_paired() {
        for (name, id) in [("mistral/mistral-large-latest", "call_abcdef"), ("anthropic/claude-opus-4-8", "call#runCode#77")] {
            let source = source(name);
            let kind = super::super::kind(source.protocol, &source.name.model);
            let call = wire_id(kind, id);
            assert_ne!(call, id);
            assert!(call.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{call}");
            assert_eq!(call, wire_id(kind, id));
        }
        assert_eq!(wire_id(AdapterKind::Mistral, "call_abcdef").len(), 9);
        assert_eq!(wire_id(AdapterKind::OpenAI, "call_abcdef"), "call_abcdef");
    }

    #[test]
    fn broken_arguments_go_back_inside_an_object() {
        let call =
            OurCall { id: "c1".into(), name: "runCode".into(), arguments: Arguments::Broken("{\"a\":".into()), signature: None };
        assert_eq!(kinds("openai/gpt-4.1", vec![Part::ToolCall(call)]), ["call c1 {\"invalid_json\":\"{\\\"a\\\":\"} None"]);
    }

    #[test]
    fn blank_text_and_empty_messages_are_left_out() {
        assert!(kinds("anthropic/claude-opus-4-8", vec![Part::Text { text: " \n".into() }]).is_empty());
    }

    #[test]
    fn pictures_go_to_those_who_see() {
        let shown = |name: &str, media_type: &str, content: Option<&'static [u8]>| {
            let source = source(name);
            let kind = super::super::kind(source.protocol, &source.name.model);
            let content = content.map(bytes::Bytes::from_static);
            let picture = Part::Picture(Picture { number: 1, media_type: media_type.into(), content });
            let message = Message { role: Role::User, parts: vec![Part::Text { text: "look".into() }, picture] };
            matches!(messages(&source, kind, &[message])[0].content.parts()[1], ContentPart::Binary(_))
        };
        assert!(shown("openai/gpt-4.1", "image/png", Some(b"x")));
        assert!(shown("anthropic/claude-opus-4-8", "image/gif", Some(b"x")));
        assert!(shown("google/gemini-3-pro", "image/webp", Some(b"x")));
        assert!(!shown("google/gemini-3-pro", "image/gif", Some(b"x")));
        assert!(!shown("deepseek/deepseek-chat", "image/png", Some(b"x")));
        assert!(!shown("openai/gpt-4.1", "image/png", None));
    }

    #[test]
    fn results_in_a_row_become_one_message() {
        let result = |id: &str| Message {
            role: Role::Tool,
            parts: vec![Part::ToolResult(ToolResult { id: id.into(), name: "f".into(), content: json!("ok"), is_error: false })],
        };
        let sent = messages(&source("anthropic/claude-opus-4-8"), AdapterKind::Anthropic, &[result("a"), result("b")]);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].content.parts().len(), 2);
    }

    #[test]
    fn a_name_that_ends_like_an_effort_stays_whole() {
        assert!(matches!(effort(AdapterKind::Together, "qwen-max"), Some(ReasoningEffort::Budget(0))));
        assert!(matches!(effort(AdapterKind::Gemini, "gemini-3.1-pro-low"), Some(ReasoningEffort::Zero)));
        assert!(effort(AdapterKind::Anthropic, "claude-opus-4-8").is_none());
        assert_eq!(Protocol::Compatible, provider("deepseek").unwrap().protocol);
    }
}

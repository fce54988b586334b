//! Anthropic Messages.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::Protocol;
use super::said::{Finish, Said, Tokens, fresh, is_signed, pieces, sign};
use super::seen::{Objection, RecordedRequest, SeenCall, SeenMessage, SeenResult, check_tool, list, text};
use crate::model::Role;

pub(super) fn read(key: String, headers: &HeaderMap, body: Value) -> Result<RecordedRequest, Objection> {
    if !headers.contains_key("anthropic-version") {
        return Err(Objection::other("anthropic-version: header is required"));
    }
    let model = text(&body, "model").ok_or_else(|| Objection::other("model: Field required"))?.to_owned();
    if body.get("max_tokens").and_then(Value::as_u64).unwrap_or(0) == 0 {
        return Err(Objection::other("max_tokens: Field required"));
    }
    let raw = list(&body, "messages")?;
    if raw.is_empty() {
        return Err(Objection::other("messages: at least one message is required"));
    }
    let mut messages = Vec::with_capacity(raw.len());
    for (index, message) in raw.iter().enumerate() {
        messages.push(read_message(message, index)?);
    }
    let mut tools = Vec::new();
    for tool in list(&body, "tools")? {
        check_tool(&mut tools, text(tool, "name"), tool.get("input_schema"))?;
    }
    let marks = cache_marks(&body);
    if marks > 4 {
        return Err(Objection::other(format!("A maximum of 4 blocks with cache_control may be provided. Found {marks}.")));
    }
    let system = match body.get("system") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(blocks)) => blocks.iter().filter_map(|block| text(block, "text")).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    };
    let streamed = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
    Ok(RecordedRequest {
        protocol: Protocol::Anthropic,
        model,
        streamed,
        key,
        system,
        messages,
        tools,
        body,
        shows_usage: true,
        asks_for_cache: marks > 0,
    })
}

fn cache_marks(value: &Value) -> usize {
    match value {
        Value::Object(fields) => {
            usize::from(fields.contains_key("cache_control")) + fields.values().map(cache_marks).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(cache_marks).sum(),
        _ => 0,
    }
}

fn read_message(message: &Value, index: usize) -> Result<SeenMessage, Objection> {
    let role = match text(message, "role") {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        other => {
            return Err(Objection::other(format!(
                "messages.{index}.role: Input should be 'user' or 'assistant', got '{}'",
                other.unwrap_or("None")
            )));
        }
    };
    let mut seen = SeenMessage::new(role);
    match message.get("content") {
        Some(Value::String(said)) if !said.is_empty() => seen.say(said),
        Some(Value::Array(blocks)) if !blocks.is_empty() => {
            for (place, block) in blocks.iter().enumerate() {
                read_block(&mut seen, block)
                    .map_err(|what| Objection::other(format!("messages.{index}.content.{place}: {what}")))?;
            }
        }
        _ => return Err(Objection::other(format!("messages.{index}: all messages must have non-empty content"))),
    }
    if !seen.results.is_empty() && seen.text.is_empty() {
        seen.role = Role::Tool;
    }
    Ok(seen)
}

fn read_block(seen: &mut SeenMessage, block: &Value) -> Result<(), String> {
    let field = |name: &str| text(block, name).ok_or(format!("{name}: Field required"));
    match (text(block, "type"), seen.role) {
        (Some("text"), _) => {
            let said = field("text")?;
            if said.trim().is_empty() {
                return Err("text content blocks must contain non-whitespace text".into());
            }
            seen.say(said);
        }
        (Some("tool_use"), Role::Assistant) => {
            let id = field("id")?;
            if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
                return Err("tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'".into());
            }
            let input = block
                .get("input")
                .filter(|input| input.is_object())
                .ok_or("tool_use.input: Input should be a valid dictionary")?;
            seen.calls.push(SeenCall { id: id.to_owned(), name: field("name")?.to_owned(), arguments: input.clone() });
        }
        (Some("tool_result"), Role::User) => {
            if !seen.text.is_empty() {
                return Err("tool_result blocks must come before any text in the message".into());
            }
            let said = match block.get("content") {
                Some(Value::String(said)) => said.clone(),
                Some(Value::Array(parts)) => parts.iter().filter_map(|part| text(part, "text")).collect::<Vec<_>>().join("\n"),
                _ => String::new(),
            };
            let is_error = block.get("is_error").and_then(Value::as_bool).unwrap_or(false);
            if is_error && said.is_empty() {
                return Err("content cannot be empty if `is_error` is true".into());
            }
            seen.results.push(SeenResult { id: field("tool_use_id")?.to_owned(), text: said, is_error });
        }
        (Some("thinking"), Role::Assistant) => {
            if !is_signed(field("signature")?, Some(field("thinking")?)) {
                return Err("Invalid `signature` in `thinking` block".into());
            }
            if !seen.text.is_empty() || !seen.calls.is_empty() {
                return Err("thinking blocks must come first".into());
            }
        }
        (Some("redacted_thinking"), Role::Assistant) | (Some("image" | "document"), Role::User) => {}
        (kind, _) => return Err(format!("Input tag '{}' is not expected here", kind.unwrap_or("None"))),
    }
    Ok(())
}

/// The content blocks, as a whole answer has them.
fn blocks(said: &Said) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(thought) = &said.thought {
        blocks.push(json!({ "type": "thinking", "thinking": thought, "signature": sign(thought) }));
    }
    if let Some(text) = &said.text {
        blocks.push(json!({ "type": "text", "text": text }));
    }
    for call in &said.calls {
        let input = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        blocks.push(json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input }));
    }
    blocks
}

pub(super) fn whole(said: &Said, tokens: Option<Tokens>, model: &str) -> Value {
    json!({
        "id": format!("msg_{:024x}", fresh()), "type": "message", "role": "assistant", "model": model, "content": blocks(said),
        "stop_reason": stop_reason(said.finish), "stop_sequence": null,
        "usage": tokens.map(|tokens| usage(tokens, tokens.output)).unwrap_or_else(|| json!({})),
    })
}

pub(super) fn frames(said: &Said, tokens: Option<Tokens>, model: &str) -> Vec<String> {
    let mut start = whole(said, tokens, model);
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    start["usage"] = tokens.map(|tokens| usage(tokens, 1)).unwrap_or_else(|| json!({}));
    let mut frames = vec![frame("message_start", json!({ "message": start })), frame("ping", json!({}))];
    let mut index = 0;
    let mut block = |frames: &mut Vec<String>, start: Value, deltas: Vec<Value>| {
        frames.push(frame("content_block_start", json!({ "index": index, "content_block": start })));
        frames.extend(deltas.into_iter().map(|delta| frame("content_block_delta", json!({ "index": index, "delta": delta }))));
        frames.push(frame("content_block_stop", json!({ "index": index })));
        index += 1;
    };
    if let Some(thought) = &said.thought {
        let mut deltas: Vec<Value> =
            pieces(thought).iter().map(|piece| json!({ "type": "thinking_delta", "thinking": piece })).collect();
        deltas.push(json!({ "type": "signature_delta", "signature": sign(thought) }));
        block(&mut frames, json!({ "type": "thinking", "thinking": "", "signature": "" }), deltas);
    }
    if let Some(text) = &said.text {
        let deltas = pieces(text).iter().map(|piece| json!({ "type": "text_delta", "text": piece })).collect();
        block(&mut frames, json!({ "type": "text", "text": "" }), deltas);
    }
    for call in &said.calls {
        let deltas =
            pieces(&call.arguments).iter().map(|piece| json!({ "type": "input_json_delta", "partial_json": piece })).collect();
        block(&mut frames, json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} }), deltas);
    }
    let usage = tokens.map(|tokens| json!({ "output_tokens": tokens.output })).unwrap_or_else(|| json!({}));
    frames.push(frame(
        "message_delta",
        json!({ "delta": { "stop_reason": stop_reason(said.finish), "stop_sequence": null }, "usage": usage }),
    ));
    frames.push(frame("message_stop", json!({})));
    frames
}

fn frame(kind: &str, mut data: Value) -> String {
    data["type"] = json!(kind);
    format!("event: {kind}\ndata: {data}\n\n")
}

fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Calls => "tool_use",
        Finish::Length => "max_tokens",
        Finish::Filtered => "refusal",
    }
}

/// Anthropic counts cached tokens beside the others, not among them.
fn usage(tokens: Tokens, output: u64) -> Value {
    let plain = tokens.input - tokens.cached - tokens.written;
    json!({ "input_tokens": plain, "cache_creation_input_tokens": tokens.written, "cache_read_input_tokens": tokens.cached, "output_tokens": output })
}

pub(super) fn error_frame() -> String {
    frame("error", json!({ "error": { "type": "overloaded_error", "message": "Overloaded" } }))
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": format!("req_{:024x}", fresh()) })
}

//! OpenAI chat completions.

use serde_json::{Value, json};

use super::Protocol;
use super::said::{Finish, Said, Tokens, fresh, pieces};
use super::seen::{Objection, RecordedRequest, SeenCall, SeenMessage, SeenResult, check_tool, list, text};
use crate::model::Role;

pub(super) fn read(key: String, body: Value) -> Result<RecordedRequest, Objection> {
    let model = text(&body, "model").ok_or_else(|| Objection::other("you must provide a model parameter"))?.to_owned();
    let raw = list(&body, "messages")?;
    if raw.is_empty() {
        return Err(Objection::other(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ));
    }
    let (mut system, mut messages) = (String::new(), Vec::with_capacity(raw.len()));
    for (index, message) in raw.iter().enumerate() {
        match text(message, "role") {
            Some("system" | "developer") => system.push_str(&content(message, index)?),
            Some("user") => {
                let mut seen = SeenMessage::new(Role::User);
                seen.say(&content(message, index)?);
                messages.push(seen);
            }
            Some("assistant") => messages.push(assistant(message, index)?),
            Some("tool") => messages.push(result(message, index)?),
            other => {
                let other = other.unwrap_or("None");
                return Err(Objection::other(format!(
                    "Invalid value: '{other}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."
                )));
            }
        }
    }
    let mut tools = Vec::new();
    for tool in list(&body, "tools")? {
        let function = tool.get("function").filter(|_| text(tool, "type") == Some("function"));
        let function = function.ok_or_else(|| Objection::other("Missing required parameter: 'tools[0].function'."))?;
        check_tool(&mut tools, text(function, "name"), function.get("parameters"))?;
    }
    let streamed = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
    let shows_usage = !streamed || body.pointer("/stream_options/include_usage").and_then(Value::as_bool).unwrap_or(false);
    Ok(RecordedRequest {
        protocol: Protocol::OpenAi,
        model,
        streamed,
        key,
        system,
        messages,
        tools,
        body,
        shows_usage,
        asks_for_cache: true,
    })
}

fn content(message: &Value, index: usize) -> Result<String, Objection> {
    match message.get("content") {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => Ok(parts.iter().filter_map(|part| text(part, "text")).collect::<Vec<_>>().join("\n")),
        _ => Err(Objection::other(format!("Invalid value for 'content' of messages[{index}]: expected a string, got null."))),
    }
}

fn assistant(message: &Value, index: usize) -> Result<SeenMessage, Objection> {
    let mut seen = SeenMessage::new(Role::Assistant);
    let calls = list(message, "tool_calls")?;
    let silent = message.get("content").is_none_or(Value::is_null);
    if !silent || calls.is_empty() {
        seen.say(&content(message, index)?);
    }
    for call in calls {
        let id =
            text(call, "id").filter(|id| !id.is_empty()).ok_or_else(|| wrong(index, "tool_calls[].id: a string is required"))?;
        if id.len() > 40 {
            return Err(wrong(index, "tool_calls[].id: string too long. Expected a string with maximum length 40"));
        }
        let name = call
            .pointer("/function/name")
            .and_then(Value::as_str)
            .ok_or_else(|| wrong(index, "tool_calls[].function.name is required"))?;
        let arguments = call.pointer("/function/arguments").and_then(Value::as_str);
        let arguments = arguments.ok_or_else(|| wrong(index, "tool_calls[].function.arguments: a string is required"))?;
        let arguments = serde_json::from_str(arguments).unwrap_or_else(|_| Value::String(arguments.to_owned()));
        seen.calls.push(SeenCall { id: id.to_owned(), name: name.to_owned(), arguments });
    }
    Ok(seen)
}

fn result(message: &Value, index: usize) -> Result<SeenMessage, Objection> {
    let id = text(message, "tool_call_id")
        .ok_or_else(|| wrong(index, "Missing parameter 'tool_call_id': messages with role 'tool' must have a 'tool_call_id'."))?;
    let mut seen = SeenMessage::new(Role::Tool);
    seen.results.push(SeenResult { id: id.to_owned(), text: content(message, index)?, is_error: false });
    Ok(seen)
}

fn wrong(index: usize, what: &str) -> Objection {
    Objection::other(format!("Invalid 'messages[{index}]': {what}"))
}

pub(super) fn frames(said: &Said, tokens: Option<Tokens>, model: &str, shows_usage: bool) -> Vec<String> {
    let id = format!("chatcmpl-{:024x}", fresh());
    let chunk = |choices: Value, usage: Value| {
        let mut chunk =
            json!({ "id": id, "object": "chat.completion.chunk", "created": 1_750_000_000, "model": model, "choices": choices });
        if shows_usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let delta =
        |delta: Value, finish: Value| chunk(json!([{ "index": 0, "delta": delta, "finish_reason": finish }]), Value::Null);
    let mut frames = vec![delta(json!({ "role": "assistant", "content": "" }), Value::Null)];
    for piece in said.thought.iter().flat_map(|thought| pieces(thought)) {
        frames.push(delta(json!({ "reasoning_content": piece }), Value::Null));
    }
    for piece in said.text.iter().flat_map(|text| pieces(text)) {
        frames.push(delta(json!({ "content": piece }), Value::Null));
    }
    for (index, call) in said.calls.iter().enumerate() {
        let start =
            json!({ "index": index, "id": call.id, "type": "function", "function": { "name": call.name, "arguments": "" } });
        frames.push(delta(json!({ "tool_calls": [start] }), Value::Null));
        for piece in pieces(&call.arguments) {
            frames.push(delta(json!({ "tool_calls": [{ "index": index, "function": { "arguments": piece } }] }), Value::Null));
        }
    }
    frames.push(delta(json!({}), json!(finish(said.finish))));
    if let Some(tokens) = tokens.filter(|_| shows_usage) {
        frames.push(chunk(json!([]), usage(tokens)));
    }
    frames.push("data: [DONE]\n\n".to_owned());
    frames
}

pub(super) fn whole(said: &Said, tokens: Option<Tokens>, model: &str) -> Value {
    let calls: Vec<Value> = said
        .calls
        .iter()
        .map(|call| json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": call.arguments } }))
        .collect();
    let mut message = json!({ "role": "assistant", "content": said.text });
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    if let Some(thought) = &said.thought {
        message["reasoning_content"] = json!(thought);
    }
    json!({
        "id": format!("chatcmpl-{:024x}", fresh()), "object": "chat.completion", "created": 1_750_000_000, "model": model,
        "choices": [{ "index": 0, "message": message, "finish_reason": finish(said.finish) }],
        "usage": tokens.map(usage),
    })
}

fn finish(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Calls => "tool_calls",
        Finish::Length => "length",
        Finish::Filtered => "content_filter",
    }
}

fn usage(tokens: Tokens) -> Value {
    json!({
        "prompt_tokens": tokens.input, "completion_tokens": tokens.output, "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": { "cached_tokens": tokens.cached }, "completion_tokens_details": { "reasoning_tokens": 0 },
    })
}

pub(super) fn error_frame() -> String {
    format!("data: {}\n\n", error(500, "The server had an error while processing your request. Sorry about that!"))
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let (kind, code) = match status {
        401 => ("invalid_request_error", json!("invalid_api_key")),
        404 => ("invalid_request_error", json!("model_not_found")),
        429 => ("requests", json!("rate_limit_exceeded")),
        400..=499 => ("invalid_request_error", Value::Null),
        _ => ("server_error", Value::Null),
    };
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}

//! OpenAI Responses.

use serde_json::{Value, json};

use super::Protocol;
use super::said::{Finish, Said, Tokens, fresh, is_signed, pieces, sign};
use super::seen::{Objection, RecordedRequest, SeenCall, SeenMessage, SeenResult, check_tool, list, text};
use crate::model::Role;

pub(super) fn read(key: String, body: Value) -> Result<RecordedRequest, Objection> {
    let model = text(&body, "model").ok_or_else(|| Objection::other("Missing required parameter: 'model'."))?.to_owned();
    let mut system = text(&body, "instructions").unwrap_or_default().to_owned();
    let mut messages: Vec<SeenMessage> = Vec::new();
    match body.get("input") {
        Some(Value::String(said)) => {
            let mut seen = SeenMessage::new(Role::User);
            seen.say(said);
            messages.push(seen);
        }
        Some(Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                read_item(item, index, &mut system, &mut messages)?;
            }
        }
        _ => return Err(Objection::other("Missing required parameter: 'input'.")),
    }
    let mut tools = Vec::new();
    for tool in list(&body, "tools")? {
        if text(tool, "type") != Some("function") {
            return Err(Objection::other("Invalid value for 'tools[].type'."));
        }
        check_tool(&mut tools, text(tool, "name"), tool.get("parameters"))?;
    }
    let streamed = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
    Ok(RecordedRequest {
        protocol: Protocol::Responses,
        model,
        streamed,
        key,
        system,
        messages,
        tools,
        body,
        shows_usage: true,
        asks_for_cache: true,
    })
}

fn read_item(item: &Value, index: usize, system: &mut String, messages: &mut Vec<SeenMessage>) -> Result<(), Objection> {
    match (text(item, "type").unwrap_or("message"), text(item, "role")) {
        ("message", Some("system" | "developer")) => system.push_str(&content(item)),
        ("message", Some("user")) => {
            let mut seen = SeenMessage::new(Role::User);
            seen.say(&content(item));
            messages.push(seen);
        }
        ("message", Some("assistant")) => assistant(messages).say(&content(item)),
        ("function_call", _) => {
            let field = |name: &str| {
                text(item, name)
                    .map(str::to_owned)
                    .ok_or_else(|| Objection::other(format!("Missing required parameter: 'input[{index}].{name}'.")))
            };
            let arguments = field("arguments")?;
            let arguments = serde_json::from_str(&arguments).unwrap_or(Value::String(arguments));
            let call = SeenCall { id: field("call_id")?, name: field("name")?, arguments };
            assistant(messages).calls.push(call);
        }
        ("function_call_output", _) => {
            let id = text(item, "call_id")
                .ok_or_else(|| Objection::other(format!("Missing required parameter: 'input[{index}].call_id'.")))?;
            let output = text(item, "output")
                .ok_or_else(|| Objection::other(format!("Missing required parameter: 'input[{index}].output'.")))?;
            let mut seen = SeenMessage::new(Role::Tool);
            seen.results.push(SeenResult { id: id.to_owned(), text: output.to_owned(), is_error: false });
            messages.push(seen);
        }
        ("reasoning", _) => {
            if !is_signed(text(item, "encrypted_content").unwrap_or_default(), None) {
                return Err(Objection::other(format!("The encrypted content for item input[{index}] could not be verified.")));
            }
        }
        (kind, role) => {
            return Err(Objection::other(format!(
                "Invalid value: input[{index}] has type '{kind}' and role '{}'.",
                role.unwrap_or("None")
            )));
        }
    }
    Ok(())
}

/// Items of one turn belong to one message.
fn assistant(messages: &mut Vec<SeenMessage>) -> &mut SeenMessage {
    let fresh = messages.last().is_none_or(|last| last.role != Role::Assistant);
    if fresh {
        messages.push(SeenMessage::new(Role::Assistant));
    }
    let last = messages.len() - 1;
    &mut messages[last]
}

fn content(item: &Value) -> String {
    match item.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| text(part, "text")).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

pub(super) fn frames(said: &Said, tokens: Option<Tokens>, model: &str) -> Vec<String> {
    let finished = whole(said, tokens, model);
    let mut started = finished.clone();
    started["status"] = json!("in_progress");
    started["output"] = json!([]);
    started["usage"] = Value::Null;
    let mut frames = vec![frame("response.created", json!({ "response": started }))];
    let items = finished["output"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, item) in items.iter().enumerate() {
        item_frames(&mut frames, index, item);
    }
    let last = if matches!(said.finish, Finish::Stop | Finish::Calls) { "response.completed" } else { "response.incomplete" };
    frames.push(frame(last, json!({ "response": finished })));
    frames
}

fn item_frames(frames: &mut Vec<String>, index: usize, item: &Value) {
    let mut opened = item.clone();
    match text(item, "type") {
        Some("message") => {
            let said = item.pointer("/content/0/text").and_then(Value::as_str).unwrap_or_default();
            opened["content"] = json!([]);
            frames.push(frame("response.output_item.added", json!({ "output_index": index, "item": opened })));
            let part = json!({ "type": "output_text", "text": "", "annotations": [] });
            frames.push(frame("response.content_part.added", json!({ "output_index": index, "content_index": 0, "part": part })));
            for piece in pieces(said) {
                frames.push(frame(
                    "response.output_text.delta",
                    json!({ "output_index": index, "content_index": 0, "delta": piece }),
                ));
            }
            frames.push(frame("response.output_text.done", json!({ "output_index": index, "content_index": 0, "text": said })));
        }
        Some("function_call") => {
            let arguments = text(item, "arguments").unwrap_or_default();
            opened["arguments"] = json!("");
            frames.push(frame("response.output_item.added", json!({ "output_index": index, "item": opened })));
            for piece in pieces(arguments) {
                frames.push(frame("response.function_call_arguments.delta", json!({ "output_index": index, "delta": piece })));
            }
            frames.push(frame("response.function_call_arguments.done", json!({ "output_index": index, "arguments": arguments })));
        }
        _ => frames.push(frame("response.output_item.added", json!({ "output_index": index, "item": opened }))),
    }
    frames.push(frame("response.output_item.done", json!({ "output_index": index, "item": item })));
}

fn frame(kind: &str, mut data: Value) -> String {
    data["type"] = json!(kind);
    format!("event: {kind}\ndata: {data}\n\n")
}

pub(super) fn whole(said: &Said, tokens: Option<Tokens>, model: &str) -> Value {
    let mut output = Vec::new();
    if let Some(thought) = &said.thought {
        output.push(json!({ "type": "reasoning", "id": format!("rs_{:024x}", fresh()), "summary": [], "encrypted_content": sign(thought) }));
    }
    if let Some(text) = &said.text {
        let content = json!([{ "type": "output_text", "text": text, "annotations": [] }]);
        output.push(json!({ "type": "message", "id": format!("msg_{:024x}", fresh()), "status": "completed", "role": "assistant", "content": content }));
    }
    for call in &said.calls {
        output.push(json!({ "type": "function_call", "id": format!("fc_{:024x}", fresh()), "status": "completed", "call_id": call.id, "name": call.name, "arguments": call.arguments }));
    }
    let (status, details) = match said.finish {
        Finish::Stop | Finish::Calls => ("completed", Value::Null),
        Finish::Length => ("incomplete", json!({ "reason": "max_output_tokens" })),
        Finish::Filtered => ("incomplete", json!({ "reason": "content_filter" })),
    };
    json!({
        "id": format!("resp_{:024x}", fresh()), "object": "response", "created_at": 1_750_000_000, "status": status, "error": null,
        "incomplete_details": details, "model": model, "output": output, "usage": tokens.map(usage),
    })
}

fn usage(tokens: Tokens) -> Value {
    json!({
        "input_tokens": tokens.input, "input_tokens_details": { "cached_tokens": tokens.cached }, "output_tokens": tokens.output,
        "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": tokens.input + tokens.output,
    })
}

pub(super) fn error_frame() -> String {
    frame(
        "error",
        json!({ "code": "server_error", "message": "The server had an error while processing your request.", "param": null }),
    )
}

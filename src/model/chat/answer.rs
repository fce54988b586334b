//! The wire library's → ours.

use std::collections::HashMap;

use genai::adapter::AdapterKind;
use genai::chat::{ContentPart, StopReason, StreamEnd, ToolCall as TheirCall};
use serde_json::Value;
use uuid::Uuid;

use super::mark::{self, Keepsake};
use super::{Source, again, trouble};
use crate::model::price::estimate_tokens;
use crate::model::retry::AskError;
use crate::model::{Answer, Arguments, Message, ModelName, Part, Request, Role, ToolCall, Usage};

/// The answer, or the trouble that hides in a stream which ended as if all were well.
pub(super) fn read(source: &Source, kind: AdapterKind, request: &Request, end: StreamEnd) -> Result<Answer, AskError> {
    // For these two the library makes up an end when the connection closes early; a real one has a reason.
    if end.captured_stop_reason.is_none() && matches!(kind, AdapterKind::Gemini | AdapterKind::OpenAIResp) {
        return Err(trouble::cut(source));
    }
    let usage = end.captured_usage;
    let stop = end.captured_stop_reason;
    let contents = end.captured_content.map(|content| content.into_parts()).unwrap_or_default();
    let parts = parts(&source.name, kind, contents, end.captured_reasoning_content);
    let message = Message { role: Role::Assistant, parts };
    if message.tool_calls().next().is_none() {
        check_stop(source, stop.as_ref(), &message)?;
    }
    Ok(Answer {
        usage: self::usage(usage, request, &message),
        message,
        model: source.name.clone(),
        truncated: stop.is_some_and(|reason| reason.is_max_tokens()),
    })
}

/// Called for answers without tool calls. Whether tools run depends on the calls being there, never on the stop reason.
fn check_stop(source: &Source, stop: Option<&StopReason>, message: &Message) -> Result<(), AskError> {
    let title = &source.title;
    let said_something = !message.plain_text().trim().is_empty();
    match stop {
        Some(StopReason::ContentFilter(_)) if !said_something => Err(trouble::filtered(source)),
        Some(StopReason::ToolCall(_)) if !said_something => {
            Err(again(format!("{title} announced a tool call and sent none."), None))
        }
        Some(StopReason::Other(reason)) if !said_something => {
            Err(again(format!("{title} stopped without an answer ({}).", trouble::safe(reason)), None))
        }
        Some(
            StopReason::ContentFilter(_)
            | StopReason::ToolCall(_)
            | StopReason::Other(_)
            | StopReason::Completed(_)
            | StopReason::MaxTokens(_)
            | StopReason::StopSequence(_),
        )
        | None => Ok(()),
    }
}

fn parts(origin: &ModelName, kind: AdapterKind, contents: Vec<ContentPart>, reasoning: Option<String>) -> Vec<Part> {
    let call_signatures = call_signatures(kind, &contents);
    let mut loose = reasoning.filter(|text| !text.is_empty() && !contents.iter().any(ContentPart::is_reasoning_content));
    let mut parts = Vec::with_capacity(contents.len() + 1);
    for content in contents {
        match content {
            ContentPart::Text(text) if text.is_empty() => {}
            ContentPart::Text(text) => parts.push(Part::Text { text }),
            ContentPart::ThoughtSignature(signature) if call_signatures.contains(&signature) => {}
            ContentPart::ThoughtSignature(signature) => {
                let signature = Some(mark::store(origin, &Keepsake::Signature(&signature)));
                parts.push(Part::Reasoning { text: loose.take().unwrap_or_default(), signature });
            }
            // Follows the signature it belongs to.
            ContentPart::ReasoningContent(thought) => match parts.last_mut() {
                Some(Part::Reasoning { text, .. }) if text.is_empty() => *text = thought,
                _ => parts.push(unsigned(origin, thought)),
            },
            ContentPart::Custom(custom) => {
                let signature = Some(mark::store(origin, &Keepsake::Block(&custom.data.to_string())));
                parts.push(Part::Reasoning { text: String::new(), signature });
            }
            ContentPart::ToolCall(call) => parts.push(Part::ToolCall(tool_call(origin, kind, call))),
            ContentPart::Binary(_) | ContentPart::ToolResponse(_) => {}
        }
    }
    if let Some(thought) = loose {
        parts.insert(0, unsigned(origin, thought));
    }
    unique(parts)
}

fn unsigned(origin: &ModelName, text: String) -> Part {
    Part::Reasoning { text, signature: Some(mark::store(origin, &Keepsake::Unsigned)) }
}

/// Gemini signs calls one by one. For the others the signatures on a call merely repeat those of the reasoning.
fn call_signatures(kind: AdapterKind, contents: &[ContentPart]) -> Vec<String> {
    if kind != AdapterKind::Gemini {
        return vec![];
    }
    let calls = contents.iter().filter_map(ContentPart::as_tool_call);
    calls.filter_map(|call| call.thought_signatures.as_ref()?.first().cloned()).collect()
}

fn tool_call(origin: &ModelName, kind: AdapterKind, call: TheirCall) -> ToolCall {
    let signature = call.thought_signatures.filter(|_| kind == AdapterKind::Gemini).and_then(|all| all.into_iter().next());
    ToolCall {
        id: own_id(kind, call.call_id, &call.fn_name),
        name: call.fn_name,
        arguments: arguments(call.fn_arguments),
        signature: signature.map(|signature| mark::store(origin, &Keepsake::Signature(&signature))),
    }
}

/// Arguments that arrive as a string were not JSON: none at all means no arguments, the rest is for the model to repair.
fn arguments(value: Value) -> Arguments {
    match value {
        Value::Object(object) => Arguments::Object(object),
        Value::Null => Arguments::Object(serde_json::Map::new()),
        Value::String(text) if text.trim().is_empty() => Arguments::Object(serde_json::Map::new()),
        Value::String(text) => Arguments::Broken(text),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_)) => Arguments::Broken(other.to_string()),
    }
}

/// Ids the library makes up repeat within a thread, so they are replaced. For Gemini the made-up form is kept (name and number), because
/// the library knows by it that the id is not Gemini's.
fn own_id(kind: AdapterKind, id: String, name: &str) -> String {
    let made_up = match kind {
        AdapterKind::Gemini => id.starts_with("call#"),
        _ => id.strip_prefix("call_").is_some_and(|rest| rest.len() < 4 && rest.chars().all(|c| c.is_ascii_digit())),
    };
    if made_up || id.is_empty() { fresh_id(kind, name) } else { id }
}

fn fresh_id(kind: AdapterKind, name: &str) -> String {
    let random = Uuid::now_v7();
    match kind {
        AdapterKind::Gemini => format!("call#{name}#{}", random.as_u128() as u32),
        _ => format!("call_{}", random.simple()),
    }
}

/// Drops calls that repeat another one whole, and tells apart different calls with one id.
fn unique(parts: Vec<Part>) -> Vec<Part> {
    let mut seen: HashMap<String, ToolCall> = HashMap::new();
    let mut kept = Vec::with_capacity(parts.len());
    for mut part in parts {
        if let Part::ToolCall(call) = &mut part {
            match seen.get(&call.id) {
                Some(first) if first == call => continue,
                Some(_) => call.id = format!("call_{}", Uuid::now_v7().simple()),
                None => {}
            }
            seen.insert(call.id.clone(), call.clone());
        }
        kept.push(part);
    }
    kept
}

/// What the provider counted; where it did not, our estimate, marked as such.
fn usage(theirs: Option<genai::chat::Usage>, request: &Request, message: &Message) -> Usage {
    let theirs = theirs.unwrap_or_default();
    let count = |tokens: Option<i32>| tokens.and_then(|tokens| u64::try_from(tokens).ok()).filter(|tokens| *tokens > 0);
    let prompt = theirs.prompt_tokens_details.unwrap_or_default();
    let (cached, written) = (count(prompt.cached_tokens).unwrap_or(0), count(prompt.cache_creation_tokens).unwrap_or(0));
    let reasoning = count(theirs.completion_tokens_details.and_then(|details| details.reasoning_tokens));
    let input = count(theirs.prompt_tokens);
    let output = count(theirs.completion_tokens).or(reasoning);
    let silent = message.parts.is_empty();
    Usage {
        input: input.unwrap_or_else(|| estimate_input(request)),
        cached,
        written,
        output: output.unwrap_or_else(|| estimate_parts(&message.parts)),
        estimated: input.is_none() || (output.is_none() && !silent),
    }
}

fn estimate_input(request: &Request) -> u64 {
    let messages: u64 = request.messages.iter().map(|message| estimate_parts(&message.parts)).sum();
    let tool = |tool: &crate::model::ToolSpec| estimate_tokens(&tool.description) + estimate_tokens(&tool.schema.to_string());
    estimate_tokens(&request.system) + messages + request.tools.iter().map(tool).sum::<u64>()
}

fn estimate_parts(parts: &[Part]) -> u64 {
    let tokens = parts.iter().map(|part| match part {
        Part::Text { text } | Part::Reasoning { text, .. } => estimate_tokens(text),
        Part::ToolCall(call) => match &call.arguments {
            Arguments::Object(object) => {
                estimate_tokens(&call.name)
                    + object.iter().map(|(name, value)| estimate_tokens(name) + estimate_tokens(&value.to_string())).sum::<u64>()
            }
            Arguments::Broken(text) => estimate_tokens(&call.name) + estimate_tokens(text),
        },
        Part::ToolResult(result) => estimate_tokens(&result.content.to_string()),
        // About what a large one costs.
        Part::Picture(picture) => {
            if picture.content.is_some() {
                1_500
            } else {
                10
            }
        }
    });
    tokens.sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn call(id: &str, arguments: Value) -> ContentPart {
        ContentPart::ToolCall(TheirCall {
            call_id: id.into(),
            fn_name: "f".into(),
            fn_arguments: arguments,
            thought_signatures: None,
        })
    }

    fn calls(kind: AdapterKind, contents: Vec<ContentPart>) -> Vec<ToolCall> {
        let message = Message { role: Role::Assistant, parts: parts(&"a/b".parse().unwrap(), kind, contents, None) };
        message.tool_calls().cloned().collect()
    }

    #[test]
    fn text_that_is_no_object_is_broken_and_no_text_is_no_arguments() {
        assert_eq!(arguments(json!("")), Arguments::Object(Default::default()));
        assert_eq!(arguments(Value::Null), Arguments::Object(Default::default()));
        assert_eq!(arguments(json!("{\"a\":")), Arguments::Broken("{\"a\":".into()));
        assert_eq!(arguments(json!([1])), Arguments::Broken("[1]".into()));
    }

    #[test]
    fn made_up_ids_are_replaced_by_unique_ones() {
        for kind in [AdapterKind::Gemini, AdapterKind::Together] {
            let id = if kind == AdapterKind::Gemini { "call#f#0" } else { "call_0" };
            let calls = calls(kind, vec![call(id, json!({"a": 1})), call(id, json!({"a": 2}))]);
            assert_eq!(calls.len(), 2);
            assert_ne!(calls[0].id, calls[1].id);
            assert!(calls.iter().all(|call| call.id != id));
        }
        assert_eq!(calls(AdapterKind::OpenAI, vec![call("call_x", json!({}))])[0].id, "call_x");
    }

    #[test]
    fn a_call_that_is_repeated_whole_runs_once_and_different_ones_are_told_apart() {
        let twice = calls(AdapterKind::OpenAI, vec![call("call_x", json!({})), call("call_x", json!({}))]);
        assert_eq!(twice.len(), 1);
        let different = calls(AdapterKind::OpenAI, vec![call("call_x", json!({})), call("call_x", json!({"a": 1}))]);
        assert_eq!(different.len(), 2);
        assert_ne!(different[0].id, different[1].id);
    }
}

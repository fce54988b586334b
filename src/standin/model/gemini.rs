//! Gemini `generateContent` and `streamGenerateContent`.

use serde_json::{Value, json};

use super::Protocol;
use super::said::{Finish, Said, SaidCall, Tokens, fresh, is_signed, pieces, sign};
use super::seen::{Objection, RecordedRequest, SeenCall, SeenMessage, SeenResult, check_tool, list, text};
use crate::model::Role;

/// Accepted in place of a signature, for calls that came from elsewhere.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

pub(super) fn read(key: String, path: &str, body: Value) -> Result<RecordedRequest, Objection> {
    let (model, verb) = path.rsplit_once(':').ok_or_else(|| Objection::other("the path must be models/{model}:{method}"))?;
    let streamed = match verb {
        "generateContent" => false,
        "streamGenerateContent" => true,
        other => return Err(Objection::other(format!("unknown method {other}"))),
    };
    let contents = list(&body, "contents")?;
    if contents.is_empty() {
        return Err(Objection::other("* GenerateContentRequest.contents: contents is not specified"));
    }
    let (mut messages, mut open) = (Vec::with_capacity(contents.len()), Open::default());
    for content in contents {
        messages.push(read_content(content, &mut open)?);
    }
    let mut tools = Vec::new();
    for tool in list(&body, "tools")? {
        for function in list(tool, "functionDeclarations")? {
            let schema = function.get("parametersJsonSchema").or_else(|| function.get("parameters"));
            check_tool(&mut tools, text(function, "name"), schema)?;
        }
    }
    let parts = body.pointer("/systemInstruction/parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let system = parts.iter().filter_map(|part| text(part, "text")).collect::<Vec<_>>().join("\n");
    let model = model.to_owned();
    Ok(RecordedRequest {
        protocol: Protocol::Gemini,
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

/// Calls without an answer so far: made-up id, Gemini's id if there is one, name. Gemini pairs by order and name.
#[derive(Default)]
struct Open {
    calls: Vec<(String, Option<String>, String)>,
    count: usize,
}

impl Open {
    fn call(&mut self, id: Option<&str>, name: &str) -> String {
        self.count += 1;
        let made_up = format!("{name}#{}", self.count);
        self.calls.push((made_up.clone(), id.map(str::to_owned), name.to_owned()));
        made_up
    }

    fn answer(&mut self, id: Option<&str>, name: &str) -> Option<String> {
        let found = self.calls.iter().position(|(_, known, called)| called == name && known.as_deref() == id)?;
        Some(self.calls.remove(found).0)
    }
}

fn read_content(content: &Value, open: &mut Open) -> Result<SeenMessage, Objection> {
    let role = match text(content, "role") {
        Some("user" | "function") | None => Role::User,
        Some("model") => Role::Assistant,
        Some(_) => return Err(Objection::other("Please use a valid role: user, model.")),
    };
    let parts = list(content, "parts")?;
    if parts.is_empty() {
        return Err(Objection::other("* GenerateContentRequest.contents[].parts: contents.parts must not be empty."));
    }
    let mut seen = SeenMessage::new(role);
    for part in parts {
        read_part(&mut seen, part, open)?;
    }
    if !seen.results.is_empty() && seen.text.is_empty() {
        seen.role = Role::Tool;
    }
    Ok(seen)
}

fn read_part(seen: &mut SeenMessage, part: &Value, open: &mut Open) -> Result<(), Objection> {
    if let Some(signature) = text(part, "thoughtSignature")
        && signature != NO_SIGNATURE
        && !is_signed(signature, None)
    {
        return Err(Objection::other("Thought signature is not valid."));
    }
    if let Some(call) = part.get("functionCall") {
        let name = text(call, "name").ok_or_else(|| Objection::other("functionCall.name is required"))?;
        let arguments = call.get("args").cloned().unwrap_or_else(|| json!({}));
        if !arguments.is_object() {
            return Err(Objection::other(
                "Invalid value at 'contents.parts.function_call.args' (type.googleapis.com/google.protobuf.Struct)",
            ));
        }
        let id = open.call(text(call, "id"), name);
        seen.calls.push(SeenCall { id, name: name.to_owned(), arguments });
        return Ok(());
    }
    if let Some(response) = part.get("functionResponse") {
        let name = text(response, "name").ok_or_else(|| Objection::other("functionResponse.name: Name cannot be empty."))?;
        let body = response
            .get("response")
            .filter(|body| body.is_object())
            .ok_or_else(|| Objection::other("functionResponse.response must be a Struct"))?;
        let said = text(body, "content").map_or_else(|| body.to_string(), str::to_owned);
        let id = open.answer(text(response, "id"), name).ok_or_else(|| Objection::Orphan(name.to_owned()))?;
        seen.results.push(SeenResult { id, text: said, is_error: false });
        return Ok(());
    }
    match text(part, "text") {
        Some(said) => seen.say(said),
        None if part.get("inlineData").or_else(|| part.get("inline_data")).is_some() => {}
        None => return Err(Objection::other("contents.parts: required oneof field 'data' must have one initialized field")),
    }
    Ok(())
}

/// `None`: arguments that are no object, which Gemini cannot send.
fn call_part(call: &SaidCall, thought: Option<&str>) -> Option<Value> {
    let mut function = json!({ "name": call.name });
    if !call.arguments.is_empty() {
        function["args"] = serde_json::from_str(&call.arguments).ok().filter(Value::is_object)?;
    }
    let mut part = json!({ "functionCall": function });
    if let Some(thought) = thought {
        part["thoughtSignature"] = json!(sign(thought));
    }
    Some(part)
}

/// The parts of the answer in the order they are sent, and how it finishes.
fn parts(said: &Said) -> (Vec<Value>, &'static str) {
    let texts = said.text.iter().flat_map(|text| pieces(text)).map(|piece| json!({ "text": piece }));
    let mut parts: Vec<Value> = texts.collect();
    let mut finish = match said.finish {
        Finish::Stop | Finish::Calls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Filtered => "SAFETY",
    };
    for (index, call) in said.calls.iter().enumerate() {
        // The first call of a turn carries the signature.
        match call_part(call, said.thought.as_deref().filter(|_| index == 0)) {
            Some(part) => parts.push(part),
            None => finish = "MALFORMED_FUNCTION_CALL",
        }
    }
    (parts, finish)
}

pub(super) fn frames(said: &Said, tokens: Option<Tokens>, model: &str) -> Vec<String> {
    let id = format!("{:022x}", fresh());
    let (parts, finish) = parts(said);
    let mut frames: Vec<String> = parts
        .into_iter()
        .map(|part| frame(&json!({ "candidates": [{ "content": { "parts": [part], "role": "model" }, "index": 0 }], "modelVersion": model, "responseId": id })))
        .collect();
    let mut last = json!({ "candidates": [{ "finishReason": finish, "index": 0 }], "modelVersion": model, "responseId": id });
    if finish == "STOP" {
        last["candidates"][0]["content"] = json!({ "parts": [{ "text": "" }], "role": "model" });
    }
    if let Some(tokens) = tokens {
        last["usageMetadata"] = usage(tokens);
    }
    frames.push(frame(&last));
    frames
}

pub(super) fn whole(said: &Said, tokens: Option<Tokens>, model: &str) -> Value {
    let (parts, finish) = parts(said);
    let mut whole = json!({ "candidates": [{ "content": { "parts": parts, "role": "model" }, "finishReason": finish, "index": 0 }], "modelVersion": model });
    if let Some(tokens) = tokens {
        whole["usageMetadata"] = usage(tokens);
    }
    whole
}

fn frame(data: &Value) -> String {
    format!("data: {data}\r\n\r\n")
}

fn usage(tokens: Tokens) -> Value {
    let mut usage = json!({ "promptTokenCount": tokens.input, "candidatesTokenCount": tokens.output, "totalTokenCount": tokens.input + tokens.output });
    if tokens.cached > 0 {
        usage["cachedContentTokenCount"] = json!(tokens.cached);
    }
    usage
}

pub(super) fn error_frame() -> String {
    frame(&error(503, "The model is overloaded. Please try again later."))
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let word = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 | 529 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    };
    json!({ "error": { "code": status, "message": message, "status": word } })
}

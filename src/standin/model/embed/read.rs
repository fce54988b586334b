//! Requests for embeddings, and what the providers object to in them.

use axum::http::HeaderMap;
use serde_json::Value;

use super::super::Protocol;
use super::super::seen::{self, list, text};
use super::{EmbeddingRequest, Refusal};

const OPENAI_TEXTS: usize = 2_048;
const OPENAI_TOKENS: usize = 8_192;
const OPENAI_BATCH_TOKENS: usize = 300_000;
const GEMINI_TEXTS: usize = 100;
const GEMINI_LARGEST_DIMS: u64 = 3_072;
const GEMINI_TASKS: [&str; 8] = [
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
];

/// How the numbers are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Digits,
    Packed,
}

/// Four characters to a token, as everywhere in the stand-in.
pub(super) fn tokens(text: &str) -> usize {
    text.chars().count().div_ceil(4).max(1)
}

pub(super) fn openai(headers: &HeaderMap, body: &[u8]) -> Result<(EmbeddingRequest, Form), Refusal> {
    let key = seen::key(Protocol::OpenAi, headers).map_err(|_| Refusal::new(401, "You didn't provide an API key."))?;
    let body = json(body)?;
    let model = text(&body, "model").ok_or_else(|| bad("you must provide a model parameter"))?.to_owned();
    known(&model)?;
    let texts: Vec<String> = match body.get("input") {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>().unwrap_or_default()
        }
        _ => Vec::new(),
    };
    if texts.is_empty() || texts.len() > OPENAI_TEXTS || texts.iter().any(String::is_empty) {
        return Err(bad("'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."));
    }
    if let Some(longest) = texts.iter().map(|text| tokens(text)).find(|tokens| *tokens > OPENAI_TOKENS) {
        return Err(bad(format!(
            "This model's maximum context length is {OPENAI_TOKENS} tokens, however you requested {longest} tokens ({longest} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
        )));
    }
    let total: usize = texts.iter().map(|text| tokens(text)).sum();
    if total > OPENAI_BATCH_TOKENS {
        return Err(bad(format!("Requested {total} tokens, max {OPENAI_BATCH_TOKENS} tokens per request")));
    }
    let form = match body.get("encoding_format").map(|format| format.as_str()) {
        None | Some(Some("float")) => Form::Digits,
        Some(Some("base64")) => Form::Packed,
        Some(_) => return Err(bad("Invalid value for 'encoding_format': supported values are: 'float' and 'base64'.")),
    };
    let dims = body.get("dimensions").map(|dims| dims.as_u64().unwrap_or(0));
    if dims == Some(0) || (dims.is_some() && !model.contains("text-embedding-3")) {
        return Err(bad("This model does not support specifying dimensions."));
    }
    let dims = dims.and_then(|dims| usize::try_from(dims).ok()).filter(|dims| *dims <= 3_072);
    Ok((EmbeddingRequest { protocol: Protocol::OpenAi, model, key, texts, task: None, dims }, form))
}

/// `model` is the part of the path between `models/` and `:batchEmbedContents`.
pub(super) fn gemini(model: &str, headers: &HeaderMap, body: &[u8]) -> Result<EmbeddingRequest, Refusal> {
    let key =
        seen::key(Protocol::Gemini, headers).map_err(|_| Refusal::new(403, "Method doesn't allow unregistered callers."))?;
    let body = json(body)?;
    known(model)?;
    let requests = list(&body, "requests").map_err(|_| bad("Invalid JSON payload received."))?;
    if requests.is_empty() || requests.len() > GEMINI_TEXTS {
        return Err(bad(format!("BatchEmbedContentsRequest.requests: at most {GEMINI_TEXTS} requests can be in one batch")));
    }
    let mut seen =
        EmbeddingRequest { protocol: Protocol::Gemini, model: model.to_owned(), key, texts: vec![], task: None, dims: None };
    for request in requests {
        if text(request, "model") != Some(&format!("models/{model}")) {
            return Err(bad("BatchEmbedContentsRequest.requests[].model must match the model specified in the URL"));
        }
        let parts = request.pointer("/content/parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let said: String = parts.iter().filter_map(|part| text(part, "text")).collect();
        if said.is_empty() {
            return Err(bad("EmbedContentRequest.content contains an empty Part."));
        }
        seen.texts.push(said);
        seen.task = text(request, "taskType").map(str::to_owned);
        if seen.task.as_ref().is_some_and(|task| !GEMINI_TASKS.contains(&task.as_str())) {
            return Err(bad(
                "Invalid value at 'requests[0].task_type' (type.googleapis.com/google.ai.generativelanguage.v1beta.TaskType)",
            ));
        }
        let dims = request.get("outputDimensionality").map(|dims| dims.as_u64().unwrap_or(0));
        if dims.is_some_and(|dims| dims == 0 || dims > GEMINI_LARGEST_DIMS) {
            return Err(bad("EmbedContentRequest.output_dimensionality is out of range"));
        }
        seen.dims = dims.and_then(|dims| usize::try_from(dims).ok());
    }
    Ok(seen)
}

fn json(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|_| bad("We could not parse the JSON body of your request."))
}

/// Whatever is called an embedding model is one.
fn known(model: &str) -> Result<(), Refusal> {
    if model.contains("embed") {
        return Ok(());
    }
    Err(Refusal::new(404, format!("The model `{model}` does not exist or you do not have access to it.")))
}

fn bad(what: impl Into<String>) -> Refusal {
    Refusal::new(400, what)
}

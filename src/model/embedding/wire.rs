//! Requests for embeddings and their answers, as the providers publish them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::Input;
use super::providers::Dialect;

/// Where a request goes. `base` ends in `/`.
pub(super) fn url(dialect: Dialect, base: &Url, model: &str) -> Url {
    let path = match dialect {
        Dialect::OpenAi | Dialect::Compatible | Dialect::Voyage | Dialect::Jina => "embeddings".to_owned(),
        Dialect::Gemini { .. } => format!("models/{}:batchEmbedContents", bare(model)),
        Dialect::Cohere => "embed".to_owned(),
    };
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path()));
    url
}

fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

pub(super) fn body(dialect: Dialect, model: &str, texts: &[&str], input: Input) -> Value {
    let choose = |passage: &'static str, query: &'static str| match input {
        Input::Passage => passage,
        Input::Query => query,
    };
    match dialect {
        // Four times smaller than digits.
        Dialect::OpenAi => json!({ "model": model, "input": texts, "encoding_format": "base64" }),
        Dialect::Compatible => json!({ "model": model, "input": texts, "encoding_format": "float" }),
        Dialect::Voyage => json!({ "model": model, "input": texts, "input_type": choose("document", "query") }),
        Dialect::Jina => json!({ "model": model, "input": texts, "task": choose("retrieval.passage", "retrieval.query") }),
        Dialect::Cohere => json!({
            "model": model, "texts": texts, "input_type": choose("search_document", "search_query"), "embedding_types": ["float"],
        }),
        Dialect::Gemini { dims } => {
            let requests = texts.iter().map(|text| {
                let mut request = json!({
                    "model": format!("models/{}", bare(model)),
                    "content": { "parts": [{ "text": text }] },
                    "taskType": choose("RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"),
                });
                if let Some(dims) = dims {
                    request["outputDimensionality"] = json!(dims);
                }
                request
            });
            json!({ "requests": requests.collect::<Vec<_>>() })
        }
    }
}

/// Vectors in the order of the texts, and the tokens they took, where that is said.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    pub(super) vectors: Vec<Vec<f32>>,
    pub(super) tokens: Option<u64>,
}

/// Reads an answer; or says what is wrong with it, without a name, as `sent …`.
pub(super) fn read(dialect: Dialect, body: &[u8]) -> Result<Read, String> {
    let unreadable = |_| "sent something that cannot be read".to_owned();
    match dialect {
        Dialect::OpenAi | Dialect::Compatible | Dialect::Voyage | Dialect::Jina => {
            let list: List = serde_json::from_slice(body).map_err(unreadable)?;
            let tokens = list.usage.and_then(|usage| usage.prompt_tokens.or(usage.total_tokens)).filter(|tokens| *tokens > 0);
            Ok(Read { vectors: ordered(list.data)?, tokens })
        }
        Dialect::Gemini { .. } => {
            let batch: Batch = serde_json::from_slice(body).map_err(unreadable)?;
            let vectors = batch.embeddings.into_iter().map(|embedding| embedding.values).collect();
            Ok(Read { vectors, tokens: batch.usage_metadata.and_then(|usage| usage.prompt_token_count) })
        }
        Dialect::Cohere => {
            let embeds: Embeds = serde_json::from_slice(body).map_err(unreadable)?;
            let tokens = embeds.meta.and_then(|meta| meta.billed_units?.input_tokens).map(|tokens| tokens as u64);
            Ok(Read { vectors: embeds.embeddings.float, tokens })
        }
    }
}

#[derive(Deserialize)]
struct List {
    data: Vec<Item>,
    usage: Option<ListUsage>,
}

#[derive(Deserialize)]
struct ListUsage {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Numbers,
}

/// As digits, or packed; some send one where the other was asked for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Numbers {
    Packed(String),
    Digits(Vec<f32>),
}

#[derive(Deserialize)]
struct Batch {
    embeddings: Vec<BatchItem>,
    #[serde(rename = "usageMetadata")]
    usage_metadata: Option<BatchUsage>,
}

#[derive(Deserialize)]
struct BatchItem {
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct BatchUsage {
    #[serde(rename = "promptTokenCount")]
    prompt_token_count: Option<u64>,
}

#[derive(Deserialize)]
struct Embeds {
    embeddings: Floats,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Floats {
    float: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Meta {
    billed_units: Option<Billed>,
}

#[derive(Deserialize)]
struct Billed {
    input_tokens: Option<f64>,
}

/// By `index`, each once; in the order they came where nobody numbered them.
fn ordered(items: Vec<Item>) -> Result<Vec<Vec<f32>>, String> {
    let mut places: Vec<Option<Vec<f32>>> = items.iter().map(|_| None).collect();
    for (place, item) in items.into_iter().enumerate() {
        let vector = match item.embedding {
            Numbers::Digits(vector) => vector,
            Numbers::Packed(text) => unpacked(&text)?,
        };
        let place = places.get_mut(item.index.unwrap_or(place)).ok_or("sent a vector for a text that was not sent")?;
        if place.replace(vector).is_some() {
            return Err("sent two vectors for one text".to_owned());
        }
    }
    Ok(places.into_iter().flatten().collect())
}

fn unpacked(text: &str) -> Result<Vec<f32>, String> {
    let bytes = STANDARD.decode(text).map_err(|_| "sent a vector that cannot be unpacked")?;
    let (floats, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err("sent a vector that cannot be unpacked".to_owned());
    }
    Ok(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn requests_are_what_the_providers_publish() {
        let base: Url = "https://h/v1/".parse().unwrap();
        let gemini = Dialect::Gemini { dims: Some(768) };
        assert_eq!(url(Dialect::OpenAi, &base, "m").as_str(), "https://h/v1/embeddings");
        assert_eq!(url(gemini, &base, "models/m-1").as_str(), "https://h/v1/models/m-1:batchEmbedContents");
        assert_eq!(url(Dialect::Cohere, &base, "m").as_str(), "https://h/v1/embed");
        let told = [Dialect::OpenAi, Dialect::Compatible, Dialect::Voyage, Dialect::Jina, Dialect::Cohere, gemini]
            .map(|dialect| body(dialect, "m", &["a"], Input::Query).to_string());
        insta::assert_snapshot!(told.join("\n"), @r#"
        {"model":"m","input":["a"],"encoding_format":"base64"}
        {"model":"m","input":["a"],"encoding_format":"float"}
        {"model":"m","input":["a"],"input_type":"query"}
        {"model":"m","input":["a"],"task":"retrieval.query"}
        {"model":"m","texts":["a"],"input_type":"search_query","embedding_types":["float"]}
        {"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":768}]}
        "#);
        assert_eq!(body(gemini, "m", &["a"], Input::Passage)["requests"][0]["taskType"], "RETRIEVAL_DOCUMENT");
    }

    #[test]
    fn answers_are_read_in_the_order_of_the_texts() {
        let read = |dialect, body: Value| super::read(dialect, body.to_string().as_bytes());
        let packed = STANDARD.encode([0.5f32, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
        let list = json!({
            "data": [{ "index": 1, "embedding": [3.0, 4.0] }, { "index": 0, "embedding": packed }],
            "usage": { "prompt_tokens": 7, "total_tokens": 7 },
        });
        assert_eq!(read(Dialect::OpenAi, list), Ok(Read { vectors: vec![vec![0.5, -2.0], vec![3.0, 4.0]], tokens: Some(7) }));
        let unnumbered = json!({ "data": [{ "embedding": [1.0] }, { "embedding": [2.0] }] });
        assert_eq!(read(Dialect::Compatible, unnumbered), Ok(Read { vectors: vec![vec![1.0], vec![2.0]], tokens: None }));
        let batch = json!({ "embeddings": [{ "values": [1.0] }], "usageMetadata": { "promptTokenCount": 3 } });
        assert_eq!(read(Dialect::Gemini { dims: None }, batch), Ok(Read { vectors: vec![vec![1.0]], tokens: Some(3) }));
        let embeds = json!({ "embeddings": { "float": [[1.0]] }, "meta": { "billed_units": { "input_tokens": 2.0 } } });
        assert_eq!(read(Dialect::Cohere, embeds), Ok(Read { vectors: vec![vec![1.0]], tokens: Some(2) }));
    }

    #[test]
    fn answers_that_cannot_be_right_are_refused() {
        let told = [
            json!({ "data": [{ "index": 5, "embedding": [1.0] }] }),
            json!({ "data": [{ "index": 0, "embedding": [1.0] }, { "index": 0, "embedding": [1.0] }] }),
            json!({ "data": [{ "index": 0, "embedding": "x" }] }),
            json!({ "data": [{ "index": 0, "embedding": "QUJD" }] }),
            json!({ "data": [{ "index": 0, "embedding": [null] }] }),
            json!({ "error": { "message": "oops" } }),
        ]
        .map(|body| read(Dialect::Compatible, body.to_string().as_bytes()).unwrap_err());
        insta::assert_snapshot!(told.join("\n"), @r"
        sent a vector for a text that was not sent
        sent two vectors for one text
        sent a vector that cannot be unpacked
        sent a vector that cannot be unpacked
        sent something that cannot be read
        sent something that cannot be read
        ");
    }
}

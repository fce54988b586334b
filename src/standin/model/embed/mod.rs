//! Embeddings of the stand-in: OpenAI's `/v1/embeddings` and Gemini's `batchEmbedContents`.
//!
//! Every text has the same vector each time ([`vector`]). What goes wrong is scripted ([`ModelStandin::fail_embedding`],
//! [`ModelStandin::embedding_down`], [`ModelStandin::refuse_texts_with`]); what a provider would refuse is refused.

mod hashing;
mod read;

pub use hashing::vector;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::turn::Gate;
use super::{KEPT, ModelStandin, Protocol, Server, deliver, error_body, keep, lock};
use read::{Form, tokens};

/// Gemini's shortened vectors do not have length 1.
const GEMINI_LENGTH: f32 = 0.7;

/// A request for embeddings that came in.
#[derive(Clone, Debug)]
pub struct EmbeddingRequest {
    /// How it was spoken: [`Protocol::OpenAi`] or [`Protocol::Gemini`].
    pub protocol: Protocol,
    /// The model asked for.
    pub model: String,
    /// The key sent.
    pub key: String,
    /// What is to be embedded.
    pub texts: Vec<String>,
    /// What for, where the protocol says so.
    pub task: Option<String>,
    /// Numbers in a vector, where a count is asked for.
    pub dims: Option<usize>,
}

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub enum EmbeddingFault {
    /// An HTTP error, perhaps with `retry-after`.
    Status(u16, Option<String>),
    /// One vector too few.
    OneTooFew,
    /// Something in a vector that is no number.
    NotANumber,
    /// A vector of nothing but zeros.
    Zeros,
    /// The connection ends in the middle of the body.
    Cut,
    /// The answer comes when the gate is opened.
    Gated(Gate),
}

/// What the handlers share.
#[derive(Default)]
pub(super) struct Embedding {
    faults: Mutex<VecDeque<EmbeddingFault>>,
    requests: Mutex<VecDeque<EmbeddingRequest>>,
    refused: Mutex<Option<String>>,
    down: AtomicBool,
    arrived: watch::Sender<usize>,
}

/// Why a request is refused.
pub(super) struct Refusal {
    status: u16,
    text: String,
}

impl Refusal {
    fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }
}

impl ModelStandin {
    /// What goes wrong with the next requests for embeddings, one each.
    pub fn fail_embedding(&self, faults: impl IntoIterator<Item = EmbeddingFault>) {
        lock(&self.server.embedding.faults).extend(faults);
    }

    /// From now on every request for embeddings is answered with 503, or none.
    pub fn embedding_down(&self, down: bool) {
        self.server.embedding.down.store(down, Ordering::SeqCst);
    }

    /// From now on a request with a text that holds `words` is refused with 400, as a filter does it.
    pub fn refuse_texts_with(&self, words: &str) {
        *lock(&self.server.embedding.refused) = Some(words.to_owned());
    }

    /// The last requests for embeddings that could be read, failed ones included.
    pub fn embedded(&self) -> Vec<EmbeddingRequest> {
        lock(&self.server.embedding.requests).iter().cloned().collect()
    }

    /// Waits until `count` requests for embeddings have come in.
    pub async fn embeddings_arrived(&self, count: usize) {
        let mut arrived = self.server.embedding.arrived.subscribe();
        let _ = arrived.wait_for(|arrived| *arrived >= count).await;
    }
}

impl Server {
    pub(super) async fn embed_openai(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        match read::openai(headers, body) {
            Ok((request, form)) => self.embed(request, form).await,
            Err(refusal) => self.refuse_embedding(Protocol::OpenAi, &refusal),
        }
    }

    pub(super) async fn embed_gemini(&self, model: &str, headers: &HeaderMap, body: &[u8]) -> Response {
        match read::gemini(model, headers, body) {
            Ok(request) => self.embed(request, Form::Digits).await,
            Err(refusal) => self.refuse_embedding(Protocol::Gemini, &refusal),
        }
    }

    fn refuse_embedding(&self, protocol: Protocol, refusal: &Refusal) -> Response {
        keep(&self.objections, format!("{protocol:?} embeddings: {}", refusal.text), KEPT);
        deliver::refusal(refusal.status, error_body(protocol, refusal.status, &refusal.text))
    }

    async fn embed(&self, request: EmbeddingRequest, form: Form) -> Response {
        let state = &self.embedding;
        keep(&state.requests, request.clone(), KEPT);
        state.arrived.send_modify(|count| *count += 1);
        let fault = lock(&state.faults).pop_front();
        if let Some(EmbeddingFault::Gated(gate)) = &fault {
            let mut closing = self.closing.subscribe();
            tokio::select! {
                () = gate.passed() => {}
                _ = closing.wait_for(|closing| *closing) => {}
            }
        }
        if state.down.load(Ordering::SeqCst) {
            return deliver::refusal(503, error_body(request.protocol, 503, "The embedder is down."));
        }
        let refused = lock(&state.refused).clone();
        if refused.is_some_and(|words| request.texts.iter().any(|text| text.contains(&words))) {
            return deliver::refusal(400, error_body(request.protocol, 400, "A text of the input cannot be embedded."));
        }
        answer(&request, form, fault)
    }
}

fn answer(request: &EmbeddingRequest, form: Form, fault: Option<EmbeddingFault>) -> Response {
    let dims = request.dims.unwrap_or(hashing::DIMS);
    let mut vectors: Vec<Vec<f32>> = request.texts.iter().map(|text| vector(text, dims)).collect();
    match fault {
        Some(EmbeddingFault::Status(status, after)) => return failure(request.protocol, status, after),
        Some(EmbeddingFault::OneTooFew) => drop(vectors.pop()),
        Some(EmbeddingFault::Zeros) => vectors.iter_mut().for_each(|vector| vector.fill(0.0)),
        Some(EmbeddingFault::NotANumber | EmbeddingFault::Cut | EmbeddingFault::Gated(_)) | None => {}
    }
    let not_a_number = matches!(fault, Some(EmbeddingFault::NotANumber));
    let body = match request.protocol {
        Protocol::Gemini => gemini(vectors, not_a_number),
        Protocol::OpenAi | Protocol::Responses | Protocol::Anthropic => openai(request, vectors, form, not_a_number),
    };
    if matches!(fault, Some(EmbeddingFault::Cut)) { cut(&body.to_string()) } else { deliver::refusal(200, body) }
}

fn openai(request: &EmbeddingRequest, vectors: Vec<Vec<f32>>, form: Form, not_a_number: bool) -> Value {
    let used: usize = request.texts.iter().map(|text| tokens(text)).sum();
    let data: Vec<Value> = vectors
        .into_iter()
        .enumerate()
        // Who relies on the order instead of the numbers is found out.
        .rev()
        .map(|(index, mut vector)| {
            if not_a_number {
                vector[0] = f32::NAN;
            }
            let embedding = match form {
                Form::Packed => json!(STANDARD.encode(vector.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())),
                Form::Digits => json!(vector),
            };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    json!({
        "object": "list", "data": data, "model": request.model,
        "usage": { "prompt_tokens": used, "total_tokens": used },
    })
}

fn gemini(vectors: Vec<Vec<f32>>, not_a_number: bool) -> Value {
    let embeddings: Vec<Value> = vectors
        .into_iter()
        .map(|vector| {
            let mut values: Vec<Value> = vector.into_iter().map(|value| json!(value * GEMINI_LENGTH)).collect();
            if not_a_number {
                values[0] = Value::Null;
            }
            json!({ "values": values })
        })
        .collect();
    json!({ "embeddings": embeddings })
}

fn failure(protocol: Protocol, status: u16, after: Option<String>) -> Response {
    let mut response = deliver::refusal(status, error_body(protocol, status, "scripted by the stand-in"));
    if let Some(after) = after.and_then(|after| HeaderValue::try_from(after).ok()) {
        response.headers_mut().insert(HeaderName::from_static("retry-after"), after);
    }
    response
}

/// Half of the body, and then nothing, where the whole was promised.
fn cut(body: &str) -> Response {
    let half = Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
    let torn = futures::stream::iter([Ok(half), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))]);
    let mut response = deliver::refusal(200, Value::Null);
    *response.body_mut() = Body::from_stream(torn);
    response
}

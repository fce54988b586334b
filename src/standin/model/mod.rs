//! A scripted model server: OpenAI chat completions and Responses, Anthropic Messages and Gemini, whole and streamed, and embeddings.
//!
//! What it answers is scripted ([`ModelStandin::script`], [`ModelStandin::rule`]); what it accepts is not: a conversation the
//! provider would refuse is refused with the provider's status and error shape, and noted in [`ModelStandin::objections`].

mod anthropic;
mod deliver;
mod embed;
mod gemini;
mod openai;
mod responses;
mod said;
mod seen;
mod turn;

pub use embed::{EmbeddingFault, EmbeddingRequest, vector};
pub use seen::{RecordedRequest, SeenCall, SeenMessage, SeenResult};
pub use turn::{
    Cut, Gate, Turn, busy, call, calls, cut_after, empty_arguments, error_after, filtered, gated, hang, hang_after, pause_after,
    raw_arguments, say, say_and_call, status, think, truncated, without_usage,
};

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::model::ModelName;
use crate::secret::secret;
use crate::settings::{ModelSettings, ProviderSettings};
use said::{Said, Tokens};
use seen::Objection;

/// The largest request body that is read.
const LARGEST_BODY: usize = 32 * 1024 * 1024;
/// Requests and objections that are kept unless told otherwise; older ones are forgotten, so that long runs stay small.
const KEPT: usize = 1_000;
/// Prefixes remembered for the figures of cached tokens.
const PREFIXES: usize = 4_096;

/// The wire protocols spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// OpenAI chat completions, and everything compatible.
    OpenAi,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Anthropic,
    /// Gemini `generateContent` and `streamGenerateContent`.
    Gemini,
}

/// A running stand-in. Stops when dropped.
pub struct ModelStandin {
    server: Arc<Server>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

type Rule = Box<dyn Fn(&RecordedRequest) -> Option<Turn> + Send + Sync>;

/// What the handlers share.
struct Server {
    turns: Mutex<VecDeque<Turn>>,
    rules: Mutex<Vec<Rule>>,
    requests: Mutex<VecDeque<RecordedRequest>>,
    objections: Mutex<VecDeque<String>>,
    prefixes: Mutex<HashMap<u64, u64>>,
    kept: AtomicUsize,
    embedding: embed::Embedding,
    arrived: watch::Sender<usize>,
    closing: watch::Sender<bool>,
}

impl ModelStandin {
    /// Listens on a free port of this machine. Fails when there is none.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let server = Arc::new(Server::new());
        let mut closing = server.closing.subscribe();
        let router = router(server.clone());
        let serving = tokio::spawn(async move {
            let stopped = async move {
                let _ = closing.wait_for(|closing| *closing).await;
            };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
                tracing::warn!(%error, "the model stand-in stopped");
            }
        });
        Ok(Self { server, address, serving })
    }

    /// The base URL for a protocol, without a slash at the end.
    pub fn base_url(&self, protocol: Protocol) -> String {
        let version = match protocol {
            Protocol::OpenAi | Protocol::Responses | Protocol::Anthropic => "v1",
            Protocol::Gemini => "v1beta",
        };
        format!("http://{}/{version}", self.address)
    }

    /// Settings in which every provider that `chain` (comma-separated) names is this stand-in, with a key. Names that cannot be parsed
    /// are left out.
    pub fn settings(&self, chain: &str) -> ModelSettings {
        let chain: Vec<ModelName> = chain.split(',').filter_map(|name| name.parse().ok()).collect();
        let providers = chain.iter().map(|name| {
            let protocol = match name.provider.as_str() {
                "anthropic" => Protocol::Anthropic,
                "google" | "gemini" => Protocol::Gemini,
                _ => Protocol::OpenAi,
            };
            let settings = ProviderSettings { key: Some(secret("stand-in-key")), base_url: self.base_url(protocol).parse().ok() };
            (name.provider.clone(), settings)
        });
        let providers = providers.collect::<BTreeMap<_, _>>();
        ModelSettings { title: chain.clone(), chain, embedding: None, providers }
    }

    /// Appends turns. Each request that no rule answers takes the next one.
    pub fn script(&self, turns: impl IntoIterator<Item = Turn>) {
        lock(&self.server.turns).extend(turns);
    }

    /// Answers by content: the first rule that returns a turn wins, before the script. For parallel threads, benches and the demo.
    pub fn rule(&self, rule: impl Fn(&RecordedRequest) -> Option<Turn> + Send + Sync + 'static) {
        lock(&self.server.rules).push(Box::new(rule));
    }

    /// Keeps the last `count` requests from now on (a thousand otherwise). Benches keep none.
    pub fn keep(&self, count: usize) {
        self.server.kept.store(count, Ordering::Relaxed);
    }

    /// The last requests that could be read, refused ones included.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        lock(&self.server.requests).iter().cloned().collect()
    }

    /// How many requests have come in.
    pub fn count(&self) -> usize {
        *self.server.arrived.borrow()
    }

    /// Waits until `count` requests have come in.
    pub async fn arrived(&self, count: usize) {
        let mut arrived = self.server.arrived.subscribe();
        let _ = arrived.wait_for(|arrived| *arrived >= count).await;
    }

    /// Why requests were refused, oldest first. Empty when the client behaved.
    pub fn objections(&self) -> Vec<String> {
        lock(&self.server.objections).iter().cloned().collect()
    }

    /// Turns of the script that nobody asked for yet.
    pub fn left(&self) -> usize {
        lock(&self.server.turns).len()
    }

    /// Closes the port and ends hanging answers; afterwards connections are refused.
    pub async fn shutdown(mut self) {
        self.server.closing.send_replace(true);
        if tokio::time::timeout(Duration::from_secs(2), &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}

impl Drop for ModelStandin {
    fn drop(&mut self) {
        self.server.closing.send_replace(true);
    }
}

impl Server {
    fn new() -> Self {
        Self {
            turns: Mutex::default(),
            rules: Mutex::default(),
            requests: Mutex::default(),
            objections: Mutex::default(),
            prefixes: Mutex::default(),
            kept: AtomicUsize::new(KEPT),
            embedding: embed::Embedding::default(),
            arrived: watch::Sender::new(0),
            closing: watch::Sender::new(false),
        }
    }

    fn refuse(&self, protocol: Protocol, objection: &Objection) -> Response {
        let text = objection.text(protocol);
        keep(&self.objections, format!("{protocol:?}: {text}"), KEPT);
        deliver::refusal(objection.status(protocol), error_body(protocol, objection.status(protocol), &text))
    }

    fn keep(&self, request: RecordedRequest) {
        keep(&self.requests, request, self.kept.load(Ordering::Relaxed));
    }

    fn next_turn(&self, request: &RecordedRequest) -> Option<Turn> {
        let ruled = lock(&self.rules).iter().find_map(|rule| rule(request));
        ruled.or_else(|| lock(&self.turns).pop_front())
    }

    /// Figures from lengths: four bytes to a token, and what an earlier request of the same conversation held counts as cached.
    fn tokens(&self, request: &RecordedRequest, said: &Said, size: usize) -> Tokens {
        let input = (size / 4).max(1) as u64;
        let mut prefixes = lock(&self.prefixes);
        if prefixes.len() >= PREFIXES {
            prefixes.clear();
        }
        let earlier = prefixes.insert(request.prefix_hash(), input);
        let cached = earlier
            .filter(|_| request.messages.len() > 1 && request.asks_for_cache)
            .map_or(0, |earlier| earlier.min(input) / 128 * 128);
        let written =
            if request.protocol == Protocol::Anthropic && request.asks_for_cache { (input - cached) / 128 * 128 } else { 0 };
        Tokens { input, cached, written, output: said.size().div_ceil(4).max(1) as u64 }
    }

    async fn answer(&self, protocol: Protocol, headers: &HeaderMap, path: Option<&str>, body: &[u8]) -> Response {
        self.arrived.send_modify(|count| *count += 1);
        let request = match read(protocol, headers, path, body) {
            Ok(request) => request,
            Err(objection) => return self.refuse(protocol, &objection),
        };
        let turn = request.check().and_then(|()| {
            let silent = || Objection::other("the script of the stand-in has no turn for this request");
            self.next_turn(&request).ok_or_else(silent)
        });
        let turn = match turn {
            Ok(turn) => turn,
            Err(objection) => {
                self.keep(request);
                return self.refuse(protocol, &objection);
            }
        };
        let plan = turn.plan();
        let said = plan.said(&request);
        let tokens = said.as_ref().map(|said| self.tokens(&request, said, body.len()));
        let facts = deliver::Facts {
            protocol,
            model: request.model.clone(),
            streamed: request.streamed,
            shows_usage: request.shows_usage,
        };
        self.keep(request);
        deliver::deliver(plan, said.zip(tokens), &facts, self.closing.subscribe()).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep<T>(list: &Mutex<VecDeque<T>>, item: T, count: usize) {
    let mut list = lock(list);
    list.push_back(item);
    while list.len() > count {
        list.pop_front();
    }
}

fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/responses", post(responses_))
        .route("/v1/messages", post(messages))
        .route("/v1beta/models/{call}", post(generate_content))
        .route("/v1/models", get(models))
        .route("/v1beta/models", get(gemini_models))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(server)
}

async fn chat_completions(State(server): State<Arc<Server>>, headers: HeaderMap, body: Bytes) -> Response {
    server.answer(Protocol::OpenAi, &headers, None, &body).await
}

async fn embeddings(State(server): State<Arc<Server>>, headers: HeaderMap, body: Bytes) -> Response {
    server.embed_openai(&headers, &body).await
}

async fn responses_(State(server): State<Arc<Server>>, headers: HeaderMap, body: Bytes) -> Response {
    server.answer(Protocol::Responses, &headers, None, &body).await
}

async fn messages(State(server): State<Arc<Server>>, headers: HeaderMap, body: Bytes) -> Response {
    server.answer(Protocol::Anthropic, &headers, None, &body).await
}

async fn generate_content(
    State(server): State<Arc<Server>>,
    Path(call): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(model) = call.strip_suffix(":batchEmbedContents") {
        return server.embed_gemini(model, &headers, &body).await;
    }
    server.answer(Protocol::Gemini, &headers, Some(&call), &body).await
}

async fn models(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let protocol = if headers.contains_key("anthropic-version") { Protocol::Anthropic } else { Protocol::OpenAi };
    list(
        &server,
        protocol,
        &headers,
        json!({ "object": "list", "data": [{ "id": "stand-in", "object": "model", "owned_by": "threadbox" }] }),
    )
}

async fn gemini_models(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    list(&server, Protocol::Gemini, &headers, json!({ "models": [{ "name": "models/stand-in" }] }))
}

fn list(server: &Server, protocol: Protocol, headers: &HeaderMap, models: Value) -> Response {
    match seen::key(protocol, headers) {
        Ok(_) => deliver::refusal(200, models),
        Err(objection) => server.refuse(protocol, &objection),
    }
}

fn read(protocol: Protocol, headers: &HeaderMap, path: Option<&str>, body: &[u8]) -> Result<RecordedRequest, Objection> {
    let key = seen::key(protocol, headers)?;
    let body: Value =
        serde_json::from_slice(body).map_err(|_| Objection::other("We could not parse the JSON body of your request."))?;
    match protocol {
        Protocol::OpenAi => openai::read(key, body),
        Protocol::Responses => responses::read(key, body),
        Protocol::Anthropic => anthropic::read(key, headers, body),
        Protocol::Gemini => gemini::read(key, path.unwrap_or_default(), body),
    }
}

/// An error as the provider words it.
fn error_body(protocol: Protocol, status: u16, message: &str) -> Value {
    match protocol {
        Protocol::OpenAi | Protocol::Responses => openai::error(status, message),
        Protocol::Anthropic => anthropic::error(status, message),
        Protocol::Gemini => gemini::error(status, message),
    }
}

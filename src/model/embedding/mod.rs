//! Embeddings: texts as vectors whose angle says how near their meanings are.
//!
//! [`build`] turns `EMBEDDING_MODEL` into a client: `providers` says who embeds and how it is asked, `wire` puts requests and reads
//! answers, `check` refuses answers that would spoil a search, `client` cuts, batches and tries again.

mod check;
mod client;
mod providers;
mod remembered;
mod wire;

pub use providers::provider;

use std::sync::Arc;

use async_trait::async_trait;

use super::router::{self, Http, Patience, RouterError};
use super::{ModelError, ModelName};
use crate::model::price::estimate_tokens;
use crate::settings::ModelSettings;
use client::Client;

/// What a text is embedded for; some models distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// To be found.
    Passage,
    /// To find with.
    Query,
}

/// Vectors, and what they took.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// One of length 1 for each text, in order, all of the same dimension.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of the texts.
    pub tokens: u64,
    /// True when the provider did not say and the figure is our estimate.
    pub estimated: bool,
}

/// Something that embeds. Implementations are cancel-safe.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// One vector of length 1 for each text, in order, all of the same dimension. Retries are the implementation's.
    async fn embed(&self, texts: &[String], input: Input) -> Result<Vec<Vec<f32>>, ModelError>;

    /// The same, and what it took.
    async fn embed_counted(&self, texts: &[String], input: Input) -> Result<Embedded, ModelError> {
        let tokens = texts.iter().map(|text| estimate_tokens(text)).sum();
        Ok(Embedded { vectors: self.embed(texts, input).await?, tokens, estimated: true })
    }

    /// Tokens that [`Embedder::embed`] took and that are on no bill yet. Whoever asks puts them on one: they are told once.
    fn take_unbilled(&self) -> u64 {
        0
    }

    /// The model; vectors of different models cannot be compared.
    fn name(&self) -> &ModelName;
}

/// What embeds with `name`. Texts are cut at 6,000 characters and sent in batches; what passes is tried again as `patience` says.
/// Questions are waited for 15 seconds at most, and the last thousand are remembered.
///
/// Fails when the model cannot be asked at all: an unknown provider, one without embeddings, a missing key. Makes no request.
pub fn build(
    settings: &ModelSettings,
    name: &ModelName,
    http: &Http,
    patience: &Patience,
) -> Result<Arc<dyn Embedder>, RouterError> {
    let known = provider(&name.provider);
    let dialect = providers::dialect(name).ok_or_else(|| providers::without_embeddings(name))?;
    let reached = router::reach(settings, name, known, http)?;
    let source = router::source(name, known, "EMBEDDING_MODEL");
    Ok(Arc::new(Client::new(source, dialect, reached, patience.clone())))
}

//! Embeddings: texts as vectors whose angle says how near their meanings are.

use async_trait::async_trait;

use super::{ModelError, ModelName};

/// What a text is embedded for; some models distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// To be found.
    Passage,
    /// To find with.
    Query,
}

/// Something that embeds. Implementations are cancel-safe.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// One vector of length 1 for each text, in order, all of the same dimension. Retries are the implementation's.
    async fn embed(&self, texts: &[String], input: Input) -> Result<Vec<Vec<f32>>, ModelError>;

    /// The model; vectors of different models cannot be compared.
    fn name(&self) -> &ModelName;
}

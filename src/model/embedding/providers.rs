//! Who embeds, and in which dialect.

use super::super::router::{self, Provider, RouterError};
use super::super::{ModelName, router::Protocol};

/// How a provider is asked for embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// OpenAI itself, which packs numbers when asked to.
    OpenAi,
    /// OpenAI's request and answer, as everybody takes them.
    Compatible,
    /// The same with a field of its own that says what the text is for.
    Voyage,
    /// The same with another such field.
    Jina,
    /// `batchEmbedContents`, with the dimension that is asked for.
    Gemini {
        /// None where the model knows but one.
        dims: Option<u32>,
    },
    /// Cohere's own, version 2.
    Cohere,
}

impl Dialect {
    /// Texts in one request, at most.
    pub(super) fn texts(self) -> usize {
        match self {
            Self::OpenAi | Self::Gemini { .. } | Self::Cohere => 96,
            // The smallest batches that servers are set up for.
            Self::Compatible | Self::Voyage | Self::Jina => 32,
        }
    }
}

/// Those who do nothing but embed.
static EMBEDDERS: &[Provider] = &[
    router::compatible("voyage", "Voyage", &["VOYAGE_API_KEY"], "https://api.voyageai.com/v1/"),
    router::compatible("jina", "Jina", &["JINA_API_KEY"], "https://api.jina.ai/v1/"),
    router::compatible("cohere", "Cohere", &["COHERE_API_KEY"], "https://api.cohere.com/v2/"),
];

/// These answer questions and embed nothing.
const WITHOUT: [&str; 7] = ["anthropic", "groq", "cerebras", "deepseek", "xai", "perplexity", "moonshotai"];

/// The provider with this name or alias, among those that embed and those that answer.
pub fn provider(name: &str) -> Option<&'static Provider> {
    EMBEDDERS.iter().find(|provider| provider.name == name).or_else(|| router::provider(name))
}

/// None where the provider has no embeddings.
pub(super) fn dialect(name: &ModelName) -> Option<Dialect> {
    let Some(provider) = provider(&name.provider) else { return Some(Dialect::Compatible) };
    match (provider.name, provider.protocol) {
        (name, _) if WITHOUT.contains(&name) => None,
        ("voyage", _) => Some(Dialect::Voyage),
        ("jina", _) => Some(Dialect::Jina),
        ("cohere", _) => Some(Dialect::Cohere),
        (_, Protocol::OpenAi) => Some(Dialect::OpenAi),
        // Shorter vectors of this family are nearly as good, and a quarter of the size.
        (_, Protocol::Gemini) => Some(Dialect::Gemini { dims: name.model.contains("gemini-embedding").then_some(768) }),
        _ => Some(Dialect::Compatible),
    }
}

pub(super) fn without_embeddings(name: &ModelName) -> RouterError {
    let title = provider(&name.provider).map_or(name.provider.as_str(), |provider| provider.title);
    RouterError::NoEmbeddings { name: name.to_string(), title: title.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn of(name: &str) -> Option<Dialect> {
        dialect(&name.parse().unwrap())
    }

    #[test]
    fn everybody_who_embeds_is_asked_in_their_own_way() {
        assert_eq!(of("openai/text-embedding-3-small"), Some(Dialect::OpenAi));
        assert_eq!(of("google/gemini-embedding-001"), Some(Dialect::Gemini { dims: Some(768) }));
        assert_eq!(of("gemini/text-embedding-004"), Some(Dialect::Gemini { dims: None }));
        for compatible in ["mistral/mistral-embed", "together/x", "togetherai/x", "deepinfra/x", "fireworks-ai/x", "fireworks/x"]
        {
            assert_eq!(of(compatible), Some(Dialect::Compatible), "{compatible}");
        }
        for compatible in ["lmstudio/x", "ollama/nomic-embed-text", "openrouter/openai/text-embedding-3-small", "acme/own"] {
            assert_eq!(of(compatible), Some(Dialect::Compatible), "{compatible}");
        }
        assert_eq!(of("voyage/voyage-3.5"), Some(Dialect::Voyage));
        assert_eq!(of("jina/jina-embeddings-v3"), Some(Dialect::Jina));
        assert_eq!(of("cohere/embed-v4.0"), Some(Dialect::Cohere));
    }

    #[test]
    fn a_provider_without_embeddings_is_told_what_to_set_instead() {
        for name in WITHOUT {
            assert!(provider(name).is_some(), "{name}");
            assert_eq!(of(&format!("{name}/x")), None);
        }
        insta::assert_snapshot!(without_embeddings(&"anthropic/claude-opus-5".parse().unwrap()), @"`anthropic/claude-opus-5` cannot embed: Anthropic has no embeddings. Set EMBEDDING_MODEL to a model that can, for example openai/text-embedding-3-small, google/gemini-embedding-001, mistral/mistral-embed or ollama/nomic-embed-text, or leave it unset: recall then goes by words alone.");
    }
}

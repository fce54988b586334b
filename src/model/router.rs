//! From `provider/model` to a client: the table of providers, and what is missing when a chain cannot be built.

use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

pub use super::chat::Deadlines;
use super::chat::{Chat, Source};
use super::retry::{Chain, RetryPolicy};
use super::{Model, ModelName};
use crate::secret::SecretString;
use crate::settings::{ModelSettings, ProviderSettings};

/// A provider known by name.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// The part before the first `/` of a model's name.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Other names that mean the same.
    pub aliases: &'static [&'static str],
    /// Environment variables that may hold the key; the first that is set counts. Empty: runs without a key.
    pub key_variables: &'static [&'static str],
    /// Where it is unless `<NAME>_BASE_URL` says otherwise.
    pub default_base_url: Option<&'static str>,
    /// What it speaks.
    pub protocol: Protocol,
    /// Whether a model's reasoning is sent back to it.
    pub reasoning: Reasoning,
}

impl Provider {
    /// The environment variable that replaces the base URL.
    pub fn base_url_variable(&self) -> String {
        base_url_variable(self.name)
    }
}

/// What a provider speaks. All but the first three are dialects of OpenAI's chat completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OpenAI itself: Responses for reasoning models, chat completions otherwise.
    OpenAi,
    /// Anthropic Messages.
    Anthropic,
    /// Gemini `generateContent`.
    Gemini,
    /// Groq: usage comes in a field of its own.
    Groq,
    /// Mistral: short tool call ids, reasoning as chunks.
    Mistral,
    /// OpenRouter.
    OpenRouter,
    /// xAI: reasoning tokens are counted beside the answer's.
    Xai,
    /// Chat completions without any particulars.
    Compatible,
}

/// What happens to a model's reasoning in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reasoning {
    /// It is sent back, unchanged, to the model it came from.
    Returned,
    /// It is left out: the provider refuses it.
    Dropped,
}

pub(super) const fn compatible(
    name: &'static str,
    title: &'static str,
    key: &'static [&'static str],
    url: &'static str,
) -> Provider {
    Provider {
        name,
        title,
        aliases: &[],
        key_variables: key,
        default_base_url: Some(url),
        protocol: Protocol::Compatible,
        reasoning: Reasoning::Returned,
    }
}

const fn speaks(provider: Provider, protocol: Protocol) -> Provider {
    Provider { protocol, ..provider }
}

const fn also(provider: Provider, aliases: &'static [&'static str]) -> Provider {
    Provider { aliases, ..provider }
}

const fn without_reasoning(provider: Provider) -> Provider {
    Provider { reasoning: Reasoning::Dropped, ..provider }
}

#[rustfmt::skip]
static PROVIDERS: &[Provider] = &[
    speaks(compatible("openai", "OpenAI", &["OPENAI_API_KEY"], "https://api.openai.com/v1/"), Protocol::OpenAi),
    speaks(compatible("anthropic", "Anthropic", &["ANTHROPIC_API_KEY"], "https://api.anthropic.com/v1/"), Protocol::Anthropic),
    speaks(also(compatible("google", "Google", &["GOOGLE_GENERATIVE_AI_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"],
        "https://generativelanguage.googleapis.com/v1beta/"), &["gemini"]), Protocol::Gemini),
    without_reasoning(speaks(compatible("groq", "Groq", &["GROQ_API_KEY"], "https://api.groq.com/openai/v1/"), Protocol::Groq)),
    without_reasoning(compatible("cerebras", "Cerebras", &["CEREBRAS_API_KEY"], "https://api.cerebras.ai/v1/")),
    speaks(compatible("mistral", "Mistral", &["MISTRAL_API_KEY"], "https://api.mistral.ai/v1/"), Protocol::Mistral),
    speaks(compatible("openrouter", "OpenRouter", &["OPENROUTER_API_KEY"], "https://openrouter.ai/api/v1/"), Protocol::OpenRouter),
    speaks(compatible("xai", "xAI", &["XAI_API_KEY"], "https://api.x.ai/v1/"), Protocol::Xai),
    compatible("deepseek", "DeepSeek", &["DEEPSEEK_API_KEY"], "https://api.deepseek.com/v1/"),
    also(compatible("together", "Together", &["TOGETHER_API_KEY"], "https://api.together.xyz/v1/"), &["togetherai"]),
    compatible("deepinfra", "DeepInfra", &["DEEPINFRA_API_KEY"], "https://api.deepinfra.com/v1/openai/"),
    compatible("perplexity", "Perplexity", &["PERPLEXITY_API_KEY"], "https://api.perplexity.ai/"),
    also(compatible("fireworks-ai", "Fireworks", &["FIREWORKS_API_KEY"], "https://api.fireworks.ai/inference/v1/"), &["fireworks"]),
    also(compatible("moonshotai", "Moonshot", &["MOONSHOT_API_KEY"], "https://api.moonshot.ai/v1/"), &["moonshot"]),
    compatible("lmstudio", "LM Studio", &["LMSTUDIO_API_KEY"], "http://127.0.0.1:1234/v1/"),
    compatible("ollama", "Ollama", &["OLLAMA_API_KEY"], "http://127.0.0.1:11434/v1/"),
];

/// Model names that many examples still carry, and what to write instead.
const STALE: &[(&str, &str)] = &[
    ("anthropic/claude-haiku-4-5-20250929", "anthropic/claude-haiku-4-5-20251001"),
    ("google/gemini-2.0-flash-exp", "google/gemini-2.5-flash"),
    ("cerebras/llama-3.3-70b", "cerebras/gpt-oss-120b"),
];

/// The providers known by name. Any other name works as an OpenAI-compatible host through `<NAME>_BASE_URL`.
pub fn providers() -> &'static [Provider] {
    PROVIDERS
}

/// The provider with this name or alias.
pub fn provider(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name || provider.aliases.contains(&name))
}

/// `<NAME>_BASE_URL` for any provider name.
pub fn base_url_variable(name: &str) -> String {
    format!("{}_BASE_URL", shouted(name))
}

/// `<NAME>_API_KEY` for a provider that is not in the table.
pub fn key_variable(name: &str) -> String {
    match provider(name).and_then(|provider| provider.key_variables.first()) {
        Some(variable) => (*variable).to_owned(),
        None => format!("{}_API_KEY", shouted(name)),
    }
}

fn shouted(name: &str) -> String {
    name.to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

/// What to write instead of a model name that is known to be gone.
pub fn instead_of(name: &ModelName) -> Option<&'static str> {
    let full = name.to_string();
    STALE.iter().find(|(stale, _)| *stale == full).map(|(_, current)| *current)
}

/// Why a chain cannot be built. Each names what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouterError {
    /// Neither in the table nor given a base URL.
    #[error(
        "`{name}` names the provider `{provider}`, which is not known. Use one of {known}, or set {variable} to the address of an OpenAI-compatible server."
    )]
    UnknownProvider {
        /// The model's full name.
        name: String,
        /// Its first part.
        provider: String,
        /// The variable that would make it known.
        variable: String,
        /// All names of the table.
        known: String,
    },
    /// No key, and the server is not on this machine.
    #[error("`{name}` needs a key for {title}. Set {variable}.")]
    MissingKey {
        /// The model's full name.
        name: String,
        /// What people call the provider.
        title: String,
        /// The variable that holds the key; alternatives joined with `or`.
        variable: String,
    },
    /// No model at all.
    #[error("No model is configured. Set MODEL, for example MODEL=openai/gpt-4.1.")]
    Empty,
    /// The provider answers questions and embeds nothing.
    #[error(
        "`{name}` cannot embed: {title} has no embeddings. Set EMBEDDING_MODEL to a model that can, for example openai/text-embedding-3-small, google/gemini-embedding-001, mistral/mistral-embed or ollama/nomic-embed-text, or leave it unset: recall then goes by words alone."
    )]
    NoEmbeddings {
        /// The model's full name.
        name: String,
        /// What people call the provider.
        title: String,
    },
    /// The HTTP client cannot be made.
    #[error("The HTTP client for models cannot start: {0}")]
    Http(String),
}

/// The HTTP clients models are asked with. Cheap to clone; make one per process, it holds the connections.
#[derive(Clone, Debug)]
pub struct Http {
    outside: reqwest::Client,
    loopback: reqwest::Client,
}

impl Http {
    /// Ten seconds to connect, no redirects (a redirect would carry the key elsewhere), no proxy for this machine.
    pub fn new() -> Result<Self, RouterError> {
        let build = |builder: reqwest::ClientBuilder| builder.build().map_err(|error| RouterError::Http(error.to_string()));
        Ok(Self { outside: build(client())?, loopback: build(client().no_proxy())? })
    }

    fn reach(&self, url: &Url) -> &reqwest::Client {
        if is_loopback(url) { &self.loopback } else { &self.outside }
    }
}

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("threadbox/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(30))
}

/// How models are asked: what is tried again, and how long anything may take.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    /// What is tried again.
    pub retry: RetryPolicy,
    /// How long one try may take.
    pub deadlines: Deadlines,
}

/// A model that asks the models of `chain` in turn, each with retries, until one answers. Model ids are passed through unseen.
///
/// Fails when any model of the chain cannot be asked at all: an unknown provider, a missing key. Makes no request.
pub fn build(
    settings: &ModelSettings,
    chain: &[ModelName],
    http: &Http,
    patience: &Patience,
) -> Result<Arc<dyn Model>, RouterError> {
    let mut models = Vec::with_capacity(chain.len());
    for name in chain {
        models.push(one(settings, name, http, patience)?);
    }
    let chain = Chain::new(models, patience.retry.clone()).ok_or(RouterError::Empty)?;
    Ok(Arc::new(chain))
}

fn one(settings: &ModelSettings, name: &ModelName, http: &Http, patience: &Patience) -> Result<Arc<Chat>, RouterError> {
    let known = provider(&name.provider);
    let Reached { base_url, key, http } = reach(settings, name, known, http)?;
    Chat::new(source(name, known, "MODEL"), &base_url, key, http, patience.deadlines).map(Arc::new).map_err(RouterError::Http)
}

/// What it takes to ask a provider.
pub(super) struct Reached {
    /// Ends in `/`.
    pub(super) base_url: Url,
    pub(super) key: SecretString,
    pub(super) http: reqwest::Client,
}

/// Where a model is asked, with which key. `known` is its provider, where it is known by name.
pub(super) fn reach(
    settings: &ModelSettings,
    name: &ModelName,
    known: Option<&Provider>,
    http: &Http,
) -> Result<Reached, RouterError> {
    let configured = configured(settings, name, known);
    let base_url = base_url(known, configured.and_then(|settings| settings.base_url.as_ref())).ok_or_else(|| unknown(name))?;
    let key = match configured.and_then(|settings| settings.key.clone()) {
        Some(key) => key,
        // Servers on this machine want no key, but the wire library wants one.
        None if is_loopback(&base_url) => SecretString::from("unused"),
        None => return Err(missing_key(name, known, known.map_or(name.provider.as_str(), |provider| provider.title))),
    };
    let http = http.reach(&base_url).clone();
    Ok(Reached { base_url, key, http })
}

/// Who is asked, for what people read. `setting` is the variable that named the model.
pub(super) fn source(name: &ModelName, known: Option<&Provider>, setting: &'static str) -> Source {
    Source {
        name: name.clone(),
        title: known.map_or(name.provider.as_str(), |provider| provider.title).to_owned(),
        key_variable: key_variable(&name.provider),
        base_url_variable: base_url_variable(known.map_or(name.provider.as_str(), |provider| provider.name)),
        setting,
        protocol: known.map_or(Protocol::Compatible, |provider| provider.protocol),
        reasoning: known.map_or(Reasoning::Returned, |provider| provider.reasoning),
    }
}

fn configured<'a>(settings: &'a ModelSettings, name: &ModelName, known: Option<&Provider>) -> Option<&'a ProviderSettings> {
    let names = known.map(|provider| std::iter::once(&provider.name).chain(provider.aliases)).into_iter().flatten();
    std::iter::once(name.provider.as_str()).chain(names.copied()).find_map(|name| settings.providers.get(name))
}

/// Ends in `/`, because the wire library joins paths to it. An address without a path gets the version that belongs to the protocol.
fn base_url(known: Option<&Provider>, configured: Option<&Url>) -> Option<Url> {
    let default = known.and_then(|provider| provider.default_base_url).and_then(|url| Url::parse(url).ok());
    let Some(mut url) = configured.cloned() else { return default };
    let rooted_by_default = default.is_some_and(|default| default.path() == "/");
    if url.path() == "/" && !rooted_by_default {
        let gemini = known.is_some_and(|provider| provider.protocol == Protocol::Gemini);
        url.set_path(if gemini { "/v1beta/" } else { "/v1/" });
    } else if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn unknown(name: &ModelName) -> RouterError {
    let known = PROVIDERS.iter().map(|provider| provider.name).collect::<Vec<_>>().join(", ");
    let variable = base_url_variable(&name.provider);
    RouterError::UnknownProvider { name: name.to_string(), provider: name.provider.clone(), variable, known }
}

fn missing_key(name: &ModelName, known: Option<&Provider>, title: &str) -> RouterError {
    let variable = match known {
        Some(provider) => provider.key_variables.join(" or "),
        None => key_variable(&name.provider),
    };
    RouterError::MissingKey { name: name.to_string(), title: title.to_owned(), variable }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;

    fn settings(providers: &[(&str, Option<&str>, Option<&str>)]) -> ModelSettings {
        let providers = providers.iter().map(|(name, key, url)| {
            let settings = ProviderSettings { key: key.map(SecretString::from), base_url: url.map(|url| url.parse().unwrap()) };
            ((*name).to_owned(), settings)
        });
        ModelSettings { chain: vec![], title: vec![], embedding: None, providers: providers.collect::<BTreeMap<_, _>>() }
    }

    fn built(settings: &ModelSettings, name: &str) -> Result<String, String> {
        let model = build(settings, &[name.parse().unwrap()], &Http::new().unwrap(), &Patience::default());
        model.map(|model| model.name().to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_name_is_unique_and_lower_case() {
        let mut names: Vec<_> = PROVIDERS.iter().flat_map(|p| std::iter::once(&p.name).chain(p.aliases)).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
    }

    #[test]
    fn every_default_address_ends_in_a_slash() {
        for provider in PROVIDERS {
            let url = Url::parse(provider.default_base_url.unwrap()).unwrap();
            assert!(url.path().ends_with('/'), "{}", provider.name);
        }
    }

    #[test]
    fn a_missing_key_is_named_with_its_variable() {
        let none = settings(&[]);
        insta::assert_snapshot!(built(&none, "openai/gpt-4.1").unwrap_err(), @"`openai/gpt-4.1` needs a key for OpenAI. Set OPENAI_API_KEY.");
        insta::assert_snapshot!(built(&none, "google/gemini-2.5-pro").unwrap_err(), @"`google/gemini-2.5-pro` needs a key for Google. Set GOOGLE_GENERATIVE_AI_API_KEY or GOOGLE_API_KEY or GEMINI_API_KEY.");
        let acme = settings(&[("acme-ai", None, Some("https://llm.acme.example/v1"))]);
        insta::assert_snapshot!(built(&acme, "acme-ai/large").unwrap_err(), @"`acme-ai/large` needs a key for acme-ai. Set ACME_AI_API_KEY.");
    }

    #[test]
    fn an_unknown_provider_is_told_how_to_become_known() {
        insta::assert_snapshot!(built(&settings(&[]), "acme-ai/large").unwrap_err(), @"`acme-ai/large` names the provider `acme-ai`, which is not known. Use one of openai, anthropic, google, groq, cerebras, mistral, openrouter, xai, deepseek, together, deepinfra, perplexity, fireworks-ai, moonshotai, lmstudio, ollama, or set ACME_AI_BASE_URL to the address of an OpenAI-compatible server.");
    }

    #[test]
    fn a_server_on_this_machine_needs_no_key() {
        assert_eq!(built(&settings(&[]), "ollama/qwen3:8b").unwrap(), "ollama/qwen3:8b");
        let local = settings(&[("acme", None, Some("http://localhost:8000"))]);
        assert_eq!(built(&local, "acme/org/large").unwrap(), "acme/org/large");
    }

    #[test]
    fn an_alias_finds_the_settings_of_its_provider() {
        let together = settings(&[("together", Some("k"), None)]);
        assert_eq!(built(&together, "togetherai/meta-llama/x").unwrap(), "togetherai/meta-llama/x");
    }

    #[test]
    fn an_address_without_a_path_gets_the_version() {
        let with = |name: &str, url: &str| base_url(provider(name), Some(&url.parse().unwrap())).unwrap().to_string();
        assert_eq!(with("openai", "http://h:1"), "http://h:1/v1/");
        assert_eq!(with("google", "http://h:1"), "http://h:1/v1beta/");
        assert_eq!(with("acme", "http://h:1/api/v2"), "http://h:1/api/v2/");
        assert_eq!(with("perplexity", "https://api.perplexity.ai"), "https://api.perplexity.ai/");
    }

    #[test]
    fn an_empty_chain_is_refused() {
        let error = build(&settings(&[]), &[], &Http::new().unwrap(), &Patience::default()).err().unwrap();
        assert_eq!(error, RouterError::Empty);
    }
}

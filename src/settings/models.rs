//! Which models are asked, and with which keys.

use std::collections::{BTreeMap, BTreeSet};

use super::reader::Reader;
use super::{ModelSettings, ProviderSettings, names, value};
use crate::model::{ModelName, embedding, router};

/// Providers that need no address.
const PROVIDERS: [&str; 10] =
    ["anthropic", "cerebras", "deepseek", "google", "groq", "mistral", "openai", "openrouter", "together", "xai"];

/// `<NAME>_API_KEY` and `<NAME>_BASE_URL` of these belong to no model.
const NOT_PROVIDERS: [&str; 3] = ["daytona", "discord", "github"];

/// The variables that may hold a provider's key; the first that is set counts.
pub fn key_variables(provider: &str) -> Vec<String> {
    match provider {
        "google" => ["GOOGLE_GENERATIVE_AI_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"].map(str::to_owned).to_vec(),
        "together" | "togetherai" => vec!["TOGETHER_API_KEY".to_owned()],
        other => vec![format!("{}_API_KEY", variable_stem(other))],
    }
}

/// The variable that holds a provider's address.
pub fn base_url_variable(provider: &str) -> String {
    match provider {
        "togetherai" => "TOGETHER_BASE_URL".to_owned(),
        other => format!("{}_BASE_URL", variable_stem(other)),
    }
}

fn variable_stem(provider: &str) -> String {
    provider.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

pub(super) fn read(reader: &mut Reader<'_>) -> ModelSettings {
    let default = ModelName { provider: "openai".into(), model: "gpt-4.1".into() };
    let chain = reader.parse("MODEL", value::chain).unwrap_or_else(|| vec![default]);
    let own_title = reader.parse("TITLE_MODEL", value::chain);
    let has_own_title = own_title.is_some();
    let title = own_title.unwrap_or_else(|| chain.clone());
    let embedding = reader.parse("EMBEDDING_MODEL", value::model);
    let mut providers = BTreeMap::new();
    for name in provider_names(reader, chain.iter().chain(&title).chain(&embedding)) {
        let provider = read_provider(reader, &name);
        providers.insert(name, provider);
    }
    let settings = ModelSettings { chain, title, embedding, providers };
    check_chain(reader, "MODEL", &settings.chain, &settings);
    if let Some(embedding) = &settings.embedding {
        check_chain(reader, "EMBEDDING_MODEL", std::slice::from_ref(embedding), &settings);
    }
    if has_own_title {
        check_chain(reader, "TITLE_MODEL", &settings.title, &settings);
    }
    settings
}

/// Those a chain names, the known ones with a key or an address, and others that have both.
fn provider_names<'m>(reader: &Reader<'_>, models: impl Iterator<Item = &'m ModelName>) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = models.map(|model| model.provider.clone()).collect();
    let has_key = |provider: &str| key_variables(provider).iter().any(|variable| reader.has(variable));
    let has_url = |provider: &str| reader.has(&base_url_variable(provider));
    names.extend(PROVIDERS.into_iter().filter(|name| has_key(name) || has_url(name)).map(str::to_owned));
    let others = reader.names().filter_map(|name| name.strip_suffix("_API_KEY")).map(str::to_ascii_lowercase);
    let is_other = |name: &String| !NOT_PROVIDERS.contains(&name.as_str()) && has_key(name) && has_url(name);
    names.extend(others.filter(is_other));
    names
}

fn read_provider(reader: &mut Reader<'_>, name: &str) -> ProviderSettings {
    let variable = key_variables(name).into_iter().find(|variable| reader.has(variable));
    let base_url = reader.base_url(&base_url_variable(name), variable.as_deref());
    ProviderSettings { key: variable.and_then(|variable| reader.secret(&variable)), base_url }
}

/// An unknown provider without an address is a mistake; a missing key only means that this model cannot be asked.
fn check_chain(reader: &mut Reader<'_>, variable: &str, chain: &[ModelName], settings: &ModelSettings) {
    let mut seen = BTreeSet::new();
    for model in chain.iter().filter(|model| seen.insert(&model.provider)) {
        let name = model.provider.as_str();
        let address = base_url_variable(name);
        // Those with an address of their own, and for embeddings those that do nothing else.
        let is_known = router::provider(name).is_some() || (variable == "EMBEDDING_MODEL" && embedding::provider(name).is_some());
        if !is_known && !reader.has(&address) {
            let guess =
                names::closest(name, PROVIDERS).map(|guess| format!("did you mean {guess}? Otherwise ")).unwrap_or_default();
            reader.problem(
                variable,
                format!("{model} names a provider without a known address"),
                format!("{guess}set {address}"),
            );
        } else if !settings.can_ask(model) && chain.iter().any(|other| settings.can_ask(other)) {
            let key = key_variables(name).join(" or ");
            reader.warn(variable, format!("{model} will be passed over because it has no key"), format!("set {key}"));
        }
    }
}

impl ModelSettings {
    /// True when the model's provider has a key, or an address of its own that may need none.
    pub fn can_ask(&self, model: &ModelName) -> bool {
        self.providers.get(&model.provider).is_some_and(|provider| provider.key.is_some() || provider.base_url.is_some())
    }
}

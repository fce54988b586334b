//! What tokens cost: one table, in US dollars per million tokens. An unknown price is said as unknown, never guessed.
//!
//! Figures: OpenAI, Anthropic, Google, xAI and DeepSeek as of July 2026; Groq, Cerebras and Mistral as of December 2025, those that
//! embed too.
//! List prices of the standard tier. Surcharges for very long prompts are not in it; writing to a cache costs more where the maker says so.

use std::sync::LazyLock;

use regex::Regex;

use super::{ModelName, Usage};

/// Provider, model, input, cached input, output.
type Row = (&'static str, &'static str, f64, f64, f64);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("openai", "gpt-5.6", 5.0, 0.5, 30.0),
    ("openai", "gpt-5.6-sol", 5.0, 0.5, 30.0),
    ("openai", "gpt-5.6-terra", 2.5, 0.25, 15.0),
    ("openai", "gpt-5.6-luna", 1.0, 0.1, 6.0),
    ("openai", "gpt-5.5", 5.0, 0.5, 30.0),
    ("openai", "gpt-5.5-pro", 30.0, 3.0, 180.0),
    ("openai", "gpt-5.4", 2.5, 0.25, 15.0),
    ("openai", "gpt-5.4-mini", 0.75, 0.075, 4.5),
    ("openai", "gpt-5.4-nano", 0.2, 0.02, 1.25),
    ("openai", "gpt-5.4-pro", 30.0, 3.0, 180.0),
    ("openai", "gpt-5.3-codex", 1.75, 0.175, 14.0),
    ("openai", "gpt-5.3-chat", 1.75, 0.175, 14.0),
    ("openai", "gpt-5.2", 1.75, 0.175, 14.0),
    ("openai", "gpt-5.2-chat", 1.75, 0.175, 14.0),
    ("openai", "gpt-5.2-codex", 1.75, 0.175, 14.0),
    ("openai", "gpt-5.2-pro", 21.0, 21.0, 168.0),
    ("openai", "gpt-5.1", 1.25, 0.125, 10.0),
    ("openai", "gpt-5.1-chat", 1.25, 0.125, 10.0),
    ("openai", "gpt-5.1-codex", 1.25, 0.125, 10.0),
    ("openai", "gpt-5.1-codex-max", 1.25, 0.125, 10.0),
    ("openai", "gpt-5.1-codex-mini", 0.25, 0.025, 2.0),
    ("openai", "gpt-5", 1.25, 0.125, 10.0),
    ("openai", "gpt-5-chat", 1.25, 0.125, 10.0),
    ("openai", "gpt-5-codex", 1.25, 0.125, 10.0),
    ("openai", "gpt-5-mini", 0.25, 0.025, 2.0),
    ("openai", "gpt-5-nano", 0.05, 0.005, 0.4),
    ("openai", "gpt-5-pro", 15.0, 15.0, 120.0),
    ("openai", "gpt-4.1", 2.0, 0.5, 8.0),
    ("openai", "gpt-4.1-mini", 0.4, 0.1, 1.6),
    ("openai", "gpt-4.1-nano", 0.1, 0.025, 0.4),
    ("openai", "gpt-4o", 2.5, 1.25, 10.0),
    ("openai", "gpt-4o-mini", 0.15, 0.075, 0.6),
    ("openai", "gpt-4-turbo", 10.0, 10.0, 30.0),
    ("openai", "gpt-4", 30.0, 30.0, 60.0),
    ("openai", "gpt-3.5-turbo", 0.5, 0.5, 1.5),
    ("openai", "o1", 15.0, 7.5, 60.0),
    ("openai", "o3", 2.0, 0.5, 8.0),
    ("openai", "o3-mini", 1.1, 0.55, 4.4),
    ("openai", "o3-pro", 20.0, 20.0, 80.0),
    ("openai", "o4-mini", 1.1, 0.275, 4.4),
    ("anthropic", "claude-mythos-5", 10.0, 1.0, 50.0),
    ("anthropic", "claude-fable-5", 10.0, 1.0, 50.0),
    ("anthropic", "claude-opus-5", 5.0, 0.5, 25.0),
    ("anthropic", "claude-opus-4-8", 5.0, 0.5, 25.0),
    ("anthropic", "claude-opus-4-7", 5.0, 0.5, 25.0),
    ("anthropic", "claude-opus-4-6", 5.0, 0.5, 25.0),
    ("anthropic", "claude-opus-4-5", 5.0, 0.5, 25.0),
    ("anthropic", "claude-opus-4-1", 15.0, 1.5, 75.0),
    ("anthropic", "claude-opus-4", 15.0, 1.5, 75.0),
    ("anthropic", "claude-sonnet-5", 2.0, 0.2, 10.0),
    ("anthropic", "claude-sonnet-4-6", 3.0, 0.3, 15.0),
    ("anthropic", "claude-sonnet-4-5", 3.0, 0.3, 15.0),
    ("anthropic", "claude-sonnet-4", 3.0, 0.3, 15.0),
    ("anthropic", "claude-haiku-4-5", 1.0, 0.1, 5.0),
    ("anthropic", "claude-3-7-sonnet", 3.0, 0.3, 15.0),
    ("anthropic", "claude-3-5-sonnet", 3.0, 0.3, 15.0),
    ("anthropic", "claude-3-5-haiku", 0.8, 0.08, 4.0),
    ("anthropic", "claude-3-opus", 15.0, 1.5, 75.0),
    ("anthropic", "claude-3-haiku", 0.25, 0.03, 1.25),
    ("google", "gemini-3.6-flash", 1.5, 0.15, 7.5),
    ("google", "gemini-3.5-flash", 1.5, 0.15, 9.0),
    ("google", "gemini-3.5-flash-lite", 0.3, 0.03, 2.5),
    ("google", "gemini-3.1-pro", 2.0, 0.2, 12.0),
    ("google", "gemini-3.1-flash-lite", 0.25, 0.025, 1.5),
    ("google", "gemini-3-pro", 2.0, 0.2, 12.0),
    ("google", "gemini-3-flash", 0.5, 0.05, 3.0),
    ("google", "gemini-2.5-pro", 1.25, 0.125, 10.0),
    ("google", "gemini-2.5-flash", 0.3, 0.03, 2.5),
    ("google", "gemini-2.5-flash-lite", 0.1, 0.01, 0.4),
    ("google", "gemini-2.0-flash", 0.1, 0.025, 0.4),
    ("google", "gemini-2.0-flash-lite", 0.075, 0.01875, 0.3),
    ("xai", "grok-4.5", 2.0, 0.5, 6.0),
    ("xai", "grok-4.3", 1.25, 0.2, 2.5),
    ("xai", "grok-build-0.1", 1.0, 0.2, 2.0),
    ("deepseek", "deepseek-chat", 0.28, 0.028, 0.42),
    ("deepseek", "deepseek-reasoner", 0.28, 0.028, 0.42),
    ("deepseek", "deepseek-v4-flash", 0.14, 0.0028, 0.28),
    ("deepseek", "deepseek-v4-pro", 0.435, 0.0036, 0.87),
    ("groq", "llama-3.3-70b-versatile", 0.59, 0.59, 0.79),
    ("groq", "llama-3.1-8b-instant", 0.05, 0.05, 0.08),
    ("groq", "openai/gpt-oss-120b", 0.15, 0.075, 0.6),
    ("groq", "openai/gpt-oss-20b", 0.075, 0.0375, 0.3),
    ("groq", "qwen/qwen3-32b", 0.29, 0.29, 0.59),
    ("groq", "meta-llama/llama-4-scout-17b-16e-instruct", 0.11, 0.11, 0.34),
    ("cerebras", "gpt-oss-120b", 0.35, 0.35, 0.75),
    ("cerebras", "llama3.1-8b", 0.1, 0.1, 0.1),
    ("cerebras", "llama-3.3-70b", 0.85, 0.85, 1.2),
    ("cerebras", "qwen-3-235b-a22b-instruct", 0.6, 0.6, 1.2),
    ("mistral", "mistral-large", 0.5, 0.5, 1.5),
    ("mistral", "mistral-medium", 0.4, 0.4, 2.0),
    ("mistral", "mistral-small", 0.1, 0.1, 0.3),
    ("mistral", "codestral", 0.3, 0.3, 0.9),
    ("mistral", "devstral", 0.4, 0.4, 2.0),
    ("mistral", "magistral-medium", 2.0, 2.0, 5.0),
    ("mistral", "magistral-small", 0.5, 0.5, 1.5),
    ("openai", "text-embedding-3-small", 0.02, 0.02, 0.0),
    ("openai", "text-embedding-3-large", 0.13, 0.13, 0.0),
    ("openai", "text-embedding-ada-002", 0.1, 0.1, 0.0),
    ("google", "gemini-embedding-001", 0.15, 0.15, 0.0),
    ("mistral", "mistral-embed", 0.1, 0.1, 0.0),
    ("mistral", "codestral-embed", 0.15, 0.15, 0.0),
    ("voyage", "voyage-3-large", 0.18, 0.18, 0.0),
    ("voyage", "voyage-3.5", 0.06, 0.06, 0.0),
    ("voyage", "voyage-3.5-lite", 0.02, 0.02, 0.0),
    ("voyage", "voyage-code-3", 0.18, 0.18, 0.0),
    ("cohere", "embed-v4.0", 0.12, 0.12, 0.0),
];

/// Provider and name of every model that writes and whose price is known.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().filter(|(.., written)| *written > 0.0).map(|(provider, model, ..)| (*provider, *model))
}

/// US dollars for `usage` at the list price of `model`; `None` when the price is not known.
pub fn cost(model: &ModelName, usage: &Usage) -> Option<f64> {
    let price = price(model)?;
    let (cached, written) = parts(usage);
    let fresh = usage.input - cached - written;
    let input = fresh as f64 * price.input + cached as f64 * price.cached + written as f64 * price.written;
    Some((input + usage.output as f64 * price.output) / 1_000_000.0)
}

/// US dollars that the tokens which were read from a cache would have cost more without it; `None` when the price is not known. What
/// writing them had cost more is in the [`cost`] of the answer that wrote them.
pub fn saved(model: &ModelName, usage: &Usage) -> Option<f64> {
    let price = price(model)?;
    let (cached, _) = parts(usage);
    Some(cached as f64 * (price.input - price.cached) / 1_000_000.0)
}

/// Tokens read from a cache and written to one: parts of the input, whatever a provider says.
fn parts(usage: &Usage) -> (u64, u64) {
    let cached = usage.cached.min(usage.input);
    (cached, usage.written.min(usage.input - cached))
}

/// A list price, in US dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Prompt tokens.
    pub input: f64,
    /// Prompt tokens read from a cache.
    pub cached: f64,
    /// Prompt tokens written to a cache.
    pub written: f64,
    /// Tokens of the answer.
    pub output: f64,
}

/// Anthropic's for what is kept five minutes, which is what we ask for. Elsewhere writing costs nothing beyond the tokens.
const ANTHROPIC_WRITES: f64 = 1.25;

/// The price of `model`. Dates and words such as `latest` at the end of a name do not matter; any other unknown ending does,
/// because variants of a model differ in price.
pub fn price(model: &ModelName) -> Option<Price> {
    let (provider, name) = listed_as(model);
    let mut name = name.as_str();
    loop {
        if let Some(&(.., input, cached, output)) = TABLE.iter().find(|row| row.0 == provider && row.1 == name) {
            let written = if provider == "anthropic" { input * ANTHROPIC_WRITES } else { input };
            return Some(Price { input, cached, written, output });
        }
        name = without_date(name)?;
    }
}

/// A rough count of tokens: one per four characters. Good enough to reserve money before a call; the bill is what the provider says.
pub fn estimate_tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(4) as u64
}

/// OpenRouter passes the makers' list prices on, under the makers' names with dots for dashes.
fn listed_as(model: &ModelName) -> (&str, String) {
    let known = model.provider == "openrouter";
    match model.model.split_once('/') {
        Some(("anthropic", name)) if known => ("anthropic", name.replace('.', "-")),
        Some((maker @ ("openai" | "google" | "deepseek"), name)) if known => (maker, name.to_owned()),
        Some(("x-ai", name)) if known => ("xai", name.to_owned()),
        _ => (model.provider.as_str(), model.model.clone()),
    }
}

/// The name without its last date or version word, if it ends with one. Short numbers stay: `claude-opus-4-9` is not `claude-opus-4`.
fn without_date(name: &str) -> Option<&str> {
    static ENDING: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"[-@](\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|\d{2}-\d{2}|\d{3,8}|latest|preview|exp)$").ok());
    let found = ENDING.as_ref()?.find(name)?;
    name.get(..found.start())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn price_of(name: &str) -> Option<Price> {
        price(&name.parse().unwrap())
    }

    #[test]
    fn a_dated_name_costs_what_the_plain_name_costs() {
        for (dated, plain) in [
            ("openai/gpt-4o-2024-08-06", "openai/gpt-4o"),
            ("openai/gpt-5-chat-latest", "openai/gpt-5-chat"),
            ("anthropic/claude-haiku-4-5-20251001", "anthropic/claude-haiku-4-5"),
            ("google/gemini-2.5-flash-lite-preview-09-2025", "google/gemini-2.5-flash-lite"),
            ("google/gemini-2.5-flash-lite-preview-06-17", "google/gemini-2.5-flash-lite"),
            ("mistral/mistral-large-latest", "mistral/mistral-large"),
            ("openrouter/anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4-5"),
        ] {
            assert_eq!(price_of(dated), price_of(plain), "{dated}");
            assert!(price_of(plain).is_some(), "{plain}");
        }
    }

    #[test]
    fn an_unknown_variant_has_no_price() {
        for name in ["anthropic/claude-opus-4-9", "openai/gpt-5-giant", "openai/", "acme/gpt-4.1", "openrouter/openai/gpt-9"] {
            assert_eq!(name.parse().ok().and_then(|name| price(&name)), None, "{name}");
        }
    }

    #[test]
    fn cached_tokens_cost_less_and_are_counted_once() {
        let usage = Usage { input: 1_000_000, cached: 400_000, output: 100_000, ..Usage::default() };
        let dollars = cost(&"openai/gpt-4.1".parse().unwrap(), &usage).unwrap();
        assert!((dollars - (0.6 * 2.0 + 0.4 * 0.5 + 0.1 * 8.0)).abs() < 1e-9, "{dollars}");
    }

    #[test]
    fn writing_to_anthropics_cache_costs_a_quarter_more_and_reading_saves_nine_tenths() {
        let usage = Usage { input: 1_000_000, cached: 400_000, written: 500_000, ..Usage::default() };
        for model in ["anthropic/claude-sonnet-4-5", "openrouter/anthropic/claude-sonnet-4.5"] {
            let (cost, saved) = (cost(&model.parse().unwrap(), &usage).unwrap(), saved(&model.parse().unwrap(), &usage).unwrap());
            assert!((cost - (0.1 * 3.0 + 0.4 * 0.3 + 0.5 * 3.75)).abs() < 1e-9, "{cost}");
            assert!((saved - 0.4 * 2.7).abs() < 1e-9, "{saved}");
        }
        let elsewhere = cost(&"openai/gpt-4.1".parse().unwrap(), &usage).unwrap();
        assert!((elsewhere - (0.6 * 2.0 + 0.4 * 0.5)).abs() < 1e-9, "{elsewhere}");
        let nonsense = Usage { input: 10, cached: 20, written: 30, ..Usage::default() };
        assert!(cost(&"anthropic/claude-sonnet-4-5".parse().unwrap(), &nonsense).unwrap() > 0.0);
        assert_eq!(saved(&"acme/x".parse().unwrap(), &usage), None);
    }

    #[test]
    fn no_row_appears_twice() {
        let mut names: Vec<_> = TABLE.iter().map(|row| (row.0, row.1)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }
}

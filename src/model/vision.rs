//! Which models see pictures, and of which kinds. Who is not known to see gets a description instead: a provider refuses the whole
//! request when a model that cannot see is shown something.

use super::ModelName;

/// Parts of model names, by provider. The first that the name contains decides.
const TABLE: &[(&str, &[(&str, bool)])] = &[
    (
        "openai",
        &[
            ("gpt-3", false),
            ("o1-mini", false),
            ("o1-preview", false),
            ("o3-mini", false),
            ("audio", false),
            ("realtime", false),
            ("embedding", false),
            ("gpt-4o", true),
            ("gpt-4.", true),
            ("gpt-4-turbo", true),
            ("gpt-5", true),
            ("chatgpt", true),
            ("o1", true),
            ("o3", true),
            ("o4", true),
        ],
    ),
    ("anthropic", &[("claude-2", false), ("claude-instant", false), ("claude", true)]),
    ("google", &[("embedding", false), ("gemini", true), ("gemma-3", true)]),
    ("gemini", &[("embedding", false), ("gemini", true), ("gemma-3", true)]),
    ("xai", &[("grok-4", true), ("vision", true)]),
    (
        "mistral",
        &[
            ("pixtral", true),
            ("mistral-medium", true),
            ("mistral-small-latest", true),
            ("mistral-small-25", true),
            ("mistral-large-latest", true),
        ],
    ),
    ("groq", &[("llama-4", true)]),
    ("together", &[("llama-4", true), ("-vl", true)]),
    ("openrouter", &[("llama-4", true), ("-vl", true), ("pixtral", true)]),
];

/// Providers whose names of models begin with somebody else's name.
const RESELLERS: [&str; 2] = ["openrouter", "together"];

/// Whether this model sees pictures, as far as is known.
pub fn sees(name: &ModelName) -> bool {
    let model = name.model.to_lowercase();
    if RESELLERS.contains(&name.provider.as_str())
        && let Some((maker, rest)) = model.split_once('/')
        && let Some(known) = known(if maker == "x-ai" { "xai" } else { maker }, rest)
    {
        return known;
    }
    known(&name.provider, &model).unwrap_or(false)
}

fn known(provider: &str, model: &str) -> Option<bool> {
    let (_, parts) = TABLE.iter().find(|(known, _)| *known == provider)?;
    parts.iter().find(|(part, _)| model.contains(part)).map(|(_, sees)| *sees)
}

/// Whether the provider of this model takes pictures of a kind.
pub fn takes(name: &ModelName, media_type: &str) -> bool {
    match media_type {
        "image/png" | "image/jpeg" | "image/webp" => true,
        // Gemini has no place for them.
        "image/gif" => !matches!(name.provider.as_str(), "google" | "gemini"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn who_sees_is_known_by_name() {
        let sees = |name: &str| sees(&name.parse().unwrap());
        for seeing in [
            "openai/gpt-4.1",
            "openai/gpt-4o-mini",
            "openai/gpt-5-mini",
            "openai/o3",
            "anthropic/claude-opus-4-8",
            "google/gemini-3-pro",
            "xai/grok-4",
            "groq/meta-llama/llama-4-scout",
            "mistral/pixtral-large-latest",
            "openrouter/anthropic/claude-sonnet-5",
            "openrouter/x-ai/grok-4",
            "openrouter/qwen/qwen3-vl-32b",
        ] {
            assert!(sees(seeing), "{seeing}");
        }
        for blind in [
            "openai/gpt-3.5-turbo",
            "openai/o3-mini",
            "deepseek/deepseek-chat",
            "cerebras/gpt-oss-120b",
            "groq/qwen/qwen3-32b",
            "somebody/unknown",
            "openrouter/deepseek/deepseek-chat",
        ] {
            assert!(!sees(blind), "{blind}");
        }
        assert!(!takes(&"google/gemini-3-pro".parse().unwrap(), "image/gif"));
        assert!(!takes(&"openai/gpt-4.1".parse().unwrap(), "image/svg+xml"));
    }
}

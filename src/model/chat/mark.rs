//! What providers want back with a later request, marked with the model it came from.
//!
//! Signatures are opaque and mean something to their maker alone; another provider answers 400. So each carries its origin, and after
//! a change of model the old ones stay behind.

use super::super::ModelName;

/// What is kept for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Keepsake<'a> {
    /// Reasoning without a signature.
    Unsigned,
    /// A signature or an encrypted blob.
    Signature(&'a str),
    /// A whole block of the provider's, as JSON.
    Block(&'a str),
}

/// The stored form: origin, `|`, a letter, the data.
pub(super) fn store(origin: &ModelName, keepsake: &Keepsake<'_>) -> String {
    match keepsake {
        Keepsake::Unsigned => format!("{origin}|u"),
        Keepsake::Signature(data) => format!("{origin}|s{data}"),
        Keepsake::Block(data) => format!("{origin}|b{data}"),
    }
}

/// What `stored` holds for `reader`; `None` when it came from another model.
pub(super) fn load<'a>(reader: &ModelName, stored: Option<&'a str>) -> Option<Keepsake<'a>> {
    let (origin, data) = stored?.split_once('|')?;
    if origin != reader.to_string() {
        return None;
    }
    match data.split_at_checked(1)? {
        ("u", _) => Some(Keepsake::Unsigned),
        ("s", data) => Some(Keepsake::Signature(data)),
        ("b", data) => Some(Keepsake::Block(data)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_the_model_that_signed_gets_the_signature_back() {
        let origin: ModelName = "anthropic/claude-opus-4-8".parse().unwrap();
        for keepsake in [Keepsake::Unsigned, Keepsake::Signature("a|b=="), Keepsake::Block("{\"type\":\"x\"}")] {
            let stored = store(&origin, &keepsake);
            assert_eq!(load(&origin, Some(&stored)), Some(keepsake));
            assert_eq!(load(&"google/gemini-3-pro".parse().unwrap(), Some(&stored)), None);
        }
        assert_eq!(load(&origin, None), None);
        assert_eq!(load(&origin, Some("foreign")), None);
    }
}

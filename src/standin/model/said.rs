//! What is said in one answer, before it takes a protocol's form.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::Protocol;

/// One answer.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) text: Option<String>,
    pub(super) thought: Option<String>,
    pub(super) calls: Vec<SaidCall>,
    pub(super) finish: Finish,
}

/// One tool call.
#[derive(Debug)]
pub(super) struct SaidCall {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

/// Why the answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    Calls,
    Length,
    Filtered,
}

/// Figures of one answer. `input` includes `cached`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) cached: u64,
    /// Put into the cache: Anthropic says so, and charges for it.
    pub(super) written: u64,
    pub(super) output: u64,
}

impl SaidCall {
    pub(super) fn new(protocol: Protocol, name: &str, arguments: &str) -> Self {
        let number = fresh();
        let id = match protocol {
            Protocol::OpenAi | Protocol::Responses => format!("call_{number:024x}"),
            Protocol::Anthropic => format!("toolu_{number:024x}"),
            Protocol::Gemini => String::new(),
        };
        Self { id, name: name.to_owned(), arguments: arguments.to_owned() }
    }
}

impl Said {
    /// Bytes said.
    pub(super) fn size(&self) -> usize {
        let calls: usize = self.calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
        self.text.as_ref().map_or(0, String::len) + self.thought.as_ref().map_or(0, String::len) + calls
    }
}

/// A number that is used once in this process.
pub(super) fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Cuts text into pieces as a stream would: a few words each, and not more than 64 of them.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let wanted = (text.len() / 64).max(24);
    let mut rest = text;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let end = rest.char_indices().map(|(index, _)| index).find(|index| *index >= wanted).unwrap_or(rest.len());
        let (piece, tail) = rest.split_at(end);
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

/// Signs reasoning so that a returned signature can be checked without keeping anything.
pub(super) fn sign(thought: &str) -> String {
    let about = short_hash(thought);
    format!("{about}{}", short_hash(&format!("{about} by the stand-in")))
}

/// Whether `signature` is one of ours, for this thought if it is given.
pub(super) fn is_signed(signature: &str, thought: Option<&str>) -> bool {
    let Some((about, seal)) = signature.split_at_checked(16) else { return false };
    seal == short_hash(&format!("{about} by the stand-in")) && thought.is_none_or(|thought| about == short_hash(thought))
}

fn short_hash(text: &str) -> String {
    let mut hash = hex::encode(Sha256::digest(text.as_bytes()));
    hash.truncate(16);
    hash
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_the_text_again(text in ".{0,2000}") {
            let pieces = pieces(&text);
            prop_assert!(pieces.len() <= 100);
            prop_assert_eq!(pieces.concat(), text);
        }
    }

    #[test]
    fn a_signature_fits_its_thought_only() {
        assert!(is_signed(&sign("hm"), Some("hm")) && is_signed(&sign("hm"), None));
        assert!(!is_signed(&sign("hm"), Some("ha")) && !is_signed("forged", None) && !is_signed("", None));
    }
}

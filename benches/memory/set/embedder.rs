//! An embedder that needs no model: words, parts of names and a small table of meanings, hashed into a vector.
//!
//! It shows how vectors and words work together, and nothing about how good a provider's model is. The table covers some of the
//! paraphrases of the set, and none of the others; [`shared_meanings`] says which.

use async_trait::async_trait;
use threadbox::model::{Embedder, Input, ModelError, ModelName};

/// Numbers in a vector.
pub const DIMS: usize = 384;

/// Words that say little.
const EMPTY: &[&str] = &[
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "because", "can", "did", "do", "does", "for", "from", "in", "is",
    "it", "its", "me", "of", "on", "or", "our", "please", "should", "so", "that", "the", "this", "to", "up", "was", "we", "what",
    "when", "where", "which", "who", "why", "with", "you",
];

/// Words that mean the same. Written for the set's first things and for common words of the trade; not for all paraphrases.
const MEANINGS: &[&[&str]] = &[
    &["postgres", "database", "db"],
    &["sign", "logging", "login"],
    &["bills", "invoices", "invoice"],
    &["photos", "pictures", "images"],
    &["backlog", "queue"],
    &["lookup", "search", "find"],
    &["mail", "post", "letter"],
    &["dashboard", "overview"],
    &["build", "compilation"],
    &["laptop", "desktop"],
    &["ages", "slow", "latency"],
    &["falls", "crash", "crashes", "panic"],
    &["wiped", "deleted", "removed"],
    &["costs", "expensive", "bill"],
    &["switched", "disabled", "inactive"],
    &["twice", "duplicates", "duplicate"],
    &["decision", "decide", "decided", "settle", "settled", "agreed", "final", "plan"],
    &["opinion", "favour", "against", "think"],
    &["timeout", "deadline"],
    &["memory", "ram"],
];

/// See the module.
#[derive(Debug)]
pub struct Hashing(ModelName);

impl Default for Hashing {
    fn default() -> Self {
        Self("bench/hashing-384".parse().expect("a name of two parts"))
    }
}

#[async_trait]
impl Embedder for Hashing {
    async fn embed(&self, texts: &[String], _: Input) -> Result<Vec<Vec<f32>>, ModelError> {
        Ok(texts.iter().map(|text| vector(text)).collect())
    }

    fn name(&self) -> &ModelName {
        &self.0
    }
}

/// Length 1, or zero where nothing was said.
pub fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; DIMS];
    for word in words(text) {
        let weight = if EMPTY.contains(&word.as_str()) { 0.05 } else { 1.0 };
        add(&mut vector, &word, weight);
        if let Some(meaning) = meaning(&word) {
            add(&mut vector, &format!("meaning {meaning}"), 1.2);
        }
    }
    // What is said often counts more, but not as much more as it is longer.
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}

/// Groups of words in the table of meanings.
pub fn groups() -> usize {
    MEANINGS.len()
}

/// How many meanings of the table two texts share in different words.
pub fn shared_meanings(one: &str, other: &str) -> usize {
    let of = |text: &str| words(text).filter_map(|word| meaning(&word)).collect::<std::collections::BTreeSet<_>>();
    of(one).intersection(&of(other)).count()
}

/// Small words; names in code are taken apart.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|char: char| !char.is_alphanumeric()).flat_map(humps).filter(|word| !word.is_empty())
}

/// `parseConfig` as `parse` and `config`.
fn humps(word: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut low = false;
    for char in word.chars() {
        if char.is_uppercase() && low {
            parts.push(String::new());
        }
        low = char.is_lowercase();
        if let Some(part) = parts.last_mut() {
            part.extend(char.to_lowercase());
        }
    }
    parts
}

fn meaning(word: &str) -> Option<usize> {
    MEANINGS.iter().position(|words| words.contains(&word))
}

/// Four places of the vector for each feature, so that two features seldom look alike.
fn add(vector: &mut [f32], feature: &str, weight: f32) {
    let mut hash =
        feature.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    for _ in 0..4 {
        hash = (hash ^ (hash >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        vector[(hash >> 16) as usize % DIMS] += sign * weight;
    }
}

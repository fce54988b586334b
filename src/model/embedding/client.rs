//! One embedding model of one provider: cut, batched, tried again.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tracing::warn;
use url::Url;

use super::providers::Dialect;
use super::remembered::Remembered;
use super::wire::Read;
use super::{Embedded, Embedder, Input, check, wire};
use crate::model::chat::{Source, again, trouble};
use crate::model::price::estimate_tokens;
use crate::model::retry::{AskError, asked_too_much, given_up};
use crate::model::router::{Patience, Reached};
use crate::model::{ModelError, ModelName};
use crate::secret::{ExposeSecret, SecretString};

/// About 2,000 tokens, which every model takes; the rest of a longer text is left out.
const LONGEST_TEXT: usize = 6_000;
/// Characters in one request: some count tokens over the whole batch.
const LARGEST_BATCH: usize = 48_000;
/// More than any batch of ours comes to.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;
/// Of an error; the rest says nothing more.
const LARGEST_ERROR: usize = 64 * 1024;
/// One try. Embedding is quick; what takes longer hangs.
const LONGEST_TRY: Duration = Duration::from_secs(60);
/// Somebody waits for an answer: recall by words is better than late.
const LONGEST_QUESTION: Duration = Duration::from_secs(15);
/// Providers refuse texts without any words.
const BLANK: &str = "(empty)";

pub(super) struct Client {
    source: Source,
    dialect: Dialect,
    url: Url,
    key: SecretString,
    http: reqwest::Client,
    patience: Patience,
    remembered: Remembered,
    unbilled: AtomicU64,
}

impl Client {
    pub(super) fn new(source: Source, dialect: Dialect, reached: Reached, patience: Patience) -> Self {
        let url = wire::url(dialect, &reached.base_url, &source.name.model);
        let (remembered, unbilled) = (Remembered::default(), AtomicU64::new(0));
        Self { source, dialect, url, key: reached.key, http: reached.http, patience, remembered, unbilled }
    }

    /// All of them, batch after batch.
    async fn all(&self, texts: &[String], input: Input) -> Result<Embedded, ModelError> {
        let cut: Vec<&str> = texts.iter().map(|text| cut(text)).collect();
        let mut all = Embedded { vectors: Vec::with_capacity(texts.len()), tokens: 0, estimated: false };
        for batch in batches(&cut, self.dialect.texts(), LARGEST_BATCH) {
            let texts = &cut[batch];
            let read = self.batch(texts, input).await?;
            all.estimated |= read.tokens.is_none();
            all.tokens += read.tokens.unwrap_or_else(|| texts.iter().map(|text| estimate_tokens(text)).sum());
            if all.vectors.first().is_some_and(|first| Some(first.len()) != read.vectors.first().map(Vec::len)) {
                return Err(self.wrong("sent vectors of several lengths").error);
            }
            all.vectors.extend(read.vectors);
        }
        Ok(all)
    }

    /// The question, from memory where it was asked before.
    async fn question(&self, text: &String) -> Result<Embedded, ModelError> {
        if let Some(vector) = self.remembered.get(text) {
            return Ok(Embedded { vectors: vec![vector], tokens: 0, estimated: false });
        }
        let asked = tokio::time::timeout(LONGEST_QUESTION, self.all(std::slice::from_ref(text), Input::Query));
        let found = asked.await.map_err(|_| trouble::late(&self.source, LONGEST_QUESTION).error)??;
        for vector in &found.vectors {
            self.remembered.add(text, vector);
        }
        Ok(found)
    }

    async fn batch(&self, texts: &[&str], input: Input) -> Result<Read, ModelError> {
        let policy = &self.patience.retry;
        let mut tries = 1;
        loop {
            let failed = match self.once(texts, input).await {
                Ok(read) => return Ok(read),
                Err(failed) => failed.error,
            };
            let ModelError::Retry { reason, after } = &failed else { return Err(failed) };
            if tries >= policy.tries {
                return Err(given_up(reason, tries, *after));
            }
            if let Some(asked) = after.filter(|asked| *asked > policy.longest_asked) {
                return Err(asked_too_much(reason, asked));
            }
            let wait = policy.wait(tries, *after);
            warn!(model = %self.source.name, try_number = tries, wait_ms = wait.as_millis() as u64, reason, "embedding failed, trying again");
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }

    async fn once(&self, texts: &[&str], input: Input) -> Result<Read, AskError> {
        let longest = LONGEST_TRY.min(self.patience.deadlines.total);
        let body = match tokio::time::timeout(longest, self.exchange(texts, input)).await {
            Ok(body) => body?,
            Err(_) => return Err(trouble::late(&self.source, longest)),
        };
        let read = wire::read(self.dialect, &body).map_err(|what| self.wrong(&what))?;
        let vectors = check::vectors(read.vectors, texts.len()).map_err(|what| self.wrong(&what))?;
        Ok(Read { vectors, tokens: read.tokens })
    }

    /// One request and the body of its answer.
    async fn exchange(&self, texts: &[&str], input: Input) -> Result<Vec<u8>, AskError> {
        let body = wire::body(self.dialect, &self.source.name.model, texts, input);
        let request = self.http.post(self.url.clone()).json(&body);
        let request = match self.dialect {
            Dialect::Gemini { .. } => request.header("x-goog-api-key", self.key.expose_secret()),
            Dialect::OpenAi | Dialect::Compatible | Dialect::Voyage | Dialect::Jina | Dialect::Cohere => {
                request.bearer_auth(self.key.expose_secret())
            }
        };
        let broken = |error: reqwest::Error| trouble::from_transport(&self.source, &error);
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status();
        let most = if status.is_success() { LARGEST_ANSWER } else { LARGEST_ERROR };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            body.extend_from_slice(&chunk);
            if body.len() > most {
                if status.is_success() {
                    return Err(trouble::too_large(&self.source));
                }
                break;
            }
        }
        if status.is_success() {
            return Ok(body);
        }
        Err(trouble::from_response(&self.source, status.as_u16(), response.headers(), &String::from_utf8_lossy(&body)))
    }

    fn wrong(&self, what: &str) -> AskError {
        again(format!("{} {what}.", self.source.title), None)
    }
}

#[async_trait]
impl Embedder for Client {
    async fn embed(&self, texts: &[String], input: Input) -> Result<Vec<Vec<f32>>, ModelError> {
        let embedded = self.embed_counted(texts, input).await?;
        self.unbilled.fetch_add(embedded.tokens, Ordering::Relaxed);
        Ok(embedded.vectors)
    }

    async fn embed_counted(&self, texts: &[String], input: Input) -> Result<Embedded, ModelError> {
        match (input, texts) {
            (_, []) => Ok(Embedded { vectors: Vec::new(), tokens: 0, estimated: false }),
            (Input::Query, [question]) => self.question(question).await,
            (Input::Query | Input::Passage, _) => self.all(texts, input).await,
        }
    }

    fn take_unbilled(&self) -> u64 {
        self.unbilled.swap(0, Ordering::Relaxed)
    }

    fn name(&self) -> &ModelName {
        &self.source.name
    }
}

fn cut(text: &str) -> &str {
    if text.trim().is_empty() {
        return BLANK;
    }
    text.char_indices().nth(LONGEST_TEXT).map_or(text, |(end, _)| &text[..end])
}

/// Which texts go together: at most so many, with at most so many characters, and never none.
fn batches(texts: &[&str], most: usize, largest: usize) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (place, text) in texts.iter().enumerate() {
        if place > start && (place - start == most || size + text.len() > largest) {
            batches.push(start..place);
            (start, size) = (place, 0);
        }
        size += text.len();
    }
    if start < texts.len() {
        batches.push(start..texts.len());
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters_and_blank_ones_are_named() {
        assert_eq!(cut("a"), "a");
        assert_eq!(cut(" \n"), BLANK);
        assert_eq!(cut(&"ü".repeat(LONGEST_TEXT + 1)).chars().count(), LONGEST_TEXT);
    }

    proptest! {
        #[test]
        fn every_text_is_in_one_batch_and_no_batch_is_too_large(sizes in prop::collection::vec(0usize..30, 0..50), most in 1usize..9, largest in 1usize..60) {
            let texts: Vec<String> = sizes.iter().map(|size| "x".repeat(*size)).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let batches = batches(&texts, most, largest);
            let places: Vec<usize> = batches.iter().cloned().flatten().collect();
            prop_assert_eq!(places, (0..texts.len()).collect::<Vec<_>>());
            for batch in batches {
                let size: usize = texts[batch.clone()].iter().map(|text| text.len()).sum();
                prop_assert!(!batch.is_empty() && batch.len() <= most);
                prop_assert!(size <= largest || batch.len() == 1);
            }
        }
    }
}

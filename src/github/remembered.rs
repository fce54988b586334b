//! Answers that are kept with their tags, so that GitHub can say "unchanged" instead of answering anew. Bounded in number and size.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::Bytes;

use super::auth::Needs;
use super::client::Answer;
use super::gate::Payer;

const MOST: usize = 1024;
const LARGEST: usize = 256 << 10;
const MOST_BYTES: usize = 16 << 20;

/// Whose token asked, what it may do, and for what: another token may see something else.
pub(super) type Key = (Payer, Option<Needs>, String);

/// A kept answer.
#[derive(Clone)]
pub(super) struct Entry {
    pub tag: HeaderValue,
    headers: HeaderMap,
    body: Bytes,
}

impl Entry {
    /// What is worth keeping: a success with a tag, not too large.
    pub fn of(answer: &Answer) -> Option<Self> {
        if answer.status != StatusCode::OK || answer.body.len() > LARGEST {
            return None;
        }
        let tag = answer.headers.get(header::ETAG)?.clone();
        let mut headers = HeaderMap::new();
        headers.extend(answer.headers.get(header::LINK).map(|link| (header::LINK, link.clone())));
        Some(Self { tag, headers, body: answer.body.clone() })
    }

    /// The answer it was.
    pub fn answer(self) -> Answer {
        Answer { status: StatusCode::OK, headers: self.headers, body: self.body }
    }
}

/// The answers that are kept, the oldest forgotten first.
#[derive(Default)]
pub(super) struct Remembered(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    order: VecDeque<Key>,
    bytes: usize,
}

impl Remembered {
    pub fn get(&self, key: &Key) -> Option<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entries.get(key).cloned()
    }

    pub fn put(&self, key: Key, entry: Entry) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += entry.body.len();
        match kept.entries.insert(key.clone(), entry) {
            Some(old) => kept.bytes -= old.body.len(),
            None => kept.order.push_back(key),
        }
        while kept.order.len() > MOST || kept.bytes > MOST_BYTES {
            let Some(oldest) = kept.order.pop_front() else { break };
            if let Some(gone) = kept.entries.remove(&oldest) {
                kept.bytes -= gone.body.len();
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn entry(size: usize) -> Entry {
        let headers = [(header::ETAG, HeaderValue::from_static("W/\"1\""))].into_iter().collect();
        Entry::of(&Answer { status: StatusCode::OK, headers, body: vec![0; size].into() }).unwrap()
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let kept = Remembered::default();
        let key = |n: usize| (Payer::Token, None, format!("/{n}"));
        for n in 0..2000 {
            kept.put(key(n), entry(10));
        }
        assert!(kept.get(&key(0)).is_none() && kept.get(&key(1999)).is_some());
        for n in 0..200 {
            kept.put(key(n), entry(LARGEST));
            kept.put(key(n), entry(LARGEST));
        }
        let inner = kept.0.lock().unwrap();
        assert!(inner.bytes <= MOST_BYTES && inner.entries.len() == inner.order.len());
        assert_eq!(inner.bytes, inner.entries.values().map(|entry| entry.body.len()).sum::<usize>());
    }

    #[test]
    fn only_a_tagged_success_of_a_moderate_size_is_kept() {
        let answer = |status, tagged: bool, size| {
            let headers = tagged.then(|| (header::ETAG, HeaderValue::from_static("x"))).into_iter().collect();
            Answer { status, headers, body: vec![0; size].into() }
        };
        assert!(Entry::of(&answer(StatusCode::OK, true, 1)).is_some());
        assert!(Entry::of(&answer(StatusCode::OK, false, 1)).is_none());
        assert!(Entry::of(&answer(StatusCode::NOT_FOUND, true, 1)).is_none());
        assert!(Entry::of(&answer(StatusCode::OK, true, LARGEST + 1)).is_none());
    }
}

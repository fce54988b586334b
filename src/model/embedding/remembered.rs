//! The vectors of the last questions: people ask the same again, and a run asks about one request more than once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

const MOST: usize = 1_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Least recently used goes first. Holds digests of the texts, not the texts.
#[derive(Default)]
pub(super) struct Remembered(Mutex<Inner>);

type Key = [u8; 32];

#[derive(Default)]
struct Inner {
    vectors: HashMap<Key, (u64, Vec<f32>)>,
    /// By when they were used last.
    used: BTreeMap<u64, Key>,
    bytes: usize,
    now: u64,
}

impl Remembered {
    pub(super) fn get(&self, text: &str) -> Option<Vec<f32>> {
        self.lock().get(&key(text))
    }

    pub(super) fn add(&self, text: &str, vector: &[f32]) {
        self.lock().add(key(text), vector, MOST, MOST_BYTES);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(text: &str) -> Key {
    Sha256::digest(text.as_bytes()).into()
}

impl Inner {
    fn get(&mut self, key: &Key) -> Option<Vec<f32>> {
        self.now += 1;
        let (used, vector) = self.vectors.get_mut(key)?;
        self.used.remove(used);
        *used = self.now;
        self.used.insert(self.now, *key);
        Some(vector.clone())
    }

    fn add(&mut self, key: Key, vector: &[f32], most: usize, most_bytes: usize) {
        self.remove(&key);
        self.now += 1;
        self.used.insert(self.now, key);
        self.vectors.insert(key, (self.now, vector.to_vec()));
        self.bytes += size_of_val(vector);
        while self.vectors.len() > most || self.bytes > most_bytes {
            let Some(oldest) = self.used.first_key_value().map(|(_, key)| *key) else { return };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some((used, vector)) = self.vectors.remove(key) {
            self.used.remove(&used);
            self.bytes -= size_of_val(vector.as_slice());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first_and_nothing_grows_without_end() {
        let mut inner = Inner::default();
        for number in 0..3 {
            inner.add(key(&number.to_string()), &[number as f32], 3, 1_000);
        }
        assert_eq!(inner.get(&key("0")), Some(vec![0.0]));
        inner.add(key("3"), &[3.0], 3, 1_000);
        assert_eq!(inner.get(&key("1")), None);
        assert_eq!(inner.get(&key("0")), Some(vec![0.0]));
        inner.add(key("big"), &[1.0; 3], 3, 16);
        assert_eq!((inner.vectors.len(), inner.bytes), (2, 16));
        inner.add(key("too big"), &[1.0; 5], 3, 16);
        assert_eq!((inner.vectors.len(), inner.used.len(), inner.bytes), (0, 0, 0));
    }
}

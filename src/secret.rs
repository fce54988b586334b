//! Secrets are wrapped from the moment they are read; whoever needs the value says `expose`.

pub use secrecy::{ExposeSecret, SecretString};

/// Wraps a value that must never be printed.
pub fn secret(value: impl Into<String>) -> SecretString {
    SecretString::from(value.into())
}

use std::sync::{Arc, Mutex, PoisonError};

/// Values that became secrets while the service runs, such as minted tokens. Clones share them.
#[derive(Clone, Default)]
pub struct Learned(Arc<Mutex<Vec<SecretString>>>);

/// The newest are kept; tokens live an hour, and there is one per repository and purpose.
const MOST_LEARNED: usize = 512;

impl Learned {
    /// Remembers a value. The same again is remembered once; beyond 512 the oldest is forgotten.
    pub fn add(&self, value: &SecretString) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.expose_secret() != value.expose_secret());
        if known.len() == MOST_LEARNED {
            known.remove(0);
        }
        known.push(value.clone());
    }

    /// What is remembered now, the oldest first.
    pub fn all(&self) -> Vec<SecretString> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A text that holds the newest value, or how many there are: what tells that something was added.
    pub(crate) fn newest(&self) -> Option<SecretString> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }
}

impl std::fmt::Debug for Learned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Learned")
    }
}

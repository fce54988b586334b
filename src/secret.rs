//! Secrets are wrapped from the moment they are read; whoever needs the value says `expose`.

pub use secrecy::{ExposeSecret, SecretString};

/// Wraps a value that must never be printed.
pub fn secret(value: impl Into<String>) -> SecretString {
    SecretString::from(value.into())
}

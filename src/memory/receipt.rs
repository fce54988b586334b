//! Receipts: what is told from memory says where it was said.
//!
//! The model is shown a short token beside everything that comes from memory, and repeats it where it uses that. Trusted code turns
//! tokens of what this run was shown into links; a token that it was not shown becomes nothing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::MessageId;

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cite {
    /// What was said.
    pub message: MessageId,
    /// Its address on its surface.
    pub url: String,
    /// Who said it.
    pub author: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// The token of a message, such as `[m:8f14e45fce]`: ten hexadecimal digits of the random part of its id.
pub fn token(message: MessageId) -> String {
    let id = message.0.simple().to_string();
    format!("[m:{}]", &id[id.len() - 10..])
}

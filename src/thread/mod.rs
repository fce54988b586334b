//! Threads: conversations with an identity, messages and a title.

mod store;

pub use store::{history, opening_text, place, set_title};

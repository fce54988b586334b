//! Threads: conversations with an identity, messages and a title.

mod store;

pub use store::{opening, place, rename, set_title};

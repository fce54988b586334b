//! Threads: conversations with an identity, messages and a title.

mod store;

pub use store::{opening, own_title, place, places, rename, set_title};

//! Replies: what we say, as pure functions from values to text, and how it is posted so that it happens once.

mod view;

pub use view::*;

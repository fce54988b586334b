//! Threads: conversations with an identity, messages and a title.

mod store;

pub use store::{history, opening_text, place, set_title};

use crate::id::RunId;
use crate::model::Message;

/// The conversation of a finished run, in order.
#[derive(Clone, Debug)]
pub struct PastRun {
    /// The run.
    pub id: RunId,
    /// What was said in it, tool calls and results included.
    pub messages: Vec<Message>,
}

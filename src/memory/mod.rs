//! Memory: what a thread knows beside the run at work.
//!
//! [`history`] is what was said last, in a [`branch`] also in the conversation it began with, [`observations`] what was said before that
//! in few lines, [`recall`] finds the words themselves, of this conversation and others, [`working`] memory is what the agent and people
//! keep in mind, and [`title`] names the thread. What a repository decides about all of it is [`Options`]. Every search has a [`Scope`],
//! and no search reaches over the border of an owner; a [`Filter`] narrows it. What is shown of it carries a [`receipt`].

pub mod branch;
mod filter;
pub mod forget;
pub mod history;
pub mod index;
pub mod observations;
mod options;
mod period;
pub mod pieces;
pub mod recall;
pub mod receipt;
mod stem;
pub mod terms;
pub mod title;
pub mod vectors;
pub mod working;

pub use self::filter::{By, Filter};
pub use self::options::{Options, Working};
pub use self::period::Period;

use crate::id::ThreadId;

/// Where a search may look. The border is the owner: what was said in one repository, guild or private conversation is not found from
/// another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Whose memory: [`crate::intake::Place::owner`] of the conversation that asks.
    pub owner: String,
    /// The conversation that asks.
    pub thread: ThreadId,
    /// How far it looks.
    pub reach: Reach,
}

impl Scope {
    /// What all conversations of an owner share, as somebody sees it who is in none of them.
    pub fn shared(owner: String) -> Self {
        Self { owner, thread: ThreadId(uuid::Uuid::nil()), reach: Reach::Owner }
    }
}

/// How far a search looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// The conversation itself.
    Thread,
    /// All conversations of the owner.
    #[default]
    Owner,
}

//! Branches: a conversation that begins with what was said in another one, after which the two go separate ways.
//!
//! The words are not copied. A branch refers to the runs of its source up to one of them, and every history is read through the view
//! `histories`, so that what is forgotten there is in no prompt here. Only what was made of words is taken over, at that moment: the cut
//! with the observations up to it, and the lines kept in mind of the conversation. Each of these names the messages it comes from, by
//! which forgetting finds it in every branch.

pub(in crate::memory) mod store;

pub use self::store::{begin, part, sources};

/// Conversations that may stand before a branch: what it was branched from, what that was branched from, and so on.
pub const MOST: i64 = 8;

/// What beginning a conversation with another one came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It begins with that one, from now on or since somebody said so before.
    Begun,
    /// Something was asked for here already.
    HasRuns,
    /// The agent has answered nothing there that is still known.
    Nothing,
    /// What was said there is on its way out.
    Leaving,
    /// It is somebody else's, or nobody reads there for us any more.
    NotOurs,
    /// It begins with this one itself.
    Circular,
    /// More than [`MOST`] would stand before this one.
    TooFar,
}

//! The agent: one run is one loop of model answer and tool calls, saved after each, until it ends by name.
//!
//! [`Run`] is the loop; its whole state is a [`Snapshot`], so that any worker can go on where another one died. What
//! happened is told as [`RunEvent`]s, from which the live comment, the answer and later replays are made. The agent knows no surface:
//! it is given a request and context as data and shows its progress as a [`crate::reply::LiveView`].

mod calls;
mod code;
pub mod event;
mod landing;
pub mod limits;
mod live_output;
pub mod prompt;
mod run;
pub(crate) mod sandboxes;
pub mod snapshot;
pub mod spending;
pub(crate) mod store;
pub mod tools;

pub use event::RunEvent;
pub use run::{Halt, Kit, Run};
pub use snapshot::Snapshot;
pub use spending::Spending;

pub use crate::intake::command::CodeBlock;

use serde::{Deserialize, Serialize};

/// What a run is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// Ask the agent.
    Ask {
        /// The instruction: what the person wrote, without the mention.
        text: String,
    },
    /// Run code as it is, without a model.
    Code {
        /// The fenced blocks of the request, in order; at least one.
        blocks: Vec<CodeBlock>,
    },
    /// Review the pull request, with verified suggestions.
    Review {
        /// What they wrote beside the command; may be empty.
        text: String,
    },
    /// Do what is missing, then land the work: a pull request, or commits on the branch of one.
    Land {
        /// What they wrote beside the command; may be empty.
        text: String,
    },
    /// Propose a plan; nothing changes.
    Plan {
        /// What to plan; empty means the conversation.
        text: String,
    },
    /// Carry out a plan as it was approved.
    CarryOut {
        /// The plan, word by word.
        plan: String,
    },
    /// Take the changes of the thread's last run back.
    Undo,
    /// Land changes that somebody with power over the repository approved.
    LandApproved {
        /// Names exactly these changes.
        digest: String,
    },
}

/// How much a run may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Powers {
    /// Everything its tools can.
    #[default]
    Everything,
    /// Work in the sandbox, but nothing of it lands: for people without permission whose request somebody else approved.
    NothingLands,
    /// Only look.
    OnlyReads,
}

/// Where a run is in its life; it only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum RunState {
    /// Accepted.
    Queued,
    /// Taken by a worker at least once.
    Running,
    /// Its outcome is decided and stored; people may not see it yet.
    Ended,
    /// People see it.
    Posted,
}

//! How a conversation stands, in a word, for places that show no more than that.

use super::Outcome;

/// How a conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A run is at work.
    Working,
    /// It was answered.
    Answered,
    /// It waits for a person: for a yes, or for an answer.
    Waiting,
    /// It ended at a limit of steps, time or money.
    OutOfBudget,
    /// A person stopped it, or took back what was asked.
    Stopped,
    /// It could not go on.
    Failed,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Working, Self::Answered, Self::Waiting, Self::OutOfBudget, Self::Stopped, Self::Failed];

    /// The names by which people may know it, in small letters; the first is ours.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Working => &["working"],
            Self::Answered => &["answered"],
            Self::Waiting => &["waiting", "needs approval", "needs answer"],
            Self::OutOfBudget => &["out of budget", "limit reached"],
            Self::Stopped => &["stopped"],
            Self::Failed => &["failed"],
        }
    }
}

impl From<&Outcome> for Standing {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Answered => Self::Answered,
            Outcome::NeedsApproval | Outcome::NeedsAnswer { .. } => Self::Waiting,
            Outcome::Limit { .. } => Self::OutOfBudget,
            Outcome::Withdrawn { .. } | Outcome::Stopped { .. } => Self::Stopped,
            Outcome::Failed { .. } => Self::Failed,
        }
    }
}

//! What a button of ours means: the `custom_id` it carries. It names what it is about and grants nothing; whoever presses it is asked
//! for permission like anybody who types the word. It means the same after a restart, whoever reads it.

use uuid::Uuid;

use crate::id::{ApprovalId, InboxId, RunId};

/// A button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Button {
    /// Stops that run.
    Stop(RunId),
    /// Runs the request of that run again.
    Retry(RunId),
    /// Lets that run go on beyond its ceiling.
    Continue(RunId),
    /// Lands the work of that run's thread as a pull request.
    OpenPullRequest(RunId),
    /// Asks again for what was given up before it was let in.
    Again(InboxId),
    /// Says yes to what waits for it.
    Approve(ApprovalId),
    /// Says no to it.
    Decline(ApprovalId),
}

/// Version of the form: a button of another one is told to be too old.
const PREFIX: &str = "tb1";

impl Button {
    /// Its `custom_id`, under the 100 characters that Discord allows.
    pub fn custom_id(self) -> String {
        let (word, id) = match self {
            Self::Stop(run) => ("stop", run.0),
            Self::Retry(run) => ("retry", run.0),
            Self::Continue(run) => ("continue", run.0),
            Self::OpenPullRequest(run) => ("pr", run.0),
            Self::Again(request) => ("again", request.0),
            Self::Approve(approval) => ("approve", approval.0),
            Self::Decline(approval) => ("decline", approval.0),
        };
        format!("{PREFIX}:{word}:{}", id.simple())
    }

    /// What a `custom_id` means; none when it is not one of ours.
    pub fn parse(custom_id: &str) -> Option<Self> {
        let rest = custom_id.strip_prefix(PREFIX)?.strip_prefix(':')?;
        let (word, id) = rest.split_once(':')?;
        let id = Uuid::try_parse(id).ok()?;
        match word {
            "stop" => Some(Self::Stop(RunId(id))),
            "retry" => Some(Self::Retry(RunId(id))),
            "continue" => Some(Self::Continue(RunId(id))),
            "pr" => Some(Self::OpenPullRequest(RunId(id))),
            "again" => Some(Self::Again(InboxId(id))),
            "approve" => Some(Self::Approve(ApprovalId(id))),
            "decline" => Some(Self::Decline(ApprovalId(id))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buttons_come_back_as_they_were() {
        let (run, approval, request) = (RunId::new(), ApprovalId::new(), InboxId::new());
        for button in [
            Button::Stop(run),
            Button::Retry(run),
            Button::Continue(run),
            Button::OpenPullRequest(run),
            Button::Again(request),
            Button::Approve(approval),
            Button::Decline(approval),
        ] {
            assert!(button.custom_id().len() <= 100);
            assert_eq!(Button::parse(&button.custom_id()), Some(button));
        }
        for foreign in ["", "tb1", "tb1:stop", "tb1:stop:x", "tb2:stop:00000000000000000000000000000000", "other"] {
            assert_eq!(Button::parse(foreign), None);
        }
    }
}

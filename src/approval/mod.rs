//! What waits for a yes: plans, requests of people without permission, workflow files, money. One table and one mechanism.
//!
//! A yes is bound to a digest over exactly what people were shown, counts once, and counts only while it is shown. What is approved
//! never changes: a newer plan is another approval, and what was edited or moved meanwhile is void.
//!
//! Who asks calls [`store::ask`], posts its comment (`reply` has the part about the approval), and says so with [`store::shown`].
//! Who decides (the gate, for words and reactions alike) calls [`store::decide`]. Nothing here knows who may: that is looked up before.

pub mod store;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::agent::{Powers, Task};
use crate::id::ThreadId;
use crate::intake::Request;
use crate::settings::Permission;

/// How long an approval may be given.
pub const OPEN_FOR: TimeDelta = TimeDelta::days(7);

/// What kind of thing waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Kind {
    /// A plan that would be carried out.
    Plan,
    /// A request of somebody without permission.
    Outsider,
    /// Changes of files that decide what runs with secrets, or who must agree.
    Workflows,
}

impl Kind {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Outsider => "outsider",
            Self::Workflows => "workflows",
        }
    }

    /// True when a newer one in the thread takes the place of one that waits.
    pub fn is_one_at_a_time(self) -> bool {
        match self {
            Self::Plan | Self::Workflows => true,
            Self::Outsider => false,
        }
    }

    /// The permission on the repository that it takes, whoever else may ask for runs; none where asking is enough.
    pub fn needs(self) -> Option<Permission> {
        match self {
            Self::Plan => None,
            Self::Outsider => Some(Permission::Write),
            Self::Workflows => Some(Permission::Maintain),
        }
    }
}

/// Where an approval is in its life; from waiting it moves once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum State {
    /// Nobody has decided.
    Waiting,
    /// Somebody with permission said yes.
    Approved,
    /// Somebody with permission, or who asked for it, said no.
    Declined,
    /// What it covers was changed.
    Void,
    /// A newer one took its place.
    Replaced,
    /// Nobody decided in time.
    Expired,
}

/// What exactly is approved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covers {
    /// What would happen, word by word: the plan, the outsider's message, the list of files with their contents' hashes, the amount.
    pub text: String,
    /// The request it serves, as written.
    pub request: String,
    /// The commit it was made for; on a pull request its head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
}

/// SHA-256 over what is approved, where and as what, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Digest(pub String);

impl Digest {
    /// The digest of this, in this thread.
    pub fn of(kind: Kind, thread: ThreadId, covers: &Covers) -> Self {
        let mut hash = Sha256::new();
        let head = covers.head.as_deref().unwrap_or_default();
        // With its length each part stays what it is, wherever another one ends.
        for part in [kind.as_str(), &thread.to_string(), &covers.text, &covers.request, head] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hex::encode(hash.finalize()))
    }

    /// What people see of it, and may name in `approve`: its first ten digits.
    pub fn short(&self) -> &str {
        self.0.get(..10).unwrap_or(&self.0)
    }
}

/// The run that begins with the yes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Continues {
    /// Whose words, where, as of when. The author stays who asked, whoever approves.
    pub request: Request,
    /// What to do.
    pub task: Task,
    /// How much it may do.
    pub powers: Powers,
}

/// How an attempt to approve came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It is approved, by this very request: do it. The same request that decided already is told so again.
    Yes,
    /// It was decided before, or is no longer open.
    AlreadyDecided(State),
    /// What was approved is not what is there.
    Changed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_covers_every_part_and_where_it_ends() {
        let thread = ThreadId::new();
        let covers = |text: &str, request: &str, head: Option<&str>| Covers {
            text: text.to_owned(),
            request: request.to_owned(),
            head: head.map(str::to_owned),
        };
        let base = Digest::of(Kind::Plan, thread, &covers("ab", "c", None));
        assert_eq!(base, Digest::of(Kind::Plan, thread, &covers("ab", "c", None)));
        for other in [
            Digest::of(Kind::Outsider, thread, &covers("ab", "c", None)),
            Digest::of(Kind::Plan, ThreadId::new(), &covers("ab", "c", None)),
            Digest::of(Kind::Plan, thread, &covers("a", "bc", None)),
            Digest::of(Kind::Plan, thread, &covers("ab", "c", Some("d"))),
        ] {
            assert_ne!(base, other);
        }
        assert_eq!(base.short().len(), 10);
    }
}

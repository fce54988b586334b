//! Ids as types of their own, so that a run can never be passed where a thread is meant.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id, ordered by creation time (UUIDv7).
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

id! {
    /// One conversation with a memory and a sandbox.
    ThreadId
}
id! {
    /// One execution of the agent for a thread.
    RunId
}
impl RunId {
    /// A new id after `newest`, the thread's newest run: runs of a thread are worked on in the order of their ids, and the clocks of two
    /// machines differ.
    pub fn after(newest: Option<Self>) -> Self {
        let new = Self::new();
        match newest {
            Some(newest) if newest >= new => Self(Uuid::from_u128(newest.0.as_u128().wrapping_add(1))),
            Some(_) | None => new,
        }
    }
}

id! {
    /// Something said in a thread.
    MessageId
}
id! {
    /// One inbound notification, stored once.
    DeliveryId
}
id! {
    /// One row of a thread's inbox.
    InboxId
}
id! {
    /// A piece of what was said, as recall finds it.
    MemoryId
}
id! {
    /// Something that waits for a yes.
    ApprovalId
}

/// Counts how often a thread was leased. A write that carries an older epoch than the thread's changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct LeaseEpoch(pub i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_comes_after_those_before_it_whatever_the_clock_says() {
        let fast = RunId(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, 99_999_999_999, 0)));
        let next = RunId::after(Some(fast));
        assert!(next > fast && RunId::after(Some(next)) > next);
        assert!(RunId::after(None) < fast && RunId::after(Some(RunId::new())) < fast);
    }
}

//! The states of a sandbox, and what may be asked in each.

use axum::http::StatusCode;

use super::refuse::Refuse;

/// Where a sandbox is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are Daytona's and say it")]
pub enum State {
    PendingBuild,
    BuildingSnapshot,
    PullingSnapshot,
    Creating,
    Starting,
    Started,
    Stopping,
    Stopped,
    Archiving,
    Archived,
    Restoring,
    Pausing,
    Paused,
    Resuming,
    Resizing,
    Destroying,
    Destroyed,
    Error,
    BuildFailed,
}

/// What is asked of a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Start,
    Stop,
    Archive,
    Resize,
    Delete,
}

/// What becomes of a wish.
#[derive(Debug)]
pub(super) enum Verdict {
    /// A transition begins in this state.
    Begins(State),
    /// It is so already.
    Nothing,
    /// Not in this state.
    Refused(Refuse),
}

impl State {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::PendingBuild,
        Self::BuildingSnapshot,
        Self::PullingSnapshot,
        Self::Creating,
        Self::Starting,
        Self::Started,
        Self::Stopping,
        Self::Stopped,
        Self::Archiving,
        Self::Archived,
        Self::Restoring,
        Self::Pausing,
        Self::Paused,
        Self::Resuming,
        Self::Resizing,
        Self::Destroying,
        Self::Destroyed,
        Self::Error,
        Self::BuildFailed,
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::PendingBuild => "pending_build",
            Self::BuildingSnapshot => "building_snapshot",
            Self::PullingSnapshot => "pulling_snapshot",
            Self::Creating => "creating",
            Self::Starting => "starting",
            Self::Started => "started",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Archiving => "archiving",
            Self::Archived => "archived",
            Self::Restoring => "restoring",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Resuming => "resuming",
            Self::Resizing => "resizing",
            Self::Destroying => "destroying",
            Self::Destroyed => "destroyed",
            Self::Error => "error",
            Self::BuildFailed => "build_failed",
        }
    }

    /// The state it is on its way to, or in.
    pub(super) fn desired(self) -> &'static str {
        match self {
            Self::PendingBuild
            | Self::BuildingSnapshot
            | Self::PullingSnapshot
            | Self::Creating
            | Self::Starting
            | Self::Started
            | Self::Restoring
            | Self::Resuming
            | Self::Error
            | Self::BuildFailed => "started",
            Self::Stopping | Self::Stopped => "stopped",
            Self::Archiving | Self::Archived => "archived",
            Self::Pausing | Self::Paused => "paused",
            Self::Resizing => "resized",
            Self::Destroying | Self::Destroyed => "destroyed",
        }
    }

    /// False while it is on its way to another one.
    pub fn settled(self) -> bool {
        match self {
            Self::Started | Self::Stopped | Self::Archived | Self::Paused | Self::Destroyed | Self::Error | Self::BuildFailed => {
                true
            }
            Self::PendingBuild
            | Self::BuildingSnapshot
            | Self::PullingSnapshot
            | Self::Creating
            | Self::Starting
            | Self::Stopping
            | Self::Archiving
            | Self::Restoring
            | Self::Pausing
            | Self::Resuming
            | Self::Resizing
            | Self::Destroying => false,
        }
    }

    /// True while processors and memory are taken.
    pub(super) fn computes(self) -> bool {
        match self {
            Self::PendingBuild
            | Self::BuildingSnapshot
            | Self::PullingSnapshot
            | Self::Creating
            | Self::Starting
            | Self::Started
            | Self::Stopping
            | Self::Restoring
            | Self::Pausing
            | Self::Resuming => true,
            Self::Stopped
            | Self::Archiving
            | Self::Archived
            | Self::Paused
            | Self::Resizing
            | Self::Destroying
            | Self::Destroyed
            | Self::Error
            | Self::BuildFailed => false,
        }
    }

    /// True while disk is taken.
    pub(super) fn stores(self) -> bool {
        !matches!(self, Self::Archived | Self::Destroying | Self::Destroyed)
    }

    /// What becomes of a wish in this state.
    pub(super) fn answer(self, wish: Wish) -> Verdict {
        let refused = |message: &str| Verdict::Refused(Refuse::bad_request(message));
        if self == Self::Destroyed {
            return Verdict::Refused(Refuse::new(StatusCode::NOT_FOUND, "Sandbox not found"));
        }
        if matches!(wish, Wish::Start) && self == Self::Archiving {
            return Verdict::Begins(Self::Restoring);
        }
        if !self.settled() {
            return Verdict::Refused(Refuse::new(StatusCode::CONFLICT, "Sandbox state change in progress"));
        }
        let broken = matches!(self, Self::Error | Self::BuildFailed);
        match wish {
            Wish::Delete => Verdict::Begins(Self::Destroying),
            Wish::Start | Wish::Stop if broken => refused("Sandbox is in an errored state"),
            Wish::Start => match self {
                Self::Started => Verdict::Nothing,
                Self::Archived => Verdict::Begins(Self::Restoring),
                Self::Paused => Verdict::Begins(Self::Resuming),
                _ => Verdict::Begins(Self::Starting),
            },
            Wish::Stop if matches!(self, Self::Started | Self::Paused) => Verdict::Begins(Self::Stopping),
            Wish::Stop => refused("Sandbox is not started"),
            Wish::Archive if self == Self::Stopped => Verdict::Begins(Self::Archiving),
            Wish::Archive => refused("Sandbox is not stopped"),
            Wish::Resize if matches!(self, Self::Started | Self::Stopped) => Verdict::Begins(Self::Resizing),
            Wish::Resize => refused("Sandbox must be started or stopped to be resized"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers but those of a transition that goes on.
    fn table(wish: Wish) -> String {
        let line = |state: State| match state.answer(wish) {
            Verdict::Begins(next) => Some(format!("{} → {}", state.name(), next.name())),
            Verdict::Nothing => Some(format!("{} stays", state.name())),
            Verdict::Refused(refuse) if refuse.status() == StatusCode::CONFLICT => {
                assert!(!state.settled());
                None
            }
            Verdict::Refused(refuse) => Some(format!("{} {}", state.name(), refuse.status().as_u16())),
        };
        State::ALL.into_iter().filter_map(line).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn every_wish_has_an_answer_in_every_state() {
        insta::assert_snapshot!(table(Wish::Start), @"started stays, stopped → starting, archiving → restoring, archived → restoring, paused → resuming, destroyed 404, error 400, build_failed 400");
        insta::assert_snapshot!(table(Wish::Stop), @"started → stopping, stopped 400, archived 400, paused → stopping, destroyed 404, error 400, build_failed 400");
        insta::assert_snapshot!(table(Wish::Archive), @"started 400, stopped → archiving, archived 400, paused 400, destroyed 404, error 400, build_failed 400");
        insta::assert_snapshot!(table(Wish::Delete), @"started → destroying, stopped → destroying, archived → destroying, paused → destroying, destroyed 404, error → destroying, build_failed → destroying");
    }
}

//! How a stand-in is set up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};

/// How a stand-in is set up; see [`Options::new`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The threadbox binary: helper of the local sandboxes, and daemon inside them.
    pub helper: PathBuf,
    /// Holds the files of sandboxes.
    pub root: PathBuf,
    /// Where interpreters are looked for that the system directories do not have.
    pub search_path: Vec<PathBuf>,
    /// How the daemons behave.
    pub daemon: DaemonVersion,
    /// How long a transition takes at least; [`super::World::slow`] makes single ones longer.
    pub transition: Duration,
    /// Memory of a sandbox, whatever it says it has.
    pub memory_mb: u64,
    /// Disk of a sandbox, whatever it says it has.
    pub disk_mb: u64,
    /// Where time comes from: timestamps, intervals and limits. Transitions take real time.
    pub clock: Arc<dyn Clock>,
}

impl Options {
    /// The hosted behaviour, quick, with the machine's clock.
    pub fn new(helper: PathBuf, root: PathBuf) -> Self {
        Self {
            helper,
            root,
            search_path: Vec::new(),
            daemon: DaemonVersion::Hosted,
            transition: Duration::from_millis(20),
            memory_mb: 1024,
            disk_mb: 1024,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Which toolbox daemon is in the sandboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonVersion {
    /// The last one whose source is public: errors about files have no body.
    V0_190,
    /// As the hosted service: typed errors, newer routes.
    Hosted,
}

impl DaemonVersion {
    /// As it says it itself.
    pub fn number(self) -> &'static str {
        match self {
            Self::V0_190 => "0.190.0",
            Self::Hosted => "0.205.1",
        }
    }

    /// Reads [`Self::number`].
    pub fn parse(number: &str) -> Option<Self> {
        [Self::V0_190, Self::Hosted].into_iter().find(|version| version.number() == number)
    }
}

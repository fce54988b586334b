//! What the service tells the helper to do, and what the helper says back: JSON over one socket, never the environment.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::isolation::{Layer, LayerName};

/// What a helper is asked to do. `P` is a [`Plan`] or a reference to one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order<P = Plan> {
    /// Run one program. Two descriptors may come with it: the user and the network namespace to join instead of new ones.
    Run(P),
    /// Make a user and a network namespace, hand back their descriptors, with that of a listener for the proxy, and end.
    Hold {
        /// As in [`Plan`].
        become_outside: Option<Ids>,
        /// Whether there is a listener.
        egress: bool,
    },
}

/// What the service says to a running helper, besides hanging up: ask everything inside to end.
pub(super) const ASK_TO_END: u8 = b'e';

/// Everything the helper needs to build one isolated machine and run one program in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Who the program is on this machine. Set when the service is root: then nothing inside is root outside.
    pub become_outside: Option<Ids>,
    /// Directories and files of this machine that are visible, parents before children.
    pub mounts: Vec<Mount>,
    /// Symbolic links of the new root: (path, target).
    pub links: Vec<(String, String)>,
    /// Small files of the new root: (path, content).
    pub files: Vec<(String, String)>,
    /// Control groups to join, as directories of this machine.
    pub cgroups: Vec<PathBuf>,
    /// Ceilings.
    pub limits: Limits,
    /// The way to the service's proxy.
    pub egress: Egress,
    /// Walls that are left out; see [`LocalConfig::without`](super::LocalConfig::without).
    pub without: BTreeSet<LayerName>,
    /// The program.
    pub program: Program,
}

impl Plan {
    /// Builds a wall, unless a test of the others left it out.
    pub(super) fn unless_left_out<E>(&self, name: LayerName, build: impl FnOnce() -> Result<Layer, E>) -> Result<Layer, E> {
        if self.without.contains(&name) { Ok(Layer::left_out(name)) } else { build() }
    }
}

/// Whether a program reaches the service's proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Egress {
    /// It does not.
    None,
    /// A listener is opened inside and handed out, before anything else is said.
    Opened,
    /// It is open already in the network that is joined.
    Shared,
}

/// A user and a group of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ids {
    pub uid: u32,
    pub gid: u32,
}

/// The user and group every program sees itself as.
pub(super) const INSIDE: Ids = Ids { uid: 1000, gid: 1000 };

/// A piece of this machine and where it appears inside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Mount {
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: String,
    pub access: MountAccess,
}

/// What may be done with a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum MountAccess {
    /// Read and execute.
    Read,
    /// Everything, but no device files.
    Write,
    /// A device file such as `/dev/null`.
    Device,
}

/// Ceilings of one program and all it starts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Limits {
    pub memory_bytes: u64,
    pub disk_bytes: u64,
    pub processes: u64,
    pub open_files: u64,
    pub cpu_seconds: u64,
    pub cpus: u32,
}

/// What is executed. Nothing here goes through a shell unless the program is one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Program {
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Absolute path inside.
    pub directory: String,
    /// Absolute path inside of what it reads as standard input; `/dev/null` when unset.
    pub stdin: Option<String>,
}

/// What the helper reports, one JSON object per line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// Everything is in place; the program starts now.
    Ready { layers: Vec<Layer> },
    /// A wall could not be built; nothing was run.
    NoIsolation { layer: String, reason: String },
    /// The walls stand, but the program could not be started.
    NotStarted { reason: String, not_found: bool },
    /// The program ended: exit status, or 128 + signal.
    Exited { code: i32 },
    /// The helper killed it.
    Killed { why: super::super::Killed },
}

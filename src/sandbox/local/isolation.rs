//! Which walls this machine gives us, what each is for, and what to do about a missing one.

use serde::{Deserialize, Serialize};

/// The walls around a program, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerName {
    /// Ceilings the kernel keeps for all processes together.
    ControlGroups,
    /// Another user than the service's, with no rights outside.
    UserNamespace,
    /// Own mounts.
    MountNamespace,
    /// Own process ids; all end together.
    PidNamespace,
    /// Own network devices, of which there is only a loopback; own abstract sockets.
    NetworkNamespace,
    /// Own shared memory and queues.
    IpcNamespace,
    /// Own host name.
    UtsNamespace,
    /// Own view of control groups.
    CgroupNamespace,
    /// Own root directory.
    Root,
    /// The one way out, if there is one.
    Egress,
    /// Own `/proc`, with what says too much hidden.
    Proc,
    /// Ceilings of each process.
    ResourceLimits,
    /// A second wall around files, signals and abstract sockets.
    Landlock,
    /// Set-user-id programs have no effect.
    NoNewPrivileges,
    /// A list of system calls; the kernel does not do others.
    Seccomp,
    /// No capabilities, not even in the own namespaces.
    Capabilities,
}

impl LayerName {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::ControlGroups,
        Self::UserNamespace,
        Self::MountNamespace,
        Self::PidNamespace,
        Self::NetworkNamespace,
        Self::IpcNamespace,
        Self::UtsNamespace,
        Self::CgroupNamespace,
        Self::Root,
        Self::Egress,
        Self::Proc,
        Self::ResourceLimits,
        Self::Landlock,
        Self::NoNewPrivileges,
        Self::Seccomp,
        Self::Capabilities,
    ];

    /// As it stands in [`Layer::name`].
    pub fn name(self) -> &'static str {
        match self {
            Self::ControlGroups => "control groups",
            Self::UserNamespace => "user namespace",
            Self::MountNamespace => "mount namespace",
            Self::PidNamespace => "pid namespace",
            Self::NetworkNamespace => "network namespace",
            Self::IpcNamespace => "ipc namespace",
            Self::UtsNamespace => "uts namespace",
            Self::CgroupNamespace => "cgroup namespace",
            Self::Root => "root directory",
            Self::Egress => "egress",
            Self::Proc => "proc",
            Self::ResourceLimits => "resource limits",
            Self::Landlock => "Landlock",
            Self::NoNewPrivileges => "no new privileges",
            Self::Seccomp => "seccomp",
            Self::Capabilities => "capabilities",
        }
    }

    /// What it means when this wall is missing. For one without which nothing runs, why.
    pub fn absence(self) -> &'static str {
        match self {
            Self::ControlGroups => {
                "Memory, processes and disk are limited all the same, but by the helper, which looks every few milliseconds, and per user; \
                 the share of the processors is not."
            }
            Self::CgroupNamespace => "Code can read the names of the service's control groups; it can change nothing there.",
            Self::Landlock => {
                "Files are held by the root directory and mounts alone; a hole in those would not be caught a second time."
            }
            Self::UserNamespace => "Nothing runs: code would have the service's own rights.",
            Self::MountNamespace | Self::Root => "Nothing runs: code would see this machine's files.",
            Self::PidNamespace | Self::Proc => {
                "Nothing runs: code would see this machine's processes and could outlive its command."
            }
            Self::NetworkNamespace | Self::Egress => "Nothing runs: code would reach this machine's network.",
            Self::IpcNamespace => "Nothing runs: code would reach shared memory of other programs.",
            Self::UtsNamespace => "Nothing runs: it comes with the other namespaces, so its absence means something is wrong.",
            Self::ResourceLimits => "Nothing runs: one process could use up what all need.",
            Self::NoNewPrivileges => "Nothing runs: a set-user-id program could give rights back.",
            Self::Seccomp => {
                "Nothing runs: the whole kernel would be open to attack, and sockets that no namespace holds, such as vsock."
            }
            Self::Capabilities => "Nothing runs: code could rebuild its own walls.",
        }
    }
}

/// One wall between a sandbox and this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// What it is: `user namespace`, `Landlock`, … as [`LayerName::name`] has it.
    pub name: String,
    /// True when it stands.
    pub given: bool,
    /// How strong it is, or why it is missing.
    pub detail: String,
}

impl Layer {
    /// A wall that stands.
    pub(super) fn given(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), given: true, detail: detail.into() }
    }

    /// A wall that is missing.
    pub(super) fn missing(name: &str, reason: impl Into<String>) -> Self {
        Self { name: name.to_owned(), given: false, detail: reason.into() }
    }

    /// A wall that was left out on purpose; see [`LocalConfig::without`](super::LocalConfig::without).
    pub(super) fn left_out(name: LayerName) -> Self {
        Self::missing(name.name(), "left out to test the others")
    }

    /// What it means when it is missing.
    pub fn absence(&self) -> &'static str {
        LayerName::ALL.iter().find(|layer| layer.name() == self.name).map_or("", |layer| layer.absence())
    }
}

/// What a program that really ran in a sandbox was surrounded by. Without most of the walls nothing runs, so only these can be
/// missing: control groups, the cgroup namespace, Landlock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// Every wall, standing or missing, outermost first.
    pub layers: Vec<Layer>,
}

impl Isolation {
    /// The walls that are missing; never one without which nothing runs.
    pub fn missing(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().filter(|layer| !layer.given)
    }
}

/// The text of a refusal: what is missing, why, and what a person can do.
pub(super) fn refusal(layer: &str, reason: &str) -> String {
    format!(
        "This machine cannot isolate untrusted code, so nothing was run: {layer} is not available ({reason}). {}",
        remedy(layer)
    )
}

fn remedy(layer: &str) -> &'static str {
    match layer {
        "proc" => {
            "In a container, start it with `--security-opt systempaths=unconfined` (Docker, Podman), \
             or use another sandbox with SANDBOX=daytona."
        }
        "seccomp" => {
            "A kernel with CONFIG_SECCOMP_FILTER on x86_64 or aarch64 is needed; in a container its own filter must let through the \
             `seccomp` system call. Or use another sandbox with SANDBOX=daytona."
        }
        "helper" => "Check that the threadbox binary is still where it was when the service started, and restart the service.",
        _ => {
            "Linux 5.12 or newer with user namespaces is needed: `sysctl -w user.max_user_namespaces=15000`; on Debian also \
             `kernel.unprivileged_userns_clone=1`; on Ubuntu also `kernel.apparmor_restrict_unprivileged_userns=0`; in a container \
             start it with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`. Or use another sandbox with \
             SANDBOX=daytona."
        }
    }
}

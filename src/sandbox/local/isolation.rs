//! Which walls this machine gives us, and what to do about a missing one.

use serde::{Deserialize, Serialize};

/// One wall between a sandbox and this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// What it is: `user namespace`, `Landlock`, …
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
}

/// What a program that really ran in a sandbox was surrounded by. Namespaces and a root of its own are always among it:
/// without them nothing runs.
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
        "helper" => "Check that the threadbox binary is still where it was when the service started, and restart the service.",
        _ => {
            "Linux 5.12 or newer with user namespaces is needed: `sysctl -w user.max_user_namespaces=15000`; on Debian also \
             `kernel.unprivileged_userns_clone=1`; on Ubuntu also `kernel.apparmor_restrict_unprivileged_userns=0`; in a container \
             start it with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`. Or use another sandbox with \
             SANDBOX=daytona."
        }
    }
}

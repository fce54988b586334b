//! Sandboxes as the API shows them.

use serde_json::{Value, json};

use super::Shared;
use super::state::State;
use super::world::Sandbox;

/// A sandbox in full.
pub(super) fn sandbox(shared: &Shared, sandbox: &Sandbox) -> Value {
    let mut shown = item(shared, sandbox, sandbox.state);
    shown["env"] = json!(sandbox.env);
    shown["volumes"] = json!(sandbox.volumes);
    if let Some(info) = &sandbox.build_info {
        shown["buildInfo"] = info.clone();
        shown["buildInfo"]["createdAt"] = json!(sandbox.created_at.to_rfc3339());
        shown["buildInfo"]["updatedAt"] = json!(sandbox.created_at.to_rfc3339());
        shown["buildInfo"]["snapshotRef"] = json!(format!("daytona-{}", sandbox.id));
    }
    shown
}

/// A sandbox in a list, in the state the list has of it.
pub(super) fn item(shared: &Shared, sandbox: &Sandbox, state: State) -> Value {
    let mut shown = json!({
        "id": sandbox.id,
        "organizationId": shared.organization,
        "name": sandbox.name,
        "user": sandbox.user,
        "labels": sandbox.labels,
        "public": sandbox.public,
        "networkBlockAll": sandbox.network_block_all,
        "target": sandbox.target,
        "cpu": sandbox.cpu,
        "gpu": sandbox.gpu,
        "memory": sandbox.memory,
        "disk": sandbox.disk,
        "kvm": false,
        "spot": false,
        "state": state.name(),
        "desiredState": state.desired(),
        "autoStopInterval": sandbox.auto_stop,
        "autoPauseInterval": sandbox.auto_pause,
        "autoArchiveInterval": sandbox.auto_archive,
        "autoDeleteInterval": sandbox.auto_delete,
        "backupState": "None",
        "sandboxClass": sandbox.sandbox_class,
        "daemonVersion": shared.daemon.number(),
        "runnerId": "loopback",
        "createdAt": sandbox.created_at.to_rfc3339(),
        "updatedAt": sandbox.updated_at.to_rfc3339(),
        "lastActivityAt": sandbox.last_activity_at.to_rfc3339(),
        "toolboxProxyUrl": toolbox_url(shared),
    });
    let optional = [
        ("snapshot", sandbox.snapshot.clone()),
        ("networkAllowList", sandbox.network_allow_list.clone()),
        ("domainAllowList", sandbox.domain_allow_list.clone()),
        ("autoDestroyAt", sandbox.destroy_at.map(|at| at.to_rfc3339())),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            shown[name] = json!(value);
        }
    }
    if matches!(state, State::Error | State::BuildFailed) {
        shown["errorReason"] = json!(sandbox.error_reason);
        shown["recoverable"] = json!(sandbox.recoverable);
    }
    shown
}

/// Where toolboxes are.
pub(super) fn toolbox_url(shared: &Shared) -> String {
    format!("{}/toolbox", shared.origin)
}

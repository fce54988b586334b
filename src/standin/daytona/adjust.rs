//! What can be changed of a sandbox while it is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::expiry::MOST_ARCHIVE;
use super::lifecycle::{find, wish};
use super::refuse::{Answer, Refuse};
use super::state::{State as Stage, Wish};
use super::world::Sandbox;
use super::{Shared, api, shape};

type Shown = Answer<Json<Value>>;

/// Changes a sandbox and shows it.
fn change(shared: &Shared, name: &str, act: impl FnOnce(&mut Sandbox)) -> Shown {
    let id = find(shared, name)?.id;
    let now = shared.clock.now();
    let changed = shared.with(|world| {
        let sandbox = world.sandboxes.get_mut(&id)?;
        act(sandbox);
        // A stopped sandbox is counted from when it stopped.
        if sandbox.state != Stage::Stopped {
            sandbox.updated_at = now;
        }
        Some(sandbox.clone())
    });
    changed.map(|sandbox| Json(shape::sandbox(shared, &sandbox))).ok_or_else(|| Refuse::not_found(name))
}

fn minutes(shared: &Shared, what: &str, minutes: i64) -> Answer<i64> {
    if minutes < 0 {
        let message = format!("{what} must be non-negative");
        shared.with(|world| world.violation(message.clone()));
        return Err(Refuse::bad_request(message));
    }
    Ok(minutes)
}

pub(super) async fn auto_stop(State(shared): State<Arc<Shared>>, Path((name, given)): Path<(String, i64)>) -> Shown {
    let given = minutes(&shared, "Auto-stop interval", given)?;
    change(&shared, &name, |sandbox| sandbox.auto_stop = given)
}

pub(super) async fn auto_pause(State(shared): State<Arc<Shared>>, Path((name, given)): Path<(String, i64)>) -> Shown {
    let given = minutes(&shared, "Auto-pause interval", given)?;
    change(&shared, &name, |sandbox| sandbox.auto_pause = given)
}

pub(super) async fn auto_archive(State(shared): State<Arc<Shared>>, Path((name, given)): Path<(String, i64)>) -> Shown {
    let given = minutes(&shared, "Auto-archive interval", given)?;
    change(&shared, &name, |sandbox| sandbox.auto_archive = if given == 0 { MOST_ARCHIVE } else { given.min(MOST_ARCHIVE) })
}

pub(super) async fn auto_delete(State(shared): State<Arc<Shared>>, Path((name, given)): Path<(String, i64)>) -> Shown {
    change(&shared, &name, |sandbox| sandbox.auto_delete = given)
}

pub(super) async fn ttl(State(shared): State<Arc<Shared>>, Path((name, given)): Path<(String, i64)>) -> Shown {
    let given = minutes(&shared, "Time to live", given)?;
    let now = shared.clock.now();
    change(&shared, &name, |sandbox| sandbox.destroy_at = (given > 0).then(|| now + TimeDelta::minutes(given)))
}

pub(super) async fn public(State(shared): State<Arc<Shared>>, Path((name, given)): Path<(String, bool)>) -> Shown {
    change(&shared, &name, |sandbox| sandbox.public = given)
}

pub(super) async fn last_activity(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Answer<StatusCode> {
    #[derive(Deserialize)]
    struct Activity {
        #[serde(rename = "activityType")]
        _kind: Option<String>,
    }
    let _: Activity = api::json(&shared, "last-activity", &body)?;
    let now = shared.clock.now();
    // By id only; a name is not looked up here.
    shared.with(|world| match world.sandboxes.get_mut(&id).filter(|sandbox| sandbox.state != Stage::Destroyed) {
        Some(sandbox) => {
            sandbox.last_activity_at = now;
            Ok(StatusCode::CREATED)
        }
        None => Err(Refuse::not_found(&id)),
    })
}

pub(super) async fn labels(State(shared): State<Arc<Shared>>, Path(name): Path<String>, body: Bytes) -> Shown {
    #[derive(Deserialize)]
    struct Labels {
        labels: BTreeMap<String, String>,
    }
    let Labels { labels } = api::json(&shared, "labels", &body)?;
    change(&shared, &name, |sandbox| sandbox.labels = labels.clone()).map(drop)?;
    Ok(Json(json!({"labels": labels})))
}

pub(super) async fn secrets(State(shared): State<Arc<Shared>>, Path(name): Path<String>, body: Bytes) -> Shown {
    #[derive(Deserialize)]
    struct Secrets {
        secrets: Vec<BTreeMap<String, String>>,
    }
    let Secrets { secrets } = api::json(&shared, "secrets", &body)?;
    change(&shared, &name, |sandbox| sandbox.secrets = secrets)
}

pub(super) async fn network(State(shared): State<Arc<Shared>>, Path(name): Path<String>, body: Bytes) -> Shown {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Network {
        network_block_all: Option<bool>,
        network_allow_list: Option<String>,
        domain_allow_list: Option<String>,
    }
    let network: Network = api::json(&shared, "network-settings", &body)?;
    if network.network_block_all.is_none() && network.network_allow_list.is_none() && network.domain_allow_list.is_none() {
        shared.with(|world| world.violation("network-settings: nothing to set"));
        return Err(Refuse::bad_request("At least one network setting must be given"));
    }
    change(&shared, &name, |sandbox| {
        sandbox.network_block_all = network.network_block_all.unwrap_or(sandbox.network_block_all);
        sandbox.network_allow_list = network.network_allow_list.or(sandbox.network_allow_list.take());
        sandbox.domain_allow_list = network.domain_allow_list.or(sandbox.domain_allow_list.take());
    })
}

pub(super) async fn resize(State(shared): State<Arc<Shared>>, Path(name): Path<String>, body: Bytes) -> Shown {
    #[derive(Deserialize)]
    struct Size {
        cpu: Option<i64>,
        memory: Option<i64>,
        disk: Option<i64>,
    }
    let size: Size = api::json(&shared, "resize", &body)?;
    let sandbox = find(&shared, &name)?;
    let (cpu, memory) = (size.cpu.unwrap_or(sandbox.cpu), size.memory.unwrap_or(sandbox.memory));
    let disk = size.disk.unwrap_or(sandbox.disk);
    if disk < sandbox.disk {
        return Err(Refuse::bad_request("Disk size cannot be decreased"));
    }
    if disk > sandbox.disk && sandbox.state != Stage::Stopped {
        return Err(Refuse::bad_request("Disk can only be resized when the sandbox is stopped"));
    }
    if (cpu < sandbox.cpu || memory < sandbox.memory) && sandbox.state != Stage::Stopped {
        return Err(Refuse::bad_request("Sandbox must be stopped to decrease CPU or memory"));
    }
    wish(&shared, &name, Wish::Resize).map(drop)?;
    change(&shared, &sandbox.id, |sandbox| (sandbox.cpu, sandbox.memory, sandbox.disk) = (cpu, memory, disk))
}

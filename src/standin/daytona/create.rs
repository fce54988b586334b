//! `POST /sandbox`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::expiry::MOST_ARCHIVE;
use super::refuse::{Answer, Refuse};
use super::state::State as Stage;
use super::world::{Quota, Sandbox, World};
use super::{Shared, api, lifecycle, shape};

/// Fields that exist but mean nothing here.
const OTHERS: [&str; 9] = [
    "gpuType",
    "spot",
    "kvm",
    "outboundProxyUrl",
    "linkedSandbox",
    "otelEndpointOverride",
    "queueTimeout",
    "class",
    "warmPoolId",
];
/// The most one sandbox may have.
const CEILING: Quota = Quota { cpu: 4, memory: 8, disk: 10 };

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    name: Option<String>,
    snapshot: Option<String>,
    build_info: Option<BuildInfo>,
    user: Option<String>,
    env: Option<BTreeMap<String, String>>,
    labels: Option<BTreeMap<String, String>>,
    secrets: Option<Vec<BTreeMap<String, String>>>,
    public: Option<bool>,
    network_block_all: Option<bool>,
    network_allow_list: Option<String>,
    domain_allow_list: Option<String>,
    target: Option<String>,
    cpu: Option<i64>,
    gpu: Option<i64>,
    memory: Option<i64>,
    disk: Option<i64>,
    auto_stop_interval: Option<i64>,
    auto_pause_interval: Option<i64>,
    auto_archive_interval: Option<i64>,
    auto_delete_interval: Option<i64>,
    ttl_minutes: Option<i64>,
    volumes: Option<Vec<Value>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildInfo {
    dockerfile_content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_hashes: Option<Vec<String>>,
}

pub(super) async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer<Json<Value>> {
    let wanted: Wanted = api::json(&shared, "POST /sandbox", &body)?;
    let builds = wanted.build_info.is_some();
    let id = shared.with(|world| {
        let unknown = wanted.rest.keys().filter(|name| !OTHERS.contains(&name.as_str()));
        unknown.for_each(|name| world.violation(format!("POST /sandbox: there is no field {name}")));
        impossible(&wanted).map_err(|message| {
            world.violation(format!("POST /sandbox: {message}"));
            Refuse::bad_request(message)
        })?;
        let sandbox = sandbox(world, wanted, shared.clock.now())?;
        let id = sandbox.id.clone();
        world.sandboxes.insert(id.clone(), sandbox);
        Ok(id)
    })?;
    lifecycle::begin(&shared, &id, if builds { Stage::PendingBuild } else { Stage::Creating });
    let made = if builds { lifecycle::find(&shared, &id)? } else { lifecycle::settled(&shared, &id).await? };
    Ok(Json(shape::sandbox(&shared, &made)))
}

/// What nobody should ask for.
fn impossible(wanted: &Wanted) -> Result<(), String> {
    let sized = wanted.cpu.is_some() || wanted.memory.is_some() || wanted.disk.is_some() || wanted.gpu.is_some();
    if wanted.snapshot.is_some() && wanted.build_info.is_some() {
        return Err("Cannot specify build info when using a snapshot".to_owned());
    }
    if wanted.build_info.is_none() && sized {
        return Err("Cannot specify Sandbox resources when using a snapshot".to_owned());
    }
    let intervals = [
        ("Auto-stop interval", wanted.auto_stop_interval),
        ("Auto-pause interval", wanted.auto_pause_interval),
        ("Auto-archive interval", wanted.auto_archive_interval),
        ("Time to live", wanted.ttl_minutes),
        ("CPU", wanted.cpu),
        ("Memory", wanted.memory),
        ("Disk", wanted.disk),
    ];
    if let Some((what, _)) = intervals.iter().find(|(_, minutes)| minutes.is_some_and(|minutes| minutes < 0)) {
        return Err(format!("{what} must be non-negative"));
    }
    if wanted.auto_stop_interval.is_some_and(|minutes| minutes > 0)
        && wanted.auto_pause_interval.is_some_and(|minutes| minutes > 0)
    {
        return Err("Only one of auto-stop and auto-pause can be set".to_owned());
    }
    match wanted.name.as_deref() {
        Some("") => Err("name should not be empty".to_owned()),
        Some(name) if name.len() > 255 => Err("name is too long".to_owned()),
        Some(_) | None => Ok(()),
    }
}

fn sandbox(world: &World, wanted: Wanted, now: chrono::DateTime<chrono::Utc>) -> Answer<Sandbox> {
    let id = uuid::Uuid::now_v7().to_string();
    let name = wanted.name.unwrap_or_else(|| id.clone());
    if world.sandboxes().any(|other| other.name == name) {
        return Err(Refuse::new(StatusCode::CONFLICT, format!("Sandbox with name {name} already exists")));
    }
    let target = match wanted.target {
        Some(target) if world.regions.contains(&target) => target,
        Some(target) => {
            return Err(Refuse::new(StatusCode::FORBIDDEN, format!("Region {target} is not available to the organization")));
        }
        None => world.regions.first().cloned().unwrap_or_default(),
    };
    let (snapshot, size) = match &wanted.build_info {
        Some(_) => {
            let size = Quota { cpu: wanted.cpu.unwrap_or(1), memory: wanted.memory.unwrap_or(1), disk: wanted.disk.unwrap_or(3) };
            (None, size)
        }
        None => {
            let name = wanted.snapshot.unwrap_or_else(|| world.default_snapshot.clone());
            let size = from_snapshot(world, &name, &target)?;
            (Some(name), size)
        }
    };
    check_size(world, size)?;
    Ok(Sandbox {
        id,
        name,
        state: Stage::Creating,
        error_reason: None,
        recoverable: false,
        snapshot,
        build_info: wanted.build_info.and_then(|info| serde_json::to_value(info).ok()),
        user: wanted.user.unwrap_or_else(|| "daytona".to_owned()),
        env: wanted.env.unwrap_or_default(),
        labels: wanted.labels.unwrap_or_default(),
        secrets: wanted.secrets.unwrap_or_default(),
        public: wanted.public.unwrap_or(false),
        network_block_all: wanted.network_block_all.unwrap_or(false),
        network_allow_list: wanted.network_allow_list,
        domain_allow_list: wanted.domain_allow_list,
        target,
        cpu: size.cpu,
        gpu: wanted.gpu.unwrap_or(0),
        memory: size.memory,
        disk: size.disk,
        auto_stop: wanted.auto_stop_interval.unwrap_or(15),
        auto_pause: wanted.auto_pause_interval.unwrap_or(0),
        auto_archive: match wanted.auto_archive_interval {
            None => 7 * 24 * 60,
            Some(0) => MOST_ARCHIVE,
            Some(minutes) => minutes.min(MOST_ARCHIVE),
        },
        auto_delete: wanted.auto_delete_interval.unwrap_or(-1),
        destroy_at: wanted.ttl_minutes.filter(|minutes| *minutes > 0).map(|minutes| now + TimeDelta::minutes(minutes)),
        volumes: wanted.volumes.unwrap_or_default(),
        sandbox_class: "container".to_owned(),
        created_at: now,
        updated_at: now,
        last_activity_at: now,
        history: Vec::new(),
        transition: 0,
    })
}

fn from_snapshot(world: &World, name: &str, target: &str) -> Answer<Quota> {
    let Some(snapshot) = world.snapshots.get(name) else {
        let message = format!("Snapshot {name} not found. Did you add it through the Daytona Dashboard?");
        return Err(Refuse::bad_request(message));
    };
    if snapshot.state != "active" {
        return Err(Refuse::bad_request(format!("Snapshot {name} is {}", snapshot.state)));
    }
    if !snapshot.regions.is_empty() && !snapshot.regions.iter().any(|region| region == target) {
        return Err(Refuse::bad_request(format!("Snapshot {name} is not available in region {target}")));
    }
    Ok(Quota { cpu: snapshot.cpu, memory: snapshot.memory, disk: snapshot.disk })
}

fn check_size(world: &World, size: Quota) -> Answer<()> {
    let single = [("CPU", size.cpu, CEILING.cpu), ("Memory", size.memory, CEILING.memory), ("Disk", size.disk, CEILING.disk)];
    if let Some((what, asked, most)) = single.into_iter().find(|(_, asked, most)| asked > most) {
        return Err(Refuse::bad_request(format!("{what} request {asked} exceeds maximum allowed per sandbox ({most})")));
    }
    let Some(quota) = world.quota else { return Ok(()) };
    let used = world.used();
    let total = [
        ("CPU", used.cpu + size.cpu, quota.cpu, ""),
        ("memory", used.memory + size.memory, quota.memory, "GiB"),
        ("disk", used.disk + size.disk, quota.disk, "GiB"),
    ];
    match total.into_iter().find(|(_, asked, most, _)| asked > most) {
        Some((what, _, most, unit)) => Err(Refuse::bad_request(format!(
            "Total {what} limit exceeded. Maximum allowed: {most}{unit}.\nTo increase concurrency limits, upgrade your organization's Tier."
        ))),
        None => Ok(()),
    }
}

//! What there is beside sandboxes: configuration, the key, regions, snapshots, usage.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::expiry::MOST_ARCHIVE;
use super::refuse::{Answer, Refuse};
use super::world::{Snapshot, World};
use super::{Shared, lifecycle, shape};

pub(super) async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

pub(super) async fn config(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let world = shared.lock();
    Json(json!({
        "version": "0.205.1",
        "proxyToolboxUrl": shape::toolbox_url(&shared),
        "proxyTemplateUrl": format!("{}/preview/{{{{PORT}}}}-{{{{sandboxId}}}}", shared.origin),
        "defaultSnapshot": world.default_snapshot,
        "maxAutoArchiveInterval": MOST_ARCHIVE,
        "maintananceMode": false,
        "environment": "loopback",
    }))
}

pub(super) async fn api_key(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let now = shared.clock.now().to_rfc3339();
    let world = shared.lock();
    Json(json!({
        "name": "loopback",
        "value": format!("{}********", &world.key[..4.min(world.key.len())]),
        "createdAt": now,
        "permissions": world.permissions,
        "lastUsedAt": now,
        "expiresAt": null,
        "userId": "loopback",
    }))
}

pub(super) async fn regions(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let region = |name: &String| json!({"id": name, "name": name, "organizationId": null, "regionType": "shared"});
    Json(shared.lock().regions.iter().map(region).collect())
}

fn described(world: &World, name: &str, snapshot: &Snapshot, now: &str) -> Value {
    json!({"id": name, "name": name, "general": true, "organizationId": world.organization, "state": snapshot.state,
           "cpu": snapshot.cpu, "gpu": 0, "mem": snapshot.memory, "disk": snapshot.disk, "size": 1, "entrypoint": null,
           "imageName": name, "errorReason": null, "createdAt": now, "updatedAt": now, "lastUsedAt": null})
}

pub(super) async fn snapshots(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let now = shared.clock.now().to_rfc3339();
    let world = shared.lock();
    let items: Vec<Value> = world.snapshots.iter().map(|(name, snapshot)| described(&world, name, snapshot, &now)).collect();
    Json(json!({"items": items, "total": items.len(), "page": 1, "totalPages": 1}))
}

pub(super) async fn snapshot(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let now = shared.clock.now().to_rfc3339();
    let world = shared.lock();
    let missing = || Refuse::new(StatusCode::NOT_FOUND, format!("Snapshot {name} not found"));
    let snapshot = world.snapshots.get(&name).ok_or_else(missing)?;
    Ok(Json(described(&world, &name, snapshot, &now)))
}

pub(super) async fn usage(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    let world = shared.lock();
    if id != world.organization {
        return Err(Refuse::new(StatusCode::FORBIDDEN, "Organization not found or access denied"));
    }
    let used = world.used();
    let total = world.quota;
    let usage = json!({
        "regionId": world.regions.first(), "sandboxClass": "container",
        "totalCpuQuota": total.map_or(i64::from(u16::MAX), |quota| quota.cpu), "currentCpuUsage": used.cpu,
        "totalMemoryQuota": total.map_or(i64::from(u16::MAX), |quota| quota.memory), "currentMemoryUsage": used.memory,
        "totalDiskQuota": total.map_or(i64::from(u16::MAX), |quota| quota.disk), "currentDiskUsage": used.disk,
    });
    Ok(Json(json!({"regionUsage": [usage]})))
}

pub(super) async fn toolbox_proxy_url(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    lifecycle::find(&shared, &id)?;
    Ok(Json(json!({"url": shape::toolbox_url(&shared)})))
}

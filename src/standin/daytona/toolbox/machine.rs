//! What the daemon knows of itself and of the machine around it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Daemon;
use super::run::check_names;
use super::trouble::{Answer, Trouble, read};

pub(super) async fn version(State(daemon): State<Arc<Daemon>>) -> Json<Value> {
    Json(json!({"version": daemon.version.number()}))
}

pub(super) async fn directory(State(daemon): State<Arc<Daemon>>) -> Json<Value> {
    Json(json!({"dir": daemon.home}))
}

#[derive(Deserialize)]
struct ChangeEnv {
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    unset: Vec<String>,
}

pub(super) async fn env(State(daemon): State<Arc<Daemon>>, body: Bytes) -> Answer<StatusCode> {
    let change: ChangeEnv = read(&body)?;
    check_names(&change.set)?;
    let mut env = daemon.env();
    env.extend(change.unset.into_iter().map(|name| (name, None)));
    env.extend(change.set.into_iter().map(|(name, value)| (name, Some(value))));
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn ports() -> Json<Value> {
    Json(json!({"ports": listening()}))
}

pub(super) async fn in_use(Path(port): Path<u16>) -> Answer<Json<Value>> {
    if !(3000..=9999).contains(&port) {
        return Err(Trouble::bad_request("port out of range (3000-9999)"));
    }
    Ok(Json(json!({"isInUse": listening().contains(&port)})))
}

/// TCP ports somebody listens on.
fn listening() -> BTreeSet<u16> {
    const LISTEN: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let port = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
        let port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        (state == LISTEN).then_some(port)
    };
    tables.iter().flat_map(|table| table.lines().filter_map(port)).collect()
}

//! Directories made, things moved, deleted and given other permissions.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::super::Daemon;
use super::super::trouble::{Answer, Trouble};
use super::{blocking, required};

#[derive(Deserialize)]
pub(super) struct Folder {
    #[serde(default)]
    path: String,
    #[serde(default)]
    mode: String,
}

pub(super) async fn folder(State(daemon): State<Arc<Daemon>>, Query(Folder { path, mode }): Query<Folder>) -> Answer<StatusCode> {
    let full = daemon.resolve(required(&path)?);
    let mode = octal(&mode)?;
    blocking(move || {
        let made = std::fs::DirBuilder::new().recursive(true).mode(mode).create(&full);
        made.map(|()| StatusCode::CREATED).map_err(|error| Trouble::file(&path, &error))
    })
    .await
}

fn octal(mode: &str) -> Answer<u32> {
    let parsed = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777);
    parsed.ok_or_else(|| Trouble::bad_request("invalid mode format"))
}

#[derive(Deserialize)]
pub(super) struct Delete {
    #[serde(default)]
    path: String,
    #[serde(default)]
    recursive: bool,
}

pub(super) async fn delete(
    State(daemon): State<Arc<Daemon>>,
    Query(Delete { path, recursive }): Query<Delete>,
) -> Answer<StatusCode> {
    let full = daemon.resolve(required(&path)?);
    blocking(move || {
        let failed = |error: std::io::Error| Trouble::file(&path, &error);
        let metadata = std::fs::symlink_metadata(&full).map_err(failed)?;
        match (metadata.is_dir(), recursive) {
            (true, false) => return Err(Trouble::bad_request("cannot delete directory without recursive flag")),
            (true, true) => std::fs::remove_dir_all(&full).map_err(failed)?,
            (false, _) => std::fs::remove_file(&full).map_err(failed)?,
        }
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

#[derive(Deserialize)]
pub(super) struct Rename {
    #[serde(default)]
    source: String,
    #[serde(default)]
    destination: String,
}

pub(super) async fn rename(
    State(daemon): State<Arc<Daemon>>,
    Query(Rename { source, destination }): Query<Rename>,
) -> Answer<StatusCode> {
    let (from, to) = (daemon.resolve(required(&source)?), daemon.resolve(required(&destination)?));
    blocking(move || {
        if to.symlink_metadata().is_ok() {
            return Err(Trouble::conflict("destination already exists"));
        }
        std::fs::rename(&from, &to).map(|()| StatusCode::OK).map_err(|error| Trouble::file(&source, &error))
    })
    .await
}

#[derive(Deserialize)]
pub(super) struct Permissions {
    #[serde(default)]
    path: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    group: String,
}

pub(super) async fn permissions(State(daemon): State<Arc<Daemon>>, Query(query): Query<Permissions>) -> Answer<StatusCode> {
    let full = daemon.resolve(required(&query.path)?);
    let mode = if query.mode.is_empty() { None } else { Some(octal(&query.mode)?) };
    let (owner, group) = (account("/etc/passwd", &query.owner)?, account("/etc/group", &query.group)?);
    blocking(move || {
        let failed = |error: std::io::Error| Trouble::file(&query.path, &error);
        if let Some(mode) = mode {
            std::fs::set_permissions(&full, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
        }
        if owner.is_some() || group.is_some() {
            std::os::unix::fs::chown(&full, owner, group).map_err(failed)?;
        }
        Ok(StatusCode::OK)
    })
    .await
}

/// The number of a user or group that is given by name or number.
fn account(file: &str, name: &str) -> Answer<Option<u32>> {
    if name.is_empty() {
        return Ok(None);
    }
    let named = |line: &str| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let number = name.parse().ok().or_else(|| text.lines().find_map(named));
    number.map(Some).ok_or_else(|| Trouble::bad_request(format!("unknown user or group: {name}")))
}

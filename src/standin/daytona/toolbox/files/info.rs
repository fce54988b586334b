//! What is known of files and directories.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::super::trouble::{Answer, Trouble};
use super::super::{Daemon, DaemonVersion};
use super::{At, blocking, required};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileInfo {
    name: String,
    size: u64,
    mode: String,
    mod_time: String,
    modified_at: String,
    is_dir: bool,
    owner: String,
    group: String,
    permissions: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

impl FileInfo {
    fn new(name: String, metadata: &Metadata, path: Option<String>) -> Self {
        let modified: DateTime<Utc> = metadata.modified().map(Into::into).unwrap_or_default();
        Self {
            name,
            size: metadata.len(),
            mode: letters(metadata.mode(), metadata.is_dir()),
            mod_time: modified.format("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string(),
            modified_at: modified.to_rfc3339(),
            is_dir: metadata.is_dir(),
            owner: metadata.uid().to_string(),
            group: metadata.gid().to_string(),
            permissions: format!("{:04o}", metadata.mode() & 0o7777),
            path,
        }
    }
}

fn letters(mode: u32, is_dir: bool) -> String {
    let bit = |at: u32, letter: char| if mode & (1 << at) == 0 { '-' } else { letter };
    let bits = (0..9).rev().zip("rwxrwxrwx".chars()).map(|(at, letter)| bit(at, letter));
    std::iter::once(if is_dir { 'd' } else { '-' }).chain(bits).collect()
}

pub(super) async fn info(State(daemon): State<Arc<Daemon>>, Query(At { path }): Query<At>) -> Answer<Json<FileInfo>> {
    let full = daemon.resolve(required(&path)?);
    blocking(move || {
        let metadata = std::fs::metadata(&full).map_err(|error| Trouble::file(&path, &error))?;
        let name = full.file_name().unwrap_or(full.as_os_str()).to_string_lossy().into_owned();
        let path = full.to_string_lossy().into_owned();
        Ok(Json(FileInfo::new(name, &metadata, Some(path))))
    })
    .await
}

#[derive(Deserialize)]
pub(super) struct List {
    #[serde(default)]
    path: String,
    depth: Option<i64>,
}

pub(super) async fn list(
    State(daemon): State<Arc<Daemon>>,
    Query(List { path, depth }): Query<List>,
) -> Answer<Json<Vec<FileInfo>>> {
    let depth = match (daemon.version, depth) {
        (DaemonVersion::V0_190, _) | (_, None) => 1,
        (DaemonVersion::Hosted, Some(depth @ 1..)) => depth,
        (DaemonVersion::Hosted, Some(_)) => return Err(Trouble::bad_request("depth must be at least 1")),
    };
    let full = daemon.resolve(&path);
    blocking(move || {
        let mut found = Vec::new();
        walk(&full, depth, &mut found).map_err(|error| Trouble::file(&path, &error))?;
        Ok(Json(found))
    })
    .await
}

fn walk(directory: &Path, depth: i64, found: &mut Vec<FileInfo>) -> std::io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(directory)?.flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        // Links to directories look like directories; those that lead nowhere are left out.
        let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        found.push(FileInfo::new(name, &metadata, Some(path.to_string_lossy().into_owned())));
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if metadata.is_dir() && depth > 1 && !is_link {
            // One that cannot be read stays a name.
            let _ = walk(&path, depth - 1, found);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_written_as_ls_writes_them() {
        assert_eq!(letters(0o755, true), "drwxr-xr-x");
        assert_eq!(letters(0o640, false), "-rw-r-----");
    }
}

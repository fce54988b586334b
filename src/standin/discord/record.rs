//! Writing down every request and its answer, so that both can be checked against Discord's published description.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use super::world::RequestRecord;

/// A file with one JSON object per line: `method`, `path` (below the version), `query`, `request`, `files`, `status` and `answer`.
/// Several stand-ins may append to one file.
pub(super) struct Recorder(File);

impl Recorder {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(file.with_context(|| format!("cannot write requests down at {}", path.display()))?))
    }

    /// Writes one request and its answer.
    pub fn write(&self, request: &RequestRecord, answer: &[u8]) -> anyhow::Result<()> {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let line = json!({"method": request.method, "path": request.path, "query": request.query, "request": request.body,
            "files": request.files, "status": request.status, "answer": answer});
        // In one piece, because others append to the same file.
        (&self.0).write_all(format!("{line}\n").as_bytes())?;
        Ok(())
    }
}

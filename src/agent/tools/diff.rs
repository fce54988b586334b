//! `diff`: what changed in the workspace since the run began. The state at the beginning is kept beside the sandbox, so that it is
//! still there after a crash.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use similar::TextDiff;

use super::{Access, ToolContext, ToolOutput, Typed, read_file::is_binary, text};
use crate::sandbox::{Sandbox, SandboxError, WalkBounds};

/// Directories nobody wants to see in a diff or a search.
pub(super) const SKIPPED: [&str; 6] = [".git", "node_modules", "target", "__pycache__", ".venv", ".mypy_cache"];

const BOUNDS: WalkBounds = WalkBounds { depth: 32, entries: 4_000, skip: &SKIPPED };
const MAX_FILES: usize = 2_000;
const MAX_FILE: u64 = 256 << 10;
const MAX_TOTAL: u64 = 8 << 20;
/// Of the whole diff.
const MAX_DIFF: usize = 60 << 10;
/// Under which the state at the beginning is kept.
const KEY: &str = "diff-baseline";

/// The workspace at one moment: the text of small files, the digest of others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceSnapshot {
    files: BTreeMap<String, FileState>,
    /// Files beyond the limits, which are not compared.
    left_out: u64,
}

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum FileState {
    Text(String),
    /// Binary, or text beyond the limits.
    Opaque {
        digest: String,
        size: u64,
    },
}

impl WorkspaceSnapshot {
    /// Reads the workspace. At most 2,000 files, 256 KiB of text each, 8 MiB together; what is beyond is counted.
    pub async fn take(sandbox: &dyn Sandbox) -> Result<Self, SandboxError> {
        let walked = sandbox.walk(".", BOUNDS).await?;
        let mut snapshot = Self { files: BTreeMap::new(), left_out: u64::from(!walked.complete) };
        let mut total = 0;
        for (path, info) in walked.entries {
            if info.mode & libc::S_IFMT != libc::S_IFREG {
                continue;
            }
            if snapshot.files.len() == MAX_FILES {
                snapshot.left_out += 1;
                continue;
            }
            if info.size > MAX_FILE || total + info.size > MAX_TOTAL {
                // Not read: the time of change stands for the content.
                let digest = info.modified.to_rfc3339();
                snapshot.files.insert(path, FileState::Opaque { digest, size: info.size });
                continue;
            }
            let Ok((bytes, _)) = sandbox.read(&path, 0, MAX_FILE as usize).await else {
                snapshot.left_out += 1;
                continue;
            };
            let state = match std::str::from_utf8(&bytes) {
                Ok(text) if !is_binary(&bytes) => {
                    total += bytes.len() as u64;
                    FileState::Text(text.to_owned())
                }
                Ok(_) | Err(_) => FileState::Opaque { digest: hex::encode(Sha256::digest(&bytes)), size: bytes.len() as u64 },
            };
            snapshot.files.insert(path, state);
        }
        Ok(snapshot)
    }
}

/// The state at the beginning, and of what.
#[derive(Serialize, Deserialize)]
struct Baseline {
    run: String,
    snapshot: WorkspaceSnapshot,
}

/// Remembers the workspace as it is now as the beginning of `run`. Does nothing when that was done before, so it may be called again
/// after a crash.
pub async fn begin(sandbox: &dyn Sandbox, run: &str) -> Result<(), SandboxError> {
    if baseline(sandbox).await?.is_some_and(|known| known.run == run) {
        return Ok(());
    }
    let baseline = Baseline { run: run.to_owned(), snapshot: WorkspaceSnapshot::take(sandbox).await? };
    let json = serde_json::to_vec(&baseline).map_err(|error| SandboxError::Unavailable(error.to_string()))?;
    sandbox.keep(KEY, &json).await
}

/// What changed since [`begin`], as a unified diff. None when nothing did, or when no beginning was remembered.
pub async fn since_begin(sandbox: &dyn Sandbox) -> Result<Option<String>, SandboxError> {
    match baseline(sandbox).await? {
        Some(baseline) => Ok(unified_diff(&baseline.snapshot, &WorkspaceSnapshot::take(sandbox).await?)),
        None => Ok(None),
    }
}

async fn baseline(sandbox: &dyn Sandbox) -> Result<Option<Baseline>, SandboxError> {
    // One that cannot be read was written by another version: as if there were none.
    Ok(sandbox.kept(KEY).await?.and_then(|json| serde_json::from_slice(&json).ok()))
}

/// The difference of two snapshots. Files without text are named only; the end is cut beyond 60 KiB, which is said.
pub fn unified_diff(before: &WorkspaceSnapshot, after: &WorkspaceSnapshot) -> Option<String> {
    let mut diff = String::new();
    let mut unshown = 0;
    let mut paths: Vec<_> = before.files.keys().chain(after.files.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        let (old, new) = (before.files.get(path), after.files.get(path));
        if old == new {
            continue;
        }
        let piece = file_diff(path, old, new);
        if diff.len() + piece.len() > MAX_DIFF {
            unshown += 1;
            if diff.is_empty() {
                diff = text::cut(&piece, MAX_DIFF) + "\n";
                unshown = 0;
            }
            continue;
        }
        diff.push_str(&piece);
    }
    if unshown > 0 {
        let _ = writeln!(diff, "[… {unshown} more changed files left out]");
    }
    if !diff.is_empty() && before.left_out + after.left_out > 0 {
        diff.push_str("[… the workspace has more files than are compared]\n");
    }
    (!diff.is_empty()).then_some(diff)
}

fn file_diff(path: &str, old: Option<&FileState>, new: Option<&FileState>) -> String {
    let path = path.escape_debug();
    let name = |side: &str, state: Option<&FileState>| state.map_or("/dev/null".to_owned(), |_| format!("{side}/{path}"));
    let (from, to) = (name("a", old), name("b", new));
    let text = |state: Option<&FileState>| match state {
        Some(FileState::Text(text)) => Some(text.clone()),
        Some(FileState::Opaque { .. }) => None,
        None => Some(String::new()),
    };
    match (text(old), text(new)) {
        (Some(old_text), Some(new_text)) => {
            let diff = TextDiff::configure().timeout(Duration::from_secs(1)).diff_lines(old_text.as_str(), new_text.as_str());
            let body = diff.unified_diff().context_radius(3).header(&from, &to).to_string();
            // An empty file that came or went has no lines to show.
            if body.is_empty() { format!("--- {from}\n+++ {to}\n") } else { body }
        }
        _ => format!("Binary or large files {from} and {to} differ\n"),
    }
}

pub(super) struct Diff;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
}

impl Typed for Diff {
    type Arguments = Arguments;
    const NAME: &'static str = "diff";
    const DESCRIPTION: &'static str = include_str!("diff.md");

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(_: &Arguments) -> String {
        "Comparing".to_owned()
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let Some(baseline) = baseline(&*sandbox).await? else {
            return Err(SandboxError::Invalid(
                "nothing to compare with: the state at the beginning was not recorded here".to_owned(),
            ));
        };
        let diff = unified_diff(&baseline.snapshot, &WorkspaceSnapshot::take(&*sandbox).await?);
        let content = json!({ "changed": diff.is_some(), "diff": diff.unwrap_or_default() });
        Ok(ToolOutput::success(content, "Compared the workspace"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn snapshot(files: &[(&str, &str)]) -> WorkspaceSnapshot {
        let state = |content: &str| match content.strip_prefix("binary:") {
            Some(digest) => FileState::Opaque { digest: digest.to_owned(), size: 9 },
            None => FileState::Text(content.to_owned()),
        };
        WorkspaceSnapshot {
            files: files.iter().map(|(path, content)| ((*path).to_owned(), state(content))).collect(),
            left_out: 0,
        }
    }

    #[test]
    fn changes_are_shown_as_git_would() {
        let before = snapshot(&[("gone", "x\n"), ("kept", "1\n2\n3\n"), ("same", "s"), ("pic.png", "binary:a")]);
        let after = snapshot(&[("empty", ""), ("kept", "1\n2!\n3\n"), ("new", "n"), ("same", "s"), ("pic.png", "binary:b")]);
        insta::assert_snapshot!(unified_diff(&before, &after).unwrap(), @r"
        --- /dev/null
        +++ b/empty
        --- a/gone
        +++ /dev/null
        @@ -1 +0,0 @@
        -x
        --- a/kept
        +++ b/kept
        @@ -1,3 +1,3 @@
         1
        -2
        +2!
         3
        --- /dev/null
        +++ b/new
        @@ -0,0 +1 @@
        +n
        \ No newline at end of file
        Binary or large files a/pic.png and b/pic.png differ
        ");
        assert_eq!(unified_diff(&before, &before), None);
    }

    #[test]
    fn a_long_diff_is_cut_and_says_so() {
        let line = "a line of the new file\n".repeat(1000);
        let after = snapshot(&[("a", &line), ("b", &line), ("c", &line), ("d", &line)]);
        let diff = unified_diff(&snapshot(&[]), &after).unwrap();
        assert!(diff.len() <= MAX_DIFF + 200 && diff.ends_with("[… 2 more changed files left out]\n"), "{}", diff.len());
    }

    #[test]
    fn a_snapshot_survives_storage() {
        let before = snapshot(&[("a", "text"), ("b", "binary:c")]);
        let json = serde_json::to_string(&before).unwrap();
        assert_eq!(serde_json::from_str::<WorkspaceSnapshot>(&json).unwrap(), before);
    }
}

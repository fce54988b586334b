//! The workspace as it was when a run began with it, so that what the run changed can be taken back.

pub(super) mod store;

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{ThreadSandboxes, database};
use crate::id::RunId;
use crate::landing::manifest;
use crate::landing::object::Mode;
use crate::sandbox::SandboxError;
use crate::sandbox::checkout::Checkout;
use crate::sandbox::checkpoint::Checkpoint;
use crate::sandbox::workspace::{Content, FileState, WorkspaceSnapshot};

/// Bytes of originals that are read for one restoration.
const MOST_ORIGINALS: usize = 64 << 20;

/// What a run began with.
#[derive(Debug)]
pub struct Beginning {
    /// The run.
    pub run: RunId,
    /// What was checked out.
    pub checkout: Checkout,
    /// What differed from that, as far as it was kept.
    checkpoint: Option<Checkpoint>,
    /// The files.
    files: WorkspaceSnapshot,
}

/// What came of putting a workspace back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Files that were written or removed.
    pub files: usize,
    /// Files that cannot be had any more.
    pub lost: Vec<String>,
}

/// What is to be done.
#[derive(Debug, Default)]
struct Wanted {
    files: Vec<(String, bool, Bytes)>,
    links: BTreeMap<String, String>,
    deleted: Vec<String>,
    /// Not known here; perhaps in the archive.
    sought: BTreeMap<String, Option<bool>>,
}

impl ThreadSandboxes {
    /// What the last run began with that changed something and was not taken back, or that this run is taking back already. None when
    /// that is not known.
    pub async fn last_beginning(&self) -> Result<Option<Beginning>, SandboxError> {
        let with = &self.thread.with;
        let row = self.thread.holder.beginning(with.run).await.map_err(database)?;
        let Some(row) = row else { return Ok(None) };
        let files = row.baseline.as_deref().and_then(WorkspaceSnapshot::from_bytes);
        let beginning = files.map(|files| Beginning {
            run: row.run,
            checkout: row.checkout.map(|checkout| checkout.0).unwrap_or_default(),
            checkpoint: row.checkpoint.as_deref().and_then(Checkpoint::from_bytes),
            files,
        });
        Ok(beginning)
    }

    /// This run takes back what another one did. May be repeated.
    pub async fn take_back(&self, beginning: &Beginning) -> Result<(), SandboxError> {
        self.thread.holder.take_back(beginning.run, self.thread.with.run).await.map_err(database)
    }

    /// Puts the workspace back to what a run began with: exactly the files of then, but for what is never looked at. May be repeated.
    pub async fn restore(&self, beginning: &Beginning) -> Result<Restored, SandboxError> {
        let own = self.thread.open().await?;
        let sandbox = own.sandbox.as_ref();
        let now = WorkspaceSnapshot::take(sandbox, Some(&beginning.files), self.thread.with.clock.now()).await?;
        let mut wanted = beginning.compare(&now);
        let mut restored = Restored::default();
        self.seek(beginning, &mut wanted, &mut restored).await;
        restored.files = wanted.files.len() + wanted.links.len() + wanted.deleted.len();
        // Files whose mode changes go first and come anew; each counts once.
        let anew = wanted.files.iter().filter(|(path, ..)| now.files().contains_key(path) || now.links().contains_key(path));
        let anew: Vec<String> = anew.map(|(path, ..)| path.clone()).collect();
        wanted.deleted.extend(anew);
        self.thread.touched();
        let failed = Checkpoint::of(wanted.files, wanted.links, wanted.deleted).restore(sandbox, &self.thread.with.stop).await?;
        if failed > 0 {
            return Err(SandboxError::Unavailable(format!("{failed} files could not be written")));
        }
        Ok(restored)
    }

    /// What the snapshot does not hold stands in the archive, where nobody had changed it before.
    async fn seek(&self, beginning: &Beginning, wanted: &mut Wanted, restored: &mut Restored) {
        let mut sought = std::mem::take(&mut wanted.sought);
        if let (Some(origin), Some(commit), false) = (&self.thread.with.origin, &beginning.checkout.commit, sought.is_empty())
            && let Ok(archive) = origin.archive(commit).await
            && let Ok(found) = manifest::contents(archive, sought.keys().cloned().collect(), MOST_ORIGINALS).await
        {
            for (path, mode, content) in found {
                let size = beginning.files.files().get(&path).map(|state| state.size);
                let executable = sought.get(&path).copied().flatten();
                match (mode, executable, std::str::from_utf8(&content)) {
                    (Mode::Link, None, Ok(target)) => drop(wanted.links.insert(path.clone(), target.to_owned())),
                    (Mode::File | Mode::Executable, Some(executable), _) if size == Some(content.len() as u64) => {
                        wanted.files.push((path.clone(), executable, content));
                    }
                    _ => continue,
                }
                sought.remove(&path);
            }
        }
        restored.lost = sought.into_keys().collect();
    }
}

impl Beginning {
    fn compare(&self, now: &WorkspaceSnapshot) -> Wanted {
        let mut wanted = Wanted::default();
        for (path, then) in self.files.files() {
            let same =
                |now: &FileState| now.untouched(then) || (now.same_content(then) && is_executable(now) == is_executable(then));
            if now.files().get(path).is_some_and(same) {
                continue;
            }
            let kept = || self.checkpoint.as_ref()?.file(path).filter(|content| content.len() as u64 == then.size).cloned();
            let content = match &then.content {
                Content::Text(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
                Content::Digest(_) | Content::Unread => kept(),
            };
            match content {
                Some(content) => wanted.files.push((path.clone(), is_executable(then), content)),
                None => drop(wanted.sought.insert(path.clone(), Some(is_executable(then)))),
            }
        }
        for (path, modified) in self.files.links().iter().filter(|(path, modified)| now.links().get(*path) != Some(*modified)) {
            let _ = modified;
            match self.checkpoint.as_ref().and_then(|checkpoint| checkpoint.link(path)) {
                Some(target) => drop(wanted.links.insert(path.clone(), target.to_owned())),
                None => drop(wanted.sought.insert(path.clone(), None)),
            }
        }
        if self.files.is_complete() && now.is_complete() {
            wanted.deleted = now.gone(&self.files).cloned().collect();
        }
        wanted
    }
}

fn is_executable(state: &FileState) -> bool {
    state.mode & 0o111 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_put_back_and_what_is_unknown_is_sought() {
        let beginning = Beginning {
            run: RunId::new(),
            checkout: Checkout::default(),
            checkpoint: None,
            files: WorkspaceSnapshot::of_texts(&[("kept", "1"), ("changed", "1"), ("gone", "1"), ("picture", "binary:a")]),
        };
        let now = WorkspaceSnapshot::of_texts(&[("kept", "1"), ("changed", "2!"), ("new", "1"), ("picture", "binary:bb")]);
        let wanted = beginning.compare(&now);
        let files: Vec<_> = wanted.files.iter().map(|(path, ..)| path.as_str()).collect();
        assert_eq!(files, ["changed", "gone"]);
        assert_eq!(wanted.deleted, ["new"]);
        assert_eq!(wanted.sought.into_keys().collect::<Vec<_>>(), ["picture"]);
    }
}

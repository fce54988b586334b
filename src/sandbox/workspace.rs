//! The files of a workspace at one moment: what changes are compared with, and what a checkpoint is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{FileInfo, Sandbox, SandboxError, WalkBounds};

/// Directories nobody wants to see in a diff, a search or a checkpoint: they are made, not written.
pub const SKIPPED: [&str; 6] = [".git", "node_modules", "target", "__pycache__", ".venv", ".mypy_cache"];

const BOUNDS: WalkBounds = WalkBounds { depth: 32, entries: 20_000, skip: &SKIPPED };
/// Files whose content is read for one snapshot, bytes of each, and bytes together.
const MAX_READ: usize = 2_000;
const MAX_FILE: u64 = 256 << 10;
const MAX_TOTAL: u64 = 8 << 20;
/// Asked for at once.
const BATCH: u64 = 4 << 20;
/// What a stored snapshot may unpack to.
const MAX_STORED: u64 = 64 << 20;
/// A time of change in whole seconds says little about what happened within this many seconds of it.
const COARSE: i64 = 10;

/// The workspace at one moment: every file with size and time of change, and the text of small ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceSnapshot {
    files: BTreeMap<String, FileState>,
    /// Symbolic links with their times of change; they are counted, not kept.
    links: BTreeMap<String, i64>,
    /// Seconds since 1970 when it was taken, by our clock.
    taken_at: i64,
    /// False when there are more files than are looked at.
    complete: bool,
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// Bytes.
    pub size: u64,
    /// Time of change in microseconds since 1970.
    pub modified: i64,
    /// Permission bits.
    pub mode: u32,
    /// What is in it.
    pub content: Content,
}

/// What is known of a file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// All of it.
    Text(String),
    /// The SHA-256 of something that is not text.
    Digest(String),
    /// Nothing: too large, or too many files.
    Unread,
}

/// How a path of a checkout stands in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Based {
    /// As it was checked out.
    Same,
    /// It was checked out as a file and is another one now, or none.
    File,
    /// Likewise for a link.
    Link,
}

/// What became of a file since a snapshot.
#[derive(Debug, PartialEq)]
enum Since<'a> {
    Touched,
    /// Its time is in whole seconds: something may have happened in the same second after the snapshot.
    Doubtful,
    Untouched(&'a Content),
}

impl FileState {
    /// Same size, time and permissions: nobody touched it, as far as that tells.
    pub fn untouched(&self, other: &Self) -> bool {
        (self.size, self.modified, self.mode) == (other.size, other.modified, other.mode)
    }

    /// Whether both hold the same, by content where that is known of both, else by size and time.
    pub fn same_content(&self, other: &Self) -> bool {
        match (&self.content, &other.content) {
            (Content::Unread, _) | (_, Content::Unread) => (self.size, self.modified) == (other.size, other.modified),
            (known, other) => known == other,
        }
    }

    fn of(info: &FileInfo) -> Self {
        let modified = info.modified.timestamp_micros();
        Self { size: info.size, modified, mode: info.mode & 0o777, content: Content::Unread }
    }
}

impl WorkspaceSnapshot {
    /// Looks at the workspace: one walk, and the content of files that differ in size or time from `known`. Content is read of at
    /// most 2,000 files, 256 KiB each, 8 MiB together; files beyond 20,000 entries are not looked at.
    pub async fn take(sandbox: &dyn Sandbox, known: Option<&Self>, now: DateTime<Utc>) -> Result<Self, SandboxError> {
        let walked = sandbox.walk(".", BOUNDS).await?;
        let mut snapshot = Self { taken_at: now.timestamp(), complete: walked.complete, ..Self::default() };
        let (mut touched, mut doubtful) = (Vec::new(), Vec::new());
        for (path, info) in walked.entries {
            match info.mode & libc::S_IFMT {
                libc::S_IFLNK => {
                    snapshot.links.insert(path, info.modified.timestamp_micros());
                    continue;
                }
                libc::S_IFREG => {}
                _ => continue,
            }
            let mut state = FileState::of(&info);
            match known.map_or(Since::Touched, |known| known.since(&path, &state)) {
                Since::Untouched(content) => state.content = content.clone(),
                Since::Touched => touched.push((path.clone(), state.size)),
                Since::Doubtful => doubtful.push((path.clone(), state.size)),
            }
            snapshot.files.insert(path, state);
        }
        let (mut count, mut total) = (0, 0);
        let affordable = |(_, size): &(String, u64)| {
            let affordable = *size <= MAX_FILE && total + size <= MAX_TOTAL && count < MAX_READ;
            if affordable {
                (count, total) = (count + 1, total + size);
            }
            affordable
        };
        let unread = touched.into_iter().chain(doubtful).filter(affordable).collect();
        snapshot.read(sandbox, unread).await?;
        Ok(snapshot)
    }

    /// What size and time of a file say.
    fn since(&self, path: &str, now: &FileState) -> Since<'_> {
        let Some(then) = self.files.get(path).filter(|then| (then.size, then.modified) == (now.size, now.modified)) else {
            return Since::Touched;
        };
        let coarse = now.modified % 1_000_000 == 0 && now.modified / 1_000_000 > self.taken_at - COARSE;
        if coarse && then.content != Content::Unread { Since::Doubtful } else { Since::Untouched(&then.content) }
    }

    async fn read(&mut self, sandbox: &dyn Sandbox, unread: Vec<(String, u64)>) -> Result<(), SandboxError> {
        for paths in batches(unread) {
            let contents = sandbox.read_many(&paths, MAX_FILE as usize).await?;
            for (path, content) in paths.iter().zip(contents) {
                // What disappeared or grew meanwhile stays unread.
                let (Ok(bytes), Some(state)) = (content, self.files.get_mut(path)) else { continue };
                state.content = match String::from_utf8(bytes.into()) {
                    Ok(text) if !is_binary(text.as_bytes()) => Content::Text(text),
                    Ok(text) => Content::Digest(hex::encode(Sha256::digest(text.as_bytes()))),
                    Err(error) => Content::Digest(hex::encode(Sha256::digest(error.as_bytes()))),
                };
            }
        }
        Ok(())
    }

    /// Every regular file by its path.
    pub fn files(&self) -> &BTreeMap<String, FileState> {
        &self.files
    }

    /// Seconds since 1970 when it was taken, by our clock.
    pub fn taken_at(&self) -> i64 {
        self.taken_at
    }

    /// False when there are more files than are looked at.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// True when there is no file at all.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.links.is_empty()
    }

    /// True when nothing was touched between the two.
    pub fn untouched(&self, other: &Self) -> bool {
        let same = |(a, b): ((&String, &FileState), (&String, &FileState))| a.0 == b.0 && a.1.untouched(b.1);
        self.files.len() == other.files.len() && self.files.iter().zip(&other.files).all(same) && self.links == other.links
    }

    /// Files that were touched since and whose content was not read then.
    pub fn unread_before(&self, now: &Self) -> BTreeSet<String> {
        let unread = self.files.iter().filter(|(_, state)| state.content == Content::Unread);
        let touched = unread.filter(|(path, state)| now.files.get(*path).is_none_or(|now| !state.untouched(now)));
        touched.map(|(path, _)| path.clone()).collect()
    }

    /// Puts in what was in files whose content was not read.
    pub fn learn(&mut self, texts: BTreeMap<String, String>) {
        for (path, text) in texts {
            if let Some(state) = self.files.get_mut(&path).filter(|state| state.size == text.len() as u64) {
                state.content = Content::Text(text);
            }
        }
    }

    /// True when both hold the same files with the same content, whenever they were taken.
    pub fn same_as(&self, other: &Self) -> bool {
        (&self.files, &self.links, self.complete) == (&other.files, &other.links, other.complete)
    }

    /// Links that are new or changed since `base`.
    pub fn new_links<'a>(&'a self, base: &'a Self) -> impl Iterator<Item = &'a String> {
        self.links.iter().filter(|(path, modified)| base.links.get(*path) != Some(modified)).map(|(path, _)| path)
    }

    /// Files that are no file any more, and links that are no link.
    pub fn gone(&self, now: &Self) -> impl Iterator<Item = &String> {
        let files = self.files.keys().filter(|path| !now.files.contains_key(*path));
        files.chain(self.links.keys().filter(|path| !now.links.contains_key(*path)))
    }

    /// The same without any content.
    pub fn outline(&self) -> Self {
        let mut outline = self.clone();
        outline.files.values_mut().for_each(|state| state.content = Content::Unread);
        outline
    }

    /// The same files in another sandbox have other times of change: takes those of `now` for files of the same size, so that a
    /// comparison by time does not see a change where there is none.
    pub fn moved_to(&mut self, now: &Self) {
        for (path, state) in &mut self.files {
            if let Some(now) = now.files.get(path).filter(|now| now.size == state.size) {
                state.modified = now.modified;
            }
        }
        self.taken_at = now.taken_at;
    }

    /// What `now`, a state of the workspace, began with when that was `checkout`: paths of it that are `same` were not touched since,
    /// others were. What was there before and nobody touched stays, too.
    #[must_use]
    pub fn based_on<'a>(&self, now: &Self, checkout: impl Iterator<Item = (&'a String, Based)>) -> Self {
        let mut base = Self { taken_at: now.taken_at, complete: now.complete, ..Self::default() };
        let untouched = |(path, state): &(&String, &FileState)| now.files.get(*path).is_some_and(|now| now.untouched(state));
        base.files.extend(self.files.iter().filter(untouched).map(|(path, state)| (path.clone(), state.clone())));
        for (path, based) in checkout.filter(|(path, _)| !path.split('/').any(|part| SKIPPED.contains(&part))) {
            base.files.remove(path);
            match (based, now.files.get(path), now.links.get(path)) {
                (Based::Same, Some(state), _) => drop(base.files.insert(path.clone(), state.clone())),
                (Based::Same, None, Some(modified)) => drop(base.links.insert(path.clone(), *modified)),
                (Based::Link, _, _) => drop(base.links.insert(path.clone(), i64::MIN)),
                (Based::Same | Based::File, _, _) => {
                    let other = FileState { size: 0, modified: i64::MIN, mode: 0, content: Content::Unread };
                    base.files.insert(path.clone(), other);
                }
            }
        }
        base.outline()
    }

    /// Symbolic links with their times of change.
    pub fn links(&self) -> &BTreeMap<String, i64> {
        &self.links
    }

    /// For storage, compressed.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        serde_json::to_writer(&mut encoder, self)?;
        encoder.flush()?;
        encoder.finish()
    }

    /// From storage. None when another version wrote it in another way.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_reader(io::BufReader::new(GzDecoder::new(bytes).take(MAX_STORED))).ok()
    }

    #[cfg(test)]
    pub(crate) fn of_texts(files: &[(&str, &str)]) -> Self {
        let state = |content: &str| {
            let size = content.len() as u64;
            let content = match content.strip_prefix("binary:") {
                Some(digest) => Content::Digest(digest.to_owned()),
                None => Content::Text(content.to_owned()),
            };
            FileState { size, modified: 1, mode: 0o644, content }
        };
        let files = files.iter().map(|(path, content)| ((*path).to_owned(), state(content))).collect();
        Self { files, complete: true, ..Self::default() }
    }
}

/// Paths in groups that are asked for at once.
pub(super) fn batches(files: Vec<(String, u64)>) -> Vec<Vec<String>> {
    let mut batches = Vec::new();
    let (mut batch, mut size) = (Vec::new(), 0);
    for (path, bytes) in files {
        if size + bytes > BATCH && !batch.is_empty() {
            batches.push(std::mem::take(&mut batch));
            size = 0;
        }
        size += bytes;
        batch.push(path);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// Content that is not text.
fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(8000).any(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_snapshot_survives_storage() {
        let before = WorkspaceSnapshot::of_texts(&[("a", "text"), ("b", "binary:c")]);
        assert_eq!(WorkspaceSnapshot::from_bytes(&before.to_bytes().unwrap()).unwrap(), before);
        assert_eq!(WorkspaceSnapshot::from_bytes(b"something else"), None);
    }

    #[test]
    fn a_file_touched_in_the_same_second_is_not_taken_for_unchanged() {
        let mut then = WorkspaceSnapshot::of_texts(&[("a", "x")]);
        then.taken_at = 100;
        let at = |modified: i64| FileState { size: 1, modified, mode: 0o644, content: Content::Unread };
        let text = Content::Text("x".to_owned());
        for (modified, since) in
            [(50_000_000, Since::Untouched(&text)), (99_000_000, Since::Doubtful), (99_000_001, Since::Untouched(&text))]
        {
            then.files.get_mut("a").unwrap().modified = modified;
            assert_eq!(then.since("a", &at(modified)), since, "{modified}");
        }
        assert_eq!([then.since("a", &at(1)), then.since("b", &at(1))], [Since::Touched, Since::Touched]);
    }

    #[test]
    fn files_are_asked_for_in_groups() {
        let sizes = [3 << 20, 2 << 20, 1 << 20, 9 << 20, 1];
        let files = sizes.iter().enumerate().map(|(n, size)| (n.to_string(), *size)).collect();
        assert_eq!(batches(files), [vec!["0"], vec!["1", "2"], vec!["3"], vec!["4"]]);
    }
}

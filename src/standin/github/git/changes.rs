//! What changed between two trees, as pull requests and comparisons show it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::diff::patch;
use super::object::{Mode, Sha};
use super::store::{Files, Store};

/// GitHub shows no patch beyond this.
const LARGEST_PATCH: usize = 500_000;
const LONGEST_PATCH: usize = 20_000;
/// Renames are looked for among so many pairs.
const MOST_PAIRS: usize = 400;

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its content is another.
    Modified,
    /// It has another name, and perhaps another content.
    Renamed,
    /// Only its mode is another.
    Changed,
}

impl Status {
    /// GitHub's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Modified => "modified",
            Self::Renamed => "renamed",
            Self::Changed => "changed",
        }
    }
}

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name; the old one when it is gone.
    pub path: String,
    /// The name it had.
    pub previous: Option<String>,
    /// What happened to it.
    pub status: Status,
    /// Lines that came.
    pub additions: usize,
    /// Lines that went.
    pub deletions: usize,
    /// The unified diff without its file header; none for binary and for huge files, and when no line differs.
    pub patch: Option<String>,
    pub(in super::super) sha: Sha,
}

type Leaf = (Mode, Sha);

/// What leads from one set of files to another, by path.
pub(in super::super) fn changes(store: &Store, from: &Files, to: &Files) -> Vec<Change> {
    let mut removed: BTreeMap<&str, &Leaf> = from.iter().filter(|(path, _)| !to.contains_key(*path)).map(of).collect();
    let mut all = Vec::new();
    let mut added = Vec::new();
    for (path, new) in to {
        match from.get(path) {
            Some(old) if old == new => {}
            Some(old) => {
                let status = if old.1 == new.1 { Status::Changed } else { Status::Modified };
                all.push(change(store, path, None, status, Some(old), Some(new)));
            }
            None => added.push((path.as_str(), new)),
        }
    }
    for (path, new) in added {
        match origin(store, &removed, new) {
            Some(old_path) => {
                let old = removed.remove(old_path.as_str());
                all.push(change(store, path, Some(old_path), Status::Renamed, old, Some(new)));
            }
            None => all.push(change(store, path, None, Status::Added, None, Some(new))),
        }
    }
    for (path, old) in removed {
        all.push(change(store, path, None, Status::Removed, Some(old), None));
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

fn of<'a>((path, leaf): (&'a String, &'a Leaf)) -> (&'a str, &'a Leaf) {
    (path, leaf)
}

/// The removed file this one was: the same content, or at least half of it.
fn origin(store: &Store, removed: &BTreeMap<&str, &Leaf>, new: &Leaf) -> Option<String> {
    if let Some((path, _)) = removed.iter().find(|(_, old)| old.1 == new.1) {
        return Some((*path).to_owned());
    }
    let new = store.blob(&new.1)?;
    let scored = removed.iter().take(MOST_PAIRS).filter_map(|(path, old)| Some((likeness(&store.blob(&old.1)?, &new), *path)));
    scored.filter(|(score, _)| *score >= 50).max_by_key(|(score, _)| *score).map(|(_, path)| path.to_owned())
}

/// How much of two contents is the same, in hundredths, line by line.
fn likeness(old: &[u8], new: &[u8]) -> usize {
    let mut lines: BTreeMap<&[u8], usize> = BTreeMap::new();
    for line in old.split_inclusive(|byte| *byte == b'\n') {
        *lines.entry(line).or_default() += 1;
    }
    let mut common = 0;
    for line in new.split_inclusive(|byte| *byte == b'\n') {
        if let Some(left) = lines.get_mut(line).filter(|left| **left > 0) {
            *left -= 1;
            common += line.len();
        }
    }
    (common * 100).checked_div(old.len().max(new.len())).unwrap_or(0)
}

fn change(store: &Store, path: &str, previous: Option<String>, status: Status, old: Option<&Leaf>, new: Option<&Leaf>) -> Change {
    let content = |leaf: Option<&Leaf>| leaf.map(|leaf| content(store, leaf)).unwrap_or_default();
    let patch = patch(&content(old), &content(new)).unwrap_or_default();
    let count = |sign: char| patch.lines().filter(|line| line.starts_with(sign)).count();
    let (additions, deletions) = (count('+'), count('-'));
    let shown = !patch.is_empty() && patch.len() <= LARGEST_PATCH && additions + deletions <= LONGEST_PATCH;
    Change {
        path: path.to_owned(),
        previous,
        status,
        additions,
        deletions,
        patch: shown.then_some(patch),
        sha: new.or(old).map(|leaf| leaf.1.clone()).unwrap_or_default(),
    }
}

fn content(store: &Store, (mode, sha): &Leaf) -> Bytes {
    match mode {
        Mode::Submodule => format!("Subproject commit {sha}\n").into(),
        Mode::File | Mode::Executable | Mode::Link | Mode::Tree => store.blob(sha).unwrap_or_default(),
    }
}

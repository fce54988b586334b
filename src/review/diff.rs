//! The diff a review stands on: which lines of the new side can carry a comment, and whether anything changed since the last time.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use similar::{TextDiff, group_diff_ops};

use super::lines::lines;
use crate::diffing;

/// Lines git shows around a change.
const CONTEXT: usize = 3;

/// The lines of one hunk on the new side, counted from 1, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    /// Its first line.
    pub first: u32,
    /// Its last line.
    pub last: u32,
}

impl Hunk {
    /// True when all these lines are in it.
    pub fn holds(&self, first: u32, last: u32) -> bool {
        self.first <= first && first <= last && last <= self.last
    }
}

/// The hunks of a patch as GitHub prints it. One that only takes lines away and shows none around has no line on the new side, and is
/// left out. The lines are counted, because a header may promise more than a patch that was cut still holds.
pub fn hunks_of(patch: &str) -> Vec<Hunk> {
    let mut hunks = Vec::new();
    let mut first = 0;
    let mut count = 0;
    let mut push = |first: u32, count: u32| {
        if count > 0 && first > 0 {
            hunks.push(Hunk { first, last: first + count - 1 });
        }
    };
    for line in patch.split('\n') {
        if let Some(start) = new_start(line) {
            push(first, count);
            (first, count) = (start, 0);
        } else if line.starts_with([' ', '+']) {
            count += 1;
        }
    }
    push(first, count);
    hunks
}

/// True when the lines a patch shows on the new side are those of the file: it is of this content, and whole where it says something.
pub fn is_of(patch: &str, file: &str) -> bool {
    let file = lines(file);
    let mut at: Option<usize> = None;
    for line in patch.split('\n') {
        if let Some(start) = new_start(line) {
            at = usize::try_from(start).ok().and_then(|start| start.checked_sub(1));
        } else if let Some(text) = line.strip_prefix([' ', '+']) {
            let Some(index) = at else { return false };
            if file.get(index).map(|line| line.strip_suffix('\n').unwrap_or(line)) != Some(text) {
                return false;
            }
            at = Some(index + 1);
        }
    }
    true
}

/// Where a hunk begins on the new side, from its header.
fn new_start(line: &str) -> Option<u32> {
    let (ranges, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (_, new) = ranges.split_once(" +")?;
    new.split(',').next()?.parse().ok()
}

/// The hunks between two contents, as git would make them: for files whose patch GitHub does not show. None of them where too much
/// differs to be found out soon. Computes for up to [`diffing::LONGEST`].
pub fn hunks_between(old: &str, new: &str) -> Vec<Hunk> {
    let (old, new) = (lines(old), lines(new));
    let Some(ops) = diffing::compare(&old, &new) else { return Vec::new() };
    let mut hunks = Vec::new();
    for group in group_diff_ops(ops, CONTEXT) {
        let (Some(head), Some(tail)) = (group.first(), group.last()) else { continue };
        let (start, end) = (head.new_range().start, tail.new_range().end);
        if start < end {
            hunks.push(Hunk { first: number(start), last: number(end) - 1 });
        }
    }
    hunks
}

/// From a place in a list to a line number.
pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX - 1) + 1
}

/// A unified diff of two contents for people, names included.
pub fn unified(path: &str, old: &str, new: &str) -> String {
    let path = path.escape_debug();
    TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(CONTEXT)
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string()
}

/// A changed file, as far as it tells whether the change is still the same.
#[derive(Clone, Copy, Debug)]
pub struct Changed<'a> {
    /// Its path.
    pub path: &'a str,
    /// What it was called before.
    pub previous: Option<&'a str>,
    /// Its patch, where there is one.
    pub patch: Option<&'a str>,
    /// Names its content otherwise.
    pub blob: &'a str,
}

/// A digest of what a pull request changes, the same wherever its hunks have moved as a whole: a rebase that changes nothing around
/// them leaves it. How lines are indented and what stands around them belongs to what they mean.
pub fn digest(files: &[Changed<'_>]) -> String {
    let mut pieces: Vec<String> = files.iter().map(piece).collect();
    pieces.sort_unstable();
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update((piece.len() as u64).to_be_bytes());
        hash.update(piece);
    }
    hex::encode(hash.finalize())
}

fn piece(file: &Changed<'_>) -> String {
    let mut piece = format!("{}\0{}\0", file.path, file.previous.unwrap_or_default());
    match file.patch {
        None => piece.push_str(file.blob),
        Some(patch) => {
            for line in patch.split('\n').filter(|line| line.starts_with(['+', '-', ' '])) {
                let _ = writeln!(piece, "{}", line.trim_end());
            }
        }
    }
    piece
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hunk(first: u32, last: u32) -> Hunk {
        Hunk { first, last }
    }

    #[test]
    fn the_new_side_of_a_patch_is_read() {
        let patch =
            "@@ -1,3 +1,4 @@ fn x()\n a\n-b\n+c\n+@@ -9,9 +9,9 @@\n d\n\\ No newline at end of file\n@@ -9 +10 @@\n-x\n+y";
        assert_eq!(hunks_of(patch), [hunk(1, 4), hunk(10, 10)]);
        assert_eq!(hunks_of("@@ -1,2 +0,0 @@\n-a\n-b"), []);
        assert_eq!(hunks_of("@@ -1,9 +1,9 @@\n a"), [hunk(1, 1)]);
        assert_eq!(hunks_of("Binary files differ"), []);
    }

    #[test]
    fn hunks_that_moved_are_the_same_change() {
        let file = |patch| digest(&[Changed { path: "a", previous: None, patch: Some(patch), blob: "1" }]);
        let change = file("@@ -1,2 +1,2 @@\n x\n-b\n+c d");
        assert_eq!(change, file("@@ -40,2 +41,2 @@ fn\n x\n-b\n+c d\r"));
        assert_ne!(change, file("@@ -1,2 +1,2 @@\n x\n-b\n+    c d"));
        assert_ne!(change, file("@@ -1,2 +1,2 @@\n y\n-b\n+c d"));
        assert_ne!(file("@@ -1 +1 @@\n-b\n+c"), file("@@ -1 +1 @@\n-b\n+d"));
        let blob = |blob| digest(&[Changed { path: "a", previous: None, patch: None, blob }]);
        assert_ne!(blob("1"), blob("2"));
    }

    proptest! {
        #[test]
        fn hunks_of_a_printed_patch_are_those_between_the_contents(old in "([ab]\r?\n){0,40}[ab]?", new in "([abc]\n){0,40}[ab]?") {
            let printed = unified("x", &old, &new);
            let body = printed.split_once("\n@@").map(|(_, rest)| format!("@@{rest}")).unwrap_or_default();
            prop_assert_eq!(hunks_of(&body), hunks_between(&old, &new));
            prop_assert!(is_of(&body, &new));
        }
    }
}

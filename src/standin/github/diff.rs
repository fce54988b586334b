//! Unified diffs of two contents as `git diff` prints them, and reading them back line by line: what GitHub calls a `patch`.

use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

/// Lines shown around a change.
const CONTEXT: usize = 3;
/// Git takes what has a NUL this early for binary.
const BINARY_CHECK: usize = 8_000;
/// Git shortens the heading of a hunk to this many bytes.
const LONGEST_HEADING: usize = 80;
const NO_NEWLINE: &str = "\\ No newline at end of file";

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is on both sides.
    Kept,
    /// Only the new side has it.
    Added,
    /// Only the old side has it.
    Removed,
}

/// A line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub change: Change,
    /// Its number on the old side (`LEFT`), from 1.
    pub old: Option<u32>,
    /// Its number on the new side (`RIGHT`), from 1.
    pub new: Option<u32>,
    /// GitHub's older way to name it: how many lines below the first `@@` of the file, headers of later hunks counted.
    pub position: u32,
    /// Its text, without the sign and the line feed; a carriage return stays.
    pub text: String,
}

/// A hunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hunk {
    /// Its first line, `@@ -a,b +c,d @@ heading`.
    pub header: String,
    pub lines: Vec<Line>,
}

/// The diff from `old` to `new` without the lines that name the files, and without a line feed at the end: empty when nothing
/// differs, nothing when one of the two is binary. What is not UTF-8 is replaced, as in GitHub's JSON.
pub(super) fn patch(old: &[u8], new: &[u8]) -> Option<String> {
    let binary = |content: &[u8]| content[..content.len().min(BINARY_CHECK)].contains(&0);
    if binary(old) || binary(new) {
        return None;
    }
    let (old, new) = (lines(old), lines(new));
    let ops = capture_diff_slices(Algorithm::Myers, &old, &new);
    let mut headings = Headings { lines: &old, looked: 0, last: String::new() };
    let mut out: Vec<String> = Vec::new();
    for group in group_diff_ops(ops, CONTEXT) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let (from, to) = (first.old_range().start, first.new_range().start);
        let (removed, added) = (span(from, last.old_range().end), span(to, last.new_range().end));
        let header = format!("@@ -{removed} +{added} @@ {}", headings.above(from));
        out.push(header.trim_end().to_owned());
        for op in &group {
            write(op, &old, &new, &mut out);
        }
    }
    Some(out.join("\n"))
}

/// The lines of a content, each with its line feed.
fn lines(content: &[u8]) -> Vec<&[u8]> {
    content.split_inclusive(|byte| *byte == b'\n').collect()
}

fn span(start: usize, end: usize) -> String {
    match end - start {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        many => format!("{},{many}", start + 1),
    }
}

fn write(op: &DiffOp, old: &[&[u8]], new: &[&[u8]], out: &mut Vec<String>) {
    let mut put = |sign: char, lines: &[&[u8]]| {
        for line in lines {
            let text = line.strip_suffix(b"\n");
            out.push(format!("{sign}{}", String::from_utf8_lossy(text.unwrap_or(line))));
            if text.is_none() {
                out.push(NO_NEWLINE.to_owned());
            }
        }
    };
    match *op {
        DiffOp::Equal { old_index, len, .. } => put(' ', &old[old_index..old_index + len]),
        DiffOp::Delete { old_index, old_len, .. } => put('-', &old[old_index..old_index + old_len]),
        DiffOp::Insert { new_index, new_len, .. } => put('+', &new[new_index..new_index + new_len]),
        DiffOp::Replace { old_index, old_len, new_index, new_len } => {
            put('-', &old[old_index..old_index + old_len]);
            put('+', &new[new_index..new_index + new_len]);
        }
    }
}

/// Finds what git prints behind the second `@@`: the last line above that begins like a definition.
struct Headings<'a> {
    lines: &'a [&'a [u8]],
    /// Lines before this one were looked at for an earlier hunk.
    looked: usize,
    last: String,
}

impl Headings<'_> {
    fn above(&mut self, start: usize) -> &str {
        let begins = |line: &&&[u8]| line.first().is_some_and(|first| first.is_ascii_alphabetic() || b"_$".contains(first));
        if let Some(found) = self.lines[self.looked.min(start)..start].iter().rfind(begins) {
            let cut = String::from_utf8_lossy(&found[..found.len().min(LONGEST_HEADING)]).into_owned();
            self.last = cut.trim_end().to_owned();
        }
        self.looked = start.max(self.looked);
        &self.last
    }
}

/// The hunks of a patch, each line with its side, number and position. What is no hunk is passed over.
pub(super) fn hunks(patch: &str) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let (mut old, mut new) = (0, 0);
    for (position, line) in (0..).zip(patch.split('\n')) {
        if let Some((at_old, at_new)) = starts(line) {
            (old, new) = (at_old, at_new);
            hunks.push(Hunk { header: line.to_owned(), lines: Vec::new() });
            continue;
        }
        let Some(hunk) = hunks.last_mut() else { continue };
        let change = match line.as_bytes().first() {
            Some(b' ') => Change::Kept,
            Some(b'+') => Change::Added,
            Some(b'-') => Change::Removed,
            _ => continue,
        };
        let (on_old, on_new) = (change != Change::Added, change != Change::Removed);
        let text = line[1..].to_owned();
        hunk.lines.push(Line { change, old: on_old.then_some(old), new: on_new.then_some(new), position, text });
        old += u32::from(on_old);
        new += u32::from(on_new);
    }
    hunks
}

/// Where a hunk begins on both sides, from its header.
fn starts(header: &str) -> Option<(u32, u32)> {
    let (ranges, _) = header.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let start = |range: &str| range.split(',').next()?.parse().ok();
    Some((start(old)?, start(new)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    fn diff(old: &str, new: &str) -> String {
        patch(old.as_bytes(), new.as_bytes()).unwrap()
    }

    fn numbered(range: std::ops::RangeInclusive<u32>) -> String {
        range.map(|n| format!("line {n}\n")).collect()
    }

    #[test]
    fn a_change_is_shown_with_three_lines_around_it_and_its_heading() {
        let old = format!("fn main() {{\n{}", numbered(1..=9).replace("line", "  line"));
        assert_snapshot!(diff(&old, &old.replace("line 7", "line seven")), @r"
        @@ -5,6 +5,6 @@ fn main() {
           line 4
           line 5
           line 6
        -  line 7
        +  line seven
           line 8
           line 9
        ");
    }

    #[test]
    fn new_files_emptied_files_and_missing_line_feeds_are_written_as_git_does() {
        assert_snapshot!(diff("", "a\nb\n"), @r"
        @@ -0,0 +1,2 @@
        +a
        +b
        ");
        assert_snapshot!(diff("a\n", ""), @r"
        @@ -1 +0,0 @@
        -a
        ");
        assert_snapshot!(diff("a\nb", "a\nb\n"), @r"
        @@ -1,2 +1,2 @@
         a
        -b
        \ No newline at end of file
        +b
        ");
        assert_eq!(diff("a\r\nb\r\n", "a\r\nc\r\n"), "@@ -1,2 +1,2 @@\n a\r\n-b\r\n+c\r");
        assert_eq!(diff("same\n", "same\n"), "");
        assert_eq!(patch(b"a\0", b"b"), None);
    }

    #[test]
    fn changes_close_together_share_a_hunk_and_others_do_not() {
        let old = numbered(1..=30);
        let near = old.replace("line 5\n", "5\n").replace("line 12\n", "12\n");
        let far = old.replace("line 5\n", "5\n").replace("line 13\n", "13\n");
        assert_eq!(hunks(&diff(&old, &near)).len(), 1);
        let two = hunks(&diff(&old, &far));
        assert_eq!(two.len(), 2);
        let moved = two[1].lines.iter().find(|line| line.change == Change::Added).unwrap();
        assert_eq!((moved.old, moved.new, moved.text.as_str()), (None, Some(13), "13"));
        // 8 lines of the first hunk, the second's header, its 3 lines of context, the removed line.
        assert_eq!(moved.position, 8 + 1 + 3 + 2);
    }

    /// The patch as the git binary writes it; nothing where there is none.
    fn by_git(old: &str, new: &str) -> Option<String> {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("old"), old).unwrap();
        std::fs::write(place.path().join("new"), new).unwrap();
        let mut git = Command::new("git");
        git.args(["diff", "--no-index", "--no-color", "old", "new"])
            .current_dir(place.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        let out = git.output().ok()?;
        let text = String::from_utf8(out.stdout).unwrap();
        Some(text.find("\n@@").map_or(String::new(), |at| text[at + 1..].trim_end_matches('\n').to_owned()))
    }

    #[test]
    fn git_prints_the_same() {
        let long = format!("{}fn late() {{\n{}", numbered(1..=40), numbered(41..=80));
        for (old, new) in [
            ("", "x\ny"),
            ("x\ny", "x\ny\n"),
            ("a\r\nb\r\n", "a\r\nb\r\nc\r\n"),
            ("ä\n\tö\n", "ä\n  ö\n"),
            (&long, &long.replace("line 3\n", "").replace("line 44\n", "line 44\nand more\n")),
            (&long, &long.replace("line 1\n", "one\n").replace("line 8\n", "eight\n").replace("line 80\n", "eighty")),
        ] {
            if let Some(expected) = by_git(old, new) {
                assert_eq!(diff(old, new), expected);
            }
        }
    }

    /// The new content, from the old one and the hunks alone.
    fn rebuilt(old: &str, patch: &str) -> String {
        let old: Vec<&str> = old.split_inclusive('\n').collect();
        let (mut at, mut new) = (0, String::new());
        for hunk in hunks(patch) {
            for line in hunk.lines {
                let before = line.old.map_or(at, |old| old as usize - 1);
                new.extend(old[at..before.max(at)].iter().copied());
                at = at.max(before) + usize::from(line.old.is_some());
                match line.change {
                    Change::Kept | Change::Added => new.push_str(&format!("{}\n", line.text)),
                    Change::Removed => {}
                }
            }
        }
        new.extend(old[at..].iter().copied());
        new
    }

    proptest! {
        #[test]
        fn the_hunks_are_the_whole_change(old in "([a-d]{0,2}\n){0,40}", new in "([a-d]{0,2}\n){0,40}") {
            // An insertion alone says where it belongs only through the lines around it; a first line is always there.
            let (old, new) = (format!("first\n{old}"), format!("first\n{new}"));
            prop_assert_eq!(rebuilt(&old, &diff(&old, &new)), new);
        }
    }
}

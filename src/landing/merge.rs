//! Puts changes on a branch that moved: file by file against what both sides began with, and line by line where both changed one file.

use similar::DiffTag;

use super::object::{Changes, Tree};
use crate::diffing;

/// How changes and a moved branch stand to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Paths only we changed.
    pub ours: Vec<String>,
    /// Paths that are there already as we want them.
    pub same: Vec<String>,
    /// Files both changed; their texts may still go together.
    pub both: Vec<String>,
    /// What does not go together, whatever is in it.
    pub conflicts: Vec<String>,
}

/// Compares, path by path. `base` is what the changes were made from, `theirs` the branch as it is now.
pub fn compare(changes: &Changes, base: &Tree, theirs: &Tree) -> Compared {
    let mut compared = Compared::default();
    for (path, change) in changes {
        let (ours, was, is) = (change.node(), base.get(path), theirs.get(path));
        let list = if ours.as_ref() == is {
            &mut compared.same
        } else if was == is {
            if ours.is_some() && stands_in_the_way(path, changes, theirs) { &mut compared.conflicts } else { &mut compared.ours }
        } else if ours.is_some() && was.is_some() && is.is_some() {
            &mut compared.both
        } else {
            &mut compared.conflicts
        };
        list.push(path.clone());
    }
    compared
}

/// A file where a directory is to be, or the other way round, that we do not take away.
fn stands_in_the_way(path: &str, changes: &Changes, theirs: &Tree) -> bool {
    let stays = |path: &str| theirs.contains_key(path) && !changes.contains_key(path);
    let below = format!("{path}/");
    path.match_indices('/').any(|(end, _)| stays(&path[..end]))
        || theirs.range(below.clone()..).take_while(|(other, _)| other.starts_with(&below)).any(|(other, _)| stays(other))
}

/// Both sides' changes of a text in one; none when they touch the same or neighbouring lines, and when that is not found out in time.
/// Line ends stay as they are. It may compute for seconds.
pub fn merge_text(base: &str, ours: &str, theirs: &str) -> Option<String> {
    let lines = |text| str::split_inclusive(text, '\n').collect::<Vec<&str>>();
    let (base, ours, theirs) = (lines(base), lines(ours), lines(theirs));
    let mut all = hunks(&base, &ours)?;
    all.extend(hunks(&base, &theirs)?);
    all.sort();
    // What both did.
    all.dedup();
    if all.windows(2).any(|pair| pair[1].start <= pair[0].end) {
        return None;
    }
    let (mut merged, mut at) = (String::new(), 0);
    for hunk in all {
        merged.extend(base[at..hunk.start].iter().copied());
        merged.push_str(&hunk.text);
        at = hunk.end;
    }
    merged.extend(base[at..].iter().copied());
    Some(merged)
}

/// Lines `start..end` of the base become this.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Hunk {
    start: usize,
    end: usize,
    text: String,
}

fn hunks(base: &[&str], changed: &[&str]) -> Option<Vec<Hunk>> {
    let ops = diffing::compare(base, changed)?;
    let hunks = ops.iter().filter(|op| op.tag() != DiffTag::Equal).map(|op| Hunk {
        start: op.old_range().start,
        end: op.old_range().end,
        text: changed[op.new_range()].concat(),
    });
    Some(hunks.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::clock::computed;
    use crate::landing::object::{Change, Mode, Node, blob_sha};

    fn put(text: &str) -> Change {
        Change::Put { mode: Mode::File, content: Bytes::copy_from_slice(text.as_bytes()) }
    }

    fn tree(files: &[(&str, &str)]) -> Tree {
        let node = |text: &str| Node { mode: Mode::File, sha: blob_sha(text.as_bytes()) };
        files.iter().map(|(path, text)| ((*path).to_owned(), node(text))).collect()
    }

    #[test]
    fn what_does_not_touch_goes_together() {
        let base = tree(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("gone", "1")]);
        let theirs = tree(&[("a", "1"), ("b", "2"), ("c", "2"), ("d", "2"), ("x", "1"), ("n", "7")]);
        let changes = Changes::from(
            [
                ("a", put("3")),
                ("b", put("2")),
                ("c", put("3")),
                ("d", Change::Delete),
                ("gone", put("2")),
                ("x/y", put("1")),
                ("n", put("8")),
                ("new", put("1")),
            ]
            .map(|(path, change)| (path.to_owned(), change)),
        );
        let compared = compare(&changes, &base, &theirs);
        assert_eq!(compared.ours, ["a", "new"]);
        assert_eq!(compared.same, ["b"]);
        assert_eq!(compared.both, ["c"]);
        assert_eq!(compared.conflicts, ["d", "gone", "n", "x/y"]);
    }

    #[test]
    fn texts_go_together_line_by_line() {
        let base = "1\n2\n3\n4\n5\n";
        assert_eq!(merge_text(base, "one\n2\n3\n4\n5\n", "1\n2\n3\n4\nfive").unwrap(), "one\n2\n3\n4\nfive");
        assert_eq!(merge_text(base, "1\n2\nX\n4\n5\n", "1\n2\nX\n4\n5\n").unwrap(), "1\n2\nX\n4\n5\n");
        assert_eq!(merge_text(base, "1\n2\nX\n4\n5\n", "1\n2\nY\n4\n5\n"), None);
        assert_eq!(merge_text(base, "1\nX\n3\n4\n5\n", "1\n2\nY\n4\n5\n"), None, "neighbours");
        assert_eq!(merge_text("a\r\nb\r\nc\r\n", "A\r\nb\r\nc\r\n", "a\r\nb\r\nC\r\n").unwrap(), "A\r\nb\r\nC\r\n");
    }

    #[test]
    fn what_takes_too_long_to_compare_does_not_go_together() {
        let text = |step: usize| (0..60_000_usize).map(|n| format!("{}\n", n * step % 61_001)).collect::<String>();
        let began = computed();
        assert_eq!(merge_text(&text(3), &text(7), &text(13)), None);
        let took = computed() - began;
        assert!(took < std::time::Duration::from_secs(30), "{took:?}");
    }

    proptest! {
        #[test]
        fn one_side_alone_is_taken_whole(base in "([ab]\n){0,8}", changed in "([abc]\n){0,8}") {
            prop_assert_eq!(merge_text(&base, &changed, &base), Some(changed.clone()));
            prop_assert_eq!(merge_text(&base, &base, &changed), Some(changed.clone()));
            prop_assert_eq!(merge_text(&base, &changed, &changed), Some(changed));
        }
    }
}

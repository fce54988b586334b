//! Which changes land, which wait for an approval, and which commits they become.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::object::{Change, Changes, Mode};
use super::path;

/// Commits of one landing.
const MOST_COMMITS: usize = 20;

/// A commit as somebody proposes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProposedCommit {
    /// The message; its first line is the subject.
    pub message: String,
    /// Paths of files, or of directories that end with `/`.
    pub paths: Vec<String>,
}

/// A commit that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedCommit {
    /// The message as it was proposed; none for what nobody named.
    pub message: Option<String>,
    /// What it changes.
    pub changes: Changes,
}

/// Takes out what somebody with power over the repository has to approve.
pub fn split(changes: Changes) -> (Changes, Changes) {
    changes.into_iter().partition(|(path, _)| !path::needs_approval(path))
}

/// One commit for each proposal that names something, in their order; what nobody named goes into the last one, or one of its own when
/// there is no other. A path belongs to the first that names it.
pub fn commits(changes: &Changes, proposed: &[ProposedCommit]) -> Vec<PlannedCommit> {
    let mut rest = changes.clone();
    let mut planned = Vec::new();
    for commit in proposed.iter().take(MOST_COMMITS) {
        let named = |path: &String| commit.paths.iter().any(|named| names(named, path));
        let paths: Vec<String> = rest.keys().filter(|path| named(path)).cloned().collect();
        let changes: Changes = paths.iter().filter_map(|path| rest.remove_entry(path)).collect();
        if !changes.is_empty() {
            planned.push(PlannedCommit { message: Some(commit.message.clone()), changes });
        }
    }
    if !rest.is_empty() {
        planned.push(PlannedCommit { message: None, changes: rest });
    }
    planned
}

fn names(named: &str, path: &str) -> bool {
    let named = named.trim().trim_start_matches("./");
    named == path || named == "." || path.strip_prefix(named.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
}

/// Names exactly these changes, made from exactly this commit.
pub fn digest(base: &str, changes: &Changes) -> String {
    let mut hasher = Sha256::new();
    hasher.update(base);
    for (path, change) in changes {
        let node = change.node();
        let (mode, sha) = node.as_ref().map_or(("-", "-"), |node| (node.mode.octal(), node.sha.as_str()));
        hasher.update(format!("\0{path}\0{mode}\0{sha}"));
    }
    hex::encode(hasher.finalize())
}

/// Files that are written in calls of their own because a directory takes the place of a file, or the other way round.
pub fn deletions_come_first(changes: &Changes) -> bool {
    let deleted = |path: &str| changes.get(path) == Some(&Change::Delete);
    let put = |path: &str| matches!(changes.get(path), Some(Change::Put { .. }));
    let mut directories = BTreeSet::new();
    changes.keys().for_each(|path| directories.extend(path.match_indices('/').map(|(end, _)| (&path[..end], put(path)))));
    directories.iter().any(|(directory, is_put)| if *is_put { deleted(directory) } else { put(directory) })
}

/// The text of a change, where it has one that can stand in a request as it is.
pub fn text(change: &Change) -> Option<&str> {
    const LARGEST_TEXT: usize = 512 << 10;
    match change {
        Change::Put { mode: Mode::File | Mode::Executable | Mode::Link, content } if content.len() <= LARGEST_TEXT => {
            std::str::from_utf8(content).ok().filter(|text| !text.contains('\0'))
        }
        Change::Put { .. } | Change::Delete => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn changes(paths: &[&str]) -> Changes {
        let put = || Change::Put { mode: Mode::File, content: Bytes::from_static(b"x") };
        paths.iter().map(|path| ((*path).to_owned(), put())).collect()
    }

    fn proposed(message: &str, paths: &[&str]) -> ProposedCommit {
        ProposedCommit { message: message.to_owned(), paths: paths.iter().map(|path| (*path).to_owned()).collect() }
    }

    #[test]
    fn every_change_is_in_exactly_one_commit() {
        let all = changes(&["a", "b/c", "b/d", "bc", "e"]);
        let planned =
            commits(&all, &[proposed("one", &["./a", "nothing"]), proposed("two", &["b/", "a"]), proposed("none", &["zzz"])]);
        let shown: Vec<_> = planned
            .iter()
            .map(|commit| (commit.message.as_deref(), commit.changes.keys().cloned().collect::<Vec<_>>().join(" ")))
            .collect();
        assert_eq!(shown, [(Some("one"), "a".to_owned()), (Some("two"), "b/c b/d".to_owned()), (None, "bc e".to_owned())]);
        assert_eq!(commits(&all, &[]).len(), 1);
        assert_eq!(commits(&Changes::new(), &[proposed("one", &["."])]), []);
    }

    #[test]
    fn a_digest_names_one_change_set() {
        let one = digest("base", &changes(&["a"]));
        assert_eq!(one, digest("base", &changes(&["a"])));
        let mut deleted = changes(&["a"]);
        deleted.insert("a".to_owned(), Change::Delete);
        for other in [digest("other", &changes(&["a"])), digest("base", &changes(&["b"])), digest("base", &deleted)] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn workflows_wait_and_the_rest_lands() {
        let (lands, waits) = split(changes(&["src/a", ".github/workflows/ci.yml"]));
        assert_eq!((lands.len(), waits.len()), (1, 1));
    }

    #[test]
    fn a_directory_in_the_place_of_a_file_is_seen() {
        let mut over = changes(&["a/b"]);
        assert!(!deletions_come_first(&over));
        over.insert("a".to_owned(), Change::Delete);
        assert!(deletions_come_first(&over));
        let mut under = changes(&["a"]);
        under.insert("a/b/c".to_owned(), Change::Delete);
        assert!(deletions_come_first(&under));
    }
}

//! Makes git's objects on GitHub: contents, trees, and the same on top of a branch that moved. Nobody sees any of it until a branch names
//! it.

use bytes::Bytes;
use futures::future::join_all;

use super::offer::MOST_ORIGINALS;
use super::target::Target;
use super::trouble::Trouble;
use super::{GithubLander, Work, announce};
use crate::diffing;
use crate::github::{CommitTree, GithubError, NewEntry, RepoRef, Writes};
use crate::landing::object::{Change, Changes, Mode, Tree, blob_sha, changed, tree_sha};
use crate::landing::survey::LeftOut;
use crate::landing::{manifest, merge, plan};

/// Contents that are sent at the same time.
const AT_ONCE: usize = 4;
/// Entries and bytes of text of one call.
const MOST_ENTRIES: usize = 1_000;
const MOST_TEXT: usize = 4 << 20;
/// What is merged line by line.
const LARGEST_MERGED: usize = 1 << 20;

impl GithubLander {
    /// The tree with the changes in it. What GitHub made is compared with what was meant.
    pub(super) async fn write(
        &self,
        repo: &RepoRef,
        writes: Writes,
        base: &CommitTree,
        changes: &Changes,
    ) -> Result<CommitTree, Trouble> {
        let entries = self.entries(repo, writes, changes).await?;
        let mut sha = base.sha.clone();
        for chunk in chunks(entries, plan::deletions_come_first(changes)) {
            sha = self.in_turn(|| self.github.create_tree(repo, writes, &sha, &chunk)).await?;
        }
        let tree = changed(&base.tree, changes);
        if base.is_complete && tree_sha(&tree) != sha {
            return Err(Trouble::Refused("GitHub made another tree than was meant, so nothing was pushed".to_owned()));
        }
        Ok(CommitTree { sha, tree, is_complete: base.is_complete })
    }

    /// Texts go into the tree as they are; other contents are stored first.
    async fn entries(&self, repo: &RepoRef, writes: Writes, changes: &Changes) -> Result<Vec<(String, NewEntry)>, Trouble> {
        let all: Vec<(&String, &Change)> = changes.iter().collect();
        let mut entries = Vec::with_capacity(all.len());
        for some in all.chunks(AT_ONCE) {
            for made in join_all(some.iter().map(|(path, change)| self.entry(repo, writes, path, change))).await {
                entries.push(made?);
            }
        }
        Ok(entries)
    }

    async fn entry(&self, repo: &RepoRef, writes: Writes, path: &str, change: &Change) -> Result<(String, NewEntry), Trouble> {
        let entry = match (change, plan::text(change)) {
            (Change::Delete, _) => NewEntry::Gone,
            (Change::Put { mode, .. }, Some(text)) => NewEntry::Text(*mode, text.to_owned()),
            (Change::Put { mode, content }, None) => {
                let sha = self.in_turn(|| self.github.create_blob(repo, writes, content)).await?;
                if sha != blob_sha(content) {
                    return Err(Trouble::Refused(format!("GitHub stored `{}` otherwise than it is", path.escape_debug())));
                }
                NewEntry::Object(*mode, sha)
            }
        };
        Ok((path.to_owned(), entry))
    }

    /// Makes a call, and waits for its turn where that comes soon.
    pub(super) async fn in_turn<T, F>(&self, call: impl Fn() -> F) -> Result<T, GithubError>
    where
        F: Future<Output = Result<T, GithubError>>,
    {
        announce::in_turn(self.services.clock.as_ref(), announce::TURNS, call).await
    }

    /// What the changes are on top of `parent`, and its tree. What cannot land as the repository stores it is added to `left_out`.
    pub(super) async fn place_on(
        &self,
        work: &Work<'_>,
        target: &Target,
        base: &CommitTree,
        parent: &str,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<(CommitTree, Changes), Trouble> {
        let moved = parent != work.base;
        let theirs = if moved { self.in_turn(|| self.github.commit_tree(&target.objects, parent)).await? } else { base.clone() };
        if !base.is_complete || !theirs.is_complete {
            return match moved {
                true => {
                    Err(Trouble::Refused("the branch moved, and the repository has more files than can be compared".to_owned()))
                }
                false => Ok((theirs, work.changes.clone())),
            };
        }
        // What an archive leaves out or fills in is no change of ours.
        let mut changes = work.changes.clone();
        self.as_stored(&target.objects, &work.base, &base.tree, &mut changes, left_out).await?;
        changes.retain(|path, change| change.node().as_ref() != base.tree.get(path));
        let changes = match moved {
            true => self.merged(&target.objects, changes, &base.tree, (&theirs.tree, &Changes::new()), work.both).await?,
            false => changes,
        };
        Ok((theirs, changes))
    }

    /// Makes of files that attributes convert on their way into a workspace (their line ends, mostly) what the repository stores. `stored` is
    /// the tree of the commit `base`.
    async fn as_stored(
        &self,
        repo: &RepoRef,
        base: &str,
        stored: &Tree,
        changes: &mut Changes,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<(), Trouble> {
        let is_stored = |path: &String| stored.get(path).is_some_and(|node| node.mode != Mode::Submodule);
        let put = changes.iter().filter(|(path, change)| **change != Change::Delete && is_stored(path));
        let put: Vec<String> = put.map(|(path, _)| path.clone()).collect();
        if put.is_empty() {
            return Ok(());
        }
        let archive = self.sandboxes.archive(base).await?;
        let originals = manifest::contents(archive, put, MOST_ORIGINALS).await;
        let originals = originals.map_err(|error| Trouble::Refused(format!("the repository cannot be read: {error}")))?;
        for (path, _, original) in originals {
            let Some(node) = stored.get(&path).filter(|node| node.sha != blob_sha(&original)) else { continue };
            let Some(Change::Put { mode, content }) = changes.remove(&path) else { continue };
            let blob = self.in_turn(|| self.github.blob(repo, &node.sha)).await?;
            match diffing::apart(move || unconverted(mode, &blob, &original, &content)).await {
                Some(content) => drop(changes.insert(path, Change::Put { mode, content })),
                None => {
                    let why = "git changes it on its way out of the repository, so what would have to be stored is not known";
                    left_out.push(LeftOut { path, why: why.to_owned() });
                }
            }
        }
        Ok(())
    }

    /// The changes as they go on top of `theirs`, some of whose contents are in `known` and nowhere else.
    pub(super) async fn merged(
        &self,
        repo: &RepoRef,
        changes: Changes,
        base: &Tree,
        (theirs, known): (&Tree, &Changes),
        both: Both,
    ) -> Result<Changes, Trouble> {
        let compared = merge::compare(&changes, base, theirs);
        let (mut merged, mut conflicts) = (changes, compared.conflicts);
        for path in &compared.same {
            merged.remove(path);
        }
        for path in compared.both {
            let (Some(Change::Put { mode, content }), Some(was), Some(is), Both::Merged) =
                (merged.get(&path), base.get(&path), theirs.get(&path), both)
            else {
                conflicts.push(path);
                continue;
            };
            let mode = match (*mode == was.mode, was.mode == is.mode) {
                (true, _) => is.mode,
                (false, true) => *mode,
                (false, false) => {
                    conflicts.push(path);
                    continue;
                }
            };
            let ours = content.clone();
            let was = self.in_turn(|| self.github.blob(repo, &was.sha)).await?;
            let is = match known.get(&path) {
                Some(change @ Change::Put { content, .. }) if change.node().as_ref() == Some(is) => content.clone(),
                Some(_) | None => self.in_turn(|| self.github.blob(repo, &is.sha)).await?,
            };
            match merge_apart(mode, was, ours, is).await {
                Some(content) => drop(merged.insert(path, Change::Put { mode, content })),
                None => conflicts.push(path),
            }
        }
        if conflicts.is_empty() { Ok(merged) } else { Err(Trouble::Conflicts(conflicts)) }
    }
}

/// What becomes of a file that both sides changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Both {
    /// Both changes are in it, where they go together.
    Merged,
    /// It is a conflict: what was approved lands as it was shown, or not at all.
    Conflict,
}

/// What a file is stored as that is `content` now and was checked out as `original`, where the repository stores `stored`; none where more
/// than the ends of lines was converted.
fn unconverted(mode: Mode, stored: &Bytes, original: &Bytes, content: &Bytes) -> Option<Bytes> {
    if content == original {
        return Some(stored.clone());
    }
    let plain = |bytes: &Bytes| std::str::from_utf8(bytes).ok().map(|text| Bytes::from(text.replace("\r\n", "\n")));
    let (was, now) = (plain(original)?, plain(content)?);
    (plain(stored)? == was).then(|| merge_contents(mode, &was, &now, stored)).flatten()
}

/// As [`merge_contents`], where nothing else waits for it.
pub(super) async fn merge_apart(mode: Mode, was: Bytes, ours: Bytes, theirs: Bytes) -> Option<Bytes> {
    diffing::apart(move || merge_contents(mode, &was, &ours, &theirs)).await
}

/// Both sides' changes in one; none when they do not go together.
fn merge_contents(mode: Mode, was: &Bytes, ours: &Bytes, theirs: &Bytes) -> Option<Bytes> {
    if ours == was || ours == theirs {
        return Some(theirs.clone());
    }
    if theirs == was {
        return Some(ours.clone());
    }
    let text = |bytes: &Bytes| {
        let small = bytes.len() <= LARGEST_MERGED && !bytes.contains(&0) && mode != Mode::Link;
        small.then(|| String::from_utf8(bytes.to_vec()).ok()).flatten()
    };
    merge::merge_text(&text(was)?, &text(ours)?, &text(theirs)?).map(Bytes::from)
}

/// Entries in calls of a size GitHub takes.
fn chunks(entries: Vec<(String, NewEntry)>, deletions_first: bool) -> Vec<Vec<(String, NewEntry)>> {
    let mut groups = vec![entries];
    if deletions_first && let Some(all) = groups.pop() {
        let (gone, put): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, entry)| *entry == NewEntry::Gone);
        groups.extend([gone, put]);
    }
    let mut chunks = Vec::new();
    for group in groups {
        let (mut chunk, mut size) = (Vec::new(), 0);
        for (path, entry) in group {
            let text = match &entry {
                NewEntry::Text(_, text) => text.len(),
                NewEntry::Object(..) | NewEntry::Gone => 0,
            };
            if chunk.len() == MOST_ENTRIES || (size + text > MOST_TEXT && !chunk.is_empty()) {
                chunks.push(std::mem::take(&mut chunk));
                size = 0;
            }
            size += text;
            chunk.push((path, entry));
        }
        chunks.push(chunk);
    }
    chunks.retain(|chunk| !chunk.is_empty());
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_a_size_github_takes() {
        let text = |size: usize| NewEntry::Text(Mode::File, "x".repeat(size));
        let many: Vec<_> = (0..2_500).map(|n| (n.to_string(), text(10))).collect();
        assert_eq!(chunks(many, false).iter().map(Vec::len).collect::<Vec<_>>(), [1_000, 1_000, 500]);
        let large: Vec<_> = (0..3).map(|n| (n.to_string(), text(3 << 20))).collect();
        assert_eq!(chunks(large, false).len(), 3);
        let mixed = vec![("a".to_owned(), NewEntry::Gone), ("a/b".to_owned(), text(1))];
        assert_eq!(chunks(mixed.clone(), true).len(), 2);
        assert_eq!(chunks(mixed, false).len(), 1);
    }

    #[test]
    fn converted_files_are_stored_as_they_were() {
        let of = Bytes::from_static;
        let stored = |stored, original, now| unconverted(Mode::File, &of(stored), &of(original), &of(now));
        assert_eq!(stored(b"a\nb\n", b"a\r\nb\r\n", b"a\r\nB\r\nc\r\n"), Some(of(b"a\nB\nc\n")));
        assert_eq!(stored(b"a\nb\n", b"a\r\nb\r\n", b"a\nb\nc\n"), Some(of(b"a\nb\nc\n")));
        assert_eq!(stored(b"a\nb\nc\nd\r\n", b"a\r\nb\r\nc\r\nd\r\n", b"A\r\nb\r\nc\r\nd\r\n"), Some(of(b"A\nb\nc\nd\r\n")));
        assert_eq!(stored(b"$Format:%H$\n", b"0123\n", b"0123\nmore\n"), None);
        assert_eq!(stored(b"$Format:%H$\n", b"0123\n", b"0123\n"), Some(of(b"$Format:%H$\n")), "its mode is all that changed");
    }

    #[test]
    fn links_and_binary_files_are_not_merged() {
        let of = Bytes::from_static;
        assert_eq!(merge_contents(Mode::File, &of(b"1\n2\n3\n"), &of(b"1\n2\n4\n"), &of(b"0\n2\n3\n")), Some(of(b"0\n2\n4\n")));
        assert_eq!(merge_contents(Mode::Link, &of(b"a"), &of(b"b"), &of(b"c")), None);
        assert_eq!(merge_contents(Mode::File, &of(b"\0"), &of(b"\x01"), &of(b"\x02")), None);
        assert_eq!(merge_contents(Mode::File, &of(b"\0"), &of(b"\0"), &of(b"\x02")), Some(of(b"\x02")));
    }
}

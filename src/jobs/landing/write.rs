//! Makes git's objects on GitHub: contents, trees, and the same on top of a branch that moved. Nobody sees any of it until a branch names
//! it.

use bytes::Bytes;
use chrono::TimeDelta;
use futures::future::join_all;

use super::target::Target;
use super::trouble::Trouble;
use super::{GithubLander, Work};
use crate::diffing;
use crate::github::{CommitTree, GithubError, NewEntry, RepoRef, Writes};
use crate::landing::object::{Change, Changes, Mode, Tree, blob_sha, changed, tree_sha};
use crate::landing::{merge, plan};

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
            sha = self.github.create_tree(repo, writes, &sha, &chunk).await?;
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
                let sha = self.stored(repo, writes, content).await?;
                if sha != blob_sha(content) {
                    return Err(Trouble::Refused(format!("GitHub stored `{}` otherwise than it is", path.escape_debug())));
                }
                NewEntry::Object(*mode, sha)
            }
        };
        Ok((path.to_owned(), entry))
    }

    /// Waits for its turn: many contents take longer than one call is let wait.
    async fn stored(&self, repo: &RepoRef, writes: Writes, content: &[u8]) -> Result<String, GithubError> {
        const TURNS: usize = 30;
        const LONGEST: TimeDelta = TimeDelta::seconds(30);
        for _ in 0..TURNS {
            match self.github.create_blob(repo, writes, content).await {
                Err(GithubError::RateLimited { until }) if until - self.services.clock.now() <= LONGEST => {
                    tokio::time::sleep((until - self.services.clock.now()).to_std().unwrap_or_default()).await;
                }
                made => return made,
            }
        }
        self.github.create_blob(repo, writes, content).await
    }

    /// What the changes are on top of `parent`, and its tree.
    pub(super) async fn place_on(
        &self,
        work: &Work<'_>,
        target: &Target,
        base: &CommitTree,
        parent: &str,
    ) -> Result<(CommitTree, Changes), Trouble> {
        let moved = parent != work.base;
        let theirs = if moved { self.github.commit_tree(&target.objects, parent).await? } else { base.clone() };
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
        changes.retain(|path, change| change.node().as_ref() != base.tree.get(path));
        let changes = match moved {
            true => self.merged(&target.objects, changes, &base.tree, &theirs.tree).await?,
            false => changes,
        };
        Ok((theirs, changes))
    }

    /// The changes as they go on top of `theirs`.
    pub(super) async fn merged(&self, repo: &RepoRef, changes: Changes, base: &Tree, theirs: &Tree) -> Result<Changes, Trouble> {
        let compared = merge::compare(&changes, base, theirs);
        let (mut merged, mut conflicts) = (changes, compared.conflicts);
        for path in &compared.same {
            merged.remove(path);
        }
        for path in compared.both {
            let (Some(Change::Put { mode, content }), Some(was), Some(is)) =
                (merged.get(&path), base.get(&path), theirs.get(&path))
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
            let (was, is) = (self.github.blob(repo, &was.sha).await?, self.github.blob(repo, &is.sha).await?);
            match merge_apart(mode, was, ours, is).await {
                Some(content) => drop(merged.insert(path, Change::Put { mode, content })),
                None => conflicts.push(path),
            }
        }
        if conflicts.is_empty() { Ok(merged) } else { Err(Trouble::Conflicts(conflicts)) }
    }
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
    fn links_and_binary_files_are_not_merged() {
        let of = Bytes::from_static;
        assert_eq!(merge_contents(Mode::File, &of(b"1\n2\n3\n"), &of(b"1\n2\n4\n"), &of(b"0\n2\n3\n")), Some(of(b"0\n2\n4\n")));
        assert_eq!(merge_contents(Mode::Link, &of(b"a"), &of(b"b"), &of(b"c")), None);
        assert_eq!(merge_contents(Mode::File, &of(b"\0"), &of(b"\x01"), &of(b"\x02")), None);
        assert_eq!(merge_contents(Mode::File, &of(b"\0"), &of(b"\0"), &of(b"\x02")), Some(of(b"\x02")));
    }
}

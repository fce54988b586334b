//! The objects of a repository and of all its forks, which share them as on GitHub.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::object::{Commit, Entry, Mode, Object, Sha};

/// All files of a tree: path → what it is.
pub(in super::super) type Files = BTreeMap<String, (Mode, Sha)>;

#[derive(Clone, Default)]
pub(in super::super) struct Store(Arc<Mutex<BTreeMap<Sha, Arc<Object>>>>);

impl Store {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Sha, Arc<Object>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, sha: &str) -> Option<Arc<Object>> {
        self.lock().get(sha).cloned()
    }

    pub fn blob(&self, sha: &str) -> Option<Bytes> {
        match self.get(sha)?.as_ref() {
            Object::Blob(content) => Some(content.clone()),
            Object::Tree(_) | Object::Commit(_) => None,
        }
    }

    pub fn tree(&self, sha: &str) -> Option<Vec<Entry>> {
        match self.get(sha)?.as_ref() {
            Object::Tree(entries) => Some(entries.clone()),
            Object::Blob(_) | Object::Commit(_) => None,
        }
    }

    pub fn commit(&self, sha: &str) -> Option<Commit> {
        match self.get(sha)?.as_ref() {
            Object::Commit(commit) => Some(commit.clone()),
            Object::Blob(_) | Object::Tree(_) => None,
        }
    }

    /// The commit a beginning of at least seven digits can only mean.
    pub fn abbreviated(&self, start: &str) -> Option<Commit> {
        if start.len() < 7 || !start.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let start = start.to_ascii_lowercase();
        let objects = self.lock();
        let all = objects.range(start.clone()..).take_while(|(sha, _)| sha.starts_with(&start));
        let mut commits = all.filter_map(|(_, object)| match object.as_ref() {
            Object::Commit(commit) => Some(commit.clone()),
            Object::Blob(_) | Object::Tree(_) => None,
        });
        let found = commits.next()?;
        commits.next().is_none().then_some(found)
    }

    /// Keeps an object; a commit gets its id.
    pub fn put(&self, object: Object) -> Sha {
        let sha = object.id();
        let object = match object {
            Object::Commit(commit) => Object::Commit(Commit { sha: sha.clone(), ..commit }),
            other @ (Object::Blob(_) | Object::Tree(_)) => other,
        };
        self.lock().entry(sha.clone()).or_insert_with(|| Arc::new(object));
        sha
    }

    /// Writes the trees of these files. Returns the topmost.
    pub fn write_tree(&self, files: &Files) -> Sha {
        let files: Vec<(&str, &(Mode, Sha))> = files.iter().map(|(path, leaf)| (path.as_str(), leaf)).collect();
        self.write_directory(&files)
    }

    fn write_directory(&self, files: &[(&str, &(Mode, Sha))]) -> Sha {
        let mut entries = Vec::new();
        let mut below: BTreeMap<&str, Vec<(&str, &(Mode, Sha))>> = BTreeMap::new();
        for (path, leaf) in files {
            match path.split_once('/') {
                Some((directory, rest)) => below.entry(directory).or_default().push((rest, leaf)),
                None => entries.push(Entry { mode: leaf.0, name: (*path).to_owned(), sha: leaf.1.clone() }),
            }
        }
        for (directory, files) in below {
            entries.push(Entry { mode: Mode::Tree, name: directory.to_owned(), sha: self.write_directory(&files) });
        }
        self.put(Object::tree(entries))
    }

    /// All files of a tree; nothing when there is no such tree.
    pub fn files(&self, tree: &str) -> Files {
        let mut files = Files::new();
        self.walk(tree, "", &mut |path, entry| {
            if entry.mode != Mode::Tree {
                files.insert(path, (entry.mode, entry.sha.clone()));
            }
        });
        files
    }

    /// Visits everything below a tree, directories first, in git's order.
    pub fn walk(&self, tree: &str, prefix: &str, visit: &mut dyn FnMut(String, &Entry)) {
        for entry in self.tree(tree).unwrap_or_default() {
            let path = format!("{prefix}{}", entry.name);
            visit(path.clone(), &entry);
            if entry.mode == Mode::Tree {
                self.walk(&entry.sha, &format!("{path}/"), visit);
            }
        }
    }

    /// The files of a commit.
    pub fn files_of(&self, commit: &str) -> Files {
        self.commit(commit).map(|commit| self.files(&commit.tree)).unwrap_or_default()
    }

    /// The commit and everything before it.
    pub fn history(&self, sha: &str) -> BTreeSet<Sha> {
        let (mut seen, mut left) = (BTreeSet::new(), VecDeque::from([sha.to_owned()]));
        while let Some(sha) = left.pop_front() {
            if let Some(commit) = self.commit(&sha)
                && seen.insert(sha)
            {
                left.extend(commit.parents);
            }
        }
        seen
    }

    pub fn is_before(&self, earlier: &str, later: &str) -> bool {
        self.history(later).contains(earlier)
    }

    /// The latest commit both have.
    pub fn merge_base(&self, one: &str, other: &str) -> Option<Sha> {
        let of_one = self.history(one);
        let common: Vec<Commit> = self.history(other).intersection(&of_one).filter_map(|sha| self.commit(sha)).collect();
        let inner: BTreeSet<Sha> =
            common.iter().flat_map(|commit| &commit.parents).flat_map(|parent| self.history(parent)).collect();
        common.into_iter().filter(|commit| !inner.contains(&commit.sha)).max_by_key(|commit| commit.committer.at).map(|c| c.sha)
    }

    /// The commits of `head` that `base` lacks, parents before children.
    pub fn between(&self, base: Option<&str>, head: &str) -> Vec<Commit> {
        let known = base.map(|base| self.history(base)).unwrap_or_default();
        let mut left: Vec<Commit> = self.history(head).difference(&known).filter_map(|sha| self.commit(sha)).collect();
        left.sort_by(|a, b| (a.committer.at, &a.sha).cmp(&(b.committer.at, &b.sha)));
        let mut waiting: BTreeSet<Sha> = left.iter().map(|commit| commit.sha.clone()).collect();
        let mut ordered = Vec::with_capacity(left.len());
        while !left.is_empty() {
            // Commits have no circles, so one is always free.
            let free = left.iter().position(|commit| commit.parents.iter().all(|parent| !waiting.contains(parent))).unwrap_or(0);
            let commit = left.remove(free);
            waiting.remove(&commit.sha);
            ordered.push(commit);
        }
        ordered
    }
}

//! Git data of repositories: objects with their true ids, branches and tags; changed by people and over HTTP.

pub(super) mod archive;
pub(super) mod changes;
pub(super) mod commits;
pub(super) mod compare;
pub(super) mod contents;
pub(super) mod data;
pub(super) mod merge;
pub(super) mod object;
pub(super) mod people;
pub(super) mod read;
pub(super) mod refs;
pub(super) mod shape;
pub(super) mod store;
pub(super) mod trees;
pub(super) mod update;
pub(super) mod webhook;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use axum::http::StatusCode;
use bytes::Bytes;
use chrono::{DateTime, Utc};

pub use self::archive::Archive;
pub use self::changes::{Change, Status};
use self::object::{Commit, Object, Sha, is_sha};
pub use self::object::{Mode, Person};
use self::store::{Files, Store};
use super::refuse::Refuse;
use super::world::World;

pub(super) const DEFAULT_BRANCH: &str = "main";

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A file.
    File {
        /// Its content.
        content: Bytes,
        /// Whether it can be executed.
        executable: bool,
    },
    /// A symbolic link to a path.
    Link(String),
    /// A commit of another repository.
    Submodule(String),
}

impl From<&str> for Node {
    fn from(content: &str) -> Self {
        Self::File { content: Bytes::copy_from_slice(content.as_bytes()), executable: false }
    }
}

impl From<Vec<u8>> for Node {
    fn from(content: Vec<u8>) -> Self {
        Self::File { content: content.into(), executable: false }
    }
}

impl Node {
    /// A file that can be executed.
    pub fn executable(content: &str) -> Self {
        Self::File { content: Bytes::copy_from_slice(content.as_bytes()), executable: true }
    }

    fn store(&self, store: &Store) -> (Mode, Sha) {
        match self {
            Self::File { content, executable } => {
                let mode = if *executable { Mode::Executable } else { Mode::File };
                (mode, store.put(Object::Blob(content.clone())))
            }
            Self::Link(target) => (Mode::Link, store.put(Object::Blob(target.clone().into()))),
            Self::Submodule(commit) => (Mode::Submodule, commit.clone()),
        }
    }
}

/// The objects and references of a repository.
pub(super) struct Git {
    pub store: Store,
    /// Full names, such as `refs/heads/main`.
    pub refs: BTreeMap<String, Sha>,
    pub default_branch: String,
    /// Branches that change only by pull requests.
    pub protected: BTreeSet<String>,
    pub archives: BTreeMap<Sha, Archive>,
}

impl Default for Git {
    fn default() -> Self {
        Self {
            store: Store::default(),
            refs: BTreeMap::new(),
            default_branch: DEFAULT_BRANCH.into(),
            protected: BTreeSet::new(),
            archives: BTreeMap::new(),
        }
    }
}

impl Git {
    pub fn branch(&self, name: &str) -> Option<&Sha> {
        self.refs.get(&format!("refs/heads/{name}"))
    }

    pub fn branches(&self) -> impl Iterator<Item = (&str, &Sha)> {
        self.refs.iter().filter_map(|(name, sha)| Some((name.strip_prefix("refs/heads/")?, sha)))
    }

    /// What a person may write for a commit: a branch, a tag, a reference, an id or its beginning, `HEAD`.
    pub fn resolve(&self, reference: &str) -> Option<Commit> {
        let reference = if reference == "HEAD" { &self.default_branch } else { reference };
        let spellings = [format!("refs/heads/{reference}"), format!("refs/tags/{reference}"), format!("refs/{reference}")];
        let named = spellings.iter().find_map(|name| self.refs.get(name)).or_else(|| self.refs.get(reference));
        if let Some(sha) = named {
            return self.store.commit(sha);
        }
        if is_sha(reference) { self.store.commit(reference) } else { self.store.abbreviated(reference) }
    }

    /// The same for requests.
    pub fn find(&self, reference: &str) -> Result<Commit, Refuse> {
        self.not_empty()?;
        self.resolve(reference).ok_or_else(|| Refuse::unprocessable(&format!("No commit found for SHA: {reference}")))
    }

    pub fn not_empty(&self) -> Result<(), Refuse> {
        if self.branches().next().is_none() {
            return Err(Refuse::new(StatusCode::CONFLICT, "Git Repository is empty."));
        }
        Ok(())
    }

    /// Keeps a commit of these files by one person.
    pub fn commit(&self, by: &Person, message: &str, parents: Vec<Sha>, files: &Files) -> Sha {
        self.write(Commit {
            sha: Sha::new(),
            tree: self.store.write_tree(files),
            parents,
            author: by.clone(),
            committer: by.clone(),
            message: message.to_owned(),
            signature: None,
        })
    }

    pub fn write(&self, commit: Commit) -> Sha {
        self.store.put(Object::Commit(commit))
    }
}

/// Puts one leaf in its place; what is in its way goes.
pub(super) fn place(files: &mut Files, path: &str, leaf: (Mode, Sha)) {
    remove_below(files, path);
    for (at, _) in path.match_indices('/') {
        files.remove(&path[..at]);
    }
    files.insert(path.to_owned(), leaf);
}

/// Removes a directory. Returns whether there was one.
pub(super) fn remove_below(files: &mut Files, path: &str) -> bool {
    let prefix = format!("{path}/");
    let below: Vec<String> =
        files.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix)).map(|(name, _)| name.clone()).collect();
    for name in &below {
        files.remove(name);
    }
    !below.is_empty()
}

impl World {
    pub(super) fn git(&mut self, repository: &str) -> anyhow::Result<&mut Git> {
        let id = self.repository(repository).context("no such repository")?.id;
        Ok(&mut self.repositories.get_mut(&id).context("no such repository")?.git)
    }

    /// An account as author of a commit.
    pub(super) fn person(&self, login: &str, at: DateTime<Utc>) -> Person {
        let id = self.user(login).map_or(0, |user| user.id);
        Person { name: login.to_owned(), email: format!("{id}+{login}@users.noreply.github.com"), at: at.fixed_offset() }
    }

    /// The account a commit's author or committer is.
    pub(super) fn account_of(&self, person: &Person) -> Option<&str> {
        if person.email == "noreply@github.com" {
            return Some(super::world::WEB_FLOW);
        }
        let local = person.email.strip_suffix("@users.noreply.github.com")?;
        let login = local.split_once('+').map_or(local, |(_, login)| login);
        self.user(login).map(|user| user.login.as_str())
    }
}

/// GitHub as the committer of what it signs.
pub(super) fn github(at: DateTime<Utc>) -> Person {
    Person { name: "GitHub".into(), email: "noreply@github.com".into(), at: at.fixed_offset() }
}

//! Commits of a repository: written by people, looked up and fetched as archives by the service.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::api::Paging;
use super::auth::{Actor, Level, random};
use super::refuse::Refuse;
use super::shape::time;
use super::world::{IssueRef, Repository, World};
use super::{GithubStandin, Shared};

const CONTENTS: [(&str, Level); 1] = [("contents", Level::Read)];

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
}

impl From<&str> for Node {
    fn from(content: &str) -> Self {
        Self::File { content: Bytes::copy_from_slice(content.as_bytes()), executable: false }
    }
}

impl Node {
    /// A file that can be executed.
    pub fn executable(content: &str) -> Self {
        Self::File { content: Bytes::copy_from_slice(content.as_bytes()), executable: true }
    }
}

/// What is served instead of a commit's true archive.
#[derive(Clone, Debug)]
pub enum Archive {
    /// These bytes.
    Bytes(Bytes),
    /// Something that claims to have this many bytes.
    OfSize(u64),
}

/// The commits and branches of a repository.
#[derive(Default)]
pub(super) struct Git {
    commits: BTreeMap<String, Commit>,
    branches: BTreeMap<String, String>,
    /// Heads of pull requests, with the commits they bring, oldest first.
    pulls: BTreeMap<i64, Vec<String>>,
    archives: BTreeMap<String, Archive>,
}

#[derive(Clone)]
struct Commit {
    sha: String,
    message: String,
    parent: Option<String>,
    at: DateTime<Utc>,
    files: BTreeMap<String, Node>,
}

const DEFAULT_BRANCH: &str = "main";

impl Git {
    fn add(&mut self, parent: Option<String>, at: DateTime<Utc>, message: &str, files: BTreeMap<String, Node>) -> String {
        let digest = Sha256::digest(format!("{parent:?} {at} {message} {files:?}"));
        let sha = hex::encode(digest)[..40].to_owned();
        let commit = Commit { sha: sha.clone(), message: message.to_owned(), parent, at, files };
        self.commits.insert(sha.clone(), commit);
        sha
    }

    fn find(&self, reference: &str) -> Result<&Commit, Refuse> {
        if self.branches.is_empty() {
            return Err(Refuse::new(StatusCode::CONFLICT, "Git Repository is empty."));
        }
        let branch = if reference == "HEAD" { DEFAULT_BRANCH } else { reference };
        let sha = self.branches.get(branch).map_or(reference, String::as_str);
        let none = || Refuse::unprocessable(&format!("No commit found for SHA: {reference}"));
        self.commits.get(sha).ok_or_else(none)
    }
}

impl GithubStandin {
    /// Somebody pushes a commit to the default branch: these files are all there are then. Returns its SHA.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn push(&self, repository: &str, message: &str, files: &[(&str, Node)]) -> anyhow::Result<String> {
        self.shared.with(|world| {
            let at = world.now();
            let git = world.git(repository)?;
            let parent = git.branches.get(DEFAULT_BRANCH).cloned();
            let sha = git.add(parent, at, message, owned(files));
            git.branches.insert(DEFAULT_BRANCH.to_owned(), sha.clone());
            Ok(sha)
        })
    }

    /// Somebody pushes a commit to the branch of a pull request, made at that time by its own account. Returns its SHA.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn push_to_pull_request(&self, pull: &IssueRef, files: &[(&str, Node)], at: DateTime<Utc>) -> anyhow::Result<String> {
        self.shared.with(|world| {
            let git = world.git(&pull.repository)?;
            let last = git.pulls.get(&pull.number).and_then(|commits| commits.last());
            let parent = last.or(git.branches.get(DEFAULT_BRANCH)).cloned();
            let sha = git.add(parent, at, "Work on it", owned(files));
            git.pulls.entry(pull.number).or_default().push(sha.clone());
            Ok(sha)
        })
    }

    /// Serves something else as the archive of a commit.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn replace_archive(&self, repository: &str, sha: &str, archive: Archive) -> anyhow::Result<()> {
        self.shared.with(|world| {
            world.git(repository)?.archives.insert(sha.to_owned(), archive);
            Ok(())
        })
    }
}

fn owned(files: &[(&str, Node)]) -> BTreeMap<String, Node> {
    files.iter().map(|(path, node)| ((*path).to_owned(), node.clone())).collect()
}

type Asked = (State<Arc<Shared>>, Extension<Actor>);
type Answer = Result<Json<Value>, Refuse>;

impl World {
    fn git(&mut self, repository: &str) -> anyhow::Result<&mut Git> {
        let id = self.repository(repository).context("no such repository")?.id;
        Ok(&mut self.repositories.get_mut(&id).context("no such repository")?.git)
    }

    /// The repository, when the actor may read its contents.
    fn readable(&self, actor: &Actor, owner: &str, repo: &str) -> Result<&Repository, Refuse> {
        let repository = self.repository(&format!("{owner}/{repo}")).ok_or_else(Refuse::not_found)?;
        actor.may(self, repository, &CONTENTS)?;
        Ok(repository)
    }

    fn commit_json(&self, repository: &Repository, commit: &Commit) -> Value {
        let api = format!("{}/repos/{}", self.api, repository.full_name);
        let by = json!({"name": "Maya", "email": "maya@example.com", "date": time(commit.at)});
        let parents: Vec<Value> =
            commit.parent.iter().map(|sha| json!({"sha": sha, "url": format!("{api}/commits/{sha}")})).collect();
        json!({
            "sha": commit.sha, "url": format!("{api}/commits/{}", commit.sha), "parents": parents,
            "commit": {"message": commit.message, "author": by, "committer": by, "comment_count": 0,
                "tree": {"sha": commit.sha, "url": format!("{api}/git/trees/{}", commit.sha)}},
            "author": null, "committer": null,
        })
    }
}

pub(super) async fn commit(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, reference)): Path<(String, String, String)>,
) -> Answer {
    let world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    Ok(Json(world.commit_json(repository, repository.git.find(&reference)?)))
}

#[derive(Deserialize)]
pub(super) struct Reference {
    #[serde(rename = "ref")]
    reference: Option<String>,
}

pub(super) async fn contents(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, path)): Path<(String, String, String)>,
    Query(Reference { reference }): Query<Reference>,
) -> Answer {
    let world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    let commit = repository.git.find(reference.as_deref().unwrap_or("HEAD")).map_err(|_| Refuse::not_found())?;
    match commit.files.get(&path) {
        Some(Node::File { content, .. }) => Ok(Json(json!({
            "type": "file", "encoding": "base64", "size": content.len(), "name": path.rsplit('/').next(), "path": path,
            "content": STANDARD.encode(content).as_bytes().chunks(60).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n"),
        }))),
        Some(Node::Link(target)) => Ok(Json(json!({"type": "symlink", "target": target, "size": target.len(), "path": path}))),
        None => Err(Refuse::not_found()),
    }
}

pub(super) async fn pull(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, number)): Path<(String, String, i64)>,
) -> Answer {
    let world = shared.lock();
    let repository = world.repository(&format!("{owner}/{repo}")).ok_or_else(Refuse::not_found)?;
    actor.may(&world, repository, &[("pull_requests", Level::Read)])?;
    let issue = world.issues.get(&(repository.id, number)).filter(|issue| issue.is_pull_request).ok_or_else(Refuse::not_found)?;
    let commits = repository.git.pulls.get(&number).ok_or_else(Refuse::not_found)?;
    let base = repository.git.branches.get(DEFAULT_BRANCH);
    Ok(Json(json!({
        "number": number, "title": issue.title, "state": if issue.open { "open" } else { "closed" }, "commits": commits.len(),
        "head": {"sha": commits.last(), "ref": "work"}, "base": {"sha": base, "ref": DEFAULT_BRANCH},
    })))
}

pub(super) async fn pull_commits(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, number)): Path<(String, String, i64)>,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.repository(&format!("{owner}/{repo}")).ok_or_else(Refuse::not_found)?;
    actor.may(&world, repository, &[("pull_requests", Level::Read)])?;
    let commits = repository.git.pulls.get(&number).ok_or_else(Refuse::not_found)?;
    let commits: Vec<Value> =
        commits.iter().filter_map(|sha| repository.git.commits.get(sha)).map(|one| world.commit_json(repository, one)).collect();
    Ok(paging.answer(commits, &format!("{}/repos/{owner}/{repo}/pulls/{number}/commits", shared.api())))
}

/// Sends whoever asks to the address where archives are, with a token for this one.
pub(super) async fn tarball(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, reference)): Path<(String, String, String)>,
) -> Result<Response, Refuse> {
    let mut world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    let sha = repository.git.find(&reference).map_err(|_| Refuse::not_found())?.sha.clone();
    let (id, full_name) = (repository.id, repository.full_name.clone());
    let token = random();
    let location = format!("{}/{full_name}/legacy.tar.gz/{sha}?token={token}", shared.codeload);
    world.archive_tokens.insert(token, (id, sha));
    Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}

impl World {
    /// The archive a token is for; each token works once.
    pub(super) fn archive(&mut self, token: &str) -> Option<anyhow::Result<Archive>> {
        let (id, sha) = self.archive_tokens.remove(token)?;
        let repository = self.repositories.get(&id)?;
        if let Some(archive) = repository.git.archives.get(&sha) {
            return Some(Ok(archive.clone()));
        }
        let commit = repository.git.commits.get(&sha)?;
        let top = format!("{}-{}-{}", repository.owner(), repository.name(), &sha[..7]);
        Some(pack(commit, &top).map(|bytes| Archive::Bytes(bytes.into())))
    }
}

/// As `git archive` does: everything below one directory, all times those of the commit.
fn pack(commit: &Commit, top: &str) -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let header = |kind: tar::EntryType, mode: u32, size: usize| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size as u64);
        header.set_mtime(commit.at.timestamp().unsigned_abs());
        header
    };
    archive.append_data(&mut header(tar::EntryType::Directory, 0o775, 0), format!("{top}/"), std::io::empty())?;
    for (path, node) in &commit.files {
        let path = format!("{top}/{path}");
        match node {
            Node::File { content, executable } => {
                let mode = if *executable { 0o775 } else { 0o664 };
                archive.append_data(&mut header(tar::EntryType::Regular, mode, content.len()), path, content.as_ref())?;
            }
            Node::Link(target) => {
                archive.append_link(&mut header(tar::EntryType::Symlink, 0o777, 0), path, target)?;
            }
        }
    }
    let mut encoder = archive.into_inner()?;
    encoder.flush()?;
    Ok(encoder.finish()?)
}

impl Git {
    /// The commits of a pull request, oldest first.
    pub(super) fn commits_of(&self, number: i64) -> Vec<String> {
        self.pulls.get(&number).cloned().unwrap_or_default()
    }

    /// A file at a commit.
    pub(super) fn content(&self, commit: &str, path: &str) -> Option<Bytes> {
        match self.commits.get(commit)?.files.get(path)? {
            Node::File { content, .. } => Some(content.clone()),
            Node::Link(target) => Some(Bytes::copy_from_slice(target.as_bytes())),
        }
    }

    /// Where a pull request left its base.
    pub(super) fn fork_point(&self, number: i64, _: &str) -> Option<String> {
        let first = self.pulls.get(&number)?.first()?;
        self.commits.get(first)?.parent.clone()
    }

    /// Commits changed files to the branch of a pull request.
    pub(super) fn change(&mut self, number: i64, files: Vec<(String, Bytes)>, at: DateTime<Utc>) -> Option<String> {
        let parent = self.pulls.get(&number)?.last()?.clone();
        let mut all = self.commits.get(&parent)?.files.clone();
        all.extend(files.into_iter().map(|(path, content)| (path, Node::File { content, executable: false })));
        let sha = self.add(Some(parent), at, "Apply suggestions", all);
        self.pulls.entry(number).or_default().push(sha.clone());
        Some(sha)
    }
}

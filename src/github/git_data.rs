//! Git's objects and branches, made through the API: nothing is cloned, and GitHub signs what an App commits.
//!
//! Making an object twice makes it once: its name follows from what is in it. A commit is only seen once a branch names it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{As, Needs};
use super::client::{Call, Effect, Github};
use super::error::GithubError;
use super::{RepoRef, paging};
use crate::landing::object::{Mode, Node, Tree};

/// For whom a call writes: files of GitHub's own workflows take a permission of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Everything but workflows.
    Files,
    /// Workflows, too.
    Workflows,
}

impl Writes {
    pub(super) fn needs(self) -> Needs {
        match self {
            Self::Files => Needs::Landing,
            Self::Workflows => Needs::LandingWorkflows,
        }
    }
}

/// The tree of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitTree {
    /// The name of the tree.
    pub sha: String,
    /// Everything in it.
    pub tree: Tree,
    /// False when GitHub did not list all of it.
    pub is_complete: bool,
}

/// An entry of a tree that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewEntry {
    /// With its text.
    Text(Mode, String),
    /// With the name of its content.
    Object(Mode, String),
    /// It goes.
    Gone,
}

#[derive(Deserialize)]
struct WireCommit {
    tree: WireObject,
}

#[derive(Deserialize)]
struct WireObject {
    sha: String,
}

#[derive(Deserialize)]
struct WireRef {
    object: WireObject,
}

#[derive(Deserialize)]
struct WireTree {
    #[serde(default)]
    tree: Vec<WireEntry>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct WireEntry {
    path: String,
    mode: String,
    sha: Option<String>,
}

#[derive(Deserialize)]
struct WireBlob {
    content: String,
    encoding: String,
}

#[derive(Deserialize)]
struct WireBranch {
    #[serde(default)]
    protected: bool,
}

#[derive(Deserialize)]
struct WireCompared {
    status: String,
}

impl Github {
    /// The tree of a commit, with every path in it.
    ///
    /// # Errors
    /// As the calls. `NotFound` when there is no such commit.
    pub async fn commit_tree(&self, repo: &RepoRef, commit: &str) -> Result<CommitTree, GithubError> {
        let who = As::Repository(repo, Needs::Contents);
        let call = Call::get(format!("{}/git/commits/{}", repo.path()?, paging::encode(commit)));
        let commit: WireCommit = self.within(Effect::None, self.call(who, &call)).await?.json(Effect::None)?;
        let call = Call::get(format!("{}/git/trees/{}?recursive=1", repo.path()?, paging::encode(&commit.tree.sha)));
        let wire: WireTree = self.within(Effect::None, self.call(who, &call)).await?.json(Effect::None)?;
        let node = |entry: WireEntry| Some((entry.path, Node { mode: Mode::parse(&entry.mode)?, sha: entry.sha? }));
        let tree = wire.tree.into_iter().filter_map(node).collect();
        Ok(CommitTree { sha: commit.tree.sha, tree, is_complete: !wire.truncated })
    }

    /// The content behind a name.
    ///
    /// # Errors
    /// As the call.
    pub async fn blob(&self, repo: &RepoRef, sha: &str) -> Result<Bytes, GithubError> {
        let call = Call::get(format!("{}/git/blobs/{}", repo.path()?, paging::encode(sha)));
        let asked = self.within(Effect::None, self.call(As::Repository(repo, Needs::Contents), &call)).await?;
        let blob: WireBlob = asked.json(Effect::None)?;
        if blob.encoding != "base64" {
            return Ok(blob.content.into());
        }
        let base64: String = blob.content.split_whitespace().collect();
        let content = STANDARD.decode(base64).map_err(|error| GithubError::Invalid(format!("a file cannot be read: {error}")))?;
        Ok(content.into())
    }

    /// The commit a branch stands at; none when there is no such branch.
    ///
    /// # Errors
    /// As the call.
    pub async fn branch_head(&self, repo: &RepoRef, branch: &str) -> Result<Option<String>, GithubError> {
        let call = Call::get(format!("{}/git/ref/heads/{}", repo.path()?, in_path(branch)));
        let asked = self.within(Effect::None, self.call(As::Repository(repo, Needs::Contents), &call)).await;
        match asked {
            Ok(answer) => Ok(Some(answer.json::<WireRef>(Effect::None)?.object.sha)),
            Err(GithubError::NotFound) => Ok(None),
            Err(GithubError::Invalid(why)) if why.starts_with("HTTP 409") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether rules protect a branch, as far as GitHub tells us. A branch that is not there is not protected.
    ///
    /// # Errors
    /// As the call.
    pub async fn is_protected(&self, repo: &RepoRef, branch: &str) -> Result<bool, GithubError> {
        let call = Call::get(format!("{}/branches/{}", repo.path()?, in_path(branch)));
        let asked = self.within(Effect::None, self.call(As::Repository(repo, Needs::Contents), &call)).await;
        match asked {
            Ok(answer) => Ok(answer.json::<WireBranch>(Effect::None)?.protected),
            Err(GithubError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a branch holds a commit.
    ///
    /// # Errors
    /// As the call.
    pub async fn holds(&self, repo: &RepoRef, branch_head: &str, commit: &str) -> Result<bool, GithubError> {
        if branch_head == commit {
            return Ok(true);
        }
        let (commit, head) = (paging::encode(commit), paging::encode(branch_head));
        let call = Call::get(format!("{}/compare/{commit}...{head}?per_page=1", repo.path()?));
        let asked = self.within(Effect::None, self.call(As::Repository(repo, Needs::Contents), &call)).await;
        match asked {
            Ok(answer) => Ok(matches!(answer.json::<WireCompared>(Effect::None)?.status.as_str(), "ahead" | "identical")),
            Err(GithubError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stores a content and returns its name. Idempotent.
    ///
    /// # Errors
    /// As the call. `Invalid` when it is larger than GitHub takes.
    pub async fn create_blob(&self, repo: &RepoRef, writes: Writes, content: &[u8]) -> Result<String, GithubError> {
        let body = json!({"content": STANDARD.encode(content), "encoding": "base64"});
        self.create_object(repo, writes, "blobs", body).await
    }

    /// Makes a tree out of another one and returns its name. Idempotent.
    ///
    /// # Errors
    /// As the call. `Invalid` when something that goes is not there.
    pub async fn create_tree(
        &self,
        repo: &RepoRef,
        writes: Writes,
        base: &str,
        entries: &[(String, NewEntry)],
    ) -> Result<String, GithubError> {
        let entry = |(path, entry): &(String, NewEntry)| match entry {
            NewEntry::Text(mode, text) => json!({"path": path, "mode": mode.octal(), "type": "blob", "content": text}),
            NewEntry::Object(mode, sha) => json!({"path": path, "mode": mode.octal(), "type": kind(*mode), "sha": sha}),
            NewEntry::Gone => json!({"path": path, "mode": "100644", "type": "blob", "sha": null}),
        };
        let body = json!({"base_tree": base, "tree": entries.iter().map(entry).collect::<Vec<_>>()});
        self.create_object(repo, writes, "trees", body).await
    }

    /// Makes a commit that no branch names yet and returns its name. Author and committer are left to GitHub, which signs it where an App
    /// asks. Made twice it is two, neither of which anybody sees.
    ///
    /// # Errors
    /// As the call.
    pub async fn create_commit(
        &self,
        repo: &RepoRef,
        writes: Writes,
        message: &str,
        tree: &str,
        parent: &str,
    ) -> Result<String, GithubError> {
        let body = json!({"message": message, "tree": tree, "parents": [parent]});
        self.create_object(repo, writes, "commits", body).await
    }

    async fn create_object(&self, repo: &RepoRef, writes: Writes, what: &str, body: Value) -> Result<String, GithubError> {
        let call = Call::post(format!("{}/git/{what}", repo.path()?), body, Effect::Change);
        let answer = self.within(Effect::Change, self.call(As::Repository(repo, writes.needs()), &call)).await?;
        Ok(answer.json::<WireObject>(Effect::Change)?.sha)
    }

    /// Makes a branch at a commit.
    ///
    /// # Errors
    /// As the call. `Invalid` when there is a branch of that name: look where it stands.
    pub async fn create_branch(&self, repo: &RepoRef, writes: Writes, branch: &str, commit: &str) -> Result<(), GithubError> {
        let body = json!({"ref": format!("refs/heads/{branch}"), "sha": commit});
        let call = Call::post(format!("{}/git/refs", repo.path()?), body, Effect::Change);
        self.within(Effect::Change, self.call(As::Repository(repo, writes.needs()), &call)).await?;
        Ok(())
    }

    /// Moves a branch forward to a commit; never anywhere else.
    ///
    /// # Errors
    /// As the call. `Invalid` when that would take something off the branch.
    pub async fn move_branch(&self, repo: &RepoRef, writes: Writes, branch: &str, commit: &str) -> Result<(), GithubError> {
        let path = format!("{}/git/refs/heads/{}", repo.path()?, in_path(branch));
        let call = Call::patch(path, json!({"sha": commit, "force": false}));
        self.within(Effect::Change, self.call(As::Repository(repo, writes.needs()), &call)).await?;
        Ok(())
    }

    /// Removes a branch; fine when there is none.
    ///
    /// # Errors
    /// As the call.
    pub async fn delete_branch(&self, repo: &RepoRef, branch: &str) -> Result<(), GithubError> {
        let call = Call::delete(format!("{}/git/refs/heads/{}", repo.path()?, in_path(branch)));
        let asked = self.within(Effect::Change, self.call(As::Repository(repo, Needs::Landing), &call)).await;
        match asked {
            Ok(_) | Err(GithubError::NotFound) => Ok(()),
            Err(GithubError::Invalid(why)) if why.to_lowercase().contains("does not exist") => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn kind(mode: Mode) -> &'static str {
    match mode {
        Mode::File | Mode::Executable | Mode::Link => "blob",
        Mode::Submodule => "commit",
    }
}

/// A branch's name in a path, its slashes kept.
fn in_path(branch: &str) -> String {
    branch.split('/').map(paging::encode).collect::<Vec<_>>().join("/")
}

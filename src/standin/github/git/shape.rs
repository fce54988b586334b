//! GitHub's JSON of commits, references and changes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::super::shape::node;
use super::super::world::{Repository, World};
use super::changes::{Change, changes};
use super::object::{Commit, Person};
use super::store::Files;

fn utc(at: DateTime<FixedOffset>) -> String {
    at.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn person(person: &Person) -> Value {
    json!({"name": person.name, "email": person.email, "date": utc(person.at)})
}

fn verification(commit: &Commit) -> Value {
    let verified = commit.is_verified();
    let reason = match (&commit.signature, verified) {
        (None, _) => "unsigned",
        (Some(_), true) => "valid",
        (Some(_), false) => "unknown_key",
    };
    let at = verified.then(|| utc(commit.committer.at));
    let payload = commit.signature.as_ref().map(|_| commit.payload());
    json!({"verified": verified, "reason": reason, "signature": commit.signature, "payload": payload, "verified_at": at})
}

/// In lines of 60 as GitHub breaks them, each with its line feed.
pub(in super::super) fn base64(content: &[u8]) -> String {
    let text = STANDARD.encode(content);
    text.as_bytes().chunks(60).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect()
}

impl World {
    pub(in super::super) fn repository_url(&self, repository: &Repository) -> String {
        format!("{}/repos/{}", self.api, repository.full_name)
    }

    pub(in super::super) fn repository_page(&self, repository: &Repository) -> String {
        format!("{}/{}", self.origin, repository.full_name)
    }

    fn parents_json(&self, repository: &Repository, commit: &Commit, below: &str) -> Value {
        let (api, page) = (self.repository_url(repository), self.repository_page(repository));
        let one =
            |sha: &String| json!({"sha": sha, "url": format!("{api}/{below}/{sha}"), "html_url": format!("{page}/commit/{sha}")});
        commit.parents.iter().map(one).collect()
    }

    fn git_user(&self, person: &Person) -> Value {
        self.account_of(person).map_or(Value::Null, |login| self.user_json(login))
    }

    /// `commit` of the description.
    pub(in super::super) fn commit_json(&self, repository: &Repository, commit: &Commit) -> Value {
        let (api, sha) = (self.repository_url(repository), &commit.sha);
        json!({
            "sha": sha, "node_id": format!("C_{sha}"), "url": format!("{api}/commits/{sha}"),
            "html_url": format!("{}/commit/{sha}", self.repository_page(repository)),
            "comments_url": format!("{api}/commits/{sha}/comments"), "parents": self.parents_json(repository, commit, "commits"),
            "commit": {"message": commit.message, "author": person(&commit.author), "committer": person(&commit.committer),
                "comment_count": 0, "url": format!("{api}/git/commits/{sha}"), "verification": verification(commit),
                "tree": {"sha": commit.tree, "url": format!("{api}/git/trees/{}", commit.tree)}},
            "author": self.git_user(&commit.author), "committer": self.git_user(&commit.committer),
        })
    }

    /// The same with what it changed.
    pub(in super::super) fn full_commit_json(&self, repository: &Repository, commit: &Commit) -> Value {
        let store = &repository.git.store;
        let before = commit.parents.first().map(|parent| store.files_of(parent)).unwrap_or_default();
        let all = changes(store, &before, &store.files(&commit.tree));
        let (additions, deletions) = totals(&all);
        let mut json = self.commit_json(repository, commit);
        json["stats"] = json!({"additions": additions, "deletions": deletions, "total": additions + deletions});
        json["files"] = all.iter().take(300).map(|change| self.change_json(repository, &commit.sha, change)).collect();
        json
    }

    /// `git-commit` of the description.
    pub(in super::super) fn git_commit_json(&self, repository: &Repository, commit: &Commit) -> Value {
        let (api, sha) = (self.repository_url(repository), &commit.sha);
        json!({
            "sha": sha, "node_id": format!("C_{sha}"), "url": format!("{api}/git/commits/{sha}"), "message": commit.message,
            "html_url": format!("{}/commit/{sha}", self.repository_page(repository)), "author": person(&commit.author),
            "committer": person(&commit.committer), "parents": self.parents_json(repository, commit, "git/commits"),
            "tree": {"sha": commit.tree, "url": format!("{api}/git/trees/{}", commit.tree)}, "verification": verification(commit),
        })
    }

    /// `git-ref` of the description.
    pub(in super::super) fn ref_json(&self, repository: &Repository, reference: &str, sha: &str) -> Value {
        let api = self.repository_url(repository);
        json!({"ref": reference, "node_id": node("REF", repository.id), "url": format!("{api}/git/{reference}"),
            "object": {"type": "commit", "sha": sha, "url": format!("{api}/git/commits/{sha}")}})
    }

    /// `diff-entry` of the description.
    pub(in super::super) fn change_json(&self, repository: &Repository, commit: &str, change: &Change) -> Value {
        let (api, page, path) = (self.repository_url(repository), self.repository_page(repository), &change.path);
        let mut json = json!({
            "sha": change.sha, "filename": path, "status": change.status.as_str(), "additions": change.additions,
            "deletions": change.deletions, "changes": change.additions + change.deletions,
            "blob_url": format!("{page}/blob/{commit}/{path}"), "raw_url": format!("{page}/raw/{commit}/{path}"),
            "contents_url": format!("{api}/contents/{path}?ref={commit}"),
        });
        if let Some(patch) = &change.patch {
            json["patch"] = patch.as_str().into();
        }
        if let Some(previous) = &change.previous {
            json["previous_filename"] = previous.as_str().into();
        }
        json
    }

    /// A commit as a push tells it.
    pub(in super::super) fn pushed_json(&self, repository: &Repository, commit: &Commit, before: &Files) -> Value {
        let who = |person: &Person| {
            let mut json = json!({"name": person.name, "email": person.email});
            if let Some(login) = self.account_of(person) {
                json["username"] = login.into();
            }
            json
        };
        let after = repository.git.store.files(&commit.tree);
        let added: Vec<&String> = after.keys().filter(|path| !before.contains_key(*path)).collect();
        let removed: Vec<&String> = before.keys().filter(|path| !after.contains_key(*path)).collect();
        let modified: Vec<&String> =
            after.iter().filter(|(path, leaf)| before.get(*path).is_some_and(|was| was != *leaf)).map(|(path, _)| path).collect();
        json!({
            "id": commit.sha, "tree_id": commit.tree, "distinct": true, "message": commit.message,
            "timestamp": commit.committer.at.to_rfc3339_opts(SecondsFormat::Secs, true),
            "url": format!("{}/commit/{}", self.repository_page(repository), commit.sha), "author": who(&commit.author),
            "committer": who(&commit.committer), "added": added, "removed": removed, "modified": modified,
        })
    }
}

pub(in super::super) fn totals(all: &[Change]) -> (usize, usize) {
    (all.iter().map(|change| change.additions).sum(), all.iter().map(|change| change.deletions).sum())
}

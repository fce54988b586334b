//! Trees over HTTP.

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::super::refuse::Refuse;
use super::super::world::{Repository, World};
use super::object::{Entry, Mode, Object, Sha, is_sha};
use super::read::{Asked, Given};
use super::store::{Files, Store};
use super::{place, remove_below};

#[derive(Deserialize)]
pub(in super::super) struct NewTree {
    tree: Option<Vec<NewEntry>>,
    base_tree: Option<String>,
}

#[derive(Deserialize)]
struct NewEntry {
    path: Option<String>,
    mode: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Absent, null (deletes) or an id.
    #[serde(default, deserialize_with = "present")]
    sha: Option<Option<String>>,
    content: Option<String>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

pub(in super::super) async fn create(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
    Given(wanted): Given<NewTree>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.writable(&actor, &owner, &repo, None)?;
    repository.git.not_empty()?;
    let store = &repository.git.store;
    let entries = wanted.tree.filter(|entries| !entries.is_empty());
    let entries = entries.ok_or_else(|| Refuse::unprocessable("Invalid tree info"))?;
    let mut files = match &wanted.base_tree {
        None => Files::new(),
        Some(base) => store.files(&tree_of(store, base).ok_or_else(Refuse::not_found)?),
    };
    for entry in &entries {
        entry.apply(store, &mut files)?;
    }
    let sha = store.write_tree(&files);
    let json = world.tree_json(repository, &sha, false);
    let location = json["url"].as_str().unwrap_or_default().to_owned();
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(json)).into_response())
}

/// A tree's id as it is, and that of a commit's tree.
fn tree_of(store: &Store, sha: &str) -> Option<Sha> {
    match store.get(sha)?.as_ref() {
        Object::Tree(_) => Some(sha.to_owned()),
        Object::Commit(commit) => Some(commit.tree.clone()),
        Object::Blob(_) => None,
    }
}

impl NewEntry {
    fn apply(&self, store: &Store, files: &mut Files) -> Result<(), Refuse> {
        let path = self.path.as_deref().unwrap_or_default();
        let malformed = |part: &str| part.is_empty() || part == "." || part == ".." || part.eq_ignore_ascii_case(".git");
        if path.split('/').any(malformed) || path.contains('\0') {
            return Err(Refuse::unprocessable("tree.path contains a malformed path component"));
        }
        if matches!(self.sha, Some(None)) && self.content.is_none() {
            let was_there = files.remove(path).is_some() | remove_below(files, path);
            return if was_there { Ok(()) } else { Err(Refuse::unprocessable("GitRPC::BadObjectState")) };
        }
        let bad_mode = || Refuse::unprocessable("Must supply a valid tree.mode");
        let mode = self.mode.as_deref().and_then(Mode::parse).ok_or_else(bad_mode)?;
        if self.kind.as_deref().is_some_and(|kind| kind != mode.kind()) {
            return Err(Refuse::unprocessable("tree.type does not fit tree.mode"));
        }
        let sha = self.object(store, mode)?;
        if mode != Mode::Tree {
            place(files, path, (mode, sha));
            return Ok(());
        }
        files.remove(path);
        remove_below(files, path);
        for (below, leaf) in store.files(&sha) {
            place(files, &format!("{path}/{below}"), leaf);
        }
        Ok(())
    }

    fn object(&self, store: &Store, mode: Mode) -> Result<Sha, Refuse> {
        let sha = match (&self.sha, &self.content) {
            (Some(Some(sha)), None) => sha.clone(),
            (None | Some(None), Some(content)) if mode.kind() == "blob" => store.put(Object::Blob(content.clone().into())),
            (_, _) => return Err(Refuse::unprocessable("Must supply either tree.sha or tree.content")),
        };
        let fits = match mode {
            Mode::File | Mode::Executable | Mode::Link => store.blob(&sha).is_some(),
            Mode::Tree => store.tree(&sha).is_some(),
            Mode::Submodule => is_sha(&sha),
        };
        if fits { Ok(sha) } else { Err(Refuse::unprocessable(&format!("tree.sha {sha} is not a valid {}", mode.kind()))) }
    }
}

impl World {
    fn tree_json(&self, repository: &Repository, sha: &str, recursive: bool) -> Value {
        let (store, api) = (&repository.git.store, self.repository_url(repository));
        let mut all = Vec::new();
        let mut add = |path: String, entry: &Entry| {
            let mut json = json!({"path": path, "mode": entry.mode.octal(), "type": entry.mode.kind(), "sha": entry.sha});
            match entry.mode {
                Mode::Tree => json["url"] = format!("{api}/git/trees/{}", entry.sha).into(),
                Mode::File | Mode::Executable | Mode::Link => {
                    json["url"] = format!("{api}/git/blobs/{}", entry.sha).into();
                    json["size"] = store.blob(&entry.sha).map_or(0, |content| content.len()).into();
                }
                Mode::Submodule => {}
            }
            all.push(json);
        };
        if recursive {
            store.walk(sha, "", &mut add);
        } else {
            store.tree(sha).unwrap_or_default().iter().for_each(|entry| add(entry.name.clone(), entry));
        }
        let truncated = all.len() > self.tree_limit;
        all.truncate(self.tree_limit);
        json!({"sha": sha, "url": format!("{api}/git/trees/{sha}"), "tree": all, "truncated": truncated})
    }
}

#[derive(Deserialize)]
pub(in super::super) struct Recursive {
    recursive: Option<String>,
}

pub(in super::super) async fn tree(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, reference)): Path<(String, String, String)>,
    Query(Recursive { recursive }): Query<Recursive>,
) -> Result<Json<Value>, Refuse> {
    let world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    repository.git.not_empty()?;
    let named = || repository.git.resolve(&reference).map(|commit| commit.tree);
    let sha = tree_of(&repository.git.store, &reference).or_else(named).ok_or_else(Refuse::not_found)?;
    Ok(Json(world.tree_json(repository, &sha, recursive.is_some())))
}

//! Files and directories over HTTP.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Shared;
use super::super::auth::Actor;
use super::super::refuse::Refuse;
use super::super::world::{Repository, World};
use super::data::{Makers, Named, decoded, wants_raw};
use super::object::{Commit, Entry, Mode, Object, Sha};
use super::read::{Asked, Given};
use super::store::Files;
use super::update::Update;
use super::{place, shape};

/// Beyond this GitHub gives the content only to those who want it raw.
const LARGEST_INLINE: usize = 1024 * 1024;
const MOST_ENTRIES: usize = 1_000;

#[derive(Deserialize)]
pub(in super::super) struct Reference {
    #[serde(rename = "ref")]
    reference: Option<String>,
}

pub(in super::super) async fn root(
    asked: Asked,
    Path((owner, repo)): Path<(String, String)>,
    reference: Query<Reference>,
    headers: HeaderMap,
) -> Result<Response, Refuse> {
    get(asked, Path((owner, repo, String::new())), reference, headers).await
}

pub(in super::super) async fn get(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, path)): Path<(String, String, String)>,
    Query(Reference { reference }): Query<Reference>,
    headers: HeaderMap,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    let reference = reference.unwrap_or_else(|| repository.git.default_branch.clone());
    let commit = repository
        .git
        .find(&reference)
        .map_err(|_| Refuse::new(StatusCode::NOT_FOUND, format!("No commit found for the ref {reference}")))?;
    let path = path.trim_matches('/');
    let top = Entry { mode: Mode::Tree, name: String::new(), sha: commit.tree.clone() };
    let found = if path.is_empty() { Some(top) } else { entry(repository, &commit, path) };
    let found = found.ok_or_else(Refuse::not_found)?;
    let store = &repository.git.store;
    if found.mode == Mode::Tree {
        let entries = store.tree(&found.sha).unwrap_or_default();
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        let listed =
            entries.iter().take(MOST_ENTRIES).map(|entry| world.entry_json(repository, &below(&entry.name), entry, &reference));
        return Ok(Json(listed.collect::<Vec<_>>()).into_response());
    }
    if wants_raw(&headers) && found.mode != Mode::Submodule {
        let content = store.blob(&found.sha).unwrap_or_default();
        return Ok(([(header::CONTENT_TYPE, "application/vnd.github.raw; charset=utf-8")], content).into_response());
    }
    Ok(Json(world.content_json(repository, &commit, path, &found, &reference)).into_response())
}

fn entry(repository: &Repository, commit: &Commit, path: &str) -> Option<Entry> {
    let mut tree = commit.tree.clone();
    let mut parts = path.split('/').peekable();
    loop {
        let part = parts.next()?;
        let found = repository.git.store.tree(&tree)?.into_iter().find(|entry| entry.name == part)?;
        if parts.peek().is_none() {
            return Some(found);
        }
        tree = found.sha;
    }
}

impl World {
    fn entry_json(&self, repository: &Repository, path: &str, entry: &Entry, reference: &str) -> Value {
        let (api, page) = (self.repository_url(repository), self.repository_page(repository));
        let (kind, place) = match entry.mode {
            Mode::File | Mode::Executable => ("file", "blob"),
            Mode::Link => ("symlink", "blob"),
            Mode::Tree => ("dir", "tree"),
            // GitHub lists submodules as files, for old clients.
            Mode::Submodule => ("file", "tree"),
        };
        let size = repository.git.store.blob(&entry.sha).map_or(0, |content| content.len());
        let url = format!("{api}/contents/{path}?ref={reference}");
        let git = (entry.mode != Mode::Submodule).then(|| format!("{api}/git/{place}s/{}", entry.sha));
        let html = format!("{page}/{place}/{reference}/{path}");
        let download = (place == "blob").then(|| format!("{page}/raw/{reference}/{path}"));
        json!({"type": kind, "size": size, "name": path.rsplit('/').next(), "path": path, "sha": entry.sha, "url": url,
            "git_url": git, "html_url": html, "download_url": download, "_links": {"self": url, "git": git, "html": html}})
    }

    fn content_json(&self, repository: &Repository, commit: &Commit, path: &str, found: &Entry, reference: &str) -> Value {
        let mut json = self.entry_json(repository, path, found, reference);
        let content = repository.git.store.blob(&found.sha).unwrap_or_default();
        match found.mode {
            Mode::Submodule => {
                json["type"] = "submodule".into();
                json["submodule_git_url"] = Value::Null;
                return json;
            }
            Mode::Link => {
                let target = String::from_utf8_lossy(&content).into_owned();
                let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                // A link to a file of the repository is answered with that file.
                let aim = if directory.is_empty() { target.clone() } else { format!("{directory}/{target}") };
                match entry(repository, commit, &aim).filter(|aim| matches!(aim.mode, Mode::File | Mode::Executable)) {
                    Some(aim) => return self.content_json(repository, commit, path, &aim, reference),
                    None => json["target"] = target.into(),
                }
                return json;
            }
            Mode::File | Mode::Executable | Mode::Tree => {}
        }
        let inline = content.len() <= LARGEST_INLINE;
        json["encoding"] = if inline { "base64" } else { "none" }.into();
        json["content"] = if inline { shape::base64(&content) } else { String::new() }.into();
        json
    }
}

#[derive(Deserialize)]
pub(in super::super) struct NewContent {
    message: Option<String>,
    content: Option<String>,
    sha: Option<Sha>,
    branch: Option<String>,
    author: Option<Named>,
    committer: Option<Named>,
}

pub(in super::super) async fn put(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, path)): Path<(String, String, String)>,
    Given(wanted): Given<NewContent>,
) -> Result<Response, Refuse> {
    let (answer, sent) = write(&shared, &actor, &owner, &repo, &path, wanted)?;
    shared.announce(sent);
    Ok(answer)
}

fn write(
    shared: &Shared,
    actor: &Actor,
    owner: &str,
    repo: &str,
    path: &str,
    wanted: NewContent,
) -> Result<(Response, Vec<u64>), Refuse> {
    let mut world = shared.lock();
    let repository = world.writable(actor, owner, repo, wanted.branch.as_deref())?;
    let git = &repository.git;
    let branch = wanted.branch.unwrap_or_else(|| git.default_branch.clone());
    let needed = |what: &str| Refuse::unprocessable(&format!("Invalid request.\n\n\"{what}\" wasn't supplied."));
    let message = wanted.message.ok_or_else(|| needed("message"))?;
    let content = decoded(&wanted.content.ok_or_else(|| needed("content"))?)?;
    let parent = git.branch(&branch).cloned();
    if parent.is_none() && git.not_empty().is_ok() {
        return Err(Refuse::new(StatusCode::NOT_FOUND, format!("Branch {branch} not found")));
    }
    let mut files = parent.as_deref().map_or_else(Files::new, |parent| git.store.files_of(parent));
    let was = files.get(path).cloned();
    match (&was, &wanted.sha) {
        (Some(_), None) => return Err(Refuse::unprocessable("Invalid request.\n\n\"sha\" wasn't supplied.")),
        (Some((_, was)), Some(sha)) if was != sha => {
            return Err(Refuse::new(StatusCode::CONFLICT, format!("{path} does not match {sha}")));
        }
        (Some(_) | None, _) => {}
    }
    if git.protected.contains(&branch) {
        let message = "Repository rule violations found\n\nChanges must be made through a pull request.\n\n";
        return Err(Refuse::new(StatusCode::CONFLICT, message));
    }
    let mode = was.as_ref().map_or(Mode::File, |(mode, _)| *mode);
    place(&mut files, path, (mode, git.store.put(Object::Blob(content.into()))));
    let makers = world.makers(actor, wanted.author.as_ref(), wanted.committer.as_ref(), true)?;
    let (tree, parents) = (git.store.write_tree(&files), parent.into_iter().collect());
    let Makers { author, committer, signed } = makers;
    let commit = Commit { sha: Sha::new(), tree, parents, author, committer, message, signature: None };
    let sha = git.write(if signed { commit.signed() } else { commit });
    world.may_change_workflows(actor, repository, &sha)?;
    let commit = git.store.commit(&sha).ok_or_else(Refuse::not_found)?;
    let shown = entry(repository, &commit, path).map(|entry| world.entry_json(repository, path, &entry, &branch));
    let json = json!({"content": shown, "commit": world.git_commit_json(repository, &commit)});
    let reference = format!("refs/heads/{branch}");
    let update = Update { repository: repository.id, reference: &reference, after: Some(&sha), sender: &actor.login(&world)? };
    let sent = world.update_ref(&update);
    let status = if was.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok(((status, Json(json)).into_response(), sent))
}

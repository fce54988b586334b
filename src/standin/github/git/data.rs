//! Blobs and commits over HTTP.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, FixedOffset, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::auth::Actor;
use super::super::refuse::Refuse;
use super::super::world::World;
use super::object::{Commit, Object, Person, Sha};
use super::read::{Asked, Given};
use super::{github, shape};

/// GitHub takes no larger ones.
const LARGEST_BLOB: usize = 40 * 1024 * 1024;

#[derive(Deserialize)]
pub(in super::super) struct NewBlob {
    content: Option<String>,
    encoding: Option<String>,
}

pub(in super::super) async fn create_blob(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
    Given(blob): Given<NewBlob>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.writable(&actor, &owner, &repo, None)?;
    repository.git.not_empty()?;
    let content = blob.content.ok_or_else(|| Refuse::unprocessable("Invalid request.\n\n\"content\" wasn't supplied."))?;
    let content = match blob.encoding.as_deref().unwrap_or("utf-8") {
        "utf-8" => content.into_bytes(),
        "base64" => decoded(&content)?,
        _ => return Err(Refuse::unprocessable("encoding must be one of utf-8, base64")),
    };
    if content.len() > LARGEST_BLOB {
        return Err(Refuse::unprocessable("Sorry, your input was too large to process."));
    }
    let sha = repository.git.store.put(Object::Blob(content.into()));
    let url = format!("{}/git/blobs/{sha}", world.repository_url(repository));
    Ok((StatusCode::CREATED, [(header::LOCATION, url.clone())], Json(json!({"sha": sha, "url": url}))).into_response())
}

/// GitHub takes line feeds in it.
pub(in super::super) fn decoded(text: &str) -> Result<Vec<u8>, Refuse> {
    let text: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    STANDARD.decode(text).map_err(|_| Refuse::unprocessable("content is not valid Base64"))
}

/// Whether the asker wants the bytes and not JSON around them.
pub(in super::super) fn wants_raw(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accepts.contains(".raw")
}

pub(in super::super) async fn blob(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, sha)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    repository.git.not_empty()?;
    let content = repository.git.store.blob(&sha).ok_or_else(Refuse::not_found)?;
    if wants_raw(&headers) {
        return Ok(([(header::CONTENT_TYPE, "application/vnd.github.raw; charset=utf-8")], content).into_response());
    }
    let url = format!("{}/git/blobs/{sha}", world.repository_url(repository));
    let json = json!({"sha": sha, "node_id": format!("B_{sha}"), "size": content.len(), "url": url, "encoding": "base64",
        "content": shape::base64(&content)});
    Ok(Json(json).into_response())
}

#[derive(Deserialize)]
pub(in super::super) struct NewCommit {
    message: Option<String>,
    tree: Option<String>,
    #[serde(default)]
    parents: Vec<String>,
    author: Option<Named>,
    committer: Option<Named>,
    signature: Option<String>,
}

#[derive(Clone, Deserialize)]
pub(in super::super) struct Named {
    name: Option<String>,
    email: Option<String>,
    date: Option<DateTime<FixedOffset>>,
}

impl Named {
    fn person(&self, now: DateTime<Utc>) -> Result<Person, Refuse> {
        let missing = || Refuse::unprocessable("Invalid request.\n\n\"name\" and \"email\" are needed to name a person.");
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty()).ok_or_else(missing);
        let at = self.date.unwrap_or_else(|| now.fixed_offset());
        Ok(Person { name: given(&self.name)?, email: given(&self.email)?, at })
    }
}

/// Who made a commit, and whether GitHub signs it.
pub(in super::super) struct Makers {
    pub author: Person,
    pub committer: Person,
    pub signed: bool,
}

impl World {
    /// What an App commits without naming anybody is its bot's, committed and signed by GitHub; whatever names somebody is not
    /// signed. An account commits as itself, signed only where GitHub makes the commit (`by_github`).
    pub(in super::super) fn makers(
        &self,
        actor: &Actor,
        author: Option<&Named>,
        committer: Option<&Named>,
        by_github: bool,
    ) -> Result<Makers, Refuse> {
        let now = self.now();
        let own = self.person(&actor.login(self)?, now);
        let signs = by_github || matches!(actor, Actor::Installation(_));
        if author.is_none() && committer.is_none() && signs {
            return Ok(Makers { author: own, committer: github(now), signed: true });
        }
        let author_given = author.map(|author| author.person(now)).transpose()?;
        let committer = committer.map(|committer| committer.person(now)).transpose()?;
        let author = author_given.clone().or_else(|| committer.clone()).unwrap_or_else(|| own.clone());
        let committer = committer.or(author_given).unwrap_or(own);
        Ok(Makers { author, committer, signed: false })
    }
}

pub(in super::super) async fn create_commit(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
    Given(wanted): Given<NewCommit>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.writable(&actor, &owner, &repo, None)?;
    repository.git.not_empty()?;
    let git = &repository.git;
    let needed = |what: &str| Refuse::unprocessable(&format!("Invalid request.\n\n\"{what}\" wasn't supplied."));
    let message = wanted.message.ok_or_else(|| needed("message"))?;
    let tree = wanted.tree.ok_or_else(|| needed("tree"))?;
    if git.store.tree(&tree).is_none() {
        return Err(Refuse::unprocessable("Tree SHA does not exist"));
    }
    if wanted.parents.iter().any(|parent| git.store.commit(parent).is_none()) {
        return Err(Refuse::unprocessable("Parent SHA does not exist or is not a commit object"));
    }
    let makers = world.makers(&actor, wanted.author.as_ref(), wanted.committer.as_ref(), false)?;
    let commit = Commit {
        sha: Sha::new(),
        tree,
        parents: wanted.parents,
        author: makers.author,
        committer: makers.committer,
        message,
        signature: wanted.signature.clone(),
    };
    let sign = makers.signed && wanted.signature.is_none();
    let sha = git.write(if sign { commit.signed() } else { commit });
    let json = git.store.commit(&sha).map(|commit| world.git_commit_json(repository, &commit)).unwrap_or_default();
    let location = json["url"].as_str().unwrap_or_default().to_owned();
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(json)).into_response())
}

pub(in super::super) async fn commit(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, sha)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refuse> {
    let world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    repository.git.not_empty()?;
    let commit = repository.git.store.commit(&sha).ok_or_else(Refuse::not_found)?;
    Ok(Json(world.git_commit_json(repository, &commit)))
}

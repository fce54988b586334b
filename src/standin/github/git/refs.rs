//! References over HTTP: read, created, moved, deleted; and branches.

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::api::Paging;
use super::super::auth::{Actor, Level};
use super::super::refuse::Refuse;
use super::super::world::{Repository, World};
use super::read::{Asked, Given};
use super::update::Update;

type Named = Path<(String, String, String)>;

pub(in super::super) async fn get(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, name)): Named,
) -> Result<Json<Value>, Refuse> {
    let world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    repository.git.not_empty()?;
    let name = format!("refs/{name}");
    let sha = repository.git.refs.get(&name).ok_or_else(Refuse::not_found)?;
    Ok(Json(world.ref_json(repository, &name, sha)))
}

pub(in super::super) async fn matching(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, name)): Named,
) -> Result<Json<Value>, Refuse> {
    let world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    repository.git.not_empty()?;
    let prefix = format!("refs/{name}");
    let found = repository.git.refs.iter().filter(|(name, _)| name.starts_with(&prefix));
    Ok(Json(found.map(|(name, sha)| world.ref_json(repository, name, sha)).collect()))
}

#[derive(Deserialize)]
pub(in super::super) struct NewRef {
    #[serde(rename = "ref")]
    name: Option<String>,
    sha: Option<String>,
}

pub(in super::super) async fn create(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
    Given(wanted): Given<NewRef>,
) -> Result<Response, Refuse> {
    let (json, sent) = {
        let mut world = shared.lock();
        let name = wanted.name.unwrap_or_default();
        let branch = name.strip_prefix("refs/heads/");
        let repository = world.writable(&actor, &owner, &repo, branch)?;
        repository.git.not_empty()?;
        check_name(repository, &name)?;
        let sha = known_commit(repository, wanted.sha.as_deref())?;
        world.may_change_workflows(&actor, repository, &sha)?;
        if let Some(branch) = branch.filter(|branch| repository.git.protected.contains(*branch)) {
            return Err(protected(branch));
        }
        let json = world.ref_json(repository, &name, &sha);
        let update = Update { repository: repository.id, reference: &name, after: Some(&sha), sender: &actor.login(&world)? };
        (json, world.update_ref(&update))
    };
    shared.announce(sent);
    let location = json["url"].as_str().unwrap_or_default().to_owned();
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(json)).into_response())
}

fn check_name(repository: &Repository, name: &str) -> Result<(), Refuse> {
    if !name.starts_with("refs/") || name.matches('/').count() < 2 {
        return Err(Refuse::unprocessable(
            "Reference name must start with 'refs/' and contain at least three slash-separated components.",
        ));
    }
    let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock") || part.ends_with('.');
    let bad_letter = |letter: char| letter.is_control() || " ~^:?*[\\".contains(letter);
    if name.split('/').any(bad_part) || name.contains(bad_letter) || name.contains("..") || name.contains("@{") {
        return Err(Refuse::unprocessable(&format!("{name} is not a valid ref name.")));
    }
    if repository.git.refs.contains_key(name) {
        return Err(Refuse::unprocessable("Reference already exists"));
    }
    // As files and directories, `a` and `a/b` cannot both be.
    let in_the_way = |other: &String| other.starts_with(&format!("{name}/")) || name.starts_with(&format!("{other}/"));
    if name.starts_with("refs/pull/") || repository.git.refs.keys().any(in_the_way) {
        return Err(Refuse::unprocessable("Reference update failed"));
    }
    Ok(())
}

fn known_commit(repository: &Repository, sha: Option<&str>) -> Result<String, Refuse> {
    let sha = sha.ok_or_else(|| Refuse::unprocessable("Invalid request.\n\n\"sha\" wasn't supplied."))?;
    if !super::object::is_sha(sha) {
        return Err(Refuse::unprocessable("The sha parameter must be exactly 40 characters and contain only [0-9a-f]."));
    }
    repository.git.store.commit(sha).map(|commit| commit.sha).ok_or_else(|| Refuse::unprocessable("Object does not exist"))
}

fn protected(branch: &str) -> Refuse {
    Refuse::unprocessable(&format!(
        "Protected branch update failed for refs/heads/{branch}: Changes must be made through a pull request."
    ))
}

#[derive(Deserialize)]
pub(in super::super) struct Moved {
    sha: Option<String>,
    #[serde(default)]
    force: bool,
}

pub(in super::super) async fn update(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, name)): Named,
    Given(wanted): Given<Moved>,
) -> Result<Json<Value>, Refuse> {
    let (json, sent) = {
        let mut world = shared.lock();
        let branch = name.strip_prefix("heads/");
        let repository = world.writable(&actor, &owner, &repo, branch)?;
        let reference = format!("refs/{name}");
        let before = repository.git.refs.get(&reference).filter(|_| !name.starts_with("pull/"));
        let before = before.ok_or_else(|| Refuse::unprocessable("Reference does not exist"))?;
        let sha = known_commit(repository, wanted.sha.as_deref())?;
        if let Some(branch) = branch.filter(|branch| repository.git.protected.contains(*branch)) {
            return Err(protected(branch));
        }
        if !wanted.force && !repository.git.store.is_before(before, &sha) {
            return Err(Refuse::unprocessable("Update is not a fast forward"));
        }
        world.may_change_workflows(&actor, repository, &sha)?;
        let json = world.ref_json(repository, &reference, &sha);
        let update =
            Update { repository: repository.id, reference: &reference, after: Some(&sha), sender: &actor.login(&world)? };
        (json, world.update_ref(&update))
    };
    shared.announce(sent);
    Ok(Json(json))
}

pub(in super::super) async fn delete(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, name)): Named,
) -> Result<StatusCode, Refuse> {
    let sent = {
        let mut world = shared.lock();
        let branch = name.strip_prefix("heads/");
        let repository = world.writable(&actor, &owner, &repo, branch)?;
        let reference = format!("refs/{name}");
        if !repository.git.refs.contains_key(&reference) || name.starts_with("pull/") {
            return Err(Refuse::unprocessable("Reference does not exist"));
        }
        if branch == Some(&repository.git.default_branch) {
            return Err(Refuse::unprocessable("Cannot delete the default branch"));
        }
        if branch.is_some_and(|branch| repository.git.protected.contains(branch)) {
            return Err(Refuse::unprocessable("Cannot delete a protected branch"));
        }
        let update = Update { repository: repository.id, reference: &reference, after: None, sender: &actor.login(&world)? };
        world.update_ref(&update)
    };
    shared.announce(sent);
    Ok(StatusCode::NO_CONTENT)
}

impl World {
    /// An App needs a permission of its own to bring workflow files that no branch has yet.
    pub(in super::super) fn may_change_workflows(&self, actor: &Actor, repository: &Repository, sha: &str) -> Result<(), Refuse> {
        let Actor::Installation(grant) = actor else { return Ok(()) };
        let store = &repository.git.store;
        let known: Vec<_> = repository.git.branches().map(|(_, sha)| store.files_of(sha)).collect();
        let files = store.files_of(sha);
        let mut workflows = files.iter().filter(|(path, _)| path.starts_with(".github/workflows/"));
        let brings = workflows.any(|(path, leaf)| known.iter().all(|files| files.get(path) != Some(leaf)));
        if brings && !grant.holds("workflows", Level::Write) {
            return Err(Refuse::not_accessible("contents=write,workflows=write"));
        }
        Ok(())
    }

    fn branch_json(&self, repository: &Repository, name: &str, sha: &str) -> Value {
        let api = self.repository_url(repository);
        let is_protected = repository.git.protected.contains(name);
        json!({"name": name, "commit": {"sha": sha, "url": format!("{api}/commits/{sha}")}, "protected": is_protected,
            "protection": {"enabled": is_protected, "required_status_checks":
                {"enforcement_level": "off", "contexts": [], "checks": []}},
            "protection_url": format!("{api}/branches/{name}/protection")})
    }
}

pub(in super::super) async fn branch(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, name)): Named,
) -> Result<Json<Value>, Refuse> {
    let world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    let none = || Refuse::new(StatusCode::NOT_FOUND, "Branch not found");
    let sha = repository.git.branch(&name).ok_or_else(none)?;
    let mut json = world.branch_json(repository, &name, sha);
    json["commit"] = world.commit_json(repository, &repository.git.store.commit(sha).ok_or_else(none)?);
    json["_links"] = json!({"self": format!("{}/branches/{name}", world.repository_url(repository)),
        "html": format!("{}/tree/{name}", world.repository_page(repository))});
    Ok(Json(json))
}

#[derive(Deserialize)]
pub(in super::super) struct OnlyProtected {
    protected: Option<bool>,
}

pub(in super::super) async fn branches(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
    Query(paging): Query<Paging>,
    Query(only): Query<OnlyProtected>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    let wanted = |name: &str| only.protected.is_none_or(|wanted| repository.git.protected.contains(name) == wanted);
    let all = repository.git.branches().filter(|(name, _)| wanted(name));
    let all = all.map(|(name, sha)| world.branch_json(repository, name, sha)).collect();
    Ok(paging.answer(all, &format!("{}/repositories/{}/branches", shared.api(), repository.id)))
}

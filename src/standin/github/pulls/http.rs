//! Pull requests over HTTP: read, changed, merged.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::api::Paging;
use super::super::auth::{Actor, Level};
use super::super::git::read::{Asked, Given};
use super::super::issues::{check_body, check_title};
use super::super::refuse::Refuse;
use super::super::world::{Key, Repository, World};
use super::MergeMethod;
use crate::settings::Permission;

const MOST_FILES: usize = 3_000;
const MOST_COMMITS: usize = 250;

type Place = Path<(String, String, i64)>;

#[derive(Deserialize)]
pub(in super::super) struct Filter {
    state: Option<String>,
    head: Option<String>,
    base: Option<String>,
    sort: Option<String>,
    direction: Option<String>,
}

pub(in super::super) async fn list(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let repository = world.named(&owner, &repo)?;
    actor.may(&world, repository, &[("pull_requests", Level::Read)])?;
    let state = filter.state.as_deref().unwrap_or("open");
    if !["open", "closed", "all"].contains(&state) {
        return Err(Refuse::validation("PullRequest", "invalid", Some("state"), None));
    }
    // Without an owner, GitHub ignores it.
    let head = filter.head.as_deref().and_then(|head| head.split_once(':'));
    let wanted = |key: &Key| {
        let (Some(pull), Some(issue)) = (world.pulls.get(key), world.issues.get(key)) else { return false };
        let owner = |owner: &str| pull.head_owner.eq_ignore_ascii_case(owner);
        (state == "all" || issue.open == (state == "open"))
            && filter.base.as_ref().is_none_or(|base| pull.base_branch == *base)
            && head.is_none_or(|(name, branch)| owner(name) && pull.head_branch == branch)
    };
    let mut keys: Vec<Key> = world.pulls.keys().copied().filter(|key| key.0 == repository.id && wanted(key)).collect();
    let updated = filter.sort.as_deref() == Some("updated");
    keys.sort_by_key(|key| (world.issues.get(key).filter(|_| updated).map(|issue| issue.updated_at), key.1));
    let ascending = match (filter.direction.as_deref(), filter.sort.as_deref()) {
        (Some(direction), _) => direction == "asc",
        // Newest first unless told, except where a sort was asked for that is not by age.
        (None, None | Some("created")) => false,
        (None, Some(_)) => true,
    };
    if !ascending {
        keys.reverse();
    }
    let all = keys.into_iter().map(|key| world.pull_simple_json(key)).collect();
    Ok(paging.answer(all, &format!("{}/repositories/{}/pulls", shared.api(), repository.id)))
}

pub(in super::super) async fn get(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, number)): Place,
) -> Result<Json<Value>, Refuse> {
    let mut world = shared.lock();
    let key = world.pull_for(&actor, &owner, &repo, number, Level::Read)?;
    let json = world.pull_json(key);
    if let Some(pull) = world.pulls.get_mut(&key) {
        pull.looked_at = true;
    }
    Ok(Json(json))
}

pub(in super::super) async fn files(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, number)): Place,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let key = world.pull_for(&actor, &owner, &repo, number, Level::Read)?;
    let (repository, pull) = (world.named(&owner, &repo)?, world.pulls.get(&key).ok_or_else(Refuse::not_found)?);
    let all = world.changes_of(key);
    let all = all.iter().take(MOST_FILES).map(|change| world.change_json(repository, &pull.head_sha, change)).collect();
    Ok(paging.answer(all, &format!("{}/repositories/{}/pulls/{number}/files", shared.api(), key.0)))
}

pub(in super::super) async fn commits(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, number)): Place,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    let world = shared.lock();
    let key = world.pull_for(&actor, &owner, &repo, number, Level::Read)?;
    let repository = world.named(&owner, &repo)?;
    let all = world.commits_of(key);
    let all = all.iter().take(MOST_COMMITS).map(|commit| world.commit_json(repository, commit)).collect();
    Ok(paging.answer(all, &format!("{}/repositories/{}/pulls/{number}/commits", shared.api(), key.0)))
}

#[derive(Deserialize)]
pub(in super::super) struct Changes {
    title: Option<String>,
    body: Option<String>,
    state: Option<String>,
    base: Option<String>,
    maintainer_can_modify: Option<bool>,
}

pub(in super::super) async fn update(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, number)): Place,
    Given(wanted): Given<Changes>,
) -> Result<Json<Value>, Refuse> {
    let (json, sent) = {
        let mut world = shared.lock();
        let key = world.pull_for(&actor, &owner, &repo, number, Level::Write)?;
        let by = actor.login(&world)?;
        world.own_or_write(&actor, key)?;
        world.check_changes(key, &wanted)?;
        let mut sent = world.reword(key, wanted.title.as_deref(), wanted.body.as_deref(), &by);
        if let Some(base) = &wanted.base {
            sent.extend(world.rebase_onto(key, base, &by));
        }
        match wanted.state.as_deref() {
            Some("closed") => sent.extend(world.close(key, &by)),
            Some("open") => sent.extend(world.reopen(key, &by)),
            Some(_) | None => {}
        }
        if let (Some(can), Some(pull)) = (wanted.maintainer_can_modify, world.pulls.get_mut(&key)) {
            pull.maintainer_can_modify = can && pull.head_repository != key.0;
        }
        (world.pull_json(key), sent)
    };
    shared.announce(sent);
    Ok(Json(json))
}

impl World {
    /// An account changes its own pull requests, or any where it may write. An App with the permission changes all.
    pub(in super::super) fn own_or_write(&self, actor: &Actor, key: Key) -> Result<(), Refuse> {
        let Actor::User(login) = actor else { return Ok(()) };
        let author = self.issues.get(&key).is_some_and(|issue| issue.author.eq_ignore_ascii_case(login));
        let writes =
            self.repositories.get(&key.0).is_some_and(|repository| self.permission(repository, login) >= Permission::Write);
        if author || writes { Ok(()) } else { Err(Refuse::not_found()) }
    }

    /// Whether somebody belongs to a repository and does not merely see it.
    fn collaborates(&self, repository: &Repository, login: &str) -> bool {
        let member = (repository.owner().to_lowercase(), login.to_lowercase());
        let invited = repository.collaborators.get(&member.1).is_some_and(|held| *held > Permission::None);
        invited || self.members.contains(&member) || repository.owner().eq_ignore_ascii_case(login)
    }

    fn check_changes(&self, key: Key, wanted: &Changes) -> Result<(), Refuse> {
        wanted.title.as_deref().map_or(Ok(()), |title| check_title("PullRequest", title))?;
        wanted.body.as_deref().map_or(Ok(()), |body| check_body("PullRequest", body))?;
        let invalid = |field: &str, message: &str| Refuse::validation("PullRequest", "invalid", Some(field), Some(message));
        let (Some(pull), Some(repository)) = (self.pulls.get(&key), self.repositories.get(&key.0)) else {
            return Err(Refuse::not_found());
        };
        if let Some(base) = wanted.base.as_ref().filter(|base| repository.git.branch(base).is_none()) {
            return Err(invalid("base", &format!("Proposed base branch '{base}' was not found")));
        }
        match wanted.state.as_deref() {
            None | Some("closed") => Ok(()),
            Some("open") if pull.merged_at.is_some() => {
                Err(invalid("state", "state cannot be changed. The pull request cannot be reopened."))
            }
            Some("open") => {
                let head = self.repositories.get(&pull.head_repository).and_then(|head| head.git.branch(&pull.head_branch));
                let gone = || format!("state cannot be changed. The {} branch has been deleted.", pull.head_branch);
                head.map(|_| ()).ok_or_else(|| invalid("state", &gone()))
            }
            Some(_) => Err(invalid("state", "state must be one of open, closed")),
        }
    }
}

#[derive(Deserialize)]
pub(in super::super) struct Reviewers {
    #[serde(default)]
    reviewers: Vec<String>,
}

pub(in super::super) async fn reviewers(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, number)): Place,
) -> Result<Json<Value>, Refuse> {
    let world = shared.lock();
    let key = world.pull_for(&actor, &owner, &repo, number, Level::Read)?;
    let asked = world.pulls.get(&key).map(|pull| pull.requested_reviewers.clone()).unwrap_or_default();
    Ok(Json(json!({"users": asked.iter().map(|login| world.user_json(login)).collect::<Vec<_>>(), "teams": []})))
}

pub(in super::super) async fn ask_reviewers(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, number)): Place,
    Given(Reviewers { reviewers }): Given<Reviewers>,
) -> Result<Response, Refuse> {
    let (json, sent) = {
        let mut world = shared.lock();
        let key = world.pull_for(&actor, &owner, &repo, number, Level::Write)?;
        let repository = world.named(&owner, &repo)?;
        let author = world.issues.get(&key).map(|issue| issue.author.clone()).unwrap_or_default();
        for login in &reviewers {
            if author.eq_ignore_ascii_case(login) {
                return Err(Refuse::unprocessable("Review cannot be requested from pull request author."));
            }
            if world.user(login).is_none() || !world.collaborates(repository, login) {
                return Err(Refuse::unprocessable(
                    "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not \
                     a collaborator of the repository.",
                ));
            }
        }
        let by = actor.login(&world)?;
        let sent = reviewers.iter().flat_map(|login| world.ask_review(key, login, &by)).collect::<Vec<_>>();
        (world.pull_simple_json(key), sent)
    };
    shared.announce(sent);
    Ok((StatusCode::CREATED, Json(json)).into_response())
}

pub(in super::super) async fn unask_reviewers(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, number)): Place,
    Given(Reviewers { reviewers }): Given<Reviewers>,
) -> Result<Json<Value>, Refuse> {
    let (json, sent) = {
        let mut world = shared.lock();
        let key = world.pull_for(&actor, &owner, &repo, number, Level::Write)?;
        let by = actor.login(&world)?;
        let sent = reviewers.iter().flat_map(|login| world.unask_review(key, login, &by)).collect::<Vec<_>>();
        (world.pull_simple_json(key), sent)
    };
    shared.announce(sent);
    Ok(Json(json))
}

pub(in super::super) async fn is_merged(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, number)): Place,
) -> Result<StatusCode, Refuse> {
    let world = shared.lock();
    let key = world.pull_for(&actor, &owner, &repo, number, Level::Read)?;
    let merged = world.pulls.get(&key).is_some_and(|pull| pull.merged_at.is_some());
    if merged { Ok(StatusCode::NO_CONTENT) } else { Err(Refuse::not_found()) }
}

#[derive(Deserialize)]
pub(in super::super) struct Merge {
    sha: Option<String>,
    merge_method: Option<String>,
}

pub(in super::super) async fn merge(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, number)): Place,
    Given(wanted): Given<Merge>,
) -> Result<Json<Value>, Refuse> {
    let (json, sent) = {
        let mut world = shared.lock();
        let key = world.pull_for(&actor, &owner, &repo, number, Level::Read)?;
        let repository = world.writable(&actor, &owner, &repo, None)?;
        let not_allowed = |message: &str| Refuse::new(StatusCode::METHOD_NOT_ALLOWED, message);
        let method = match wanted.merge_method.as_deref() {
            None | Some("merge") => MergeMethod::Merge,
            Some("squash") => MergeMethod::Squash,
            Some("rebase") => MergeMethod::Rebase,
            Some(_) => return Err(Refuse::unprocessable("merge_method must be one of merge, squash, rebase")),
        };
        let (pull, open) = (world.pulls.get(&key), world.issues.get(&key).is_some_and(|issue| issue.open));
        let pull = pull.filter(|_| open).ok_or_else(|| not_allowed("Pull Request is not mergeable"))?;
        if pull.draft {
            return Err(not_allowed("Pull Request is still a draft"));
        }
        if wanted.sha.as_ref().is_some_and(|sha| *sha != pull.head_sha) {
            return Err(Refuse::new(StatusCode::CONFLICT, "Head branch was modified. Review and try the merge again."));
        }
        if repository.git.protected.contains(&pull.base_branch) {
            return Err(not_allowed("At least 1 approving review is required by reviewers with write access."));
        }
        world.may_change_workflows(&actor, repository, &pull.head_sha)?;
        let by = actor.login(&world)?;
        let (sha, sent) = world.land(key, method, &by).ok_or_else(|| not_allowed("Pull Request is not mergeable"))?;
        (json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"}), sent)
    };
    shared.announce(sent);
    Ok(Json(json))
}

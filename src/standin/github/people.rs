//! The App, its installations and tokens; accounts, permissions and repositories.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::api::Paging;
use super::auth::{Actor, Grant, Level, random};
use super::refuse::Refuse;
use super::shape::time;
use super::world::{Installation, Repository, World};
use crate::settings::Permission;

type Asked = (State<Arc<Shared>>, Extension<Actor>);
type Answer = Result<Json<Value>, Refuse>;

pub(super) async fn app((State(shared), Extension(actor)): Asked) -> Answer {
    actor.app()?;
    let world = shared.lock();
    let mut app = world.app_json();
    app["installations_count"] = world.installations.len().into();
    Ok(Json(app))
}

pub(super) async fn hook((State(shared), Extension(actor)): Asked) -> Answer {
    actor.app()?;
    let url = shared.with(|world| world.hook.clone()).unwrap_or_default();
    Ok(Json(json!({"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": url})))
}

pub(super) async fn installations(
    (State(shared), Extension(actor)): Asked,
    Query(paging): Query<Paging>,
) -> Result<Response, Refuse> {
    actor.app()?;
    let all = shared.with(|world| world.installations.values().map(|one| world.installation_json(one)).collect::<Vec<_>>());
    Ok(paging.answer(all, &format!("{}/app/installations", shared.api())))
}

pub(super) async fn installation((State(shared), Extension(actor)): Asked, Path(id): Path<i64>) -> Answer {
    actor.app()?;
    let world = shared.lock();
    Ok(Json(world.installation_json(world.installations.get(&id).ok_or_else(Refuse::not_found)?)))
}

pub(super) async fn repository_installation(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
) -> Answer {
    actor.app()?;
    let world = shared.lock();
    let repository = world.repository(&format!("{owner}/{repo}")).ok_or_else(Refuse::not_found)?;
    Ok(Json(world.installation_json(world.installation_of(repository.owner()).ok_or_else(Refuse::not_found)?)))
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    repositories: Option<Vec<String>>,
    repository_ids: Option<Vec<i64>>,
    permissions: Option<BTreeMap<String, String>>,
}

pub(super) async fn mint(
    (State(shared), Extension(actor)): Asked,
    Path(id): Path<i64>,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Refuse> {
    actor.app()?;
    let mut world = shared.lock();
    let installation = world.installations.get(&id).ok_or_else(Refuse::not_found)?;
    if installation.suspended {
        return Err(Refuse::new(StatusCode::FORBIDDEN, "This installation has been suspended"));
    }
    let repositories = world.narrowed(installation, &wanted)?;
    let permissions = wanted.permissions.unwrap_or_else(|| world.granted.clone());
    if !permissions.iter().all(|(name, level)| world.grants(name, level)) {
        return Err(Refuse::unprocessable("The permissions requested are not granted to this installation."));
    }
    let grant = Grant {
        installation: id,
        account: installation.account.clone(),
        repositories,
        permissions,
        expires_at: world.now() + TimeDelta::hours(1),
    };
    let token = format!("ghs_{}", random());
    let mut json = json!({"token": token, "expires_at": time(grant.expires_at), "permissions": grant.permissions,
        "repository_selection": if grant.repositories.is_some() { "selected" } else { "all" }});
    if let Some(some) = &grant.repositories {
        let some = some.iter().filter_map(|id| world.repositories.get(id)).map(|repository| world.repository_json(repository));
        json["repositories"] = some.collect();
    }
    let now = world.clock.now();
    world.tokens.retain(|_, grant| now < grant.expires_at);
    world.tokens.insert(token, grant);
    Ok((StatusCode::CREATED, Json(json)).into_response())
}

impl World {
    fn narrowed(&self, installation: &Installation, wanted: &Wanted) -> Result<Option<BTreeSet<i64>>, Refuse> {
        let unknown = || {
            Refuse::unprocessable(
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            )
        };
        let reachable = |repository: &&Repository| repository.owner().eq_ignore_ascii_case(&installation.account);
        let mut some = BTreeSet::new();
        for id in wanted.repository_ids.iter().flatten() {
            some.insert(self.repositories.get(id).filter(reachable).ok_or_else(unknown)?.id);
        }
        for name in wanted.repositories.iter().flatten() {
            let found = self.repository(&format!("{}/{name}", installation.account)).filter(reachable);
            some.insert(found.ok_or_else(unknown)?.id);
        }
        Ok((wanted.repositories.is_some() || wanted.repository_ids.is_some()).then_some(some))
    }

    fn grants(&self, permission: &str, level: &str) -> bool {
        let granted = self.granted.get(permission).and_then(|granted| Level::parse(granted));
        Level::parse(level).is_some_and(|wanted| granted.is_some_and(|granted| granted >= wanted))
    }
}

pub(super) async fn meta() -> Json<Value> {
    Json(json!({"verifiable_password_authentication": false, "hooks": ["127.0.0.0/8"], "api": ["127.0.0.0/8"]}))
}

pub(super) async fn rate_limit(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let core = json!({"limit": 5000, "used": 1, "remaining": 4999, "reset": shared.clock.now().timestamp() + 3600});
    Json(json!({"resources": {"core": core}, "rate": core}))
}

pub(super) async fn myself((State(shared), Extension(actor)): Asked) -> Result<Response, Refuse> {
    match actor {
        Actor::User(login) => {
            let me = shared.with(|world| world.user_json(&login));
            Ok(([("x-oauth-scopes", "repo")], Json(me)).into_response())
        }
        Actor::Installation(_) => Err(Refuse::not_accessible("")),
        Actor::App | Actor::Nobody => Err(Refuse::unauthorized("Requires authentication")),
    }
}

pub(super) async fn user((State(shared), Extension(_)): Asked, Path(login): Path<String>) -> Answer {
    let world = shared.lock();
    world.user(&login).map(|user| Json(world.user_json(&user.login))).ok_or_else(Refuse::not_found)
}

pub(super) async fn permission(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, login)): Path<(String, String, String)>,
) -> Answer {
    let world = shared.lock();
    let repository = world.repository(&format!("{owner}/{repo}")).ok_or_else(Refuse::not_found)?;
    actor.may(&world, repository, &[("metadata", Level::Read)])?;
    if let Actor::User(me) = &actor
        && world.permission(repository, me) < Permission::Write
    {
        return Err(Refuse::new(StatusCode::FORBIDDEN, "Must have push access to view collaborator permission."));
    }
    let user = world.user(&login).ok_or_else(Refuse::not_found)?;
    let (permission, role) = words(world.permission(repository, &login));
    Ok(Json(json!({"permission": permission, "role_name": role, "user": world.user_json(&user.login)})))
}

/// `permission` knows only four levels; `role_name` knows all.
fn words(permission: Permission) -> (&'static str, &'static str) {
    match permission {
        Permission::None => ("none", "none"),
        Permission::Read => ("read", "read"),
        Permission::Triage => ("read", "triage"),
        Permission::Write => ("write", "write"),
        Permission::Maintain => ("write", "maintain"),
        Permission::Admin => ("admin", "admin"),
    }
}

pub(super) async fn member(
    (State(shared), Extension(actor)): Asked,
    Path((org, login)): Path<(String, String)>,
) -> Result<StatusCode, Refuse> {
    match &actor {
        Actor::Installation(grant) if !grant.account.eq_ignore_ascii_case(&org) || !grant.holds("members", Level::Read) => {
            return Err(Refuse::not_accessible("members=read"));
        }
        Actor::Installation(_) | Actor::User(_) => {}
        Actor::App | Actor::Nobody => return Err(Refuse::unauthorized("Requires authentication")),
    }
    let known = shared.with(|world| world.members.contains(&(org.to_lowercase(), login.to_lowercase())));
    if known { Ok(StatusCode::NO_CONTENT) } else { Err(Refuse::not_found()) }
}

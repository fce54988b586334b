//! Who may read and write a repository's contents, and what a request's body says.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use super::super::Shared;
use super::super::auth::{Actor, Level};
use super::super::refuse::Refuse;
use super::super::world::{Key, Repository, World};
use crate::settings::Permission;

pub(in super::super) type Asked = (State<Arc<Shared>>, Extension<Actor>);

/// A JSON body, refused in GitHub's words when it is none or does not fit.
pub(in super::super) struct Given<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Given<T> {
    type Rejection = Refuse;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refuse> {
        let malformed = || Refuse::new(StatusCode::BAD_REQUEST, "Problems parsing JSON");
        let body = Bytes::from_request(request, state).await.map_err(|_| malformed())?;
        let body = if body.is_empty() { &b"{}"[..] } else { &body };
        let value: serde_json::Value = serde_json::from_slice(body).map_err(|_| malformed())?;
        serde_json::from_value(value).map(Self).map_err(|error| Refuse::unprocessable(&format!("Invalid request.\n\n{error}")))
    }
}

impl World {
    pub(in super::super) fn named(&self, owner: &str, repo: &str) -> Result<&Repository, Refuse> {
        self.repository(&format!("{owner}/{repo}")).ok_or_else(Refuse::not_found)
    }

    /// The repository, when the actor may read its contents.
    pub(in super::super) fn readable(&self, actor: &Actor, owner: &str, repo: &str) -> Result<&Repository, Refuse> {
        let repository = self.named(owner, repo)?;
        actor.may(self, repository, &[("contents", Level::Read)])?;
        Ok(repository)
    }

    /// The repository, when the actor may write its contents; to which branch matters for people who were let into a fork.
    pub(in super::super) fn writable(
        &self,
        actor: &Actor,
        owner: &str,
        repo: &str,
        branch: Option<&str>,
    ) -> Result<&Repository, Refuse> {
        let repository = self.named(owner, repo)?;
        actor.may(self, repository, &[("contents", Level::Write)])?;
        if let Actor::User(login) = actor
            && self.permission(repository, login) < Permission::Write
            && !self.let_in(repository, login, branch)
        {
            return Err(Refuse::not_found());
        }
        not_archived(repository)?;
        Ok(repository)
    }

    /// Maintainers of the base may push to the branch of a pull request whose author allows it.
    fn let_in(&self, fork: &Repository, login: &str, branch: Option<&str>) -> bool {
        self.pulls.iter().any(|(key, pull)| {
            let base = self.repositories.get(&key.0);
            pull.maintainer_can_modify
                && pull.head_repository == fork.id
                && branch.is_none_or(|branch| pull.head_branch == branch)
                && self.issues.get(key).is_some_and(|issue| issue.open)
                && base.is_some_and(|base| self.permission(base, login) >= Permission::Write)
        })
    }

    /// The pull request, when the actor may read or write pull requests there.
    pub(in super::super) fn pull_for(
        &self,
        actor: &Actor,
        owner: &str,
        repo: &str,
        number: i64,
        level: Level,
    ) -> Result<Key, Refuse> {
        let repository = self.named(owner, repo)?;
        actor.may(self, repository, &[("pull_requests", level)])?;
        if level == Level::Write {
            not_archived(repository)?;
        }
        let key = (repository.id, number);
        self.pulls.contains_key(&key).then_some(key).ok_or_else(Refuse::not_found)
    }
}

pub(in super::super) fn not_archived(repository: &Repository) -> Result<(), Refuse> {
    if repository.archived {
        return Err(Refuse::new(StatusCode::FORBIDDEN, "Repository was archived so is read-only."));
    }
    Ok(())
}

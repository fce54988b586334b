//! Who somebody is on GitHub, and what that lets them do.

use sqlx::PgPool;

use super::store::{self, OnGithub};
use crate::github::{Github, GithubError, RepoRef};
use crate::intake::{Author, Place, Request};
use crate::settings::Permission;

/// Somebody, by what is known of them for certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::jobs) enum Who {
    /// A login on GitHub, which GitHub told.
    Github(String),
    /// A number on Discord. A name there is everybody's to choose and says nothing.
    Discord(i64),
}

impl Who {
    /// Who wrote a request.
    pub fn of(request: &Request) -> Self {
        match &request.place {
            Place::Github { .. } => Self::Github(request.author.login.clone()),
            Place::Discord { .. } => Self::Discord(request.author.id),
        }
    }

    /// Whom a run names as its requester.
    pub fn of_requester(requester: &str) -> Self {
        Author::of_requester(requester).map_or_else(|| Self::Github(requester.to_owned()), Self::Discord)
    }

    /// Their account on GitHub with its number, as commits name it; none for a login alone and where none is linked.
    pub async fn account(&self, pool: &PgPool) -> Result<Option<OnGithub>, sqlx::Error> {
        match self {
            Self::Github(_) => Ok(None),
            Self::Discord(id) => store::on_github(pool, *id).await,
        }
    }

    /// What people call them on GitHub; none where they linked no account.
    pub async fn login(&self, pool: &PgPool) -> Result<Option<String>, sqlx::Error> {
        match self {
            Self::Github(login) => Ok(Some(login.clone())),
            Self::Discord(id) => Ok(store::on_github(pool, *id).await?.map(|known| known.login)),
        }
    }
}

/// What somebody may do on a repository. Whoever is on Discord may what the account they linked may, as GitHub says now; without one
/// they may nothing.
pub(in crate::jobs) async fn permission<E: From<sqlx::Error> + From<GithubError>>(
    pool: &PgPool,
    github: &Github,
    repo: &RepoRef,
    who: &Who,
) -> Result<Permission, E> {
    match who {
        Who::Github(login) => Ok(github.permission(repo, login).await?),
        Who::Discord(id) => match store::on_github(pool, *id).await? {
            Some(known) => Ok(github.permission_of(repo, (known.id, &known.login)).await?),
            None => Ok(Permission::None),
        },
    }
}

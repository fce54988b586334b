//! Who may: GitHub's collaborator permission and organisation membership, looked up by API and remembered for a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::RepoRef;
use super::auth::{As, Needs, person};
use super::client::{Call, Effect, Github};
use super::error::GithubError;
use crate::settings::Permission;

const REMEMBERED: TimeDelta = TimeDelta::seconds(60);
const MOST_REMEMBERED: usize = 10_000;

/// Permissions seen lately, by repository and login.
#[derive(Default)]
pub(super) struct PermissionCache(Mutex<HashMap<Key, (Permission, DateTime<Utc>)>>);

type Key = (i64, String);

impl PermissionCache {
    fn get(&self, key: &Key, now: DateTime<Utc>) -> Option<Permission> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(key).filter(|(_, at)| now - *at < REMEMBERED).map(|(permission, _)| *permission)
    }

    fn put(&self, key: Key, permission: Permission, now: DateTime<Utc>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST_REMEMBERED {
            seen.retain(|_, (_, at)| now - *at < REMEMBERED);
        }
        if seen.len() >= MOST_REMEMBERED {
            seen.clear();
        }
        seen.insert(key, (permission, now));
    }
}

#[derive(Deserialize)]
struct Collaborator {
    permission: Option<String>,
    role_name: Option<String>,
}

impl Collaborator {
    /// `permission` knows no triage and no maintain; `role_name` does, but may be a role of the organisation's own, for which
    /// `permission` then names the base.
    fn level(&self) -> Permission {
        let named = self.role_name.as_deref().and_then(level);
        named.or_else(|| self.permission.as_deref().and_then(level)).unwrap_or(Permission::None)
    }
}

fn level(word: &str) -> Option<Permission> {
    Some(match word {
        "admin" => Permission::Admin,
        "maintain" => Permission::Maintain,
        "write" => Permission::Write,
        "triage" => Permission::Triage,
        "read" => Permission::Read,
        "none" => Permission::None,
        _ => return None,
    })
}

impl Github {
    /// What a person may do on a repository. Somebody GitHub does not know there has no permission. Remembered for 60 seconds.
    ///
    /// # Errors
    /// As the call. `Forbidden` when our own credential may not ask.
    pub async fn permission(&self, repo: &RepoRef, login: &str) -> Result<Permission, GithubError> {
        let key = (repo.id, login.to_lowercase());
        if let Some(permission) = self.permissions.get(&key, self.clock.now()) {
            return Ok(permission);
        }
        let permission = self.within(Effect::None, self.ask_permission(repo, login)).await?;
        self.permissions.put(key, permission, self.clock.now());
        Ok(permission)
    }

    async fn ask_permission(&self, repo: &RepoRef, login: &str) -> Result<Permission, GithubError> {
        let call = Call::get(format!("{}/collaborators/{}/permission", repo.path()?, person(login)));
        match self.call(As::Repository(repo, Needs::Conversation), &call).await {
            Ok(answer) => Ok(answer.json::<Collaborator>(Effect::None)?.level()),
            Err(GithubError::NotFound) => Ok(Permission::None),
            Err(other) => Err(other),
        }
    }

    /// True when a person owns the repository or belongs to the organisation that owns it. An App needs the organisation
    /// permission `members: read`; without it the answer is an error, never a guess.
    ///
    /// # Errors
    /// As the call.
    pub async fn is_member(&self, repo: &RepoRef, login: &str) -> Result<bool, GithubError> {
        if repo.owner().eq_ignore_ascii_case(login) {
            return Ok(true);
        }
        let call = Call::get(format!("/orgs/{}/members/{}", person(repo.owner()), person(login)));
        let asked = self.within(Effect::None, self.call(As::Repository(repo, Needs::Members), &call)).await;
        match asked {
            Ok(_) => Ok(true),
            Err(GithubError::NotFound) => Ok(false),
            Err(other) => Err(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_is_finer_than_the_permission_and_custom_roles_fall_back() {
        let level = |permission: &str, role: &str| {
            Collaborator { permission: Some(permission.into()), role_name: Some(role.into()) }.level()
        };
        assert_eq!(level("read", "triage"), Permission::Triage);
        assert_eq!(level("write", "maintain"), Permission::Maintain);
        assert_eq!(level("write", "release-manager"), Permission::Write);
        assert_eq!(level("none", "none"), Permission::None);
        assert_eq!(level("emperor", "emperor"), Permission::None);
    }
}

//! Who may: GitHub's collaborator permission and organisation membership, looked up by API and remembered for a minute.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::auth::{As, Needs, person};
use super::client::{Call, Effect, Github};
use super::error::GithubError;
use super::{RepoRef, paging};
use crate::settings::Permission;

const REMEMBERED: TimeDelta = TimeDelta::seconds(60);
const MOST_REMEMBERED: usize = 10_000;

/// Permissions seen lately, by repository and login.
pub(super) type PermissionCache = Seen<(i64, String), Permission>;

/// Memberships seen lately, by organisation, team and login.
pub(super) type TeamCache = Seen<(String, String, String), bool>;

/// What was looked up within the last minute.
pub(super) struct Seen<K, V>(Mutex<HashMap<K, (V, DateTime<Utc>)>>);

impl<K, V> Default for Seen<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Copy> Seen<K, V> {
    fn get(&self, key: &K, now: DateTime<Utc>) -> Option<V> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(key).filter(|(_, at)| now - *at < REMEMBERED).map(|(value, _)| *value)
    }

    fn put(&self, key: K, value: V, now: DateTime<Utc>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST_REMEMBERED {
            seen.retain(|_, (_, at)| now - *at < REMEMBERED);
        }
        if seen.len() >= MOST_REMEMBERED {
            seen.clear();
        }
        seen.insert(key, (value, now));
    }
}

#[derive(Deserialize)]
struct Membership {
    state: String,
}

#[derive(Deserialize)]
pub(super) struct Collaborator {
    permission: Option<String>,
    role_name: Option<String>,
    user: Option<Numbered>,
}

#[derive(Deserialize)]
struct Numbered {
    id: i64,
}

impl Collaborator {
    /// Whether it speaks of the account with this number.
    pub(super) fn is(&self, id: i64) -> bool {
        self.user.as_ref().is_some_and(|user| user.id == id)
    }

    /// `permission` knows no triage and no maintain; `role_name` does, but may be a role of the organisation's own, for which
    /// `permission` then names the base.
    pub(super) fn level(&self) -> Permission {
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
        let call = Call::get(format!("{}/collaborators/{}/permission", repo.path()?, person(login))).remembered();
        match self.call(As::Repository(repo, Needs::Conversation), &call).await {
            Ok(answer) => Ok(answer.json::<Collaborator>(Effect::None)?.level()),
            Err(GithubError::NotFound) => Ok(Permission::None),
            Err(other) => Err(other),
        }
    }

    /// True when a person belongs to one of these teams of the organisation that owns the repository. An App needs the organisation
    /// permission `members: read`; without it the answer is an error, never a guess. Remembered for 60 seconds.
    ///
    /// # Errors
    /// As the calls. A team that does not exist has no members.
    pub async fn is_in_team(&self, repo: &RepoRef, teams: &[String], login: &str) -> Result<bool, GithubError> {
        for team in teams {
            let key = (repo.owner().to_lowercase(), team.to_lowercase(), login.to_lowercase());
            let known = self.teams.get(&key, self.clock.now());
            let belongs = match known {
                Some(known) => known,
                None => {
                    let asked = self.within(Effect::None, self.ask_team(repo, team, login)).await?;
                    self.teams.put(key, asked, self.clock.now());
                    asked
                }
            };
            if belongs {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn ask_team(&self, repo: &RepoRef, team: &str, login: &str) -> Result<bool, GithubError> {
        let path = format!("/orgs/{}/teams/{}/memberships/{}", person(repo.owner()), paging::encode(team), person(login));
        match self.call(As::Repository(repo, Needs::Members), &Call::get(path)).await {
            // Somebody who was invited and has not accepted is pending.
            Ok(answer) => Ok(answer.json::<Membership>(Effect::None)?.state == "active"),
            Err(GithubError::NotFound) => Ok(false),
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
            Collaborator { permission: Some(permission.into()), role_name: Some(role.into()), user: None }.level()
        };
        assert_eq!(level("read", "triage"), Permission::Triage);
        assert_eq!(level("write", "maintain"), Permission::Maintain);
        assert_eq!(level("write", "release-manager"), Permission::Write);
        assert_eq!(level("none", "none"), Permission::None);
        assert_eq!(level("emperor", "emperor"), Permission::None);
    }
}

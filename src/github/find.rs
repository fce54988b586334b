//! A repository found by nothing but its name, and what one certain person may do there.

use serde::Deserialize;

use super::RepoRef;
use super::auth::{As, Credentials, Needs, person};
use super::client::{Call, Effect, Github};
use super::error::GithubError;
use super::issue::Seen;
use super::permission::Collaborator;
use crate::settings::Permission;

#[derive(Deserialize)]
struct WireRepository {
    id: i64,
    full_name: String,
    private: bool,
}

#[derive(Deserialize)]
struct Numbered {
    id: i64,
}

impl Github {
    /// A repository where we may act, by its name; none where we may not, or there is none.
    ///
    /// # Errors
    /// As the calls.
    pub async fn find(&self, full_name: &str) -> Result<Option<Seen>, GithubError> {
        match self.within(Effect::None, self.find_named(full_name)).await {
            Ok(seen) => Ok(Some(seen)),
            Err(GithubError::NotFound | GithubError::Gone(_) | GithubError::Forbidden { .. } | GithubError::Invalid(_)) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn find_named(&self, full_name: &str) -> Result<Seen, GithubError> {
        let mut named = RepoRef { full_name: full_name.to_owned(), id: 0, installation: None };
        let path = named.path()?;
        let call = Call::get(&path);
        let answer = match &self.credentials {
            Credentials::Token(_) => self.call(As::App, &call).await?,
            Credentials::App { .. } => {
                let installed = self.call(As::App, &Call::get(format!("{path}/installation"))).await?;
                named.installation = Some(installed.json::<Numbered>(Effect::None)?.id);
                named.id = self.number_of(&named).await?;
                self.call(As::Repository(&named, Needs::Conversation), &call).await?
            }
        };
        let found: WireRepository = answer.json(Effect::None)?;
        let repo = RepoRef { full_name: found.full_name, id: found.id, installation: named.installation };
        Ok(Seen { repo, is_private: found.private })
    }

    /// What the person with this number may do on a repository, as GitHub says now. Logins change hands: when the login is somebody
    /// else's by now, there is no permission.
    ///
    /// # Errors
    /// As the call.
    pub async fn permission_of(&self, repo: &RepoRef, (id, login): (i64, &str)) -> Result<Permission, GithubError> {
        let call = Call::get(format!("{}/collaborators/{}/permission", repo.path()?, person(login)));
        let asked = self.within(Effect::None, self.call(As::Repository(repo, Needs::Conversation), &call)).await;
        match asked {
            Ok(answer) => {
                let found: Collaborator = answer.json(Effect::None)?;
                Ok(if found.is(id) { found.level() } else { Permission::None })
            }
            Err(GithubError::NotFound) => Ok(Permission::None),
            Err(error) => Err(error),
        }
    }
}

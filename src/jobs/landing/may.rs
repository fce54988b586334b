//! Who may let something land. To be let in is not to be let write: what is pushed, reverted, closed or deleted in somebody's name takes the
//! permission that it would take of them on GitHub, looked up as it lands. Whoever is on Discord has what the account they linked has.

use super::GithubLander;
use super::trouble::Trouble;
use crate::intake::Author;
use crate::jobs::bridge::{self, Who};
use crate::reply::inline;
use crate::settings::Permission;

impl GithubLander {
    /// Why nothing may be pushed for this run; none where it may. What nobody asked for is done because the repository's own file says so.
    pub(super) async fn may_not_write(&self) -> Result<Option<String>, Trouble> {
        if self.request.asks.is_automatic() || self.is_at_least(Permission::Write).await? {
            return Ok(None);
        }
        let Some(login) = self.requester.login(&self.services.pool).await? else {
            let handle = inline::plain(&self.services.settings.name, 60);
            return Ok(Some(format!(
                "What lands in {} takes a person with write permission there, and I do not know who {} is on GitHub. Link that account with `@{handle} link account`, then ask again with `@{handle} pr`.",
                inline::plain(&self.repo.full_name, 150),
                inline::plain(&self.request.author.login, 60),
            )));
        };
        let login = inline::plain(&login, 60);
        Ok(Some(match self.requester {
            Who::Github(_) => format!("{login} may ask for work here, but has no write permission on this repository."),
            Who::Discord(_) => {
                let repository = inline::plain(&self.repo.full_name, 150);
                format!("{login} may ask for work here, but has no write permission on {repository}.")
            }
        }))
    }

    /// Whether whoever let the run begin has this permission: of a plan, the one who approved it, whoever had asked for it. Bots are asked
    /// for like people; one that GitHub knows no permission of has none.
    pub(super) async fn is_at_least(&self, needed: Permission) -> Result<bool, Trouble> {
        Ok(bridge::permission::<Trouble>(&self.services.pool, &self.github, &self.repo, &self.requester).await? >= needed)
    }

    /// Who asked, as commits name people: by their account on GitHub; none where it is not known.
    pub(super) async fn person(&self) -> Result<Option<Author>, Trouble> {
        match &self.author {
            Who::Github(_) => Ok(Some(self.request.author.clone())),
            Who::Discord(_) => {
                let known = self.author.account(&self.services.pool).await?;
                Ok(known.map(|known| Author { id: known.id, login: known.login, is_bot: false }))
            }
        }
    }

    /// Who let the run begin, for people.
    pub(super) async fn requester_name(&self) -> Result<String, Trouble> {
        Ok(self.requester.login(&self.services.pool).await?.unwrap_or_else(|| "somebody on Discord".to_owned()))
    }
}

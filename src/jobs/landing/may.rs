//! Who may let something land. To be let in is not to be let write: what is pushed, reverted, closed or deleted in somebody's name takes the
//! permission that it would take of them.

use super::GithubLander;
use super::trouble::Trouble;
use crate::reply::inline;
use crate::settings::Permission;

impl GithubLander {
    /// Why nothing may be pushed for this run; none where it may. What nobody asked for is done because the repository's own file says so.
    pub(super) async fn may_not_write(&self) -> Result<Option<String>, Trouble> {
        if self.request.asks.is_automatic() || self.is_at_least(Permission::Write).await? {
            return Ok(None);
        }
        let login = inline::plain(&self.requester, 60);
        Ok(Some(format!("{login} may ask for work here, but has no write permission on this repository.")))
    }

    /// Whether whoever let the run begin has this permission, or who asked for it: a plan is carried out for the one who approved it.
    /// Bots are asked for like people; one that GitHub knows no permission of has none.
    pub(super) async fn is_at_least(&self, needed: Permission) -> Result<bool, Trouble> {
        let author = &self.request.author.login;
        if self.github.permission(&self.repo, &self.requester).await? >= needed {
            return Ok(true);
        }
        Ok(*author != self.requester && self.github.permission(&self.repo, author).await? >= needed)
    }
}

//! Pull requests: looked up, opened once, closed.

use serde::Deserialize;
use serde_json::json;

use super::auth::{As, Credentials, Needs};
use super::client::{Call, Effect, Github};
use super::error::GithubError;
use super::{RepoRef, paging};

/// A pull request as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Its number.
    pub number: i64,
    /// Where people read it.
    pub url: String,
    /// True while it is neither closed nor merged.
    pub is_open: bool,
    /// True once it is merged.
    pub is_merged: bool,
    /// True for a draft.
    pub is_draft: bool,
    /// Its text.
    pub body: String,
    /// The branch it goes into.
    pub base_branch: String,
    /// The newest commit of that branch.
    pub base: String,
    /// The branch it comes from.
    pub head_branch: String,
    /// The commit that stands at.
    pub head: String,
    /// The repository of that branch; none when that was deleted.
    pub head_repository: Option<RepoRef>,
    /// True when the branch is in the repository of the pull request.
    pub is_same_repository: bool,
    /// True when people with power over the repository may push to the branch of a fork.
    pub maintainers_may_push: bool,
}

impl Pull {
    /// The repository's page, such as `https://github.com/acme/tools`; empty when its address is not known.
    pub fn repository_page(&self) -> &str {
        self.url.rsplit_once("/pull/").map_or("", |(page, _)| page)
    }
}

/// A pull request that is to be opened.
#[derive(Clone, Copy, Debug)]
pub struct NewPull<'a> {
    /// At most 256 characters.
    pub title: &'a str,
    /// At most 65,536 characters.
    pub body: &'a str,
    /// The branch it comes from, in the same repository.
    pub head: &'a str,
    /// The branch it goes into.
    pub base: &'a str,
    /// True for a draft.
    pub draft: bool,
}

#[derive(Deserialize)]
struct Wire {
    number: i64,
    #[serde(default)]
    html_url: String,
    state: String,
    #[serde(default)]
    merged: bool,
    #[serde(default)]
    merged_at: Option<String>,
    #[serde(default)]
    draft: bool,
    body: Option<String>,
    head: WireSide,
    base: WireSide,
    #[serde(default)]
    maintainer_can_modify: bool,
}

#[derive(Deserialize)]
struct WireSide {
    #[serde(rename = "ref")]
    name: String,
    #[serde(default)]
    sha: Option<String>,
    #[serde(default)]
    repo: Option<WireRepository>,
}

#[derive(Deserialize)]
struct WireRepository {
    id: i64,
    full_name: String,
}

#[derive(Deserialize)]
struct WireDefault {
    default_branch: String,
}

impl Wire {
    fn into_pull(self, repo: &RepoRef) -> Pull {
        let is_same = self.head.repo.as_ref().is_some_and(|head| head.id == repo.id);
        let head_repository = self.head.repo.map(|head| match is_same {
            true => repo.clone(),
            // Another account's; who may act there is looked up when it is needed.
            false => RepoRef { full_name: head.full_name, id: head.id, installation: None },
        });
        Pull {
            number: self.number,
            url: self.html_url,
            is_open: self.state == "open",
            is_merged: self.merged || self.merged_at.is_some(),
            is_draft: self.draft,
            body: self.body.unwrap_or_default(),
            base_branch: self.base.name,
            base: self.base.sha.unwrap_or_default(),
            head_branch: self.head.name,
            head: self.head.sha.unwrap_or_default(),
            head_repository,
            is_same_repository: is_same,
            maintainers_may_push: self.maintainer_can_modify,
        }
    }
}

impl Github {
    /// A pull request.
    ///
    /// # Errors
    /// As the call. `NotFound` when there is none of that number.
    pub async fn pull(&self, repo: &RepoRef, number: i64) -> Result<Pull, GithubError> {
        let call = Call::get(format!("{}/pulls/{number}", repo.path()?));
        let asked = self.within(Effect::None, self.call(As::Repository(repo, Needs::Contents), &call)).await?;
        Ok(asked.json::<Wire>(Effect::None)?.into_pull(repo))
    }

    /// The pull request of a branch of this repository that holds `marker` in its text; open or not, the newest first.
    ///
    /// # Errors
    /// As the call.
    pub async fn pull_of_branch(&self, repo: &RepoRef, branch: &str, marker: &str) -> Result<Option<Pull>, GithubError> {
        let head = paging::encode(&format!("{}:{branch}", repo.owner()));
        let call = Call::get(format!("{}/pulls?state=all&head={head}&per_page=30", repo.path()?));
        let asked = self.within(Effect::None, self.call(As::Repository(repo, Needs::Contents), &call)).await?;
        let pulls: Vec<Wire> = asked.json(Effect::None)?;
        let mut pulls = pulls.into_iter().map(|pull| pull.into_pull(repo));
        Ok(pulls.find(|pull| pull.head_branch == branch && pull.body.contains(marker)))
    }

    /// Opens a pull request. Not idempotent by itself: look for the marker in its text with [`Github::pull_of_branch`] first.
    ///
    /// # Errors
    /// As the call; nothing is resent. `Invalid` when there is one already, or the repository has no drafts.
    pub async fn open_pull(&self, repo: &RepoRef, new: &NewPull<'_>) -> Result<Pull, GithubError> {
        let body = json!({"title": new.title, "body": new.body, "head": new.head, "base": new.base, "draft": new.draft});
        let call = Call::post(format!("{}/pulls", repo.path()?), body, Effect::Create);
        let operation = async {
            let answer = self.call(As::Repository(repo, Needs::Landing), &call).await?;
            Ok(answer.json::<Wire>(Effect::Create)?.into_pull(repo))
        };
        self.within(Effect::Create, operation).await
    }

    /// Closes a pull request. Idempotent.
    ///
    /// # Errors
    /// As the call.
    pub async fn close_pull(&self, repo: &RepoRef, number: i64) -> Result<(), GithubError> {
        let call = Call::patch(format!("{}/pulls/{number}", repo.path()?), json!({"state": "closed"}));
        self.within(Effect::Change, self.call(As::Repository(repo, Needs::Landing), &call)).await?;
        Ok(())
    }

    /// The name of the default branch.
    ///
    /// # Errors
    /// As the call.
    pub async fn default_branch(&self, repo: &RepoRef) -> Result<String, GithubError> {
        let call = Call::get(repo.path()?);
        let asked = self.within(Effect::None, self.call(As::Repository(repo, Needs::Contents), &call)).await?;
        Ok(asked.json::<WireDefault>(Effect::None)?.default_branch)
    }

    /// True when a person's token acts, which reaches the forks that person may push to.
    pub fn acts_as_person(&self) -> bool {
        matches!(self.credentials, Credentials::Token(_))
    }
}

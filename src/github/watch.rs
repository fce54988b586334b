//! What stands there now: reactions on our comments, and texts and commits that an approval covers.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::auth::{As, Needs};
use super::client::{Call, Effect, Github};
use super::comment::Comment;
use super::error::GithubError;
use super::person::WireUser;
use super::{RepoRef, paging};
use crate::intake::{Author, Place, Trigger};

/// A reaction somebody gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its number.
    pub id: i64,
    /// Who gave it; none when the account was deleted.
    pub author: Option<Author>,
    /// GitHub's word for it, such as `+1`.
    pub content: String,
    /// When.
    pub at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Wire {
    id: i64,
    user: Option<WireUser>,
    content: String,
    created_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct WireText {
    body: Option<String>,
}

#[derive(Deserialize)]
struct WireRepository {
    id: i64,
    full_name: String,
    private: bool,
}

#[derive(Deserialize)]
struct WireIssue {
    pull_request: Option<serde::de::IgnoredAny>,
}

/// Another conversation, found by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Its repository.
    pub repo: RepoRef,
    /// True when not everybody may read it.
    pub is_private: bool,
    /// True for a pull request.
    pub is_pull_request: bool,
}

impl Elsewhere {
    /// Where it is talked about, and what people call it; `number` is the one it was found by.
    pub fn conversation(self, number: i64) -> (Place, String) {
        let name = format!("{}#{number}", self.repo.full_name);
        let place = Place::Github {
            repository: self.repo.full_name,
            repository_id: self.repo.id,
            number,
            installation: self.repo.installation,
            is_pull_request: self.is_pull_request,
        };
        (place, name)
    }
}

/// No more pages of reactions than this are read.
const MOST_PAGES: usize = 5;

impl Github {
    /// The reactions of this kind (GitHub's word for it) on a comment, oldest first, at most five hundred.
    ///
    /// # Errors
    /// As the calls; `NotFound` when the comment was deleted.
    pub async fn reactions(&self, repo: &RepoRef, comment: Trigger, content: &str) -> Result<Vec<Given>, GithubError> {
        let Some(at) = comment_path(repo, comment)? else { return Ok(Vec::new()) };
        let path = format!("{at}/reactions?content={}&per_page=100", paging::encode(content));
        let operation = async {
            let (mut found, mut next) = (Vec::new(), Some(path));
            for _ in 0..MOST_PAGES {
                let Some(path) = next else { break };
                let answer = self.call(As::Repository(repo, Needs::Conversation), &Call::get(path)).await?;
                found.extend(answer.json::<Vec<Wire>>(Effect::None)?.into_iter().map(Given::from));
                next = self.link(&answer, "next");
            }
            found.retain(|given: &Given| given.content == content);
            Ok(found)
        };
        self.within(Effect::None, operation).await
    }

    /// A comment of a conversation as it stands now; none when it was deleted.
    ///
    /// # Errors
    /// As the call.
    pub async fn comment(&self, repo: &RepoRef, comment: Trigger) -> Result<Option<Comment>, GithubError> {
        let Some(at) = comment_path(repo, comment)? else { return Ok(None) };
        let call = Call::get(at);
        let operation = async {
            let us = self.known_identity().await?;
            match self.call(As::Repository(repo, Needs::Conversation), &call).await {
                Ok(answer) => Ok(Some(Comment::read(&answer, us)?)),
                Err(GithubError::NotFound) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.within(Effect::None, operation).await
    }

    /// What triggered us as it reads now; none when it was deleted, or nothing was written.
    ///
    /// # Errors
    /// As the call.
    pub async fn text_of(&self, repo: &RepoRef, number: i64, trigger: Trigger) -> Result<Option<String>, GithubError> {
        let base = repo.path()?;
        let path = match trigger {
            Trigger::Body => format!("{base}/issues/{number}"),
            Trigger::Comment(id) => format!("{base}/issues/comments/{id}"),
            Trigger::Review(id) => format!("{base}/pulls/{number}/reviews/{id}"),
            Trigger::ReviewComment(id) => format!("{base}/pulls/comments/{id}"),
            Trigger::Event => return Ok(None),
        };
        let call = Call::get(path);
        match self.within(Effect::None, self.call(As::Repository(repo, Needs::Conversation), &call)).await {
            Ok(answer) => Ok(Some(answer.json::<WireText>(Effect::None)?.body.unwrap_or_default())),
            Err(GithubError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The issue or pull request of this number in the repository of this name; none when there is none, or none that everybody who is
    /// `here` may know of: what is private elsewhere is not asked for.
    ///
    /// # Errors
    /// As the calls.
    pub async fn elsewhere(&self, here: &RepoRef, full_name: &str, number: i64) -> Result<Option<Elsewhere>, GithubError> {
        match self.within(Effect::None, self.find_elsewhere(here, full_name, number)).await {
            Ok(found) => Ok(Some(found)),
            Err(GithubError::NotFound | GithubError::Forbidden { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn find_elsewhere(&self, here: &RepoRef, full_name: &str, number: i64) -> Result<Elsewhere, GithubError> {
        let named = RepoRef { full_name: full_name.to_owned(), id: 0, installation: None };
        let path = named.path()?;
        // With what is ours here: it reads this repository, and what is public.
        let who = As::Repository(here, Needs::Conversation);
        let repository: WireRepository = self.call(who, &Call::get(&path)).await?.json(Effect::None)?;
        let issue: WireIssue = self.call(who, &Call::get(format!("{path}/issues/{number}"))).await?.json(Effect::None)?;
        let installation = here.installation.filter(|_| repository.id == here.id);
        let repo = RepoRef { full_name: repository.full_name, id: repository.id, installation };
        Ok(Elsewhere { repo, is_private: repository.private, is_pull_request: issue.pull_request.is_some() })
    }
}

/// Where a comment stands; none for what is no comment.
fn comment_path(repo: &RepoRef, comment: Trigger) -> Result<Option<String>, GithubError> {
    let base = repo.path()?;
    Ok(match comment {
        Trigger::Comment(id) => Some(format!("{base}/issues/comments/{id}")),
        Trigger::ReviewComment(id) => Some(format!("{base}/pulls/comments/{id}")),
        Trigger::Body | Trigger::Review(_) | Trigger::Event => None,
    })
}

impl From<Wire> for Given {
    fn from(wire: Wire) -> Self {
        Self { id: wire.id, author: wire.user.map(Author::from), content: wire.content, at: wire.created_at }
    }
}

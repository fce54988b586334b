//! Issues as they can be read: the issue itself, and its comments paged back from a moment.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::auth::{As, Needs};
use super::client::{Call, Effect, Github};
use super::comment::{Comment, comments, page_path};
use super::error::GithubError;
use super::{RepoRef, paging};
use crate::intake::Author;

/// Pages of a hundred comments that are read for one question.
const MOST_PAGES: u32 = 10;

/// An issue or pull request as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Its number.
    pub number: i64,
    /// Its title.
    pub title: String,
    /// Its text, Markdown; may be empty.
    pub body: String,
    /// `open` or `closed`.
    pub state: String,
    /// Why it was closed, such as `completed`.
    pub state_reason: Option<String>,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Who opened it; none when the account was deleted.
    pub author: Option<Author>,
    /// True for a pull request.
    pub is_pull_request: bool,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When anything about it last changed, comments included.
    pub updated_at: DateTime<Utc>,
}

/// Comments as they stood at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AsOf {
    /// Oldest first.
    pub comments: Vec<Comment>,
    /// Those that were written or edited later, of the ones that were looked at.
    pub later: usize,
    /// Whether there are older ones.
    pub more: bool,
}

/// A repository as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// For calls.
    pub repo: RepoRef,
    /// True when not everybody can read it.
    pub is_private: bool,
}

#[derive(Deserialize)]
struct WireIssue {
    number: i64,
    title: String,
    body: Option<String>,
    state: String,
    state_reason: Option<String>,
    #[serde(default)]
    labels: Vec<WireLabel>,
    user: Option<super::person::WireUser>,
    pull_request: Option<serde::de::IgnoredAny>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// GitHub gives a name alone in old answers.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireLabel {
    Whole { name: Option<String> },
    Name(String),
}

impl WireLabel {
    fn name(self) -> Option<String> {
        match self {
            Self::Whole { name } => name,
            Self::Name(name) => Some(name),
        }
    }
}

#[derive(Deserialize)]
struct WireRepository {
    id: i64,
    full_name: String,
    private: bool,
}

impl Github {
    /// An issue or pull request.
    ///
    /// # Errors
    /// As the call.
    pub async fn issue(&self, reader: Reads<'_>, number: i64) -> Result<Issue, GithubError> {
        let call = Call::get(format!("{}/issues/{number}", reader.repo.path()?));
        let answer = self.within(Effect::None, self.call(reader.conversation(), &call)).await?;
        let issue: WireIssue = answer.json(Effect::None)?;
        Ok(Issue {
            number: issue.number,
            title: issue.title,
            body: issue.body.unwrap_or_default(),
            state: issue.state,
            state_reason: issue.state_reason,
            labels: issue.labels.into_iter().filter_map(WireLabel::name).collect(),
            author: issue.user.map(Author::from),
            is_pull_request: issue.pull_request.is_some(),
            created_at: issue.created_at,
            updated_at: issue.updated_at,
        })
    }

    /// The comments that were written and last edited before `horizon`, counted back from it: `skip` of them are passed over, at most
    /// `most` given. What was edited later is left out, because its old text cannot be had.
    ///
    /// # Errors
    /// As the calls.
    pub async fn comments_as_of(
        &self,
        reader: Reads<'_>,
        number: i64,
        horizon: DateTime<Utc>,
        skip: usize,
        most: usize,
    ) -> Result<AsOf, GithubError> {
        let us = self.identity().await?;
        let page = async |page: u32| {
            let call = Call::get(page_path(reader.repo, number, page)?);
            self.within(Effect::None, self.call(reader.conversation(), &call)).await
        };
        let first = page(1).await?;
        let last = self.link(&first, "last").and_then(|link| paging::page(&link)).unwrap_or(1);
        let mut read = AsOf::default();
        let mut reached = last;
        for number in (1..=last).rev().take(MOST_PAGES as usize) {
            reached = number;
            let answer = if number == 1 { &first } else { &page(number).await? };
            let all = comments(answer, &us)?;
            let before = all.len();
            let stood = all.into_iter().filter(|comment| comment.created_at < horizon && comment.updated_at < horizon);
            let stood: Vec<Comment> = stood.collect();
            read.later += before - stood.len();
            read.comments.splice(0..0, stood);
            // One more than is wanted tells whether there are older ones.
            if read.comments.len() > skip + most {
                break;
            }
        }
        let end = read.comments.len().saturating_sub(skip);
        let start = end.saturating_sub(most);
        read.more = start > 0 || reached > 1;
        read.comments.truncate(end);
        read.comments.drain(..start);
        Ok(read)
    }

    /// A repository by its name, looked up with the rights of `own`, a repository that is known. A private one of the same owner is
    /// found where we may act on it, too.
    ///
    /// # Errors
    /// `NotFound` when there is none that we can read; else as the calls.
    pub async fn look_up(&self, own: &RepoRef, full_name: &str) -> Result<Seen, GithubError> {
        let named = RepoRef { full_name: full_name.to_owned(), id: 0, installation: own.installation };
        let call = Call::get(named.path()?);
        let seen = self.within(Effect::None, self.call(As::Repository(own, Needs::Conversation), &call)).await;
        let found: WireRepository = match seen {
            Ok(answer) => answer.json(Effect::None)?,
            Err(GithubError::NotFound) if named.owner().eq_ignore_ascii_case(own.owner()) => {
                let id = self.within(Effect::None, self.number_of(&named)).await?;
                let repo = RepoRef { id, ..named.clone() };
                let call = Call::get(repo.path()?);
                let answer = self.within(Effect::None, self.call(As::Repository(&repo, Needs::Conversation), &call)).await?;
                answer.json(Effect::None)?
            }
            Err(error) => return Err(error),
        };
        let installation = own.installation.filter(|_| named.owner().eq_ignore_ascii_case(own.owner()));
        let repo = RepoRef { full_name: found.full_name, id: found.id, installation };
        Ok(Seen { repo, is_private: found.private })
    }

    /// Whether a repository is private.
    ///
    /// # Errors
    /// As the call.
    pub async fn is_private(&self, repo: &RepoRef) -> Result<bool, GithubError> {
        let call = Call::get(repo.path()?);
        let answer = self.within(Effect::None, self.call(As::Repository(repo, Needs::Conversation), &call)).await?;
        Ok(answer.json::<WireRepository>(Effect::None)?.private)
    }
}

/// What is read, and with whose rights: a public repository elsewhere is read with those of the conversation's own.
#[derive(Clone, Copy, Debug)]
pub struct Reads<'a> {
    /// What is read.
    pub repo: &'a RepoRef,
    /// Whose token is used.
    pub with: &'a RepoRef,
}

impl<'a> Reads<'a> {
    /// A repository with its own rights.
    pub fn own(repo: &'a RepoRef) -> Self {
        Self { repo, with: repo }
    }

    pub(super) fn conversation(self) -> As<'a> {
        As::Repository(self.with, Needs::Conversation)
    }

    pub(super) fn contents(self) -> As<'a> {
        As::Repository(self.with, Needs::Contents)
    }
}

//! Reads issues, pull requests and checks for a run: as data, attributed, cleaned, capped, and as it stood when the request was
//! written. [`reach`] decides what may be read at all.

mod checks;
mod pull;
mod reach;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Services;
use super::bridge::Who;
use crate::agent::store::Taken;
use crate::agent::tools::{HandError, Reader, Target};
use crate::github::{Github, GithubError, Issue, Reads, RepoRef};
use crate::intake::{Author, Place, Request, Trigger};
use crate::model::Part;
use crate::reply::clean;

/// Bytes of one text: the opening of an issue, and each comment.
const OPENING: usize = 24_000;
const COMMENT: usize = 6_000;
/// Bytes of all comments on a page, so that a result stays readable.
const COMMENTS: usize = 60_000;
/// Comments on a page.
const PER_PAGE: usize = 40;

/// Reads on GitHub for one run.
pub(super) struct GithubReader {
    github: Arc<Github>,
    pool: PgPool,
    repo: RepoRef,
    /// Of the issue or pull request the conversation is; none elsewhere.
    number: Option<i64>,
    is_pull_request: bool,
    request: Request,
    /// Who let the run begin, and who asked for it.
    people: [Who; 2],
}

impl GithubReader {
    /// The reader of a run; none where the conversation is about no repository.
    pub(super) fn of(services: &Services, taken: &Taken) -> Option<Self> {
        let github = services.github.clone()?;
        let repo = RepoRef::about(&taken.request.place)?;
        let number = RepoRef::of(&taken.request.place).map(|(_, number)| number);
        let is_pull_request = taken.request.place.is_pull_request();
        let people = [Who::of_requester(&taken.requester), Who::of(&taken.request)];
        let pool = services.pool.clone();
        Some(Self { github, pool, repo, number, is_pull_request, request: taken.request.clone(), people })
    }

    /// The moment that counts.
    fn horizon(&self) -> DateTime<Utc> {
        self.request.written_at
    }

    fn is_own(&self, repo: &RepoRef, number: i64) -> bool {
        repo.id == self.repo.id && Some(number) == self.number
    }

    /// What is to be read: what they name, else the conversation itself.
    fn number(&self, target: &Target) -> Result<i64, HandError> {
        let none = || {
            HandError::Refused("This conversation is not on GitHub. Give the `number` of an issue or pull request.".to_owned())
        };
        target.number.or(self.number).ok_or_else(none)
    }

    /// Whose words they are to the run.
    fn trust(&self, author: Option<&Author>, is_ours: bool) -> &'static str {
        match author {
            _ if is_ours => "your own earlier words",
            Some(author) if self.is_asker(author) => "the person who asks, earlier",
            Some(_) | None => "somebody else",
        }
    }

    /// Whether it is who asks. On Discord names are everybody's to choose, so there it is the login of the account that was linked.
    fn is_asker(&self, author: &Author) -> bool {
        let login = match &self.request.place {
            Place::Github { .. } => Some(&self.request.author.login),
            Place::Discord { repository, .. } => repository.as_ref().and_then(|linked| linked.login.as_ref()),
        };
        login.is_some_and(|login| author.login.eq_ignore_ascii_case(login))
    }

    async fn read_issue(&self, target: &Target) -> Result<Value, HandError> {
        let repo = self.reach(target).await?;
        let number = self.number(target)?;
        let reads = Reads { repo: &repo, with: self.rights(&repo) };
        let issue = self.github.issue(reads, number).await.map_err(|error| explain(&error, &named(&repo, number)))?;
        if issue.created_at > self.horizon() && !self.is_own(&repo, number) {
            return Err(HandError::Refused(format!("{} was opened after the request was written.", named(&repo, number))));
        }
        let skip = (target.page - 1).saturating_mul(PER_PAGE);
        let asked = self.github.comments_as_of(reads, number, self.horizon(), skip, PER_PAGE).await;
        let mut comments = asked.map_err(|error| explain(&error, &named(&repo, number)))?;
        let mut told = self.opening(&repo, &issue);
        let (mut room, mut shown) = (COMMENTS, Vec::new());
        for comment in comments.comments.drain(..).rev() {
            let text = clean::data(&comment.body, COMMENT.min(room));
            room = room.saturating_sub(text.len());
            shown.push(json!({
                "author": login(comment.author.as_ref()), "trust": self.trust(comment.author.as_ref(), comment.is_ours),
                "at": time(comment.updated_at), "text": if room == 0 { "(left out: too much text on this page)".into() } else { text },
            }));
        }
        shown.reverse();
        told["comments"] = json!(shown);
        told["page"] = json!(target.page);
        if comments.more {
            told["olderComments"] = json!(format!("on page {}", target.page + 1));
        }
        if comments.later > 0 {
            let count = crate::reply::inline::counted(comments.later as u64, "comment");
            told["leftOut"] = json!(format!("{count} written or edited after the request"));
        }
        Ok(told)
    }

    /// Title, text and state. The conversation's own are those that stood there when the request was written.
    fn opening(&self, repo: &RepoRef, issue: &Issue) -> Value {
        let is_own = self.is_own(repo, issue.number);
        let (title, body) = if is_own { self.own_opening(issue) } else { (issue.title.as_str(), Some(issue.body.as_str())) };
        let mut told = json!({
            "repository": repo.full_name, "number": issue.number, "kind": if issue.is_pull_request { "pull request" } else { "issue" },
            "state": issue.state, "labels": issue.labels.iter().map(|label| clean::line(label, 100)).collect::<Vec<_>>(),
            "author": login(issue.author.as_ref()), "trust": self.trust(issue.author.as_ref(), false), "createdAt": time(issue.created_at),
            "title": clean::line(title, 1_000), "text": clean::data(body.unwrap_or_default(), OPENING),
        });
        if let Some(reason) = &issue.state_reason {
            told["stateReason"] = json!(reason);
        }
        if !is_own && issue.updated_at > self.horizon() {
            told["note"] = json!("It was changed after the request was written; its text may be newer.");
        }
        told
    }

    fn own_opening<'a>(&'a self, issue: &'a Issue) -> (&'a str, Option<&'a str>) {
        let body = match self.request.trigger {
            Trigger::Body => Some(self.request.text.as_str()),
            Trigger::Comment(_) | Trigger::Review(_) | Trigger::ReviewComment(_) | Trigger::Event => self.request.body.as_deref(),
        };
        // Nobody wrote anything then; what stands there is read unless it is newer.
        let body = body.or_else(|| (issue.updated_at <= self.horizon()).then_some(issue.body.as_str()));
        (&self.request.title, body)
    }
}

#[async_trait]
impl Reader for GithubReader {
    async fn issue(&self, target: &Target) -> Result<Value, HandError> {
        self.read_issue(target).await
    }

    async fn pull_request(&self, target: &Target, path: Option<&str>) -> Result<Value, HandError> {
        match path {
            Some(path) => self.read_diff(target, path).await,
            None => self.read_pull(target).await,
        }
    }

    async fn check_logs(&self, name: Option<&str>) -> Result<Value, HandError> {
        self.read_checks(name).await
    }
}

/// What a pull request is about, for the first message of a run; none for an issue, and where it cannot be read.
pub(super) async fn outline(services: &Services, taken: &Taken) -> Option<Part> {
    let reader = GithubReader::of(services, taken).filter(|reader| reader.is_pull_request)?;
    match reader.outlined().await {
        Ok(text) => Some(Part::Text { text: format!("\n\n{text}") }),
        Err(error) => {
            tracing::info!(%error, "the changed files are not told at the beginning");
            None
        }
    }
}

fn named(repo: &RepoRef, number: i64) -> String {
    format!("{}#{number}", repo.full_name)
}

fn login(author: Option<&Author>) -> String {
    author.map_or_else(|| "a deleted account".to_owned(), |author| clean::line(&author.login, 100))
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What a failed call means for the model.
fn explain(error: &GithubError, what: &str) -> HandError {
    let text = format!("{what} cannot be read: {error}.");
    if error.is_transient() { HandError::Unavailable(format!("{text} Try again later.")) } else { HandError::Refused(text) }
}

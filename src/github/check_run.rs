//! The check run of a review: one for each head, found again by its external id. Only Apps may write them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{As, Credentials, Needs};
use super::client::{Call, Effect, Github};
use super::error::GithubError;
use super::{RepoRef, paging};

/// How a check ended. It never fails anybody's pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Everything was looked at, and nothing was found.
    Success,
    /// There is something to read, or it was not looked at to the end.
    Neutral,
}

impl Conclusion {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Neutral => "neutral",
        }
    }
}

/// Which check.
#[derive(Clone, Copy, Debug)]
pub struct CheckOf<'a> {
    /// What people see.
    pub name: &'a str,
    /// The commit.
    pub head: &'a str,
    /// Names it for ever.
    pub external_id: &'a str,
}

#[derive(Deserialize)]
struct Listed {
    check_runs: Vec<Wire>,
}

#[derive(Deserialize)]
struct Wire {
    id: i64,
    external_id: Option<String>,
}

impl Github {
    /// True when check runs can be written: with an App, not with a plain token.
    pub fn writes_checks(&self) -> bool {
        match &self.credentials {
            Credentials::App { .. } => true,
            Credentials::Token(_) => false,
        }
    }

    /// Shows that the check is under way. Idempotent: finds the one that is there.
    ///
    /// # Errors
    /// As the calls; `Forbidden` where the App may not write checks.
    pub async fn begin_check(&self, repo: &RepoRef, check: CheckOf<'_>) -> Result<(), GithubError> {
        self.write_check(repo, check, json!({"status": "in_progress"})).await
    }

    /// Ends the check with a title and a summary (Markdown, at most 65,535 characters). Idempotent: changes the one that is there.
    ///
    /// # Errors
    /// As the calls; `Forbidden` where the App may not write checks.
    pub async fn end_check(
        &self,
        repo: &RepoRef,
        check: CheckOf<'_>,
        conclusion: Conclusion,
        title: &str,
        summary: &str,
    ) -> Result<(), GithubError> {
        let body = json!({
            "status": "completed",
            "conclusion": conclusion.as_str(),
            "output": {"title": title, "summary": summary},
        });
        self.write_check(repo, check, body).await
    }

    async fn write_check(&self, repo: &RepoRef, check: CheckOf<'_>, mut body: Value) -> Result<(), GithubError> {
        let who = As::Repository(repo, Needs::Checks);
        let existing = self.within(Effect::None, self.find_check(repo, check)).await?;
        let call = match existing {
            Some(id) => Call::patch(format!("{}/check-runs/{id}", repo.path()?), body),
            None => {
                for (key, value) in [("name", check.name), ("head_sha", check.head), ("external_id", check.external_id)] {
                    body[key] = value.into();
                }
                Call::post(format!("{}/check-runs", repo.path()?), body, Effect::Create)
            }
        };
        self.within(Effect::Create, self.call(who, &call)).await?;
        Ok(())
    }

    async fn find_check(&self, repo: &RepoRef, check: CheckOf<'_>) -> Result<Option<i64>, GithubError> {
        let (head, name) = (paging::encode(check.head), paging::encode(check.name));
        let path = format!("{}/commits/{head}/check-runs?check_name={name}&filter=all&per_page=100", repo.path()?);
        let answer = self.call(As::Repository(repo, Needs::Checks), &Call::get(path)).await?;
        let listed: Listed = answer.json(Effect::None)?;
        let is_it = |run: &&Wire| run.external_id.as_deref() == Some(check.external_id);
        Ok(listed.check_runs.iter().find(is_it).map(|run| run.id))
    }
}

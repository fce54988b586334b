//! Reactions on what triggered us. GitHub keeps one of each kind per account, so the same again changes nothing.

use serde_json::json;

use super::RepoRef;
use super::auth::{As, Needs};
use super::client::{Call, Effect, Github};
use super::error::GithubError;
use crate::intake::Trigger;

/// The reactions we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// 👀: seen.
    Eyes,
    /// 🚀: done.
    Rocket,
    /// 😕: did not work out.
    Confused,
}

impl Reaction {
    /// GitHub's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eyes => "eyes",
            Self::Rocket => "rocket",
            Self::Confused => "confused",
        }
    }
}

impl Github {
    /// Adds a reaction to what triggered us. Idempotent: safe to repeat after any failure.
    ///
    /// # Errors
    /// As the call; `NotFound` when the comment was deleted meanwhile.
    pub async fn react(&self, repo: &RepoRef, number: i64, trigger: Trigger, reaction: Reaction) -> Result<(), GithubError> {
        let path = match trigger {
            Trigger::Body => format!("{}/issues/{number}/reactions", repo.path()?),
            Trigger::Comment(id) => format!("{}/issues/comments/{id}/reactions", repo.path()?),
            Trigger::ReviewComment(id) => format!("{}/pulls/comments/{id}/reactions", repo.path()?),
            // There is nothing that could carry one.
            Trigger::Review(_) | Trigger::Event => return Ok(()),
        };
        let call = Call::post(path, json!({"content": reaction.as_str()}), Effect::Change);
        self.within(Effect::Change, self.call(As::Repository(repo, Needs::Conversation), &call)).await?;
        Ok(())
    }
}

//! `openPullRequest`: lands the work of the conversation.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Access, HandError, Kind, Proposal, ToolContext, ToolOutput, Typed};
use crate::landing::plan::ProposedCommit;
use crate::sandbox::SandboxError;

pub(super) struct OpenPullRequest;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// One line: what changes.
    title: String,
    /// Markdown: what changed, why, and how it was verified. No mentions.
    body: String,
    /// One commit for each logical change, when there are several; files that none of them names go into one more. Leave out for one
    /// commit.
    #[serde(default)]
    commits: Vec<Commit>,
    /// True: a draft, also where the repository wants pull requests to be ready.
    #[serde(default)]
    draft: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Commit {
    /// A subject of at most 72 characters, in the imperative; then, after an empty line, why.
    message: String,
    /// Paths of files, or of directories that end with `/`, relative to the workspace.
    paths: Vec<String>,
}

impl Typed for OpenPullRequest {
    type Arguments = Arguments;
    const NAME: &'static str = "openPullRequest";
    const DESCRIPTION: &'static str = include_str!("open_pull_request.md");
    const KIND: Kind = Kind::Lands;
    const REPEATS: bool = true;

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(_: &Arguments) -> String {
        "Landing the work".to_owned()
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let Some(lander) = &ctx.hands.lander else {
            return Err(SandboxError::Invalid("work of this conversation cannot land".to_owned()));
        };
        let commits = arguments.commits.into_iter().map(|commit| ProposedCommit { message: commit.message, paths: commit.paths });
        let proposal =
            Proposal { title: arguments.title, body: arguments.body, commits: commits.collect(), draft: arguments.draft };
        Ok(match lander.land(proposal).await {
            Ok(output) => output,
            Err(HandError::Refused(why)) => ToolOutput::error(why, "Nothing landed"),
            Err(HandError::Unavailable(why)) => ToolOutput::error(why, "It has not landed yet"),
        })
    }
}

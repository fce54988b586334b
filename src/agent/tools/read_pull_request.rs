//! `readPullRequest`: what a pull request brings and what was said about it, or the diff of one file.

use schemars::JsonSchema;
use serde::Deserialize;

use super::read_issue::{missing, named, told};
use super::{Access, Kind, Target, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::SandboxError;

pub(super) struct ReadPullRequest;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Its number. Leave out for this conversation's.
    #[schemars(range(min = 1))]
    number: Option<i64>,
    /// Another repository as `owner/name`: a public one, or one that the request itself names. Leave out for this one.
    repository: Option<String>,
    /// A changed file whose diff is wanted.
    path: Option<String>,
    /// Page of changed files; 200 on each.
    #[schemars(range(min = 1))]
    page: Option<usize>,
}

impl Typed for ReadPullRequest {
    type Arguments = Arguments;
    const NAME: &'static str = "readPullRequest";
    const DESCRIPTION: &'static str = include_str!("read_pull_request.md");
    const KIND: Kind = Kind::Reads;
    const REPEATS: bool = true;

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(arguments: &Arguments) -> String {
        let what = named("the pull request", arguments.repository.as_deref(), arguments.number);
        match &arguments.path {
            Some(path) => format!("Reading the diff of {} in {what}", text::short(path)),
            None => format!("Reading {what}"),
        }
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let what = named("the pull request", arguments.repository.as_deref(), arguments.number);
        let page = arguments.page.unwrap_or(1).max(1);
        let target = Target { repository: arguments.repository, number: arguments.number, page };
        let Some(reader) = &ctx.hands.reader else { return Ok(missing(&what)) };
        let path = arguments.path.as_deref().filter(|path| !path.trim().is_empty());
        Ok(told(reader.pull_request(&target, path).await, &what))
    }
}

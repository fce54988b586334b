//! `readIssue`: an issue with its comments.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Access, HandError, Kind, Target, ToolContext, ToolOutput, Typed};
use crate::sandbox::SandboxError;

pub(super) struct ReadIssue;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Number of the issue or pull request. Leave out for this conversation.
    #[schemars(range(min = 1))]
    number: Option<i64>,
    /// Another repository as `owner/name`: a public one, or one that the request itself names. Leave out for this one.
    repository: Option<String>,
    /// Page of comments; 1 has the newest.
    #[schemars(range(min = 1))]
    page: Option<usize>,
}

impl Typed for ReadIssue {
    type Arguments = Arguments;
    const NAME: &'static str = "readIssue";
    const DESCRIPTION: &'static str = include_str!("read_issue.md");
    const KIND: Kind = Kind::Reads;
    const REPEATS: bool = true;

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(arguments: &Arguments) -> String {
        format!("Reading {}", named("the conversation", arguments.repository.as_deref(), arguments.number))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let what = named("the conversation", arguments.repository.as_deref(), arguments.number);
        let page = arguments.page.unwrap_or(1).max(1);
        let target = Target { repository: arguments.repository, number: arguments.number, page };
        let Some(reader) = &ctx.hands.reader else { return Ok(missing(&what)) };
        Ok(told(reader.issue(&target).await, &what))
    }
}

/// What is read, for a checklist: `#7`, `owner/name#7`, or what it is called otherwise.
pub(super) fn named(own: &str, repository: Option<&str>, number: Option<i64>) -> String {
    let repository = repository.map(super::text::short).unwrap_or_default();
    match number {
        Some(number) => format!("{repository}#{number}"),
        None if repository.is_empty() => own.to_owned(),
        None => repository,
    }
}

/// What a reading came to.
pub(super) fn told(read: Result<Value, HandError>, what: &str) -> ToolOutput {
    match read {
        Ok(content) => ToolOutput::success(content, format!("Read {what}")),
        Err(error) => ToolOutput::error(error.to_string(), format!("Could not read {what}")),
    }
}

/// Nobody is there to read; the tool is not offered then.
pub(super) fn missing(what: &str) -> ToolOutput {
    ToolOutput::error("There is nothing to read from in this conversation.", format!("Could not read {what}"))
}

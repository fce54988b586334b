//! `readCheckLogs`: why checks failed.

use schemars::JsonSchema;
use serde::Deserialize;

use super::read_issue::{missing, told};
use super::{Access, Kind, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::SandboxError;

pub(super) struct ReadCheckLogs;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Name of one check, of which more of the log is shown. Leave out for all that failed.
    name: Option<String>,
}

impl Typed for ReadCheckLogs {
    type Arguments = Arguments;
    const NAME: &'static str = "readCheckLogs";
    const DESCRIPTION: &'static str = include_str!("read_check_logs.md");
    const KIND: Kind = Kind::Reads;
    const REPEATS: bool = true;

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(arguments: &Arguments) -> String {
        match &arguments.name {
            Some(name) => format!("Reading the log of {}", text::short(name)),
            None => "Reading the failed checks".to_owned(),
        }
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let what = "the failed checks";
        let Some(reader) = &ctx.hands.reader else { return Ok(missing(what)) };
        let name = arguments.name.as_deref().filter(|name| !name.trim().is_empty());
        Ok(told(reader.check_logs(name).await, what))
    }
}

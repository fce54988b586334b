//! `readProcess`: how a process in the background is, and what it printed.

use schemars::JsonSchema;
use serde::Deserialize;

use super::processes::{self, From, Patience};
use super::{Access, Kind, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::{Offsets, SandboxError};

pub(super) struct ReadProcess;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// Its name; may be left out when there is only one.
    name: Option<String>,
    /// First byte of standard output to show; where the last reading ended when both are left out.
    stdout_from: Option<u64>,
    /// First byte of standard error to show.
    stderr_from: Option<u64>,
    /// Wait until new output matches this regular expression.
    wait_for: Option<String>,
    /// Seconds to wait for new output, at most 60; 0 when left out, 30 with `waitFor`.
    wait_seconds: Option<f64>,
}

impl Typed for ReadProcess {
    type Arguments = Arguments;
    const NAME: &'static str = "readProcess";
    const DESCRIPTION: &'static str = include_str!("read_process.md");
    const KIND: Kind = Kind::Looks;

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(arguments: &Arguments) -> String {
        match &arguments.name {
            Some(name) => format!("Looking at {}", text::short(name)),
            None => "Looking at a process".to_owned(),
        }
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let patience = Patience::of(arguments.wait_seconds, arguments.wait_for.as_deref())?;
        let name = processes::named(&*sandbox, arguments.name).await?;
        let from = match (arguments.stdout_from, arguments.stderr_from) {
            (None, None) => From::LastRead,
            (stdout, stderr) => From::Bytes(Offsets { stdout: stdout.unwrap_or_default(), stderr: stderr.unwrap_or_default() }),
        };
        let seen = processes::read(ctx, &*sandbox, &name, from, &patience).await?;
        Ok(ToolOutput::success(seen.content(&name), format!("Looked at {} ({})", text::short(&name), seen.ending())))
    }
}

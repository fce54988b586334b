//! `stopProcess`: the end of a process in the background.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::processes::{self, From, Patience};
use super::{Access, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::{ProcessState, SandboxError};

pub(super) struct StopProcess;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// Its name; may be left out when there is only one.
    name: Option<String>,
    /// Seconds it is given to end by itself, at most 30.
    #[serde(default = "five")]
    grace_seconds: u64,
}

fn five() -> u64 {
    5
}

const LONGEST_GRACE: u64 = 30;

impl Typed for StopProcess {
    type Arguments = Arguments;
    const NAME: &'static str = "stopProcess";
    const DESCRIPTION: &'static str = include_str!("stop_process.md");

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        match &arguments.name {
            Some(name) => format!("Stopping {}", text::short(name)),
            None => "Stopping a process".to_owned(),
        }
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let name = processes::named(&*sandbox, arguments.name).await?;
        if !sandbox.processes().await?.contains(&name) {
            return Err(processes::unknown(&*sandbox, &name).await);
        }
        sandbox.stop(&name, Duration::from_secs(arguments.grace_seconds.min(LONGEST_GRACE))).await?;
        let seen = processes::read(ctx, &*sandbox, &name, From::LastRead, &Patience::default()).await?;
        let mut content = seen.content(&name);
        content["success"] = json!(seen.state != ProcessState::Running);
        Ok(ToolOutput::success(content, format!("Stopped {} ({})", text::short(&name), seen.ending())))
    }
}

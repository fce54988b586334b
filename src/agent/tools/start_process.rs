//! `startProcess`: a command that goes on in the background.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::processes::{self, From, Patience};
use super::{Access, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::{Command, Exec, Offsets, SandboxError};

pub(super) struct StartProcess;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The command line.
    command: String,
    /// What to call it, such as `server`; made from the command when left out.
    name: Option<String>,
    /// Where to run it; the workspace when left out.
    working_directory: Option<String>,
    /// Additional environment variables.
    #[serde(default)]
    envs: BTreeMap<String, String>,
    /// Return only when its output matches this regular expression, such as `listening on`, or `waitSeconds` are over.
    wait_for: Option<String>,
    /// Seconds to wait, at most 60; 1 when left out, 30 with `waitFor`.
    wait_seconds: Option<f64>,
    /// Seconds after which it is ended.
    #[serde(default = "an_hour")]
    lifetime_seconds: u64,
}

fn an_hour() -> u64 {
    3_600
}

const LONGEST_LIFE: u64 = 6 * 3_600;
const MOST_PROCESSES: usize = 32;
/// Long enough to see that a program cannot start.
const FIRST_MOMENTS: f64 = 1.0;

impl Typed for StartProcess {
    type Arguments = Arguments;
    const NAME: &'static str = "startProcess";
    const DESCRIPTION: &'static str = include_str!("start_process.md");

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        format!("Starting {}", text::short(&arguments.command))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        if arguments.command.trim().is_empty() {
            return Err(SandboxError::Invalid("command is empty".to_owned()));
        }
        let seconds = arguments.wait_seconds.or_else(|| arguments.wait_for.is_none().then_some(FIRST_MOMENTS));
        let patience = Patience::of(seconds, arguments.wait_for.as_deref())?;
        let known = sandbox.processes().await?;
        let name = match arguments.name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()) {
            Some(name) => name,
            None => processes::name_for(&arguments.command, &known),
        };
        processes::check_name(&name)?;
        if known.len() >= MOST_PROCESSES && !known.contains(&name) {
            let names = known.join(", ");
            return Err(SandboxError::Invalid(format!(
                "there are {MOST_PROCESSES} processes already; use the name of one that ended: {names}"
            )));
        }
        let lifetime = Duration::from_secs(arguments.lifetime_seconds.clamp(1, LONGEST_LIFE));
        let exec = Exec {
            env: arguments.envs,
            working_directory: arguments.working_directory,
            key: Some(ctx.key.to_owned()),
            ..Exec::new(Command::Shell(arguments.command.clone()), lifetime, ctx.limits.output_bytes)
        };
        sandbox.start(&name, exec).await?;
        let begin = Offsets::default();
        ctx.sandboxes.readings().remember(&*sandbox, &name, begin);
        let seen = processes::read(ctx, &*sandbox, &name, From::LastRead, &patience).await?;
        let summary = format!("Started {} ({})", text::short(&arguments.command), seen.ending());
        Ok(ToolOutput::success(seen.content(&name), summary))
    }
}

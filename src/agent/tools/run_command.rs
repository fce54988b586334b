//! `runCommand`: a line for the shell.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Access, ToolContext, ToolOutput, Typed, execution, text};
use crate::sandbox::{Command, Exec, SandboxError};

pub(super) struct RunCommand;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The command line.
    command: String,
    /// Additional environment variables.
    #[serde(default)]
    envs: BTreeMap<String, String>,
    /// Where to run it; the workspace when left out.
    working_directory: Option<String>,
    /// Seconds after which it is killed; 0 for as long as is allowed.
    timeout_seconds: Option<f64>,
    /// False when the output does not matter.
    #[serde(default = "yes")]
    capture_output: bool,
}

fn yes() -> bool {
    true
}

impl Typed for RunCommand {
    type Arguments = Arguments;
    const NAME: &'static str = "runCommand";
    const DESCRIPTION: &'static str = include_str!("run_command.md");
    const IS_ONE_COMMAND: bool = true;

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        format!("Running {}", text::short(&arguments.command))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let command = arguments.command;
        let exec = Exec {
            env: arguments.envs,
            working_directory: arguments.working_directory,
            output_limit: if arguments.capture_output { ctx.limits.output_bytes } else { 0 },
            ..ctx.exec(Command::Shell(command.clone()), arguments.timeout_seconds)
        };
        let name = text::short(&command);
        let ran = match execution::run(ctx, &*sandbox, exec).await {
            Ok(ran) => ran,
            Err(error) => {
                let mut output = ToolOutput::error(error.to_string(), format!("Could not run {name}"));
                output.execution = Some(execution::not_run("sh", command, &error));
                return Ok(output);
            }
        };
        let mut content = ran.fields();
        if !arguments.capture_output {
            content.remove("omittedBytes");
        }
        content.insert("success".to_owned(), json!(ran.executed.exit_code == 0));
        content.insert("command".to_owned(), json!(command));
        content.insert("executionTime".to_owned(), json!(execution::millis(ran.executed.duration)));
        let mut output = ToolOutput::success(Value::Object(content), format!("Ran {name} ({})", ran.ending()));
        output.execution = Some(ran.execution("sh", command));
        Ok(output)
    }
}

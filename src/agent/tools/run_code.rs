//! `runCode`: a program text in a language.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Access, ToolContext, ToolOutput, Typed, execution};
use crate::sandbox::{Command, Exec, Language, SandboxError};

pub(super) struct RunCode;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The program.
    code: String,
    /// Its language; that of the sandbox (python unless chosen otherwise) when left out.
    language: Option<Language>,
    /// The same as a fence names it: `run` knows more languages than a model is told of.
    #[schemars(skip)]
    fence: Option<String>,
    /// Arguments of the program.
    #[serde(default)]
    argv: Vec<String>,
    /// Additional environment variables.
    #[serde(default)]
    envs: BTreeMap<String, String>,
    /// Seconds after which it is killed.
    timeout_seconds: Option<f64>,
}

/// The language that is named, if any; why it cannot be run, when it is none that can.
fn named(arguments: &Arguments) -> Result<Option<Language>, SandboxError> {
    match &arguments.fence {
        Some(fence) => fence.parse().map(Some).map_err(SandboxError::Invalid),
        None => Ok(arguments.language),
    }
}

impl Typed for RunCode {
    type Arguments = Arguments;
    const NAME: &'static str = "runCode";
    const DESCRIPTION: &'static str = include_str!("run_code.md");
    const IS_ONE_COMMAND: bool = true;

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        let language = named(arguments).ok().flatten();
        language.map_or_else(|| "Running code".to_owned(), |language| format!("Running {}", language.title()))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let named = named(&arguments)?;
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let language = named.unwrap_or_else(|| sandbox.language());
        let command = Command::Code { language, code: arguments.code.clone(), argv: arguments.argv };
        let exec = Exec { env: arguments.envs, ..ctx.exec(command, arguments.timeout_seconds) };
        let ran = match execution::run(ctx, &*sandbox, exec).await {
            Ok(ran) => ran,
            Err(error) => {
                let mut output = ToolOutput::error(error.to_string(), format!("Could not run {}", language.title()));
                output.execution = Some(execution::not_run(language.fence(), arguments.code, &error));
                return Ok(output);
            }
        };
        let mut content = ran.fields();
        content.insert("executionTime".to_owned(), json!(execution::millis(ran.executed.duration)));
        let mut output = ToolOutput::success(Value::Object(content), format!("Ran {} ({})", language.title(), ran.ending()));
        output.execution = Some(ran.execution(language.fence(), arguments.code));
        Ok(output)
    }
}

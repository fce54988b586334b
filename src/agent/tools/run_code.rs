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
    /// Arguments of the program.
    #[serde(default)]
    argv: Vec<String>,
    /// Additional environment variables.
    #[serde(default)]
    envs: BTreeMap<String, String>,
    /// Seconds after which it is killed.
    timeout_seconds: Option<f64>,
}

fn title(language: Language) -> &'static str {
    match language {
        Language::Python => "Python",
        Language::Javascript => "JavaScript",
        Language::Typescript => "TypeScript",
        Language::Shell => "a shell script",
    }
}

fn fence(language: Language) -> &'static str {
    match language {
        Language::Python => "python",
        Language::Javascript => "javascript",
        Language::Typescript => "typescript",
        Language::Shell => "sh",
    }
}

impl Typed for RunCode {
    type Arguments = Arguments;
    const NAME: &'static str = "runCode";
    const DESCRIPTION: &'static str = include_str!("run_code.md");

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        arguments.language.map_or_else(|| "Running code".to_owned(), |language| format!("Running {}", title(language)))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let language = arguments.language.unwrap_or_else(|| sandbox.language());
        let command = Command::Code { language, code: arguments.code.clone(), argv: arguments.argv };
        let exec = Exec { env: arguments.envs, ..ctx.exec(command, arguments.timeout_seconds) };
        let ran = match execution::run(ctx, &*sandbox, exec).await {
            Ok(ran) => ran,
            Err(error) => {
                let mut output = ToolOutput::error(error.to_string(), format!("Could not run {}", title(language)));
                output.execution = Some(execution::not_run(fence(language), arguments.code, &error));
                return Ok(output);
            }
        };
        let mut content = ran.fields();
        content.insert("executionTime".to_owned(), json!(execution::millis(ran.executed.duration)));
        let mut output = ToolOutput::success(Value::Object(content), format!("Ran {} ({})", title(language), ran.ending()));
        output.execution = Some(ran.execution(fence(language), arguments.code));
        output.attachments = ran.pictures.attachments;
        Ok(output)
    }
}

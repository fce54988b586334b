//! `checkFileExists`: is there something at a path.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, Kind, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::SandboxError;

pub(super) struct CheckFileExists;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The file or directory.
    path: String,
}

impl Typed for CheckFileExists {
    type Arguments = Arguments;
    const NAME: &'static str = "checkFileExists";
    const DESCRIPTION: &'static str = include_str!("check_file_exists.md");
    const KIND: Kind = Kind::Looks;

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(arguments: &Arguments) -> String {
        format!("Looking for {}", text::short(&arguments.path))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        // A missing sandbox is an error; only a missing file is an answer.
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let path = text::absolute(&*sandbox, &arguments.path);
        let name = text::short(&arguments.path);
        match sandbox.info(&arguments.path).await {
            Ok(info) => {
                let content = json!({ "exists": true, "path": path, "isDirectory": info.is_dir });
                Ok(ToolOutput::success(content, format!("Found {name}")))
            }
            Err(error) if text::is_missing(&arguments.path, &error) => {
                Ok(ToolOutput::success(json!({ "exists": false, "path": path }), format!("No {name}")))
            }
            Err(
                error @ (SandboxError::NotFound(_)
                | SandboxError::Invalid(_)
                | SandboxError::Refused(_)
                | SandboxError::Unavailable(_)
                | SandboxError::Gone(_)
                | SandboxError::NoIsolation(_)),
            ) => Err(error),
        }
    }
}

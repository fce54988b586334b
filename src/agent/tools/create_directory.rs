//! `createDirectory`: a directory and its parents.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::SandboxError;

pub(super) struct CreateDirectory;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The directory.
    path: String,
}

impl Typed for CreateDirectory {
    type Arguments = Arguments;
    const NAME: &'static str = "createDirectory";
    const DESCRIPTION: &'static str = include_str!("create_directory.md");

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        format!("Creating {}", text::short(&arguments.path))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        sandbox.create_directory(&arguments.path).await?;
        let content = json!({ "success": true, "path": text::absolute(&*sandbox, &arguments.path) });
        Ok(ToolOutput::success(content, format!("Created {}", text::short(&arguments.path))))
    }
}

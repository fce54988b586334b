//! `deleteFile`: a file, or a directory with all that is in it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::SandboxError;

pub(super) struct DeleteFile;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The file or directory.
    path: String,
}

impl Typed for DeleteFile {
    type Arguments = Arguments;
    const NAME: &'static str = "deleteFile";
    const DESCRIPTION: &'static str = include_str!("delete_file.md");

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        format!("Deleting {}", text::short(&arguments.path))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        sandbox.delete(&arguments.path).await?;
        let content = json!({ "success": true, "path": text::absolute(&*sandbox, &arguments.path) });
        Ok(ToolOutput::success(content, format!("Deleted {}", text::short(&arguments.path))))
    }
}

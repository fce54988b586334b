//! `writeFile`: a whole file.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::SandboxError;

pub(super) struct WriteFile;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The file; missing directories are made.
    path: String,
    /// All of its content.
    content: String,
}

impl Typed for WriteFile {
    type Arguments = Arguments;
    const NAME: &'static str = "writeFile";
    const DESCRIPTION: &'static str = include_str!("write_file.md");

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        format!("Writing {}", text::short(&arguments.path))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        sandbox.write(&arguments.path, arguments.content.as_bytes()).await?;
        let content = json!({ "success": true, "path": text::absolute(&*sandbox, &arguments.path) });
        Ok(ToolOutput::success(content, format!("Wrote {}", text::short(&arguments.path))))
    }
}

//! `getFileSize`: how big a file is.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, Kind, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::SandboxError;

pub(super) struct GetFileSize;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The file or directory.
    path: String,
    /// Also as text, such as `1.5 KB`.
    #[serde(default)]
    human_readable: bool,
}

impl Typed for GetFileSize {
    type Arguments = Arguments;
    const NAME: &'static str = "getFileSize";
    const DESCRIPTION: &'static str = include_str!("get_file_size.md");
    const KIND: Kind = Kind::Looks;

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(arguments: &Arguments) -> String {
        format!("Measuring {}", text::short(&arguments.path))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let info = sandbox.info(&arguments.path).await?;
        let path = text::absolute(&*sandbox, &arguments.path);
        let mut content = json!({ "size": info.size, "path": path, "isDirectory": info.is_dir });
        if arguments.human_readable {
            content["humanReadableSize"] = json!(text::human_size(info.size));
        }
        Ok(ToolOutput::success(content, format!("Measured {}", text::short(&arguments.path))))
    }
}

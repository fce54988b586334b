//! `getFileInfo`: metadata of a file or directory.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, Kind, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::SandboxError;

pub(super) struct GetFileInfo;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The file or directory.
    path: String,
}

impl Typed for GetFileInfo {
    type Arguments = Arguments;
    const NAME: &'static str = "getFileInfo";
    const DESCRIPTION: &'static str = include_str!("get_file_info.md");
    const KIND: Kind = Kind::Looks;

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(arguments: &Arguments) -> String {
        format!("Looking at {}", text::short(&arguments.path))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let info = sandbox.info(&arguments.path).await?;
        let content = json!({
            "group": info.group.to_string(),
            "isDir": info.is_dir,
            "modTime": info.modified.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "mode": text::symbolic_mode(&info),
            "name": info.name,
            "owner": info.owner.to_string(),
            "permissions": format!("{:04o}", info.mode & 0o7777),
            "size": info.size,
        });
        Ok(ToolOutput::success(content, format!("Looked at {}", text::short(&arguments.path))))
    }
}

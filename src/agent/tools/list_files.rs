//! `listFiles`: what is in a directory.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Access, Kind, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::SandboxError;

pub(super) struct ListFiles;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The directory; `/` is the workspace.
    #[serde(default = "root")]
    path: String,
}

fn root() -> String {
    "/".to_owned()
}

impl Typed for ListFiles {
    type Arguments = Arguments;
    const NAME: &'static str = "listFiles";
    const DESCRIPTION: &'static str = include_str!("list_files.md");
    const KIND: Kind = Kind::Looks;

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(arguments: &Arguments) -> String {
        format!("Listing {}", text::short(&arguments.path))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let path = if arguments.path.trim() == "/" { "." } else { &arguments.path };
        let listed = text::absolute(&*sandbox, path);
        let entries = sandbox.list(path).await?;
        let total = entries.len();
        let files: Vec<Value> = entries
            .iter()
            .take(ctx.limits.entries)
            .map(|info| json!({ "name": info.name, "path": format!("{listed}/{}", info.name), "isDirectory": info.is_dir }))
            .collect();
        let mut content = json!({ "files": files, "path": listed });
        if total > ctx.limits.entries {
            content["omitted"] = json!(total - ctx.limits.entries);
        }
        Ok(ToolOutput::success(content, format!("Listed {} ({total})", text::short(&arguments.path))))
    }
}

//! `writeFiles`: several whole files at once.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::SandboxError;

pub(super) struct WriteFiles;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The files.
    files: Vec<File>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct File {
    /// The file; missing directories are made.
    path: String,
    /// All of its content.
    data: String,
}

impl Typed for WriteFiles {
    type Arguments = Arguments;
    const NAME: &'static str = "writeFiles";
    const DESCRIPTION: &'static str = include_str!("write_files.md");

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        match &arguments.files[..] {
            [file] => format!("Writing {}", text::short(&file.path)),
            files => format!("Writing {} files", files.len()),
        }
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let summary = match &arguments.files[..] {
            [file] => format!("Wrote {}", text::short(&file.path)),
            files => format!("Wrote {} files", files.len()),
        };
        let all: Vec<_> = arguments.files.iter().map(|file| (file.path.clone(), Bytes::from(file.data.clone()))).collect();
        if sandbox.write_many(&all).await.is_ok() {
            let written: Vec<_> = all.iter().map(|(path, _)| text::absolute(&*sandbox, path)).collect();
            return Ok(ToolOutput::success(json!({ "success": true, "filesWritten": written }), summary));
        }
        // One by one it shows which of them it is.
        let mut written = Vec::new();
        for file in &arguments.files {
            if let Err(error) = sandbox.write(&file.path, file.data.as_bytes()).await {
                let mut output = ToolOutput::error(error.to_string(), format!("Could not write {}", text::short(&file.path)));
                output.content["filesWritten"] = json!(written);
                output.content["failed"] = json!(file.path);
                return Ok(output);
            }
            written.push(text::absolute(&*sandbox, &file.path));
        }
        Ok(ToolOutput::success(json!({ "success": true, "filesWritten": written }), summary))
    }
}

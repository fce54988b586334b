//! `attachFile`: a file becomes part of the answer.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, Attachment, ToolContext, ToolOutput, Typed, text};
use crate::attachment::{self, MAX_FILE};
use crate::sandbox::SandboxError;

pub(super) struct AttachFile;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The file.
    path: String,
    /// What people see as its name; that of the file when left out.
    name: Option<String>,
}

impl Typed for AttachFile {
    type Arguments = Arguments;
    const NAME: &'static str = "attachFile";
    const DESCRIPTION: &'static str = include_str!("attach_file.md");

    /// Alone, because what may still be attached depends on what was.
    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        format!("Attaching {}", text::short(&arguments.path))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let path = &arguments.path;
        let (content, size) = sandbox.read(path, 0, MAX_FILE).await?;
        if size > content.len() as u64 {
            let (size, most) = (text::human_size(size), text::human_size(MAX_FILE as u64));
            return Err(SandboxError::Invalid(format!(
                "{path}: {size} are more than the {most} that can be attached; attach a part, or compress it"
            )));
        }
        ctx.limits.attachments.admit(size).map_err(|why| SandboxError::Invalid(format!("{path}: {why}")))?;
        let given = arguments.name.as_deref().filter(|name| !name.trim().is_empty());
        let name = attachment::clean_name(given.unwrap_or(path));
        let media_type = attachment::media_type(&name, &content);
        let told = json!({ "success": true, "name": name, "size": size, "mediaType": media_type });
        let mut output = ToolOutput::success(told, format!("Attached {}", text::short(&name)));
        output.attachments.push(Attachment { name, media_type: media_type.to_owned(), content });
        Ok(output)
    }
}

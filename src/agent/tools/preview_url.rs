//! `previewUrl`: where people reach a port of the sandbox.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, ToolContext, ToolOutput, Typed};
use crate::sandbox::SandboxError;

pub(super) struct PreviewUrl;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The port, from 1 to 65535.
    port: u64,
}

impl Typed for PreviewUrl {
    type Arguments = Arguments;
    const NAME: &'static str = "previewUrl";
    const DESCRIPTION: &'static str = include_str!("preview_url.md");

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(arguments: &Arguments) -> String {
        format!("Asking for the address of port {}", arguments.port)
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let port = u16::try_from(arguments.port).ok().filter(|port| *port > 0);
        let port =
            port.ok_or_else(|| SandboxError::Invalid(format!("{} is not a port; ports are from 1 to 65535", arguments.port)))?;
        let preview = sandbox.preview(port).await?;
        let mut content = json!({ "url": preview.url, "port": port });
        if let Some(at) = preview.expires_at {
            content["expiresAt"] = json!(at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        }
        Ok(ToolOutput::success(content, format!("Got the address of port {port}")))
    }
}

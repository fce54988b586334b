//! `createSandbox`: another isolated machine for the thread.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, ToolContext, ToolOutput, Typed};
use crate::sandbox::{LANGUAGE_LABEL, Language, SandboxError, SandboxSpec};

pub(super) struct CreateSandbox;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// A name to find it again; the same name gives the same sandbox.
    name: Option<String>,
    /// Labels.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// What runCode runs in it when it names no language.
    #[serde(default)]
    language: Language,
    /// Environment of every command in it.
    #[serde(default)]
    env_vars: BTreeMap<String, String>,
}

impl Typed for CreateSandbox {
    type Arguments = Arguments;
    const NAME: &'static str = "createSandbox";
    const DESCRIPTION: &'static str = include_str!("create_sandbox.md");

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(_: &Arguments) -> String {
        "Creating a sandbox".to_owned()
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let mut labels = arguments.labels;
        labels.insert(LANGUAGE_LABEL.to_owned(), arguments.language.name().to_owned());
        let spec = SandboxSpec { name: arguments.name, labels, env: arguments.env_vars, ..SandboxSpec::default() };
        let sandbox = ctx.sandboxes.create(spec).await?;
        let content = json!({ "sandboxId": sandbox.id(), "workspace": sandbox.workspace() });
        Ok(ToolOutput::success(content, "Created a sandbox"))
    }
}

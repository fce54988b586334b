//! `findFiles`: files by the shape of their path.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, Kind, ToolContext, ToolOutput, Typed, diff, glob::glob, text};
use crate::sandbox::{SandboxError, WalkBounds};

pub(super) struct FindFiles;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The glob, such as `*.rs` or `src/**/*.{ts,tsx}`.
    pattern: String,
    /// Where to look; the workspace when left out.
    #[serde(default = "root")]
    path: String,
    /// Also in directories that are skipped otherwise, such as `node_modules`.
    #[serde(default)]
    include_ignored: bool,
}

fn root() -> String {
    "/".to_owned()
}

const MAX_ENTRIES: usize = 50_000;

impl Typed for FindFiles {
    type Arguments = Arguments;
    const NAME: &'static str = "findFiles";
    const DESCRIPTION: &'static str = include_str!("find_files.md");
    const KIND: Kind = Kind::Looks;

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(arguments: &Arguments) -> String {
        format!("Looking for {}", text::short(&arguments.pattern))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let glob = glob(&arguments.pattern)?;
        let path = if arguments.path.trim() == "/" { "." } else { arguments.path.as_str() };
        if !sandbox.info(path).await?.is_dir {
            return Err(SandboxError::Invalid(format!("{path}: is a file; give a directory, or leave path out")));
        }
        let skip: &[&str] = if arguments.include_ignored { &[] } else { &diff::SKIPPED };
        let walked = sandbox.walk(path, WalkBounds { depth: 64, entries: MAX_ENTRIES, skip }).await?;
        let files: Vec<&str> = walked
            .entries
            .iter()
            .filter(|(path, info)| !info.is_dir && glob.is_match(path))
            .map(|(path, _)| path.as_str())
            .collect();
        let count = files.len();
        let shown = &files[..count.min(ctx.limits.entries)];
        let mut content = json!({ "files": shown, "count": count, "path": text::absolute(&*sandbox, path) });
        if count > shown.len() {
            content["omitted"] = json!(count - shown.len());
        }
        if !walked.complete {
            content["note"] =
                json!(format!("There are more than {MAX_ENTRIES} files; not all were looked at. Narrow it with path."));
        }
        Ok(ToolOutput::success(content, format!("Looked for {} ({count} files)", text::short(&arguments.pattern))))
    }
}

//! `diff`: what changed in the workspace since the run began.

use std::fmt::Write;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use similar::TextDiff;

use super::{Access, Kind, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::SandboxError;
pub(super) use crate::sandbox::workspace::SKIPPED;
use crate::sandbox::workspace::{Content, FileState, WorkspaceSnapshot};

/// Of the whole diff.
const MAX_DIFF: usize = 60 << 10;

/// The difference of two snapshots. Files without text are named only; the end is cut beyond 60 KiB, which is said.
pub fn unified_diff(before: &WorkspaceSnapshot, after: &WorkspaceSnapshot) -> Option<String> {
    let mut diff = String::new();
    let mut unshown = 0;
    let mut paths: Vec<_> = before.files().keys().chain(after.files().keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        let (old, new) = (before.files().get(path), after.files().get(path));
        if old.zip(new).is_some_and(|(old, new)| old.same_content(new)) {
            continue;
        }
        let piece = file_diff(path, old, new);
        if diff.len() + piece.len() > MAX_DIFF {
            unshown += 1;
            if diff.is_empty() {
                diff = text::cut(&piece, MAX_DIFF) + "\n";
                unshown = 0;
            }
            continue;
        }
        diff.push_str(&piece);
    }
    if unshown > 0 {
        let _ = writeln!(diff, "[… {unshown} more changed files left out]");
    }
    let complete = before.is_complete() && after.is_complete();
    if !diff.is_empty() && !complete {
        diff.push_str("[… the workspace has more files than are compared]\n");
    }
    (!diff.is_empty()).then_some(diff)
}

fn file_diff(path: &str, old: Option<&FileState>, new: Option<&FileState>) -> String {
    let path = path.escape_debug();
    let name = |side: &str, state: Option<&FileState>| state.map_or("/dev/null".to_owned(), |_| format!("{side}/{path}"));
    let (from, to) = (name("a", old), name("b", new));
    let text = |state: Option<&FileState>| match state.map(|state| &state.content) {
        Some(Content::Text(text)) => Some(text.clone()),
        Some(Content::Digest(_) | Content::Unread) => None,
        None => Some(String::new()),
    };
    match (text(old), text(new)) {
        (Some(old_text), Some(new_text)) => {
            let diff = TextDiff::configure().timeout(Duration::from_secs(1)).diff_lines(old_text.as_str(), new_text.as_str());
            let body = diff.unified_diff().context_radius(3).header(&from, &to).to_string();
            // An empty file that came or went has no lines to show.
            if body.is_empty() { format!("--- {from}\n+++ {to}\n") } else { body }
        }
        _ => format!("Binary or large files {from} and {to} differ\n"),
    }
}

pub(super) struct Diff;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
}

impl Typed for Diff {
    type Arguments = Arguments;
    const NAME: &'static str = "diff";
    const DESCRIPTION: &'static str = include_str!("diff.md");
    const KIND: Kind = Kind::Looks;

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(_: &Arguments) -> String {
        "Comparing".to_owned()
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let Some(before) = ctx.sandboxes.beginning(sandbox.id()).await? else {
            return Err(SandboxError::Invalid(
                "nothing to compare with: the state at the beginning was not recorded here".to_owned(),
            ));
        };
        let after = WorkspaceSnapshot::take(&*sandbox, Some(&before), ctx.clock.now()).await?;
        let before = ctx.sandboxes.complete(sandbox.id(), before, &after).await;
        let diff = unified_diff(&before, &after);
        let content = json!({ "changed": diff.is_some(), "diff": diff.unwrap_or_default() });
        Ok(ToolOutput::success(content, "Compared the workspace"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn snapshot(files: &[(&str, &str)]) -> WorkspaceSnapshot {
        WorkspaceSnapshot::of_texts(files)
    }

    #[test]
    fn changes_are_shown_as_git_would() {
        let before = snapshot(&[("gone", "x\n"), ("kept", "1\n2\n3\n"), ("same", "s"), ("pic.png", "binary:a")]);
        let after = snapshot(&[("empty", ""), ("kept", "1\n2!\n3\n"), ("new", "n"), ("same", "s"), ("pic.png", "binary:b")]);
        insta::assert_snapshot!(unified_diff(&before, &after).unwrap(), @r"
        --- /dev/null
        +++ b/empty
        --- a/gone
        +++ /dev/null
        @@ -1 +0,0 @@
        -x
        --- a/kept
        +++ b/kept
        @@ -1,3 +1,3 @@
         1
        -2
        +2!
         3
        --- /dev/null
        +++ b/new
        @@ -0,0 +1 @@
        +n
        \ No newline at end of file
        Binary or large files a/pic.png and b/pic.png differ
        ");
        assert_eq!(unified_diff(&before, &before), None);
    }

    #[test]
    fn a_long_diff_is_cut_and_says_so() {
        let line = "a line of the new file\n".repeat(1000);
        let after = snapshot(&[("a", &line), ("b", &line), ("c", &line), ("d", &line)]);
        let diff = unified_diff(&snapshot(&[]), &after).unwrap();
        assert!(diff.len() <= MAX_DIFF + 200 && diff.ends_with("[… 2 more changed files left out]\n"), "{}", diff.len());
    }
}

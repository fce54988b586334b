//! `readFile`: the text of a file, or some lines of it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Access, Kind, ToolContext, ToolOutput, Typed, text};
use crate::sandbox::SandboxError;

pub(super) struct ReadFile;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The file.
    path: String,
    /// First line to show, counted from 1.
    start_line: Option<u64>,
    /// Last line to show.
    end_line: Option<u64>,
}

/// Of a longer file only this much is looked at.
const MAX_SCAN: usize = 8 << 20;

impl Typed for ReadFile {
    type Arguments = Arguments;
    const NAME: &'static str = "readFile";
    const DESCRIPTION: &'static str = include_str!("read_file.md");
    const KIND: Kind = Kind::Looks;

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(arguments: &Arguments) -> String {
        format!("Reading {}", text::short(&arguments.path))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let path = arguments.path;
        let ranged = arguments.start_line.is_some() || arguments.end_line.is_some();
        let scan = if ranged { MAX_SCAN } else { ctx.limits.read_bytes };
        let (bytes, size) = sandbox.read(&path, 0, scan).await?;
        if is_binary(&bytes) {
            let hint = "use runCommand with a tool such as `file`, `xxd` or `unzip -l`";
            return Err(SandboxError::Invalid(format!("{path}: is a binary file of {}; {hint}", text::human_size(size))));
        }
        let whole = String::from_utf8_lossy(&bytes);
        let from = arguments.start_line.unwrap_or(1).max(1);
        let to = arguments.end_line.unwrap_or(u64::MAX);
        if to < from {
            return Err(SandboxError::Invalid(format!("endLine ({to}) is before startLine ({from})")));
        }
        let chosen = if ranged { lines(&whole, from, to) } else { &whole };
        if ranged && chosen.is_empty() && size > 0 {
            let count = whole.lines().count();
            let more = if size > scan as u64 { "; only its first 8 MB can be read by lines" } else { "" };
            return Err(SandboxError::Invalid(format!("{path}: has no line {from}, it has {count} lines{more}")));
        }
        let shown = &chosen[..chosen.floor_char_boundary(ctx.limits.read_bytes)];
        let mut content = json!({ "content": shown, "path": text::absolute(&*sandbox, &path), "size": size });
        if ranged {
            content["startLine"] = json!(from);
            content["endLine"] = json!(from + (shown.lines().count() as u64).saturating_sub(1));
        }
        let left_out = if ranged { (chosen.len() - shown.len()) as u64 } else { size.saturating_sub(shown.len() as u64) };
        if left_out > 0 && (shown.len() < chosen.len() || (!ranged && size > bytes.len() as u64)) {
            content["omittedBytes"] = json!(left_out);
            content["note"] =
                Value::from("The rest was left out. Read it by lines with startLine and endLine, or use searchFiles.");
        } else if ranged && size > scan as u64 && whole.ends_with(chosen) {
            content["note"] = Value::from(
                "Only the first 8 MB of the file can be read by lines; for the rest use runCommand with tail or sed.",
            );
        }
        Ok(ToolOutput::success(content, format!("Read {}", text::short(&path))))
    }
}

/// As git decides: a NUL near the start.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(8000).any(|byte| *byte == 0)
}

/// Lines `from..=to`, with their ends.
fn lines(whole: &str, from: u64, to: u64) -> &str {
    let mut start = None;
    let mut position = 0;
    for (number, line) in (1..).zip(whole.split_inclusive('\n')) {
        if number == from {
            start = Some(position);
        }
        if number > to {
            break;
        }
        position += line.len();
    }
    start.map_or("", |start| &whole[start..position])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one_and_keep_their_ends() {
        let text = "a\nb\r\nc";
        assert_eq!(lines(text, 1, 1), "a\n");
        assert_eq!(lines(text, 2, 3), "b\r\nc");
        assert_eq!(lines(text, 3, u64::MAX), "c");
        assert_eq!(lines(text, 4, 9), "");
        assert_eq!(lines("", 1, 9), "");
    }
}

//! `editFile`: replaces an exact piece of text.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, ToolContext, ToolOutput, Typed, read_file::is_binary, text};
use crate::sandbox::SandboxError;

pub(super) struct EditFile;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The file.
    path: String,
    /// The text to replace, exactly as it stands in the file, with enough around it to be unique.
    old_text: String,
    /// What stands there afterwards.
    new_text: String,
    /// Replace every occurrence.
    #[serde(default)]
    replace_all: bool,
}

const MAX_FILE: usize = 4 << 20;

impl Typed for EditFile {
    type Arguments = Arguments;
    const NAME: &'static str = "editFile";
    const DESCRIPTION: &'static str = include_str!("edit_file.md");

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        format!("Editing {}", text::short(&arguments.path))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let path = &arguments.path;
        let (bytes, size) = sandbox.read(path, 0, MAX_FILE).await?;
        if size > MAX_FILE as u64 {
            return Err(SandboxError::Invalid(format!(
                "{path}: {} is too big to edit; use runCommand with sed",
                text::human_size(size)
            )));
        }
        let before = match std::str::from_utf8(&bytes) {
            Ok(text) if !is_binary(&bytes) => text,
            Ok(_) | Err(_) => return Err(SandboxError::Invalid(format!("{path}: is not a UTF-8 text file"))),
        };
        let edit =
            Edit { old: arguments.old_text, new: arguments.new_text, all: arguments.replace_all }.with_line_ends_of(before);
        let (after, line, count) = edit.apply(before).map_err(|why| SandboxError::Invalid(format!("{path}: {why}")))?;
        sandbox.write(path, after.as_bytes()).await?;
        let content = json!({ "success": true, "path": text::absolute(&*sandbox, path), "replacements": count, "line": line });
        Ok(ToolOutput::success(content, format!("Edited {}", text::short(path))))
    }
}

struct Edit {
    old: String,
    new: String,
    all: bool,
}

impl Edit {
    /// Models write bare line feeds; a file with Windows line ends keeps them.
    fn with_line_ends_of(self, file: &str) -> Self {
        if !file.contains("\r\n") || self.old.contains('\r') {
            return self;
        }
        let convert = |text: &str| text.replace("\r\n", "\n").replace('\n', "\r\n");
        Self { old: convert(&self.old), new: convert(&self.new), all: self.all }
    }

    /// The new text, the first changed line and how often; or why not.
    fn apply(&self, file: &str) -> Result<(String, usize, usize), String> {
        if self.old.is_empty() {
            return Err("oldText is empty; use writeFile to write a whole file".to_owned());
        }
        if self.old == self.new {
            return Err("oldText and newText are the same".to_owned());
        }
        let found: Vec<usize> = file.match_indices(&self.old).map(|(at, _)| at).collect();
        match (&found[..], self.all) {
            ([], _) => Err(self.closest(file)),
            ([first], _) | ([first, ..], true) => Ok((file.replace(&self.old, &self.new), line_of(file, *first), found.len())),
            (many, false) => {
                let shown: Vec<_> = many.iter().take(20).map(|at| line_of(file, *at).to_string()).collect();
                let lines = shown.join(", ");
                Err(format!(
                    "oldText occurs {} times, at lines {lines}; add lines around it to make it unique, or set replaceAll",
                    many.len()
                ))
            }
        }
    }

    fn closest(&self, file: &str) -> String {
        let wanted = self.old.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let best = file
            .lines()
            .take(20_000)
            .zip(1..)
            .map(|(line, number)| {
                (strsim::normalized_levenshtein(text::head(line.trim(), 300), text::head(wanted, 300)), number, line)
            })
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        match best {
            Some((score, number, line)) if score > 0.5 => {
                let hint = if score == 1.0 {
                    "its first line is there, so look at white space and the lines that follow"
                } else {
                    "read the file again"
                };
                format!("oldText does not occur. The closest line is {number}: `{}`; {hint}", text::cut(line, 200))
            }
            Some(_) | None => "oldText does not occur, and no line is like it; read the file again".to_owned(),
        }
    }
}

fn line_of(file: &str, at: usize) -> usize {
    file[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn edit(file: &str, old: &str, new: &str, all: bool) -> Result<(String, usize, usize), String> {
        Edit { old: old.to_owned(), new: new.to_owned(), all }.with_line_ends_of(file).apply(file)
    }

    #[test]
    fn a_unique_piece_is_replaced() {
        assert_eq!(edit("a\nb\nc\n", "b\n", "B\n", false).unwrap(), ("a\nB\nc\n".to_owned(), 2, 1));
        assert_eq!(edit("x x", "x", "y", true).unwrap(), ("y y".to_owned(), 1, 2));
        assert_eq!(edit("a\r\nb\r\nc", "a\nb", "1\n2", false).unwrap().0, "1\r\n2\r\nc");
    }

    #[test]
    fn what_is_not_unique_or_not_there_is_explained() {
        insta::assert_snapshot!(edit("x\ny\nx\n", "x", "z", false).unwrap_err(), @"oldText occurs 2 times, at lines 1, 3; add lines around it to make it unique, or set replaceAll");
        let file = "fn main() {\n    go();\n}\n";
        insta::assert_snapshot!(edit(file, "  gone();", "z", false).unwrap_err(), @"oldText does not occur. The closest line is 2: `    go();`; read the file again");
        insta::assert_snapshot!(edit(file, "go();\nfoo", "z", false).unwrap_err(), @"oldText does not occur. The closest line is 2: `    go();`; its first line is there, so look at white space and the lines that follow");
        insta::assert_snapshot!(edit("a", "something else entirely", "z", false).unwrap_err(), @"oldText does not occur, and no line is like it; read the file again");
        assert!(edit("a", "", "z", false).is_err());
        assert!(edit("a", "a", "a", false).is_err());
    }
}

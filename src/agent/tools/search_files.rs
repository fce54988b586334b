//! `searchFiles`: lines that contain a text or match a pattern.

use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Access, Kind, ToolContext, ToolOutput, Typed, diff, glob::glob, read_file::is_binary, text};
use crate::sandbox::{FileInfo, SandboxError, WalkBounds};

pub(super) struct SearchFiles;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The text, or the regular expression with `regex`.
    query: String,
    /// Where to search; the workspace when left out.
    #[serde(default = "root")]
    path: String,
    /// Whether `query` is a regular expression.
    #[serde(default)]
    regex: bool,
    /// Whether upper and lower case are the same.
    #[serde(default)]
    ignore_case: bool,
    /// Only files like this, such as `*.rs` or `src/**/*.{ts,tsx}`.
    glob: Option<String>,
}

fn root() -> String {
    "/".to_owned()
}

const BOUNDS: WalkBounds = WalkBounds { depth: 32, entries: 20_000, skip: &diff::SKIPPED };
const MAX_FILE: usize = 1 << 20;
const MAX_TOTAL: u64 = 64 << 20;
const MAX_LINE: usize = 240;

impl Typed for SearchFiles {
    type Arguments = Arguments;
    const NAME: &'static str = "searchFiles";
    const DESCRIPTION: &'static str = include_str!("search_files.md");
    const KIND: Kind = Kind::Looks;

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(arguments: &Arguments) -> String {
        format!("Searching for {}", text::short(&arguments.query))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let pattern = pattern(&arguments)?;
        let glob = arguments.glob.as_deref().map(glob).transpose()?;
        let base = if arguments.path.trim() == "/" { "." } else { arguments.path.trim_end_matches('/') };
        let (files, complete) = if sandbox.info(base).await?.is_dir {
            let walked = sandbox.walk(base, BOUNDS).await?;
            let wanted = |(path, info): (String, FileInfo)| {
                let take = info.mode & libc::S_IFMT == libc::S_IFREG && glob.as_ref().is_none_or(|glob| glob.is_match(&path));
                take.then(|| (format!("{base}/{path}"), info.size))
            };
            (walked.entries.into_iter().filter_map(wanted).collect(), walked.complete)
        } else {
            (vec![(base.to_owned(), 0)], true)
        };
        let mut search = Search { pattern, most: ctx.limits.entries, ..Search::default() };
        search.incomplete = !complete;
        for (path, size) in files {
            if ctx.cancel.is_cancelled() || search.full(size) {
                search.incomplete = true;
                break;
            }
            if size > MAX_FILE as u64 {
                search.skipped += 1;
                continue;
            }
            // Gone or unreadable meanwhile: nothing to find in it.
            if let Ok((bytes, _)) = sandbox.read(&path, 0, MAX_FILE).await {
                search.file(path.trim_start_matches("./"), &bytes);
            }
        }
        let count = search.matches.len();
        Ok(ToolOutput::success(search.content(), format!("Searched for {} ({count} matches)", text::short(&arguments.query))))
    }
}

fn pattern(arguments: &Arguments) -> Result<Option<Regex>, SandboxError> {
    if arguments.query.is_empty() {
        return Err(SandboxError::Invalid("query is empty".to_owned()));
    }
    let source = if arguments.regex { arguments.query.clone() } else { regex::escape(&arguments.query) };
    let built = RegexBuilder::new(&source).case_insensitive(arguments.ignore_case).size_limit(4 << 20).build();
    built.map(Some).map_err(|error| SandboxError::Invalid(format!("query is not a regular expression: {error}")))
}

#[derive(Default)]
struct Search {
    pattern: Option<Regex>,
    most: usize,
    matches: Vec<Value>,
    searched: u64,
    skipped: u64,
    bytes: u64,
    incomplete: bool,
}

impl Search {
    fn full(&self, next: u64) -> bool {
        self.matches.len() >= self.most || self.bytes + next > MAX_TOTAL
    }

    fn file(&mut self, path: &str, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if is_binary(bytes) {
            self.skipped += 1;
            return;
        }
        self.searched += 1;
        let content = String::from_utf8_lossy(bytes);
        for (line, number) in content.lines().zip(1u64..) {
            if self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(line)) {
                if self.matches.len() >= self.most {
                    self.incomplete = true;
                    return;
                }
                self.matches.push(json!({ "path": path, "line": number, "text": text::cut(line, MAX_LINE) }));
            }
        }
    }

    fn content(self) -> Value {
        let mut content = json!({ "matches": self.matches, "filesSearched": self.searched });
        if self.skipped > 0 {
            content["filesSkipped"] = json!(self.skipped);
        }
        if self.incomplete {
            content["truncated"] =
                json!("There is more than was searched or shown; narrow it with path, glob or a longer query.");
        }
        content
    }
}

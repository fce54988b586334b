//! `suggestChanges`: proposes findings for the review of a pull request.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Access, Finding, HandError, Kind, ToolContext, ToolOutput, Typed};
use crate::sandbox::SandboxError;

pub(super) struct SuggestChanges;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// The findings, at most 50 at once.
    findings: Vec<Proposed>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Proposed {
    /// Path in the repository.
    path: String,
    /// The exact lines it is about, copied from the file as it was reviewed, with enough around them to be unique.
    original: String,
    /// What these lines become. An empty text deletes them. Leave it out for a remark without a suggestion.
    replacement: Option<String>,
    /// What is wrong, why it matters, and how you know; Markdown, short.
    body: String,
    /// A short stable name of the kind of problem, such as `sql-injection`; the same for the same problem in every review.
    rule: String,
    /// How much it matters.
    severity: Severity,
    /// The line `original` begins at, where it stands more than once.
    line: Option<i64>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Blocking,
    Important,
    Minor,
}

impl From<Proposed> for Finding {
    fn from(proposed: Proposed) -> Self {
        let severity = match proposed.severity {
            Severity::Blocking => "blocking",
            Severity::Important => "important",
            Severity::Minor => "minor",
        };
        Self {
            path: proposed.path,
            original: proposed.original,
            replacement: proposed.replacement,
            body: proposed.body,
            rule: proposed.rule,
            severity: severity.to_owned(),
            line: proposed.line,
        }
    }
}

impl Typed for SuggestChanges {
    type Arguments = Arguments;
    const NAME: &'static str = "suggestChanges";
    const DESCRIPTION: &'static str = include_str!("suggest_changes.md");
    const KIND: Kind = Kind::Reviews;
    const REPEATS: bool = true;

    /// Alone, because the suggestions of one call are proved together with those of the calls before.
    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        match arguments.findings.len() {
            1 => "Checking 1 finding".to_owned(),
            many => format!("Checking {many} findings"),
        }
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let Some(reviewer) = &ctx.hands.reviewer else {
            return Err(SandboxError::Invalid("this conversation is not a pull request".to_owned()));
        };
        let findings = arguments.findings.into_iter().map(Finding::from).collect();
        let done = tokio::select! {
            done = reviewer.suggest(findings) => done,
            () = ctx.cancel.cancelled() => Err(HandError::Unavailable("the run was stopped".to_owned())),
            () = tokio::time::sleep(ctx.limits.max_timeout) => {
                Err(HandError::Unavailable("it took too long; propose fewer findings at once".to_owned()))
            }
        };
        Ok(done.unwrap_or_else(|error| ToolOutput::error(error.to_string(), "The findings could not be checked")))
    }
}

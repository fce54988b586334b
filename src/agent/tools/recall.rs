//! `recall`: what was said before.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Access, Kind, RecallQuery, ToolContext, ToolOutput, Typed};
use crate::memory::recall::MOST;
use crate::memory::{Period, Reach};
use crate::sandbox::SandboxError;

pub(super) struct Recall;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// What you want to know, as a question or in key words; names, paths and error codes as they are written.
    query: String,
    /// `owner` looks in all conversations of this repository, `thread` in this one alone. Leave out for `owner`.
    scope: Option<Where>,
    /// Passages wanted, 4 if left out.
    #[schemars(range(min = 1, max = 20))]
    top_k: Option<usize>,
    /// Only what was said on this day or later, such as `2026-03-01`.
    since: Option<String>,
    /// Only what was said up to this day.
    until: Option<String>,
    /// Only what this person said, by the name in `who`.
    by: Option<String>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Where {
    Thread,
    Owner,
    /// The same as `owner`.
    Resource,
}

impl Typed for Recall {
    type Arguments = Arguments;
    const NAME: &'static str = "recall";
    const DESCRIPTION: &'static str = include_str!("recall.md");
    const KIND: Kind = Kind::Recalls;
    const REPEATS: bool = true;

    fn access(_: &Arguments) -> Access {
        Access::Reads
    }

    fn label(arguments: &Arguments) -> String {
        format!("Looking in memory for {}", super::text::short(&arguments.query))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        if arguments.query.trim().is_empty() {
            return Err(SandboxError::Invalid("query: it is empty; say what you want to know".to_owned()));
        }
        let Some(recaller) = &ctx.hands.recaller else {
            return Ok(ToolOutput::error("There is no memory in this conversation.", "Could not look in memory"));
        };
        let reach = arguments.scope.map(|scope| match scope {
            Where::Thread => Reach::Thread,
            Where::Owner | Where::Resource => Reach::Owner,
        });
        let top_k = arguments.top_k.map(|wanted| wanted.clamp(1, MOST));
        let period = Period::read(arguments.since.as_deref(), arguments.until.as_deref()).map_err(SandboxError::Invalid)?;
        let by = arguments.by.filter(|by| !by.trim().is_empty());
        let found = recaller.recall(RecallQuery { query: arguments.query, reach, top_k, period, by }).await;
        Ok(found.unwrap_or_else(|error| ToolOutput::error(error.to_string(), "Could not look in memory")))
    }
}

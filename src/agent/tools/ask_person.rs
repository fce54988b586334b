//! `askPerson`: the run ends with a question to people.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, Kind, ToolContext, ToolOutput, Typed, text};
use crate::agent::RunEvent;
use crate::sandbox::SandboxError;

/// Characters of a question, and of an offered answer.
const LONGEST: usize = 3_000;
const LONGEST_OPTION: usize = 300;
const MOST_OPTIONS: usize = 9;

pub(super) struct AskPerson;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// The question, in the language of the request; Markdown.
    question: String,
    /// Answers to choose from, at most nine, each a short line; people may answer otherwise.
    options: Option<Vec<String>>,
}

impl Typed for AskPerson {
    type Arguments = Arguments;
    const NAME: &'static str = "askPerson";
    const DESCRIPTION: &'static str = include_str!("ask_person.md");
    const KIND: Kind = Kind::Looks;
    // Nothing is posted by the call itself.
    const REPEATS: bool = true;

    /// Alone: it is the last thing a run does.
    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(_: &Arguments) -> String {
        "Asking a question".to_owned()
    }

    async fn call(_: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let question = arguments.question.trim();
        if question.is_empty() {
            return Err(SandboxError::Invalid("question: it is empty; say what you need to know".to_owned()));
        }
        let options = arguments.options.unwrap_or_default();
        if options.len() > MOST_OPTIONS {
            let why = format!("options: {} are too many; offer at most {MOST_OPTIONS}", options.len());
            return Err(SandboxError::Invalid(why));
        }
        let options: Vec<String> = options.iter().map(|option| text::cut(option.trim(), LONGEST_OPTION).to_string()).collect();
        let told = json!({ "asked": true, "note": "The run ends here with this question." });
        let mut output = ToolOutput::success(told, "Asked a question");
        output.events.push(RunEvent::Asked { question: text::cut(question, LONGEST).to_string(), options });
        Ok(output)
    }
}

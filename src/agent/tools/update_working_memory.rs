//! `updateWorkingMemory`: keeps things in mind, of the conversation or for all of the repository's.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Access, HandError, Kind, MemoryChange, MemoryUpdate, ToolContext, ToolOutput, Typed, text};
use crate::memory::Reach;
use crate::model::ToolSpec;
use crate::sandbox::SandboxError;

/// Stands for the template in the description.
const TEMPLATE: &str = "{template}";
/// Bytes of an unreadable text that are given back.
const QUOTED: usize = 600;

pub(super) struct UpdateWorkingMemory;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Markdown that replaces everything, or a JSON object that is merged section by section.
    memory: Option<String>,
    /// Whose memory; `thread` when left out.
    scope: Option<Scope>,
    /// Lines to add, or what `searchString` becomes. Instead of `memory`.
    new_memory: Option<String>,
    /// The passage that `newMemory` replaces, as it stands there.
    search_string: Option<String>,
    /// Why.
    update_reason: Option<Reason>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Scope {
    /// This conversation.
    Thread,
    /// All conversations of the repository.
    Owner,
    /// The same as `owner`.
    Resource,
}

#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Reason {
    AppendNewMemory,
    ClarifyExistingMemory,
    ReplaceIrrelevantMemory,
}

/// The description with the template of the run in it.
pub(super) fn tell_template(specs: &mut [ToolSpec], template: &str) {
    for spec in specs.iter_mut().filter(|spec| spec.name == UpdateWorkingMemory::NAME) {
        spec.description = spec.description.replace(TEMPLATE, template.trim());
    }
}

impl Arguments {
    fn reach(&self) -> Reach {
        match self.scope {
            None | Some(Scope::Thread) => Reach::Thread,
            Some(Scope::Owner | Scope::Resource) => Reach::Owner,
        }
    }

    /// What to change, or what is wrong with the request.
    fn change(self) -> Result<MemoryChange, String> {
        let reach = self.reach();
        match (self.memory, self.new_memory) {
            (Some(_), Some(_)) => Err("memory and newMemory exclude each other: send one of them".to_owned()),
            (None, None) => Err("memory is missing (string)".to_owned()),
            (Some(memory), None) => read(memory),
            (None, Some(text)) => {
                let search = match self.update_reason {
                    // What others rely on is not this run's to find irrelevant.
                    Some(Reason::ReplaceIrrelevantMemory) if reach == Reach::Owner => {
                        return Err("what is kept for all conversations is not replaced as irrelevant by one of them; add to it, or clarify \
                                    a line that is wrong"
                            .to_owned());
                    }
                    Some(Reason::AppendNewMemory) => None,
                    None | Some(Reason::ClarifyExistingMemory | Reason::ReplaceIrrelevantMemory) => self.search_string,
                };
                Ok(MemoryChange::Edit { search, text })
            }
        }
    }
}

/// Markdown, or an object.
fn read(memory: String) -> Result<MemoryChange, String> {
    if !memory.trim_start().starts_with('{') {
        return Ok(MemoryChange::Replace(memory));
    }
    match serde_json::from_str::<Value>(&memory) {
        Ok(Value::Object(object)) => Ok(MemoryChange::Merge(object)),
        Ok(_) => Ok(MemoryChange::Replace(memory)),
        Err(error) => Err(format!(
            "memory begins like a JSON object and is none ({error}). This was received: {}",
            text::cut(&memory, QUOTED)
        )),
    }
}

impl Typed for UpdateWorkingMemory {
    type Arguments = Arguments;
    const NAME: &'static str = "updateWorkingMemory";
    const DESCRIPTION: &'static str = include_str!("update_working_memory.md");
    const KIND: Kind = Kind::Notes;
    const REPEATS: bool = true;
    const JSON_FIELDS: &'static [&'static str] = &["memory"];

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        match arguments.reach() {
            Reach::Thread => "Noting something".to_owned(),
            Reach::Owner => "Noting something for this repository".to_owned(),
        }
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let Some(notebook) = &ctx.hands.notebook else {
            return Err(SandboxError::Invalid("nothing can be kept in mind here".to_owned()));
        };
        let reach = arguments.reach();
        let change = match arguments.change() {
            Ok(change) => change,
            Err(why) => return Ok(refused(&why)),
        };
        let update = MemoryUpdate { key: ctx.key.to_owned(), reach, change };
        Ok(match notebook.update(update).await {
            Ok(output) => output,
            Err(HandError::Refused(why) | HandError::Unavailable(why)) => refused(&why),
        })
    }
}

fn refused(why: &str) -> ToolOutput {
    let content = json!({ "success": false, "message": why, "error": why });
    ToolOutput { content, ..ToolOutput::error("", "Nothing was noted") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn change(given: Value) -> Result<MemoryChange, String> {
        serde_json::from_value::<Arguments>(given).unwrap().change()
    }

    #[test]
    fn working_memory_tool_takes_markdown_an_object_or_find_and_replace() {
        assert_eq!(change(json!({ "memory": "## Goal\n- x" })), Ok(MemoryChange::Replace("## Goal\n- x".into())));
        let Value::Object(object) = json!({ "Goal": null }) else { panic!("an object") };
        assert_eq!(change(json!({ "memory": " {\"Goal\": null}" })), Ok(MemoryChange::Merge(object)));
        let edit = |search: Option<&str>| MemoryChange::Edit { search: search.map(str::to_owned), text: "b".into() };
        assert_eq!(change(json!({ "newMemory": "b", "searchString": "a" })), Ok(edit(Some("a"))));
        let append = json!({ "newMemory": "b", "searchString": "a", "updateReason": "append-new-memory" });
        assert_eq!(change(append), Ok(edit(None)));
        let irrelevant = |scope: &str| json!({ "newMemory": "b", "searchString": "a", "updateReason": "replace-irrelevant-memory", "scope": scope });
        assert_eq!(change(irrelevant("thread")), Ok(edit(Some("a"))));
        assert!(change(irrelevant("resource")).unwrap_err().contains("not replaced as irrelevant"));
        assert!(change(json!({ "memory": "a", "newMemory": "b" })).is_err() && change(json!({})).is_err());
    }

    #[test]
    fn broken_json_is_quoted_back() {
        let why = change(json!({ "memory": "{\"Goal\": [\"x\"" })).unwrap_err();
        assert!(why.contains("This was received: {\"Goal\": [\"x\"") && why.contains("none (EOF"), "{why}");
    }

    #[test]
    fn the_description_tells_the_template_of_the_run() {
        let mut specs = vec![super::super::tool::<UpdateWorkingMemory>().spec().clone()];
        tell_template(&mut specs, "## Rules\n");
        assert!(specs[0].description.ends_with("Template:\n\n## Rules"), "{}", specs[0].description);
    }
}

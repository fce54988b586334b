//! A message as a list of typed parts: what threads store and what models read.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::storable;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A person, or quoted material on a person's behalf.
    User,
    /// The agent.
    Assistant,
    /// Results of the tools the agent called.
    Tool,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Plain or Markdown text.
    Text {
        /// The text.
        text: String,
    },
    /// A model's reasoning, kept because some providers refuse a follow-up without it.
    Reasoning {
        /// The visible part, may be empty.
        text: String,
        /// What the provider wants back unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// The model asks for a tool.
    ToolCall(ToolCall),
    /// What the tool said.
    ToolResult(ToolResult),
    /// Something to look at.
    Picture(Picture),
}

/// A picture. What is stored of it is a reference: histories and snapshots stay small, and a picture is shown only to the run whose
/// request brought it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Its number in its run.
    pub number: i32,
    /// Such as `image/png`.
    pub media_type: String,
    /// The picture, where it is at hand.
    #[serde(skip)]
    pub content: Option<bytes::Bytes>,
}

/// A request for a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Pairs the call with its result.
    pub id: String,
    /// The tool's name as the model wrote it.
    pub name: String,
    /// The arguments as far as they could be read.
    pub arguments: Arguments,
    /// Opaque data some providers want back with the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// Arguments of a tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arguments {
    /// A JSON object.
    Object(Map<String, Value>),
    /// Text that is not a JSON object; it is quoted back to the model, never guessed at.
    Broken(String),
}

/// What came of a tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The id of the call.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// What the model reads; already capped.
    pub content: Value,
    /// True when the call failed.
    #[serde(default)]
    pub is_error: bool,
}

impl Message {
    /// A message of one text part.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::Text { text: text.into() }] }
    }

    /// Makes every text in it storable.
    pub fn make_storable(&mut self) {
        for part in &mut self.parts {
            match part {
                Part::Text { text } | Part::Reasoning { text, .. } => storable::text(text),
                Part::ToolCall(call) => {
                    storable::text(&mut call.name);
                    match &mut call.arguments {
                        Arguments::Object(arguments) => {
                            let mut object = Value::Object(std::mem::take(arguments));
                            storable::json(&mut object);
                            if let Value::Object(object) = object {
                                *arguments = object;
                            }
                        }
                        Arguments::Broken(text) => storable::text(text),
                    }
                }
                Part::ToolResult(result) => {
                    storable::text(&mut result.name);
                    storable::json(&mut result.content);
                }
                Part::Picture(_) => {}
            }
        }
    }

    /// All text parts, joined.
    pub fn plain_text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text { text } => Some(text.as_str()),
            Part::Reasoning { .. } | Part::ToolCall(_) | Part::ToolResult(_) | Part::Picture(_) => None,
        });
        texts.collect::<Vec<_>>().join("")
    }

    /// The tool calls in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            Part::Text { .. } | Part::Reasoning { .. } | Part::ToolResult(_) | Part::Picture(_) => None,
        })
    }
}

//! The whole state of a run as one value that is saved after each model answer and each tool result.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::attachment::Allowance;
use crate::id::MessageId;
use crate::memory::receipt::Cite;
use crate::model::{Message, ModelName, Part, Role, ToolCall, ToolResult};

/// Receipts a run keeps; what it is shown beyond them cannot be linked.
const MOST_CITES: usize = 200;

/// A message of the run's conversation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spoken {
    /// Its id in the thread once the run is over; made when it is said, so that ending twice stores it once.
    pub id: MessageId,
    /// The stored message it stands for, when a person wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<MessageId>,
    /// What was said.
    pub message: Message,
}

/// The state of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// What was said in this run, the request first. Tool calls may lack their results at the end.
    pub conversation: Vec<Spoken>,
    /// Model answers so far.
    pub steps: i32,
    /// Dollars so far; none when nothing was asked or a price is unknown.
    pub cost_usd: Option<f64>,
    /// True once an answer came from a model without a known price.
    pub cost_unknown: bool,
    /// Dollars of the last two steps whose price is known, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent_usd: Vec<f64>,
    /// The end from which the run was continued, once it has seen what was said meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caught_up: Option<DateTime<Utc>>,
    /// Sequence of the next event.
    pub next_event: i32,
    /// The model that answered last.
    pub model: Option<ModelName>,
    /// Blocks of a code task that were run.
    pub blocks_done: usize,
    /// True once something may have happened in a sandbox.
    pub acted: bool,
    /// Milliseconds that workers have spent on it until the last save.
    #[serde(default)]
    pub worked_ms: i64,
    /// Bytes of output that were recorded while programs ran.
    #[serde(default)]
    pub printed: usize,
    /// What it may still attach.
    #[serde(default)]
    pub attachable: Allowance,
    /// What it asked a person; the run ends with it unless somebody writes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// Where what it was shown from memory was said, at most two hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cites: Vec<Cite>,
}

/// A question to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Markdown.
    pub text: String,
    /// Answers it offers; may be empty.
    pub options: Vec<String>,
}

/// What the loop does next.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// Ask the model.
    Ask,
    /// Carry out these calls.
    Act(Vec<ToolCall>),
    /// The model answered without asking for anything.
    Done,
}

impl Snapshot {
    /// A run that begins with what a person wrote.
    pub fn begin(heard: MessageId, opening: Message) -> Self {
        let mut snapshot = Self::default();
        snapshot.hear(heard, opening);
        snapshot
    }

    /// A person's message enters the conversation.
    pub fn hear(&mut self, heard: MessageId, message: Message) {
        self.push(Spoken { id: heard, heard: Some(heard), message });
    }

    /// The model's answer enters the conversation.
    pub fn say(&mut self, message: Message) {
        self.push(Spoken { id: MessageId::new(), heard: None, message });
    }

    fn push(&mut self, mut spoken: Spoken) {
        spoken.message.make_storable();
        self.conversation.push(spoken);
    }

    /// Tool results enter the conversation; those of one answer share a message.
    pub fn add_results(&mut self, results: impl IntoIterator<Item = ToolResult>) {
        let mut message = Message { role: Role::Tool, parts: results.into_iter().map(Part::ToolResult).collect() };
        match self.conversation.last_mut() {
            Some(last) if last.message.role == Role::Tool => {
                message.make_storable();
                last.message.parts.append(&mut message.parts);
            }
            _ => self.say(message),
        }
    }

    /// The run was shown something from memory.
    pub fn cite(&mut self, cites: impl IntoIterator<Item = Cite>) {
        for cite in cites {
            if self.cites.len() < MOST_CITES && !self.cites.contains(&cite) {
                self.cites.push(cite);
            }
        }
    }

    /// A step is paid for; none when its price is unknown.
    pub fn spend(&mut self, cost_usd: Option<f64>) {
        let Some(cost) = cost_usd else {
            self.cost_unknown = true;
            return;
        };
        *self.cost_usd.get_or_insert(0.0) += cost;
        self.recent_usd.push(cost);
        if self.recent_usd.len() > 2 {
            self.recent_usd.remove(0);
        }
    }

    /// What the next step will cost by our estimate: as much as the dearer of the last two. Nothing where none is known.
    pub fn next_step_usd(&self) -> f64 {
        self.recent_usd.iter().copied().fold(0.0, f64::max)
    }

    /// The stored messages this run has read.
    pub fn heard(&self) -> Vec<MessageId> {
        self.conversation.iter().filter_map(|spoken| spoken.heard).collect()
    }

    /// What the agent said last, without its tool calls.
    pub fn last_words(&self) -> String {
        let assistant = |spoken: &&Spoken| spoken.message.role == Role::Assistant;
        let texts = self.conversation.iter().rev().filter(assistant).map(|spoken| spoken.message.plain_text());
        texts.into_iter().find(|text| !text.trim().is_empty()).unwrap_or_default()
    }

    /// Decides from the conversation alone.
    pub fn next(&self) -> Next {
        let Some(last) = self.conversation.last() else { return Next::Ask };
        match last.message.role {
            Role::User => Next::Ask,
            Role::Assistant | Role::Tool => {
                let open = self.open_calls();
                if !open.is_empty() {
                    Next::Act(open)
                } else if last.message.role == Role::Tool {
                    Next::Ask
                } else {
                    Next::Done
                }
            }
        }
    }

    /// The calls of the last answer that have no result.
    fn open_calls(&self) -> Vec<ToolCall> {
        let Some(at) = self.conversation.iter().rposition(|spoken| spoken.message.role == Role::Assistant) else {
            return Vec::new();
        };
        let results: HashSet<&str> = self.conversation[at + 1..]
            .iter()
            .flat_map(|spoken| &spoken.message.parts)
            .filter_map(|part| match part {
                Part::ToolResult(result) => Some(result.id.as_str()),
                Part::Text { .. } | Part::Reasoning { .. } | Part::ToolCall(_) | Part::Picture(_) => None,
            })
            .collect();
        let calls = self.conversation[at].message.tool_calls();
        calls.filter(|call| !results.contains(call.id.as_str())).cloned().collect()
    }

    /// Gives every open call a result that says why there is none, so that no call is ever stored without its result.
    pub fn close_open_calls(&mut self, why: &str) {
        let open = self.open_calls();
        if !open.is_empty() {
            self.add_results(open.into_iter().map(|call| unfinished(&call, why)));
        }
    }
}

/// A result that stands for one we do not have.
pub fn unfinished(call: &ToolCall, why: &str) -> ToolResult {
    ToolResult { id: call.id.clone(), name: call.name.clone(), content: json!({ "error": why }), is_error: true }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::model::Arguments;

    fn call(id: &str) -> ToolCall {
        ToolCall { id: id.into(), name: "readFile".into(), arguments: Arguments::Object(Map::new()), signature: None }
    }

    fn asked(ids: &[&str]) -> Message {
        Message { role: Role::Assistant, parts: ids.iter().map(|id| Part::ToolCall(call(id))).collect() }
    }

    fn result(id: &str) -> ToolResult {
        ToolResult { id: id.into(), name: "readFile".into(), content: json!({}), is_error: false }
    }

    #[test]
    fn the_next_thing_follows_from_the_conversation() {
        let mut run = Snapshot::begin(MessageId::new(), Message::text(Role::User, "hello"));
        assert_eq!(run.next(), Next::Ask);
        run.say(asked(&["a", "b"]));
        assert_eq!(run.next(), Next::Act(vec![call("a"), call("b")]));
        run.add_results([result("a")]);
        assert_eq!(run.next(), Next::Act(vec![call("b")]));
        run.add_results([result("b")]);
        assert_eq!(run.next(), Next::Ask);
        run.say(Message::text(Role::Assistant, "done"));
        assert_eq!(run.next(), Next::Done);
        run.hear(MessageId::new(), Message::text(Role::User, "also"));
        assert_eq!(run.next(), Next::Ask);
        assert_eq!(run.last_words(), "done");
    }

    #[test]
    fn a_run_cut_short_leaves_no_call_without_a_result() {
        let mut run = Snapshot::begin(MessageId::new(), Message::text(Role::User, "hello"));
        run.say(asked(&["a", "b"]));
        run.add_results([result("a")]);
        run.close_open_calls("stopped");
        assert_eq!(run.next(), Next::Ask);
        assert_eq!(run.conversation.len(), 3);
    }
}

//! Recent history: the thread's earlier runs as the model reads them, within a budget, never a call without its result.

use crate::model::{Message, Part, Role};
use crate::thread::PastRun;

/// Tokens of earlier conversation that are given along, by our estimate.
pub const TOKENS: usize = 24_000;

/// Four characters a token: close enough to keep a budget, and the same for every model.
const CHARS_PER_TOKEN: usize = 4;

/// The newest runs that fit, oldest first. A run is taken whole; one that alone is too large is reduced to what was asked and
/// answered. Everything older than the first that does not fit is left out.
pub fn fit(runs: Vec<PastRun>, budget_tokens: usize) -> Vec<Message> {
    let mut left = budget_tokens;
    let mut kept: Vec<Vec<Message>> = Vec::new();
    for run in runs.into_iter().rev() {
        let whole = tokens(&run.messages);
        let (messages, size) = if whole <= left {
            (run.messages, whole)
        } else {
            let spoken = spoken_only(&run.messages);
            let size = tokens(&spoken);
            (spoken, size)
        };
        if size > left {
            break;
        }
        left -= size;
        kept.push(messages);
    }
    kept.into_iter().rev().flatten().collect()
}

/// What people asked and the agent's last words: the tool traffic between them goes as a whole.
fn spoken_only(messages: &[Message]) -> Vec<Message> {
    let mut kept: Vec<Message> = messages.iter().filter(|message| message.role == Role::User).cloned().collect();
    let last = messages.iter().rev().find(|message| message.role == Role::Assistant).map(Message::plain_text);
    kept.extend(last.filter(|text| !text.is_empty()).map(|text| Message::text(Role::Assistant, text)));
    kept
}

fn tokens(messages: &[Message]) -> usize {
    let chars = messages.iter().flat_map(|message| &message.parts).map(|part| match part {
        Part::Text { text } | Part::Reasoning { text, .. } => text.len(),
        Part::ToolCall(call) => call.name.len() + serde_json::to_string(&call.arguments).map_or(0, |text| text.len()),
        Part::ToolResult(result) => result.content.to_string().len(),
    });
    chars.sum::<usize>() / CHARS_PER_TOKEN
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::id::RunId;
    use crate::model::{Arguments, ToolCall, ToolResult};

    fn run(asked: &str, output: &str, answered: &str) -> PastRun {
        let call = ToolCall { id: "1".into(), name: "runCode".into(), arguments: Arguments::Object(Map::new()), signature: None };
        let result = ToolResult { id: "1".into(), name: "runCode".into(), content: json!({ "stdout": output }), is_error: false };
        PastRun {
            id: RunId::new(),
            messages: vec![
                Message::text(Role::User, asked),
                Message { role: Role::Assistant, parts: vec![Part::ToolCall(call)] },
                Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] },
                Message::text(Role::Assistant, answered),
            ],
        }
    }

    #[test]
    fn the_newest_runs_are_kept_in_order() {
        let long = "x".repeat(400);
        let runs = vec![run("first", &long, "one"), run("second", "", "two"), run("third", "", "three")];
        let kept = fit(runs, 40);
        let texts: Vec<String> = kept.iter().map(Message::plain_text).collect();
        // The first run is too large as a whole, so only its question and answer remain.
        assert_eq!(texts, ["first", "one", "second", "", "", "two", "third", "", "", "three"]);
    }

    #[test]
    fn calls_and_results_leave_together() {
        for budget in 0..200 {
            let kept = fit(vec![run("a", "some output", "b"), run("c", "more", "d")], budget);
            let calls = kept.iter().flat_map(Message::tool_calls).count();
            let results = kept.iter().filter(|message| message.role == Role::Tool).count();
            assert_eq!(calls, results, "with {budget} tokens");
        }
    }
}

//! Recent history: the thread's earlier runs as the model reads them, within a budget, never a call without its result.

use serde_json::json;

use crate::model::{Message, Part, Role};
use crate::thread::PastRun;

/// Tokens of earlier conversation that are given along, by our estimate.
pub const TOKENS: usize = 24_000;

/// Four characters a token: close enough to keep a budget, and the same for every model.
const CHARS_PER_TOKEN: usize = 4;

/// Characters of tool results that a run's own conversation may hold; beyond it the oldest are left out.
const RESULTS: usize = 320_000;
/// They are left out in portions of this size, so that the beginning of the conversation stays the same for many steps and
/// providers can go on reusing it.
const PORTION: usize = 120_000;
/// What an earlier picture, of which only a note is left, counts.
const PICTURE: usize = 60;
/// Smaller results stay: leaving them out gains nothing.
const SMALL: usize = 600;

/// The conversation of the run at work with its oldest large tool results left out, when they are too many. Every call keeps a
/// result.
pub fn fitting(mut messages: Vec<Message>) -> Vec<Message> {
    let large = |part: &Part| match part {
        Part::ToolResult(result) => Some(result.content.to_string().len()).filter(|size| *size > SMALL),
        Part::Text { .. } | Part::Reasoning { .. } | Part::ToolCall(_) | Part::Picture(_) => None,
    };
    let total: usize = messages.iter().flat_map(|message| &message.parts).filter_map(large).sum();
    let mut excess = total.saturating_sub(RESULTS).div_ceil(PORTION) * PORTION;
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        if excess == 0 {
            break;
        }
        let Some(size) = large(part) else { continue };
        if let Part::ToolResult(result) = part {
            result.content = json!({ "note": format!("This result of {size} characters was left out, because the conversation has become \
                long. Make the call again if you still need it.") });
            excess = excess.saturating_sub(size);
        }
    }
    messages
}

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
        Part::Picture(_) => PICTURE,
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
    fn a_long_run_loses_its_oldest_results_in_portions() {
        let read = |size: usize| run("q", &"x".repeat(size), "a").messages.swap_remove(2);
        let short: Vec<Message> = (0..6).map(|_| read(50_000)).collect();
        assert_eq!(fitting(short.clone()), short);
        let long: Vec<Message> = (0..40).map(|_| read(50_000)).collect();
        let size = |messages: &[Message]| tokens(messages) * CHARS_PER_TOKEN;
        assert!(size(&fitting(long.clone())) < RESULTS + 10_000);
        let left_out = |count: usize| {
            fitting(long[..count].to_vec()).iter().filter(|message| tokens(std::slice::from_ref(message)) < 100).count()
        };
        assert_eq!((left_out(7), left_out(8), left_out(9), left_out(10)), (3, 3, 5, 5));
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

//! The conversation of the run at work: when it becomes long, its oldest large results are left out.

use serde_json::json;

use crate::model::{Message, Part};

/// Characters of tool results that a run's own conversation may hold; beyond it the oldest are left out.
const RESULTS: usize = 320_000;
/// They are left out in portions of this size, so that the beginning of the conversation stays the same for many steps and
/// providers can go on reusing it.
const PORTION: usize = 120_000;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::history::size;
    use crate::model::{Role, ToolResult};

    fn read(size: usize) -> Message {
        let content = json!({ "stdout": "x".repeat(size) });
        let result = ToolResult { id: "1".into(), name: "runCode".into(), content, is_error: false };
        Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] }
    }

    #[test]
    fn a_long_run_loses_its_oldest_results_in_portions() {
        let short: Vec<Message> = (0..6).map(|_| read(50_000)).collect();
        assert_eq!(fitting(short.clone()), short);
        let long: Vec<Message> = (0..40).map(|_| read(50_000)).collect();
        assert!(size(&fitting(long.clone())) < RESULTS + 10_000);
        let left_out = |count: usize| {
            fitting(long[..count].to_vec()).iter().filter(|message| size(std::slice::from_ref(message)) < 400).count()
        };
        assert_eq!((left_out(7), left_out(8), left_out(9), left_out(10)), (3, 3, 5, 5));
    }
}

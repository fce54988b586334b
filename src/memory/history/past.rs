//! Finished runs as messages: whole, or reduced to what was asked and answered; never a call without its result.

use std::collections::{HashMap, HashSet};

use super::{LARGEST_RUN, OVERHEAD};
use crate::id::RunId;
use crate::memory::observations::{self, Observation};
use crate::model::{Arguments, Message, Part, Role, ToolResult};
use crate::reply::cut;

/// What stands between what was said in the conversation a branch began with, and its own.
const PARTED: &str = "(The messages above are from another conversation, with which this one begins. It may have gone on since; what follows \
                      is said here, and the sandbox is this conversation's own.)";
/// What an earlier picture, of which only a note is left, counts.
const PICTURE: usize = 60;

/// The conversation of a finished run, in order.
#[derive(Clone, Debug)]
pub struct PastRun {
    /// The run.
    pub id: RunId,
    /// False when it was asked for in another conversation, which this one began with.
    pub own: bool,
    /// Whether only what was asked and answered is given, because the whole is too much. Decided when the run ended.
    pub reduced: bool,
    /// What was said in it, tool calls and results included.
    pub messages: Vec<Message>,
}

/// What a thread knows of its finished runs.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// What the runs up to the cut were condensed to, by the time of what they tell.
    pub observations: Vec<Observation>,
    /// Runs that are in neither: condensing lags behind.
    pub left_out: i64,
    /// The runs after the cut, oldest first.
    pub runs: Vec<PastRun>,
}

impl Past {
    /// As the model reads it: observations as one message of quoted data, then the runs. The same runs always give the same messages,
    /// whatever comes after them.
    pub fn messages(self) -> Vec<Message> {
        let mut messages: Vec<Message> = observations::render(&self.observations, self.left_out).into_iter().collect();
        let (own, before): (Vec<PastRun>, Vec<PastRun>) = self.runs.into_iter().partition(|run| run.own);
        if !before.is_empty() {
            messages.extend(before.into_iter().flat_map(PastRun::given));
            messages.push(Message::text(Role::User, PARTED));
        }
        messages.extend(own.into_iter().flat_map(PastRun::given));
        tell_apart(&mut messages);
        messages
    }
}

/// Gives calls that have the id of an earlier one another, and their results with them: some models number their calls anew in every
/// run, and providers refuse two of one id. Looks back only, so that nothing changes when more is said.
fn tell_apart(messages: &mut [Message]) {
    let mut seen: HashSet<String> = HashSet::new();
    let mut renamed: HashMap<String, String> = HashMap::new();
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        match part {
            Part::ToolCall(call) => {
                let id = call.id.clone();
                let mut again = 1;
                while !seen.insert(call.id.clone()) {
                    again += 1;
                    call.id = format!("{id}_{again}");
                }
                renamed.insert(id, call.id.clone());
            }
            Part::ToolResult(result) => {
                if let Some(id) = renamed.get(&result.id) {
                    result.id.clone_from(id);
                }
            }
            Part::Text { .. } | Part::Reasoning { .. } | Part::Picture(_) => {}
        }
    }
}

impl PastRun {
    /// The messages that are given of it.
    pub fn given(self) -> Vec<Message> {
        if self.reduced { spoken_only(&self.messages) } else { paired(self.messages) }
    }
}

/// What a run takes up in a history, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// As a whole.
    pub whole: usize,
    /// Reduced to the agent's last words.
    pub spoken: usize,
}

/// Measures what the agent said and did in a run. What people said in it counts beside that.
pub fn measure<'m>(said: impl DoubleEndedIterator<Item = &'m Message> + Clone) -> Measure {
    let whole = said.clone().map(|message| size(std::slice::from_ref(message))).sum::<usize>();
    Measure { whole: whole + OVERHEAD, spoken: last_words(said.rev()).map_or(0, |words| words.len()) + OVERHEAD }
}

/// Characters of messages, by our estimate.
pub fn size(messages: &[Message]) -> usize {
    let parts = messages.iter().flat_map(|message| &message.parts);
    parts
        .map(|part| match part {
            Part::Text { text } | Part::Reasoning { text, .. } => text.len(),
            Part::ToolCall(call) => {
                let arguments = match &call.arguments {
                    Arguments::Object(object) => serde_json::to_string(object).map_or(0, |text| text.len()),
                    Arguments::Broken(text) => text.len(),
                };
                call.name.len() + arguments
            }
            Part::ToolResult(result) => result.content.to_string().len(),
            Part::Picture(_) => PICTURE,
        })
        .sum()
}

fn last_words<'m>(newest_first: impl Iterator<Item = &'m Message>) -> Option<String> {
    let said = newest_first.filter(|message| message.role == Role::Assistant).map(Message::plain_text);
    said.into_iter().find(|text| !text.trim().is_empty())
}

/// What people asked and the agent's last words: the tool traffic between them goes as a whole.
fn spoken_only(messages: &[Message]) -> Vec<Message> {
    let asked = messages.iter().filter(|message| message.role == Role::User);
    let mut kept: Vec<(Role, String)> = asked.map(|message| (Role::User, message.plain_text())).collect();
    kept.extend(last_words(messages.iter().rev()).map(|text| (Role::Assistant, text)));
    let wants: Vec<usize> = kept.iter().map(|(_, text)| text.len()).collect();
    let shares = cut::share(LARGEST_RUN, &wants);
    kept.into_iter().zip(shares).map(|((role, text), share)| Message::text(role, cut::cut_middle(&text, share, None))).collect()
}

/// Every answer's calls right before their results. A call that has none and a result that nobody asked for are left out: any provider
/// would refuse the conversation for ever after. What our runs store is whole; this holds whatever is in the tables.
fn paired(messages: Vec<Message>) -> Vec<Message> {
    let mut kept: Vec<Message> = Vec::with_capacity(messages.len());
    let mut messages = messages.into_iter().peekable();
    while let Some(mut message) = messages.next() {
        match message.role {
            Role::User => kept.push(message),
            // Those that follow an answer are taken below.
            Role::Tool => {}
            Role::Assistant => {
                let mut results = Vec::new();
                while let Some(told) = messages.next_if(|next| next.role == Role::Tool) {
                    results.extend(told.parts);
                }
                let results = pair(&mut message, results);
                if says_something(&message) {
                    kept.push(message);
                }
                if !results.is_empty() {
                    kept.push(Message { role: Role::Tool, parts: results.into_iter().map(Part::ToolResult).collect() });
                }
            }
        }
    }
    kept
}

/// Leaves one result for each call and one call for each result.
fn pair(message: &mut Message, results: Vec<Part>) -> Vec<ToolResult> {
    let calls: HashSet<String> = message.tool_calls().map(|call| call.id.clone()).collect();
    let mut answered = HashSet::new();
    let results: Vec<ToolResult> = results
        .into_iter()
        .filter_map(|part| match part {
            Part::ToolResult(result) => Some(result),
            Part::Text { .. } | Part::Reasoning { .. } | Part::ToolCall(_) | Part::Picture(_) => None,
        })
        .filter(|result| calls.contains(&result.id) && answered.insert(result.id.clone()))
        .collect();
    let before = message.tool_calls().count();
    let mut open = answered;
    message.parts.retain(|part| match part {
        Part::ToolCall(call) => open.remove(&call.id),
        Part::Text { .. } | Part::Reasoning { .. } | Part::ToolResult(_) | Part::Picture(_) => true,
    });
    if message.tool_calls().count() < before {
        // A provider that signed its reasoning signed the calls with it.
        message.parts.retain(|part| !matches!(part, Part::Reasoning { .. }));
    }
    results
}

fn says_something(message: &Message) -> bool {
    message.tool_calls().next().is_some() || !message.plain_text().trim().is_empty()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;
    use crate::model::ToolCall;

    fn call(id: &str) -> Part {
        Part::ToolCall(ToolCall {
            id: id.into(),
            name: "runCode".into(),
            arguments: Arguments::Object(Map::new()),
            signature: None,
        })
    }

    fn result(id: &str, output: &str) -> Part {
        let content = json!({ "stdout": output });
        Part::ToolResult(ToolResult { id: id.into(), name: "runCode".into(), content, is_error: false })
    }

    fn run(asked: &str, output: &str, answered: &str) -> PastRun {
        PastRun {
            id: RunId::new(),
            own: true,
            reduced: false,
            messages: vec![
                Message::text(Role::User, asked),
                Message { role: Role::Assistant, parts: vec![call("1")] },
                Message { role: Role::Tool, parts: vec![result("1", output)] },
                Message::text(Role::Assistant, answered),
            ],
        }
    }

    /// Every call right before its results, every result right after its call, no id twice.
    fn is_paired(messages: &[Message]) -> bool {
        let mut known = HashSet::new();
        if !messages.iter().flat_map(Message::tool_calls).all(|call| known.insert(call.id.as_str())) {
            return false;
        }
        let mut open: HashSet<String> = HashSet::new();
        for message in messages {
            for part in &message.parts {
                match part {
                    Part::ToolResult(result) if message.role == Role::Tool && open.remove(&result.id) => {}
                    Part::ToolResult(_) => return false,
                    Part::Text { .. } | Part::Reasoning { .. } | Part::ToolCall(_) | Part::Picture(_) => {}
                }
            }
            if !open.is_empty() {
                return false;
            }
            let calls: Vec<String> = message.tool_calls().map(|call| call.id.clone()).collect();
            open.extend(calls.iter().cloned());
            if open.len() != calls.len() {
                return false;
            }
        }
        open.is_empty()
    }

    #[test]
    fn a_run_too_large_is_reduced_to_what_was_asked_and_answered() {
        let large = PastRun { reduced: true, ..run("first", &"x".repeat(90_000), "one") };
        let past = Past { runs: vec![large, run("second", "", "two")], ..Past::default() };
        let texts: Vec<String> = past.messages().iter().map(Message::plain_text).collect();
        assert_eq!(texts, ["first", "one", "second", "", "", "two"]);
        let endless = PastRun { reduced: true, ..run(&"ask ".repeat(60_000), "", &"answer ".repeat(30_000)) };
        let given = endless.given();
        assert!(size(&given) <= LARGEST_RUN && given[1].plain_text().contains("characters left out"));
    }

    #[test]
    fn a_run_that_is_whole_is_given_as_it_is() {
        let whole = run("a", "some output", "b");
        assert_eq!(whole.clone().given(), whole.messages);
    }

    #[test]
    fn what_a_run_takes_up_is_measured() {
        let messages = run("a", &"x".repeat(1_000), "done").messages;
        let measured = measure(messages.iter().skip(1));
        assert!(measured.whole > 1_200 && measured.spoken == 204, "{measured:?}");
    }

    prop_compose! {
        /// A conversation as runs leave it, and as none should: parallel calls, steering in between, calls without results, results
        /// without calls, ids that come again.
        fn conversation()(pieces in prop::collection::vec((0..7u8, prop::collection::vec(0..4u8, 0..4)), 0..16)) -> Vec<Message> {
            let mut messages = vec![Message::text(Role::User, "go")];
            for (kind, ids) in pieces {
                let calls = || ids.iter().collect::<std::collections::BTreeSet<_>>().into_iter().map(|id| call(&id.to_string()));
                let results = |ids: &[u8]| ids.iter().map(|id| result(&id.to_string(), "out")).collect::<Vec<_>>();
                match kind {
                    0 => messages.push(Message::text(Role::User, "also")),
                    1 => messages.push(Message::text(Role::Assistant, "said")),
                    2 => messages.push(Message { role: Role::Tool, parts: results(&ids) }),
                    3 => messages.push(Message { role: Role::Assistant, parts: calls().collect() }),
                    4 => {
                        messages.push(Message { role: Role::Assistant, parts: calls().collect() });
                        messages.push(Message { role: Role::Tool, parts: results(&ids[..ids.len() / 2]) });
                    }
                    5 => {
                        messages.push(Message { role: Role::Assistant, parts: calls().collect() });
                        messages.push(Message::text(Role::User, "wait"));
                        messages.push(Message { role: Role::Tool, parts: results(&ids) });
                    }
                    _ => {
                        messages.push(Message { role: Role::Assistant, parts: calls().collect() });
                        messages.push(Message { role: Role::Tool, parts: results(&ids) });
                        messages.push(Message::text(Role::Assistant, "done"));
                    }
                }
            }
            messages
        }
    }

    proptest! {
        #[test]
        fn calls_and_results_leave_together(runs in prop::collection::vec((conversation(), any::<bool>()), 0..5)) {
            let runs = runs.into_iter().map(|(messages, reduced)| PastRun { id: RunId::new(), own: true, reduced, messages });
            let given = Past { runs: runs.collect(), ..Past::default() }.messages();
            prop_assert!(is_paired(&given), "{given:?}");
        }

        #[test]
        fn the_history_of_a_turn_is_the_beginning_of_the_next(
            runs in prop::collection::vec((conversation(), any::<bool>()), 1..6), left_out in 0..3i64,
        ) {
            let runs: Vec<PastRun> =
                runs.into_iter().map(|(messages, reduced)| PastRun { id: RunId::new(), own: true, reduced, messages }).collect();
            let given = |count: usize| {
                let past = Past { runs: runs[..count].to_vec(), left_out, ..Past::default() };
                past.messages().iter().map(|message| serde_json::to_string(message).unwrap()).collect::<Vec<_>>()
            };
            for count in 1..runs.len() {
                prop_assert!(given(count + 1).starts_with(&given(count)));
            }
        }
    }
}

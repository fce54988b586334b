//! A model that works like a careful colleague: it writes a file, runs a command that must take effect once, reads what that did, and
//! answers. When it is told that an outcome is unknown or that the sandbox is a new one, it looks before it repeats anything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use threadbox::model::Role;
use threadbox::standin::model::{Gate, RecordedRequest, SeenResult, Turn, call, gated, say};

/// The first line of what is written first.
pub const NOTE: &str = "it's a note: ü";
const NOTE_PATH: &str = "a note.txt";
/// Goes on longer than one request waits for it.
const COMMAND: &str = "echo ran >> log.txt; echo out; echo err >&2; sleep 2; head -n 1 'a note.txt'";
const CAREFUL: &str = "test -e log.txt || echo ran >> log.txt; echo out; echo err >&2; head -n 1 'a note.txt'";
/// Results after which something is badly wrong.
const MOST_RESULTS: usize = 12;

/// What is written first: too long to come along with a command.
pub fn note() -> String {
    format!("{NOTE}\n{}", "filler ".repeat(20_000))
}

/// Held before the first call of a case, so that faults can be prepared when its thread is known.
#[derive(Clone, Default)]
pub struct Gates(Arc<Mutex<HashMap<String, Gate>>>);

impl Gates {
    pub fn of(&self, case: &str) -> Gate {
        self.0.lock().unwrap().entry(case.to_owned()).or_insert_with(Gate::closed).clone()
    }
}

/// The case a request belongs to, and the results of its last run.
pub fn case(request: &RecordedRequest) -> Option<(String, Vec<&SeenResult>)> {
    // What follows may quote earlier requests.
    let marked = |text: &str| text.split_once("case-").map(|(_, rest)| rest.split_whitespace().next().unwrap().to_owned());
    let marks = request.messages.iter().enumerate().filter(|(_, message)| message.role == Role::User);
    let (at, name) = marks.rev().find_map(|(at, message)| Some((at, marked(&message.text)?)))?;
    Some((name, request.messages[at..].iter().flat_map(|message| &message.results).collect()))
}

/// Whether a result says that the sandbox is another one now.
pub fn is_told_of_loss(text: &str) -> bool {
    text.contains("replaced by a new one")
}

/// Whether a result says that it is not known what a command did, or that it did not come to its end.
pub fn is_told_of_doubt(text: &str) -> bool {
    text.contains("outcome of this call is unknown")
        || text.contains("outcome is unknown")
        || text.contains("killed by a restart")
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Write,
    Run,
    Read,
    Answer,
}

/// What the model does next; none for questions that belong to no case.
pub fn follow(request: &RecordedRequest, gates: &Gates) -> Option<Turn> {
    if request.tools.is_empty() {
        return Some(say("A title"));
    }
    let (name, results) = case(request)?;
    let (mut step, mut careful, mut printed) = (Step::Write, false, String::new());
    for result in &results {
        let text = result.text.as_str();
        let failed = text.contains("\"error\"");
        let lost = is_told_of_loss(text);
        careful |= lost || is_told_of_doubt(text);
        step = match step {
            Step::Write if failed => Step::Write,
            Step::Write => Step::Run,
            Step::Run if lost => Step::Write,
            Step::Run if failed || is_told_of_doubt(text) => Step::Run,
            Step::Run => {
                printed = text.to_owned();
                Step::Read
            }
            Step::Read if failed || !text.contains("ran") => Step::Write,
            Step::Read | Step::Answer => Step::Answer,
        };
    }
    if results.len() > MOST_RESULTS {
        return Some(say(format!("I give up: {results:?}")));
    }
    let last = results.last().map_or("", |result| result.text.as_str());
    if last.contains("\"error\"") && last.contains("DAYTONA_") {
        return Some(say(format!("I cannot work: {last}")));
    }
    let turn = match step {
        Step::Write => call("writeFile", json!({ "path": NOTE_PATH, "content": note() })),
        Step::Run => call("runCommand", json!({ "command": if careful { CAREFUL } else { COMMAND } })),
        Step::Read => call("readFile", json!({ "path": "log.txt" })),
        Step::Answer => say(answer(last, &printed)),
    };
    Some(if results.is_empty() { gated(&gates.of(&name), turn) } else { turn })
}

/// Says what is in the file and what the command printed, from the results.
fn answer(read: &str, printed: &str) -> String {
    let value = |text: &str, field: &str| {
        let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        value[field].as_str().unwrap_or("nothing").trim_end().to_owned()
    };
    let (stdout, stderr) = (value(printed, "stdout"), value(printed, "stderr"));
    format!("log.txt: {}; stdout: {}; stderr: {stderr}.", value(read, "content").replace('\n', "|"), stdout.replace('\n', "|"))
}

/// The answer of a run that went well.
pub fn good_answer() -> String {
    format!("log.txt: ran; stdout: out|{NOTE}; stderr: err.")
}

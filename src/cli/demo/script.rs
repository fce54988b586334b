//! What the scripted model answers, from what it is told: what it says of output it reads from the results of its calls.

use serde_json::{Value, json};

use super::project::{FUEL, GAUGE};
use crate::model::Role;
use crate::standin::model::{RecordedRequest, Turn, call, calls, say, say_and_call};

/// What people ask, in the order of the scenes.
pub const QUESTION: &str = "@threadbox please count them, and write the last five into `primes.txt`.";
pub const REVIEW: &str = "@threadbox review";
pub const WHY: &str = "@threadbox how do you know that this comparison is the wrong way round?";
pub const FIX: &str = "@threadbox pr";

const COUNT_PRIMES: &str = "\
limit = 10_000
sieve = bytearray([1]) * limit
sieve[:2] = b'\\0\\0'
for n in range(2, int(limit ** 0.5) + 1):
    if sieve[n]:
        sieve[n * n :: n] = bytes(len(range(n * n, limit, n)))
primes = [n for n in range(limit) if sieve[n]]
with open('primes.txt', 'w') as file:
    file.write('\\n'.join(map(str, primes[-5:])) + '\\n')
print(len(primes), 'primes below', limit)
";

const TRY_WARNING: &str = "\
from rocket.gauge import warning
for fuel in (5, 50, 95):
    print(fuel, 'of 100:', warning(fuel, 100))
";

/// Every file of the workspace with the digest of its content, as one line of JSON.
const LIST_FILES: &str = "\
import hashlib, json, pathlib
files = [p for p in pathlib.Path('.').rglob('*') if p.is_file() and not {'.git', '__pycache__'} & set(p.parts)]
print(json.dumps({str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}))
";

const FIXED_TEST: &str = "\
import unittest

from rocket.fuel import burn_time


class BurnTime(unittest.TestCase):
    def test_whole_seconds(self):
        self.assertEqual(burn_time(100, 4), 25)

    def test_parts_of_a_second(self):
        self.assertEqual(burn_time(10, 4), 2.5)
";

/// The answer to a request; none for what is not in the script.
pub fn follow(request: &RecordedRequest) -> Option<Turn> {
    // What memory adds behind the request speaks of the other scenes.
    let asked = request.last_user_text().split("<quoted kind=\"memory\"").next().unwrap_or_default();
    if request.tools.is_empty() {
        return Some(say(title(asked)));
    }
    let results = results(request);
    let results: Vec<&str> = results.iter().map(String::as_str).collect();
    Some(if asked.contains("primes.txt") {
        count_primes(&results)
    } else if asked.contains("wrong way round") {
        explain(&results)
    } else if asked.contains("Burn time") {
        land(&results)
    } else {
        review(&results)
    })
}

fn title(asked: &str) -> &'static str {
    if asked.contains("primes") {
        "Count the primes below 10,000"
    } else if asked.contains("Burn time") {
        "Keep parts of a second in the burn time"
    } else {
        "Review the fuel gauge"
    }
}

/// The results of this run's calls; those before the last question are of earlier runs.
pub fn results(request: &RecordedRequest) -> Vec<String> {
    let asked = request.messages.iter().rposition(|message| message.role == Role::User).unwrap_or_default();
    let results = request.messages[asked..].iter().flat_map(|message| &message.results);
    results.map(|result| result.text.clone()).collect()
}

fn count_primes(results: &[&str]) -> Turn {
    match results {
        [] => say_and_call(
            "I'll sieve up to 10,000 and keep the last five in a file.",
            "runCode",
            json!({ "language": "python", "code": COUNT_PRIMES }),
        ),
        [_] => call("readFile", json!({ "path": "primes.txt" })),
        [ran, read, ..] => say(format!(
            "I counted with a sieve: **{}**.\n\nThe last five are in `primes.txt`: {}.",
            text_in(ran, "stdout").trim(),
            text_in(read, "content").split_whitespace().collect::<Vec<_>>().join(", "),
        )),
    }
}

fn review(results: &[&str]) -> Turn {
    match results {
        [] => call("readFile", json!({ "path": GAUGE })),
        [_] => call("runCode", json!({ "language": "python", "code": TRY_WARNING })),
        [_, _] => call("suggestChanges", findings()),
        _ => say(
            "The warning is given for full tanks and the label cannot be made; both have a suggestion that I ran. A third idea of mine \
             broke a test, so it is only mentioned.",
        ),
    }
}

fn findings() -> Value {
    json!({ "findings": [
        {
            "path": GAUGE,
            "original": "    if percent(fuel, capacity) > limit:",
            "replacement": "    if percent(fuel, capacity) < limit:",
            "body": "This warns while the tank is full: with 95 of 100 it says `low fuel`, with 5 of 100 it says nothing.",
            "rule": "inverted-comparison",
            "severity": "blocking",
        },
        {
            "path": GAUGE,
            "original": "    return \"%d %\" % percent(fuel, capacity)",
            "replacement": "    return f\"{percent(fuel, capacity):.0f} %\"",
            "body": "A lone `%` at the end of a format raises `ValueError: incomplete format`.",
            "rule": "broken-format",
            "severity": "blocking",
        },
        {
            "path": GAUGE,
            "original": "    return fuel / capacity * 100",
            "replacement": "    return round(fuel / capacity, 2)",
            "body": "A share between 0 and 1 would be easier to work with.",
            "rule": "share-instead-of-percent",
            "severity": "minor",
        },
    ]})
}

fn explain(results: &[&str]) -> Turn {
    match results {
        [] => call("runCode", json!({ "language": "python", "code": TRY_WARNING })),
        [ran, ..] => say(format!(
            "I ran it on three tanks:\n\n```text\n{}\n```\n\nOnly the nearly empty one should be warned about.",
            text_in(ran, "stdout").trim()
        )),
    }
}

fn land(results: &[&str]) -> Turn {
    match results {
        [] => call("editFile", json!({ "path": FUEL, "oldText": "fuel // rate", "newText": "fuel / rate" })),
        [_] => calls([
            ("writeFile", json!({ "path": "tests/test_fuel.py", "content": FIXED_TEST })),
            ("runCommand", json!({ "command": "python3 -m unittest -q" })),
        ]),
        [_, _, _] => call("runCode", json!({ "language": "python", "code": LIST_FILES })),
        [_, _, _, _] => call(
            "openPullRequest",
            json!({
                "title": "Keep parts of a second in the burn time",
                "body": "`//` threw the parts of a second away. Now `/` keeps them; a new test covers 10 units at 4 a second, and all tests pass.",
            }),
        ),
        _ => say("The burn time keeps its parts of a second now, and a test makes sure of it."),
    }
}

pub fn text_in(result: &str, field: &str) -> String {
    let value: Value = serde_json::from_str(result).unwrap_or_default();
    value.get(field).and_then(Value::as_str).unwrap_or("(no output)").to_owned()
}

/// What the workspace held when the fix was about to land: path and digest of every file.
pub fn workspace(requests: &[RecordedRequest]) -> Option<Value> {
    let results = requests.iter().rev().flat_map(|request| &request.messages).flat_map(|message| &message.results);
    let printed = results.map(|result| text_in(&result.text, "stdout")).find(|printed| printed.starts_with("{\""))?;
    serde_json::from_str(&printed).ok()
}

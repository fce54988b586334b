//! What the scripted model answers on Discord: it reads the table that came with the question, and the words that came from GitHub.

use serde_json::json;

use crate::cli::demo::project::FUEL;
use crate::cli::demo::script::{results, text_in};
use crate::model::Role;
use crate::standin::model::{Gate, RecordedRequest, Turn, call, calls, gated, say};

/// What people say, in the order of the scenes.
pub const CHART: &str = "@threadbox plan a chart of the fuel that each burn takes; the table is attached.";
pub const FIX: &str = "`burn_time(10, 0)` ends in a bare ZeroDivisionError. Make it say what is wrong, and open a pull request.";
pub const STEER: &str = "@threadbox a `ValueError`, please; and negative rates are just as wrong.";

/// The table that is attached.
pub const BURNS: &str = "\
burn,seconds,rate
ascent,162,18.5
circularise,40,6.2
transfer,310,2.4
landing,55,9.0
";

const DRAW: &str = "\
import csv, struct, zlib
burns = csv.DictReader(open('attachments/burns.csv'))
fuel = {burn['burn']: float(burn['seconds']) * float(burn['rate']) for burn in burns}
with open('fuel.csv', 'w') as out:
    csv.writer(out).writerows([('burn', 'kg'), *fuel.items()])
# A bar for each.
wide, bars = 480, b''
for kg in fuel.values():
    bar = round(kg / max(fuel.values()) * wide)
    bars += (b'\\0' + b'\\x50' * bar + b'\\xff' * (wide - bar)) * 30 + (b'\\0' + b'\\xff' * wide) * 10
size = struct.pack('>IIBBBBB', wide, 40 * len(fuel), 8, 0, 0, 0, 0)
with open('fuel.png', 'wb') as png:
    png.write(b'\\x89PNG\\r\\n\\x1a\\n')
    for part in (b'IHDR' + size, b'IDAT' + zlib.compress(bars), b'IEND'):
        png.write(struct.pack('>I', len(part) - 4) + part + struct.pack('>I', zlib.crc32(part)))
print(f'{sum(fuel.values()):.0f} kg in {len(fuel)} burns, most of it for the {max(fuel, key=fuel.get)}')
";

const TRY: &str = "\
from rocket.fuel import burn_time
try:
    print(burn_time(10, 0))
except Exception as error:
    print(type(error).__name__, error)
";

const OLD_LINE: &str = "    return fuel // rate\n";
/// What the file holds once the words from GitHub were heard.
pub const NEW_LINES: &str = "    if rate <= 0:\n        raise ValueError(\"the rate must be above zero\")\n";
const OLD_TEST: &str = "        self.assertEqual(burn_time(100, 4), 25)\n";
const NEW_TEST: &str = "
    def test_a_rate_that_cannot_be(self):
        for rate in (0, -4):
            with self.assertRaises(ValueError):
                burn_time(10, rate)
";

/// The answer to a request that came from Discord; none for others. The fix goes on when `steered` opens.
pub fn follow(request: &RecordedRequest, steered: &Gate) -> Option<Turn> {
    let is_about = |words: &str| asked(request).any(|text| text.contains(words));
    let has_no_tools = request.tools.is_empty();
    if is_about("fuel that each burn takes") {
        return Some(if has_no_tools { say("Chart the fuel of each burn") } else { chart(request) });
    }
    if is_about("burn_time(10, 0)") {
        return Some(if has_no_tools { say("Refuse rates that cannot be") } else { fix(request, steered) });
    }
    None
}

/// What people said; what memory adds behind it speaks of other scenes.
fn asked(request: &RecordedRequest) -> impl Iterator<Item = &str> {
    let said = request.messages.iter().filter(|message| message.role == Role::User);
    said.map(|message| message.text.split("<quoted kind=\"memory\"").next().unwrap_or_default())
}

fn chart(request: &RecordedRequest) -> Turn {
    let results = results(request);
    match (results.as_slice(), request.offers("runCode")) {
        ([], false) => call("readFile", json!({ "path": "attachments/burns.csv" })),
        ([read, ..], false) => say(format!(
            "1. Multiply `seconds` by `rate` for each of the {} burns in `burns.csv`.\n2. Draw a bar for each.\n3. Attach the \
             chart, and the numbers as a table.",
            text_in(read, "content").matches(',').count() / 2 - 1
        )),
        ([], true) => call("runCode", json!({ "language": "python", "code": DRAW })),
        ([_], true) => call("attachFile", json!({ "path": "fuel.csv" })),
        ([ran, ..], true) => say(format!("**{}.** The longest bar is the largest burn.", text_in(ran, "stdout").trim())),
    }
}

fn fix(request: &RecordedRequest, steered: &Gate) -> Turn {
    let results: Vec<&str> =
        request.messages.iter().flat_map(|message| &message.results).map(|result| result.text.as_str()).collect();
    let is_steered = asked(request).any(|text| text.contains("negative rates are just as wrong"));
    match results.as_slice() {
        [] => call("runCode", json!({ "language": "python", "code": TRY })),
        [_] => gated(steered, call("readFile", json!({ "path": FUEL }))),
        [_, _] if !is_steered => say("Nobody said what it should say."),
        [_, _] => calls([
            ("editFile", json!({ "path": FUEL, "oldText": OLD_LINE, "newText": format!("{NEW_LINES}{OLD_LINE}") })),
            (
                "editFile",
                json!({ "path": "tests/test_fuel.py", "oldText": OLD_TEST, "newText": format!("{OLD_TEST}{NEW_TEST}") }),
            ),
            ("runCommand", json!({ "command": "python3 -m unittest -q" })),
        ]),
        [_, _, _, _, _] => call(
            "openPullRequest",
            json!({
                "title": "Refuse rates that cannot be",
                "body": "A rate of zero or less is a `ValueError` that says so, instead of a division by zero.",
            }),
        ),
        _ => say("A rate of zero or less is a `ValueError` now, as was asked for on GitHub, and a test makes sure of it."),
    }
}

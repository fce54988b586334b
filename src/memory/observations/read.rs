//! What is taken from a model's answer: lines that cite what the model was shown, and nothing else.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use regex::Regex;

use super::{LONGEST_LINE, MOST_ANSWERED, MOST_CITES, Observation, SaidRun};
use crate::id::MessageId;
use crate::memory::receipt;
use crate::reply::{Redactor, clean, cut};

/// Shortest text that says anything.
const SHORTEST: usize = 4;

static TOKEN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\[m:([0-9a-f]{10})\]").expect("the pattern is constant and valid"));
static LEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?:[-*•]|\d{1,3}[.)])?\s*(?:\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2})?\s*[:,–-]?)?\s*")
        .expect("the pattern is constant and valid")
});

/// The messages a model was shown, by token, with when each was said.
#[derive(Clone, Debug, Default)]
pub struct Known(BTreeMap<String, (MessageId, DateTime<Utc>)>);

impl Known {
    /// Those of runs.
    pub fn of_runs(runs: &[SaidRun]) -> Self {
        let said = runs.iter().flat_map(|run| &run.said);
        Self(said.map(|said| (receipt::token(said.id), (said.id, said.at))).collect())
    }

    /// Those that lines cite; each counts as old as the oldest line that cites it.
    pub fn of_lines(lines: &[Observation]) -> Self {
        let mut known = BTreeMap::new();
        for line in lines {
            for cite in &line.cites {
                let entry = known.entry(receipt::token(*cite)).or_insert((*cite, line.said_at));
                entry.1 = entry.1.min(line.said_at);
            }
        }
        Self(known)
    }

    fn cited(&self, line: &str) -> Vec<(MessageId, DateTime<Utc>)> {
        let mut cited: Vec<(MessageId, DateTime<Utc>)> = Vec::new();
        for token in TOKEN.find_iter(line) {
            if let Some(found) = self.0.get(token.as_str())
                && !cited.contains(found)
                && cited.len() < MOST_CITES
            {
                cited.push(*found);
            }
        }
        cited
    }
}

/// The observations of an answer: one line each, cleaned, redacted and cut, at most [`MOST_ANSWERED`]. A token the model was not shown
/// counts for nothing, and a line without any other is left out. Empty when the answer is rubbish.
pub fn read(answer: &str, known: &Known, redactor: &Redactor) -> Vec<Observation> {
    let answer = answer.rsplit("</think>").next().unwrap_or_default();
    let lines = answer.lines().filter_map(|line| observation(line, known, redactor));
    lines.take(MOST_ANSWERED).collect()
}

fn observation(line: &str, known: &Known, redactor: &Redactor) -> Option<Observation> {
    let cited = known.cited(line);
    let said_at = cited.iter().map(|(_, at)| *at).min()?;
    let text = plain(&TOKEN.replace_all(line, " "), redactor);
    (text.chars().count() >= SHORTEST)
        .then(|| Observation::new(said_at, text, cited.into_iter().map(|(message, _)| message).collect()))
}

/// One line without bullet, date and tokens.
pub(super) fn plain(line: &str, redactor: &Redactor) -> String {
    let line = clean::line(line, 4 * LONGEST_LINE);
    let line = redactor.redact(&line);
    let text = LEAD.replace(&line, "").replace("[m:", "(m:");
    cut::cut_end(text.trim(), LONGEST_LINE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::secret::secret;

    fn known() -> Known {
        let at = |day: u32| format!("2026-11-{day:02}T10:00:00Z").parse().unwrap();
        let message = |number: u128| MessageId(Uuid::from_u128(number));
        Known((1..=9).map(|number| (receipt::token(message(number.into())), (message(number.into()), at(number)))).collect())
    }

    fn texts(answer: &str) -> Vec<(String, usize)> {
        let redactor = Redactor::new([secret("hunter2-hunter2")]);
        read(answer, &known(), &redactor).into_iter().map(|line| (line.text, line.cites.len())).collect()
    }

    #[test]
    fn lines_that_cite_what_was_shown_are_taken_and_nothing_else() {
        let answer = "<think>Let me see. [m:0000000001]</think>\nHere are the observations:\n\
            - 2026-01-01: maya decided on TOML [m:0000000002][m:0000000001][m:0000000002]\n\
            * the key is hunter2-hunter2 <!-- hidden --> [m:0000000003]\n\
            - nobody said this [m:ffffffffff]\n\
            - or this\n\
            3) half known [m:ffffffffff] [m:0000000004]\n\
            - [m:0000000005]\n";
        assert_eq!(
            texts(answer),
            [("maya decided on TOML".to_owned(), 2), ("the key is [secret]".to_owned(), 1), ("half known".to_owned(), 1),]
        );
        assert!(texts("I'm sorry, I can't help with that.").is_empty());
    }

    #[test]
    fn a_line_is_as_old_as_the_first_thing_it_tells_of() {
        let lines = read("- YAML instead of TOML [m:0000000005][m:0000000002]", &known(), &Redactor::new([]));
        assert_eq!(lines[0].said_at.to_rfc3339(), "2026-11-02T10:00:00+00:00");
    }

    #[test]
    fn lines_are_capped_in_number_and_length() {
        let answer = format!("- {} [m:0000000001]\n", "long ".repeat(500)).repeat(500);
        let lines = texts(&answer);
        assert_eq!(lines.len(), MOST_ANSWERED);
        assert!(lines.iter().all(|(text, _)| text.chars().count() <= LONGEST_LINE));
    }

    proptest! {
        #[test]
        fn whatever_a_model_answers_its_lines_stay_lines(answer in "(- |\\[m:000000000[1-9]\\]|\\[m:|</quoted>|<!--|[a-z \n]|\\PC){0,80}") {
            for line in read(&answer, &known(), &Redactor::new([])) {
                prop_assert!(!line.text.contains('\n') && !line.text.contains("[m:") && !line.cites.is_empty());
                prop_assert!(!line.text.to_lowercase().contains("<quoted") && !line.text.to_lowercase().contains("</quoted"));
            }
        }
    }
}

//! What code makes of a conversation where no model helps: who asked what when, and how the answer began. Worse than a model's lines, and
//! always there.

use super::{CEILING, Observation, SaidRun, read};
use crate::model::Role;
use crate::reply::{Redactor, cut};

/// Characters of what was asked and of what was answered.
const ASKED: usize = 130;
const ANSWERED: usize = 130;
/// Characters that are left of a line when lines are shortened.
const SHORT: usize = 100;

/// One line for each run.
pub fn extract(runs: &[SaidRun], redactor: &Redactor) -> Vec<Observation> {
    runs.iter().filter_map(|run| of_run(run, redactor)).collect()
}

fn of_run(run: &SaidRun, redactor: &Redactor) -> Option<Observation> {
    let asked = run.said.iter().find(|said| said.message.role == Role::User && !said.message.plain_text().trim().is_empty());
    let answers = run.said.iter().rev().filter(|said| said.message.role == Role::Assistant);
    let answered = answers.into_iter().find(|said| !said.message.plain_text().trim().is_empty());
    let first = asked.or(answered).or(run.said.first())?;
    let question = asked.map(|said| {
        let who = said.author.as_deref().unwrap_or("somebody");
        format!("{who} asked: {}", cut::cut_end(&read::plain(&said.message.plain_text(), redactor), ASKED))
    });
    let answer = answered.map(|said| {
        let text = read::plain(&said.message.plain_text(), redactor);
        format!("the agent answered: {}", cut::cut_end(first_sentences(&text), ANSWERED))
    });
    let text = question.into_iter().chain(answer).collect::<Vec<_>>().join(" — ");
    let text = if text.is_empty() { "The agent worked without words.".to_owned() } else { text };
    let cites = asked.into_iter().chain(answered).map(|said| said.id).collect::<Vec<_>>();
    let cites = if cites.is_empty() { vec![first.id] } else { cites };
    Some(Observation::new(first.at, text, cites))
}

/// Up to the end of the sentence in which the first forty characters are.
fn first_sentences(text: &str) -> &str {
    let end = text
        .char_indices()
        .skip(40)
        .find(|(at, c)| matches!(c, '.' | '!' | '?') && text[at + c.len_utf8()..].chars().next().is_none_or(char::is_whitespace));
    end.map_or(text, |(at, c)| &text[..at + c.len_utf8()])
}

/// The same lines in at most a quarter of the ceiling: each cut short, and the oldest left out when that is not enough.
pub fn shorten(lines: &[Observation]) -> Vec<Observation> {
    let mut room = CEILING / 4;
    let short =
        lines.iter().rev().map(|line| Observation::new(line.said_at, cut::cut_end(&line.text, SHORT), line.cites.clone()));
    let mut kept: Vec<Observation> = short
        .take_while(|line| {
            let fits = line.size() <= room;
            room = room.saturating_sub(line.size());
            fits
        })
        .collect();
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::id::{MessageId, RunId};
    use crate::memory::observations::{Said, size};
    use crate::model::Message;

    fn said(author: Option<&str>, role: Role, text: &str) -> Said {
        let at = "2026-11-02T10:00:00Z".parse().unwrap();
        Said { id: MessageId::new(), at, author: author.map(str::to_owned), message: Message::text(role, text) }
    }

    #[test]
    fn without_a_model_a_line_says_who_asked_what_and_how_the_answer_began() {
        let long = format!("The cause is the cache in src/cache.rs, which is never cleared. {}", "More. ".repeat(100));
        let run = SaidRun {
            id: RunId::new(),
            said: vec![
                said(Some("maya"), Role::User, "@threadbox why does\nit fail?"),
                said(None, Role::Assistant, ""),
                said(None, Role::Assistant, &long),
            ],
        };
        let lines = extract(&[run.clone(), SaidRun { id: RunId::new(), said: Vec::new() }], &Redactor::new([]));
        assert_eq!(lines.len(), 1);
        insta::assert_snapshot!(
            lines[0].text,
            @"maya asked: @threadbox why does it fail? — the agent answered: The cause is the cache in src/cache.rs, which is never cleared."
        );
        assert_eq!(lines[0].cites, [run.said[0].id, run.said[2].id]);
    }

    #[test]
    fn shortened_lines_fit_and_the_newest_stay() {
        let lines: Vec<Observation> = (0..200)
            .map(|number| {
                Observation::new("2026-11-02T10:00:00Z".parse().unwrap(), format!("{number} {}", "x".repeat(250)), vec![])
            })
            .collect();
        let short = shorten(&lines);
        assert!(size(&short) <= CEILING / 4 && short.last().unwrap().text.starts_with("199 "), "{}", size(&short));
    }
}

//! What can be said here, and what was nearly said.

use crate::intake::command::{Problem, Word};
use crate::reply::{fence, inline};

pub(super) fn help(handle: &str, available: &[Word]) -> String {
    let handle = inline::plain(handle, 60);
    let mut lines = vec![
        format!(
            "Mention `@{handle}` and say what you want. I plan, write and run code in a sandbox of this conversation, and answer here."
        ),
        String::new(),
        "| after the mention | what happens |".to_owned(),
        "| --- | --- |".to_owned(),
        "| anything in your own words | I get to work; while I work, it joins the current run |".to_owned(),
    ];
    for word in Word::ALL.iter().filter(|word| available.contains(word)) {
        let (usage, does) = describe(*word);
        lines.push(format!("| {usage} | {does} |"));
    }
    lines.join("\n")
}

/// How a command is written and what it does.
pub(in crate::reply) fn describe(word: Word) -> (&'static str, &'static str) {
    match word {
        Word::Run => ("`run` and a fenced code block", "the code is run as it is, without a model"),
        Word::Review => ("`review`", "I review this pull request"),
        Word::Fix => ("`fix`", "I land the work: a pull request, or commits on this branch"),
        Word::Pr => ("`pr`", "the same"),
        Word::Plan => ("`plan …`", "I propose first and change nothing"),
        Word::Approve => ("`approve`", "what waits for a yes (a plan, a request) begins; 👍 on its comment does the same"),
        Word::Queue => ("`queue …`", "I do this after the current run"),
        Word::Stop => ("`stop`", "the current run stops and says where it stood"),
        Word::Retry => ("`retry`", "the last request is run again"),
        Word::Undo => ("`undo`", "the changes of the last run are taken back"),
        Word::Status => ("`status`", "where it stands"),
        Word::Help => ("`help`", "this"),
        Word::Remember => {
            ("`remember …`", "I keep it in mind for all conversations of this repository; `remember here: …` for this one alone")
        }
        Word::Forget => (
            "`forget …`",
            "I drop it: the number of a line, or words that stand in it; or `this conversation`, or `everything I said`",
        ),
        Word::Memory => ("`memory`", "what I keep in mind, who said it, and whether it still holds"),
        Word::Model => ("`model provider/name`", "this thread uses that model"),
        Word::Budget => ("`budget 5`", "a run in this thread may cost 5 dollars"),
        Word::Link => (
            "`link <address>`",
            "that issue or thread joins this conversation; on Discord `link owner/name` says which repository a channel is about, and `link account` who you are on GitHub",
        ),
        Word::Branch => (
            "`branch <address>`",
            "a new conversation begins with what was said in that one so far; from then on the two go separate ways",
        ),
    }
}

pub(super) fn did_you_mean(handle: &str, word: &str, suggestion: Word) -> String {
    let (word, handle) = (fence::code_span(&word.chars().take(40).collect::<String>()), inline::plain(handle, 60));
    format!(
        "I do not know the command {word}. Did you mean `{}`? Nothing was run: write `@{handle} {}`, or say in a few more words what you want.",
        suggestion.as_str(),
        suggestion.as_str(),
    )
}

pub(super) fn invalid(handle: &str, problem: &Problem) -> String {
    let handle = inline::plain(handle, 60);
    let instead = |given: &str| match given {
        "" => String::new(),
        given => format!(", not {}", fence::code_span(&given.chars().take(80).collect::<String>())),
    };
    match problem {
        Problem::NoCode => {
            let example = format!("@{handle} run\n```python\nprint(\"hello\")\n```\n");
            format!(
                "`run` needs a fenced code block with something in it. Nothing was run. For example:\n\n{}",
                fence::fence("markdown", &example)
            )
        }
        Problem::NoText { word } => {
            let word = word.as_str();
            format!("`{word}` needs to be told what. For example: `@{handle} {word} the tests need Python 3.12`")
        }
        Problem::NoModel { given } => {
            format!(
                "`model` needs a name of the form `provider/model`{}. For example: `@{handle} model openai/gpt-4.1`",
                instead(given)
            )
        }
        Problem::NoAmount { given } => {
            format!("`budget` needs an amount in dollars above zero{}. For example: `@{handle} budget 5`", instead(given))
        }
        Problem::NoAddress { given } => {
            format!(
                "`link` needs the address of an issue or of a thread on Discord, or a repository{}. For example: `@{handle} link https://github.com/owner/name/issues/7`",
                instead(given)
            )
        }
    }
}

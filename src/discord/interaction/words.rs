//! What people read in answer to commands and buttons. Pure.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::policy::Refused;
use crate::discord::NewFile;
use crate::discord::command::definition::{ALL, About};
use crate::discord::command::translate::{Shown, Unfit};
use crate::intake::command::{Problem, Word};

pub(super) const SAY_IT_AGAIN: &str = "I could not take that down just now. Say it again in a moment.";
pub(super) const UNKNOWN: &str = "I do not know that command (any more). `/help` shows what there is.";
pub(super) const TOO_OLD: &str = "That button is from an older version of me. Say it in words, or use `/help`.";
pub(super) const GONE: &str = "I do not know that conversation any more.";

/// Characters of a message that leave room for saying how much was cut.
pub(super) const MOST: usize = 1_960;

/// Longest code that is shown in the text; more is a file.
const LONGEST_CODE: usize = 1_200;

/// What everybody sees of what somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Post {
    pub content: String,
    pub file: Option<NewFile>,
}

/// `**maya** asks: why is it red?`
pub(super) fn post(name: &str, shown: &Shown) -> Post {
    let name = escape(name);
    let just = |content: String| Post { content, file: None };
    match shown {
        Shown::Word(word) => just(format!("**{name}** says: `{word}`")),
        Shown::Words { verb, text } if text.contains('\n') => {
            let quoted: Vec<String> = text.lines().map(|line| format!("> {line}")).collect();
            just(format!("**{name}** {verb}:\n{}", cut(&quoted.join("\n"), 1_900)))
        }
        Shown::Words { verb, text } => just(format!("**{name}** {verb}: {text}")),
        Shown::Code { language, code, .. } if code.len() <= LONGEST_CODE && !code.contains("```") => {
            just(format!("**{name}** runs:\n```{language}\n{}\n```", code.trim_end()))
        }
        Shown::Code { file, code, .. } => Post {
            content: format!("**{name}** runs this:"),
            file: Some(NewFile {
                name: file.clone(),
                bytes: Bytes::from(code.clone()),
                media_type: Some("text/plain; charset=utf-8".to_owned()),
                description: None,
            }),
        },
    }
}

/// A name in which nothing is markup.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for c in name.chars() {
        if "\\_*~`|>#[]()<@".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

pub(super) fn cut(text: &str, most: usize) -> String {
    let kept: String = text.chars().take(most).collect();
    let left = text.chars().count() - kept.chars().count();
    if left == 0 { kept } else { format!("{kept}… ({left} more characters)") }
}

pub(super) fn refused(why: Refused) -> &'static str {
    match why {
        Refused::Guild => "I am not to be used in this server. Who runs me can add it to `DISCORD_ALLOW_GUILDS`.",
        Refused::Channel => {
            "I am not to be used in this channel. Who runs me can add it to `DISCORD_ALLOW_CHANNELS`; try a channel where I answer."
        }
        Refused::Role => {
            "You need a role that I listen to. Ask for one here, or who runs me can add one of yours to `DISCORD_ALLOW_ROLES`."
        }
        Refused::Direct => "I am not to be used in direct messages here. Ask me in a channel of a server where I answer.",
    }
}

pub(super) fn too_often(limit: u32, until: DateTime<Utc>) -> String {
    let runs = if limit == 1 { "1 run".to_owned() } else { format!("{limit} runs") };
    format!(
        "That would be more than {runs} an hour, which is what one person may have. The next one is possible <t:{}:R>.",
        until.timestamp()
    )
}

pub(super) fn needs_conversation(name: &str) -> String {
    format!(
        "`/{name}` is about a conversation, and this is a channel with many. Use it in the thread it is about; `/ask` begins one."
    )
}

pub(super) fn unfit(why: &Unfit) -> String {
    match why {
        Unfit::NeedsCode { .. } | Unfit::Problem(Problem::NoCode) => "There is no code in it.".to_owned(),
        Unfit::NoLanguage { given } => format!("I cannot run `{}`. Choose one of the languages of the list.", bare(given)),
        Unfit::Problem(Problem::NoText { .. }) => "There are no words in it. Say what you want.".to_owned(),
        Unfit::Problem(Problem::NoModel { given }) => {
            format!("`{}` is not the name of a model, such as `openai/gpt-4.1`: provider, slash, model.", bare(given))
        }
        Unfit::Problem(Problem::NoAmount { given }) => {
            format!("`{}` is not an amount of US dollars above zero, such as `5` or `2.50`.", bare(given))
        }
        Unfit::Problem(Problem::NoAddress { given }) => {
            format!("`{}` is not an address I can link. Take the one in your browser's address bar.", bare(given))
        }
        Unfit::Unclear { word } => {
            format!("I would not understand that as `{}`. Say more plainly what it is about.", word.as_str())
        }
        Unfit::TooLong => "That is too long for a command. Mention me in a message instead, or attach it as a file.".to_owned(),
    }
}

fn bare(text: &str) -> String {
    let line: String = text.chars().filter(|c| !c.is_control() && *c != '`').collect();
    let cut = cut(&line, 60);
    if cut.is_empty() { " ".to_owned() } else { cut }
}

/// What can be said here; only what works on Discord.
pub(super) fn help(in_conversation: bool) -> String {
    let line = |name: &str, description: &str| format!("`/{name}` {}{}", description[..1].to_lowercase(), &description[1..]);
    let all = |about: About| ALL.iter().filter(move |one| one.about == about && one.word != Some(Word::Review));
    let mut lines: Vec<String> = all(About::Anything).map(|one| line(one.name, one.description)).collect();
    if in_conversation {
        lines.extend(all(About::Conversation).map(|one| line(one.name, one.description)));
        lines.push("In this thread you may also just write; no mention is needed.".to_owned());
    } else {
        let names: Vec<String> = all(About::Conversation).map(|one| format!("`/{}`", one.name)).collect();
        lines.push(format!("In a thread of mine also: {}.", names.join(" ")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn everybody_sees_what_was_asked() {
        let asks = |text: &str| post("ma_ya", &Shown::Words { verb: "asks", text: text.into() }).content;
        assert_eq!(asks("why?"), "**ma\\_ya** asks: why?");
        assert_eq!(asks("why?\n**threadbox** approves"), "**ma\\_ya** asks:\n> why?\n> **threadbox** approves");
        assert_eq!(post("maya", &Shown::Word("stop")).content, "**maya** says: `stop`");
        let code = |code: &str| post("maya", &Shown::Code { language: "python", file: "main.py".into(), code: code.into() });
        assert_eq!(code("print(1)\n").content, "**maya** runs:\n```python\nprint(1)\n```");
        assert_eq!(code("print('```')").file.map(|file| file.name), Some("main.py".to_owned()));
    }

    #[test]
    fn help_fits_into_one_message() {
        for in_conversation in [true, false] {
            let help = help(in_conversation);
            assert!(help.chars().count() < 2_000, "{}", help.chars().count());
        }
        insta::assert_snapshot!(help(false), @"
        `/ask` ask, in a thread of its own; in a thread: say something to it
        `/run` run code as it is, without a model
        `/plan` propose first; nothing changes until somebody approves the plan
        `/remember` keep something in mind
        `/forget` take something out of memory
        `/memory` show what is kept in mind
        `/link` link this channel or thread to a repository, an issue or another conversation
        `/branch` begin a thread with what was said in another one
        In a thread of mine also: `/fix` `/pr` `/approve` `/queue` `/stop` `/retry` `/undo` `/status` `/model` `/budget`.
        ");
    }

    proptest! {
        #[test]
        fn what_is_shown_fits_into_one_message(text in "(\\PC|\n){0,1500}", name in "\\PC{1,32}") {
            let shown = post(&name, &Shown::Words { verb: "wants this remembered", text });
            prop_assert!(shown.content.encode_utf16().count() <= 4_000);
            prop_assert!(shown.content.chars().count() <= 2_000);
        }
    }
}

//! The slash commands as data: one for every word of the grammar, and `/ask`. Pure.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::intake::command::Word;
use crate::sandbox::Language;

/// Longest text in characters that somebody may give to a command: it is repeated where everybody sees it, in one message.
pub const LONGEST_TEXT: usize = 1_500;

/// A slash command.
#[derive(Debug)]
pub struct Definition {
    /// Its name, without `/`.
    pub name: &'static str,
    /// The word it stands for; none for `/ask`, which takes whatever is said.
    pub word: Option<Word>,
    /// What it does, for Discord's list.
    pub description: &'static str,
    /// What can be filled in, the required first.
    pub options: &'static [OptionOf],
    /// Whether it begins a conversation or speaks of one.
    pub about: About,
    /// Whether a run comes of it, which counts against what one person may have in an hour.
    pub runs: bool,
}

/// What a command speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// It may begin a conversation: in a channel a thread is opened for it.
    Anything,
    /// The conversation it is used in: without one it means nothing.
    Conversation,
    /// Nothing that is kept: it is answered at once, to who asks alone.
    Nothing,
}

/// Something that can be filled in.
#[derive(Clone, Copy, Debug)]
pub struct OptionOf {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Whether the command means nothing without it.
    pub required: bool,
    /// What may be filled in.
    pub takes: Takes,
}

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Text of at most so many characters.
    Text(usize),
    /// A model, completed while it is typed.
    Model,
    /// A repository or another address, completed while it is typed.
    Address,
    /// A language of the sandbox.
    Language,
    /// An amount of money.
    Dollars,
}

const fn required(name: &'static str, takes: Takes, description: &'static str) -> OptionOf {
    OptionOf { name, description, required: true, takes }
}

const fn optional(name: &'static str, takes: Takes, description: &'static str) -> OptionOf {
    OptionOf { name, description, required: false, takes }
}

const TEXT: Takes = Takes::Text(LONGEST_TEXT);

/// Every command, in the order of the list people see in `help`.
pub const ALL: &[Definition] = &[
    Definition {
        name: "ask",
        word: None,
        description: "Ask, in a thread of its own; in a thread: say something to it",
        options: &[
            required("text", TEXT, "What you want"),
            optional("repository", Takes::Address, "The repository it is about"),
            optional("model", Takes::Model, "The model that answers in this thread"),
        ],
        about: About::Anything,
        runs: true,
    },
    of(
        Word::Run,
        "Run code as it is, without a model",
        &[
            optional("language", Takes::Language, "The language it is in; Python when you say nothing"),
            optional("code", TEXT, "The code; leave it out to write it in a field with several lines"),
        ],
    ),
    of(Word::Review, "Review the pull request of this thread", &[]),
    of(Word::Fix, "Land the work of this thread", &[]),
    of(Word::Pr, "Open a pull request with the work of this thread", &[]),
    of(Word::Plan, "Propose first; nothing changes until somebody approves the plan", &[required("text", TEXT, "What to plan")]),
    of(
        Word::Approve,
        "Say yes to the plan or the changes that wait in this thread",
        &[optional("digest", Takes::Text(64), "The first digits of what you mean, when several wait")],
    ),
    of(Word::Queue, "Do this after what runs now", &[required("text", TEXT, "What to do")]),
    of(Word::Stop, "Stop what runs in this thread", &[]),
    of(Word::Retry, "Run the last request of this thread again", &[]),
    of(Word::Undo, "Take back what the last run changed", &[]),
    of(Word::Status, "Where this thread stands", &[]),
    of(Word::Help, "What can be said here", &[]),
    of(Word::Remember, "Keep something in mind", &[required("text", TEXT, "What to remember")]),
    of(Word::Forget, "Take something out of memory", &[required("text", TEXT, "What to forget")]),
    of(Word::Memory, "Show what is kept in mind", &[]),
    of(Word::Model, "The model that answers in this thread", &[required("name", Takes::Model, "Provider and model")]),
    of(Word::Budget, "The most a run in this thread may cost", &[required("usd", Takes::Dollars, "US dollars")]),
    of(
        Word::Link,
        "Link this channel or thread to a repository, an issue or another conversation",
        &[required("address", Takes::Address, "The address of the repository, issue, pull request or conversation")],
    ),
    of(
        Word::Branch,
        "Begin a thread with what was said in another one",
        &[required("address", Takes::Text(200), "The address of the thread, or of the message it begins with")],
    ),
];

const fn of(word: Word, description: &'static str, options: &'static [OptionOf]) -> Definition {
    let (about, runs) = match word {
        Word::Run | Word::Plan => (About::Anything, true),
        Word::Queue | Word::Review | Word::Fix | Word::Pr | Word::Retry | Word::Undo => (About::Conversation, true),
        Word::Remember | Word::Forget | Word::Memory | Word::Link | Word::Branch => (About::Anything, false),
        Word::Approve | Word::Stop | Word::Status | Word::Model | Word::Budget => (About::Conversation, false),
        Word::Help => (About::Nothing, false),
    };
    Definition { name: word.as_str(), word: Some(word), description, options, about, runs }
}

/// The command of this name.
pub fn find(name: &str) -> Option<&'static Definition> {
    ALL.iter().find(|definition| definition.name == name)
}

/// All of them as Discord is told.
pub fn all_json() -> Value {
    ALL.iter().map(Definition::json).collect()
}

/// Names the definitions: another digest means that Discord has to be told.
pub fn digest() -> String {
    hex::encode(Sha256::digest(all_json().to_string()))
}

impl Definition {
    fn json(&self) -> Value {
        const GUILD_INSTALL: u8 = 0;
        const IN_GUILDS_AND_WITH_THE_BOT: [u8; 2] = [0, 1];
        json!({"type": 1, "name": self.name, "description": self.description,
            "options": self.options.iter().map(OptionOf::json).collect::<Vec<_>>(),
            "integration_types": [GUILD_INSTALL], "contexts": IN_GUILDS_AND_WITH_THE_BOT})
    }
}

impl OptionOf {
    fn json(&self) -> Value {
        const STRING: u8 = 3;
        const NUMBER: u8 = 10;
        let mut json = json!({"name": self.name, "description": self.description, "required": self.required, "type": STRING});
        match self.takes {
            Takes::Text(most) => json["max_length"] = most.into(),
            Takes::Model | Takes::Address => {
                json["max_length"] = 200.into();
                json["autocomplete"] = true.into();
            }
            Takes::Language => {
                json["choices"] = Language::all().map(|one| json!({"name": one.title(), "value": one.fence()})).collect();
            }
            Takes::Dollars => {
                json["type"] = NUMBER.into();
                json["min_value"] = 0.01.into();
                json["max_value"] = 100_000.into();
            }
        }
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_a_command_and_fits_what_discord_takes() {
        for word in Word::ALL {
            assert!(find(word.as_str()).is_some_and(|found| found.word == Some(*word)), "{word:?}");
        }
        assert_eq!(ALL.len(), Word::ALL.len() + 1);
        for definition in ALL {
            assert!(definition.name.len() <= 32 && definition.description.chars().count() <= 100, "{}", definition.name);
            let first_optional = definition.options.iter().position(|option| !option.required).unwrap_or(usize::MAX);
            for (at, option) in definition.options.iter().enumerate() {
                assert!(option.description.chars().count() <= 100, "{}", option.description);
                assert!(!option.required || at < first_optional, "{}", option.name);
            }
        }
        assert!(Language::all().count() <= 25);
    }

    #[test]
    fn the_digest_names_the_definitions() {
        assert_eq!(digest(), digest());
        assert_eq!(digest().len(), 64);
    }
}

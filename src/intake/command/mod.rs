//! The command grammar: what people type after the mention. Pure; knows Markdown, no surface.
//!
//! - A mention is `@handle` or `@handle[bot]` in running text, in any case. In code, block quotes, link texts, HTML comments and
//!   tags it does not count, and neither does a longer name, a team, an address (`mention`).
//! - The first word after a mention that *addresses* us may be a command. It addresses us when it opens its line or sentence, or
//!   when only a greeting stands before it ("ok", "hey", "please"). "Did @threadbox stop?" speaks about us and is a request.
//! - A command word counts only when what follows makes sense as that command; anything else is a request to the agent (`read`).
//!   The first mention that addresses us decides; only `stop` counts from any of them.
//! - A word that is nearly a command is asked about, never run (`misspelt`).

mod mention;
mod misspelt;
mod page;
mod read;

use serde::{Deserialize, Serialize};

use crate::model::ModelName;

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// A request to the agent.
    Ask {
        /// The whole comment; our handle is taken out where a line opens with it. Empty for a bare mention, which means "look
        /// at this conversation".
        text: String,
    },
    /// Run code as it is, without a model.
    Run {
        /// At least one, in order, none empty.
        blocks: Vec<CodeBlock>,
    },
    /// Review the pull request.
    Review,
    /// Land the work: as a pull request, or as commits on the branch.
    Land {
        /// The word they used.
        how: Landing,
    },
    /// Handle this after the current run.
    Queue {
        /// What to do, never empty.
        text: String,
    },
    /// Stop and summarise.
    Stop,
    /// Run the last request again.
    Retry,
    /// Take the last run's changes back.
    Undo,
    /// Propose first.
    Plan {
        /// What to plan; empty means this conversation.
        text: String,
    },
    /// Say yes to what waits.
    Approve {
        /// The first digits of its digest, where they named one; at least six, in lower case.
        digest: Option<String>,
    },
    /// Where it stands.
    Status,
    /// What can be said.
    Help,
    /// Put into working memory.
    Remember {
        /// What, never empty.
        text: String,
    },
    /// Take out of working memory.
    Forget {
        /// What, never empty.
        text: String,
    },
    /// Show the working memory.
    Memory,
    /// Use this model in this thread.
    Model {
        /// Which.
        name: ModelName,
    },
    /// The ceiling for a run in this thread.
    Budget {
        /// US dollars, finite and above zero.
        usd: f64,
    },
    /// Join another surface to this thread.
    Link {
        /// `http` or `https`.
        url: String,
    },
    /// Begin this thread with what was said in another one.
    Branch {
        /// `http` or `https`, with a host.
        url: String,
    },
    /// Link a channel or thread elsewhere to a repository.
    LinkRepository {
        /// `owner/name`; none to take the link back.
        name: Option<String>,
    },
    /// Say who one is on the other surface.
    Account {
        /// Which step of it.
        what: Account,
    },
    /// Nearly a command: nothing is run, we ask back.
    Misspelt {
        /// As they wrote it.
        word: String,
        /// What they probably meant.
        suggestion: Word,
    },
    /// A command that lacks what it needs: nothing is run, we say what is missing.
    Invalid {
        /// What is missing or wrong.
        problem: Problem,
    },
}

/// A fenced block somebody wants to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeBlock {
    /// First word of the fence's info string in lower case; empty when there is none.
    pub language: String,
    /// The lines between the fences, unchanged but for line ends, which are `\n`.
    pub code: String,
}

/// Steps of saying who one is on the other surface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// Begin: a code is wanted.
    Begin,
    /// Take it back.
    Off,
    /// The code, as they wrote it.
    Code(String),
}

/// The two words for landing work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Landing {
    /// `fix`.
    Fix,
    /// `pr`.
    Pr,
}

/// What is wrong with a command. The words people read for it are in [`crate::reply`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    /// `run` without a fenced block, or with empty ones only.
    NoCode,
    /// A command that needs a text, without one.
    NoText {
        /// Which.
        word: Word,
    },
    /// `model` without a name of the form `provider/model`.
    NoModel {
        /// What they wrote instead, may be empty.
        given: String,
    },
    /// `budget` without an amount above zero.
    NoAmount {
        /// What they wrote instead, may be empty.
        given: String,
    },
    /// `link` without an address.
    NoAddress {
        /// What they wrote instead, may be empty.
        given: String,
    },
}

macro_rules! words {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// The command words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Word {
            $($(#[$doc])* $variant,)+
        }

        impl Word {
            /// Every command word, in the order help shows them.
            pub const ALL: &'static [Word] = &[$(Word::$variant,)+];

            /// As people type it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

words! {
    /// [`Command::Run`].
    Run = "run",
    /// [`Command::Review`].
    Review = "review",
    /// [`Command::Land`].
    Fix = "fix",
    /// [`Command::Land`].
    Pr = "pr",
    /// [`Command::Plan`].
    Plan = "plan",
    /// [`Command::Approve`].
    Approve = "approve",
    /// [`Command::Queue`].
    Queue = "queue",
    /// [`Command::Stop`].
    Stop = "stop",
    /// [`Command::Retry`].
    Retry = "retry",
    /// [`Command::Undo`].
    Undo = "undo",
    /// [`Command::Status`].
    Status = "status",
    /// [`Command::Help`].
    Help = "help",
    /// [`Command::Remember`].
    Remember = "remember",
    /// [`Command::Forget`].
    Forget = "forget",
    /// [`Command::Memory`].
    Memory = "memory",
    /// [`Command::Model`].
    Model = "model",
    /// [`Command::Budget`].
    Budget = "budget",
    /// [`Command::Link`].
    Link = "link",
    /// [`Command::Branch`].
    Branch = "branch",
}

impl Word {
    /// The command word that is spelt like this, in any case.
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.as_str().eq_ignore_ascii_case(text))
    }
}

impl Command {
    /// The command word behind it; none for requests and for what could not be read.
    pub fn word(&self) -> Option<Word> {
        match self {
            Self::Ask { .. } | Self::Misspelt { .. } | Self::Invalid { .. } => None,
            Self::Run { .. } => Some(Word::Run),
            Self::Review => Some(Word::Review),
            Self::Land { how: Landing::Fix } => Some(Word::Fix),
            Self::Land { how: Landing::Pr } => Some(Word::Pr),
            Self::Queue { .. } => Some(Word::Queue),
            Self::Stop => Some(Word::Stop),
            Self::Retry => Some(Word::Retry),
            Self::Undo => Some(Word::Undo),
            Self::Plan { .. } => Some(Word::Plan),
            Self::Approve { .. } => Some(Word::Approve),
            Self::Status => Some(Word::Status),
            Self::Help => Some(Word::Help),
            Self::Remember { .. } => Some(Word::Remember),
            Self::Forget { .. } => Some(Word::Forget),
            Self::Memory => Some(Word::Memory),
            Self::Model { .. } => Some(Word::Model),
            Self::Budget { .. } => Some(Word::Budget),
            Self::Link { .. } | Self::LinkRepository { .. } | Self::Account { .. } => Some(Word::Link),
            Self::Branch { .. } => Some(Word::Branch),
        }
    }
}

/// True when the text addresses or names us: the reason to look at it at all. `handle` is without `@`.
pub fn mentions(text: &str, handle: &str) -> bool {
    !mention::find(&page::prepare(text), handle).is_empty()
}

/// What the text wants from us; none when it does not mention us. Never fails and never panics, whatever the text.
pub fn parse(text: &str, handle: &str) -> Option<Command> {
    let text = page::prepare(text);
    let page = page::Page::new(&text, handle);
    if page.mentions.is_empty() {
        return None;
    }
    let mut readings = page.addresses().map(|tail| read::read(&page, tail));
    let first = readings.next().flatten();
    if first != Some(Command::Stop) && readings.any(|reading| reading == Some(Command::Stop)) {
        return Some(Command::Stop);
    }
    Some(first.unwrap_or_else(|| Command::Ask { text: page.request() }))
}

#[cfg(test)]
mod tests;

//! Working memory: lines that the agent and people keep in mind, of one conversation or for all conversations of an owner.
//!
//! It reads and is written as Markdown ([`markdown`]) or as an object of sections ([`merge`]); every change goes through [`change`],
//! which keeps where each line comes from, and [`store`] puts changes of the same memory one after the other. A line that names
//! files remembers their content ([`code`]). Pure apart from the store.

pub mod change;
pub mod code;
pub mod markdown;
pub mod merge;
pub mod shown;
pub mod store;
mod template;

pub use self::change::{LARGEST, LONGEST_LINE, MOST_LINES};
pub use self::template::Template;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use self::code::About;
use super::receipt::Cite;
use super::{Reach, Scope};
use crate::id::{MessageId, ThreadId};

/// Lines in the order they are shown; those of a section stand together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkingMemory {
    /// The lines.
    pub lines: Vec<Line>,
    /// The highest number a line ever had.
    pub numbered: i32,
}

/// One thing that is kept in mind. As it is stored: an element of `working_memories.lines`, with the fields of its source beside its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number, which no other line of the same memory ever has.
    pub number: i32,
    /// The heading it stands under.
    pub section: String,
    /// One line of Markdown, as [`markdown::canonical`] leaves it.
    pub text: String,
    /// Where it comes from.
    #[serde(flatten)]
    pub source: Source,
    /// The files it speaks of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<About>,
}

/// The message a line comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Which.
    pub message: MessageId,
    /// Who wrote it.
    pub author: String,
    /// Their number on the surface.
    pub author_id: i64,
    /// Where a person can read it.
    pub url: String,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// True when the agent noted it while it worked on that message; false when the person said to remember it.
    #[serde(default)]
    pub noted: bool,
}

impl Source {
    /// The receipt of what comes from there.
    pub fn cite(&self) -> Cite {
        Cite { message: self.message, url: self.url.clone(), author: self.author.clone(), at: self.at }
    }
}

/// Whose working memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of one conversation.
    Thread(ThreadId),
    /// For all conversations of an owner.
    Owner(String),
}

impl Whose {
    /// What `scope` reaches.
    pub fn of(scope: &Scope) -> Self {
        match scope.reach {
            Reach::Thread => Self::Thread(scope.thread),
            Reach::Owner => Self::Owner(scope.owner.clone()),
        }
    }

    /// The number of one of its lines as people read and type it: `7` for all conversations, `t7` for this one.
    pub fn label(reach: Reach, number: i32) -> String {
        match reach {
            Reach::Thread => format!("t{number}"),
            Reach::Owner => number.to_string(),
        }
    }
}

/// A line that is to be, without what we know of it beside its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The heading it stands under.
    pub section: String,
    /// As [`markdown::canonical`] leaves it.
    pub text: String,
}

impl WorkingMemory {
    /// The words alone.
    pub fn drafts(&self) -> Vec<Draft> {
        self.lines.iter().map(|line| Draft { section: line.section.clone(), text: line.text.clone() }).collect()
    }

    /// True when nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// Examples for the tests of this room.
#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub(crate) fn source(author: &str) -> Source {
        Source {
            message: MessageId("0192f1a0-0000-7000-8000-008f14e45fce".parse().unwrap()),
            author: author.to_owned(),
            author_id: 1,
            url: "https://github.com/acme/rocket/issues/1#issuecomment-9".to_owned(),
            at: "2026-11-21T10:00:00Z".parse().unwrap(),
            noted: false,
        }
    }

    pub(crate) fn memory(lines: &[(&str, &str)]) -> WorkingMemory {
        let line = |(at, (section, text)): (usize, &(&str, &str))| Line {
            number: i32::try_from(at).unwrap() + 1,
            section: (*section).to_owned(),
            text: (*text).to_owned(),
            source: source("maya"),
            about: Vec::new(),
        };
        WorkingMemory { lines: lines.iter().enumerate().map(line).collect(), numbered: i32::try_from(lines.len()).unwrap() }
    }

    #[test]
    fn a_line_is_stored_with_the_message_it_comes_from() {
        let line = memory(&[("Decisions", "We use tabs.")]).lines.remove(0);
        let stored = serde_json::to_value(&line).unwrap();
        assert_eq!(stored["message"], "0192f1a0-0000-7000-8000-008f14e45fce");
        assert_eq!((stored["text"].as_str(), stored["author_id"].as_i64()), (Some("We use tabs."), Some(1)));
        assert_eq!(serde_json::from_value::<Line>(stored).unwrap(), line);
    }
}

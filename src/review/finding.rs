//! A finding as it is kept until the end of the run: where it stands, what was proved, or why not.

use serde::{Deserialize, Serialize};

use super::apply::Block;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Must not be merged like this.
    Blocking,
    /// Should be changed.
    Important,
    /// Could be better.
    Minor,
}

impl Severity {
    /// From the model's word; what is no word for it matters little.
    pub fn of(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "blocking" | "blocker" | "critical" => Self::Blocking,
            "important" | "major" | "high" => Self::Important,
            _ => Self::Minor,
        }
    }

    /// The word people read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Blocking => "Blocking",
            Self::Important => "Important",
            Self::Minor => "Minor",
        }
    }
}

/// A command that was run on the applied suggestions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// As the repository wrote it.
    pub command: String,
    /// How it ended.
    pub exit_code: i32,
    /// Wall clock in milliseconds.
    pub duration_ms: u64,
}

/// What was tried with a suggestion before it was posted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The repository's formatter, when it has one.
    pub format: Option<Ran>,
    /// The repository's tests, when it says how to run them.
    pub test: Option<Ran>,
    /// True when the formatter's text became the suggestion.
    #[serde(default)]
    pub formatted: bool,
}

/// What becomes of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// A suggestion on the lines it changes.
    Suggested {
        /// The lines and what they become.
        block: Block,
        /// What was tried.
        proof: Proof,
    },
    /// A comment on lines, without a suggestion.
    Remark {
        /// The first line.
        first: u32,
        /// The last line.
        last: u32,
    },
    /// In the body, as a plain diff.
    Demoted {
        /// Why it is no suggestion.
        why: String,
    },
    /// In the body, with a link: it is about lines the pull request does not show.
    OffDiff,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The file.
    pub path: String,
    /// The kind of problem.
    pub rule: String,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong and why; Markdown of the model.
    pub body: String,
    /// The code it is about, by which it is known again.
    pub code: String,
    /// Where that begins in the reviewed file, from 1.
    pub first: u32,
    /// Where it ends.
    pub last: u32,
    /// What would change, as a unified diff; empty for a remark.
    pub diff: String,
    /// What becomes of it.
    pub standing: Standing,
}

impl Kept {
    /// The lines of the comment it becomes; none when it goes into the body.
    pub fn lines(&self) -> Option<(u32, u32)> {
        match &self.standing {
            Standing::Suggested { block, .. } => Some((block.first, block.last)),
            Standing::Remark { first, last } => Some((*first, *last)),
            Standing::Demoted { .. } | Standing::OffDiff => None,
        }
    }

    /// The block it suggests.
    pub fn block(&self) -> Option<&Block> {
        match &self.standing {
            Standing::Suggested { block, .. } => Some(block),
            Standing::Remark { .. } | Standing::Demoted { .. } | Standing::OffDiff => None,
        }
    }
}

//! Run events: what happened in a run, append-only, in order.

use serde::{Deserialize, Serialize};

use crate::memory::receipt::Cite;
use crate::reply::{Execution, Landed, LiveStep, StepState};
use crate::sandbox::Stream;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RunEvent {
    /// A worker took it.
    Started {
        /// 1 at first; more after a crash or a shutdown.
        attempt: i32,
    },
    /// The model answered.
    Answered {
        /// From 1.
        step: i32,
        /// Which model.
        model: String,
        /// What it said beside its tool calls.
        text: String,
    },
    /// A tool was called and came back.
    Acted {
        /// The tool's name.
        tool: String,
        /// One plain line.
        summary: String,
        /// False when the tool reported an error.
        ok: bool,
        /// What was run, when something was.
        execution: Option<Execution>,
    },
    /// A program printed something while its call was not over. The pieces of a stream in order are its text but for what was left
    /// out; the whole of it, capped, comes with [`RunEvent::Acted`].
    Printed {
        /// Id of the call.
        call: String,
        /// Which stream.
        stream: Stream,
        /// What came since the piece before.
        text: String,
        /// Bytes left out before this text.
        omitted: u64,
    },
    /// A file became part of the answer. Its content is stored with this event.
    Attached {
        /// What people see as its name.
        name: String,
        /// Such as `image/png`.
        media_type: String,
        /// Bytes.
        size: u64,
        /// Names it in its link.
        token: String,
        /// The content, where it is a short text.
        text: Option<String>,
    },
    /// A message joined the run.
    Joined {
        /// Who wrote it.
        author: String,
    },
    /// It asked a person; the run ends with the question.
    Asked {
        /// Markdown from the model.
        question: String,
        /// Answers it offers.
        options: Vec<String>,
    },
    /// The run was shown something from memory.
    Remembered {
        /// Where it was said.
        cites: Vec<Cite>,
    },
    /// What the run changed in the workspace.
    Changed {
        /// Unified diff, capped.
        diff: String,
    },
    /// Work landed.
    Landed {
        /// Where.
        landed: Landed,
    },
}

impl RunEvent {
    /// The word in the `kind` column.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Answered { .. } => "answered",
            Self::Acted { .. } => "acted",
            Self::Printed { .. } => "printed",
            Self::Attached { .. } => "attached",
            Self::Joined { .. } => "joined",
            Self::Asked { .. } => "asked",
            Self::Remembered { .. } => "remembered",
            Self::Changed { .. } => "changed",
            Self::Landed { .. } => "landed",
        }
    }

    /// Bytes of output in it.
    pub(super) fn printed(&self) -> usize {
        match self {
            Self::Printed { text, .. } => text.len(),
            Self::Started { .. }
            | Self::Answered { .. }
            | Self::Acted { .. }
            | Self::Attached { .. }
            | Self::Joined { .. }
            | Self::Asked { .. }
            | Self::Remembered { .. }
            | Self::Changed { .. }
            | Self::Landed { .. } => 0,
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The line of the live comment's checklist, when it deserves one.
    pub fn step(&self) -> Option<LiveStep> {
        let done = |label: String| Some(LiveStep { label, state: StepState::Done });
        match self {
            Self::Started { attempt: 1 }
            | Self::Answered { .. }
            | Self::Printed { .. }
            | Self::Attached { .. }
            | Self::Asked { .. }
            | Self::Remembered { .. }
            | Self::Changed { .. }
            | Self::Landed { .. } => None,
            Self::Started { attempt } => done(format!("Taken up again after an interruption (attempt {attempt})")),
            Self::Acted { summary, ok: true, .. } => done(summary.clone()),
            Self::Acted { summary, ok: false, .. } => Some(LiveStep { label: summary.clone(), state: StepState::Failed }),
            Self::Joined { author } => done(format!("Read the message of {author}")),
        }
    }
}

//! What the stand-in is told to answer.

use serde_json::Value;
use tokio::sync::watch;

use super::RecordedRequest;
use super::said::{Finish, Said, SaidCall};

/// One scripted answer. The functions beside it are the short way to write one.
#[derive(Clone, Debug)]
pub enum Turn {
    /// Text.
    Say(String),
    /// Tool calls: name and arguments.
    Call(Vec<(String, Value)>),
    /// Text, then tool calls.
    SayAndCall(String, Vec<(String, Value)>),
    /// A tool call whose arguments are this very text. (Gemini sends arguments as JSON; there, text that is none becomes its
    /// `MALFORMED_FUNCTION_CALL`.)
    RawArguments {
        /// The tool.
        name: String,
        /// The arguments as they go over the wire.
        text: String,
    },
    /// Reasoning, signed as the provider does it, then the turn.
    Think {
        /// The reasoning.
        thought: String,
        /// What follows it.
        then: Box<Turn>,
    },
    /// The turn, stopped at the output limit.
    Truncated(Box<Turn>),
    /// No answer, kept back by the content filter.
    Filtered,
    /// The turn, without any figures about tokens.
    WithoutUsage(Box<Turn>),
    /// An HTTP error.
    Status {
        /// Its status.
        code: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// Its body; `None` means the provider's usual one.
        body: Option<Value>,
    },
    /// The connection ends after some frames of the turn.
    CutAfter {
        /// The turn.
        turn: Box<Turn>,
        /// Frames that still arrive.
        frames: usize,
        /// How it ends.
        how: Cut,
    },
    /// The provider reports an error after some frames of the turn.
    ErrorAfter {
        /// The turn.
        turn: Box<Turn>,
        /// Frames that arrive before it.
        frames: usize,
    },
    /// Nothing more arrives after some frames of the turn, and the connection stays open.
    HangAfter {
        /// The turn.
        turn: Box<Turn>,
        /// Frames that still arrive.
        frames: usize,
    },
    /// The stream pauses after some frames until the gate is opened.
    PauseAfter {
        /// The turn.
        turn: Box<Turn>,
        /// Frames that arrive before it.
        frames: usize,
        /// What it waits for.
        gate: Gate,
    },
    /// Not even headers arrive.
    Hang,
    /// The answer begins when the gate is opened.
    Gated {
        /// What it waits for.
        gate: Gate,
        /// The turn.
        turn: Box<Turn>,
    },
}

/// How a connection ends too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Properly, as a proxy does it that gave up.
    Ends,
    /// Torn.
    Breaks,
}

/// Holds an answer back until it is opened. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed gate.
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Opens it for good.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Returns once it is open.
    pub(super) async fn passed(&self) {
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// Says `text`.
pub fn say(text: impl Into<String>) -> Turn {
    Turn::Say(text.into())
}

/// Calls one tool.
pub fn call(name: &str, arguments: Value) -> Turn {
    Turn::Call(vec![(name.to_owned(), arguments)])
}

/// Calls several tools at once.
pub fn calls<'a>(calls: impl IntoIterator<Item = (&'a str, Value)>) -> Turn {
    Turn::Call(calls.into_iter().map(|(name, arguments)| (name.to_owned(), arguments)).collect())
}

/// Says `text` and calls one tool.
pub fn say_and_call(text: impl Into<String>, name: &str, arguments: Value) -> Turn {
    Turn::SayAndCall(text.into(), vec![(name.to_owned(), arguments)])
}

/// Calls a tool with arguments that are this very text.
pub fn raw_arguments(name: &str, text: impl Into<String>) -> Turn {
    Turn::RawArguments { name: name.to_owned(), text: text.into() }
}

/// Calls a tool and sends no arguments at all.
pub fn empty_arguments(name: &str) -> Turn {
    raw_arguments(name, "")
}

/// Reasons, then takes the turn.
pub fn think(thought: impl Into<String>, then: Turn) -> Turn {
    Turn::Think { thought: thought.into(), then: Box::new(then) }
}

/// Stops at the output limit after the turn.
pub fn truncated(turn: Turn) -> Turn {
    Turn::Truncated(Box::new(turn))
}

/// Is kept back by the content filter.
pub fn filtered() -> Turn {
    Turn::Filtered
}

/// Takes the turn without figures about tokens.
pub fn without_usage(turn: Turn) -> Turn {
    Turn::WithoutUsage(Box::new(turn))
}

/// Fails with an HTTP status and the provider's usual body.
pub fn status(code: u16) -> Turn {
    Turn::Status { code, headers: vec![], body: None }
}

/// Limits the rate: 429 with `retry-after`.
pub fn busy(retry_after: &str) -> Turn {
    Turn::Status { code: 429, headers: vec![("retry-after".into(), retry_after.into())], body: None }
}

/// Breaks the connection after `frames` frames of the turn.
pub fn cut_after(frames: usize, how: Cut, turn: Turn) -> Turn {
    Turn::CutAfter { turn: Box::new(turn), frames, how }
}

/// Reports an error after `frames` frames of the turn.
pub fn error_after(frames: usize, turn: Turn) -> Turn {
    Turn::ErrorAfter { turn: Box::new(turn), frames }
}

/// Sends nothing, ever.
pub fn hang() -> Turn {
    Turn::Hang
}

/// Falls silent after `frames` frames of the turn.
pub fn hang_after(frames: usize, turn: Turn) -> Turn {
    Turn::HangAfter { turn: Box::new(turn), frames }
}

/// Answers when `gate` is opened.
pub fn gated(gate: &Gate, turn: Turn) -> Turn {
    Turn::Gated { gate: gate.clone(), turn: Box::new(turn) }
}

/// Pauses after `frames` frames until `gate` is opened.
pub fn pause_after(frames: usize, gate: &Gate, turn: Turn) -> Turn {
    Turn::PauseAfter { turn: Box::new(turn), frames, gate: gate.clone() }
}

/// A turn taken apart.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) gate: Option<Gate>,
    pub(super) failure: Option<Failure>,
    pub(super) ending: Ending,
    pub(super) without_usage: bool,
    text: Option<String>,
    thought: Option<String>,
    /// Name and arguments as text.
    calls: Vec<(String, String)>,
    finish: Option<Finish>,
}

/// No answer at all.
#[derive(Debug)]
pub(super) enum Failure {
    Status { code: u16, headers: Vec<(String, String)>, body: Option<Value> },
    Hang,
}

/// How a stream ends.
#[derive(Debug, Default)]
pub(super) enum Ending {
    #[default]
    Whole,
    Cut(usize, Cut),
    Error(usize),
    Hang(usize),
    Pause(usize, Gate),
}

impl Turn {
    pub(super) fn plan(self) -> Plan {
        let mut plan = Plan::default();
        self.fill(&mut plan);
        plan
    }

    fn fill(self, plan: &mut Plan) {
        let texts =
            |calls: Vec<(String, Value)>| calls.into_iter().map(|(name, arguments)| (name, arguments.to_string())).collect();
        match self {
            Self::Say(text) => plan.text = Some(text),
            Self::Call(calls) => plan.calls = texts(calls),
            Self::SayAndCall(text, calls) => {
                plan.text = Some(text);
                plan.calls = texts(calls);
            }
            Self::RawArguments { name, text } => plan.calls = vec![(name, text)],
            Self::Think { thought, then } => {
                plan.thought = Some(thought);
                then.fill(plan);
            }
            Self::Truncated(turn) => {
                plan.finish = Some(Finish::Length);
                turn.fill(plan);
            }
            Self::Filtered => plan.finish = Some(Finish::Filtered),
            Self::WithoutUsage(turn) => {
                plan.without_usage = true;
                turn.fill(plan);
            }
            Self::Status { code, headers, body } => plan.failure = Some(Failure::Status { code, headers, body }),
            Self::CutAfter { turn, frames, how } => {
                plan.ending = Ending::Cut(frames, how);
                turn.fill(plan);
            }
            Self::ErrorAfter { turn, frames } => {
                plan.ending = Ending::Error(frames);
                turn.fill(plan);
            }
            Self::HangAfter { turn, frames } => {
                plan.ending = Ending::Hang(frames);
                turn.fill(plan);
            }
            Self::PauseAfter { turn, frames, gate } => {
                plan.ending = Ending::Pause(frames, gate);
                turn.fill(plan);
            }
            Self::Hang => plan.failure = Some(Failure::Hang),
            Self::Gated { gate, turn } => {
                plan.gate = Some(gate);
                turn.fill(plan);
            }
        }
    }
}

impl Plan {
    /// What is said, unless nothing is.
    pub(super) fn said(&self, request: &RecordedRequest) -> Option<Said> {
        if self.failure.is_some() {
            return None;
        }
        let calls =
            self.calls.iter().map(|(name, arguments)| SaidCall::new(request.protocol, name, arguments)).collect::<Vec<_>>();
        let usual = if calls.is_empty() { Finish::Stop } else { Finish::Calls };
        Some(Said { text: self.text.clone(), thought: self.thought.clone(), finish: self.finish.unwrap_or(usual), calls })
    }
}

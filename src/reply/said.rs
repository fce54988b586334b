//! What a post says, before it has the form of the surface it goes to.

use super::{AnswerView, ApprovalNote, Card, LiveView, answer, approval_body, card, live};

/// What a post says.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// What a run does now.
    Live(&'a LiveView),
    /// What came of a run.
    Answer {
        /// What is shown.
        view: &'a AnswerView,
        /// Names that may be pinged, with or without `@`; nobody else is.
        allowed: &'a [String],
    },
    /// A short message.
    Card(&'a Card),
    /// Something that is, or was, to be approved.
    Approval {
        /// What is approved; must be safe Markdown.
        shown: &'a str,
        /// How it stands.
        note: &'a ApprovalNote<'a>,
    },
}

impl Said<'_> {
    /// As a comment on GitHub, with the marker of its key.
    pub fn on_github(&self, key: &str) -> String {
        match self {
            Self::Live(view) => live(view, key),
            Self::Answer { view, allowed } => answer(view, key, allowed),
            Self::Card(what) => card(what, key),
            Self::Approval { shown, note } => approval_body(shown, note, key),
        }
    }
}

//! What Discord shows of what we say: pure functions from values to messages, without a client and without a clock.
//!
//! A text becomes one or more [`Piece`]s, each a message that Discord takes as it is: at most [`MAX_CONTENT`] units of text,
//! [`MAX_FILES`] files. Nothing that somebody else wrote pings, hides, pretends to be ours or leaves a fence open. A piece is never
//! empty. The first piece becomes (or edits) the live message, the others follow it.

mod answer;
mod button;
mod cards;
mod live;
mod markdown;
mod pack;
mod safe;
mod spans;
mod split;

use super::{Said, Sharing};

/// What is said, as the messages that say it: at least one.
pub fn render(said: &Said<'_>, here: &Here) -> Vec<Piece> {
    match said {
        Said::Live(view) => vec![live::live(view, here)],
        // Nobody is pinged on Discord: who asked follows the thread anyhow.
        Said::Answer { view, allowed: _ } => answer::answer(view, here),
        Said::Card(card) => cards::card(card, here),
        Said::Approval { shown, note } => cards::approval(shown, note, here),
    }
}

/// Most of a message's text. Discord counts code points; UTF-16 units are never fewer, so this holds however it counts.
pub const MAX_CONTENT: usize = 2_000;

/// Files of one message.
pub const MAX_FILES: usize = 10;

/// A message as Discord shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Its text in Discord's Markdown; may be empty when there are files. Nothing in it pings, and `allowed_mentions` is to be empty
    /// all the same.
    pub content: String,
    /// What is attached, in the order shown; at most [`MAX_FILES`].
    pub files: Vec<PieceFile>,
    /// Framed parts below the text.
    pub embeds: Vec<PieceEmbed>,
    /// One row of buttons; at most five.
    pub buttons: Vec<PieceButton>,
}

/// A file of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceFile {
    /// Letters, digits, `.`, `_` and `-` only; no other file of the same message has it.
    pub name: String,
    /// Where its bytes are.
    pub source: Source,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Here; at most [`Here::file_limit`] of them.
    Bytes(Vec<u8>),
    /// An attachment of the run, which the poster fetches. When it cannot, it posts the message without it.
    Attachment {
        /// Its address as the run knows it.
        url: String,
        /// Bytes; at most [`Here::file_limit`].
        size: u64,
    },
}

/// A framed part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceEmbed {
    /// Plain text, at most 256 units.
    pub title: String,
    /// Where the title leads.
    pub url: Option<String>,
    /// Discord's Markdown, at most [`MAX_CONTENT`] units.
    pub description: String,
    /// Colour of the edge, `0xRRGGBB`.
    pub colour: u32,
}

/// A button under a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceButton {
    /// What it says; at most 80 characters.
    pub label: String,
    /// How it looks.
    pub style: ButtonStyle,
    /// What comes back when it is pressed; at most 100 characters, from [`Buttons`].
    pub id: String,
    /// True when it is shown and cannot be pressed.
    pub disabled: bool,
}

/// How a button looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ButtonStyle {
    /// What most people want next.
    Primary,
    /// One choice of several.
    Secondary,
    /// A yes.
    Success,
    /// What ends something.
    Danger,
}

/// What a place allows, and what its buttons are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Here {
    /// Bytes of one file at most.
    pub file_limit: u64,
    /// False where we may not attach files; then they are linked or left out, and that is said.
    pub may_attach: bool,
    /// False where embeds do not show; then their content is text.
    pub may_embed: bool,
    /// What shares its memory with this place.
    pub sharing: Sharing,
    /// The ids of the buttons that make sense here.
    pub buttons: Buttons,
}

impl Default for Here {
    /// What every channel of a server has: 10 MiB, files and embeds, no buttons.
    fn default() -> Self {
        Self { file_limit: 10 << 20, may_attach: true, may_embed: true, sharing: Sharing::Server, buttons: Buttons::default() }
    }
}

/// Ids for buttons. One that is none is not shown; one that is given is shown where it fits what is said: `stop` while a run goes on,
/// `cont` at a limit, `open_pr` under changes that are nowhere yet, `approve` and `decline` while something waits for a yes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buttons {
    /// Stops the run.
    pub stop: Option<String>,
    /// Runs the request again.
    pub retry: Option<String>,
    /// Goes on after a limit.
    pub cont: Option<String>,
    /// Opens a pull request with the changes; to be none without a repository.
    pub open_pr: Option<String>,
    /// Says yes to what waits.
    pub approve: Option<String>,
    /// Says no to it.
    pub decline: Option<String>,
}

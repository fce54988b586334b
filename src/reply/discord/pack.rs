//! Text, files and buttons as the messages that carry them. Pure.

use std::collections::HashSet;

use super::markdown::{self, Folded, Whose};
use super::spans::units;
use super::split::{Gap, Unit, split};
use super::{Here, MAX_CONTENT, MAX_FILES, Piece, PieceButton, PieceEmbed, PieceFile, Source, safe};
use crate::reply::{Attached, answer, cut, inline};

/// Messages of text at most; what does not fit is a file.
pub(super) const MOST_MESSAGES: usize = 8;

/// Discord takes no empty message.
const NOTHING: &str = "*There is nothing to show.*";

/// Files of one answer.
const MOST_FILES: usize = 30;

/// Files that are attached to an answer.
pub(super) struct Files<'h> {
    here: &'h Here,
    names: HashSet<String>,
    all: Vec<PieceFile>,
}

/// A file that was attached.
pub(super) struct AttachedAs {
    pub name: String,
    /// True when its middle was left out, because it is too large for this place.
    pub is_cut: bool,
}

impl<'h> Files<'h> {
    pub fn new(here: &'h Here) -> Self {
        Self { here, names: HashSet::new(), all: Vec::new() }
    }

    /// Attaches a text; none where that is not possible.
    pub fn text(&mut self, name: &str, text: &str) -> Option<AttachedAs> {
        let room = usize::try_from(self.here.file_limit).unwrap_or(usize::MAX);
        if !self.takes(1) || room < 100 {
            return None;
        }
        let shown = cut::cut_middle(&safe::visible(text), room, None);
        let (name, is_cut) = (self.named(name), text.len() > room);
        self.all.push(PieceFile { name: name.clone(), source: Source::Bytes(shown.into_bytes()) });
        Some(AttachedAs { name, is_cut })
    }

    /// Attaches a file of the run; false where that is not possible.
    pub fn attachment(&mut self, attached: &Attached) -> bool {
        let fits = self.takes(1) && attached.size <= self.here.file_limit;
        if fits {
            let name = self.named(&attached.name);
            self.all.push(PieceFile { name, source: Source::Attachment { url: attached.url.clone(), size: attached.size } });
        }
        fits
    }

    /// Folded sections of a text, which were promised.
    pub fn folded(&mut self, folded: Vec<Folded>) {
        for section in folded {
            self.text(&section.name, &section.text);
        }
    }

    /// Why a file is not attached, where that is its size.
    pub fn too_large(&self, size: u64) -> String {
        if self.here.may_attach && size > self.here.file_limit {
            format!(", more than the {} this place takes", answer::files::size(self.here.file_limit))
        } else {
            String::new()
        }
    }

    fn takes(&self, more: usize) -> bool {
        self.here.may_attach && self.all.len() + more <= MOST_FILES
    }

    /// The name, or one like it that no other file has.
    fn named(&mut self, wanted: &str) -> String {
        let name = safe::file_name(wanted);
        let (stem, ending) = match name.rsplit_once('.') {
            Some((stem, ending)) if !stem.is_empty() => (stem.to_owned(), format!(".{ending}")),
            _ => (name.clone(), String::new()),
        };
        let others = (2..).map(|number| format!("{stem}-{number}{ending}"));
        let free = std::iter::once(name).chain(others).find(|name| !self.names.contains(&name.to_lowercase()));
        let name = free.unwrap_or_else(|| "file".to_owned());
        self.names.insert(name.to_lowercase());
        name
    }
}

/// Everything that is said at once.
pub(super) struct Draft<'h> {
    /// What gives way when it is too much.
    pub body: Vec<Unit>,
    /// What always stands there, after it.
    pub tail: Vec<Unit>,
    pub files: Files<'h>,
    pub embeds: Vec<PieceEmbed>,
    pub buttons: Vec<PieceButton>,
    /// The body as a file, for when it is too much: its name and Markdown.
    pub whole: (&'static str, String),
    /// Where all of it is.
    pub link: Option<String>,
    /// Messages with text at most.
    pub most: usize,
}

impl<'h> Draft<'h> {
    /// Nothing but a body.
    pub fn new(body: Vec<Unit>, whole: (&'static str, String), here: &'h Here) -> Self {
        let files = Files::new(here);
        let (tail, embeds, buttons) = (Vec::new(), Vec::new(), Vec::new());
        Self { body, tail, files, embeds, buttons, whole, link: None, most: MOST_MESSAGES }
    }

    /// The messages: at most `most` with text, then those with further files. None is empty.
    pub fn pieces(mut self) -> Vec<Piece> {
        let all: Vec<Unit> = self.body.iter().chain(&self.tail).cloned().collect();
        let mut messages = split(&all, MAX_CONTENT);
        if messages.len() > self.most {
            messages = self.shortened();
        }
        let mut pieces: Vec<Piece> = messages.into_iter().map(|content| Piece { content, ..Piece::default() }).collect();
        if pieces.is_empty() {
            pieces.push(Piece::default());
        }
        let total = self.files.all.len();
        let mut chunks = self.files.all.chunks(MAX_FILES);
        if let Some(last) = pieces.last_mut() {
            last.files = chunks.next().unwrap_or_default().to_vec();
            last.embeds = self.embeds;
            last.buttons = self.buttons;
        }
        for (at, files) in chunks.enumerate() {
            let first = (at + 1) * MAX_FILES + 1;
            let content = format!("-# files {first} to {} of {total}", first + files.len() - 1);
            pieces.push(Piece { content, files: files.to_vec(), ..Piece::default() });
        }
        pieces.retain(|piece| !piece.content.is_empty() || !piece.files.is_empty() || !piece.embeds.is_empty());
        if pieces.is_empty() {
            pieces.push(Piece { content: NOTHING.to_owned(), ..Piece::default() });
        }
        pieces
    }

    /// The beginning of the body, what became of the rest, and the tail.
    fn shortened(&mut self) -> Vec<String> {
        let (name, whole) = (self.whole.0, std::mem::take(&mut self.whole.1));
        let attached = self.files.text(name, &whole);
        // The whole stands first among the files.
        if attached.is_some() {
            self.files.all.rotate_right(1);
        }
        let body = split(&self.body, MAX_CONTENT);
        let count = |messages: &[String]| messages.iter().map(|message| units(message)).sum::<usize>() as u64;
        // How much is left out is not known before the note is written; its length hardly depends on it.
        let tail = |left_out: u64| {
            let mut tail = markdown::read(&note(left_out, attached.as_ref(), self.link.as_deref()), Whose::Ours, false).units;
            tail.iter_mut().for_each(|unit| unit.gap = Gap::Blank);
            tail.extend(self.tail.iter().cloned());
            split(&tail, MAX_CONTENT)
        };
        let kept = self.most.saturating_sub(tail(u64::MAX).len()).max(1).min(body.len());
        let mut messages = body[..kept].to_vec();
        messages.extend(tail(count(&body[kept..])));
        messages.truncate(self.most);
        messages
    }
}

fn note(left_out: u64, attached: Option<&AttachedAs>, link: Option<&str>) -> String {
    let rest = cut::grouped(left_out);
    let page = link.map(|link| format!("[run page]({})", inline::target(link)));
    match (attached, page) {
        (Some(file), Some(page)) if file.is_cut => {
            format!("*… {rest} more characters: `{}` has the beginning and the end, all of it is on the {page}.*", file.name)
        }
        (Some(file), None) if file.is_cut => {
            format!(
                "*… {rest} more characters: `{}` has the beginning and the end, the middle was too much for this place.*",
                file.name
            )
        }
        (Some(file), _) => format!("*… {rest} more characters; all of it is in `{}`.*", file.name),
        (None, Some(page)) => format!("*… {rest} more characters; all of it is on the {page}.*"),
        (None, None) => format!("*… {rest} more characters are left out, because I may not attach files here.*"),
    }
}

//! Links and pictures: masked where that is honest, shown with their address where it is not.

use super::Reader;
use crate::reply::discord::safe::{self, Address};
use crate::reply::discord::spans::{self, Kind, Span, Style};

/// Longest text of a link that hides its address.
const LONGEST_LABEL: usize = 300;

/// A link that is being read.
pub(super) struct OpenLink {
    address: String,
    /// Where its text begins in the line.
    from: usize,
    style: Style,
    is_picture: bool,
}

impl Reader<'_> {
    pub(super) fn open_link(&mut self, address: &str, is_picture: bool) {
        // A seam, so that its text is not joined to what stands before it.
        let from = self.line.len();
        let style = self.style();
        self.line.push(Span { style, kind: Kind::Fixed, text: String::new() });
        self.links.push(OpenLink { address: safe::visible(address), from, style, is_picture });
    }

    pub(super) fn close_link(&mut self) {
        let Some(OpenLink { address, from, style, is_picture }) = self.links.pop() else { return };
        let mut label = self.line.split_off(from.min(self.line.len()));
        label.retain(|span| !span.text.is_empty());
        if label.is_empty() && is_picture {
            label.push(text(style, "image"));
        }
        let to = if self.is_ours() { safe::our_address(&address) } else { safe::address(&address) };
        for span in joined(label, &address, to, style) {
            spans::push(&mut self.line, span);
        }
    }
}

/// A link's text and address as spans.
fn joined(label: Vec<Span>, given: &str, address: Address, style: Style) -> Vec<Span> {
    let fixed = |text: String| Span { style, kind: Kind::Fixed, text };
    let words = spans::plain(&label);
    let words = words.trim();
    let bare = words.is_empty() || words == given || format!("mailto:{words}") == given;
    match address {
        Address::Link(to) if bare => vec![fixed(format!("<{to}>"))],
        Address::Code(shown) if bare => vec![code(style, shown.trim_start_matches("mailto:"))],
        Address::Link(to) if safe::is_deceptive(words, given) => {
            vec![code(style, words), text(style, " ("), code(style, &to), text(style, ")")]
        }
        Address::Link(to) if is_maskable(&label, words) => vec![fixed(format!("[{}](<{to}>)", spans::inside(&flat(label))))],
        Address::Link(to) => beside(label, style, fixed(format!("<{to}>"))),
        // Somewhere on the same page, or nowhere.
        Address::Code(shown) if shown.is_empty() || shown.starts_with('#') => label,
        Address::Code(shown) => beside(label, style, code(style, &shown)),
    }
}

fn code(style: Style, shown: &str) -> Span {
    Span { style, kind: Kind::Code, text: shown.to_owned() }
}

fn text(style: Style, shown: &str) -> Span {
    Span { style, kind: Kind::Text, text: shown.to_owned() }
}

fn beside(mut label: Vec<Span>, style: Style, address: Span) -> Vec<Span> {
    label.extend([text(style, " ("), address, text(style, ")")]);
    label
}

/// Discord ends the text of a link at the first bracket, and shows no link in a link.
fn is_maskable(label: &[Span], words: &str) -> bool {
    let simple = label.iter().all(|span| match span.kind {
        Kind::Text => safe::addresses(&span.text).is_empty(),
        Kind::Code => !span.text.contains('`'),
        Kind::Fixed => false,
    });
    simple && spans::units(words) <= LONGEST_LABEL && !words.contains(['[', ']', '\\'])
}

/// The text of a link in the link's own style.
fn flat(label: Vec<Span>) -> Vec<Span> {
    let plain = |span: Span| Span { style: Style::default(), ..span };
    let mut flat = Vec::new();
    label.into_iter().for_each(|span| spans::push(&mut flat, plain(span)));
    flat
}

/// Spans in which addresses in running text are links, or code.
pub(super) fn linked(all: Vec<Span>) -> Vec<Span> {
    let mut out = Vec::new();
    for span in all {
        if span.kind != Kind::Text {
            spans::push(&mut out, span);
            continue;
        }
        let mut at = 0;
        for found in safe::addresses(&span.text) {
            spans::push(&mut out, text(span.style, &span.text[at..found.start]));
            let address = &span.text[found.clone()];
            let shown = match safe::address(address) {
                Address::Link(to) => Span { style: span.style, kind: Kind::Fixed, text: format!("<{to}>") },
                Address::Code(shown) => code(span.style, &shown),
            };
            spans::push(&mut out, shown);
            at = found.end;
        }
        spans::push(&mut out, text(span.style, &span.text[at..]));
    }
    out
}

//! What is said as plain messages: the text of a comment, cut at lines, with its files and buttons.

use crate::reply::discord::{ButtonStyle, Buttons, Here, MAX_CONTENT, MAX_FILES, Piece, PieceButton, PieceFile, Source};
use crate::reply::said::Said;
use crate::reply::{Attached, Outcome};

/// The messages that say it, in order.
pub(super) fn render(said: &Said<'_>, here: &Here) -> Vec<Piece> {
    let body = said.on_github("");
    // The last line is the marker, which is for comments.
    let body = body.rsplit_once("\n\n").map_or(body.as_str(), |(body, _)| body);
    let mut pieces: Vec<Piece> = cut(body).into_iter().map(|content| Piece { content, ..Piece::default() }).collect();
    if let Some(last) = pieces.last_mut() {
        last.buttons = buttons(said, &here.buttons);
        last.files = files(said, here);
    }
    pieces
}

/// Parts that fit, cut at the ends of lines where that is possible.
fn cut(text: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let units = |text: &str| text.encode_utf16().count();
    for line in text.split_inclusive('\n') {
        if units(&part) + units(line) > MAX_CONTENT && !part.trim().is_empty() {
            parts.push(std::mem::take(&mut part));
        }
        for c in line.chars() {
            if units(&part) + c.len_utf16() > MAX_CONTENT {
                parts.push(std::mem::take(&mut part));
            }
            part.push(c);
        }
    }
    if !part.trim().is_empty() {
        parts.push(part);
    }
    parts
}

fn files(said: &Said<'_>, here: &Here) -> Vec<PieceFile> {
    let Said::Answer { view, .. } = said else { return Vec::new() };
    let fits = |file: &&Attached| here.may_attach && file.size <= here.file_limit;
    let file = |(n, file): (usize, &Attached)| {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
        let name: String = file.name.chars().map(plain).collect();
        let source = Source::Attachment { url: file.url.clone(), size: file.size };
        PieceFile { name: if n == 0 { name } else { format!("{n}-{name}") }, source }
    };
    view.attachments.iter().filter(fits).take(MAX_FILES).enumerate().map(file).collect()
}

fn buttons(said: &Said<'_>, ids: &Buttons) -> Vec<PieceButton> {
    let shown = match said {
        Said::Live(_) => vec![("Stop", ButtonStyle::Danger, &ids.stop)],
        Said::Answer { view, .. } => {
            let cont = matches!(view.outcome, Outcome::Limit { .. });
            let pull = view.diff.is_some() && view.landed.is_empty();
            let cont = cont.then_some(("Continue", ButtonStyle::Primary, &ids.cont));
            let pull = pull.then_some(("Open PR", ButtonStyle::Success, &ids.open_pr));
            [Some(("Retry", ButtonStyle::Secondary, &ids.retry)), cont, pull].into_iter().flatten().collect()
        }
        Said::Approval { .. } => {
            vec![("Approve", ButtonStyle::Success, &ids.approve), ("Decline", ButtonStyle::Secondary, &ids.decline)]
        }
        Said::Card(_) => Vec::new(),
    };
    let button = |(label, style, id): (&str, ButtonStyle, &Option<String>)| {
        Some(PieceButton { label: label.to_owned(), style, id: id.clone()?, disabled: false })
    };
    shown.into_iter().filter_map(button).collect()
}

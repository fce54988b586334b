//! Attachments in the answer: pictures as they are, short texts in sections, everything else as links.

use super::super::{Attached, Shown, clean, cut, fence, inline};
use super::{SECTION, details};

/// Pictures that are shown; further ones are links.
const MAX_PICTURES: usize = 12;
/// Short texts that are shown; further ones are links.
const MAX_TEXTS: usize = 8;
/// Bytes of all links and pictures together.
const MAX_LISTING: usize = 16_000;

/// The pictures, and a line with a link for every other file.
pub(super) fn listing(attachments: &[Attached]) -> String {
    let pictures = attachments.iter().filter(|attached| attached.shown == Shown::Picture);
    let mut blocks = Vec::new();
    let mut links = Vec::new();
    let mut used = 0;
    let mut unnamed = 0;
    let mut room = |piece: &str| {
        used += piece.len() + 2;
        used <= MAX_LISTING
    };
    for attached in pictures.clone().take(MAX_PICTURES) {
        let block = format!("!{}", link(attached));
        if room(&block) { blocks.push(block) } else { unnamed += 1 }
    }
    let shown: Vec<&Attached> = texts(attachments).map(|(attached, _)| attached).collect();
    let others = attachments.iter().filter(|attached| match attached.shown {
        Shown::Picture => false,
        Shown::Text(_) => !shown.iter().any(|known| std::ptr::eq(*known, *attached)),
        Shown::Link => true,
    });
    for attached in pictures.skip(MAX_PICTURES).chain(others) {
        let line = format!("- {} · {}", link(attached), size(attached.size));
        if room(&line) { links.push(line) } else { unnamed += 1 }
    }
    if unnamed > 0 {
        links.push(format!("- and {}", inline::counted(unnamed, "more file")));
    }
    if !links.is_empty() {
        blocks.push(format!("**Files**\n\n{}", links.join("\n")));
    }
    blocks.join("\n\n")
}

/// The short texts that get a section.
pub(super) fn texts(attachments: &[Attached]) -> impl Iterator<Item = (&Attached, &str)> {
    let text = |attached: &'_ Attached| match &attached.shown {
        Shown::Text(_) => true,
        Shown::Picture | Shown::Link => false,
    };
    attachments.iter().filter(move |attached| text(attached)).take(MAX_TEXTS).filter_map(|attached| match &attached.shown {
        Shown::Text(text) => Some((attached, text.as_str())),
        Shown::Picture | Shown::Link => None,
    })
}

/// A collapsible section with the text and a link to the file.
pub(super) fn section(attached: &Attached, text: &str, limit: usize) -> String {
    let text = clean::visible(text);
    let extension = attached.name.rsplit_once('.').map_or("text", |(_, extension)| extension);
    let block = fence::within(extension, &text, limit.saturating_sub(SECTION) + 100);
    let summary = format!("{} · {}", inline::plain(&attached.name, 80), size(attached.size));
    details(&summary, &format!("{block}\n{}", link(attached)), false)
}

fn link(attached: &Attached) -> String {
    let name = inline::plain(&attached.name, 80);
    if attached.url.len() > 1_000 { name } else { format!("[{name}]({})", inline::target(&attached.url)) }
}

/// `12 B`, `3.4 kB`, `1.2 MB`.
pub(in crate::reply) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{} B", cut::grouped(bytes)),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

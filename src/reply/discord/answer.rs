//! The messages at the end of a run: what came of it, the answer, what was run, what was changed, and one small line.

mod head;
mod runs;

use super::markdown::{self, Whose};
use super::pack::{Draft, Files, MOST_MESSAGES};
use super::spans::units;
use super::split::{Gap, Unit};
use super::{Here, MAX_CONTENT, Piece, PieceEmbed, button, split};
use crate::reply::answer::{self as github, landed};
use crate::reply::{AnswerView, Attached, Landed, Outcome, cut, inline};

/// Units of a diff that stand in the text.
const LONGEST_DIFF: usize = 1_200;
/// Files that could not be attached and are named.
const MOST_LINKS: usize = 10;
/// Landings with a frame of their own.
const MOST_EMBEDS: usize = 5;
/// Units of all frames together. Discord takes 6,000; what is redacted may grow.
const MOST_FRAMED: usize = 5_400;

/// The messages at the end of a run.
pub fn answer(view: &AnswerView, here: &Here) -> Vec<Piece> {
    let link = view.footer.run_url.clone();
    let mut files = Files::new(here);
    let text = markdown::read(&view.text, Whose::Theirs, here.may_attach);
    let is_bare = view.text.trim().is_empty();
    let (embeds, landed) = landings(&view.landed, here);

    let mut body = head::units(&view.outcome);
    follow(&mut body, ours(&landed));
    follow(&mut body, text.units);
    if body.is_empty() && embeds.is_empty() && says_nothing(view) {
        body = ours("The run ended without an answer. Press **Retry**, or use `/retry`, to run it again.");
    }
    let listing = attachments(&view.attachments, &mut files);
    files.folded(text.folded);
    let mut tail = Vec::new();
    follow(&mut tail, runs::units(&view.executions, is_bare, link.as_deref(), &mut files));
    follow(&mut tail, diff(view.diff.as_deref(), link.as_deref(), &mut files));
    follow(&mut tail, ours(&listing));
    follow(&mut tail, ours(&github::footer(&view.footer)));
    if let Some(first) = tail.first_mut() {
        first.gap = Gap::Blank;
    }
    let buttons = button::after(view, &here.buttons);
    let whole = ("answer.md", [head::markdown(&view.outcome), landed, view.text.clone()].join("\n\n").trim().to_owned());
    Draft { body, tail, files, embeds, buttons, whole, link, most: MOST_MESSAGES }.pieces()
}

/// Text of ours as units.
fn ours(text: &str) -> Vec<Unit> {
    markdown::read(text, Whose::Ours, false).units
}

/// Adds a part after an empty line.
fn follow(units: &mut Vec<Unit>, mut more: Vec<Unit>) {
    if let Some(first) = more.first_mut() {
        first.gap = Gap::Blank;
    }
    units.append(&mut more);
}

fn says_nothing(view: &AnswerView) -> bool {
    let shows = !view.executions.is_empty() || view.diff.is_some() || !view.attachments.is_empty() || !view.landed.is_empty();
    !shows && view.outcome == Outcome::Answered
}

/// Where the work landed: in frames where they show, the newest ones first, and as text for the rest.
fn landings(all: &[Landed], here: &Here) -> (Vec<PieceEmbed>, String) {
    let framed = |landed: &Landed| here.may_embed && landed.pull_request.is_some() && !landed.commits.is_empty();
    let (mut embeds, mut text, mut room) = (Vec::new(), Vec::new(), MOST_FRAMED);
    for landed in all.iter().rev() {
        let made = Some(landed).filter(|landed| framed(landed)).map(frame);
        match made.filter(|made| embeds.len() < MOST_EMBEDS && size(made) <= room) {
            Some(made) => {
                room -= size(&made);
                embeds.push(made);
                text.push(landed::remarks(landed));
            }
            None => {
                // Those before it are older.
                room = if framed(landed) { 0 } else { room };
                text.push(landed::sections(std::slice::from_ref(landed)));
            }
        }
    }
    text.retain(|part| !part.is_empty());
    embeds.reverse();
    text.reverse();
    (embeds, text.join("\n\n"))
}

fn size(embed: &PieceEmbed) -> usize {
    units(&embed.title) + units(&embed.description)
}

fn frame(landed: &Landed) -> PieceEmbed {
    const OPEN: u32 = 0x1a_7f37;
    const DRAFT: u32 = 0x6e_7781;
    let number = landed.pull_request.map(|number| format!("#{number}")).unwrap_or_default();
    let text = format!("{}\n\n{}", landed::extent(landed), landed::commits(landed));
    let description = split::split(&ours(&text), MAX_CONTENT).into_iter().next().unwrap_or_default();
    PieceEmbed {
        title: cut::cut_end(&landed::head(landed, &number), 200),
        url: landed.url.clone().filter(|url| url.starts_with("https://") || url.starts_with("http://")),
        description,
        colour: if landed.is_draft { DRAFT } else { OPEN },
    }
}

/// Attaches what can be; says what could not, with where it is.
fn attachments(all: &[Attached], files: &mut Files<'_>) -> String {
    let left: Vec<&Attached> = all.iter().filter(|attached| !files.attachment(attached)).collect();
    if left.is_empty() {
        return String::new();
    }
    let mut lines = vec!["**Files that are not attached here**".to_owned(), String::new()];
    lines.extend(left.iter().take(MOST_LINKS).map(|attached| {
        let name = inline::plain(&attached.name, 80);
        let name = if attached.url.len() > 700 { name } else { format!("[{name}]({})", inline::target(&attached.url)) };
        format!("- {name} · {}{}", github::files::size(attached.size), files.too_large(attached.size))
    }));
    if left.len() > MOST_LINKS {
        lines.push(format!("- and {}", inline::counted((left.len() - MOST_LINKS) as u64, "more file")));
    }
    lines.join("\n")
}

/// The changes: in the text when they are few, otherwise as a file.
fn diff(diff: Option<&str>, link: Option<&str>, files: &mut Files<'_>) -> Vec<Unit> {
    let Some(diff) = diff.filter(|diff| !diff.trim().is_empty()) else { return Vec::new() };
    let extent = github::extent(diff);
    if units(diff) <= LONGEST_DIFF {
        let mut shown = ours(&format!("**Changes:** {extent}"));
        shown.extend(Unit::code("diff", diff));
        return shown;
    }
    match files.text("changes.diff", diff) {
        Some(file) => ours(&format!("**Changes:** {extent}, in `{}`{}", file.name, runs::cut_note(file.is_cut, link))),
        None => {
            let mut shown = ours(&format!("**Changes:** {extent}"));
            shown.extend(Unit::code("diff", &cut::cut_middle(diff, LONGEST_DIFF, None)));
            follow(&mut shown, ours(&runs::elsewhere(link)));
            shown
        }
    }
}

#[cfg(test)]
mod tests;

//! Tables, which Discord does not have: as a block of code where they are narrow, as a list where they are not.

use pulldown_cmark::Alignment;
use unicode_segmentation::UnicodeSegmentation;

use crate::reply::discord::spans::{self, Kind, Span, Style};
use crate::reply::discord::split::{Body, Gap, Unit};

/// A wider block is broken at the edge of a screen.
const WIDEST: usize = 72;

/// The table with its first row as the head.
pub(super) fn shown(rows: &[Vec<Vec<Span>>], alignments: &[Alignment], gap: Gap) -> Vec<Unit> {
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| spans::plain(cell).trim().to_owned()).collect()).collect();
    let columns = cells.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| cells.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0))
        .collect();
    // Links do not work in code.
    let has_links = rows.iter().flatten().flatten().any(|span| span.kind == Kind::Fixed);
    let total = widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1);
    if has_links || total > WIDEST {
        return listed(rows, &cells, gap);
    }
    let mut lines: Vec<String> = cells.iter().map(|row| aligned(row, &widths, alignments)).collect();
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    if lines.len() > 1 {
        lines.insert(1, rule.join("  "));
    }
    Unit::code("", &lines.join("\n")).into_iter().collect()
}

fn width(text: &str) -> usize {
    text.graphemes(true).count()
}

fn aligned(row: &[String], widths: &[usize], alignments: &[Alignment]) -> String {
    let cell = |(column, width_wanted): (usize, &usize)| {
        let text = row.get(column).map_or("", String::as_str);
        let missing = width_wanted.saturating_sub(width(text));
        let left = match alignments.get(column) {
            Some(Alignment::Right) => missing,
            Some(Alignment::Center) => missing / 2,
            Some(Alignment::Left | Alignment::None) | None => 0,
        };
        format!("{}{text}{}", " ".repeat(left), " ".repeat(missing - left))
    };
    let cells: Vec<String> = widths.iter().enumerate().map(cell).collect();
    cells.join("  ").trim_end().to_owned()
}

/// A line for each row: its first cell, then what stands under each heading.
fn listed(rows: &[Vec<Vec<Span>>], cells: &[Vec<String>], gap: Gap) -> Vec<Unit> {
    let Some(head) = cells.first() else { return Vec::new() };
    let mut units = Vec::new();
    if rows.len() == 1 {
        units.push(Unit::line(gap, vec![Span::text(head.join(" · "))]));
    }
    for (at, row) in rows.iter().skip(1).enumerate() {
        let mut spans = Vec::new();
        for (column, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
            if !spans.is_empty() {
                spans::push(&mut spans, Span::text(" · "));
            }
            if let Some(name) = head.get(column).filter(|name| !name.is_empty()) {
                let style = Style { bold: true, ..Style::default() };
                spans::push(&mut spans, Span { style, kind: Kind::Text, text: format!("{name}:") });
                spans::push(&mut spans, Span::text(" "));
            }
            cell.iter().cloned().for_each(|span| spans::push(&mut spans, span));
        }
        let gap = if at == 0 { gap } else { Gap::Line };
        let body = Body::Text { first: "- ".to_owned(), rest: "  ".to_owned(), spans, leads: false };
        units.push(Unit { gap, quoted: false, body });
    }
    units
}

//! GitHub's Markdown as the lines and blocks Discord can show. Pure.
//!
//! Nothing of the source is copied: it is read, and written anew with the marks Discord has. So nothing in it can be markup by accident
//! or on purpose, whatever it holds.

mod html;
mod links;
mod tables;

use std::ops::Range;

use pulldown_cmark::{Alignment, BlockQuoteKind, CodeBlockKind, CowStr, Event, HeadingLevel, Tag, TagEnd};

use self::links::OpenLink;
use super::safe;
use super::spans::{self, Kind, Span, Style};
use super::split::{Body, Gap, Unit};
use crate::markdown;

/// Lists inside lists that are shown as such.
const DEEPEST: usize = 5;

/// Whose Markdown it is, which decides what may look like ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Written here: `<sub>` around a paragraph makes it small.
    Ours,
    /// Written by somebody else: nothing of it looks like our small lines.
    Theirs,
    /// Theirs, with a small last paragraph of ours.
    TheirsThenOurs,
}

/// A document for Discord.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    pub units: Vec<Unit>,
    /// What was folded away and is too long to stand in the text.
    pub folded: Vec<Folded>,
}

/// A folded section that is a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folded {
    pub name: String,
    pub text: String,
}

/// Folded sections over this many bytes become files, where files are possible.
pub(super) const LONGEST_FOLDED: usize = 1_200;

/// Reads Markdown. `fold` says that long folded sections may become files; otherwise they stand in the text.
pub(super) fn read(text: &str, whose: Whose, fold: bool) -> Document {
    let text = safe::visible(text);
    let small_from = match whose {
        Whose::Ours => 0,
        Whose::Theirs => usize::MAX,
        Whose::TheirsThenOurs => text.trim_end().rfind("\n<sub>").map_or(usize::MAX, |at| at + 1),
    };
    let mut reader = Reader { source: &text, small_from, fold, is_all_ours: whose == Whose::Ours, ..Reader::default() };
    for (event, range) in markdown::events(&text) {
        reader.event(event, range);
    }
    reader.flush();
    Document { units: reader.units, folded: reader.folded }
}

#[derive(Default)]
struct Reader<'t> {
    source: &'t str,
    small_from: usize,
    is_all_ours: bool,
    fold: bool,
    units: Vec<Unit>,
    folded: Vec<Folded>,
    /// The line that is being read.
    line: Vec<Span>,
    gap: Option<Gap>,
    quotes: usize,
    lists: Vec<List>,
    /// What the next line begins with; other than what lines after it do.
    marker: Option<String>,
    heading: Option<HeadingLevel>,
    is_small: bool,
    styles: Styles,
    /// Styles that HTML opened; they end with the block, closed or not.
    tags: Styles,
    links: Vec<OpenLink>,
    code: Option<Code>,
    /// The text of an HTML block, with where it ends in the source.
    html: Option<(String, usize)>,
    table: Option<Table>,
    details: Vec<html::Details>,
}

#[derive(Default)]
struct Styles {
    bold: usize,
    italic: usize,
    strike: usize,
    underline: usize,
    code: usize,
}

struct List {
    next: Option<u64>,
}

struct Code {
    language: String,
    text: String,
}

#[derive(Default)]
struct Table {
    alignments: Vec<Alignment>,
    rows: Vec<Vec<Vec<Span>>>,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text),
            Event::Code(text) => self.push(Kind::Code, &text),
            Event::Html(text) => {
                if let Some((html, end)) = &mut self.html {
                    html.push_str(&text);
                    *end = range.end;
                }
            }
            Event::InlineHtml(text) => self.inline_html(&text),
            Event::SoftBreak | Event::HardBreak => self.line_break(),
            Event::Rule => {
                self.flush();
                self.units.push(Unit::line(Gap::Line, vec![Span::text("───")]));
                self.gap = Some(Gap::Line);
            }
            Event::FootnoteReference(label) => self.push(Kind::Text, &format!("[{label}]")),
            Event::TaskListMarker(done) => {
                let mark = if done { "✅ " } else { "⬜ " };
                self.marker.get_or_insert_default().push_str(mark);
            }
            Event::InlineMath(text) | Event::DisplayMath(text) => self.push(Kind::Code, &text),
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: Range<usize>) {
        match tag {
            Tag::Paragraph => self.is_small = range.start >= self.small_from && is_sub(&self.source[range]),
            Tag::Heading { level, .. } => {
                self.flush();
                self.heading = Some(level);
                if self.is_bold_heading(level) {
                    self.styles.bold += 1;
                }
            }
            Tag::BlockQuote(kind) => {
                self.flush();
                self.quotes += 1;
                self.alert(kind);
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                let language = match kind {
                    CodeBlockKind::Fenced(info) => info.into_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some(Code { language, text: String::new() });
            }
            Tag::HtmlBlock => {
                self.flush();
                self.html = Some((String::new(), range.end));
            }
            Tag::List(next) => {
                self.flush();
                self.lists.push(List { next });
            }
            Tag::Item => self.item(),
            Tag::FootnoteDefinition(label) => {
                self.flush();
                self.push(Kind::Text, &format!("[{label}] "));
            }
            Tag::Table(alignments) => {
                self.flush();
                self.table = Some(Table { alignments, rows: Vec::new() });
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(table) = &mut self.table {
                    table.rows.push(Vec::new());
                }
            }
            Tag::Emphasis => self.styles.italic += 1,
            Tag::Strong => self.styles.bold += 1,
            Tag::Strikethrough => self.styles.strike += 1,
            Tag::Link { dest_url, .. } => self.open_link(&dest_url, false),
            Tag::Image { dest_url, .. } => self.open_link(&dest_url, true),
            Tag::TableCell
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => {
                self.end_block();
                self.tags = Styles::default();
                self.is_small = false;
            }
            TagEnd::Heading(level) => {
                self.flush();
                if self.is_bold_heading(level) {
                    self.styles.bold -= 1;
                }
                self.heading = None;
                self.gap = Some(Gap::Line);
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.quotes = self.quotes.saturating_sub(1);
                self.gap = Some(Gap::Blank);
            }
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::HtmlBlock => {
                if let Some((html, end)) = self.html.take() {
                    self.html_block(&html, end);
                }
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.end_block();
            }
            TagEnd::Item => {
                self.force();
                self.gap = Some(Gap::Line);
            }
            TagEnd::FootnoteDefinition => self.end_block(),
            TagEnd::Table => self.end_table(),
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.line);
                if let Some(row) = self.table.as_mut().and_then(|table| table.rows.last_mut()) {
                    row.push(links::linked(cell));
                }
            }
            TagEnd::Emphasis => self.styles.italic -= 1,
            TagEnd::Strong => self.styles.bold -= 1,
            TagEnd::Strikethrough => self.styles.strike -= 1,
            TagEnd::Link | TagEnd::Image => self.close_link(),
            TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::MetadataBlock(_) => {}
        }
    }

    /// What GitHub shows as a coloured box.
    fn alert(&mut self, kind: Option<BlockQuoteKind>) {
        let name = match kind {
            None => return,
            Some(BlockQuoteKind::Note) => "Note",
            Some(BlockQuoteKind::Tip) => "Tip",
            Some(BlockQuoteKind::Important) => "Important",
            Some(BlockQuoteKind::Warning) => "Warning",
            Some(BlockQuoteKind::Caution) => "Caution",
        };
        self.styles.bold += 1;
        self.push(Kind::Text, name);
        self.flush();
        self.styles.bold -= 1;
        self.gap = Some(Gap::Line);
    }

    fn item(&mut self) {
        self.force();
        let sign = match self.lists.last_mut().map(|list| &mut list.next) {
            Some(Some(next)) => {
                let sign = format!("{next}. ");
                *next += 1;
                sign
            }
            Some(None) | None => "- ".to_owned(),
        };
        self.marker = Some(sign);
    }

    /// Discord has three sizes, and none inside a list.
    fn is_bold_heading(&self, level: HeadingLevel) -> bool {
        !self.lists.is_empty() || level > HeadingLevel::H3
    }

    /// Whether what is being read was written here.
    fn is_ours(&self) -> bool {
        self.is_all_ours || self.is_small
    }

    fn style(&self) -> Style {
        Style {
            bold: self.styles.bold + self.tags.bold > 0,
            italic: self.styles.italic + self.tags.italic > 0,
            strike: self.styles.strike + self.tags.strike > 0,
            underline: self.tags.underline > 0,
        }
    }

    fn is_code(&self) -> bool {
        self.tags.code > 0
    }

    fn text(&mut self, text: &CowStr<'_>) {
        match &mut self.code {
            Some(code) => code.text.push_str(text),
            None => self.push(if self.is_code() { Kind::Code } else { Kind::Text }, text),
        }
    }

    fn push(&mut self, kind: Kind, text: &str) {
        let style = self.style();
        // An entity may stand for what cannot be seen.
        spans::push(&mut self.line, Span { style, kind, text: safe::visible(text) });
    }

    fn line_break(&mut self) {
        if self.table.is_some() || !self.links.is_empty() || self.heading.is_some() {
            self.push(Kind::Text, " ");
        } else {
            self.flush();
        }
    }

    /// Ends a line: it becomes a unit, unless there is nothing in it.
    fn flush(&mut self) {
        // A link that HTML left open ends here.
        while !self.links.is_empty() {
            self.close_link();
        }
        if spans::plain(&self.line).trim().is_empty() {
            self.line.clear();
        } else {
            self.force();
        }
    }

    /// The same, but a list's item is shown even when it is empty.
    fn force(&mut self) {
        let spans = links::linked(std::mem::take(&mut self.line));
        if spans.is_empty() && self.marker.is_none() {
            return;
        }
        let (first, rest) = self.prefixes();
        let leads = self.heading.is_some();
        let gap = self.gap.take().unwrap_or(Gap::Line);
        self.units.push(Unit { gap, quoted: self.quotes > 0, body: Body::Text { first, rest, spans, leads } });
        self.gap = Some(Gap::Line);
    }

    fn prefixes(&mut self) -> (String, String) {
        let depth = self.lists.len();
        let indent = |levels: &[List]| -> String {
            levels.iter().take(DEEPEST).map(|list| if list.next.is_some() { "   " } else { "  " }).collect()
        };
        let rest = indent(&self.lists);
        if let Some(marker) = self.marker.take() {
            return (format!("{}{marker}", indent(&self.lists[..depth.saturating_sub(1)])), rest);
        }
        let own = match self.heading {
            Some(HeadingLevel::H1) if depth == 0 => "# ",
            Some(HeadingLevel::H2) if depth == 0 => "## ",
            Some(HeadingLevel::H3) if depth == 0 => "### ",
            _ if self.is_small && depth == 0 => "-# ",
            _ => return (rest.clone(), rest),
        };
        (own.to_owned(), own.to_owned())
    }

    fn end_block(&mut self) {
        self.flush();
        self.gap = Some(if self.lists.is_empty() { Gap::Blank } else { Gap::Line });
    }

    fn end_code(&mut self) {
        let Some(code) = self.code.take() else { return };
        if self.marker.is_some() {
            self.force();
        }
        if let Some(unit) = Unit::code(&code.language, &code.text) {
            self.units.push(Unit { quoted: self.quotes > 0, ..unit });
            self.gap = Some(Gap::Line);
        }
    }

    fn end_table(&mut self) {
        let Some(table) = self.table.take() else { return };
        let quoted = self.quotes > 0;
        let gap = self.gap.take().unwrap_or(Gap::Line);
        let units = tables::shown(&table.rows, &table.alignments, gap);
        self.units.extend(units.into_iter().map(|unit| Unit { quoted, ..unit }));
        self.gap = Some(Gap::Line);
    }
}

/// Whether a paragraph is small from end to end.
fn is_sub(paragraph: &str) -> bool {
    let text = paragraph.trim();
    text.starts_with("<sub>") && text.ends_with("</sub>")
}

#[cfg(test)]
mod tests;

//! HTML in Markdown: what has a counterpart in Discord gets it, everything else is taken away. Text stays.

use super::{Folded, LONGEST_FOLDED, Reader};
use crate::markdown::{self, Token, TokenKind};
use crate::reply::discord::safe;
use crate::reply::discord::spans::{self, Kind, Span, Style};
use crate::reply::discord::split::{Body, Gap};

/// A folded section that is being read.
pub(super) struct Details {
    /// Units before its content.
    from: usize,
    /// Bytes of the source before its content.
    source_from: usize,
    title: String,
}

impl Reader<'_> {
    /// A block of HTML whose source ends at `end`.
    pub(super) fn html_block(&mut self, html: &str, end: usize) {
        let mut at = 0;
        for token in markdown::html_tokens(html) {
            if token.range.start < at {
                continue;
            }
            self.html_text(&html[at..token.range.start]);
            at = token.range.end;
            match token.kind {
                TokenKind::Broken => self.push(Kind::Text, &html[token.range]),
                TokenKind::Comment => {}
                TokenKind::Open | TokenKind::Close | TokenKind::Void => {
                    let (before, after) = (end - (html.len() - token.range.start).min(end), end - (html.len() - at).min(end));
                    self.tag(&html[token.range.clone()], &token, before..after);
                }
            }
        }
        self.html_text(&html[at..]);
        self.flush();
        self.tags = super::Styles::default();
        if !html.trim_end().ends_with("</summary>") {
            self.gap = Some(Gap::Blank);
        }
    }

    /// Tags and comments between words.
    pub(super) fn inline_html(&mut self, html: &str) {
        for token in markdown::html_tokens(html) {
            match token.kind {
                TokenKind::Comment => {}
                TokenKind::Broken => self.push(Kind::Text, html),
                TokenKind::Open | TokenKind::Close | TokenKind::Void => self.tag(&html[token.range.clone()], &token, 0..0),
            }
        }
    }

    fn html_text(&mut self, text: &str) {
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.flush();
            }
            let line = entities(line);
            let kind = if self.is_code() { Kind::Code } else { Kind::Text };
            if !line.trim().is_empty() || !self.line.is_empty() {
                self.push(kind, &line);
            }
        }
    }

    fn tag(&mut self, source: &str, token: &Token, place: std::ops::Range<usize>) {
        let opens = token.kind == TokenKind::Open;
        let count = |styled: &mut usize| *styled = if opens { *styled + 1 } else { styled.saturating_sub(1) };
        match token.name.as_str() {
            "b" | "strong" | "th" => count(&mut self.tags.bold),
            "i" | "em" | "cite" => count(&mut self.tags.italic),
            "s" | "del" | "strike" => count(&mut self.tags.strike),
            "u" | "ins" => count(&mut self.tags.underline),
            "code" | "kbd" | "samp" | "tt" => count(&mut self.tags.code),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.flush();
                count(&mut self.tags.bold);
            }
            "br" => self.line_break(),
            "p" | "div" | "tr" | "table" | "ul" | "ol" | "blockquote" | "pre" | "dl" | "dt" | "dd" | "center" | "section" => {
                self.flush();
            }
            "hr" => self.flush(),
            "li" if opens => {
                self.flush();
                self.push(Kind::Text, "• ");
            }
            "td" if opens && !self.line.is_empty() => self.push(Kind::Text, " · "),
            "img" => {
                self.open_link(&attribute(source, "src"), true);
                self.push(Kind::Text, attribute(source, "alt").trim());
                self.close_link();
            }
            "a" if opens => self.open_link(&attribute(source, "href"), false),
            "a" => self.close_link(),
            "details" if opens => {
                self.flush();
                let title = String::new();
                self.details.push(Details { from: self.units.len(), source_from: place.end, title });
            }
            "details" => self.close_details(place.start),
            "summary" if opens => {
                self.flush();
                self.tags.bold += 1;
            }
            "summary" => self.close_summary(place.end),
            _ => {}
        }
    }

    fn close_summary(&mut self, source_end: usize) {
        let title = spans::plain(&self.line).trim().to_owned();
        self.flush();
        self.tags.bold = self.tags.bold.saturating_sub(1);
        self.gap = Some(Gap::Line);
        let from = self.units.len();
        if let Some(details) = self.details.last_mut() {
            *details = Details { from, source_from: source_end, title };
        }
    }

    /// What was folded is shown after its title, or is a file when it is long.
    fn close_details(&mut self, source_end: usize) {
        self.flush();
        let Some(details) = self.details.pop() else { return };
        let inside = self.source.get(details.source_from..source_end).unwrap_or_default().trim_matches('\n');
        if self.fold && inside.len() > LONGEST_FOLDED && details.from <= self.units.len() {
            let name = format!("{}-{}.md", stem(&details.title), self.folded.len() + 1);
            self.units.truncate(details.from);
            let note = format!(" (in {name})");
            match self.units.last_mut().map(|unit| &mut unit.body) {
                Some(Body::Text { spans, .. }) if !details.title.is_empty() => {
                    spans::push(spans, Span { style: Style::default(), kind: Kind::Text, text: note });
                }
                Some(Body::Text { .. } | Body::Code { .. }) | None => {
                    self.push(Kind::Text, note.trim());
                    self.flush();
                }
            }
            self.folded.push(Folded { name, text: inside.to_owned() });
        }
        self.gap = Some(Gap::Blank);
    }
}

/// The beginning of a file's name.
fn stem(title: &str) -> String {
    let name: String = title.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(30).collect();
    let words: Vec<&str> = name.split('-').filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "details".to_owned() } else { words.join("-") }
}

/// The value of an attribute, without its quotes; empty when there is none.
fn attribute(tag: &str, name: &str) -> String {
    static ATTRIBUTE: std::sync::LazyLock<regex::Regex> = std::sync::LazyLock::new(|| {
        regex::Regex::new(r#"\s([A-Za-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+))"#)
            .expect("the pattern is constant and valid")
    });
    let found = ATTRIBUTE.captures_iter(tag).find(|found| found[1].eq_ignore_ascii_case(name));
    let value =
        found.and_then(|found| [2, 3, 4].into_iter().find_map(|group| found.get(group)).map(|value| value.as_str().to_owned()));
    safe::visible(&entities(&value.unwrap_or_default())).replace('\n', " ")
}

/// The few entities people write by hand.
fn entities(text: &str) -> String {
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")];
    plain.iter().fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c))
}

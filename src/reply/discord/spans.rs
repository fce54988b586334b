//! Running text with its styles, and how it is written so that every style that is opened is closed. Pure.

use super::safe;

/// How running text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub bold: bool,
    pub italic: bool,
    pub strike: bool,
    pub underline: bool,
}

/// What a span is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Plain text; escaped when it is written.
    Text,
    /// Plain text for a code span.
    Code,
    /// Markup of ours, such as a link, written as it is and never taken apart.
    Fixed,
}

/// A piece of running text in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub style: Style,
    pub kind: Kind,
    pub text: String,
}

impl Span {
    pub fn text(text: impl Into<String>) -> Self {
        Self { style: Style::default(), kind: Kind::Text, text: text.into() }
    }
}

/// Adds a span; text that continues in the same style becomes one, so that nothing is hidden in the seam.
pub(super) fn push(spans: &mut Vec<Span>, span: Span) {
    match spans.last_mut() {
        Some(last) if last.kind == Kind::Text && span.kind == Kind::Text && last.style == span.style => {
            last.text.push_str(&span.text);
        }
        _ if span.text.is_empty() => {}
        _ => spans.push(span),
    }
}

/// The text without any markup.
pub(super) fn plain(spans: &[Span]) -> String {
    spans.iter().map(|span| span.text.as_str()).collect()
}

/// Units as Discord counts at most.
pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The spans on one line after `prefix`.
pub(super) fn written(prefix: &str, spans: &[Span]) -> String {
    let mut writer = Writer::new(prefix);
    spans.iter().for_each(|span| writer.put(span));
    writer.finish()
}

/// The spans where something stands before them on the line.
pub(super) fn inside(spans: &[Span]) -> String {
    let mut writer = Writer { is_fresh: false, ..Writer::new("") };
    spans.iter().for_each(|span| writer.put(span));
    writer.finish()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Bold,
    Italic,
    Strike,
    Underline,
}

impl Mark {
    const ALL: [Self; 4] = [Self::Bold, Self::Italic, Self::Strike, Self::Underline];

    fn sign(self) -> &'static str {
        match self {
            Self::Bold => "**",
            Self::Italic => "*",
            Self::Strike => "~~",
            Self::Underline => "__",
        }
    }

    fn is_in(self, style: Style) -> bool {
        match self {
            Self::Bold => style.bold,
            Self::Italic => style.italic,
            Self::Strike => style.strike,
            Self::Underline => style.underline,
        }
    }
}

/// Writes spans one after the other.
struct Writer {
    out: String,
    open: Vec<Mark>,
    /// White space that waits: Discord wants none on the inner side of a mark.
    space: String,
    /// Nothing but the prefix was written.
    is_fresh: bool,
    /// The last thing written closed something, so that an opening mark would run into it.
    closed: bool,
}

impl Writer {
    fn new(prefix: &str) -> Self {
        Self { out: prefix.to_owned(), open: Vec::new(), space: String::new(), is_fresh: true, closed: false }
    }

    fn put(&mut self, span: &Span) {
        let inner = match span.kind {
            Kind::Text => span.text.trim(),
            Kind::Code | Kind::Fixed => span.text.as_str(),
        };
        let start = span.text.find(inner).unwrap_or_default();
        self.space.push_str(&span.text[..start]);
        if inner.is_empty() {
            self.space.push_str(&span.text[start..]);
            return;
        }
        self.restyle(span.style);
        let written = match span.kind {
            Kind::Text => safe::escape(inner, self.is_fresh),
            Kind::Code => safe::code_span(inner),
            Kind::Fixed => inner.to_owned(),
        };
        let runs_together = written.starts_with('`') && self.out.ends_with('`');
        if runs_together {
            self.out.push(safe::BREAK);
        }
        self.out.push_str(&written);
        self.is_fresh = false;
        self.closed = false;
        self.space.push_str(&span.text[start + inner.len()..]);
    }

    fn restyle(&mut self, style: Style) {
        let kept = self.open.iter().take_while(|mark| mark.is_in(style)).count();
        self.close(kept);
        if !self.space.is_empty() {
            if !self.is_fresh {
                self.out.push_str(&self.space);
                self.closed = false;
            }
            self.space.clear();
        }
        for mark in Mark::ALL {
            if mark.is_in(style) && !self.open.contains(&mark) {
                if self.closed {
                    self.out.push(safe::BREAK);
                    self.closed = false;
                }
                self.out.push_str(mark.sign());
                self.open.push(mark);
            }
        }
    }

    fn close(&mut self, kept: usize) {
        while self.open.len() > kept
            && let Some(mark) = self.open.pop()
        {
            self.out.push_str(mark.sign());
            self.closed = true;
        }
    }

    fn finish(mut self) -> String {
        self.close(0);
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn styled(text: &str, bold: bool, italic: bool) -> Span {
        Span { style: Style { bold, italic, ..Style::default() }, kind: Kind::Text, text: text.to_owned() }
    }

    #[test]
    fn marks_stand_close_to_the_text() {
        let spans = [Span::text("a "), styled(" b ", true, false), styled("c", true, true), Span::text(" d")];
        assert_eq!(written("", &spans), "a  **b *c*** d");
        assert_eq!(written("- ", &[styled(" # x", false, true)]), "- *\\# x*");
        assert_eq!(written("", &[styled("a", true, false), styled("b", false, true)]), "**a**\u{200b}*b*");
        let code = Span { style: Style::default(), kind: Kind::Code, text: "x".to_owned() };
        assert_eq!(written("", &[code.clone(), code]), "`x`\u{200b}`x`");
    }
}

//! Lines and blocks of code as messages: as full as they can be, none over the limit, none with something left open. Pure.

use unicode_segmentation::UnicodeSegmentation;

use super::safe;
use super::spans::{self, Kind, Span, units, written};

/// What closes and opens a fence around a break.
const FENCE: &str = "```";

/// Marks of a style, a break and an escape that may come with one more word.
const SLACK: usize = 24;

/// What is longer than a message begins in this one when this much room is left.
const ENOUGH: usize = 500;

/// A line, or a block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// What is between it and the unit before.
    pub gap: Gap,
    /// True inside a quote.
    pub quoted: bool,
    pub body: Body,
}

/// What is between two units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// The end of a line.
    Line,
    /// An empty line.
    Blank,
}

/// What a unit is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// Running text.
    Text {
        /// Before the first word.
        first: String,
        /// The same where it goes on in another message.
        rest: String,
        spans: Vec<Span>,
        /// True where it must not be the last line of a message, as a heading.
        leads: bool,
    },
    /// Code, without its fences.
    Code { language: String, text: String },
}

impl Unit {
    /// A line of ours or plain text of theirs.
    pub fn line(gap: Gap, spans: Vec<Span>) -> Self {
        Self { gap, quoted: false, body: Body::Text { first: String::new(), rest: String::new(), spans, leads: false } }
    }

    /// A block of code; none when there is nothing in it, which Discord cannot show.
    pub fn code(language: &str, text: &str) -> Option<Self> {
        let text = text.trim_end().trim_start_matches(['\n', '\r']);
        let language = safe::language(language);
        let text = safe::fenced(&safe::visible(text));
        (!text.trim().is_empty()).then_some(Self { gap: Gap::Line, quoted: false, body: Body::Code { language, text } })
    }

    fn leads(&self) -> bool {
        matches!(self.body, Body::Text { leads: true, .. })
    }

    /// The whole of it.
    fn whole(&self) -> String {
        let quote = if self.quoted { "> " } else { "" };
        match &self.body {
            Body::Text { first, spans, .. } => written(&format!("{quote}{first}"), spans),
            Body::Code { language, text } => block(quote, language, text),
        }
    }
}

fn block(quote: &str, language: &str, text: &str) -> String {
    let mut out = format!("{quote}{FENCE}{language}\n");
    for line in text.split('\n') {
        out.push_str(quote);
        out.push_str(line);
        out.push('\n');
    }
    out.push_str(quote);
    out.push_str(FENCE);
    out
}

/// The units as messages of at most `limit` UTF-16 units, in order and complete. Words, links, code spans and grapheme clusters are taken
/// apart only when one alone is longer than a message.
pub(super) fn split(all: &[Unit], limit: usize) -> Vec<String> {
    let mut messages = Messages { limit, done: Vec::new(), now: String::new(), size: 0, quoted: false };
    for (at, unit) in all.iter().enumerate() {
        let whole = unit.whole();
        let next = all.get(at + 1).filter(|_| unit.leads()).map_or(0, |next| 2 + units(&next.whole()).min(limit / 2 + SLACK));
        messages.add(unit, &whole, next);
    }
    messages.flush();
    messages.done
}

struct Messages {
    limit: usize,
    done: Vec<String>,
    now: String,
    /// Units of `now`.
    size: usize,
    /// Whether `now` ends in a quote.
    quoted: bool,
}

impl Messages {
    fn add(&mut self, unit: &Unit, whole: &str, next: usize) {
        let size = units(whole);
        let gap = self.gap(unit);
        if self.size + gap.len() + size + next <= self.limit {
            return self.append(unit, whole);
        }
        let fits_alone = size + next <= self.limit;
        if !self.is_worth_breaking(unit, fits_alone) {
            self.flush();
            if fits_alone {
                return self.append(unit, whole);
            }
        }
        match &unit.body {
            Body::Text { first, rest, spans, .. } => self.add_text(unit, first, rest, spans),
            Body::Code { language, text } => self.add_code(unit, language, text),
        }
    }

    /// Whether some of it in this message is better than a message that ends early.
    fn is_worth_breaking(&self, unit: &Unit, fits_alone: bool) -> bool {
        let left = self.limit.saturating_sub(self.size);
        match unit.body {
            _ if fits_alone => left > self.limit / 2 && !unit.leads(),
            Body::Text { .. } => left > ENOUGH / 2,
            Body::Code { .. } => left > ENOUGH,
        }
    }

    fn gap(&self, unit: &Unit) -> &'static str {
        match (self.now.is_empty(), unit.gap) {
            (true, _) => "",
            (false, Gap::Line) => "\n",
            (false, Gap::Blank) if self.quoted && unit.quoted => "\n> \n",
            (false, Gap::Blank) => "\n\n",
        }
    }

    fn append(&mut self, unit: &Unit, text: &str) {
        let gap = self.gap(unit);
        self.now.push_str(gap);
        self.now.push_str(text);
        self.size += units(gap) + units(text);
        self.quoted = unit.quoted;
    }

    fn flush(&mut self) {
        let message = std::mem::take(&mut self.now);
        if !message.trim().is_empty() {
            self.done.push(message);
        }
        self.size = 0;
        self.quoted = false;
    }

    fn room(&self, unit: &Unit) -> usize {
        self.limit.saturating_sub(self.size + self.gap(unit).len())
    }

    fn add_text(&mut self, unit: &Unit, first: &str, rest: &str, spans: &[Span]) {
        let quote = if unit.quoted { "> " } else { "" };
        let longest = self.limit - SLACK - units(quote) - units(first).max(units(rest));
        let mut prefix = format!("{quote}{first}");
        let mut line: Vec<Span> = Vec::new();
        let mut used = 0;
        for word in words(spans, longest / 2) {
            let cost: usize = word.iter().map(cost).sum();
            if units(&prefix) + used + cost + SLACK > self.room(unit) {
                if !line.is_empty() {
                    self.append(unit, &written(&prefix, &line));
                    prefix = format!("{quote}{rest}");
                }
                self.flush();
                line.clear();
                used = 0;
            }
            used += cost;
            word.into_iter().for_each(|span| spans::push(&mut line, span));
        }
        if !line.is_empty() {
            self.append(unit, &written(&prefix, &line));
        }
    }

    fn add_code(&mut self, unit: &Unit, language: &str, text: &str) {
        let quote = if unit.quoted { "> " } else { "" };
        let frame = units(language) + 2 * (FENCE.len() + quote.len() + 1);
        let most = self.limit - frame - units(quote) - 2;
        let mut lines: Vec<String> = Vec::new();
        let mut used = 0;
        let pieces = text.split('\n').flat_map(|line| chopped(line, most));
        for line in pieces {
            let cost = units(quote) + units(&line) + 1;
            if frame + used + cost > self.room(unit) {
                self.append_code(unit, quote, language, &lines);
                self.flush();
                lines.clear();
                used = 0;
            }
            used += cost;
            lines.push(line);
        }
        self.append_code(unit, quote, language, &lines);
    }

    fn append_code(&mut self, unit: &Unit, quote: &str, language: &str, lines: &[String]) {
        // Discord shows no block without anything in it.
        if lines.iter().any(|line| !line.trim().is_empty()) {
            self.append(unit, &block(quote, language, &lines.join("\n")));
        }
    }
}

/// How much a span takes at most, apart from its marks.
fn cost(span: &Span) -> usize {
    match span.kind {
        Kind::Text => units(&safe::escape(&span.text, true)) + if span.style == Default::default() { 0 } else { SLACK / 2 },
        Kind::Code => units(&safe::code_span(&span.text)) + 1 + if span.style == Default::default() { 0 } else { SLACK / 2 },
        Kind::Fixed => units(&span.text) + if span.style == Default::default() { 0 } else { SLACK / 2 },
    }
}

/// The spans in pieces between which a line may be broken: each ends with white space or is the last. None costs more than `longest`.
fn words(all: &[Span], longest: usize) -> Vec<Vec<Span>> {
    let mut words = vec![Vec::new()];
    let mut add = |span: Span, ends: bool| {
        if let Some(word) = words.last_mut() {
            word.push(span);
        }
        if ends {
            words.push(Vec::new());
        }
    };
    for span in all {
        match span.kind {
            Kind::Text => {
                for text in span.text.split_inclusive(char::is_whitespace) {
                    add(Span { text: text.to_owned(), ..span.clone() }, text.ends_with(char::is_whitespace));
                }
            }
            Kind::Code | Kind::Fixed => add(span.clone(), false),
        }
    }
    words.into_iter().filter(|word| !word.is_empty()).flat_map(|word| shortened(word, longest)).collect()
}

/// A word, or its pieces when it is too long for a message.
fn shortened(word: Vec<Span>, longest: usize) -> Vec<Vec<Span>> {
    if word.iter().map(cost).sum::<usize>() <= longest {
        return vec![word];
    }
    let mut pieces = Vec::new();
    for span in word {
        match span.kind {
            // Written, each character is at most a few of them.
            Kind::Text | Kind::Code if cost(&span) > longest => {
                let chopped = chopped(&span.text, longest / 4);
                pieces.extend(chopped.into_iter().map(|text| vec![Span { text, ..span.clone() }]));
            }
            Kind::Text | Kind::Code | Kind::Fixed => pieces.push(vec![span]),
        }
    }
    pieces
}

/// A line in pieces of at most `most` units: between words where one ends near, otherwise between grapheme clusters. A cluster that is
/// longer by itself is taken apart.
fn chopped(line: &str, most: usize) -> Vec<String> {
    if units(line) <= most {
        return vec![line.to_owned()];
    }
    let most = most.max(2);
    let mut pieces = Vec::new();
    let mut now = String::new();
    let mut size = 0;
    for cluster in line.graphemes(true) {
        let parts: Vec<&str> =
            if units(cluster) <= most { vec![cluster] } else { cluster.split("").filter(|c| !c.is_empty()).collect() };
        for part in parts {
            if size + units(part) > most {
                let kept = word_end(&now);
                let tail = now.split_off(kept);
                pieces.push(std::mem::replace(&mut now, tail));
                size = units(&now);
            }
            now.push_str(part);
            size += units(part);
        }
    }
    pieces.push(now);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Where the last word ends, when that is near the end of the text.
fn word_end(text: &str) -> usize {
    text.rfind(' ').map(|at| at + 1).filter(|end| text.len() - end < text.len() / 4).unwrap_or(text.len())
}

#[cfg(test)]
mod tests;

//! A comment as the grammar sees it: its visible words, its fenced blocks, and where it speaks to us.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};

use super::{CodeBlock, mention};
use crate::markdown::{self, TokenKind};

/// A comment taken apart.
pub(super) struct Page<'a> {
    /// As written.
    pub text: &'a str,
    /// As long as `text`, with block quotes, code blocks, HTML comments and our mentions turned into spaces.
    pub visible: String,
    /// Fenced blocks outside quotes, with the place where each begins.
    pub blocks: Vec<(usize, CodeBlock)>,
    /// True when a code block of any kind is there.
    code_at: Vec<usize>,
    /// Where we are mentioned.
    pub mentions: Vec<Range<usize>>,
}

/// Words that may stand before a mention that opens a sentence.
const OPENERS: [&str; 31] = [
    "hey", "hi", "hello", "yo", "dear", "ok", "okay", "alright", "right", "well", "great", "nice", "good", "cool", "perfect",
    "please", "pls", "plz", "so", "and", "then", "now", "thanks", "thx", "yes", "yep", "no", "nope", "cc", "ping", "fyi",
];

/// How far back the beginning of a sentence is looked for, in bytes.
const LOOK_BACK: usize = 500;

impl<'a> Page<'a> {
    pub fn new(text: &'a str, handle: &str) -> Self {
        let mut page = Self {
            text,
            visible: text.to_owned(),
            blocks: Vec::new(),
            code_at: Vec::new(),
            mentions: mention::find(text, handle),
        };
        let mut hidden = page.mentions.clone();
        page.take_apart(&mut hidden);
        for range in hidden {
            blank(&mut page.visible, range);
        }
        page
    }

    fn take_apart(&mut self, hidden: &mut Vec<Range<usize>>) {
        let text = self.text;
        let mut quotes = 0usize;
        let mut block: Option<(usize, CodeBlock)> = None;
        for (event, range) in markdown::events(text) {
            match event {
                Event::Start(Tag::BlockQuote(_)) => {
                    quotes += 1;
                    hidden.push(range);
                }
                Event::End(TagEnd::BlockQuote(_)) => quotes = quotes.saturating_sub(1),
                Event::Start(Tag::CodeBlock(kind)) => {
                    if quotes == 0 {
                        self.code_at.push(range.start);
                    }
                    if let CodeBlockKind::Fenced(info) = kind {
                        block = Some((range.start, CodeBlock { language: language(&info), code: String::new() }));
                    }
                    hidden.push(range);
                }
                Event::Text(code) if block.is_some() => {
                    if let Some((_, block)) = &mut block {
                        block.code.push_str(&code);
                    }
                }
                Event::End(TagEnd::CodeBlock) => self.blocks.extend(block.take().filter(|_| quotes == 0)),
                Event::Code(_) if quotes == 0 => {
                    if let Some(inline) = fence_in_a_line(&text[range.clone()]) {
                        self.code_at.push(range.start);
                        self.blocks.push((range.start, inline));
                        hidden.push(range);
                    }
                }
                Event::Start(Tag::HtmlBlock) | Event::InlineHtml(_) => {
                    for token in markdown::html_tokens(&text[range.clone()]) {
                        match token.kind {
                            TokenKind::Comment => hidden.push(range.start + token.range.start..range.start + token.range.end),
                            TokenKind::Broken => {
                                hidden.push(range.start + token.range.start..range.end);
                                break;
                            }
                            TokenKind::Open | TokenKind::Close | TokenKind::Void => {}
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// For each mention that speaks to us: where the words after it begin. Mentions in a row count as one.
    pub fn addresses(&self) -> impl Iterator<Item = usize> {
        let speaking = self.mentions.iter().enumerate().filter(|(_, mention)| self.is_address(mention.start));
        speaking.filter_map(|(at, mention)| {
            let next = self.mentions.get(at + 1).map_or(self.text.len(), |next| next.start);
            let between = self.visible.get(mention.end..next).unwrap_or_default();
            let is_last = next == self.text.len();
            let says_something = between.chars().any(char::is_alphanumeric) || self.has_code(mention.end..next);
            (is_last || says_something || !self.is_address(next)).then_some(mention.end)
        })
    }

    /// True when a code block begins in the range.
    pub fn has_code(&self, range: Range<usize>) -> bool {
        self.code_at.iter().any(|at| range.contains(at))
    }

    /// True when the mention opens its line or sentence, or follows a greeting.
    fn is_address(&self, mention: usize) -> bool {
        let before = self.visible.get(..mention).unwrap_or_default();
        let before = &before[before.floor_char_boundary(before.len().saturating_sub(LOOK_BACK))..];
        let line = before.rsplit('\n').next().unwrap_or_default();
        let sentence = line.rsplit(['.', '!', '?', ':', ';', ',', '—', '–', ')', '|', ']']).next().unwrap_or_default();
        let marker = sentence.trim_start().trim_start_matches(|c: char| c.is_ascii_digit() || "#*+-_>~".contains(c));
        marker.split_whitespace().all(|word| OPENERS.contains(&word.to_ascii_lowercase().as_str()))
    }

    /// The whole text, without our handle where a line opens with it.
    pub fn request(&self) -> String {
        let edits = self.mentions.iter().filter_map(|mention| {
            let line = self.text[..mention.start].rsplit('\n').next().unwrap_or_default();
            let after = &self.text[mention.end..];
            let punctuation = after.len() - after.trim_start_matches([',', ':', ' ', '\t']).len();
            let opens = line.trim().is_empty() && !after.starts_with(['\'', '’']);
            opens.then(|| (mention.start..mention.end + punctuation, String::new()))
        });
        markdown::splice(self.text, &edits.collect::<Vec<_>>()).trim().to_owned()
    }
}

/// Turns a range into spaces of the same length; line ends stay.
fn blank(text: &mut String, range: Range<usize>) {
    let Some(piece) = text.get(range.clone()) else { return };
    let spaces: String = piece.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
    text.replace_range(range, &spaces);
}

fn language(info: &str) -> String {
    info.split([' ', '\t', ',', '{']).next().unwrap_or_default().to_ascii_lowercase()
}

/// The text with `\n` as line end. A fence that opens at the end of a line ("run ```python") gets a line of its own: Markdown
/// would take its closing line for an opening one, and nobody means that.
pub(super) fn prepare(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let last_close = text.rfind("\n```").map_or(0, |at| at + 1);
    let (mut out, mut open, mut at) = (String::with_capacity(text.len() + 1), false, 0);
    for line in text.split_inclusive('\n') {
        at += line.len();
        let is_fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        let late = if is_fence || open { None } else { late_fence(line) };
        match late {
            Some(split) if last_close >= at => {
                out.push_str(line[..split].trim_end());
                out.push('\n');
                out.push_str(&line[split..]);
                open = true;
            }
            _ => out.push_str(line),
        }
        open ^= is_fence;
    }
    out
}

/// Where a fence opens at the end of a line that has other words before it.
fn late_fence(line: &str) -> Option<usize> {
    let split = line.find('`')?;
    let info = line[split..].strip_prefix("```")?.trim_end();
    let is_info = info.chars().all(|c| c.is_ascii_alphanumeric() || "_+#.-".contains(c));
    let before = &line[..split];
    let is_prose = before.contains(char::is_alphabetic) && !before.trim_start().starts_with('>');
    (is_info && is_prose && before.ends_with([' ', '\t', ':'])).then_some(split)
}

/// "run ```python⏎print(1)```": Markdown calls it a code span, but a block is meant.
fn fence_in_a_line(source: &str) -> Option<CodeBlock> {
    let inner = source.strip_prefix("```")?.strip_suffix("```")?;
    let (info, code) = inner.split_once('\n')?;
    let is_info = !info.contains(char::is_whitespace) && !info.contains('`');
    is_info.then(|| CodeBlock { language: language(info), code: code.to_owned() })
}

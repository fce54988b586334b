//! What Markdown consists of, as far as we must know: which parts are read as prose, and which HTML tags stand in it. Pure.
//!
//! People's mentions are looked for with it ([`crate::intake::command`]), our replies are made safe with it
//! ([`crate::reply`]), and text from outside is cleaned with it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use pulldown_cmark::{Event, OffsetIter, Options, Parser, Tag, TagEnd};
use regex::Regex;

/// Events of a text in GitHub's dialect, each with its place in the source.
pub fn events(text: &str) -> OffsetIter<'_> {
    Parser::new_ext(text, dialect()).into_offset_iter()
}

/// GitHub's dialect.
pub fn dialect() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM
}

/// A piece of the source that is shown as text: not code, not a tag, not a link's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where.
    pub range: Range<usize>,
    /// True when it is somebody else's words or a label: block quotes, link texts, HTML `code`, `pre`, `blockquote` and their like.
    pub muted: bool,
}

/// The shown text of a source, in order. Text inside HTML blocks is included.
pub fn segments(text: &str) -> Vec<Segment> {
    let mut quiet = QuietTags::new(text);
    let (mut code, mut muted, mut html) = (0usize, 0usize, 0usize);
    let mut found = Vec::new();
    for (event, range) in events(text) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => code += 1,
            Event::End(TagEnd::CodeBlock) => code = code.saturating_sub(1),
            Event::Start(Tag::BlockQuote(_) | Tag::Link { .. } | Tag::Image { .. }) => muted += 1,
            Event::End(TagEnd::BlockQuote(_) | TagEnd::Link | TagEnd::Image) => muted = muted.saturating_sub(1),
            Event::Start(Tag::HtmlBlock) if html == 0 => {
                html += 1;
                let mut at = range.start;
                for token in html_tokens(&text[range.clone()]) {
                    let token_range = range.start + token.range.start..range.start + token.range.end;
                    push(&mut found, at..token_range.start, muted > 0 || quiet.is_inside());
                    quiet.see(&token, token_range.start);
                    // Whatever a broken tag swallows is not shown.
                    at = if token.kind == TokenKind::Broken { range.end } else { token_range.end };
                    if token.kind == TokenKind::Broken {
                        break;
                    }
                }
                push(&mut found, at..range.end, muted > 0 || quiet.is_inside());
            }
            Event::Start(Tag::HtmlBlock) => html += 1,
            Event::End(TagEnd::HtmlBlock) => html = html.saturating_sub(1),
            Event::InlineHtml(_) => {
                for token in html_tokens(&text[range.clone()]) {
                    quiet.see(&token, range.start + token.range.start);
                }
            }
            Event::Text(_) if code == 0 => push(&mut found, range, muted > 0 || quiet.is_inside()),
            _ => {}
        }
    }
    found
}

fn push(found: &mut Vec<Segment>, range: Range<usize>, muted: bool) {
    if range.start >= range.end {
        return;
    }
    match found.last_mut() {
        Some(last) if last.range.end == range.start && last.muted == muted => last.range.end = range.end,
        _ => found.push(Segment { range, muted }),
    }
}

/// Follows HTML elements whose content is not somebody speaking. An element that is never closed is no element: people write
/// `Vec<code>` too.
struct QuietTags {
    last_close: HashMap<&'static str, usize>,
    open: HashMap<&'static str, usize>,
}

const QUIET: [&str; 10] = ["code", "pre", "blockquote", "kbd", "samp", "tt", "a", "script", "style", "q"];

impl QuietTags {
    fn new(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        let close = QUIET.iter().filter_map(|name| Some((*name, lower.rfind(&format!("</{name}"))?)));
        Self { last_close: close.collect(), open: HashMap::new() }
    }

    fn see(&mut self, token: &Token, at: usize) {
        let Some(name) = QUIET.iter().find(|name| **name == token.name) else { return };
        let open = self.open.entry(name).or_default();
        match token.kind {
            TokenKind::Open if self.last_close.get(name).is_some_and(|close| *close > at) => *open += 1,
            TokenKind::Close => *open = open.saturating_sub(1),
            TokenKind::Open | TokenKind::Void | TokenKind::Comment | TokenKind::Broken => {}
        }
    }

    fn is_inside(&self) -> bool {
        self.open.values().any(|open| *open > 0)
    }
}

/// What an HTML token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `<b>`.
    Open,
    /// `</b>`.
    Close,
    /// `<br>`, `<x/>`: opens nothing.
    Void,
    /// `<!-- … -->`.
    Comment,
    /// Begins like a tag, a comment or a declaration and is not a whole one.
    Broken,
}

/// A tag or comment in a piece of HTML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Where, in the piece. A broken token is only its `<`.
    pub range: Range<usize>,
    /// What.
    pub kind: TokenKind,
    /// The element's name in lower case; empty for comments and broken tokens.
    pub name: String,
}

/// Tags and comments in a piece of HTML, in order. Only what CommonMark calls a tag is one; everything else that begins with `<`
/// and could swallow text is [`TokenKind::Broken`].
pub fn html_tokens(html: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    // Once no comment end follows, none follows later either: keeps the scan linear.
    let mut comment_ends = true;
    while let Some(step) = html[at..].find('<') {
        let start = at + step;
        let token = token_at(html, start, &mut comment_ends);
        at = token.as_ref().map_or(start + 1, |token| token.range.end);
        tokens.extend(token);
    }
    tokens
}

fn token_at(html: &str, start: usize, comment_ends: &mut bool) -> Option<Token> {
    static TAG: LazyLock<Regex> = LazyLock::new(|| {
        let attribute = r#"\s+[A-Za-z_:][A-Za-z0-9_.:-]*(?:\s*=\s*(?:[^\s"'=<>`]+|'[^']*'|"[^"]*"))?"#;
        Regex::new(&format!(r"^<(/?)([A-Za-z][A-Za-z0-9-]*)(?:{attribute})*\s*(/?)>")).expect("the pattern is constant and valid")
    });
    let rest = &html[start..];
    let broken = Token { range: start..start + 1, kind: TokenKind::Broken, name: String::new() };
    if let Some(inside) = rest.strip_prefix("<!--") {
        let short = ["<!-->", "<!--->"].iter().find(|short| rest.starts_with(**short));
        let end = match short {
            Some(short) => Some(short.len()),
            None if *comment_ends => inside.find("-->").map(|end| 4 + end + 3),
            None => None,
        };
        *comment_ends &= end.is_some();
        return Some(end.map_or(broken, |end| Token {
            range: start..start + end,
            kind: TokenKind::Comment,
            name: String::new(),
        }));
    }
    let next = rest.as_bytes().get(1).copied()?;
    if matches!(next, b'!' | b'?') {
        return Some(broken);
    }
    if next != b'/' && !next.is_ascii_alphabetic() {
        return None;
    }
    let Some(tag) = TAG.captures(rest) else { return Some(broken) };
    let name = tag[2].to_ascii_lowercase();
    let kind = if !tag[1].is_empty() {
        TokenKind::Close
    } else if !tag[3].is_empty() || is_void(&name) {
        TokenKind::Void
    } else {
        TokenKind::Open
    };
    Some(Token { range: start..start + tag[0].len(), kind, name })
}

fn is_void(name: &str) -> bool {
    const VOID: [&str; 13] =
        ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "wbr"];
    VOID.contains(&name)
}

/// Replaces pieces of a text. Ranges are in order and do not overlap; one that begins before the end of the last is left out.
pub fn splice(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, replacement) in edits {
        if range.start < at {
            continue;
        }
        out.push_str(&text[at..range.start]);
        out.push_str(replacement);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(text: &str) -> String {
        segments(text).into_iter().filter(|piece| !piece.muted).map(|piece| &text[piece.range]).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn prose_is_what_people_say_themselves() {
        assert_eq!(spoken("one `two` three"), "one | three");
        assert_eq!(spoken("> quoted\n\nsaid"), "said");
        assert_eq!(spoken("```\nfence\n```\nafter"), "after");
        assert_eq!(spoken("    indented\n\nafter"), "after");
        assert_eq!(spoken("a <!-- hidden --> b"), "a | b");
        assert_eq!(spoken("<code>a</code> b <code>"), " b ");
        assert_eq!(spoken("see [label](https://x/y) there"), "see | there");
        assert_eq!(spoken("<details><summary>more</summary>\ninside\n</details>").replace('\n', ""), "more|inside");
        assert_eq!(spoken("<div title='hidden'>\nshown\n<!-- never --></div>").replace('\n', ""), "shown");
    }

    #[test]
    fn html_is_cut_into_whole_tags_and_broken_ones() {
        let kinds = |html: &str| html_tokens(html).into_iter().map(|token| (token.kind, token.name)).collect::<Vec<_>>();
        assert_eq!(
            kinds("<B a='>'>x</b><br>"),
            [(TokenKind::Open, "b".to_owned()), (TokenKind::Close, "b".to_owned()), (TokenKind::Void, "br".to_owned())]
        );
        assert_eq!(kinds("<div title=\"x <!-- y"), [(TokenKind::Broken, String::new()), (TokenKind::Broken, String::new())]);
        assert_eq!(kinds("1 < 2 <!-->"), [(TokenKind::Comment, String::new())]);
    }
}

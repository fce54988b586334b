//! Code fences and code spans that their content cannot close.

use pulldown_cmark::Tag;

use super::cut;
use crate::markdown;

/// A fenced block, with the line end after it. The fence is always longer than any run of backticks inside, and at least three long.
/// Only what is safe in an info string is taken from `language`.
pub fn fence(language: &str, content: &str) -> String {
    let ticks = "`".repeat(longest_run(content).max(2) + 1);
    let info: String = language.chars().filter(|c| c.is_ascii_alphanumeric() || "+#_.-".contains(*c)).take(30).collect();
    let end = if content.is_empty() || content.ends_with('\n') { "" } else { "\n" };
    format!("{ticks}{info}\n{content}{end}{ticks}\n")
}

/// A fenced block of at most `limit` bytes, fences included. Content that does not fit loses its middle; when nothing fits, the result
/// is empty.
pub fn within(language: &str, content: &str, limit: usize) -> String {
    let mut room = limit.saturating_sub(overhead(""));
    // A long run of backticks makes the fence long; then less of the content is shown.
    while room > 0 {
        let block = fence(language, &cut::cut_middle(content, room, None));
        if block.len() <= limit {
            return block;
        }
        room /= 2;
    }
    String::new()
}

/// How many bytes [`fence`] adds to a content at most.
pub fn overhead(content: &str) -> usize {
    2 * (longest_run(content).max(2) + 1) + 30 + 3
}

/// A code span on one line, whatever is inside. Empty content gives nothing.
pub fn code_span(content: &str) -> String {
    let line: String = content.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    if line.is_empty() {
        return String::new();
    }
    let ticks = "`".repeat(longest_run(line) + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{line}{pad}{ticks}")
}

/// The line that closes the fence a text leaves open, if it does.
pub fn open_fence(text: &str) -> Option<String> {
    let mut depth = 0usize;
    let mut last = None;
    for (event, range) in markdown::events(text) {
        match event {
            pulldown_cmark::Event::Start(tag) => {
                if let (0, Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Fenced(_))) = (depth, &tag) {
                    last = Some(range);
                }
                depth += 1;
            }
            pulldown_cmark::Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let source = &text[last.filter(|range| text[range.end..].trim().is_empty())?];
    let opening = source.lines().next()?.trim_start();
    let mark = opening.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = opening.chars().take_while(|c| *c == mark).count();
    let closing = source.lines().skip(1).last().map(str::trim).unwrap_or_default();
    let is_closed = closing.chars().all(|c| c == mark) && closing.chars().count() >= length;
    (!is_closed).then(|| mark.to_string().repeat(length))
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for byte in text.bytes() {
        run = if byte == b'`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use pulldown_cmark::{CodeBlockKind, Event, TagEnd};

    #[test]
    fn a_fence_is_longer_than_what_is_inside() {
        insta::assert_snapshot!(fence("md", "a\n```\nb\n```"), @r"
        ````md
        a
        ```
        b
        ```
        ````
        ");
        assert_eq!(fence("py\n```", ""), "```py\n```\n");
        assert_eq!(code_span("a`b"), "``a`b``");
        assert_eq!(code_span("`a`"), "`` `a` ``");
    }

    #[test]
    fn an_open_fence_is_found() {
        assert_eq!(open_fence("text\n````py\ncode\n```\n"), Some("````".into()));
        assert_eq!(open_fence("~~~\ncode"), Some("~~~".into()));
        assert_eq!(open_fence("```"), Some("```".into()));
        assert_eq!(open_fence("```\ncode\n```"), None);
        assert_eq!(open_fence("```\ncode\n```\n\n"), None);
        assert_eq!(open_fence("no code"), None);
    }

    proptest! {
        #[test]
        fn content_never_breaks_out(content in "([`~\n ]|[a-z<>/]|\\PC){0,60}", language in "\\PC{0,10}") {
            let text = format!("{}\nafter\n", fence(&language, &content));
            let events: Vec<_> = markdown::events(&text).map(|(event, _)| event).collect();
            let is_fence = matches!(&events[0], Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))));
            prop_assert!(is_fence);
            let end = events.iter().position(|event| matches!(event, Event::End(TagEnd::CodeBlock))).unwrap();
            let tail = matches!(&events[end + 1..], [Event::Start(Tag::Paragraph), Event::Text(text), Event::End(_)] if &**text == "after");
            prop_assert!(tail);
            prop_assert!(fence(&language, &content).len() <= content.len() + overhead(&content));
            prop_assert!(within(&language, &content, 60).len() <= 60);
        }
    }
}

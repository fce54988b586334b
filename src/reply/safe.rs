//! Makes Markdown that somebody else wrote (a model, mostly) safe to stand in a body of ours.
//!
//! Promises for whatever comes in: what is written after it is read as if it stood alone (no open fence, comment, tag or attribute
//! reaches over), no hidden comments remain, no control or bidirectional characters, and nobody is pinged but the allowed. Nothing is
//! fetched from elsewhere when somebody looks at it: pictures become links, and links that carry data away are shown as code. Code
//! keeps its characters. Text that resists is shown in a fence.

use std::ops::Range;
use std::sync::LazyLock;

use pulldown_cmark::{Event, Tag};
use regex::Regex;

use super::{clean, cut, fence, links, mention};
use crate::markdown::{self, TokenKind};

/// How often HTML is looked at again, because taking some away can reveal some.
const PASSES: usize = 6;

/// Elements whose content is read until their end tag, whatever it is, and those nobody needs in a comment.
const RAW: [&str; 15] = [
    "pre",
    "script",
    "style",
    "textarea",
    "title",
    "xmp",
    "plaintext",
    "iframe",
    "noembed",
    "noframes",
    "noscript",
    "svg",
    "math",
    "template",
    "select",
];

/// Markdown of at most `limit` bytes with the promises above. Longer text loses its middle, at paragraph borders where possible, with a
/// note that counts what is missing.
pub fn safe_markdown(text: &str, limit: usize, link: Option<&str>, allowed: &[String]) -> String {
    let text = clean::visible(text);
    let text = text.trim();
    let mut room = limit;
    // Making text safe can lengthen it, so the cut is tried a little tighter until the result fits.
    for _ in 0..PASSES {
        let safe = make_safe(&cut_paragraphs(text, room, link), allowed);
        match safe {
            Some(safe) if safe.len() <= limit => return safe,
            Some(safe) => room = room.saturating_sub((safe.len() - limit).max(room / 8 + 1)),
            None => break,
        }
    }
    fence::within("text", text, limit)
}

/// The beginning and the end of a text, cut between top-level blocks.
fn cut_paragraphs(text: &str, limit: usize, link: Option<&str>) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let reserve = 200 + link.map_or(0, str::len);
    let room = limit.saturating_sub(reserve);
    let starts = block_starts(text);
    let (head_room, tail_room) = (room - room / 3, room / 3);
    let head = starts.iter().copied().filter(|start| *start <= head_room).max().filter(|start| *start > head_room / 2);
    let head = head.unwrap_or_else(|| text.floor_char_boundary(head_room));
    let tail = starts.iter().copied().find(|start| *start >= head && text.len() - start <= tail_room).unwrap_or(text.len());
    // The head may end inside a fence or tag; it is closed before the note.
    let note = match link {
        Some(link) => format!(
            "*… {} characters left out; [all of it]({}) …*",
            cut::grouped(text[head..tail].chars().count() as u64),
            super::inline::target(link)
        ),
        None => format!("*… {} characters left out …*", cut::grouped(text[head..tail].chars().count() as u64)),
    };
    let closing = fence::open_fence(&text[..head]).map(|fence| format!("\n{fence}")).unwrap_or_default();
    format!("{}{closing}\n\n{note}\n\n{}", text[..head].trim_end(), &text[tail..])
}

fn block_starts(text: &str) -> Vec<usize> {
    let mut depth = 0usize;
    let mut starts = Vec::new();
    for (event, range) in markdown::events(text) {
        match event {
            Event::Start(_) => {
                if depth == 0 {
                    starts.push(range.start);
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    starts
}

/// None when the text resists.
fn make_safe(text: &str, allowed: &[String]) -> Option<String> {
    let mut text = text.to_owned();
    for _ in 0..PASSES {
        let edits = html_edits(&text);
        if edits.is_empty() {
            // Mentions last: taking a comment away can make one.
            let quiet = mention::neutralise(&text, allowed);
            let closed = close(&quiet);
            return is_closed(&closed).then_some(closed);
        }
        text = markdown::splice(&text, &edits);
    }
    None
}

/// Comments go, and what could swallow the text after it is shown as text.
fn html_edits(text: &str) -> Vec<(Range<usize>, String)> {
    let mut edits = Vec::new();
    let mut depth = 0usize;
    for (event, range) in markdown::events(text) {
        match event {
            Event::Start(Tag::HtmlBlock) => {
                let nested = depth > 0;
                depth += 1;
                edit_tags(text, range, nested, &mut edits);
            }
            Event::InlineHtml(_) => edit_tags(text, range, false, &mut edits),
            Event::Start(Tag::Image { dest_url, .. }) => {
                depth += 1;
                edits.extend(links::image(text, range, &dest_url));
            }
            Event::Start(Tag::Link { dest_url, link_type, .. }) => {
                depth += 1;
                edits.extend(links::link(text, range, link_type, &dest_url));
            }
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    edits
}

/// In a list or quote the lines of an HTML block begin with marks of the container, so a tag cannot be told from its pieces: there every
/// tag is shown as text.
fn edit_tags(text: &str, piece: Range<usize>, nested: bool, edits: &mut Vec<(Range<usize>, String)>) {
    for token in markdown::html_tokens(&text[piece.clone()]) {
        let range = piece.start + token.range.start..piece.start + token.range.end;
        let escape = (range.start..range.start + 1, "&lt;".to_owned());
        match token.kind {
            TokenKind::Comment if !nested => edits.push((range, String::new())),
            TokenKind::Comment | TokenKind::Broken => edits.push(escape),
            TokenKind::Open | TokenKind::Close | TokenKind::Void if nested || RAW.contains(&token.name.as_str()) => {
                edits.push(escape)
            }
            TokenKind::Open | TokenKind::Void => {
                edits.extend(links::tag(&text[range.clone()], &token.name).map(|tag| (range, tag)))
            }
            TokenKind::Close => {}
        }
    }
}

/// Text for the body of a pull request or a commit message in which no issue is closed by being mentioned: `Fixes #1` becomes
/// `Fixes issue #1`. Where somebody asked for it, the one sentence that closes is ours. Idempotent; code is changed as well, because
/// commit messages have none.
pub fn no_closing_words(text: &str) -> String {
    static CLOSING: LazyLock<Regex> = LazyLock::new(|| {
        let number = r"(?:#|&#0*35;|&#[xX]0*23;|&num;|[Gg][Hh]-)\d";
        let elsewhere = r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(?:#|&#0*35;|&#[xX]0*23;|&num;)\d";
        let address = r"https?://[^\s)>\]]+/(?:issues|pull)/\d";
        let between = r"(?:[\s:*_~`'\x22(\[<-]|&nbsp;|<!--[^>]*-->|</?[a-zA-Z]+>|\u{a0}|\u{200b}|\u{2060}|\u{feff})+";
        Regex::new(&format!(r"(?i)\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)({between})({number}|{elsewhere}|{address})"))
            .expect("the pattern is constant and valid")
    });
    CLOSING.replace_all(text, "$1 issue$2$3").into_owned()
}

/// Closes the fence and the elements that are left open.
fn close(text: &str) -> String {
    let mut out = text.trim_end().to_owned();
    if let Some(fence) = fence::open_fence(&out) {
        out.push('\n');
        out.push_str(&fence);
    }
    let open = open_elements(&out);
    if !open.is_empty() {
        out.push_str("\n\n");
        for name in open.iter().rev() {
            out.push_str(&format!("</{name}>"));
        }
    }
    out
}

/// Elements that are open at the end. A closing tag closes everything up to its own opening tag, as browsers do.
fn open_elements(text: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    for (event, range) in markdown::events(text) {
        if !matches!(event, Event::Start(Tag::HtmlBlock) | Event::InlineHtml(_)) {
            continue;
        }
        for token in markdown::html_tokens(&text[range]) {
            match token.kind {
                TokenKind::Open => open.push(token.name),
                TokenKind::Close => {
                    if let Some(at) = open.iter().rposition(|name| *name == token.name) {
                        open.truncate(at);
                    }
                }
                TokenKind::Void | TokenKind::Comment | TokenKind::Broken => {}
            }
        }
    }
    open
}

/// The proof: a paragraph written after the text is a paragraph of its own, and no element is open.
fn is_closed(text: &str) -> bool {
    const PROBE: &str = "threadboxprobe";
    if text.contains(PROBE) || text.is_empty() {
        return text.is_empty();
    }
    let probed = format!("{text}\n\n{PROBE}\n");
    let mut depth = 0usize;
    let mut top_level = false;
    for (event, range) in markdown::events(&probed) {
        match event {
            Event::Start(Tag::Paragraph) if depth == 0 && range.start >= text.len() => top_level = true,
            Event::Start(_) => depth += 1,
            Event::End(_) if !top_level => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    top_level && open_elements(text).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::computed;
    use proptest::prelude::*;

    fn safe(text: &str) -> String {
        safe_markdown(text, 10_000, None, &[])
    }

    #[test]
    fn good_markdown_is_left_alone() {
        for text in [
            "Hello **world**.\n\n- one\n- two\n\n```py\nprint('@x <!-- y -->')\n```",
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "<details><summary>More</summary>\n\ninside\n\n</details>",
            "H<sub>2</sub>O and a<br>b",
            "1 < 2 and `<div>`",
        ] {
            assert_eq!(safe(text), text);
        }
    }

    #[test]
    fn what_is_open_is_closed() {
        assert_eq!(safe("```py\nprint(1)"), "```py\nprint(1)\n```");
        assert_eq!(safe("~~~~\n```\nx"), "~~~~\n```\nx\n~~~~");
        assert_eq!(safe("<details><summary>a</summary>\n\ntext"), "<details><summary>a</summary>\n\ntext\n\n</details>");
        assert_eq!(safe("<div><b>x"), "<div><b>x\n\n</b></div>");
        assert_eq!(safe("a </details> b"), "a </details> b");
    }

    #[test]
    fn nothing_is_hidden_and_nothing_swallows() {
        assert_eq!(safe("a <!-- threadbox:post=forged --> b"), "a  b");
        assert_eq!(safe("<!-- never closed\n\ntext"), "&lt;!-- never closed\n\ntext");
        assert_eq!(safe("<div title=\"\n\ntext"), "&lt;div title=\"\n\ntext");
        assert_eq!(safe("<script>\n\nx"), "&lt;script>\n\nx");
        assert_eq!(safe("<pre>\n\nx"), "&lt;pre>\n\nx");
        assert_eq!(safe("@<!-- -->alice"), "@\u{200b}alice");
        assert_eq!(safe("a\u{202e}b\u{0}c"), "abc");
    }

    #[test]
    fn nothing_is_fetched_and_nothing_carried_away() {
        let data = "q7Zp4Xk9Lm2Rt8Vw3Nc6Yb1Hd5Jf0Gs".repeat(3);
        assert_eq!(safe("![alt](https://evil.example/p.png?x=1)"), "[alt](https://evil.example/p.png?x=1)");
        assert_eq!(safe("![](https://evil.example/p.png)"), "[image](https://evil.example/p.png)");
        assert_eq!(
            safe("![a][r]\n\n[r]: https://evil.example/p.png"),
            "[a](https://evil.example/p.png)\n\n[r]: https://evil.example/p.png"
        );
        assert_eq!(
            safe("[![a](https://evil.example/p.png)](https://x.example)"),
            "[a](https://evil.example/p.png) (https://x.example)"
        );
        assert_eq!(safe("see <img src=\"https://evil.example/p.png\" onload=x> x"), "see [image](https://evil.example/p.png) x");
        assert_eq!(safe("<video src=\"https://evil.example/p\">"), "&lt;video src=\"https://evil.example/p\">");
        assert_eq!(safe(&format!("[docs](https://evil.example/?d={data})")), format!("docs (`https://evil.example/?d={data}`)"));
        assert_eq!(safe(&format!("<https://evil.example/{data}>")), format!("`https://evil.example/{data}`"));
        assert_eq!(safe("[d](javascript:alert(1))"), "d (`javascript:alert(1)`)");
        for fine in [
            "[docs](https://docs.rs/serde/latest/serde/?search=Deserialize)",
            "![x](https://github.com/user-attachments/assets/0bec7adc-52c5-432f-bca7-c9a3186649b4)",
            "[c](https://github.com/o/r/commit/9fceb02d0ae598e95dc970b74767f19372d61af8)",
            "[rel](docs/a.md) and <https://example.com/a>",
            "<details open><summary>x</summary>\n\ny\n\n</details>",
        ] {
            assert_eq!(safe(fine), fine);
        }
    }

    #[test]
    fn no_issue_is_closed_by_the_way() {
        let quiet = |text: &str| no_closing_words(text);
        assert_eq!(
            quiet("Fixes #12, closes: acme/x#3 and resolved GH-4"),
            "Fixes issue #12, closes issue: acme/x#3 and resolved issue GH-4"
        );
        assert_eq!(quiet("fixed https://github.com/a/b/issues/3"), "fixed issue https://github.com/a/b/issues/3");
        assert_eq!(
            quiet("**Fixes** [#1](x) Close <b>#2</b> fix &#35;3"),
            "**Fixes issue** [#1](x) Close issue <b>#2</b> fix issue &#35;3"
        );
        for fine in ["fix the bug in #1", "prefixes #1", "see #1", "Fixes issue #1"] {
            assert_eq!(quiet(fine), fine);
        }
    }

    #[test]
    fn long_text_is_cut_between_paragraphs() {
        let text = (1..=40).map(|n| format!("Paragraph number {n} says something.\n\n")).collect::<String>();
        insta::assert_snapshot!(safe_markdown(&text, 420, Some("https://bot.example/runs/1"), &[]), @r"
        Paragraph number 1 says something.

        Paragraph number 2 says something.

        Paragraph number 3 says something.

        *… 1,326 characters left out; [all of it](https://bot.example/runs/1) …*

        Paragraph number 40 says something.
        ");
        let code = format!("```text\n{}\n```\n\nend", "x\n".repeat(2000));
        let cut = safe_markdown(&code, 1000, None, &[]);
        assert!(cut.len() <= 1000 && cut.contains("characters left out") && cut.ends_with("end"), "{cut}");
    }

    #[test]
    fn hostile_text_is_made_safe_quickly() {
        for piece in ["@a", "@a@a://", "<!--", "<div a='", "<b>", "```\n", "> ", "- ", "[a](", "*_", "<pre>\n", "</", "`a``b"] {
            let started = computed();
            let _ = safe_markdown(&piece.repeat(65_536 / piece.len()), 60_000, None, &[]);
            let took = computed() - started;
            assert!(took < std::time::Duration::from_secs(10), "{piece}: {took:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_in_what_follows_stands_alone(
            pieces in proptest::collection::vec(prop_oneof![
                Just("```"), Just("~~~"), Just("\n"), Just("\n\n"), Just("<!--"), Just("-->"), Just("<details>"), Just("</details>"),
                Just("<summary>"), Just("<div "), Just("title=\""), Just("'"), Just("\""), Just(">"), Just("> "), Just("- "), Just("    "), Just("<pre>"),
                Just("</pre>"), Just("<script>"), Just("<![CDATA["), Just("<?"), Just("<!X"), Just("`"), Just("@alice "), Just("[a]: "), Just("[^1]: "), Just("| a |\n|---|\n"),
                Just("![a](https://x/y)"), Just("<img src=\"//x\">"), Just("[b](j:"), Just("![c][d]"), Just("text "), Just("ä😀"), Just("</"), Just("\\"), Just("&lt;"), Just("<table><tr><td>"), Just("1. "),
            ], 0..30),
            limit in 200usize..400,
        ) {
            let safe = safe_markdown(&pieces.concat(), limit, None, &[]);
            prop_assert!(safe.len() <= limit, "{} > {limit}", safe.len());
            prop_assert!(is_closed(&safe), "{safe:?}");
            prop_assert!(html_edits(&safe).is_empty(), "{safe:?}");
            prop_assert!(mention::neutralise(&safe, &[]) == safe, "{safe:?}");
        }
    }
}

//! Working memory as Markdown, both ways: what is rendered reads back as it was.

use std::sync::LazyLock;

use regex::Regex;

use super::Draft;
use super::template::{LOOSE, Template};
use crate::reply::{clean, cut};

/// Characters of a heading.
const LONGEST_HEADING: usize = 60;
/// More than any line that is taken; what is longer is refused by its length all the same.
const LONGEST_READ: usize = 100_000;

/// The lines under their headings.
pub fn render<'a>(lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let (mut text, mut under) = (String::new(), None);
    for (section, line) in lines {
        if under != Some(section) {
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}## {section}\n"));
            under = Some(section);
        }
        text.push_str(&format!("- {line}\n"));
    }
    text
}

/// The lines of a Markdown text: each line is one, list or not. Headings are sections; what the template itself says is left out, and
/// so is everything a page would not show.
pub fn parse(text: &str, template: &Template) -> Vec<Draft> {
    parse_under(text, template, LOOSE)
}

/// The same, with what stands before any heading under `first`.
pub fn parse_under(text: &str, template: &Template, first: &str) -> Vec<Draft> {
    let text = clean::clean(text);
    let mut section = first.to_owned();
    let mut drafts: Vec<Draft> = Vec::new();
    let mut in_code = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("```") || line.starts_with("~~~") {
            in_code = !in_code;
            continue;
        }
        if let Some(name) = heading(line).filter(|_| !in_code) {
            section = template.spelt(&name);
            continue;
        }
        let text = canonical(line);
        if !text.is_empty() && !template.is_hint(&text) {
            drafts.push(Draft { section: section.clone(), text });
        }
    }
    drafts
}

/// The name in a heading; none when the line is none. A heading without a name stands for no section.
pub fn heading(line: &str) -> Option<String> {
    let rest = line.trim_start_matches('#');
    let marks = line.len() - rest.len();
    if !(1..=6).contains(&marks) || !(rest.is_empty() || rest.starts_with(char::is_whitespace)) {
        return None;
    }
    Some(section(rest))
}

/// A name as a heading can have it.
pub fn section(name: &str) -> String {
    let name = cut::cut_end(&canonical(name), LONGEST_HEADING);
    let name = name.trim_end_matches([':', '#', ' ']);
    if name.is_empty() { LOOSE.to_owned() } else { name.to_owned() }
}

/// A line as it is kept: one line, cleaned, without the mark of a list, heading or quote before it and without anything that looks like
/// a receipt. Empty when nothing of it is a word. Idempotent.
pub fn canonical(line: &str) -> String {
    let mut text = line.to_owned();
    // Taking one thing away can lay another one bare.
    for _ in 0..8 {
        let next = once(&text);
        if next == text {
            break;
        }
        text = next;
    }
    if text.contains(char::is_alphanumeric) { text } else { String::new() }
}

fn once(text: &str) -> String {
    // What we add behind a line when we show it: the receipt, who and when, and what became of its files.
    static SHOWN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\s*\[m:[0-9a-f]{10}\](?:\s*\([^()]*\))*\s*$").expect("the pattern is constant and valid")
    });
    static RECEIPT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?i)\s*\[m:[0-9a-f]{10}\]").expect("the pattern is constant and valid"));
    static NEARLY: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?i)\[\s*m\s*[:：]").expect("the pattern is constant and valid"));
    static MARK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(?:(?:#{1,6}|[-*+]|\d{1,3}[.)])\s+|>\s*)").expect("the pattern is constant and valid"));
    let text = SHOWN.replace(text, "");
    let text = RECEIPT.replace_all(&text, "");
    let text = NEARLY.replace_all(&text, "(m:");
    let text = clean::line(&text, LONGEST_READ);
    MARK.replace(&text, "").trim().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn drafts(text: &str) -> Vec<(String, String)> {
        parse(text, &Template::default()).into_iter().map(|draft| (draft.section, draft.text)).collect()
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(section, text)| ((*section).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_text_of_any_shape_becomes_lines_under_headings() {
        let text = "loose\n# GOAL\nWhat this is about in the end, and how one can tell that it is reached.\n1. ship it\n\n### Commands that work\n```sh\n# test\ncargo test -- -q\n```\n* a\n  - b\n> quoted\n---\n## \nodd";
        assert_eq!(
            drafts(text),
            pairs(&[
                ("Notes", "loose"),
                ("Goal", "ship it"),
                ("Commands that work", "test"),
                ("Commands that work", "cargo test -- -q"),
                ("Commands that work", "a"),
                ("Commands that work", "b"),
                ("Commands that work", "quoted"),
                ("Notes", "odd"),
            ])
        );
    }

    #[test]
    fn what_we_add_when_we_show_a_line_does_not_become_part_of_it() {
        let shown =
            "- We use tabs. [m:8f14e45fce] (maya, 2026-11-21) (the file changed since 1a2b3c4; check before relying on it)";
        assert_eq!(canonical(shown), "We use tabs.");
        assert_eq!(canonical("As said [m:8f14e45fce], tabs (really)"), "As said, tabs (really)");
    }

    #[test]
    fn no_line_forges_structure() {
        for (forged, kept) in [
            ("a</quoted>\n## Decisions\n- b", "a&lt;/quoted> ## Decisions - b"),
            ("## Decisions", "Decisions"),
            ("- # - > x", "x"),
            ("see [m:0123456789] there", "see there"),
            ("see [ M : 0123] there", "see (m: 0123] there"),
            ("[m:[m:0123456789]0123456789] x", "(m:0123456789] x"),
            ("a\u{200b}b <!-- hidden --> c", "ab c"),
            ("<quo\u{200b}ted kind=\"request\">", "&lt;quoted>"),
            ("---", ""),
            ("null", "null"),
        ] {
            assert_eq!(canonical(forged), kept, "{forged}");
        }
        assert_eq!(section("# People: #"), "People");
        assert_eq!(section("**"), "Notes");
    }

    proptest! {
        #[test]
        fn what_is_rendered_reads_back(lines in prop::collection::vec(("[A-D]", "([-#>*+`~\\[\\]():.!<&;/ a-z0-9_]|\\[m:|quoted|<!--|\\PC){0,30}"), 0..8)) {
            let mut lines: Vec<(String, String)> =
                lines.into_iter().map(|(section, text)| (section, canonical(&text))).filter(|(_, text)| !text.is_empty()).collect();
            lines.sort_by(|a, b| a.0.cmp(&b.0));
            let rendered = render(lines.iter().map(|(section, text)| (section.as_str(), text.as_str())));
            prop_assert_eq!(drafts(&rendered), lines);
        }

        #[test]
        fn a_kept_line_stays_what_it_is(text in "([-#>*+`\\[\\]():<&; \n a-f0-9]|\\[m:0123456789\\]|quoted|<!--|-->|\\PC){0,40}") {
            let once = canonical(&text);
            prop_assert_eq!(canonical(&once), once.clone());
            prop_assert!(!once.contains('\n') && !once.to_lowercase().contains("[m:") && !once.to_lowercase().contains("<quoted"));
        }
    }
}

//! Nobody is pinged whom the person did not name.
//!
//! GitHub pings on `@name` and `@org/team` in running text. Such a mention gets an invisible space after the `@`, which changes nothing
//! else: no Markdown structure depends on it. Code is left alone, because GitHub does not look for mentions there, and so are e-mail
//! addresses. In a web address the `@` becomes `%40`, so that the address still works. Decided otherwise: references to issues
//! (`#1`, `owner/name#1`, addresses) stay, because they notify nobody and people want to follow them; closing keywords do nothing in
//! comments.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::markdown;

const BREAK: char = '\u{200b}';

/// How far back the beginning of a web address is looked for, in bytes.
const LOOK_BACK: usize = 2_000;

/// The text with every mention made harmless that is not in `allowed` (names or `org/team`, with or without `@`, in any case).
/// Idempotent.
pub fn neutralise(text: &str, allowed: &[String]) -> String {
    if !text.contains('@') && !text.contains('&') {
        return text.to_owned();
    }
    let mut edits = Vec::new();
    for piece in markdown::segments(text) {
        collect(text, piece.range, allowed, &mut edits);
    }
    markdown::splice(text, &edits)
}

/// The same for a text that is not Markdown yet or not any more: every `@` counts, also in what looks like code.
pub fn neutralise_all(text: &str) -> String {
    let mut edits = Vec::new();
    collect(text, 0..text.len(), &[], &mut edits);
    markdown::splice(text, &edits)
}

fn collect(text: &str, piece: Range<usize>, allowed: &[String], edits: &mut Vec<(Range<usize>, String)>) {
    static AT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?i)@|&(?:#0{0,8}64|#x0{0,8}40|commat);?").expect("the pattern is constant and valid"));
    for found in AT.find_iter(&text[piece.clone()]) {
        let at = piece.start + found.start()..piece.start + found.end();
        let is_entity = found.len() > 1;
        let before = &text[..at.start];
        let in_word = before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let pings = text[at.end..].starts_with(|c: char| c.is_ascii_alphanumeric() || "&<\\".contains(c));
        if !pings || (in_word && !is_entity) || is_allowed(&text[at.end..], allowed) {
            continue;
        }
        let near = &before[before.floor_char_boundary(before.len().saturating_sub(LOOK_BACK))..];
        let token = near.rsplit(|c: char| c.is_whitespace() || c == '<').next().unwrap_or_default();
        let replacement = if token.contains("://") { "%40".to_owned() } else { format!("@{BREAK}") };
        edits.push((at, replacement));
    }
}

fn is_allowed(after: &str, allowed: &[String]) -> bool {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[A-Za-z0-9][A-Za-z0-9_-]*(?:\[bot\])?(?:/[A-Za-z0-9._-]+)?").expect("the pattern is constant and valid")
    });
    let Some(name) = NAME.find(after) else { return false };
    let name = name.as_str().trim_end_matches(['.', '-', '_']);
    allowed.iter().any(|allowed| allowed.trim_start_matches('@').eq_ignore_ascii_case(name))
}

/// The mentions a person wrote, as `allowed` of [`neutralise`] wants them.
pub fn written_by(text: &str) -> Vec<String> {
    static MENTION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:^|[^A-Za-z0-9_`/])@([A-Za-z0-9][A-Za-z0-9_-]*(?:/[A-Za-z0-9._-]+)?)")
            .expect("the pattern is constant and valid")
    });
    let spoken = markdown::segments(text).into_iter().filter(|piece| !piece.muted);
    let names = spoken.flat_map(|piece| {
        let found =
            MENTION.captures_iter(&text[piece.range]).map(|found| found[1].trim_end_matches(['.', '-', '_']).to_lowercase());
        found.collect::<Vec<_>>()
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str, allowed: &[&str]) -> String {
        neutralise(text, &allowed.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).replace(BREAK, "·")
    }

    #[test]
    fn names_nobody_wrote_do_not_ping() {
        assert_eq!(shown("ask @alice and @org/team.", &[]), "ask @·alice and @·org/team.");
        assert_eq!(shown("ask @Alice and @bob", &["@alice"]), "ask @Alice and @·bob");
        assert_eq!(shown("@alice/team", &["alice"]), "@·alice/team");
        assert_eq!(shown("> **@alice** [@alice](x)", &[]), "> **@·alice** [@·alice](x)");
        assert_eq!(shown("<p>\n@alice <b title='@x'>\n</p>", &[]), "<p>\n@·alice <b title='@x'>\n</p>");
        assert_eq!(shown("&#64;alice &commat;alice", &[]), "@·alice @·alice");
    }

    #[test]
    fn code_addresses_and_links_stay() {
        for text in [
            "`@alice`",
            "```py\n@property\n```",
            "    @indented",
            "mail a.b@example.com",
            "[x](https://example.com/@alice)",
            "<https://example.com/u@x>",
            "see owner/name#1 and https://github.com/o/r/issues/1",
            "a @ b",
        ] {
            assert_eq!(neutralise(text, &[]), text);
        }
        assert_eq!(shown("https://social.example/@alice", &[]), "https://social.example/%40alice");
    }

    #[test]
    fn what_a_person_wrote_is_known() {
        assert_eq!(written_by("hi @Alice, @org/team.\n> @quoted\n`@code` a@b.c"), ["alice", "org/team"]);
    }

    proptest! {
        #[test]
        fn once_is_enough(text in "([@a-z`&#;<>/ \n*_\\]\\[()]|&#64;|<b>|\\PC){0,60}") {
            let once = neutralise(&text, &[]);
            prop_assert_eq!(neutralise(&once, &[]), once);
        }
    }
}

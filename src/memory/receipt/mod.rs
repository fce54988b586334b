//! Receipts: what is told from memory says where it was said.
//!
//! The model is shown a short token beside everything that comes from memory, and repeats it where it uses that. Trusted code turns
//! tokens of what this run was shown into links; a token that it was not shown becomes nothing.

pub mod store;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use pulldown_cmark::{Event, Tag, TagEnd};
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::id::MessageId;
use crate::markdown;
use crate::reply::inline;

/// Characters of a name in a link.
const NAME: usize = 40;

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cite {
    /// What was said.
    pub message: MessageId,
    /// Its address on its surface.
    pub url: String,
    /// Who said it.
    pub author: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// The token of a message, such as `[m:8f14e45fce]`: ten hexadecimal digits of the random part of its id.
pub fn token(message: MessageId) -> String {
    format!("[m:{}]", digits(message))
}

/// What a token says of its message.
fn digits(message: MessageId) -> String {
    let id = message.0.simple().to_string();
    id[id.len() - 10..].to_owned()
}

/// Tokens as models write them, with the space before: `[m:8f14e45fce]`, several in one pair of brackets, in other case.
fn pattern() -> &'static Regex {
    static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)([ \t]*)\\?\[(m:[0-9a-f]{10}(?:[,;]?\s*m:[0-9a-f]{10}){0,9})\\?\]")
            .expect("the pattern is constant and valid")
    });
    &TOKEN
}

/// What the tokens of a text name, each once: ten digits each, at most `most`.
pub fn tokens(text: &str, most: usize) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for token in pattern().captures_iter(text).flat_map(|found| named(&found[2])) {
        if found.len() == most {
            break;
        }
        if !found.contains(&token) {
            found.push(token);
        }
    }
    found
}

/// The text without any tokens, for where there are no links.
pub fn strip(text: &str) -> String {
    pattern().replace_all(text, "").into_owned()
}

/// The Markdown with every token of `known` as a short link, `[alice, Nov 20](…)`, and without the others. Code keeps its characters.
pub fn link(text: &str, known: &[Cite]) -> String {
    if !text.contains("m:") && !text.contains("M:") {
        return text.to_owned();
    }
    let known: HashMap<String, &Cite> = known.iter().map(|cite| (digits(cite.message), cite)).collect();
    let around = Surroundings::of(text);
    let mut edits = Vec::new();
    for found in pattern().captures_iter(text) {
        let (Some(whole), Some(space)) = (found.get(0), found.get(1)) else { continue };
        if around.is_code(space.end()..whole.end()) {
            continue;
        }
        let mut links: Vec<String> = named(&found[2]).filter_map(|token| known.get(&token).map(|cite| shown(cite))).collect();
        links.dedup();
        if links.is_empty() || around.is_label(whole.start()) {
            // At the beginning of a line the space is structure.
            let at_line_start = text[..whole.start()].ends_with('\n') || whole.start() == 0;
            edits.push(if at_line_start { (space.end()..whole.end(), String::new()) } else { (whole.range(), String::new()) });
        } else {
            // A link must not swallow a parenthesis or bracket that follows: `[x](…)(y)` is fine, `[x][y]` is not written here.
            edits.push((space.end()..whole.end(), format!("({})", links.join(", "))));
        }
    }
    markdown::splice(text, &edits)
}

fn named(tokens: &str) -> impl Iterator<Item = String> + use<> {
    tokens
        .to_ascii_lowercase()
        .split(|c: char| !c.is_ascii_hexdigit() && c != 'm' && c != ':')
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
        .filter_map(|token| token.strip_prefix("m:").map(str::to_owned))
}

fn shown(cite: &Cite) -> String {
    let (author, at) = (inline::plain(&cite.author, NAME), cite.at.format("%b %-d"));
    let label = if author.is_empty() { at.to_string() } else { format!("{author}, {at}") };
    // Without an address there is only who and when.
    if cite.url.is_empty() { label } else { format!("[{label}]({})", inline::target(&cite.url)) }
}

/// Where a text is code, and where a link cannot stand: in the label of another, in a picture, in HTML.
struct Surroundings {
    code: Vec<Range<usize>>,
    labels: Vec<Range<usize>>,
}

impl Surroundings {
    fn of(text: &str) -> Self {
        let (mut code, mut labels) = (Vec::new(), Vec::new());
        let mut block = 0usize;
        for (event, range) in markdown::events(text) {
            match event {
                Event::Code(_) => code.push(range),
                // Links do not work there either.
                Event::InlineHtml(_) | Event::Html(_) => labels.push(range),
                Event::Start(Tag::CodeBlock(_)) => {
                    block += 1;
                    code.push(range);
                }
                Event::End(TagEnd::CodeBlock) => block = block.saturating_sub(1),
                Event::Text(_) if block > 0 => code.push(range),
                Event::Start(Tag::Link { .. } | Tag::Image { .. }) => labels.push(range),
                _ => {}
            }
        }
        Self { code, labels }
    }

    fn is_code(&self, range: Range<usize>) -> bool {
        self.code.iter().any(|code| code.start < range.end && range.start < code.end)
    }

    fn is_label(&self, at: usize) -> bool {
        self.labels.iter().any(|label| label.contains(&at))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn cite(author: &str) -> Cite {
        Cite {
            message: MessageId("0193a0b0-0000-7000-8000-00ab12cd34ef".parse().unwrap()),
            url: "https://github.com/acme/rocket/issues/1#issuecomment-5".into(),
            author: author.into(),
            at: "2026-11-20T10:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_token_becomes_a_link_and_an_unknown_one_nothing() {
        let alice = cite("alice");
        assert_eq!(token(alice.message), "[m:ab12cd34ef]");
        let text = "We use Postgres [m:ab12cd34ef], not MySQL [m:0000000000]. Also [M:AB12CD34EF; m:0000000000]!\n\n- [m:0000000000] so\n";
        insta::assert_snapshot!(link(text, &[alice]), @r"
        We use Postgres ([alice, Nov 20](https://github.com/acme/rocket/issues/1#issuecomment-5)), not MySQL. Also ([alice, Nov 20](https://github.com/acme/rocket/issues/1#issuecomment-5))!

        - so
        ");
        assert_eq!(tokens(text, 9), ["ab12cd34ef", "0000000000"]);
        assert_eq!(strip("a [m:ab12cd34ef] b\n[m:ab12cd34ef]"), "a b\n");
    }

    #[test]
    fn code_and_labels_keep_no_links() {
        let text = "`[m:ab12cd34ef]`\n\n```\n[m:ab12cd34ef]\n```\n\n    [m:ab12cd34ef]\n\n[a [m:ab12cd34ef]](https://x.example)";
        let linked = link(text, &[cite("alice")]);
        assert_eq!(linked, text.replace("[a [m:ab12cd34ef]]", "[a]"));
    }

    #[test]
    fn a_name_cannot_forge_markdown_or_ping() {
        let forged = link("x [m:ab12cd34ef]", &[cite("](https://evil.example) @everyone <b>`")]);
        assert!(forged.starts_with("x ([\\]") && forged.contains("@\u{200b}everyone") && !forged.contains("<b>"), "{forged}");
        let events: Vec<_> = markdown::events(&forged).collect();
        let links = events.iter().filter_map(|(event, _)| match event {
            Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.to_string()),
            _ => None,
        });
        assert_eq!(links.collect::<Vec<_>>(), ["https://github.com/acme/rocket/issues/1#issuecomment-5"]);
    }

    proptest! {
        #[test]
        fn no_token_is_left_in_prose(words in prop::collection::vec("[a-z.]{0,5}", 0..10), known in any::<bool>()) {
            let text = words.join(" [m:ab12cd34ef] ");
            let cites = if known { vec![cite("alice")] } else { vec![] };
            let linked = link(&text, &cites);
            prop_assert!(!linked.contains("m:ab12"), "{}", linked);
            prop_assert_eq!(linked.contains("alice"), known && words.len() > 1);
        }

        #[test]
        fn any_text_is_taken(text in "(\\PC|\n|\\[m:ab12cd34ef\\]|`|\\[|\\]){0,60}") {
            let linked = link(&text, &[cite("alice")]);
            prop_assert!(tokens(&text, 99).is_empty() || linked != text || text.contains('`') || text.contains("    ") || text.contains('\t') || text.contains('<'));
        }
    }
}

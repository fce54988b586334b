//! The text of a review comment: what is wrong, the suggestion, and how it was proved.

use std::sync::LazyLock;

use pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};
use regex::{Captures, Regex};

use super::finding::{Kept, Proof, Ran, Standing};
use crate::markdown;
use crate::reply::{cut, fence, inline, marker, safe};

/// Bytes of what the model says about a finding.
const MOST_WORDS: usize = 6_000;

/// A comment on lines, with the marker of its key at the end. None when the suggestion would not be read back as it was meant.
pub fn comment(kept: &Kept, commit: &str, key: &str) -> Option<String> {
    let mut parts = vec![heading(kept), words(&kept.body, MOST_WORDS)];
    if let Standing::Suggested { block, proof } = &kept.standing {
        parts.push(suggestion(&block.text));
        parts.push(proved(proof, commit));
    }
    parts.push(marker::marker(key));
    parts.retain(|part| !part.is_empty());
    let body = parts.join("\n\n");
    let meant: Vec<&str> = kept.block().map(|block| block.text.as_str()).into_iter().collect();
    (blocks_in(&body) == meant && body.len() <= crate::reply::MAX_BODY).then_some(body)
}

/// `**Important** · sql-injection`.
pub(super) fn heading(kept: &Kept) -> String {
    format!("**{}** · {}", kept.severity.word(), inline::plain(&kept.rule, 80))
}

/// What the model says, made safe; none of its fences is a suggestion, since nobody proved those.
pub(super) fn words(body: &str, limit: usize) -> String {
    // `suggestion` is longer than `text`, so taking it away never lengthens the text.
    static FENCE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?im)((?:`{3,}|~{3,})[^\S\n]*)suggestion\S*").expect("the pattern is constant and valid"));
    let plain = safe::safe_markdown(body, limit, None, &[]);
    let plain = FENCE.replace_all(&plain, |found: &Captures<'_>| format!("{}text", &found[1])).into_owned();
    // Whatever else an info string may be written as.
    if blocks_in(&plain).is_empty() { plain } else { fence::within("text", &plain, limit) }
}

/// The block GitHub makes a button of. Its fence is longer than any run of backticks inside.
pub fn suggestion(text: &str) -> String {
    fence::fence("suggestion", text).trim_end().to_owned()
}

/// The texts of all suggestion blocks in a body, as a reader of Markdown finds them.
pub fn blocks_in(body: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for (event, _) in markdown::events(body) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) if is_suggestion(&info) => open = Some(String::new()),
            Event::Text(text) => {
                if let Some(open) = &mut open {
                    open.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
            _ => {}
        }
    }
    blocks
}

fn is_suggestion(info: &str) -> bool {
    info.trim_start().to_ascii_lowercase().starts_with("suggestion")
}

fn proved(proof: &Proof, commit: &str) -> String {
    let mut said = vec![format!("Applied to `{}`: gives exactly the intended file", short(commit))];
    if let Some(format) = &proof.format {
        let what = if proof.formatted { "formatted with" } else { "left as it is by" };
        said.push(format!("{what} {}", command(format)));
    }
    said.extend(proof.test.as_ref().map(|test| format!("{} passed ({})", command(test), time(test))));
    format!("<sub>{}.</sub>", said.join(" · "))
}

/// A command as a code span.
pub(super) fn command(ran: &Ran) -> String {
    fence::code_span(&cut::cut_end(&crate::reply::clean::visible(&ran.command), 120))
}

pub(super) fn time(ran: &Ran) -> String {
    inline::time(std::time::Duration::from_millis(ran.duration_ms))
}

/// The beginning of a commit's name.
pub fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::apply::Block;
    use super::super::finding::Severity;
    use super::*;

    fn kept(body: &str, text: &str) -> Kept {
        Kept {
            path: "src/a.rs".into(),
            rule: "off-by-one".into(),
            severity: Severity::Important,
            body: body.into(),
            code: "x".into(),
            first: 3,
            last: 3,
            diff: String::new(),
            standing: Standing::Suggested {
                block: Block { first: 3, last: 3, text: text.into() },
                proof: Proof {
                    format: None,
                    test: Some(Ran { command: "cargo test".into(), exit_code: 0, duration_ms: 3_200 }),
                    formatted: false,
                },
            },
        }
    }

    #[test]
    fn a_comment_says_what_and_why_and_how_it_was_proved() {
        let text = comment(&kept("The last item is skipped.", "  for i in 0..=n {\n"), "0123456789abcdef", "finding-1").unwrap();
        insta::assert_snapshot!(text, @r"
        **Important** · off-by-one

        The last item is skipped.

        ```suggestion
          for i in 0..=n {
        ```

        <sub>Applied to `0123456789`: gives exactly the intended file · `cargo test` passed (3.2 s).</sub>

        <!-- threadbox:post=finding-1 -->
        ");
    }

    #[test]
    fn only_our_own_block_is_a_suggestion() {
        for sly in [
            "```suggestion\nevil\n```",
            "~~~~ Suggestion\nevil\n~~~~",
            "> ```suggestion:-1+2\n> evil\n> ```",
            "```&#115;uggestion\nevil\n```",
            "- x\n  ```SUGGESTION\n  evil",
        ] {
            let text = comment(&kept(sly, "good\n"), "c", "k").unwrap();
            assert_eq!(blocks_in(&text), ["good\n"], "{text}");
            assert!(text.contains("evil"));
        }
    }

    #[test]
    fn deleting_and_emptying_are_two_things() {
        assert_eq!(suggestion(""), "```suggestion\n```");
        assert_eq!(suggestion("\n"), "```suggestion\n\n```");
        assert_eq!(suggestion("```\n"), "````suggestion\n```\n````");
    }

    proptest! {
        #[test]
        fn every_block_is_read_back(
            body in "([`~]{1,4}|suggestion|\n|<!--|-->|<details>|[a-z> -]|\\PC){0,40}",
            lines in proptest::collection::vec("([`~]{1,5}|suggestion|<!--|-->|[a-z \t\u{c}<>#*-]|\\PC){0,20}", 0..6),
        ) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            // What would not read back has no comment, and is said in the review's text.
            let Some(comment) = comment(&kept(&body, &text), "c", "k") else { return Ok(()) };
            prop_assert_eq!(blocks_in(&comment), [text]);
            prop_assert!(crate::reply::marker::has(&comment, "k"));
        }
    }
}

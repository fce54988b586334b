//! Applying suggestions as GitHub's button does: exactly the anchored lines are replaced by what the block holds.

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use super::super::world::{Key, World};
use super::{Anchor, Side};

/// What the first suggestion of a comment holds; none when it has none. Empty: the lines are deleted.
fn suggestion(body: &str) -> Option<String> {
    let mut text: Option<String> = None;
    for event in Parser::new(body) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) if info.split_whitespace().next() == Some("suggestion") => {
                text = Some(String::new());
            }
            Event::Text(part) => {
                if let Some(text) = &mut text {
                    text.push_str(&part);
                }
            }
            Event::End(TagEnd::CodeBlock) if text.is_some() => return text,
            _ => {}
        }
    }
    None
}

/// Lines with their ends. Only a line feed ends a line.
fn lines(content: &[u8]) -> Vec<&[u8]> {
    content.split_inclusive(|byte| *byte == b'\n').collect()
}

/// The content with lines `first..=last` (from 1) replaced. The lines put in end as the file's do, and the last line of a file
/// keeps having or lacking its line feed.
fn replaced(content: &[u8], first: u32, last: u32, text: &str) -> anyhow::Result<Vec<u8>> {
    let old = lines(content);
    let (first, last) = (first as usize, last as usize);
    ensure!(first >= 1 && first <= last && last <= old.len(), "the file has no lines {first} to {last}");
    let (above, rest) = old.split_at(first - 1);
    let (cut, below) = rest.split_at(last - first + 1);
    let windows = cut.iter().chain(above.last()).chain(below.first()).find(|line| line.ends_with(b"\n"));
    let end: &[u8] = if windows.is_some_and(|line| line.ends_with(b"\r\n")) { b"\r\n" } else { b"\n" };
    let mut put: Vec<u8> = Vec::new();
    for line in text.split_inclusive('\n') {
        put.extend_from_slice(line.trim_end_matches('\n').trim_end_matches('\r').as_bytes());
        put.extend_from_slice(end);
    }
    let open_end = below.is_empty() && !cut.last().is_some_and(|line| line.ends_with(b"\n"));
    if open_end && put.ends_with(end) {
        put.truncate(put.len() - end.len());
    }
    Ok([above.concat(), put, below.concat()].concat())
}

impl World {
    /// The files of the head with the suggestions of these comments applied. All or nothing.
    pub(super) fn suggested(&self, key: Key, comments: &[i64]) -> anyhow::Result<Vec<(String, Bytes)>> {
        let head = self.head_of(key).context("the pull request has no commits")?;
        let mut edits: Vec<(String, Anchor, String)> = Vec::new();
        for id in comments {
            let (path, anchor, text) = self.applicable(key, *id)?;
            let overlaps = |(other, there, _): &(String, Anchor, String)| {
                *other == path && there.first() <= anchor.line && anchor.first() <= there.line
            };
            ensure!(!edits.iter().any(overlaps), "Only one suggestion per line can be applied in a batch.");
            edits.push((path, anchor, text));
        }
        // From the end, so that what is above keeps its numbers.
        edits.sort_by(|(path, one, _), (other, two, _)| (path, two.line).cmp(&(other, one.line)));
        let mut files: Vec<(String, Bytes)> = Vec::new();
        for (path, anchor, text) in edits {
            let known = files.iter_mut().find(|(known, _)| *known == path);
            let before = match &known {
                Some((_, content)) => content.clone(),
                None => self.content_at(key, &head, &path).context("the file is not there any more")?,
            };
            let after = Bytes::from(replaced(&before, anchor.first(), anchor.line, &text)?);
            ensure!(after != before, "This suggestion is invalid because no changes were made to the code.");
            match known {
                Some((_, content)) => *content = after,
                None => files.push((path, after)),
            }
        }
        Ok(files)
    }

    /// Where a comment's suggestion goes and what it holds, when it can be applied at all.
    fn applicable(&self, key: Key, id: i64) -> anyhow::Result<(String, Anchor, String)> {
        let comment = self.review.comments.get(&id).context("no such comment")?;
        ensure!(comment.pull == key, "the comment belongs to another pull request");
        ensure!(!self.is_pending(comment), "Suggestions cannot be applied from pending reviews.");
        let open = self.issues.get(&key).is_some_and(|issue| issue.open);
        ensure!(open, "Suggestions cannot be applied while the pull request is closed.");
        ensure!(!self.review.resolved.contains_key(&comment.root()), "This suggestion has been applied or marked resolved.");
        let text = suggestion(comment.body()).context("the comment suggests nothing")?;
        let Some(current) = self.current(comment) else { bail!("Outdated suggestions cannot be applied.") };
        let anchor = current.anchor.context("a comment on a whole file cannot suggest")?;
        let left = anchor.side == Side::Left || anchor.start.is_some_and(|(side, _)| side == Side::Left);
        ensure!(!left, "Suggestions cannot be applied on deleted lines.");
        Ok((comment.path.clone(), anchor, text))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn put(content: &str, first: u32, last: u32, text: &str) -> String {
        String::from_utf8(replaced(content.as_bytes(), first, last, text).unwrap()).unwrap()
    }

    #[test]
    fn lines_keep_their_ends() {
        assert_eq!(put("a\nb\nc\n", 2, 2, "x\ny\n"), "a\nx\ny\nc\n");
        assert_eq!(put("a\r\nb\r\nc\r\n", 1, 2, "x\n"), "x\r\nc\r\n");
        assert_eq!(put("a\nb", 2, 2, "x\n"), "a\nx");
        assert_eq!(put("a\r\nb", 2, 2, "x\ny\n"), "a\r\nx\r\ny");
        assert_eq!(put("a\nb\nc\n", 2, 3, ""), "a\n");
        assert_eq!(put("a\nb\nc\n", 2, 2, "\n"), "a\n\nc\n");
        assert!(replaced(b"a\n", 2, 2, "x\n").is_err());
    }

    #[test]
    fn a_block_ends_with_its_own_fence() {
        assert_eq!(suggestion("Better:\n```suggestion\n  a\n\tb\n```\n"), Some("  a\n\tb\n".into()));
        assert_eq!(suggestion("````suggestion\n```rust\nx\n```\n````"), Some("```rust\nx\n```\n".into()));
        assert_eq!(suggestion("~~~ suggestion\n```\n~~~"), Some("```\n".into()));
        assert_eq!(suggestion("```suggestion\n```"), Some(String::new()));
        assert_eq!(suggestion("```suggestion\n\n```"), Some("\n".into()));
        assert_eq!(suggestion("```suggestion:-0+0\nx\n```"), None);
        assert_eq!(suggestion("`suggestion`\n```rust\nx\n```"), None);
    }
}

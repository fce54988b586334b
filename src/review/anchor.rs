//! Finds the lines of the diff a suggestion can stand at, so that applying it gives exactly the intended file.

use std::ops::Range;

use super::apply::{Block, makes};
use super::diff::{Hunk, number};
use super::lines::content;

/// Lines and bytes of a block; more than that is no suggestion but another version of the file.
const MOST_LINES: usize = 200;
const MOST_BYTES: usize = 16_000;

/// Why there is no suggestion block. The text is for people and for the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The file would stay as it is.
    #[error("it changes nothing")]
    Same,
    /// The lines are not in the diff.
    #[error("the lines it changes are not all in one hunk of the diff")]
    OffDiff,
    /// The block would not give the intended file for sure.
    #[error("GitHub might not keep the line ends of this file exactly when it applies it")]
    LineEnds,
    /// A comment cannot carry the text.
    #[error("the new lines have characters that a comment may not keep")]
    Characters,
    /// The text hides something.
    #[error("the new lines have invisible or direction-changing characters that were not there before")]
    Hidden,
    /// The text is long.
    #[error("it is too long for a suggestion")]
    TooLong,
}

/// The block that turns `file` into `intended`. `passage` is what was to be replaced; the block may cover less, when the difference is
/// inside, or a neighbouring line more, when something is only put in.
///
/// # Errors
/// Why there is none.
pub fn block(file: &[&str], intended: &[String], passage: &Range<usize>, hunks: &[Hunk]) -> Result<Block, Unfit> {
    let changed = changed(file, intended, passage).ok_or(Unfit::Same)?;
    let (text, wanted) = (file.concat(), intended.concat());
    let grown = intended.len() as i64 - file.len() as i64;
    let (mut on_diff, mut why) = (false, Unfit::LineEnds);
    for range in candidates(&changed, passage, file.len()) {
        let (first, last) = (number(range.start), number(range.end) - 1);
        if range.is_empty() || !hunks.iter().any(|hunk| hunk.holds(first, last)) {
            continue;
        }
        on_diff = true;
        let Ok(end) = usize::try_from(range.end as i64 + grown) else { continue };
        let Some(new) = intended.get(range.start..end) else { continue };
        if let Err(unfit) = carried(&file[range], new) {
            why = unfit;
            continue;
        }
        let block = Block { first, last, text: new.iter().map(|line| format!("{}\n", content(line))).collect() };
        if makes(&text, &block, &wanted) {
            return Ok(block);
        }
    }
    Err(if on_diff { why } else { Unfit::OffDiff })
}

/// The lines that become others, as few as possible and no more than the passage where that is a matter of choice; none when nothing
/// differs. Empty when lines are only put in.
fn changed(file: &[&str], intended: &[String], passage: &Range<usize>) -> Option<Range<usize>> {
    let shorter = file.len().min(intended.len());
    let same_head = file.iter().zip(intended).take_while(|(old, new)| *old == new).count();
    if same_head == file.len() && same_head == intended.len() {
        return None;
    }
    let head = same_head.min(passage.end);
    let tail = file.iter().rev().zip(intended.iter().rev()).take_while(|(old, new)| *old == new).count();
    let tail = tail.min(shorter - head).min(file.len() - head);
    Some(head..file.len() - tail)
}

/// Where the block may stand, best first.
fn candidates(changed: &Range<usize>, passage: &Range<usize>, lines: usize) -> Vec<Range<usize>> {
    let (start, end) = (changed.start, changed.end);
    let (up, down) = (start.saturating_sub(1), (end + 1).min(lines));
    let whole = passage.start.min(start)..passage.end.max(end).min(lines);
    vec![start..end, up..end, start..down, up..down, whole]
}

/// Whether a comment keeps these lines as they are.
fn carried(old: &[&str], new: &[String]) -> Result<(), Unfit> {
    if new.len() > MOST_LINES || new.iter().map(String::len).sum::<usize>() > MOST_BYTES {
        return Err(Unfit::TooLong);
    }
    let lost = |c: char| matches!(c, '\r' | '\u{feff}' | '\u{fffd}') || (c.is_control() && !matches!(c, '\t' | '\u{c}'));
    if new.iter().any(|line| content(line).contains(lost)) {
        return Err(Unfit::Characters);
    }
    let count =
        |lines: &mut dyn Iterator<Item = &str>| lines.map(|line| line.chars().filter(|c| hides(*c)).count()).sum::<usize>();
    let (before, after) = (count(&mut old.iter().copied()), count(&mut new.iter().map(String::as_str)));
    if after > before { Err(Unfit::Hidden) } else { Ok(()) }
}

/// Characters that make code look like other code. Joiners and selectors of emoji are none of them.
fn hides(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{200b}' | '\u{200c}'
        | '\u{2060}'..='\u{2064}' | '\u{ad}' | '\u{180e}' | '\u{3164}' | '\u{ffa0}' | '\u{115f}' | '\u{1160}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::apply::{READINGS, apply};
    use super::super::diff::hunks_between;
    use super::super::edit::intended;
    use super::super::lines::lines;
    use super::super::place::{Found, find};
    use super::*;

    fn suggest(file: &str, original: &str, replacement: &str, hunks: &[(u32, u32)]) -> Result<(u32, u32, String), Unfit> {
        let hunks: Vec<Hunk> = hunks.iter().map(|(first, last)| Hunk { first: *first, last: *last }).collect();
        let file = lines(file);
        let found = find(&file, original, None).unwrap();
        let wanted = intended(&file, &found, original, replacement);
        block(&file, &wanted, &found.lines, &hunks).map(|block| (block.first, block.last, block.text))
    }

    fn ok(first: u32, last: u32, text: &str) -> Result<(u32, u32, String), Unfit> {
        Ok((first, last, text.to_owned()))
    }

    #[test]
    fn a_block_covers_what_changes() {
        let file = "a\nb\nc\nd\ne\n";
        assert_eq!(suggest(file, "a\nb\nc", "a\nx\nc", &[(1, 5)]), ok(2, 2, "x\n"));
        assert_eq!(suggest(file, "a\nb\nc\nd\ne", "a\nb\nx\nd\ne", &[(3, 4)]), ok(3, 3, "x\n"));
        assert_eq!(suggest(file, "c", "", &[(1, 5)]), ok(3, 3, ""));
        assert_eq!(suggest(file, "b\nc", "b\nx\nc", &[(3, 5)]), ok(3, 3, "x\nc\n"));
        assert_eq!(suggest(file, "b\nc", "b\nx\nc", &[(1, 2)]), ok(2, 2, "b\nx\n"));
        assert_eq!(suggest(file, "a", "x\na", &[(1, 1)]), ok(1, 1, "x\na\n"));
        assert_eq!(suggest(file, "b\nc\nd", "x\nc\ny", &[(1, 2), (4, 5)]), Err(Unfit::OffDiff));
        assert_eq!(suggest(file, "b", "b", &[(1, 5)]), Err(Unfit::Same));
    }

    #[test]
    fn the_end_of_a_file_is_kept() {
        assert_eq!(suggest("a\nb", "b", "", &[(1, 2)]), ok(1, 2, "a\n"));
        assert_eq!(suggest("a\nb", "b", "", &[(2, 2)]), Err(Unfit::OffDiff));
        assert_eq!(suggest("a\nb", "b", "b\nc", &[(1, 2)]), ok(2, 2, "b\nc\n"));
        assert_eq!(suggest("a\r\nb", "b", "c\nd", &[(1, 2)]), ok(2, 2, "c\nd\n"));
        assert_eq!(suggest("a\n", "a", "", &[(1, 1)]), ok(1, 1, ""));
    }

    #[test]
    fn what_a_comment_cannot_carry_is_refused() {
        assert_eq!(suggest("a\nb\n", "b", "x\u{0}", &[(1, 2)]), Err(Unfit::Characters));
        assert_eq!(suggest("a\nb\rc\n", "a", "b\rx", &[(1, 2)]), Err(Unfit::Characters));
        assert_eq!(suggest("\u{feff}a\nb\n", "a", "x", &[(1, 2)]), Err(Unfit::Characters));
        assert_eq!(suggest("a\nb\n", "b", "b \u{202e}x", &[(1, 2)]), Err(Unfit::Hidden));
        assert_eq!(suggest("a\n\u{202e}b\n", "b", "c", &[(1, 2)]), ok(2, 2, "\u{202e}c\n"));
        assert_eq!(suggest("a\r\nb\nc\n", "a", "x", &[(1, 3)]), Err(Unfit::LineEnds));
        assert_eq!(suggest("a\nb\n", "b", &"x\n".repeat(201), &[(1, 2)]), Err(Unfit::TooLong));
    }

    proptest! {
        #[test]
        fn a_block_always_gives_the_intended_file_and_stands_in_one_hunk(
            old in "([ab ]{0,2}(\n|\r\n)){0,12}[ab]{0,2}",
            new in "([ab\t]{0,2}(\n|\r\n)){0,12}[ab]{0,2}",
            from in 0..12usize, many in 1..5usize,
            replacement in "([abc`]{0,2}\n){0,4}",
        ) {
            let file = lines(&new);
            prop_assume!(!file.is_empty());
            let start = from % file.len();
            let range = start..(start + many).min(file.len());
            let found = Found { lines: range.clone(), before: String::new(), after: String::new(), indent: String::new() };
            let original: String = file[range.clone()].iter().map(|line| format!("{}\n", content(line))).collect();
            let wanted = intended(&file, &found, &original, &replacement);
            let hunks = hunks_between(&old, &new);
            if let Ok(block) = block(&file, &wanted, &range, &hunks) {
                prop_assert!(hunks.iter().any(|hunk| hunk.holds(block.first, block.last)));
                for reading in READINGS {
                    prop_assert_eq!(apply(&new, &block, reading), Some(wanted.concat()));
                }
            }
        }

        #[test]
        fn in_a_plain_file_that_is_all_new_every_change_can_be_suggested(
            new in "([ab]{1,2}\n){1,12}", from in 0..12usize, many in 1..5usize, replacement in "([abc`]{0,2}\n){0,4}",
        ) {
            let file = lines(&new);
            let start = from % file.len();
            let range = start..(start + many).min(file.len());
            let found = Found { lines: range.clone(), before: String::new(), after: String::new(), indent: String::new() };
            let wanted = intended(&file, &found, &file[range.clone()].concat(), &replacement);
            let block = block(&file, &wanted, &range, &hunks_between("", &new));
            prop_assert!(matches!(block, Ok(_) | Err(Unfit::Same)), "{:?}", block);
        }
    }
}

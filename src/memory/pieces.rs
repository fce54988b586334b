//! Pieces: a long message is found by the part of it that fits. Cut where a reader would cut: between paragraphs, else between lines,
//! sentences, words. Pure.

use std::ops::Range;

/// Characters of a piece, about. A question is answered by a paragraph or two; a piece much larger is about too many things to rank.
const WANTED: usize = 1_500;
/// Characters a block of code may have and stay in one piece.
const CODE: usize = 3_000;
/// Characters at most that a piece repeats of the one before, where a cut went through a paragraph.
const OVERLAP: usize = 150;
/// Pieces of a message that are kept: its beginning and, of a very long one, its end.
const FIRST: usize = 16;
const LAST: usize = 8;

/// The pieces of a message, in order, as ranges of it. None when there is nothing in it; at most 24.
pub fn pieces(text: &str) -> Vec<Range<usize>> {
    let mut packed: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for (block, is_code) in blocks(text) {
        let size = text[block.clone()].chars().count();
        if size > if is_code { CODE } else { WANTED } {
            packed.extend(split_block(text, block));
            open = false;
            continue;
        }
        match packed.last_mut().filter(|last| open && text[last.start..block.end].chars().count() <= WANTED) {
            Some(last) => last.end = block.end,
            None => packed.push(block),
        }
        open = true;
    }
    if packed.len() > FIRST + LAST {
        packed.drain(FIRST..packed.len() - LAST);
    }
    packed
}

/// Paragraphs and fenced blocks of code, without the space around them.
fn blocks(text: &str) -> Vec<(Range<usize>, bool)> {
    let mut found: Vec<(Range<usize>, bool)> = Vec::new();
    let mut fence: Option<&str> = None;
    let mut open = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let (start, content) = (at, line.trim());
        at += line.len();
        let mark = ["```", "~~~"].into_iter().find(|mark| content.starts_with(mark));
        let in_code = fence.is_some();
        if content.is_empty() && !in_code {
            open = false;
            continue;
        }
        let end = start + line.trim_end().len();
        let begins_code = mark.is_some() && !in_code;
        match found.last_mut().filter(|_| open && !begins_code) {
            Some((range, _)) => range.end = range.end.max(end),
            None => found.push((start..end, begins_code)),
        }
        open = true;
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(closing), Some(mark)) if closing == mark => {
                fence = None;
                open = false;
            }
            _ => {}
        }
    }
    found.retain(|(range, _)| range.start < range.end);
    found
}

/// A block that is too large: at line ends, else after sentences, else between words, else anywhere.
fn split_block(text: &str, block: Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = block.start;
    while start < block.end {
        let limit = char_end(text, start, WANTED).min(block.end);
        let end = if limit == block.end { limit } else { cut(text, start, limit) };
        found.push(start..end);
        if end == block.end || found.len() > FIRST + 2 * LAST {
            // What is too long for that many pieces is represented by its end.
            if end < block.end {
                found.push(tail(text, &block));
            }
            break;
        }
        start = overlapping(text, start, end);
    }
    found
}

fn tail(text: &str, block: &Range<usize>) -> Range<usize> {
    let back = text[block.clone()].char_indices().rev().nth(WANTED - 1).map_or(0, |(at, _)| at);
    block.start + back..block.end
}

/// The best place to cut in the second half of `start..limit`.
fn cut(text: &str, start: usize, limit: usize) -> usize {
    let middle = text.floor_char_boundary(start + (limit - start) / 2);
    let half = &text[middle..limit];
    let after = |found: Option<usize>, len: usize| found.map(|at| middle + at + len);
    let sentence = [". ", "! ", "? ", "。", "; "].into_iter().filter_map(|mark| after(half.rfind(mark), mark.len())).max();
    after(half.rfind('\n'), 1).or(sentence).or(after(half.rfind(' '), 1)).unwrap_or(limit)
}

/// Where the piece after one that ends at `end` begins: a little earlier, at the beginning of a line, sentence or word.
fn overlapping(text: &str, start: usize, end: usize) -> usize {
    let back = text[start..end].char_indices().rev().nth(OVERLAP - 1).map_or(start, |(at, _)| start + at);
    let shared = &text[back..end];
    let begins = [("\n", 1), (". ", 2), (" ", 1)].into_iter().find_map(|(mark, len)| shared.find(mark).map(|at| back + at + len));
    // Always later than this piece began, or it would not end.
    begins.filter(|begins| *begins > start && *begins <= end).unwrap_or(end)
}

fn char_end(text: &str, start: usize, chars: usize) -> usize {
    text[start..].char_indices().nth(chars).map_or(text.len(), |(at, _)| start + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Vec<&str> {
        pieces(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn a_short_message_is_one_piece() {
        assert_eq!(shown("  We use Postgres.\n\nIt is fine.\n"), ["  We use Postgres.\n\nIt is fine."]);
        assert!(pieces(" \n\n ").is_empty());
    }

    #[test]
    fn paragraphs_stay_whole_and_code_together() {
        let (one, two) = ("First. ".repeat(150), "Second. ".repeat(150));
        let code = format!("```rust\n{}```", "let x = 1;\n\n".repeat(180));
        let text = format!("{one}\n\n{two}\n\n{code}\n\nThe end.");
        let pieces = shown(&text);
        assert_eq!(pieces, [one.trim_end(), two.trim_end(), &code, "The end."]);
    }

    #[test]
    fn a_long_paragraph_is_cut_after_sentences_and_overlaps() {
        let text = (0..200).map(|number| format!("Sentence number {number} says a little.")).collect::<Vec<_>>().join(" ");
        let pieces = shown(&text);
        assert!(pieces.len() > 4);
        for pair in pieces.windows(2) {
            assert!(pair[0].ends_with(". ") && pair[1].starts_with("Sentence"), "{pair:?}");
            let repeated = &pair[1][..30];
            assert!(pair[0].contains(repeated), "{repeated} is not repeated");
        }
    }

    #[test]
    fn a_huge_message_keeps_its_beginning_and_its_end() {
        let text =
            (0..20_000).map(|number| format!("Paragraph {number}.\n\n{}", "word ".repeat(60))).collect::<Vec<_>>().join("\n\n");
        let pieces = shown(&text);
        assert_eq!(pieces.len(), FIRST + LAST);
        assert!(pieces[0].starts_with("Paragraph 0.") && pieces[23].contains("Paragraph 19999."));
        for junk in ["x".repeat(1 << 20), "```\n".to_owned() + &"y".repeat(1 << 20), "é\n".repeat(1 << 18)] {
            let pieces = shown(&junk);
            assert!(!pieces.is_empty() && pieces.len() <= FIRST + LAST);
            assert!(pieces.last().is_some_and(|last| junk.trim_end().ends_with(last.trim_end())));
        }
    }

    proptest! {
        #[test]
        fn pieces_are_small_ordered_and_lose_nothing(text in "([a-zé .]{0,400}|\n|\n\n|```\n|数{0,300}){0,30}") {
            let pieces = pieces(&text);
            prop_assert!(pieces.len() <= FIRST + LAST);
            let mut covered = 0;
            for piece in &pieces {
                prop_assert!(piece.start < piece.end && text[piece.clone()].chars().count() <= CODE);
                if pieces.len() < FIRST + LAST {
                    prop_assert!(piece.start <= covered || text[covered..piece.start].trim().is_empty());
                }
                prop_assert!(piece.end > covered);
                covered = piece.end;
            }
            prop_assert!(text[covered..].trim().is_empty());
        }
    }
}

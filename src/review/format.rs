//! Takes over what a formatter made of suggestions, where that stays inside the lines they replace.

use std::ops::Range;

use similar::DiffOp;

use super::apply::{Block, READINGS, apply};
use super::lines::{content, lines};
use crate::diffing;

/// What becomes of a block after the formatter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Formatted {
    /// It stays as it is.
    Same,
    /// This is the block now.
    Changed(Block),
    /// The formatter changes lines around it, or takes the change back.
    Unfit,
}

/// What becomes of each of `blocks` (in the order of their lines, applied to `base` and giving `wanted`) when the formatter makes
/// `formatted` of it. Changes elsewhere in the file are nobody's: the file was not formatted before. Computes for up to
/// [`diffing::LONGEST`]; where that is not enough, none of them fits.
pub fn formatted(base: &str, blocks: &[Block], wanted: &str, formatted: &str) -> Vec<Formatted> {
    if wanted == formatted {
        return vec![Formatted::Same; blocks.len()];
    }
    let (old, new) = (lines(wanted), lines(formatted));
    let Some(ops) = diffing::compare(&old, &new) else { return vec![Formatted::Unfit; blocks.len()] };
    let mut shift = 0_i64;
    let region = |block: &Block| {
        let start = usize::try_from(i64::from(block.first) - 1 + shift).unwrap_or_default();
        let put = lines(&block.text).len();
        shift += put as i64 - i64::from(block.last - block.first + 1);
        start..start + put
    };
    let regions: Vec<Range<usize>> = blocks.iter().map(region).collect();
    blocks.iter().zip(regions).map(|(block, region)| one(base, block, &region, &ops, &new)).collect()
}

fn one(base: &str, block: &Block, region: &Range<usize>, ops: &[DiffOp], new: &[&str]) -> Formatted {
    let mut text = String::new();
    let mut touched = false;
    for op in ops {
        let (old, put) = (op.old_range(), op.new_range());
        let inside = region.start <= old.start && old.end <= region.end;
        let overlaps = old.start < region.end && region.start < old.end;
        match op {
            DiffOp::Equal { .. } => {
                let (from, to) = (old.start.max(region.start), old.end.min(region.end));
                if from < to {
                    let offset = put.start + (from - old.start);
                    push(&mut text, &new[offset..offset + (to - from)]);
                }
            }
            DiffOp::Insert { .. } | DiffOp::Replace { .. } | DiffOp::Delete { .. } if inside && !region.is_empty() => {
                touched = true;
                push(&mut text, &new[put]);
            }
            DiffOp::Insert { .. } | DiffOp::Replace { .. } | DiffOp::Delete { .. } if overlaps => return Formatted::Unfit,
            DiffOp::Insert { .. } | DiffOp::Replace { .. } | DiffOp::Delete { .. } => {}
        }
    }
    if !touched {
        return Formatted::Same;
    }
    let changed = Block { text, ..block.clone() };
    let made: Vec<Option<String>> = READINGS.iter().map(|reading| apply(base, &changed, *reading)).collect();
    let clear = made.iter().all(|one| one.is_some() && *one == made[0]);
    if clear && made[0].as_deref() != Some(base) { Formatted::Changed(changed) } else { Formatted::Unfit }
}

fn push(text: &mut String, lines: &[&str]) {
    for line in lines {
        text.push_str(content(line));
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::apply::apply_all;
    use super::*;

    fn block(first: u32, last: u32, text: &str) -> Block {
        Block { first, last, text: text.into() }
    }

    fn after(base: &str, blocks: &[Block], made: &str) -> Vec<Formatted> {
        formatted(base, blocks, &apply_all(base, blocks).unwrap(), made)
    }

    #[test]
    fn what_the_formatter_does_inside_is_taken_over() {
        let base = "a\nb\nc\nd\n";
        let blocks = [block(2, 2, "x( 1 )\ny\n"), block(4, 4, "z\n")];
        assert_eq!(after(base, &blocks, "a\nx( 1 )\ny\nc\nz\n"), [Formatted::Same, Formatted::Same]);
        let made = after(base, &blocks, "a\nx(1)\ny\nc\nz\n");
        assert_eq!(made, [Formatted::Changed(block(2, 2, "x(1)\ny\n")), Formatted::Same]);
        assert_eq!(after(base, &blocks, "A\nx( 1 )\ny\nc\nz\n"), [Formatted::Same, Formatted::Same], "nobody's");
        assert_eq!(after(base, &blocks, "a\nX\nC\nz\n")[0], Formatted::Unfit, "lines around it");
        assert_eq!(after(base, &[block(2, 2, "B\n")], base), [Formatted::Unfit], "taken back");
    }
}

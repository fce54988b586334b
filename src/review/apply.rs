//! Applies suggestions as GitHub's button does.
//!
//! What GitHub publishes leaves some cases open: how a new line ends where a file mixes line ends, and what becomes of a last line that
//! ends with none. So there is more than one [`Reading`] of the rules, and a suggestion counts as exact only when all of them agree.

use super::lines::{content, end, end_at, lines};

/// A block of replacement text for some lines of a file, as a comment carries it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Block {
    /// The first line it replaces, from 1.
    pub first: u32,
    /// The last one.
    pub last: u32,
    /// What the block holds: lines that end with `\n`; empty deletes.
    pub text: String,
}

/// A way to understand how suggestions are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Lines are exchanged with their ends; new ones end as those they replace, else as their neighbours.
    Neighbours,
    /// The text is taken apart at its line feeds and put together again; new lines end as most lines of the file do.
    Majority,
    /// The same, and new lines end as the first line of the file.
    First,
}

/// All of them.
pub const READINGS: [Reading; 3] = [Reading::Neighbours, Reading::Majority, Reading::First];

/// The file with one block applied; none when the file has no such lines.
pub fn apply(file: &str, block: &Block, reading: Reading) -> Option<String> {
    let old = lines(file);
    let first = usize::try_from(block.first).ok()?.checked_sub(1)?;
    let after = usize::try_from(block.last).ok()?;
    if first >= after || after > old.len() {
        return None;
    }
    let ending = match reading {
        Reading::Neighbours => end_at(&old, first, after),
        Reading::Majority => majority(&old),
        Reading::First => old.first().map(|line| end(line)).filter(|end| !end.is_empty()).unwrap_or("\n"),
    };
    let put: Vec<String> = lines(&block.text).into_iter().map(|line| format!("{}{ending}", content(line))).collect();
    let (above, below) = (old[..first].concat(), old[after..].concat());
    let open = old.last().is_some_and(|last| end(last).is_empty()) && after == old.len();
    let whole = format!("{above}{}{below}", put.concat());
    if !open {
        return Some(whole);
    }
    Some(match reading {
        Reading::Neighbours if put.is_empty() => whole,
        Reading::Neighbours | Reading::Majority | Reading::First => {
            let cut = whole.strip_suffix('\n').unwrap_or(&whole);
            cut.strip_suffix('\r').unwrap_or(cut).to_owned()
        }
    })
}

/// The file with several blocks applied, none of which share a line; none when one does not fit.
pub fn apply_all<'a>(file: &str, blocks: impl IntoIterator<Item = &'a Block>) -> Option<String> {
    let mut blocks: Vec<&Block> = blocks.into_iter().collect();
    blocks.sort_by_key(|block| std::cmp::Reverse(block.first));
    let apart = blocks.windows(2).all(|pair| pair[1].last < pair[0].first);
    if !apart {
        return None;
    }
    // From the end, so that what is above keeps its numbers.
    blocks.into_iter().try_fold(file.to_owned(), |file, block| apply(&file, block, Reading::Neighbours))
}

/// True when the block makes exactly this of the file, however the rules are read.
pub fn makes(file: &str, block: &Block, wanted: &str) -> bool {
    READINGS.iter().all(|reading| apply(file, block, *reading).as_deref() == Some(wanted))
}

fn majority(file: &[&str]) -> &'static str {
    let windows = file.iter().filter(|line| end(line) == "\r\n").count();
    let plain = file.iter().filter(|line| end(line) == "\n").count();
    if windows > plain { "\r\n" } else { "\n" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn all(file: &str, first: u32, last: u32, text: &str) -> Vec<String> {
        let block = Block { first, last, text: text.into() };
        let mut made: Vec<String> = READINGS.iter().map(|reading| apply(file, &block, *reading).unwrap()).collect();
        made.dedup();
        made
    }

    #[test]
    fn clear_cases_are_read_in_one_way() {
        assert_eq!(all("a\nb\nc\n", 2, 2, "x\ny\n"), ["a\nx\ny\nc\n"]);
        assert_eq!(all("a\r\nb\r\nc\r\n", 1, 2, "x\n"), ["x\r\nc\r\n"]);
        assert_eq!(all("a\nb", 2, 2, "x\n"), ["a\nx"]);
        assert_eq!(all("a\nb\nc\n", 2, 3, ""), ["a\n"]);
        assert_eq!(all("a\nb\nc\n", 2, 2, "\n"), ["a\n\nc\n"]);
        assert_eq!(all("a\n", 1, 1, ""), [""]);
    }

    #[test]
    fn unclear_cases_are_not() {
        assert_eq!(all("a\nb", 2, 2, ""), ["a\n", "a"]);
        assert_eq!(all("a\r\nb\nc\n", 1, 1, "x\n"), ["x\r\nb\nc\n", "x\nb\nc\n", "x\r\nb\nc\n"]);
        assert!(!makes("a\nb", &Block { first: 2, last: 2, text: String::new() }, "a"));
        assert_eq!(apply("a\n", &Block { first: 2, last: 2, text: "x\n".into() }, Reading::First), None);
    }

    #[test]
    fn several_blocks_are_applied_together() {
        let block = |first, last, text: &str| Block { first, last, text: text.into() };
        let blocks = [block(1, 1, "x\ny\n"), block(3, 3, "")];
        assert_eq!(apply_all("a\nb\nc\nd\n", &blocks).unwrap(), "x\ny\nb\nd\n");
        assert_eq!(apply_all("a\nb\n", &[block(1, 2, "x\n"), block(2, 2, "y\n")]), None);
    }
}

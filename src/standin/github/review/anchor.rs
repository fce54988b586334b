//! Where a comment stands: whether a diff has such lines, and where they are after further commits.

use super::super::diff::{Change, Hunk, Line, hunks, patch};
use super::super::world::World;
use super::write::Wanted;
use super::{ReviewComment, Reviews};

/// A side of a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The file before the change.
    Left,
    /// The file after the change.
    Right,
}

impl Side {
    /// GitHub's word.
    pub(in super::super) fn as_str(self) -> &'static str {
        match self {
            Self::Left => "LEFT",
            Self::Right => "RIGHT",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "LEFT" => Some(Self::Left),
            "RIGHT" => Some(Self::Right),
            _ => None,
        }
    }

    fn number(self, line: &Line) -> Option<u32> {
        match self {
            Self::Left => line.old,
            Self::Right => line.new,
        }
    }
}

/// A line of a diff, or some lines in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The side of the last line.
    pub side: Side,
    /// The last line.
    pub line: u32,
    /// The first line and its side; none for a single line.
    pub start: Option<(Side, u32)>,
    /// How many lines below the first `@@` of the file the last line stands.
    pub position: u32,
}

impl Anchor {
    /// The first line.
    pub fn first(&self) -> u32 {
        self.start.map_or(self.line, |(_, line)| line)
    }
}

/// Where a comment stands in the diff of the head.
pub(in super::super) struct Current {
    pub commit: String,
    /// None for a comment on a whole file.
    pub anchor: Option<Anchor>,
}

/// Why a diff has no such place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misplaced {
    /// No line, no position and not about the file.
    Nowhere,
    /// The side is neither `LEFT` nor `RIGHT`.
    Side,
    /// The line is not in the diff.
    Line,
    /// The first line is not in the diff or in another hunk.
    StartLine,
    /// The first line is not before the last.
    Order,
}

/// Finds the lines a comment wants in a file's patch, and the piece of the diff it is shown under.
pub(super) fn place(patch: &str, wanted: &Wanted) -> Result<(Anchor, String), Misplaced> {
    let hunks = hunks(patch);
    let side =
        |word: &Option<String>, otherwise| word.as_deref().map_or(Ok(otherwise), |w| Side::parse(w).ok_or(Misplaced::Side));
    let Some(number) = wanted.line else {
        let position = wanted.position.ok_or(Misplaced::Nowhere)?;
        return at_position(&hunks, position).ok_or(Misplaced::Line);
    };
    let end_side = side(&wanted.side, Side::Right)?;
    let (hunk, end) = find(&hunks, end_side, number).ok_or(Misplaced::Line)?;
    let mut anchor = Anchor { side: end_side, line: number, start: None, position: hunk.lines[end].position };
    if let Some(start) = wanted.start_line {
        let start_side = side(&wanted.start_side, end_side)?;
        if start_side == end_side && start >= number {
            return Err(Misplaced::Order);
        }
        let first = hunk.lines.iter().position(|line| start_side.number(line) == Some(start)).ok_or(Misplaced::StartLine)?;
        if first >= end {
            return Err(Misplaced::Order);
        }
        anchor.start = Some((start_side, start));
    }
    Ok((anchor, excerpt(hunk, end)))
}

fn find(hunks: &[Hunk], side: Side, number: u32) -> Option<(&Hunk, usize)> {
    hunks.iter().find_map(|hunk| {
        let at = hunk.lines.iter().position(|line| side.number(line) == Some(number))?;
        Some((hunk, at))
    })
}

fn at_position(hunks: &[Hunk], position: u32) -> Option<(Anchor, String)> {
    hunks.iter().find_map(|hunk| {
        let at = hunk.lines.iter().position(|line| line.position == position)?;
        let line = &hunk.lines[at];
        let (side, number) = match line.change {
            Change::Removed => (Side::Left, line.old?),
            Change::Kept | Change::Added => (Side::Right, line.new?),
        };
        Some((Anchor { side, line: number, start: None, position }, excerpt(hunk, at)))
    })
}

/// The hunk down to a line, as GitHub shows it above a comment.
fn excerpt(hunk: &Hunk, end: usize) -> String {
    let lines = hunk.lines[..=end].iter().map(|line| {
        let sign = match line.change {
            Change::Kept => ' ',
            Change::Added => '+',
            Change::Removed => '-',
        };
        format!("{sign}{}", line.text)
    });
    std::iter::once(hunk.header.clone()).chain(lines).collect::<Vec<_>>().join("\n")
}

/// Where a line of one content is in another; none when it was changed or removed.
pub(super) fn moved(from: &[u8], to: &[u8], line: u32) -> Option<u32> {
    let patch = patch(from, to)?;
    let mut shift: i64 = 0;
    for hunk in hunks(&patch) {
        for one in &hunk.lines {
            match one.old {
                Some(old) if old == line => return one.new,
                Some(old) if old > line => return u32::try_from(i64::from(line) + shift).ok(),
                Some(_) | None => {}
            }
            if let (Some(old), Some(new)) = (one.old, one.new) {
                shift = i64::from(new) - i64::from(old);
            }
        }
    }
    u32::try_from(i64::from(line) + shift).ok()
}

impl World {
    /// Where a comment stands now; none when it is outdated.
    pub(in super::super) fn current(&self, comment: &ReviewComment) -> Option<Current> {
        self.current_at(comment, &self.head_of(comment.pull)?)
    }

    fn current_at(&self, comment: &ReviewComment, head: &str) -> Option<Current> {
        let patch = self.patch_at(comment.pull, head, &comment.path)?;
        let commit = head.to_owned();
        let Some(anchor) = comment.anchor else { return Some(Current { commit, anchor: None }) };
        if head == comment.original_commit {
            return Some(Current { commit, anchor: Some(anchor) });
        }
        let follow = |side, line| match side {
            Side::Right => {
                let content = |sha: &str| self.content_at(comment.pull, sha, &comment.path);
                moved(&content(&comment.original_commit)?, &content(head)?, line)
            }
            Side::Left => {
                let content = |sha: &str| self.content_before(comment.pull, sha, &comment.path);
                moved(&content(&comment.original_commit)?, &content(head)?, line)
            }
        };
        let line = follow(anchor.side, anchor.line)?;
        let start = match anchor.start {
            Some((side, start)) => Some((side, follow(side, start)?)),
            None => None,
        };
        // Lines in between may have come or gone: then it is not the same passage any more.
        if let (Some((side, start)), Some((_, original))) = (start, anchor.start)
            && side == anchor.side
            && (line.checked_sub(start) != anchor.line.checked_sub(original)
                || (original..anchor.line).any(|between| follow(side, between).is_none()))
        {
            return None;
        }
        let wanted = Wanted {
            line: Some(line),
            side: Some(anchor.side.as_str().into()),
            start_line: start.map(|(_, line)| line),
            start_side: start.map(|(side, _)| side.as_str().into()),
            ..Wanted::default()
        };
        let (anchor, _) = place(&patch?, &wanted).ok()?;
        Some(Current { commit, anchor: Some(anchor) })
    }

    /// The last commit of the pull request at which a comment was not outdated.
    pub(super) fn last_current(&self, comment: &ReviewComment) -> String {
        let commits = self.commit_ids(comment.pull);
        let later = commits.iter().rev().take_while(|sha| **sha != comment.original_commit);
        let found = later.into_iter().find(|sha| self.current_at(comment, sha).is_some());
        found.unwrap_or(&comment.original_commit).clone()
    }
}

impl Reviews {
    /// Forgets everything.
    pub(in super::super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_found_on_their_side_and_ranges_only_within_a_hunk() {
        let old: String = (1..=40).map(|n| format!("{n}\n")).collect();
        let new = old.replace("10\n", "ten\n").replace("30\n", "");
        let patch = patch(old.as_bytes(), new.as_bytes()).unwrap();
        let at = |line, side: &str, start| {
            let wanted = Wanted { line: Some(line), side: Some(side.into()), start_line: start, ..Wanted::default() };
            place(&patch, &wanted).map(|(anchor, _)| anchor.position)
        };
        assert_eq!(at(10, "RIGHT", None), Ok(5));
        assert_eq!(at(10, "LEFT", None), Ok(4));
        assert_eq!(at(30, "LEFT", None), Ok(13));
        assert_eq!(at(13, "RIGHT", Some(7)), Ok(8));
        assert_eq!(at(20, "RIGHT", None), Err(Misplaced::Line));
        assert_eq!(at(10, "right", None), Err(Misplaced::Side));
        assert_eq!(at(10, "RIGHT", Some(10)), Err(Misplaced::Order));
        assert_eq!(at(10, "RIGHT", Some(6)), Err(Misplaced::StartLine));
        assert_eq!(at(30, "RIGHT", Some(10)), Err(Misplaced::StartLine));
    }

    proptest! {
        #[test]
        fn a_line_that_stayed_is_found_with_the_same_text(old in "([a-f]{0,2}\n){1,60}", new in "([a-f]{0,2}\n){1,60}", at in 0..60usize) {
            let lines: Vec<&str> = old.lines().collect();
            let at = at % lines.len();
            if let Some(found) = moved(old.as_bytes(), new.as_bytes(), u32::try_from(at + 1).unwrap()) {
                prop_assert_eq!(new.lines().nth(found as usize - 1), Some(lines[at]));
            }
        }
    }
}

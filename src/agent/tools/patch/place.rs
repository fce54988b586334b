//! Finds where a hunk belongs in a file: exactly, then a little off, then with other white space if only one place can be meant.

use super::parse::{Hunk, Line};

/// A line of a file and how it ends: `\n`, `\r\n`, or nothing at the end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileLine<'a> {
    pub text: &'a str,
    pub end: &'a str,
}

/// Splits a text, so that joining texts and ends gives it back.
pub(super) fn file_lines(content: &str) -> Vec<FileLine<'_>> {
    let split = |line| match str::strip_suffix(line, '\n') {
        Some(text) => match text.strip_suffix('\r') {
            Some(text) => FileLine { text, end: "\r\n" },
            None => FileLine { text, end: "\n" },
        },
        None => FileLine { text: line, end: "" },
    };
    content.split_inclusive('\n').map(split).collect()
}

/// How closely a hunk is compared with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Every character, line ends too.
    Exact,
    /// But for line ends.
    LineEnds,
    /// But for white space at the end of lines.
    Trailing,
    /// But for white space, with an indentation that differs by the same in all lines.
    Indented,
}

/// What stands before each line of the file and not of the patch, or the other way round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Indent {
    Same,
    More(String),
    Less(String),
}

/// Where a hunk belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// Index of the first line.
    pub at: usize,
    /// How many lines of the file it covers.
    pub covered: usize,
    pub likeness: Likeness,
    pub indent: Indent,
}

impl Placed {
    fn overlaps(&self, at: usize, covered: usize) -> bool {
        at < self.at + self.covered && self.at < at + covered
    }
}

/// Why a hunk has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misplaced {
    /// It is nowhere.
    Nowhere,
    /// It could be at more than one place; the lines of the first two, counted from 1.
    Ambiguous(usize, usize),
}

/// The place of a hunk. `expected` is the index where it should be; places that are taken are not looked at.
pub(super) fn find(hunk: &Hunk, file: &[FileLine<'_>], expected: Option<usize>, taken: &[Placed]) -> Result<Placed, Misplaced> {
    let old: Vec<&Line> = hunk.before().collect();
    if old.is_empty() {
        // Nothing to compare with: the number alone decides.
        let at = expected.filter(|at| *at <= file.len()).ok_or(Misplaced::Nowhere)?;
        return Ok(Placed { at, covered: 0, likeness: Likeness::LineEnds, indent: Indent::Same });
    }
    for likeness in [Likeness::Exact, Likeness::LineEnds, Likeness::Trailing, Likeness::Indented] {
        let last = file.len().checked_sub(old.len()).ok_or(Misplaced::Nowhere)?;
        let mut found: Vec<Placed> = (0..=last)
            .filter(|at| !taken.iter().any(|placed| placed.overlaps(*at, old.len())))
            .filter_map(|at| {
                let indent = compare(&old, &file[at..at + old.len()], likeness)?;
                Some(Placed { at, covered: old.len(), likeness, indent })
            })
            .collect();
        if old.iter().any(|line| !line.ends) && found.iter().any(|placed| placed.at == last) {
            found.retain(|placed| placed.at == last);
        }
        match (&found[..], likeness) {
            ([], _) => {}
            ([only], _) => return Ok(only.clone()),
            ([first, second, ..], Likeness::Trailing | Likeness::Indented) => {
                return Err(Misplaced::Ambiguous(first.at + 1, second.at + 1));
            }
            (many, Likeness::Exact | Likeness::LineEnds) => return nearest(many, expected),
        }
    }
    Err(Misplaced::Nowhere)
}

fn nearest(many: &[Placed], expected: Option<usize>) -> Result<Placed, Misplaced> {
    let Some(expected) = expected else { return Err(Misplaced::Ambiguous(many[0].at + 1, many[1].at + 1)) };
    let mut by_distance: Vec<&Placed> = many.iter().collect();
    by_distance.sort_by_key(|placed| placed.at.abs_diff(expected));
    let (first, second) = (by_distance[0], by_distance[1]);
    if first.at.abs_diff(expected) == second.at.abs_diff(expected) {
        return Err(Misplaced::Ambiguous(first.at.min(second.at) + 1, first.at.max(second.at) + 1));
    }
    Ok(first.clone())
}

fn compare(old: &[&Line], file: &[FileLine<'_>], likeness: Likeness) -> Option<Indent> {
    let same = |alike: &dyn Fn(&Line, &FileLine<'_>) -> bool| {
        old.iter().zip(file).all(|(line, there)| alike(line, there)).then_some(Indent::Same)
    };
    match likeness {
        Likeness::Exact => {
            same(&|line, there| line.text == there.text && (there.end.is_empty() || line.cr == (there.end == "\r\n")))
        }
        Likeness::LineEnds => same(&|line, there| line.text == there.text),
        Likeness::Trailing => same(&|line, there| line.text.trim_end() == there.text.trim_end()),
        Likeness::Indented => indented(old, file),
    }
}

fn indented(old: &[&Line], file: &[FileLine<'_>]) -> Option<Indent> {
    let mut indent = None;
    for (line, there) in old.iter().zip(file) {
        if !line.text.split_whitespace().eq(there.text.split_whitespace()) {
            return None;
        }
        if line.text.trim().is_empty() {
            continue;
        }
        let before = |text: &str| text[..text.len() - text.trim_start().len()].to_owned();
        let (ours, theirs) = (before(&line.text), before(there.text));
        let this = if ours == theirs {
            Indent::Same
        } else if let Some(more) = theirs.strip_suffix(&ours) {
            Indent::More(more.to_owned())
        } else {
            Indent::Less(ours.strip_suffix(&theirs)?.to_owned())
        };
        if indent.get_or_insert_with(|| this.clone()) != &this {
            return None;
        }
    }
    indent
}

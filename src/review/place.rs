//! Finds the passage a finding is about in the reviewed file.
//!
//! The rule: the lines as they stand, first. Where they are not there, blanks at the ends of lines do not count; then, a piece of the
//! file that begins or ends within a line; then, lines that all lack the same blanks at their beginning. Nothing else is guessed.

use std::ops::Range;

use super::lines::{content, written};

/// A passage of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its lines, counted from 0.
    pub lines: Range<usize>,
    /// What stands before it in its first line.
    pub before: String,
    /// What stands after it in its last line.
    pub after: String,
    /// What its lines have before what was written down.
    pub indent: String,
}

impl Found {
    fn whole(lines: Range<usize>) -> Self {
        Self { lines, before: String::new(), after: String::new(), indent: String::new() }
    }
}

/// Why a passage was not found. The text is for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Nothing to look for.
    #[error("`original` is empty; give the exact lines of the file it is about")]
    Empty,
    /// It is not there.
    #[error("`original` does not stand in the file as it was reviewed. {0}")]
    Missing(String),
    /// It is there more than once.
    #[error("`original` stands there several times, beginning at the lines {0}; say which with `line`, or give more lines")]
    Several(String),
}

/// Most places that are named.
const MOST_NAMED: usize = 12;

/// Finds a passage that stands exactly once, or the one that begins at `line` (from 1).
///
/// # Errors
/// When there is none, or more than one and `line` names none of them.
pub fn find(file: &[&str], original: &str, line: Option<i64>) -> Result<Found, Lost> {
    let wanted = written(original);
    if wanted.iter().all(|line| line.trim().is_empty()) && (wanted.is_empty() || line.is_none()) {
        return Err(Lost::Empty);
    }
    let ways: [&dyn Fn() -> Vec<Found>; 4] = [
        &|| windows(file, &wanted, |have, want| have == want),
        &|| windows(file, &wanted, |have, want| have.trim_end() == want.trim_end()),
        &|| within_lines(file, &wanted),
        &|| indented(file, &wanted),
    ];
    for way in ways {
        let found = way();
        if !found.is_empty() {
            return one(found, line);
        }
    }
    Err(Lost::Missing(nearest(file, &wanted)))
}

fn one(found: Vec<Found>, line: Option<i64>) -> Result<Found, Lost> {
    let mut found = found;
    if found.len() == 1 {
        return Ok(found.remove(0));
    }
    let at = line.and_then(|line| usize::try_from(line).ok()?.checked_sub(1));
    let chosen: Vec<&Found> = found.iter().filter(|found| Some(found.lines.start) == at).collect();
    if let [chosen] = chosen[..] {
        return Ok(chosen.clone());
    }
    let numbers: Vec<String> = found.iter().take(MOST_NAMED).map(|found| (found.lines.start + 1).to_string()).collect();
    let more = if found.len() > MOST_NAMED { ", …" } else { "" };
    Err(Lost::Several(format!("{}{more}", numbers.join(", "))))
}

/// A line of the file without what nobody writes down.
fn plain<'a>(file: &[&'a str], at: usize) -> &'a str {
    let line = content(file[at]);
    if at == 0 { line.trim_start_matches('\u{feff}') } else { line }
}

/// Everywhere the lines stand, by a way to compare them.
fn windows(file: &[&str], wanted: &[&str], same: impl Fn(&str, &str) -> bool) -> Vec<Found> {
    let Some(last) = file.len().checked_sub(wanted.len()).filter(|_| !wanted.is_empty()) else { return Vec::new() };
    let fits = |start: &usize| wanted.iter().enumerate().all(|(at, want)| same(plain(file, start + at), want));
    (0..=last).filter(fits).map(|start| Found::whole(start..start + wanted.len())).collect()
}

/// Where all lines that are not blank have the same blanks more at their beginning.
fn indented(file: &[&str], wanted: &[&str]) -> Vec<Found> {
    let Some(first) = wanted.iter().position(|line| !line.trim().is_empty()) else { return Vec::new() };
    let Some(last) = file.len().checked_sub(wanted.len()) else { return Vec::new() };
    let mut found = Vec::new();
    for start in 0..=last {
        let Some(indent) = plain(file, start + first).trim_end().strip_suffix(wanted[first].trim_end()) else { continue };
        if indent.is_empty() || !indent.trim().is_empty() {
            continue;
        }
        let fits = wanted.iter().enumerate().all(|(at, want)| {
            let have = plain(file, start + at);
            match want.trim().is_empty() {
                true => have.trim().is_empty(),
                false => have.strip_prefix(indent).is_some_and(|have| have.trim_end() == want.trim_end()),
            }
        });
        if fits {
            found.push(Found { indent: indent.to_owned(), ..Found::whole(start..start + wanted.len()) });
        }
    }
    found
}

/// Where the passage begins or ends within a line.
fn within_lines(file: &[&str], wanted: &[&str]) -> Vec<Found> {
    let Some((first, rest)) = wanted.split_first() else { return Vec::new() };
    let mut found = Vec::new();
    let Some(most) = file.len().checked_sub(wanted.len()) else { return found };
    for start in 0..=most {
        let line = plain(file, start);
        match rest.split_last() {
            None => found.extend(line.match_indices(first).map(|(at, _)| Found {
                before: line[..at].to_owned(),
                after: line[at + first.len()..].to_owned(),
                ..Found::whole(start..start + 1)
            })),
            Some((last, middle)) => {
                let end = plain(file, start + rest.len());
                let between = middle.iter().enumerate().all(|(at, want)| plain(file, start + 1 + at) == *want);
                if let (Some(before), Some(after), true) = (line.strip_suffix(first), end.strip_prefix(last), between) {
                    let (before, after) = (before.to_owned(), after.to_owned());
                    found.push(Found { before, after, ..Found::whole(start..start + wanted.len()) });
                }
            }
        }
    }
    found
}

/// The lines that look most like it, with their numbers.
fn nearest(file: &[&str], wanted: &[&str]) -> String {
    const ALIKE: f64 = 0.5;
    const AROUND: usize = 2;
    let Some(want) = wanted.iter().map(|line| line.trim()).find(|line| !line.is_empty()) else { return String::new() };
    let short = |text: &str| text.chars().take(120).collect::<String>();
    let want = short(want);
    let alike = file.iter().enumerate().map(|(at, line)| (strsim::normalized_levenshtein(&want, &short(line.trim())), at));
    let Some((score, at)) = alike.max_by(|a, b| a.0.total_cmp(&b.0)) else { return "The file is empty.".to_owned() };
    if score < ALIKE {
        return format!("Nothing in its {} lines looks like it; read the file again.", file.len());
    }
    let shown = at.saturating_sub(AROUND)..(at + wanted.len().min(8) + AROUND).min(file.len());
    let lines: Vec<String> = shown.map(|at| format!("{}: {}", at + 1, short(content(file[at])))).collect();
    format!("The nearest lines are:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::lines::lines;
    use super::*;

    const FILE: &str = "\u{feff}fn a() {\r\n    one();  \r\n    two();\n}\n\nfn b() {\n    two();\n}\n";

    fn at(original: &str, line: Option<i64>) -> Result<Range<usize>, Lost> {
        find(&lines(FILE), original, line).map(|found| found.lines)
    }

    #[test]
    fn a_passage_is_found_once_or_where_it_is_said_to_be() {
        assert_eq!(at("fn a() {\n    one();  \n", None), Ok(0..2));
        assert_eq!(at("    one();\n    two();", None), Ok(1..3));
        assert_eq!(at("    two();", Some(7)), Ok(6..7));
        assert_eq!(at("    two();", None).unwrap_err(), Lost::Several("3, 7".into()));
        assert_eq!(at("    two();", Some(4)).unwrap_err(), Lost::Several("3, 7".into()));
        assert_eq!(at("", None), Err(Lost::Empty));
        assert_eq!(at("\n", None), Err(Lost::Empty));
        assert_eq!(at("\n", Some(5)), Ok(4..5));
    }

    #[test]
    fn pieces_of_lines_and_lost_indentation_are_found() {
        let piece = find(&lines(FILE), "one", None).unwrap();
        assert_eq!((piece.before.as_str(), piece.after.as_str(), piece.lines), ("    ", "();  ", 1..2));
        let piece = find(&lines(FILE), "();\n}\n\nfn b", None).unwrap();
        assert_eq!((piece.before.as_str(), piece.after.as_str(), piece.lines), ("    two", "() {", 2..6));
        let shifted = find(&lines("if x:\n\n    a\n\n      b\n"), "a\n\n  b", None).unwrap();
        assert_eq!((shifted.indent.as_str(), shifted.lines), ("    ", 2..5));
    }

    #[test]
    fn what_is_not_there_is_answered_with_the_nearest_lines() {
        insta::assert_snapshot!(at("fn bb() {", None).unwrap_err(), @r"
        `original` does not stand in the file as it was reviewed. The nearest lines are:
        4: }
        5: 
        6: fn b() {
        7:     two();
        8: }
        ");
        assert!(at("something quite different", None).unwrap_err().to_string().contains("Nothing in its 8 lines"));
    }
}

//! Applies hunks to a text, and says why where that cannot be done.

use super::super::text;
use super::parse::{Hunk, Kind, Line};
use super::place::{FileLine, Indent, Likeness, Misplaced, Placed, file_lines, find};

/// Differing lines that are told of one hunk.
const MAX_SHOWN: usize = 4;
const MAX_LINE: usize = 160;
/// Lines of a file that are searched for the nearest place.
const MAX_SEARCHED: usize = 20_000;

/// A patched text.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Applied {
    pub content: String,
    /// What was not as the patch said.
    pub notes: Vec<String>,
}

/// Applies all hunks or none. What the patch does not speak of stays as it is to the byte: line ends, and whether the last line has one.
/// The error has one entry for each hunk that does not fit, with the nearest lines.
pub(in super::super) fn apply(content: &str, hunks: &[Hunk]) -> Result<Applied, Vec<String>> {
    let file = file_lines(content);
    let mut placed: Vec<Placed> = Vec::new();
    let (mut notes, mut failures) = (Vec::new(), Vec::new());
    let mut offset = 0_isize;
    for (hunk, number) in hunks.iter().zip(1..) {
        let start = hunk.start.map(|start| if hunk.before().next().is_some() { start.saturating_sub(1) } else { start });
        let expected = start.map(|start| start.saturating_add_signed(offset));
        match find(hunk, &file, expected, &placed) {
            Ok(place) => {
                notes.extend(note(number, &place, start));
                offset = start.map_or(offset, |start| place.at.wrapping_sub(start).cast_signed());
                placed.push(place);
            }
            Err(why) => failures.push(failure(number, hunk, &file, why)),
        }
    }
    if !failures.is_empty() {
        return Err(failures);
    }
    let mut order: Vec<(Placed, &Hunk)> = placed.into_iter().zip(hunks).collect();
    order.sort_by_key(|(place, _)| place.at);
    Ok(Applied { content: assemble(content, &file, &order), notes })
}

/// The content of a new file.
pub(in super::super) fn new_content(hunks: &[Hunk]) -> Result<String, String> {
    let mut content = String::new();
    for line in hunks.iter().flat_map(|hunk| &hunk.lines) {
        if line.kind == Kind::Removed {
            return Err(format!("a new file cannot lose the line `{}`", text::cut(&line.text, MAX_LINE)));
        }
        content.push_str(&line.text);
        content.push_str(match (line.ends, line.cr) {
            (false, _) => "",
            (true, true) => "\r\n",
            (true, false) => "\n",
        });
    }
    Ok(content)
}

fn note(number: usize, place: &Placed, start: Option<usize>) -> Option<String> {
    let line = place.at + 1;
    match place.likeness {
        Likeness::Exact | Likeness::LineEnds => {
            let start = start.filter(|start| *start != place.at)?;
            Some(format!("hunk {number} was found at line {line}, not at line {}", start + 1))
        }
        Likeness::Trailing => Some(format!("hunk {number} fits at line {line} but for white space at the end of lines")),
        Likeness::Indented => {
            Some(format!("hunk {number} fits at line {line} but for white space; its lines were indented as the file's"))
        }
    }
}

fn assemble(content: &str, file: &[FileLine<'_>], order: &[(Placed, &Hunk)]) -> String {
    let windows = file.iter().filter(|line| line.end == "\r\n").count();
    let common = if windows * 2 > file.len() { "\r\n" } else { "\n" };
    let mut lines: Vec<(String, &str)> = Vec::new();
    let mut at = 0;
    let mut ends = content.is_empty() || content.ends_with('\n');
    for (place, hunk) in order {
        lines.extend(file[at..place.at].iter().map(|line| (line.text.to_owned(), line.end)));
        at = place.at;
        for line in &hunk.lines {
            match line.kind {
                Kind::Context => {
                    lines.push((file[at].text.to_owned(), file[at].end));
                    at += 1;
                }
                Kind::Removed => at += 1,
                Kind::Added => lines.push((reindent(line, &place.indent), end_of(line, place, common))),
            }
        }
        if place.at + place.covered == file.len() {
            if hunk.after().any(|line| !line.ends) {
                ends = false;
            } else if hunk.before().any(|line| !line.ends) {
                ends = true;
            }
        }
    }
    lines.extend(file[at..].iter().map(|line| (line.text.to_owned(), line.end)));
    let last = lines.len().saturating_sub(1);
    let mut out = String::with_capacity(content.len());
    for (index, (text, end)) in lines.iter().enumerate() {
        out.push_str(text);
        out.push_str(match end {
            _ if index == last && !ends => "",
            &"" => common,
            end => end,
        });
    }
    out
}

/// A patch that was compared to the letter is also followed to the letter.
fn end_of(line: &Line, place: &Placed, common: &'static str) -> &'static str {
    match place.likeness {
        Likeness::Exact if line.cr => "\r\n",
        Likeness::Exact => "\n",
        // Nothing was compared.
        _ if place.covered == 0 && line.cr => "\r\n",
        Likeness::LineEnds | Likeness::Trailing | Likeness::Indented => common,
    }
}

fn reindent(line: &Line, indent: &Indent) -> String {
    match indent {
        Indent::More(more) if !line.text.trim().is_empty() => format!("{more}{}", line.text),
        Indent::Less(less) => line.text.strip_prefix(less.as_str()).unwrap_or(&line.text).to_owned(),
        Indent::Same | Indent::More(_) => line.text.clone(),
    }
}

fn failure(number: usize, hunk: &Hunk, file: &[FileLine<'_>], why: Misplaced) -> String {
    let name = format!("hunk {number} (`{}`)", text::cut(&hunk.header, MAX_LINE));
    if let Misplaced::Ambiguous(first, second) = why {
        return format!("{name} fits at line {first} and at line {second}; give more lines around the change");
    }
    let old: Vec<&Line> = hunk.before().collect();
    if old.is_empty() {
        return format!("{name} has no line that is in the file, so its place is not known: the file has {} lines", file.len());
    }
    let new: Vec<&Line> = hunk.after().collect();
    let is_there = |lines: &[&Line]| {
        file.windows(lines.len().max(1)).position(|there| lines.iter().zip(there).all(|(line, there)| line.text == there.text))
    };
    let adds = new.iter().any(|line| line.kind == Kind::Added && line.text.trim().len() > 3);
    if let Some(at) = is_there(&new).filter(|_| adds) {
        return format!("{name} seems to be applied already: its new lines are at line {}", at + 1);
    }
    match closest(&old, file) {
        Some((at, same)) if same > 0 => format!(
            "{name} does not fit. {same} of its {} old lines are at line {}, but there {}",
            old.len(),
            at + 1,
            differences(&old, file, at)
        ),
        Some(_) | None => format!("{name} does not fit, and nothing in the file is like it. {}", likest(&old, file)),
    }
}

/// Where most of these lines are, and how many. Empty lines prove nothing.
fn closest(old: &[&Line], file: &[FileLine<'_>]) -> Option<(usize, usize)> {
    let searched = &file[..file.len().min(MAX_SEARCHED)];
    let same = |at: usize| {
        let pairs = old.iter().zip(&searched[at..]);
        pairs.filter(|(line, there)| !line.text.trim().is_empty() && line.text.trim() == there.text.trim()).count()
    };
    (0..searched.len()).map(|at| (at, same(at))).max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)))
}

fn differences(old: &[&Line], file: &[FileLine<'_>], at: usize) -> String {
    let mut told = Vec::new();
    let mut more = 0;
    for (index, line) in old.iter().enumerate() {
        let there = file.get(at + index);
        if there.is_some_and(|there| there.text.trim_end() == line.text.trim_end()) {
            continue;
        }
        if told.len() == MAX_SHOWN {
            more += 1;
            continue;
        }
        let has = there.map_or_else(|| "is not there".to_owned(), |there| format!("is `{}`", text::cut(there.text, MAX_LINE)));
        told.push(format!("line {} {has} and not `{}`", at + index + 1, text::cut(&line.text, MAX_LINE)));
    }
    if more > 0 {
        told.push(format!("{more} more differ"));
    }
    told.join("; ")
}

fn likest(old: &[&Line], file: &[FileLine<'_>]) -> String {
    let wanted = old.iter().map(|line| line.text.trim()).find(|line| !line.is_empty()).unwrap_or_default();
    let scored = file.iter().take(MAX_SEARCHED).zip(1..).map(|(line, number)| {
        (strsim::normalized_levenshtein(text::head(line.text.trim(), 300), text::head(wanted, 300)), number, line.text)
    });
    match scored.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))) {
        Some((score, number, line)) if score > 0.5 => {
            format!("The closest to its first line is line {number}: `{}`", text::cut(line, MAX_LINE))
        }
        Some(_) | None => format!("The file has {} lines; read it again", file.len()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use similar::TextDiff;

    use super::super::parse;
    use super::*;

    fn patched(file: &str, hunks: &str) -> Result<Applied, Vec<String>> {
        apply(file, &parse(&format!("--- a/f\n+++ b/f\n{hunks}")).unwrap()[0].hunks)
    }

    fn content(file: &str, hunks: &str) -> String {
        patched(file, hunks).unwrap().content
    }

    fn why(file: &str, hunks: &str) -> String {
        patched(file, hunks).unwrap_err().join("\n")
    }

    const TEN: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";

    #[test]
    fn hunks_are_placed_where_they_fit() {
        assert_eq!(
            content(TEN, "@@ -2,3 +2,3 @@\n 2\n-3\n+three\n 4\n@@ -9 +9,2 @@\n-9\n+nine\n+more\n"),
            "1\n2\nthree\n4\n5\n6\n7\n8\nnine\nmore\n10\n"
        );
        // Both are seven lines further down than they say; the second follows the first.
        let file = format!("{}{}", "x\n".repeat(7), TEN);
        let moved = patched(&file, "@@ -2,2 +2,1 @@\n 2\n-3\n@@ -9 +8 @@\n-9\n+nine\n").unwrap();
        assert_eq!(moved.content, format!("{}1\n2\n4\n5\n6\n7\n8\nnine\n10\n", "x\n".repeat(7)));
        assert_eq!(
            moved.notes.join("; "),
            "hunk 1 was found at line 9, not at line 2; hunk 2 was found at line 16, not at line 9"
        );
        // The nearest of several; in the middle between two nobody can tell.
        assert_eq!(content("a\nb\na\nb\na\nb\n", "@@ -4 +4 @@\n-b\n+B\n"), "a\nb\na\nB\na\nb\n");
        assert_eq!(
            why("b\na\nb\n", "@@ -2 +2 @@\n-b\n+B\n"),
            "hunk 1 (`@@ -2 +2 @@`) fits at line 1 and at line 3; give more lines around the change"
        );
        // Without a number there must be one place only.
        assert_eq!(content("a\nb\nc\n", "@@ @@\n-b\n+B\n"), "a\nB\nc\n");
        assert!(why("b\nb\n", "@@ @@\n-b\n+B\n").contains("fits at line 1 and at line 2"));
        // Hunks in any order, and insertion by number alone.
        assert_eq!(content(TEN, "@@ -9 +9 @@\n-9\n+nine\n@@ -1 +1 @@\n-1\n+one\n"), "one\n2\n3\n4\n5\n6\n7\n8\nnine\n10\n");
        assert_eq!(content("a\nb\n", "@@ -1,0 +2 @@\n+new\n"), "a\nnew\nb\n");
        assert_eq!(content("", "@@ -0,0 +1,2 @@\n+a\n+b\n"), "a\nb\n");
    }

    #[test]
    fn white_space_is_forgiven_where_one_place_can_be_meant() {
        let file = "def f():\n    if x:\n        return 1\n    return 2  \n";
        let trailing = patched(file, "@@ -4 +4 @@\n-    return 2\n+    return 3\n").unwrap();
        assert_eq!(trailing.content, "def f():\n    if x:\n        return 1\n    return 3\n");
        assert_eq!(trailing.notes, ["hunk 1 fits at line 4 but for white space at the end of lines"]);
        let shallow = "@@ -1,2 +1,3 @@\n if x:\n-    return 1\n+    y()\n+\n+    return 9\n";
        assert_eq!(content(file, shallow), "def f():\n    if x:\n        y()\n\n        return 9\n    return 2  \n");
        let deep = "@@ -2,2 +2,2 @@\n           if x:\n-              return 1\n+              return 9\n";
        assert_eq!(content(file, deep), "def f():\n    if x:\n        return 9\n    return 2  \n");
        assert!(why("a \nb\na  \n", "@@ -1 +1 @@\n-a\n+c\n").contains("fits at line 1 and at line 3"));
        // An indentation that differs from line to line could mean anything.
        assert!(why(file, "@@ -2,2 +2,2 @@\n if x:\n-  return 1\n+  return 9\n").contains("does not fit"));
    }

    #[test]
    fn line_ends_stay_as_they_are() {
        let windows = "a\r\nb\r\nc";
        assert_eq!(content(windows, "@@ -1,2 +1,3 @@\n a\n-b\n+B\n+new\n"), "a\r\nB\r\nnew\r\nc");
        assert_eq!(content("a\nb\nc\n", "@@ -1,2 +1,2 @@\n a\r\n-b\r\n+B\r\n"), "a\nB\nc\n");
        assert_eq!(content("a\r\nb\n", "@@ -1,2 +1,2 @@\n-a\r\n+a\n b\n"), "a\nb\n", "a patch that changes line ends does so");
        // Without a word about it the last line stays without a line end; what follows it gives it one.
        assert_eq!(content("a\nb", "@@ -2 +2 @@\n-b\n+B\n"), "a\nB");
        assert_eq!(content("a\nb", "@@ -2 +2,2 @@\n b\n+c\n"), "a\nb\nc");
        assert_eq!(content("a\nb", "@@ -2 +2 @@\n-b\n\\ No newline at end of file\n+b\n"), "a\nb\n");
        assert_eq!(content("a\nb\n", "@@ -2 +2 @@\n-b\n+b\n\\ No newline at end of file\n"), "a\nb");
        assert_eq!(content("a\n", "@@ -1 +0,0 @@\n-a\n"), "");
    }

    #[test]
    fn what_does_not_fit_is_told_with_the_nearest_lines() {
        let file = "fn main() {\n    let x = 1;\n    go(x);\n}\n";
        insta::assert_snapshot!(why(file, "@@ -1,3 +1,3 @@\n fn main() {\n     let x = 2;\n-    go(x);\n+    stop(x);\n"), @"hunk 1 (`@@ -1,3 +1,3 @@`) does not fit. 2 of its 3 old lines are at line 1, but there line 2 is `    let x = 1;` and not `    let x = 2;`");
        insta::assert_snapshot!(why(file, "@@ -9 +9 @@\n-    gone(x);\n+    stop(x);\n"), @"hunk 1 (`@@ -9 +9 @@`) does not fit, and nothing in the file is like it. The closest to its first line is line 3: `    go(x);`");
        insta::assert_snapshot!(why(file, "@@ -3 +3 @@\n-    old(x);\n+    go(x);\n"), @"hunk 1 (`@@ -3 +3 @@`) seems to be applied already: its new lines are at line 3");
        insta::assert_snapshot!(why(file, "@@ -99,0 +100 @@\n+x\n"), @"hunk 1 (`@@ -99,0 +100 @@`) has no line that is in the file, so its place is not known: the file has 4 lines");
        insta::assert_snapshot!(why(file, "@@ -1 +1 @@\n-Wholly different text\n+b\n"), @"hunk 1 (`@@ -1 +1 @@`) does not fit, and nothing in the file is like it. The file has 4 lines; read it again");
        assert!(why("", "@@ -1 +1 @@\n-a\n+b\n").contains("does not fit"));
        // The good hunk does not hide the two bad ones.
        assert_eq!(
            patched(file, "@@ -1 +1 @@\n-nope nope\n+a\n@@ -2 +2 @@\n-    let x = 1;\n+\n@@ -4 +4 @@\n-neither here\n+b\n")
                .unwrap_err()
                .len(),
            2
        );
    }

    proptest! {
        #[test]
        fn a_diff_turns_the_old_text_into_the_new_one(
            old in proptest::collection::vec("[abc ]{0,3}\r?\n", 0..30), new in proptest::collection::vec("[abc ]{0,3}\r?\n", 0..30),
            old_end in "[abc]{0,2}", new_end in "[abc]{0,2}", radius in 1usize..4,
        ) {
            let (old, new) = (old.concat() + &old_end, new.concat() + &new_end);
            prop_assume!(old != new);
            let diff = TextDiff::from_lines(old.as_str(), new.as_str());
            let text = diff.unified_diff().context_radius(radius).header("a/f", "b/f").to_string();
            let files = parse(&text).unwrap();
            prop_assert_eq!(files.len(), 1);
            prop_assert_eq!(&apply(&old, &files[0].hunks).unwrap().content, &new, "{}", text);
        }

        #[test]
        fn nothing_makes_it_panic(patch in "(--- a/f\n|\\+\\+\\+ b/f\n|@@ -1,2 \\+1 @@\n|@@ \\@\\@\n|[-+ \\\\]?[ab\r]{0,2}\n){0,20}", file in "[ab \r\n]{0,20}") {
            if let Ok(files) = parse(&patch) {
                for file_patch in files {
                    let _ = apply(&file, &file_patch.hunks);
                    let _ = new_content(&file_patch.hunks);
                }
            }
        }
    }
}

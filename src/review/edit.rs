//! What a replacement makes of a file. Lines the replacement keeps stay byte for byte as they are; new ones end as their neighbours do.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::lines::{content, end, end_at, written};
use super::place::Found;

const BOM: char = '\u{feff}';

/// The file with the passage replaced. Whether the file ends with a line feed stays as it is.
pub fn intended(file: &[&str], found: &Found, original: &str, replacement: &str) -> Vec<String> {
    let range = found.lines.clone();
    let ending = end_at(file, range.start, range.end);
    let given = framed(written(original), found);
    let put = framed(written(replacement), found);
    let keep = |at: usize| {
        let line = file[range.start + at];
        format!("{}{}", content(line), if end(line).is_empty() { ending } else { end(line) })
    };
    let make = |at: usize| {
        let blank = put[at].trim().is_empty();
        format!("{}{}{ending}", if blank { "" } else { found.indent.as_str() }, put[at])
    };
    let mut new: Vec<String> = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &given, &put) {
        match op {
            DiffOp::Equal { old_index, len, .. } => new.extend((old_index..old_index + len).map(keep)),
            DiffOp::Insert { new_index, new_len, .. } | DiffOp::Replace { new_index, new_len, .. } => {
                new.extend((new_index..new_index + new_len).map(make));
            }
            DiffOp::Delete { .. } => {}
        }
    }
    if range.start == 0 && file.first().is_some_and(|line| line.starts_with(BOM)) {
        keep_mark(&mut new);
    }
    let above = file[..range.start].iter().map(|line| (*line).to_owned());
    let below = file[range.end..].iter().map(|line| (*line).to_owned());
    let mut whole: Vec<String> = above.chain(new).chain(below).collect();
    if file.last().is_some_and(|last| end(last).is_empty())
        && let Some(last) = whole.last_mut()
    {
        *last = content(last).to_owned();
    }
    whole
}

/// The lines with what stands around them in their first and last line.
fn framed(lines: Vec<&str>, found: &Found) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
    if found.before.is_empty() && found.after.is_empty() {
        return lines;
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines[0].insert_str(0, &found.before);
    let last = lines.len() - 1;
    lines[last].push_str(&found.after);
    lines
}

/// The mark at the very beginning of a file is nobody's to write down, and stays.
fn keep_mark(new: &mut [String]) {
    for line in new.iter_mut() {
        *line = line.trim_start_matches(BOM).to_owned();
    }
    if let Some(first) = new.first_mut() {
        first.insert(0, BOM);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::lines::lines;
    use super::super::place::find;
    use super::*;

    fn put(file: &str, original: &str, replacement: &str) -> String {
        let file = lines(file);
        intended(&file, &find(&file, original, None).unwrap(), original, replacement).concat()
    }

    #[test]
    fn a_file_keeps_its_ways() {
        assert_eq!(put("a\r\nb  \r\nc\n", "a\nb\nc", "a\nb\nx\nc"), "a\r\nb  \r\nx\r\nc\n");
        assert_eq!(put("a\nb", "b", "b\nc"), "a\nb\nc");
        assert_eq!(put("a\nb", "b", ""), "a");
        assert_eq!(put("a\nb\n", "a\nb\n", ""), "");
        assert_eq!(put("a\n", "a", "\n"), "\n");
        assert_eq!(put("\u{feff}a\nb\n", "a", "x"), "\u{feff}x\nb\n");
        assert_eq!(put("if x:\n    a()\n\n    b()\n", "a()\n\nb()", "c()\n\nb()"), "if x:\n    c()\n\n    b()\n");
        assert_eq!(put("let a = one();\n", "one", "two"), "let a = two();\n");
        assert_eq!(put("f(a,\n  b)\n", "a,\n  b", ""), "f()\n");
    }
}

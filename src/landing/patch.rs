//! Changes as a patch that `git apply` takes, for where nothing may be pushed.

use std::fmt::Write;
use std::time::{Duration, Instant};

use similar::TextDiff;

use super::object::{Change, Changes, Mode};
use crate::diffing;

/// Of the whole patch.
const MOST: usize = 4 << 20;

/// How long the whole patch may take.
const LONGEST: Duration = Duration::from_secs(20);

/// The patch, and what is not in it: binary files, and what is too much. It may compute for seconds.
pub fn patch(changes: &Changes, before: &Changes) -> (String, Vec<String>) {
    let (mut patch, mut missing) = (String::new(), Vec::new());
    let began = Instant::now();
    for (path, change) in changes {
        if began.elapsed() > LONGEST {
            missing.push(path.clone());
            continue;
        }
        match piece(path, before.get(path), change) {
            Some(piece) if patch.len() + piece.len() <= MOST => patch.push_str(&piece),
            Some(_) | None => missing.push(path.clone()),
        }
    }
    (patch, missing)
}

fn parts(change: Option<&Change>) -> Option<(Option<Mode>, &str)> {
    match change {
        Some(Change::Put { mode, content }) => {
            let text = std::str::from_utf8(content).ok().filter(|text| !text.contains('\0'))?;
            Some((Some(*mode), text))
        }
        Some(Change::Delete) | None => Some((None, "")),
    }
}

fn piece(path: &str, before: Option<&Change>, after: &Change) -> Option<String> {
    let ((old_mode, old), (new_mode, new)) = (parts(before)?, parts(Some(after))?);
    let (a, b) = (quoted("a", path), quoted("b", path));
    let mut piece = format!("diff --git {a} {b}\n");
    match (old_mode, new_mode) {
        (None, Some(mode)) => writeln!(piece, "new file mode {}", mode.octal()).ok()?,
        (Some(mode), None) => writeln!(piece, "deleted file mode {}", mode.octal()).ok()?,
        (Some(old), Some(new)) if old != new => {
            write!(piece, "old mode {}\nnew mode {}\n", old.octal(), new.octal()).ok()?;
        }
        (Some(_), Some(_)) => {}
        // It is not known what went.
        (None, None) => return None,
    }
    let from = if old_mode.is_some() { a } else { "/dev/null".to_owned() };
    let to = if new_mode.is_some() { b } else { "/dev/null".to_owned() };
    let diff = TextDiff::configure().timeout(diffing::LONGEST).diff_lines(old, new);
    piece.push_str(&diff.unified_diff().context_radius(3).header(&from, &to).to_string());
    Some(piece)
}

/// As git writes names it cannot show plainly.
fn quoted(side: &str, path: &str) -> String {
    if path.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\') {
        return format!("{side}/{path}");
    }
    let mut name = format!("\"{side}/");
    for byte in path.bytes() {
        match byte {
            b'"' | b'\\' => name.extend(['\\', char::from(byte)]),
            0x20..0x7f => name.push(char::from(byte)),
            byte => name.push_str(&format!("\\{byte:03o}")),
        }
    }
    name.push('"');
    name
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn put(mode: Mode, text: &'static [u8]) -> Change {
        Change::Put { mode, content: Bytes::from_static(text) }
    }

    fn of(list: Vec<(&str, Change)>) -> Changes {
        list.into_iter().map(|(path, change)| (path.to_owned(), change)).collect()
    }

    #[test]
    fn a_patch_is_as_git_writes_it() {
        let before =
            of(vec![("gone", put(Mode::File, b"x\n")), ("run", put(Mode::File, b"same\n")), ("text", put(Mode::File, b"1\n2"))]);
        let after = of(vec![
            ("gone", Change::Delete),
            ("new", put(Mode::Executable, b"n\n")),
            ("picture", put(Mode::File, b"\0")),
            ("run", put(Mode::Executable, b"same\n")),
            ("text", put(Mode::File, b"1\n3")),
            ("ü", put(Mode::Link, b"text")),
        ]);
        let (patch, missing) = patch(&after, &before);
        insta::assert_snapshot!(patch, @r#"
        diff --git a/gone b/gone
        deleted file mode 100644
        --- a/gone
        +++ /dev/null
        @@ -1 +0,0 @@
        -x
        diff --git a/new b/new
        new file mode 100755
        --- /dev/null
        +++ b/new
        @@ -0,0 +1 @@
        +n
        diff --git a/run b/run
        old mode 100644
        new mode 100755
        diff --git a/text b/text
        --- a/text
        +++ b/text
        @@ -1,2 +1,2 @@
         1
        -2
        \ No newline at end of file
        +3
        \ No newline at end of file
        diff --git "a/\303\274" "b/\303\274"
        new file mode 120000
        --- /dev/null
        +++ "b/\303\274"
        @@ -0,0 +1 @@
        +text
        \ No newline at end of file
        "#);
        assert_eq!(missing, ["picture"]);
    }
}

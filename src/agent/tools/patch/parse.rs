//! Reads unified diffs as git, `diff -u` and models write them: with or without git's headers, in a fence, with wrong counts.

/// What a patch does to one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct FilePatch {
    /// Where it is before; none for a new file.
    pub old: Option<String>,
    /// Where it is afterwards; none for a deleted one.
    pub new: Option<String>,
    /// The changes, in the order of the patch.
    pub hunks: Vec<Hunk>,
    /// True when it also asks for modes.
    pub modes: bool,
}

/// A piece of a file before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Hunk {
    /// The `@@` line as it was written.
    pub header: String,
    /// The first line of the old side, counted from 1; none when the header does not say.
    pub start: Option<usize>,
    /// What stands there.
    pub lines: Vec<Line>,
}

/// A line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Line {
    /// On which sides it is.
    pub kind: Kind,
    /// Without its line end.
    pub text: String,
    /// True when it came with a carriage return.
    pub cr: bool,
    /// False when the file ends after it without a line end.
    pub ends: bool,
}

/// The sides a line is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// Both.
    Context,
    /// The old one.
    Removed,
    /// The new one.
    Added,
}

impl Hunk {
    /// The lines that must be in the file.
    pub fn before(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.kind != Kind::Added)
    }

    /// The lines that are there afterwards.
    pub fn after(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.kind != Kind::Removed)
    }
}

/// Reads a patch; at least one file, each with something to do. The error says what is wrong and where.
pub(in super::super) fn parse(text: &str) -> Result<Vec<FilePatch>, String> {
    let mut reader = Reader { lines: text.split('\n').collect(), at: 0 };
    if text.ends_with('\n') {
        reader.lines.pop();
    }
    let mut files = Vec::new();
    let mut section = Section::default();
    while let Some(line) = reader.peek() {
        if let Some(names) = line.strip_prefix("diff --git ") {
            section.finish(&mut files)?;
            section = Section { git: git_names(names.trim_end()), ..Section::default() };
            reader.at += 1;
        } else if reader.at_names() {
            if section.sides.is_some() {
                section.finish(&mut files)?;
                section = Section::default();
            }
            let old = side(&line["--- ".len()..])?;
            let new = side(&reader.lines[reader.at + 1]["+++ ".len()..])?;
            section.sides = Some((old, new));
            reader.at += 2;
        } else if line.starts_with("@@@") {
            return Err(format!("line {}: this is a combined diff of a merge; give a diff between two states", reader.at + 1));
        } else if line.starts_with("@@") {
            let hunk = reader.hunk()?;
            section.hunks.push(hunk);
        } else {
            section.header(line)?;
            reader.at += 1;
        }
    }
    section.finish(&mut files)?;
    if files.is_empty() {
        return Err(nothing(text));
    }
    Ok(files)
}

fn nothing(text: &str) -> String {
    let hint =
        if text.contains("*** Begin Patch") { " The format that begins with `*** Begin Patch` is another one." } else { "" };
    format!(
        "there is no unified diff in it: each file needs a line `--- a/path`, a line `+++ b/path` and hunks that begin with \
         `@@ -line,count +line,count @@`.{hint}"
    )
}

/// What is known of a file while its part of the patch is read. Sides: none inside is `/dev/null`.
#[derive(Default)]
struct Section {
    git: Option<(String, String)>,
    sides: Option<(Option<String>, Option<String>)>,
    renamed_from: Option<String>,
    renamed_to: Option<String>,
    is_new: bool,
    is_deleted: bool,
    modes: bool,
    hunks: Vec<Hunk>,
}

impl Section {
    /// A line between files. What git does not know is other people's talk.
    fn header(&mut self, line: &str) -> Result<(), String> {
        let line = line.trim_end();
        if let Some(path) = line.strip_prefix("rename from ") {
            self.renamed_from = Some(unquote(path)?);
        } else if let Some(path) = line.strip_prefix("rename to ") {
            self.renamed_to = Some(unquote(path)?);
        } else if line.starts_with("copy from ") || line.starts_with("copy to ") {
            return Err("copies are not supported; write the new file, or use runCommand with cp first".to_owned());
        } else if line.starts_with("GIT binary patch") || (line.starts_with("Binary files ") && line.ends_with(" differ")) {
            return Err("binary files cannot be patched; make them with a program".to_owned());
        } else if let Some(mode) = line.strip_prefix("new file mode ") {
            self.is_new = true;
            self.modes |= mode != "100644";
        } else if line.starts_with("deleted file mode ") {
            self.is_deleted = true;
        } else if line.starts_with("new mode ") {
            self.modes = true;
        }
        Ok(())
    }

    fn finish(self, files: &mut Vec<FilePatch>) -> Result<(), String> {
        let (mut old, mut new) = match (self.renamed_from, self.renamed_to, self.sides, self.git) {
            (Some(from), Some(to), _, _) => (Some(from), Some(to)),
            (_, _, Some((old, new)), _) => without_prefixes(old, new),
            (_, _, None, Some((old, new))) => (Some(old), Some(new)),
            (_, _, None, None) => match self.hunks.first() {
                Some(hunk) => {
                    return Err(format!("no file is named before `{}`; give `--- a/path` and `+++ b/path`", hunk.header));
                }
                None => return Ok(()),
            },
        };
        if self.is_new {
            old = None;
        }
        if self.is_deleted {
            new = None;
        }
        let does_something = !self.hunks.is_empty() || old != new || self.modes;
        match new.as_ref().or(old.as_ref()) {
            None => Err("a file cannot be `/dev/null` on both sides".to_owned()),
            Some(path) if !does_something => Err(format!("{path}: has no hunks")),
            Some(_) => {
                files.push(FilePatch { old, new, hunks: self.hunks, modes: self.modes });
                Ok(())
            }
        }
    }
}

/// Git writes `a/` and `b/` before paths.
fn without_prefixes(old: Option<String>, new: Option<String>) -> (Option<String>, Option<String>) {
    let has = |side: &Option<String>, prefix: &str| side.as_ref().is_none_or(|path| path.starts_with(prefix));
    if has(&old, "a/") && has(&new, "b/") {
        (old.map(|path| path[2..].to_owned()), new.map(|path| path[2..].to_owned()))
    } else {
        (old, new)
    }
}

/// The two paths after `diff --git`, where they are the same but for their prefixes.
fn git_names(names: &str) -> Option<(String, String)> {
    let halves = names.match_indices(" b/").map(|(at, _)| (&names[..at], &names[at + 1..]));
    let mut same = halves.filter_map(|(old, new)| Some((old.strip_prefix("a/")?, new.strip_prefix("b/")?)));
    same.find(|(old, new)| old == new).map(|(old, new)| (old.to_owned(), new.to_owned()))
}

/// The path of a `---` or `+++` line; none for `/dev/null`.
fn side(text: &str) -> Result<Option<String>, String> {
    let text = text.split('\t').next().unwrap_or_default().trim();
    match text {
        "/dev/null" => Ok(None),
        "" => Err("a `---` or `+++` line names no file".to_owned()),
        _ => unquote(text).map(Some),
    }
}

/// Git quotes paths with unusual characters as C does.
fn unquote(text: &str) -> Result<String, String> {
    let Some(quoted) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return Ok(text.to_owned()) };
    let wrong = || format!("the path {text} is not quoted as git does");
    let mut bytes = Vec::new();
    let mut rest = quoted.bytes().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next().ok_or_else(wrong)? {
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'r' => bytes.push(b'\r'),
            digit @ b'0'..=b'7' => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    if let Some(digit) = rest.next_if(|byte| (b'0'..=b'7').contains(byte)) {
                        value = value * 8 + u32::from(digit - b'0');
                    }
                }
                bytes.push(u8::try_from(value).map_err(|_| wrong())?);
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

struct Reader<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.lines.get(self.at).copied()
    }

    fn at_names(&self) -> bool {
        let starts = |at: usize, mark: &str| self.lines.get(at).is_some_and(|line| line.starts_with(mark));
        starts(self.at, "--- ") && starts(self.at + 1, "+++ ")
    }

    /// Whether the next file begins here. A removed `-- x` beside an added `++ y` looks like one; the counts tell.
    fn at_next_file(&self, left: Option<(usize, usize)>) -> bool {
        self.peek().is_some_and(|line| line.starts_with("diff --git "))
            || (self.at_names()
                && left.is_none_or(|left| {
                    let is_named = self.lines.get(self.at + 2).is_some_and(|line| line.starts_with("@@"));
                    left == (0, 0) || (is_named && left != (1, 1))
                }))
    }

    fn hunk(&mut self) -> Result<Hunk, String> {
        let header = self.peek().unwrap_or_default().trim_end().to_owned();
        let first = self.at + 1;
        self.at += 1;
        let numbers = numbers(&header);
        let mut left = numbers.map(|(_, old, new)| (old, new));
        let mut lines: Vec<Line> = Vec::new();
        // Empty lines without the space of a context line may belong to the text around the patch.
        let mut doubtful = 0;
        while let Some(line) = self.peek() {
            if line.starts_with("@@") || self.at_next_file(left) || (left == Some((0, 0)) && line == "-- ") {
                break;
            }
            let (kind, text) = match line.split_at_checked(1) {
                Some((" ", text)) => (Kind::Context, text),
                Some(("-", text)) => (Kind::Removed, text),
                Some(("+", text)) => (Kind::Added, text),
                Some(("\\", _)) => {
                    if let Some(last) = lines.last_mut() {
                        last.ends = false;
                    }
                    self.at += 1;
                    continue;
                }
                Some(("\r", _)) | None if left != Some((0, 0)) => (Kind::Context, line),
                // A context line that lost its space.
                _ if left.is_some_and(|(old, new)| old > 0 && new > 0) && !line.starts_with("```") => (Kind::Context, line),
                _ => break,
            };
            doubtful = if line.trim().is_empty() && !line.starts_with(' ') { doubtful + 1 } else { 0 };
            let plain = text.strip_suffix('\r');
            lines.push(Line { kind, text: plain.unwrap_or(text).to_owned(), cr: plain.is_some(), ends: true });
            left = left.map(|(old, new)| match kind {
                Kind::Context => (old.saturating_sub(1), new.saturating_sub(1)),
                Kind::Removed => (old.saturating_sub(1), new),
                Kind::Added => (old, new.saturating_sub(1)),
            });
            self.at += 1;
        }
        if left != Some((0, 0)) {
            lines.truncate(lines.len() - doubtful);
        }
        if lines.is_empty() {
            return Err(format!("line {first}: the hunk `{header}` is empty"));
        }
        Ok(Hunk { header, start: numbers.map(|(start, _, _)| start), lines })
    }
}

/// Start and count of the old side, and the count of the new one.
fn numbers(header: &str) -> Option<(usize, usize, usize)> {
    let range = |text: &str, sign: char| {
        let text = text.strip_prefix(sign)?;
        let (start, count) = text.split_once(',').unwrap_or((text, "1"));
        Some((start.parse::<usize>().ok()?, count.parse::<usize>().ok()?))
    };
    let mut words = header.strip_prefix("@@ ")?.split(' ');
    let (start, old) = range(words.next()?, '-')?;
    let (_, new) = range(words.next()?, '+')?;
    Some((start, old, new))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Each file as one line: paths, then the hunks.
    fn shape(text: &str) -> String {
        let name = |path: Option<String>| path.unwrap_or_else(|| "none".to_owned());
        let line = |line: &Line| {
            let sign = match line.kind {
                Kind::Context => ' ',
                Kind::Removed => '-',
                Kind::Added => '+',
            };
            format!("{sign}{}{}{}", line.text, if line.cr { "␍" } else { "" }, if line.ends { "" } else { "␄" })
        };
        let files = parse(text).unwrap().into_iter().map(|file| {
            let hunks = file.hunks.iter().map(|hunk| {
                let lines: Vec<_> = hunk.lines.iter().map(line).collect();
                format!(" [{:?} {}]", hunk.start, lines.join("|"))
            });
            format!(
                "{} → {}{}{}",
                name(file.old),
                name(file.new),
                if file.modes { " modes" } else { "" },
                hunks.collect::<String>()
            )
        });
        files.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_git_writes_is_read() {
        let text = "diff --git a/src/a b.rs b/src/a b.rs\nindex 1..2 100644\n--- a/src/a b.rs\n+++ b/src/a b.rs\n@@ -1,2 +1,2 @@ fn x\n one\n-two\n+zwei\n\\ No newline at end of file\ndiff --git a/new.sh b/new.sh\nnew file mode 100755\n--- /dev/null\n+++ b/new.sh\n@@ -0,0 +1 @@\n+echo\ndiff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\ndiff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\ndiff --git a/run b/run\nold mode 100644\nnew mode 100755\ndiff --git a/empty b/empty\nnew file mode 100644\nindex 0000000..e69de29\n--- \"a/\\303\\244 \\\"q\\\"\"\t2024-01-01\n+++ \"b/\\303\\244 \\\"q\\\"\"\n@@ -5 +5 @@\n-a\n+b\n-- \n2.39.0\n";
        insta::assert_snapshot!(shape(text), @r#"
        src/a b.rs → src/a b.rs [Some(1)  one|-two|+zwei␄]
        none → new.sh modes [Some(0) +echo]
        gone → none [Some(1) -x]
        x → y
        run → run modes
        none → ä "q" [Some(5) -a|+b]
        "#);
    }

    #[test]
    fn what_models_write_is_read() {
        let text = "Here is the patch:\n```diff\n--- src/a.py\n+++ src/a.py\n@@ -10,99 +10,99 @@\n def f():\n\n-    return 1\n+    return 2\n\n```\n";
        assert_eq!(shape(text), "src/a.py → src/a.py [Some(10)  def f():| |-    return 1|+    return 2]");
        let text = "--- a/f\n+++ b/f\n@@ ... @@\n-a\n+b\n@@ def g():\n-c\n+d\n--- a/g\n+++ b/g\n@@ -1 +1 @@\n-e\r\n+f\r\n";
        assert_eq!(shape(text), "f → f [None -a|+b] [None -c|+d]\ng → g [Some(1) -e␍|+f␍]");
        // Counts that are too small, a context line without its space, and content that looks like the head of a file.
        let text = "--- f\n+++ f\n@@ -1,1 +1,1 @@\n a\n-b\n+c\n@@ -7,2 +7,2 @@\nx\n--- y\n+++ y\n@@ -20 +20 @@\n-k\n+l\n";
        assert_eq!(shape(text), "f → f [Some(1)  a|-b|+c] [Some(7)  x|--- y|+++ y] [Some(20) -k|+l]");
    }

    #[test]
    fn what_cannot_be_read_is_explained() {
        let error = |text: &str| parse(text).unwrap_err();
        assert!(error("hello").contains("no unified diff") && error("*** Begin Patch\n").contains("another one"));
        insta::assert_snapshot!(error("@@ -1 +1 @@\n-a\n+b\n"), @"no file is named before `@@ -1 +1 @@`; give `--- a/path` and `+++ b/path`");
        insta::assert_snapshot!(error("--- a/x\n+++ b/x\n@@ -1 +1 @@\n"), @"line 3: the hunk `@@ -1 +1 @@` is empty");
        insta::assert_snapshot!(error("--- a/x\n+++ b/x\n"), @"x: has no hunks");
        insta::assert_snapshot!(error("--- /dev/null\n+++ /dev/null\n@@ -1 +1 @@\n+a\n"), @"a file cannot be `/dev/null` on both sides");
        assert!(error("Binary files a/x and b/x differ").contains("binary files cannot be patched"));
        assert!(error("diff --git a/x b/y\ncopy from x\ncopy to y\n").contains("copies are not supported"));
        assert!(error("@@@ -1 -1 +1 @@@\n").contains("combined diff"));
    }
}

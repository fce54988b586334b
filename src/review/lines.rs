//! A file as lines. Only a line feed ends a line, as for git and GitHub; a carriage return before it belongs to its end.

/// The lines of a text, each with its end; the last may have none.
pub fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// A line without its end.
pub fn content(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// How a line ends: `\n`, `\r\n`, or nothing.
pub fn end(line: &str) -> &str {
    match line.strip_suffix('\n') {
        Some(rest) if rest.ends_with('\r') => "\r\n",
        Some(_) => "\n",
        None => "",
    }
}

/// A passage as somebody writes it down: its lines without ends. A line feed at the end ends the last line and begins no other.
pub fn written(text: &str) -> Vec<&str> {
    lines(text).into_iter().map(content).collect()
}

/// How new lines end at a place of a file: as the first neighbour does that has an end, those that are replaced first.
pub fn end_at<'a>(file: &[&'a str], first: usize, after: usize) -> &'a str {
    let near = file[first..after].iter().chain(file[..first].last()).chain(file.get(after));
    near.map(|line| end(line)).find(|end| !end.is_empty()).unwrap_or("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_their_ends_are_told_apart() {
        assert_eq!(lines("a\r\n\nb\rc\nd"), ["a\r\n", "\n", "b\rc\n", "d"]);
        assert_eq!((content("a\r\n"), end("a\r\n")), ("a", "\r\n"));
        assert_eq!((content("b\rc\n"), end("b\rc\n")), ("b\rc", "\n"));
        assert_eq!((content("d"), end("d")), ("d", ""));
        assert_eq!(written("a\n\n"), ["a", ""]);
        assert_eq!(written(""), Vec::<&str>::new());
        assert_eq!(end_at(&["a\r\n", "b"], 1, 2), "\r\n");
        assert_eq!(end_at(&["a"], 0, 1), "\n");
    }
}

//! What a path that is not there probably means.

use super::{diff, text};
use crate::sandbox::{Sandbox, WalkBounds};

const BOUNDS: WalkBounds = WalkBounds { depth: 12, entries: 4_000, skip: &diff::SKIPPED };
const MAX_NAMES: usize = 12;

/// Words to add to "no such file", beginning with punctuation; empty when there is nothing to say.
pub(super) async fn hint(sandbox: &dyn Sandbox, path: &str) -> String {
    let absolute = text::absolute(sandbox, path);
    let Some(inside) = absolute.strip_prefix(sandbox.workspace()).and_then(|rest| rest.strip_prefix('/')) else {
        return String::new();
    };
    let Ok(walked) = sandbox.walk(".", BOUNDS).await else { return String::new() };
    let paths: Vec<&str> = walked.entries.iter().map(|(path, _)| path.as_str()).collect();
    suggest(inside, &paths).unwrap_or_default()
}

fn suggest(wanted: &str, known: &[&str]) -> Option<String> {
    let (directory, name) = split(wanted);
    let beside = known.iter().copied().filter(|path| split(path).0 == directory);
    if let Some(near) = text::closest(name, beside.map(|path| split(path).1)) {
        let near = if directory.is_empty() { near.to_owned() } else { format!("{directory}/{near}") };
        return Some(format!("; did you mean `{near}`?"));
    }
    let same_name: Vec<&str> = known.iter().copied().filter(|path| split(path).1 == name).take(3).collect();
    if !same_name.is_empty() {
        return Some(format!("; there is `{}`", same_name.join("`, `")));
    }
    let mut existing = directory;
    while !existing.is_empty() && !known.contains(&existing) {
        existing = split(existing).0;
    }
    let inside: Vec<&str> = known.iter().copied().filter(|path| split(path).0 == existing).collect();
    let names: Vec<&str> = inside.iter().take(MAX_NAMES).map(|path| split(path).1).collect();
    let place = if existing.is_empty() { "the workspace".to_owned() } else { format!("`{existing}`") };
    match inside.len() {
        0 if existing.is_empty() => Some("; the workspace is empty".to_owned()),
        0 => Some(format!("; {place} is empty")),
        count if count > MAX_NAMES => Some(format!("; {place} has {} and {} more", names.join(", "), count - MAX_NAMES)),
        _ => Some(format!("; {place} has {}", names.join(", "))),
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_most_likely_path_is_named() {
        let known = ["README.md", "lib", "lib/parse.py", "src", "src/main.rs", "src/deep", "src/deep/x"];
        let hint = |path: &str| suggest(path, &known).unwrap();
        assert_eq!(hint("src/mian.rs"), "; did you mean `src/main.rs`?");
        assert_eq!(hint("readme.md"), "; did you mean `README.md`?");
        assert_eq!(hint("tests/parse.py"), "; there is `lib/parse.py`");
        assert_eq!(hint("src/deep/er/zzz"), "; `src/deep` has x");
        assert_eq!(hint("qqq"), "; the workspace has README.md, lib, src");
        assert_eq!(suggest("a", &[]).unwrap(), "; the workspace is empty");
    }
}

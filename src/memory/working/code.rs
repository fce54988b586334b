//! Lines that speak of files: which, with what content, and whether that still holds. Pure.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::Line;

/// Files of one line that are followed.
const MOST: usize = 5;
/// Characters of a commit that are shown.
const SHORT: usize = 7;

/// A file a line speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its path in the repository.
    pub path: String,
    /// The commit at which it was looked up; none where that could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The name of its content there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
}

/// What a line says about files, after looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// As it was.
    Unchanged,
    Changed,
    Gone,
    NotChecked,
}

/// The files of a commit: enough to tell which are there and with what content, in about 40 bytes each.
#[derive(Debug)]
pub struct Files {
    commit: String,
    blobs: HashMap<u64, [u8; 20]>,
    hasher: RandomState,
    is_complete: bool,
}

/// What a commit says about a path.
enum Found {
    Blob([u8; 20]),
    Missing,
    Unknown,
}

impl Files {
    /// Of these paths, each with the name of its content. `is_complete` is false when some are missing here.
    pub fn new<'a>(commit: &str, entries: impl IntoIterator<Item = (&'a str, &'a str)>, is_complete: bool) -> Self {
        let hasher = RandomState::new();
        let blob = |sha: &str| <[u8; 20]>::try_from(hex::decode(sha).ok()?).ok();
        let known = entries.into_iter().filter_map(|(path, sha)| Some((hasher.hash_one(path), blob(sha)?)));
        let blobs = known.collect();
        Self { commit: commit.to_owned(), blobs, hasher, is_complete }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.blobs.len()
    }

    fn find(&self, path: &str) -> Found {
        match self.blobs.get(&self.hasher.hash_one(path)) {
            Some(blob) => Found::Blob(*blob),
            None if self.is_complete => Found::Missing,
            None => Found::Unknown,
        }
    }
}

/// What the repository holds now: the default branch, then the head of the pull request where there is one. None where it could not be
/// looked up.
pub type Now = Option<Vec<Arc<Files>>>;

/// Paths that a text may name; what is no file of the repository is told apart later.
pub fn candidates(text: &str) -> Vec<String> {
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:\./)?[\w.@+-]+(?:/[\w.@+-]+)*").expect("the pattern is constant and valid"));
    const BARE: [&str; 8] = ["makefile", "dockerfile", "justfile", "gemfile", "rakefile", "procfile", "license", "readme"];
    let mut paths: Vec<String> = Vec::new();
    for found in WORD.find_iter(text) {
        let before = &text[..found.start()];
        if before.ends_with(['/', '@']) || found.as_str().starts_with('@') {
            continue;
        }
        let path = found.as_str().trim_start_matches("./").trim_end_matches(['.', '-', '+']);
        let is_path = path.contains('/')
            || path.trim_start_matches('.').contains('.')
            || path.starts_with('.')
            || BARE.contains(&path.to_ascii_lowercase().as_str())
            || before.ends_with('`');
        let is_sane = !path.is_empty() && path.len() < 300 && path.split('/').all(|part| !part.is_empty() && part != "..");
        if is_path && is_sane && !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
    }
    paths
}

/// The files a text names, as they are now. Where nobody could look, those that must be meant are kept without their content, so that
/// they are never taken for checked.
pub fn about(text: &str, now: &Now) -> Vec<About> {
    let candidates = candidates(text).into_iter();
    let Some(now) = now else {
        let clear = |path: &String| path.contains('/') && path.rsplit('/').next().is_some_and(|name| name.contains('.'));
        let unknown = candidates.filter(clear).map(|path| About { path, commit: None, blob: None });
        return unknown.take(MOST).collect();
    };
    let found = candidates.filter_map(|path| {
        let there = now.iter().find_map(|files| match files.find(&path) {
            Found::Blob(blob) => Some((files.commit.clone(), hex::encode(blob))),
            Found::Missing | Found::Unknown => None,
        });
        there.map(|(commit, blob)| About { path, commit: Some(commit), blob: Some(blob) })
    });
    found.take(MOST).collect()
}

fn standing(about: &About, now: &Now) -> Standing {
    let (Some(known), Some(now)) = (&about.blob, now) else { return Standing::NotChecked };
    let mut result = Standing::Gone;
    for files in now {
        match files.find(&about.path) {
            Found::Blob(blob) if hex::encode(blob) == *known => return Standing::Unchanged,
            Found::Blob(_) => result = Standing::Changed,
            Found::Unknown if result == Standing::Gone => result = Standing::NotChecked,
            Found::Missing | Found::Unknown => {}
        }
    }
    if now.is_empty() { Standing::NotChecked } else { result }
}

/// What has to be said beside a line before somebody relies on it; none when its files are as they were, or it names none.
pub fn mark(line: &Line, now: &Now) -> Option<String> {
    let one = |about: &About| {
        let file = if line.about.len() == 1 { "the file" } else { about.path.as_str() };
        let commit: String = about.commit.as_deref().unwrap_or_default().chars().take(SHORT).collect();
        match standing(about, now) {
            Standing::Unchanged => None,
            Standing::Changed => Some(format!("{file} changed since {commit}; check before relying on it")),
            Standing::Gone => Some(format!("{file} is there no more, it was at {commit}; check before relying on it")),
            Standing::NotChecked => Some(format!("{file} was not checked against the code")),
        }
    };
    let marks: Vec<String> = line.about.iter().filter_map(one).collect();
    (!marks.is_empty()).then(|| format!("({})", marks.join("; ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::memory;
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    fn now(of: &[(&str, &str)]) -> Now {
        Some(vec![Arc::new(Files::new("1a2b3c4d5e", of.iter().copied(), true))])
    }

    fn line(text: &str, now: &Now) -> Line {
        let mut line = memory(&[("Conventions", text)]).lines.remove(0);
        line.about = about(text, now);
        line
    }

    #[test]
    fn names_of_files_are_found_in_what_people_write() {
        for (text, paths) in [
            ("see `src/foo.rs:12` and ./docs/a-b.md.", vec!["src/foo.rs", "docs/a-b.md"]),
            ("the Makefile, `tool`, .env and README", vec!["Makefile", "tool", ".env", "README"]),
            ("https://example.com/a/b.rs or @acme/team or ../up.rs /etc/passwd", vec![]),
            ("we use tabs and/or spaces, e.g. 1.5", vec!["and/or", "e.g", "1.5"]),
            ("src/ünïcode.rs (src/main.rs)", vec!["src/ünïcode.rs", "src/main.rs"]),
        ] {
            assert_eq!(candidates(text), paths, "{text}");
        }
    }

    #[test]
    fn remembered_facts_about_code_are_checked_against_the_code() {
        let then = now(&[("src/foo.rs", ONE), ("Makefile", ONE)]);
        let fact = line("src/foo.rs:12 holds the parser, and/or more", &then);
        assert_eq!(fact.about, [About { path: "src/foo.rs".into(), commit: Some("1a2b3c4d5e".into()), blob: Some(ONE.into()) }]);
        assert_eq!(mark(&fact, &then), None);
        assert_eq!(
            mark(&fact, &now(&[("src/foo.rs", TWO)])).unwrap(),
            "(the file changed since 1a2b3c4; check before relying on it)"
        );
        assert_eq!(mark(&fact, &now(&[])).unwrap(), "(the file is there no more, it was at 1a2b3c4; check before relying on it)");
        assert_eq!(mark(&fact, &None).unwrap(), "(the file was not checked against the code)");
        let both = line("`make` of the Makefile reads src/foo.rs", &then);
        assert_eq!(
            mark(&both, &now(&[("src/foo.rs", ONE)])).unwrap(),
            "(Makefile is there no more, it was at 1a2b3c4; check before relying on it)"
        );
    }

    #[test]
    fn what_nobody_could_look_up_is_never_taken_for_checked() {
        let fact = line("src/foo.rs holds the parser, and/or e.g. more", &None);
        assert_eq!(fact.about, [About { path: "src/foo.rs".into(), commit: None, blob: None }]);
        assert!(mark(&fact, &now(&[("src/foo.rs", ONE)])).unwrap().contains("not checked"));
        let part = Some(vec![Arc::new(Files::new("c", [("a.rs", ONE)], false))]);
        let known = line("src/foo.rs", &now(&[("src/foo.rs", ONE)]));
        assert!(mark(&known, &part).unwrap().contains("not checked"), "the list of files was cut");
        // The head of a pull request counts beside the default branch.
        let two = Some(vec![now(&[]).unwrap().remove(0), now(&[("src/foo.rs", ONE)]).unwrap().remove(0)]);
        assert_eq!(mark(&known, &two), None);
    }
}

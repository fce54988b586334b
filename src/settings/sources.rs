//! Where settings come from: the process environment, then the `.env` of the working directory. The only place that reads either.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

use super::finding::{Finding, SettingsError};

/// Larger files are not an `.env`.
const FILE_LIMIT: u64 = 1024 * 1024;

/// Stands for `$` while the file is parsed, so that nothing is expanded.
const DOLLAR: char = '\u{f8d4}';

/// Variables by name, before anything was understood.
#[derive(Clone, Default)]
pub struct Sources {
    /// The environment of the process. Wins over the file, also with an empty value, which means unset.
    pub process: BTreeMap<String, String>,
    /// The `.env` file.
    pub file: BTreeMap<String, String>,
}

/// Which of the two a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Process,
    File,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "the environment",
            Self::File => "`.env`",
        })
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
        f.debug_struct("Sources").field("process", &names(&self.process)).field("file", &names(&self.file)).finish()
    }
}

impl Sources {
    /// Reads the process environment and, if there is one, the `.env` of the working directory. Fails when that file is there but
    /// cannot be read or understood. The environment of the process is not changed.
    #[allow(clippy::disallowed_methods, reason = "this is the place the rule sends everybody to")]
    pub fn from_process() -> Result<Self, SettingsError> {
        let process = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect();
        Ok(Self { process, file: read_file(Path::new(".env"))? })
    }

    pub(super) fn get(&self, name: &str) -> Option<(&str, Origin)> {
        let (value, origin) = match (self.process.get(name), self.file.get(name)) {
            (Some(value), _) => (value, Origin::Process),
            (None, Some(value)) => (value, Origin::File),
            (None, None) => return None,
        };
        let value = value.trim();
        (!value.is_empty()).then_some((value, origin))
    }

    /// Every name, whether its value is empty or not.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let only_in_file = self.file.keys().filter(|name| !self.process.contains_key(*name));
        self.process.keys().chain(only_in_file).map(String::as_str)
    }
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>, SettingsError> {
    let failed = |error: std::io::Error| {
        let remedy = "make it readable for the user the service runs as, or remove it";
        SettingsError {
            problems: vec![Finding { name: ".env".into(), what: format!("cannot be read ({error})"), remedy: remedy.into() }],
        }
    };
    let mut text = String::new();
    match std::fs::File::open(path) {
        Ok(file) => file.take(FILE_LIMIT).read_to_string(&mut text).map_err(failed)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(error)),
    };
    parse_file(&text)
}

/// Understands the usual `.env` form: `NAME=value`, `export`, comments, quotes, values over several lines in quotes. The first
/// of several lines for one name counts. `$` is taken as it stands: expanding it would let the file copy secrets of
/// the process into addresses.
fn parse_file(text: &str) -> Result<BTreeMap<String, String>, SettingsError> {
    let text = text.trim_start_matches('\u{feff}').replace('$', &DOLLAR.to_string());
    let mut values = BTreeMap::new();
    let mut problems = Vec::new();
    for entry in dotenvy::from_read_iter(text.as_bytes()) {
        match entry {
            Ok((name, value)) => {
                values.entry(name).or_insert_with(|| value.replace(DOLLAR, "$"));
            }
            Err(error) => problems.push(unreadable_line(&text, &error)),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(SettingsError { problems }) }
}

/// Names the line by its number: its text may be a secret.
fn unreadable_line(text: &str, error: &dotenvy::Error) -> Finding {
    let place = match error {
        dotenvy::Error::LineParse(line, _) => text.find(line.as_str()),
        _ => None,
    };
    let name = match place {
        Some(offset) => format!(".env line {}", text[..offset].matches('\n').count() + 1),
        None => ".env".into(),
    };
    Finding {
        name,
        what: "cannot be understood".into(),
        remedy: "write NAME=value; put values with spaces, quotes, # or \\ in single quotes ($ needs no backslash)".into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_understood() {
        let text = "\u{feff}# comment\nA=1\nexport B='two words' # said\n\nC=\"first\nsecond\"\nD=a$A\nE='${HOME}'\nA=2\nF=\n";
        let values: Vec<_> = parse_file(text).unwrap().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        insta::assert_debug_snapshot!(values, @r#"
        [
            "A=1",
            "B=two words",
            "C=first\nsecond",
            "D=a$A",
            "E=${HOME}",
            "F=",
        ]
        "#);
    }

    #[test]
    fn a_line_that_is_not_understood_is_named_by_its_number_only() {
        let error = parse_file("A=1\nGITHUB_TOKEN=secret value\nB='\n").unwrap_err();
        insta::assert_snapshot!(error, @r"
        2 settings are wrong
          .env line 2: cannot be understood
            → write NAME=value; put values with spaces, quotes, # or \ in single quotes ($ needs no backslash)
          .env line 3: cannot be understood
            → write NAME=value; put values with spaces, quotes, # or \ in single quotes ($ needs no backslash)
        ");
    }

    #[test]
    fn a_missing_file_is_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read_file(&directory.path().join(".env")).unwrap().is_empty());
    }

    #[test]
    fn an_empty_value_of_the_process_hides_the_file() {
        let sources = Sources {
            process: [("A".into(), " ".into())].into(),
            file: [("A".into(), "1".into()), ("B".into(), " 2 ".into())].into(),
        };
        assert_eq!(sources.get("A"), None);
        assert_eq!(sources.get("B"), Some(("2", Origin::File)));
    }

    #[test]
    fn only_names_are_shown() {
        let sources = Sources { process: [("GITHUB_TOKEN".into(), "ghp_value".into())].into(), file: BTreeMap::new() };
        assert_eq!(format!("{sources:?}"), r#"Sources { process: ["GITHUB_TOKEN"], file: [] }"#);
    }
}

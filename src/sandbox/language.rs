//! The languages a program text can be in, as a table: how each is named, which programs it needs, and how a text is run. Pure;
//! whatever the provider, a program is a file in a directory of its own, and runs in the workspace.

mod table;

use std::borrow::Cow;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use self::table::{How, Row, TABLE};

/// A language a program text can be in. Written and read by name; reading knows the names people give to fences, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// CPython 3.
    #[default]
    Python,
    /// Node.
    Javascript,
    /// Node, after the types were taken out by [`super::typescript`].
    Typescript,
    /// `bash`, or `sh` where there is none.
    Shell,
    /// One file, compiled by `rustc`.
    Rust,
    /// One file, compiled by `go build`.
    Go,
    /// One file, compiled by `cc`.
    C,
    /// One file, compiled by `c++`.
    Cpp,
    /// `ruby`.
    Ruby,
    /// `perl`.
    Perl,
    /// `php`, with or without the opening tag.
    Php,
    /// One file, run by the `java` of a development kit.
    Java,
    /// `lua`, or one of its versions.
    Lua,
    /// `Rscript`.
    R,
    /// `deno run`, TypeScript or JavaScript.
    Deno,
    /// `bun run`, TypeScript or JavaScript.
    Bun,
}

/// Variables that every command in a sandbox gets: what draws pictures draws them into files, because there is no screen.
pub const ENVIRONMENT: [(&str, &str); 1] = [("MPLBACKEND", "Agg")];

/// How a program text is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Base name of the file that holds the text, in the directory that was named.
    pub file: &'static str,
    /// What the file holds.
    pub text: String,
    /// What is executed in the workspace, with its arguments. Nothing that was given is read by a shell.
    pub argv: Vec<String>,
    /// True when the file is its standard input; otherwise that is empty.
    pub from_stdin: bool,
}

/// What is known of the place where a program will run.
#[derive(Clone, Copy, Debug)]
pub struct Interpreters {
    /// `bash`, or `sh` where there is none.
    pub shell: &'static str,
    /// Unset when nobody asked, or there is none.
    pub node: Option<NodeVersion>,
}

impl Language {
    /// Every language, the usual ones first.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.language)
    }

    /// The language of this name, in any case: its own, that of a fence, or the ending of a file.
    pub fn find(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        let row = TABLE.iter().find(|row| row.names.contains(&name.as_str()) || row.endings.contains(&name.as_str()))?;
        Some(row.language)
    }

    /// The language a file's ending stands for.
    pub fn of_file(file: &Path) -> Option<Self> {
        let ending = file.extension()?.to_str()?;
        // In C++ it is the case that tells it from C.
        if ending == "C" {
            return Some(Self::Cpp);
        }
        let ending = ending.to_ascii_lowercase();
        TABLE.iter().find(|row| row.endings.contains(&ending.as_str())).map(|row| row.language)
    }

    /// Its name in labels and arguments.
    pub fn name(self) -> &'static str {
        self.row().names[0]
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        self.row().title
    }

    /// Its name on a fence, where highlighters know it.
    pub fn fence(self) -> &'static str {
        self.row().fence
    }

    /// Name of a file with a text in it.
    pub fn file(self) -> &'static str {
        self.row().file
    }

    /// The programs it needs: one of each group.
    pub fn needs(self) -> &'static [&'static [&'static str]] {
        self.row().needs
    }

    /// A line for the shell that prints its version first.
    pub fn version_command(self) -> &'static str {
        self.row().version
    }

    /// What to say when a program of [`Language::needs`] is not there.
    pub fn missing(self, program: &str) -> String {
        let other = match self {
            Self::Javascript | Self::Typescript => "JavaScript and TypeScript",
            _ => self.title(),
        };
        format!("`{program}` is not in the sandbox, so {other} cannot run here; use another language")
    }

    /// How a text in this language is run. `directory` is an absolute path inside the sandbox, for this run alone. TypeScript is
    /// given after [`super::typescript::strip`].
    pub fn program(self, code: &str, directory: &str, argv: &[String], interpreters: Interpreters) -> Program {
        let row = self.row();
        let file = format!("{directory}/{}", row.file);
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut words = match row.how {
            How::Before(words) => [owned(words), vec![file]].concat(),
            How::Node => node(code, interpreters.node),
            How::Shell => vec![interpreters.shell.to_owned(), file],
            How::Script(script) => vec!["sh".to_owned(), "-c".to_owned(), script.to_owned(), directory.to_owned()],
        };
        words.extend(argv.iter().cloned());
        let from_stdin = matches!(row.how, How::Node);
        Program { file: row.file, text: self.text(code).into_owned(), argv: words, from_stdin }
    }

    /// Snippets of PHP seldom have the tag without which they would only be printed.
    fn text(self, code: &str) -> Cow<'_, str> {
        match self {
            Self::Php if !code.contains("<?") => format!("<?php {code}").into(),
            _ => code.into(),
        }
    }

    fn row(self) -> &'static Row {
        let found = TABLE.iter().find(|row| row.language == self);
        found.expect("a test looks for every language in the table")
    }
}

/// Node reads the code from its standard input: then relative imports start at the working directory.
fn node(code: &str, version: Option<NodeVersion>) -> Vec<String> {
    let mut command = vec!["node".to_owned()];
    if is_module(code) && !version.is_some_and(NodeVersion::detects_modules) {
        command.push("--input-type=module".to_owned());
    }
    command.push("-".to_owned());
    command
}

/// True when the code says so at the start of a line. Wrong guesses only matter for old versions of Node.
fn is_module(code: &str) -> bool {
    code.lines().any(|line| {
        line.strip_prefix("import").is_some_and(|rest| rest.starts_with([' ', '{', '*', '"', '\'']))
            || line.strip_prefix("export").is_some_and(|rest| rest.starts_with([' ', '{', '*']))
    })
}

/// Version of `node`, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeVersion(pub u32, pub u32);

impl NodeVersion {
    /// Reads `v22.6.0`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().strip_prefix('v')?.split('.').map(str::parse);
        Some(Self(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    /// Finds out by itself whether code is a module.
    fn detects_modules(self) -> bool {
        self >= Self(22, 7) || (self.0 == 20 && self.1 >= 19)
    }
}

impl FromStr for Language {
    type Err = String;

    /// As [`Language::find`]; the error names what is known.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::find(text).ok_or_else(|| {
            let known: Vec<_> = Self::all().map(Self::name).collect();
            let short: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
            format!("`{short}` is not a language that can be run here; known are {}", known.join(", "))
        })
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What models are told: those that are on nearly every machine. For the others there are commands.
impl schemars::JsonSchema for Language {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Language".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let told = [Self::Python, Self::Javascript, Self::Typescript, Self::Shell].map(Self::name);
        schemars::json_schema!({ "type": "string", "enum": told })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;

    const NONE: Interpreters = Interpreters { shell: "bash", node: None };

    fn every() -> Vec<Language> {
        use Language::{Bun, C, Cpp, Deno, Go, Java, Javascript, Lua, Perl, Php, Python, R, Ruby, Rust, Shell, Typescript};
        let all = vec![Python, Javascript, Typescript, Shell, Rust, Go, C, Cpp, Ruby, Perl, Php, Java, Lua, R, Deno, Bun];
        // A language that is added is missed here by the compiler, and then in the table by the test below.
        for language in &all {
            match language {
                Python | Javascript | Typescript | Shell | Rust | Go | C | Cpp | Ruby | Perl | Php | Java | Lua | R | Deno
                | Bun => {}
            }
        }
        all
    }

    #[test]
    fn every_language_has_one_row_and_no_name_means_two() {
        assert_eq!(Language::all().collect::<Vec<_>>(), every());
        let names: Vec<_> = TABLE.iter().flat_map(|row| row.names).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
        for row in &TABLE {
            assert!(!row.needs.is_empty() && row.needs.iter().all(|group| !group.is_empty()), "{:?}", row.language);
            assert_eq!(Language::find(row.fence), Some(row.language));
            assert_eq!(
                Language::of_file(Path::new(row.file)),
                Some(row.language).filter(|l| !matches!(l, Language::Deno | Language::Bun)).or(Some(Language::Typescript))
            );
            let json = serde_json::to_string(&row.language).unwrap();
            assert_eq!(serde_json::from_str::<Language>(&json).unwrap(), row.language);
        }
    }

    #[test]
    fn people_name_languages_in_many_ways() {
        for (name, expected) in [
            ("py", Language::Python),
            ("Python3", Language::Python),
            ("JS", Language::Javascript),
            ("mjs", Language::Javascript),
            ("ts", Language::Typescript),
            ("console", Language::Shell),
            ("", Language::Shell),
            ("rs", Language::Rust),
            ("golang", Language::Go),
            ("c++", Language::Cpp),
            ("cxx", Language::Cpp),
            ("rb", Language::Ruby),
            ("R", Language::R),
        ] {
            assert_eq!(Language::find(name), Some(expected), "{name}");
        }
        insta::assert_snapshot!("co\nbol".parse::<Language>().unwrap_err(), @"`cobol` is not a language that can be run here; known are python, javascript, typescript, shell, rust, go, c, cpp, ruby, perl, php, java, lua, r, deno, bun");
    }

    #[test]
    fn the_ending_of_a_file_names_its_language() {
        for (file, expected) in [
            ("a.py", Some(Language::Python)),
            ("a.mjs", Some(Language::Javascript)),
            ("dir.py/a.TS", Some(Language::Typescript)),
            ("a.sh", Some(Language::Shell)),
            ("a.C", Some(Language::Cpp)),
            ("a.c", Some(Language::C)),
            ("a.cc", Some(Language::Cpp)),
            ("a.R", Some(Language::R)),
            ("a.txt", None),
            ("console", None),
            ("-", None),
        ] {
            assert_eq!(Language::of_file(Path::new(file)), expected, "{file}");
        }
    }

    #[test]
    fn arguments_and_code_never_meet_a_shell() {
        let argv = ["$(id)".to_owned(), "a 'b".to_owned()];
        for language in Language::all() {
            let program = language.program("THE CODE", "/tmp/run", &argv, NONE);
            assert_eq!(program.argv[program.argv.len() - 2..], argv, "{language:?}");
            assert!(program.text.ends_with("THE CODE") && !program.argv.iter().any(|word| word.contains("CODE")));
        }
        let python = Language::Python.program("", "/tmp/run", &argv, NONE);
        assert_eq!(python.argv, ["python3", "-u", "/tmp/run/main.py", "$(id)", "a 'b"]);
        let rust = Language::Rust.program("", "/tmp/run", &argv, NONE);
        assert_eq!((&rust.argv[..2], rust.argv[3].as_str()), (&["sh".to_owned(), "-c".to_owned()][..], "/tmp/run"));
    }

    #[test]
    fn modules_are_named_only_to_versions_that_do_not_notice() {
        let module = "import fs from 'node:fs'";
        assert_eq!(node(module, Some(NodeVersion(18, 0))), ["node", "--input-type=module", "-"]);
        assert_eq!(node(module, Some(NodeVersion(20, 20))), ["node", "-"]);
        assert_eq!(node("const important = 1", Some(NodeVersion(18, 0))), ["node", "-"]);
        assert_eq!(NodeVersion::parse("v22.6.0\n"), Some(NodeVersion(22, 6)));
    }

    #[test]
    fn php_needs_no_tag() {
        assert_eq!(Language::Php.text("echo 1;"), "<?php echo 1;");
        assert_eq!(Language::Php.text("<b><?= 1 ?></b>"), "<b><?= 1 ?></b>");
    }

    #[test]
    fn what_is_missing_is_named() {
        insta::assert_snapshot!(Language::Rust.missing("rustc"), @"`rustc` is not in the sandbox, so Rust cannot run here; use another language");
    }
}

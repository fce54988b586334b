//! One row for each language.

use super::Language;

/// What is known of a language.
pub(super) struct Row {
    pub language: Language,
    /// Its own name, then further ones, as people write them on fences.
    pub names: &'static [&'static str],
    /// Endings of files, lower case.
    pub endings: &'static [&'static str],
    pub title: &'static str,
    pub fence: &'static str,
    /// Name of the file a text is kept in.
    pub file: &'static str,
    /// Programs without which it cannot run: one of each group.
    pub needs: &'static [&'static [&'static str]],
    /// A line for the shell whose first line of output is the version.
    pub version: &'static str,
    pub how: How,
}

/// How a file becomes a running program.
pub(super) enum How {
    /// These words, then the file.
    Before(&'static [&'static str]),
    /// `node`, reading the file as standard input.
    Node,
    /// The shell, reading the file.
    Shell,
    /// A script for `sh`, in which `$0` is the directory of the file and `$@` the arguments.
    Script(&'static str),
}

/// Half of what the sandbox allows is for the heap, so that the machine itself fits as well.
const JAVA: &str = r#"data=$(ulimit -d)
[ "$data" = unlimited ] && heap= || heap="-Xmx$((data / 2))k"
exec java $heap -Xms16m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp . "$0/Main.java" "$@""#;

pub(super) const TABLE: [Row; 16] = [
    Row {
        language: Language::Python,
        names: &["python", "python3", "py"],
        endings: &["py"],
        title: "Python",
        fence: "python",
        file: "main.py",
        needs: &[&["python3"]],
        version: "python3 --version",
        how: How::Before(&["python3", "-u"]),
    },
    Row {
        language: Language::Javascript,
        names: &["javascript", "js", "node", "mjs", "cjs"],
        endings: &["js", "mjs", "cjs"],
        title: "JavaScript",
        fence: "javascript",
        file: "main.js",
        needs: &[&["node"]],
        version: "node --version",
        how: How::Node,
    },
    Row {
        language: Language::Typescript,
        names: &["typescript", "ts", "mts", "cts"],
        endings: &["ts", "mts", "cts"],
        title: "TypeScript",
        fence: "typescript",
        file: "main.ts",
        needs: &[&["node"]],
        version: "node --version",
        how: How::Node,
    },
    Row {
        language: Language::Shell,
        // A fence without a language holds commands more often than anything else.
        names: &["shell", "sh", "bash", "console", ""],
        endings: &["sh", "bash"],
        title: "a shell script",
        fence: "sh",
        file: "main.sh",
        needs: &[&["bash", "sh"]],
        version: "bash --version || echo sh",
        how: How::Shell,
    },
    Row {
        language: Language::Rust,
        names: &["rust", "rs"],
        endings: &["rs"],
        title: "Rust",
        fence: "rust",
        file: "main.rs",
        needs: &[&["rustc"], &["cc"]],
        version: "rustc --version",
        how: How::Script(
            r#"rustc --edition 2021 -O --remap-path-prefix "$0/=" -o "$0/program" "$0/main.rs" && exec "$0/program" "$@""#,
        ),
    },
    Row {
        language: Language::Go,
        names: &["go", "golang"],
        endings: &["go"],
        title: "Go",
        fence: "go",
        file: "main.go",
        needs: &[&["go"]],
        version: "go version",
        how: How::Script(r#"GOTOOLCHAIN=local go build -trimpath -o "$0/program" "$0/main.go" && exec "$0/program" "$@""#),
    },
    Row {
        language: Language::C,
        names: &["c"],
        endings: &["c"],
        title: "C",
        fence: "c",
        file: "main.c",
        needs: &[&["cc"]],
        version: "cc --version",
        how: How::Script(r#"cc -O1 -pthread -I. -o "$0/program" "$0/main.c" -lm && exec "$0/program" "$@""#),
    },
    Row {
        language: Language::Cpp,
        names: &["cpp", "c++", "cxx"],
        endings: &["cpp", "cc", "cxx", "c++"],
        title: "C++",
        fence: "cpp",
        file: "main.cpp",
        needs: &[&["c++"]],
        version: "c++ --version",
        how: How::Script(r#"c++ -std=c++20 -O1 -pthread -I. -o "$0/program" "$0/main.cpp" && exec "$0/program" "$@""#),
    },
    Row {
        language: Language::Ruby,
        names: &["ruby", "rb"],
        endings: &["rb"],
        title: "Ruby",
        fence: "ruby",
        file: "main.rb",
        needs: &[&["ruby"]],
        version: "ruby --version",
        how: How::Before(&["ruby", "-I."]),
    },
    Row {
        language: Language::Perl,
        names: &["perl", "pl"],
        endings: &["pl"],
        title: "Perl",
        fence: "perl",
        file: "main.pl",
        needs: &[&["perl"]],
        version: "perl -e 'print $^V'",
        how: How::Before(&["perl", "-I."]),
    },
    Row {
        language: Language::Php,
        names: &["php"],
        endings: &["php"],
        title: "PHP",
        fence: "php",
        file: "main.php",
        needs: &[&["php"]],
        version: "php --version",
        how: How::Before(&["php"]),
    },
    Row {
        language: Language::Java,
        names: &["java"],
        endings: &["java"],
        title: "Java",
        fence: "java",
        file: "Main.java",
        needs: &[&["java"], &["javac"]],
        version: "javac -version",
        how: How::Script(JAVA),
    },
    Row {
        language: Language::Lua,
        names: &["lua"],
        endings: &["lua"],
        title: "Lua",
        fence: "lua",
        file: "main.lua",
        needs: &[&["lua", "lua5.4", "lua5.3", "luajit"]],
        version: "$(command -v lua || command -v lua5.4 || command -v lua5.3 || command -v luajit) -v",
        how: How::Script(
            r#"exec "$(command -v lua || command -v lua5.4 || command -v lua5.3 || command -v luajit)" "$0/main.lua" "$@""#,
        ),
    },
    Row {
        language: Language::R,
        names: &["r", "rscript"],
        endings: &["r"],
        title: "R",
        fence: "r",
        file: "main.R",
        needs: &[&["Rscript"]],
        version: "Rscript --version",
        how: How::Before(&["Rscript"]),
    },
    Row {
        language: Language::Deno,
        names: &["deno"],
        endings: &[],
        title: "Deno",
        fence: "deno",
        file: "main.ts",
        needs: &[&["deno"]],
        version: "deno --version",
        how: How::Script(r#"DENO_NO_UPDATE_CHECK=1 exec deno run --allow-all --no-prompt "$0/main.ts" "$@""#),
    },
    Row {
        language: Language::Bun,
        names: &["bun"],
        endings: &[],
        title: "Bun",
        fence: "bun",
        file: "main.ts",
        needs: &[&["bun"]],
        version: "bun --version",
        how: How::Before(&["bun", "run"]),
    },
];

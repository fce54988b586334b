//! From an [`Exec`] to the text that starts it in the sandbox: directory, environment, interpreter, arguments. Pure.

use std::collections::BTreeMap;

use super::script::{MAX_VARIABLE, quote};
use crate::sandbox::{Command, Exec, Language, SandboxError};

/// A program as files of its job.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// Text for `sh` that starts it.
    pub run: String,
    /// File with the code, when it does not fit into `run`: its name and content.
    pub code: Option<(&'static str, String)>,
    /// What it needs, for the error when that is missing.
    pub needs: &'static str,
    /// Where it runs, absolute.
    pub directory: String,
}

/// Starts the first of the two that there is.
const SHELL: &str = r#"if command -v bash >/dev/null 2>&1; then exec bash "$@"; else exec /bin/sh "$@"; fi"#;
/// Starts a program, or leaves word that there is none.
const INTERPRETER: &str =
    r#"why=$1; shift; command -v "$1" >/dev/null 2>&1 || { echo interpreter > "$why"; exit 127; }; exec "$@""#;

/// How code of a language is started: program and arguments, and whether the code is read from standard input.
struct Start {
    program: Vec<String>,
    file: &'static str,
    from_stdin: bool,
    needs: &'static str,
}

/// Makes the program of a command whose job is at `job`. Refused when a variable has no proper name, or something contains a NUL.
pub(super) fn program(
    exec: &Exec,
    own_env: &BTreeMap<String, String>,
    workspace: &str,
    job: &str,
) -> Result<Program, SandboxError> {
    let directory = directory(workspace, exec.working_directory.as_deref())?;
    let mut env: BTreeMap<&str, &str> =
        own_env.iter().chain(&exec.env).map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (arguments, code, needs) = match &exec.command {
        Command::Shell(line) => shell_line(line, job),
        Command::Code { language: Language::Shell, code, argv } => {
            let path = format!("{job}/main.sh");
            let arguments = [vec![path], argv.clone()].concat();
            (shell(&arguments), Some(("main.sh", code.clone())), "sh")
        }
        Command::Code { language, code, argv } => {
            if *language == Language::Python {
                // The code lies elsewhere, but modules of the working directory can be imported as usual.
                env.entry("PYTHONPATH").or_insert(&directory);
            }
            let start = start(*language, code, job);
            let mut text = interpreter(&[start.program, argv.clone()].concat(), job);
            if start.from_stdin {
                text.push_str(&format!(" < {}", quote(&format!("{job}/{}", start.file))));
            }
            (text, Some((start.file, code.clone())), start.needs)
        }
    };
    let env = environment(&env)?;
    let run = format!(
        "cd {} 2>/dev/null || {{ echo directory > {}; exit 126; }}\nexec env {env}{arguments}\n",
        quote(&directory),
        quote(&format!("{job}/why"))
    );
    if run.contains('\0') {
        return Err(SandboxError::Invalid("a command cannot contain a NUL character".to_owned()));
    }
    Ok(Program { run, code, needs, directory })
}

/// A short line is an argument, as people would start it; a long one has to be a file.
fn shell_line(line: &str, job: &str) -> (String, Option<(&'static str, String)>, &'static str) {
    if line.len() <= MAX_VARIABLE {
        return (shell(&["-c".to_owned(), line.to_owned()]), None, "sh");
    }
    (shell(&[format!("{job}/main.sh")]), Some(("main.sh", line.to_owned())), "sh")
}

fn shell(arguments: &[String]) -> String {
    format!("/bin/sh -c {} sh {}", quote(SHELL), words(arguments))
}

fn interpreter(program: &[String], job: &str) -> String {
    format!("/bin/sh -c {} sh {} {}", quote(INTERPRETER), quote(&format!("{job}/why")), words(program))
}

fn words(words: &[String]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

fn start(language: Language, code: &str, job: &str) -> Start {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    match language {
        Language::Python => Start {
            program: words(&["python3", "-u", &format!("{job}/main.py")]),
            file: "main.py",
            from_stdin: false,
            needs: "python3",
        },
        // Node reads the code from its standard input: then relative imports start at the working directory.
        Language::Javascript => Start { program: words(&["node", "-"]), file: "main.js", from_stdin: true, needs: "node" },
        Language::Typescript => {
            let file = if is_module(code) { "main.mts" } else { "main.cts" };
            let path = format!("{job}/{file}");
            Start {
                program: words(&["node", "--experimental-strip-types", "--no-warnings", &path]),
                file,
                from_stdin: false,
                needs: "node",
            }
        }
        Language::Shell => {
            Start { program: words(&["sh", &format!("{job}/main.sh")]), file: "main.sh", from_stdin: false, needs: "sh" }
        }
    }
}

fn is_module(code: &str) -> bool {
    code.lines().any(|line| line.starts_with("import ") || line.starts_with("export "))
}

/// Absolute, as the program sees it. Any directory of the sandbox will do.
fn directory(workspace: &str, given: Option<&str>) -> Result<String, SandboxError> {
    match given.map(str::trim) {
        None | Some("" | "." | "./") => Ok(workspace.to_owned()),
        Some(path) if path.contains('\0') => Err(SandboxError::Invalid("a path cannot contain a NUL character".to_owned())),
        Some(path) if path.starts_with('/') => Ok(path.to_owned()),
        Some(path) => Ok(format!("{}/{path}", workspace.trim_end_matches('/'))),
    }
}

/// Arguments of `env`, which takes any name but those that would be something else to it.
fn environment(env: &BTreeMap<&str, &str>) -> Result<String, SandboxError> {
    let mut text = String::new();
    for (name, value) in env {
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name || value.contains('\0') {
            return Err(SandboxError::Invalid(format!(
                "`{}` cannot be the name of an environment variable",
                name.escape_debug()
            )));
        }
        if value.len() > MAX_VARIABLE {
            return Err(SandboxError::Invalid(format!(
                "the variable {name} has {} bytes, more than the {MAX_VARIABLE} one may have; put it into a file",
                value.len()
            )));
        }
        text.push_str(&quote(&format!("{name}={value}")));
        text.push(' ');
    }
    Ok(text)
}

/// Text of the error when an interpreter is not installed.
pub(super) fn missing(program: &str) -> SandboxError {
    let language = match program {
        "node" => "javascript and typescript",
        "python3" => "python",
        _ => "shell commands",
    };
    SandboxError::Invalid(format!(
        "`{program}` is not installed in this sandbox, so {language} cannot run here; install it with a command, use another language, \
         or choose a snapshot that has it (DAYTONA_SNAPSHOT)"
    ))
}

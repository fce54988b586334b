//! From an [`Exec`] to the text that starts it in the sandbox: directory, environment, interpreter, arguments. Pure.

use std::collections::BTreeMap;

use super::script::{MAX_VARIABLE, quote};
use crate::sandbox::language::{ENVIRONMENT, Interpreters};
use crate::sandbox::{Command, Exec, Language, SandboxError};

/// A program as files of its job.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// Text for `sh` that starts it.
    pub run: String,
    /// File with the code, when it does not fit into `run`: its name and content.
    pub code: Option<(&'static str, String)>,
    /// For the error when something it needs is missing.
    pub language: Language,
    /// Where it runs, absolute.
    pub directory: String,
}

/// File of a shell program.
const SCRIPT: &str = "main.sh";
/// Starts the first of the two that there is.
const SHELL: &str = r#"if command -v bash >/dev/null 2>&1; then exec bash "$@"; else exec /bin/sh "$@"; fi"#;
/// Starts a program. Only versions of Node that do not find out by themselves are told that code is a module.
const START: &str = r#"if [ "$2" = --input-type=module ]; then
    case $("$1" --version 2>/dev/null) in v20.19.* | v20.[2-9]?.* | v22.[7-9].* | v22.??.* | v2[3-9].* | v[3-9]?.*)
        node=$1; shift 2; set -- "$node" "$@" ;;
    esac
fi
exec "$@""#;

/// Makes the program of a command whose job is at `job`. `stripped` is the code without types, where it had some. Refused when a variable
/// has no proper name, or something contains a NUL.
pub(super) fn program(
    exec: &Exec,
    stripped: Option<&str>,
    own_env: &BTreeMap<String, String>,
    workspace: &str,
    job: &str,
) -> Result<Program, SandboxError> {
    let directory = directory(workspace, exec.working_directory.as_deref())?;
    let mut env: BTreeMap<&str, &str> = ENVIRONMENT.into_iter().collect();
    env.extend(own_env.iter().chain(&exec.env).map(|(name, value)| (name.as_str(), value.as_str())));
    let (arguments, code, language) = match &exec.command {
        Command::Shell(line) => {
            let (arguments, code) = shell_line(line, job);
            (arguments, code, Language::Shell)
        }
        Command::Code { language: Language::Shell, code, argv } => {
            let arguments = [vec![format!("{job}/{SCRIPT}")], argv.clone()].concat();
            (shell(&arguments), Some((SCRIPT, code.clone())), Language::Shell)
        }
        Command::Code { language, code, argv } => {
            if *language == Language::Python {
                // The code lies elsewhere, but modules of the working directory can be imported as usual.
                env.entry("PYTHONPATH").or_insert(&directory);
            }
            let program = language.program(stripped.unwrap_or(code), job, argv, Interpreters { shell: "sh", node: None });
            let mut text = interpreter(*language, &program.argv, job);
            if program.from_stdin {
                text.push_str(&format!(" < {}", quote(&format!("{job}/{}", program.file))));
            }
            (text, Some((program.file, program.text)), *language)
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
    Ok(Program { run, code, language, directory })
}

/// A short line is an argument, as people would start it; a long one has to be a file.
fn shell_line(line: &str, job: &str) -> (String, Option<(&'static str, String)>) {
    if line.len() <= MAX_VARIABLE {
        return (shell(&["-c".to_owned(), line.to_owned()]), None);
    }
    (shell(&[format!("{job}/{SCRIPT}")]), Some((SCRIPT, line.to_owned())))
}

fn shell(arguments: &[String]) -> String {
    format!("/bin/sh -c {} sh {}", quote(SHELL), words(arguments))
}

/// Looks for what the language needs first, and leaves word which of it there is not.
fn interpreter(language: Language, program: &[String], job: &str) -> String {
    let looks = language.needs().iter().enumerate().map(|(number, group)| {
        let one_of: Vec<_> = group.iter().map(|name| format!("command -v {name}")).collect();
        format!("{{ {}; }} >/dev/null 2>&1 || {{ echo interpreter:{number} > \"$0\"; exit 127; }}\n", one_of.join(" || "))
    });
    let text: String = looks.chain([START.to_owned()]).collect();
    format!("/bin/sh -c {} {} {}", quote(&text), quote(&format!("{job}/why")), words(program))
}

fn words(words: &[String]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
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

/// The error when a program the language needs is not there, by its number in [`Language::needs`].
pub(super) fn missing(language: Language, number: usize) -> SandboxError {
    let program = language.needs().get(number).and_then(|group| group.first()).copied().unwrap_or("sh");
    SandboxError::Invalid(language.missing(program))
}

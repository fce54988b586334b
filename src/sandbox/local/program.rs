//! From a [`Command`] to a program: which interpreter, with which arguments, reading the code from where.

use std::collections::BTreeMap;

use super::super::language::{ENVIRONMENT, Interpreters, Language, NodeVersion};
use super::super::{Command, Exec, SandboxError};
use super::host::Host;
use super::paths::{TEMPORARY, WORKSPACE};
use super::plan::Program;

/// Home directory inside.
const HOME: &str = "/tmp/home";

/// Where the code of one run is kept; removed afterwards.
pub(super) struct CodeFile {
    /// Path inside.
    pub path: String,
    pub content: String,
}

/// What to execute, and the file it needs.
pub(super) struct Prepared {
    pub program: Program,
    pub code: Option<CodeFile>,
}

/// Makes a program of a command. `node` is the version there is, when the command needs one. TypeScript comes without types.
pub(super) fn prepare(
    exec: &Exec,
    own_env: &BTreeMap<String, String>,
    host: &Host,
    node: Option<NodeVersion>,
) -> Result<Prepared, SandboxError> {
    let directory = directory(exec.working_directory.as_deref())?;
    let mut env = environment(exec, own_env, host)?;
    let (argv, code, stdin) = match &exec.command {
        Command::Shell(line) => (vec![host.shell.to_owned(), "-c".to_owned(), line.clone()], None, None),
        Command::Code { language, code, argv } => {
            if let Some(group) = language.needs().iter().find(|group| !group.iter().any(|name| host.has(name))) {
                return Err(missing(*language, group[0]));
            }
            if *language == Language::Python {
                // The code lies elsewhere, but modules of the working directory can be imported as usual.
                env.entry("PYTHONPATH".to_owned()).or_insert_with(|| directory.clone());
            }
            let place = format!("{TEMPORARY}/.run-{}", uuid::Uuid::now_v7().simple());
            let program = language.program(code, &place, argv, Interpreters { shell: host.shell, node });
            let file = CodeFile { path: format!("{place}/{}", program.file), content: program.text };
            let stdin = program.from_stdin.then(|| file.path.clone());
            (program.argv, Some(file), stdin)
        }
    };
    if argv.iter().any(|part| part.contains('\0')) {
        return Err(SandboxError::Invalid("a command cannot contain a NUL character".to_owned()));
    }
    Ok(Prepared { program: Program { argv, env: env.into_iter().collect(), directory, stdin }, code })
}

/// The error when an interpreter is not there.
pub(super) fn missing(language: Language, program: &str) -> SandboxError {
    SandboxError::Invalid(language.missing(program))
}

/// Absolute, as the program sees it. Any directory of the sandbox will do: the walls are elsewhere.
fn directory(given: Option<&str>) -> Result<String, SandboxError> {
    match given.map(str::trim) {
        None | Some("" | "." | "./") => Ok(WORKSPACE.to_owned()),
        Some(path) if path.contains('\0') => Err(SandboxError::Invalid("a path cannot contain a NUL character".to_owned())),
        Some(path) if path.starts_with('/') => Ok(path.to_owned()),
        Some(path) => Ok(format!("{WORKSPACE}/{path}")),
    }
}

fn environment(exec: &Exec, own: &BTreeMap<String, String>, host: &Host) -> Result<BTreeMap<String, String>, SandboxError> {
    let base = [("PATH", host.path.as_str()), ("HOME", HOME), ("USER", "threadbox"), ("LANG", "C.UTF-8"), ("TERM", "dumb")];
    let mut env: BTreeMap<_, _> =
        base.into_iter().chain(ENVIRONMENT).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (name, value) in own.iter().chain(&exec.env) {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(SandboxError::Invalid(format!(
                "`{}` cannot be the name of an environment variable",
                name.escape_debug()
            )));
        }
        env.insert(name.clone(), value.clone());
    }
    Ok(env)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    fn host() -> Host {
        Host { mounts: vec![], links: vec![], files: vec![], path: "/usr/bin:/bin".to_owned(), shell: "bash" }
    }

    fn code(language: Language, code: &str) -> Exec {
        let command = Command::Code { language, code: code.to_owned(), argv: vec!["$(id)".to_owned(), "a b".to_owned()] };
        Exec::new(command, Duration::from_secs(1), 1)
    }

    #[test]
    fn arguments_are_passed_as_they_are_and_code_never_meets_a_shell() {
        let prepared = prepare(&code(Language::Python, "print(1)"), &BTreeMap::new(), &host(), None).unwrap();
        let file = prepared.code.unwrap();
        assert_eq!(prepared.program.argv, ["python3", "-u", &file.path, "$(id)", "a b"]);
        assert_eq!(file.content, "print(1)");
        assert!(prepared.program.env.contains(&("PYTHONPATH".to_owned(), WORKSPACE.to_owned())));
    }

    #[test]
    fn what_is_not_here_is_said_before_anything_runs() {
        let empty = Host { path: "/nowhere".to_owned(), ..host() };
        let refused = prepare(&code(Language::Rust, "fn main() {}"), &BTreeMap::new(), &empty, None).map(drop);
        assert!(refused.is_err_and(|error| error.to_string().contains("`rustc` is not in the sandbox, so Rust cannot run")));
    }

    #[test]
    fn pictures_are_drawn_into_files_unless_somebody_wants_it_otherwise() {
        let mut exec = code(Language::Shell, "");
        let backend = |exec: &Exec| {
            let env = prepare(exec, &BTreeMap::new(), &host(), None).unwrap().program.env;
            env.into_iter().find(|(name, _)| name == "MPLBACKEND").map(|(_, value)| value)
        };
        assert_eq!(backend(&exec).as_deref(), Some("Agg"));
        exec.env.insert("MPLBACKEND".to_owned(), "svg".to_owned());
        assert_eq!(backend(&exec).as_deref(), Some("svg"));
    }

    #[test]
    fn wrong_variable_names_are_refused() {
        let mut exec = code(Language::Shell, "");
        exec.env.insert("A=B".to_owned(), "x".to_owned());
        assert!(prepare(&exec, &BTreeMap::new(), &host(), None).is_err());
    }
}

//! From a [`Command`] to a program: which interpreter, with which arguments, reading the code from where.

use std::collections::BTreeMap;

use super::super::{Command, Exec, Language, SandboxError};
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
    /// For the error when the program is missing.
    pub needs: &'static str,
}

/// Version of `node`, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeVersion(pub u32, pub u32);

impl NodeVersion {
    /// Reads `v22.6.0`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().strip_prefix('v')?.split('.').map(str::parse);
        Some(Self(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    /// Removes types by itself, with or without being asked.
    fn strips_types(self) -> bool {
        self >= Self(22, 6)
    }

    /// Finds out by itself whether code is a module.
    fn detects_modules(self) -> bool {
        self >= Self(22, 7) || (self.0 == 20 && self.1 >= 19)
    }
}

/// Makes a program of a command. `node` is the version there is, when the command needs one.
pub(super) fn prepare(
    exec: &Exec,
    own_env: &BTreeMap<String, String>,
    host: &Host,
    node: Option<NodeVersion>,
) -> Result<Prepared, SandboxError> {
    let directory = directory(exec.working_directory.as_deref())?;
    let mut env = environment(exec, own_env, host)?;
    let (argv, code, stdin, needs) = match &exec.command {
        Command::Shell(line) => (vec![host.shell.to_owned(), "-c".to_owned(), line.clone()], None, None, "sh"),
        Command::Code { language, code, argv } => {
            let file = |name: &str| CodeFile {
                path: format!("{TEMPORARY}/.run-{}/{name}", uuid::Uuid::now_v7().simple()),
                content: code.clone(),
            };
            let (mut command, file, from_stdin, needs) = match language {
                Language::Python => {
                    let file = file("main.py");
                    // The code lies elsewhere, but modules of the working directory can be imported as usual.
                    env.entry("PYTHONPATH".to_owned()).or_insert_with(|| directory.clone());
                    (vec!["python3".to_owned(), "-u".to_owned(), file.path.clone()], file, false, "python3")
                }
                Language::Javascript => (javascript(code, node), file("main.js"), true, "node"),
                Language::Typescript => {
                    let file = file(if is_module(code) { "main.mts" } else { "main.cts" });
                    let flags = typescript(node)?;
                    (
                        vec!["node".to_owned(), flags.to_owned(), "--no-warnings".to_owned(), file.path.clone()],
                        file,
                        false,
                        "node",
                    )
                }
                Language::Shell => {
                    let file = file("main.sh");
                    (vec![host.shell.to_owned(), file.path.clone()], file, false, "sh")
                }
            };
            command.extend(argv.iter().cloned());
            let stdin = from_stdin.then(|| file.path.clone());
            (command, Some(file), stdin, needs)
        }
    };
    if argv.iter().any(|part| part.contains('\0')) {
        return Err(SandboxError::Invalid("a command cannot contain a NUL character".to_owned()));
    }
    Ok(Prepared { program: Program { argv, env: env.into_iter().collect(), directory, stdin }, code, needs })
}

/// Node reads the code from its standard input: then relative imports start at the working directory.
fn javascript(code: &str, node: Option<NodeVersion>) -> Vec<String> {
    let mut command = vec!["node".to_owned()];
    if is_module(code) && !node.is_some_and(NodeVersion::detects_modules) {
        command.push("--input-type=module".to_owned());
    }
    command.push("-".to_owned());
    command
}

fn typescript(node: Option<NodeVersion>) -> Result<&'static str, SandboxError> {
    match node {
        Some(version) if version.strips_types() => Ok("--experimental-strip-types"),
        Some(NodeVersion(major, minor)) => Err(SandboxError::Invalid(format!(
            "TypeScript needs Node 22.6 or newer here, and this machine has {major}.{minor}; write the code as javascript"
        ))),
        None => Err(missing("node")),
    }
}

/// Text of the error when an interpreter is not installed.
pub(super) fn missing(program: &str) -> SandboxError {
    let language = match program {
        "node" => "javascript and typescript",
        "python3" => "python",
        _ => "shell commands",
    };
    SandboxError::Invalid(format!(
        "`{program}` is not installed on this machine, so {language} cannot run here; use another language"
    ))
}

/// True when the code says so at the start of a line. Wrong guesses only matter for old versions of Node.
fn is_module(code: &str) -> bool {
    code.lines().any(|line| {
        line.strip_prefix("import").is_some_and(|rest| rest.starts_with([' ', '{', '*', '"', '\'']))
            || line.strip_prefix("export").is_some_and(|rest| rest.starts_with([' ', '{', '*']))
    })
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
    let mut env: BTreeMap<_, _> = base.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
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
        Host { mounts: vec![], links: vec![], files: vec![], path: "/usr/bin".to_owned(), shell: "bash" }
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
    fn typescript_says_what_is_missing() {
        let old = prepare(&code(Language::Typescript, "let a: number"), &BTreeMap::new(), &host(), Some(NodeVersion(20, 20)));
        assert!(old.is_err_and(|error| error.to_string().contains("needs Node 22.6 or newer here, and this machine has 20.20")));
        let new =
            prepare(&code(Language::Typescript, "let a: number"), &BTreeMap::new(), &host(), NodeVersion::parse("v22.6.0\n"));
        assert_eq!(new.unwrap().program.argv[1], "--experimental-strip-types");
    }

    #[test]
    fn modules_are_named_only_to_versions_that_do_not_notice() {
        let module = "import fs from 'node:fs'";
        assert_eq!(javascript(module, Some(NodeVersion(18, 0))), ["node", "--input-type=module", "-"]);
        assert_eq!(javascript(module, Some(NodeVersion(20, 20))), ["node", "-"]);
        assert_eq!(javascript("const important = 1", Some(NodeVersion(18, 0))), ["node", "-"]);
    }

    #[test]
    fn wrong_variable_names_are_refused() {
        let mut exec = code(Language::Shell, "");
        exec.env.insert("A=B".to_owned(), "x".to_owned());
        assert!(prepare(&exec, &BTreeMap::new(), &host(), None).is_err());
    }
}

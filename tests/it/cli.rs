//! The program as people and scripts start it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the program in an empty environment, with a directory of its own to work in.
fn threadbox(directory: &Path, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_threadbox"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn run_prints_what_the_program_prints_and_exits_as_it_did() {
    let directory = tempfile::tempdir().unwrap();
    let program = "import sys\nprint('hello', *sys.argv[1:])\nprint('oops', file=sys.stderr)\nsys.exit(3)\n";
    std::fs::write(directory.path().join("a.py"), program).unwrap();
    let output = threadbox(directory.path(), &["run", "a.py", "--", "a", "b c"], &[], "");
    assert_eq!(text(&output.stderr), "oops\n");
    assert_eq!(text(&output.stdout), "hello a b c\n");
    assert_eq!(output.status.code(), Some(3));
    let left: Vec<_> = std::fs::read_dir(directory.path().join(".threadbox/sandboxes")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn run_reads_standard_input_and_answers_scripts_in_json() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["run", "-", "--language", "shell", "--json"];
    let output = threadbox(directory.path(), &arguments, &[("THREADBOX_DATA_DIR", "elsewhere")], "echo $((6 * 7)); exit 1");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["stdout"], "42\n");
    assert_eq!(report["exitCode"], 1);
    assert_eq!(output.status.code(), Some(1));
    assert!(directory.path().join("elsewhere").is_dir());
}

#[test]
fn run_ends_a_program_that_does_not_end() {
    let directory = tempfile::tempdir().unwrap();
    let output =
        threadbox(directory.path(), &["run", "-", "--timeout", "1s"], &[], "print('before', flush=True)\nwhile True: pass\n");
    assert_eq!(text(&output.stdout), "before\n");
    assert!(text(&output.stderr).contains("ended after 1s"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(137));
}

#[test]
fn wrong_settings_are_listed_and_nothing_is_started() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(".env"), "RUN_TIMEOUT=3\nOPENAI_BASE_URL=https://elsewhere.example/v1\n").unwrap();
    let environment = [("OPENAI_API_KEY", "canary"), ("THREADBOX_LISTEN", "here")];
    let output = threadbox(directory.path(), &["migrate"], &environment, "");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    for expected in ["3 settings are wrong", "RUN_TIMEOUT:", "OPENAI_BASE_URL: comes from `.env`", "THREADBOX_LISTEN: `here`"] {
        assert!(said.contains(expected), "{said}");
    }
    assert!(!said.contains("canary"));
    assert!(!directory.path().join(".threadbox").exists());
}

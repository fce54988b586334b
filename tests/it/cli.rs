//! The program as people and scripts start it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use threadbox::secret::ExposeSecret;
use threadbox::standin::github::{Expects, Options};
use threadbox::standin::model::{ModelStandin, Protocol, say, status};

use crate::support::bot::{Bot, service_environment};
use crate::support::database::passable_dir;
use crate::support::service::Service;

/// Longest run of the program. A demo opens a database of its own and plays many scenes, perhaps beside all other tests.
const AT_MOST: Duration = Duration::from_secs(240);

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

/// The same without blocking the stand-ins that it talks to, and not for ever.
async fn threadbox_beside(directory: &Path, arguments: &[&str], environment: &BTreeMap<String, String>) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_threadbox"));
    command.args(arguments).current_dir(directory).env_clear().envs(environment).stdin(Stdio::null()).kill_on_drop(true);
    tokio::time::timeout(AT_MOST, command.output()).await.unwrap().unwrap()
}

/// A world to look at, and the environment of a service in it.
async fn world() -> (Bot, tempfile::TempDir, BTreeMap<String, String>) {
    let bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
    let data = passable_dir("threadbox-cli-");
    let environment = service_environment(&bot.github, &bot.model, &bot.database.url(), data.path());
    (bot, data, environment)
}

#[tokio::test]
async fn doctor_is_content_when_everything_works() {
    let (bot, data, environment) = world().await;
    let output = threadbox_beside(data.path(), &["doctor"], &environment).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    for expected in
        ["✓ database: Postgres ", "✓ model openai/gpt-4.1: answered", "✓ identity: acts as ", "✓ sandbox runs Python: in "]
    {
        assert!(said.contains(expected), "{expected} is missing in:\n{said}");
    }
    assert!(!said.contains('✗'), "{said}");
    bot.finish().await;
}

#[tokio::test]
async fn doctor_names_a_key_that_does_not_work_and_what_to_do() {
    let (bot, data, mut environment) = world().await;
    let model = ModelStandin::start().await.unwrap();
    model.script([status(401)]);
    environment.insert("OPENAI_BASE_URL".into(), model.base_url(Protocol::OpenAi));
    let output = threadbox_beside(data.path(), &["doctor", "--json"], &environment).await;
    assert_eq!(output.status.code(), Some(1));
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| finding["state"] == "wrong").collect();
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    assert_eq!(wrong[0]["check"], "model openai/gpt-4.1");
    assert!(wrong[0]["remedy"].as_str().unwrap().contains("key"), "{}", wrong[0]);
    assert!(wrong[0]["found"].as_str().unwrap().contains("OPENAI_API_KEY"), "{}", wrong[0]);
    assert!(!text(&output.stdout).contains(&environment["OPENAI_API_KEY"]));
    bot.finish().await;
}

#[tokio::test]
async fn replay_delivers_to_the_running_service() {
    let (bot, data, environment) = world().await;
    bot.model.script([say("Replayed.")]);
    let issue = bot.issue("Replay").await;
    let (comment, delivery) = bot.github.prepare_comment(&issue, "maya", "@threadbox say it").unwrap();
    std::fs::write(data.path().join("payload.json"), &delivery.body).unwrap();
    let service = Service::start(&environment).await;
    let secret = bot.github.webhook_secret().expose_secret().to_owned();
    let mut arguments = vec!["replay", "payload.json", "--event", "issue_comment", "--url", &service.url, "--secret", &secret];
    let output = threadbox_beside(data.path(), &arguments, &environment).await;
    assert!(text(&output.stderr).starts_with("202 Accepted"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    bot.idle().await;
    assert!(bot.our_comments(&issue)[0].body().contains("Replayed."));

    arguments[7] = "another secret";
    let output = threadbox_beside(data.path(), &arguments, &environment).await;
    assert!(text(&output.stderr).starts_with("401"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    service.terminate().await;
    bot.finish().await;
}

/// Where Postgres is, and nothing else: as after a clone.
fn no_accounts(data: &Path) -> BTreeMap<String, String> {
    let wanted = ["PATH", "HOME", "THREADBOX_POSTGRES_BIN", "THREADBOX_OFFLINE", "THREADBOX_POSTGRES_URL"];
    let own = wanted.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
    own.chain([("THREADBOX_DATA_DIR".to_owned(), data.display().to_string())]).collect()
}

#[tokio::test]
async fn the_demo_prints_the_answer_with_what_really_came_out() {
    demo(&["demo"]).await;
}

#[tokio::test]
async fn the_demo_does_the_same_at_daytona() {
    let said = demo(&["demo", "--sandbox", "daytona"]).await;
    assert!(said.contains("At Daytona: "), "{said}");
}

/// What a demo prints that goes well.
async fn demo(arguments: &[&str]) -> String {
    let data = passable_dir("threadbox-demo-");
    let output = threadbox_beside(data.path(), arguments, &no_accounts(data.path())).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    for expected in [
        "The signed webhook was answered with 202.",
        "    I counted with a sieve: **1229 primes below 10000**.",
        "    ```text\n    1229 primes below 10000\n    ```",
        "    +9973",
        "Reactions on what @maya wrote: eyes, rocket",
        "2 proved suggestions, 1 further finding.",
        "*Not offered as a suggestion: `python3 -m unittest -q` fails with it (exit 1).*",
        "The answer, in the same thread:",
        "@maya takes both suggestions with GitHub's button.",
        "The draft pull request #4 “Keep parts of a second in the burn time”",
        "Its tree is that of the sandbox: 6 files, the same byte by byte.",
        // On Discord: a file that came with the question, a plan, a button, and files that came with the answer.
        "    📎 burns.csv · ",
        "    [Approve] [Decline]",
        "@maya presses “Approve”.",
        "    4484 kg in 4 burns, most of it for the ascent",
        "    📎 fuel.png · ",
        "    📎 fuel.csv · ",
        // On both: it begins on Discord, is steered on GitHub, and lands where both see it.
        "    **maya** on Discord is **maya** on GitHub now",
        "@maya opens the thread “A rate of zero” in #rocket.",
        "@threadbox in the thread “A rate of zero”:",
        "While it works, acme/rocket#5 shows:",
        "    ↔️ maya asked [on Discord](",
        "    @threadbox a `ValueError`, please; and negative rates are just as wrong.",
        "    ┃ Opened draft pull request #6",
        "landed in [#6](",
        "The draft pull request #6 “Refuse rates that cannot be”",
    ] {
        assert!(said.contains(expected), "{expected} is missing in:\n{said}");
    }
    let left = std::fs::read_dir(data.path()).unwrap().flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("demo-")).collect();
    assert!(left.is_empty(), "{left:?}");
    said
}

#[tokio::test]
async fn the_demo_fails_visibly_when_the_model_is_killed() {
    let data = passable_dir("threadbox-demo-");
    let output = threadbox_beside(data.path(), &["demo", "--kill-model"], &no_accounts(data.path())).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}{}", text(&output.stderr));
    for expected in
        ["The model stand-in is shut down now", "1229 primes below 10000", "Reactions on what @maya wrote: eyes, confused"]
    {
        assert!(said.contains(expected), "{expected} is missing in:\n{said}");
    }
    assert!(text(&output.stderr).contains("error: the run did not end with an answer"), "{}", text(&output.stderr));
}

//! What only a person can mend: the run ends, and the person reads what is wrong and what to do. And the program's own commands.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Pid;
use threadbox::standin::daytona::{Daytona, Fault, Mischief, Quota};
use threadbox::standin::github::{Expects, Options as GithubOptions};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::place::{Place, daytona, environment};
use crate::support::bot::{Bot, LIMIT, service_environment};
use crate::support::database::passable_dir;

/// One run; what people read in the end.
async fn told_to_people(more: &[(&str, &str)], break_it: impl FnOnce(&Place)) -> String {
    let place = Place::start_with(more).await;
    let case = place.case("refused").await;
    break_it(&place);
    let ended = place.run(&case).await;
    assert_eq!(ended, "rocket");
    let answer = place.answer(&case);
    place.end().await;
    answer
}

#[tokio::test]
async fn a_key_that_is_revoked_is_named_with_its_remedy() {
    let fault = Fault::before("POST", "/process/execute", Mischief::RevokeKey).skip(3);
    let answer = told_to_people(&[], |place| place.daytona.inject(fault)).await;
    assert!(answer.contains("does not accept the credential") && answer.contains("Set DAYTONA_API_KEY"), "{answer}");
}

#[tokio::test]
async fn a_quota_that_is_reached_is_named_with_its_remedy() {
    let full = |place: &Place| place.daytona.world(|world| world.quota = Some(Quota { cpu: 0, memory: 0, disk: 0 }));
    let answer = told_to_people(&[], full).await;
    assert!(answer.contains("no room left") && answer.contains("Delete sandboxes that are not needed"), "{answer}");
}

#[tokio::test]
async fn a_snapshot_that_is_missing_is_named_with_its_remedy() {
    let answer = told_to_people(&[("DAYTONA_SNAPSHOT", "nowhere-1")], |_| {}).await;
    assert!(answer.contains("nowhere-1") && answer.contains("Set DAYTONA_SNAPSHOT"), "{answer}");
}

/// What the program says of its surroundings when its sandboxes are there.
async fn doctor(also: BTreeMap<String, String>) -> (Option<i32>, String) {
    let bot = Bot::prepare(&[], GithubOptions { expects: Expects::Token, ..GithubOptions::default() }).await;
    let data = passable_dir("threadbox-doctor-");
    let mut settings = service_environment(&bot.github, &bot.model, &bot.database.url(), data.path());
    settings.extend(also);
    let output = threadbox(data.path(), &["doctor"], &settings).output().await.unwrap();
    bot.finish().await;
    (output.status.code(), text(&output.stdout))
}

fn threadbox(directory: &Path, arguments: &[&str], environment: &BTreeMap<String, String>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_threadbox"));
    command.args(arguments).current_dir(directory).env_clear().envs(environment).stdin(Stdio::null()).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn doctor_makes_uses_and_deletes_a_sandbox_at_any_server() {
    let data = passable_dir("threadbox-standin-");
    let path = BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap())]);
    let mut server = threadbox(data.path(), &["standin-daytona"], &path).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut settings = BTreeMap::from([("SANDBOX".to_owned(), "daytona".to_owned())]);
    while settings.len() < 3 {
        let line = lines.next_line().await.unwrap().unwrap();
        let (name, value) = line.split_once('=').unwrap();
        settings.insert(name.to_owned(), value.to_owned());
    }
    let (code, said) = doctor(settings).await;
    let pid = Pid::from_raw(i32::try_from(server.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let server = server.wait_with_output().await.unwrap();
    assert_eq!((server.status.code(), text(&server.stderr)), (Some(0), String::new()));
    assert_eq!(code, Some(0), "{said}");
    for line in ["server", "key", "snapshot"].map(|line| format!("✓ Daytona {line}: ")) {
        assert!(said.contains(&line), "{line}: {said}");
    }
    for line in ["", " runs Python", " runs Shell", " keeps files", " deleted"].map(|line| format!("✓ sandbox{line}: ")) {
        assert!(said.contains(&line), "{line}: {said}");
    }
    assert!(!said.contains('✗'), "{said}");
}

#[tokio::test]
async fn doctor_names_a_bad_key_and_its_remedy() {
    let root = passable_dir("threadbox-daytona-");
    let daytona = daytona(root.path()).await;
    let mut settings = owned(&daytona);
    settings.insert("DAYTONA_API_KEY".to_owned(), "dtn_wrong".to_owned());
    let (code, said) = doctor(settings).await;
    assert_eq!((code, daytona.world(|world| world.sandboxes().count())), (Some(1), 0), "{said}");
    assert!(said.contains("does not accept the credential") && said.contains("Set DAYTONA_API_KEY"), "{said}");
    assert!(!said.contains("dtn_wrong"));
    daytona.shut_down().await;
}

fn owned(daytona: &Daytona) -> BTreeMap<String, String> {
    environment(daytona).map(|(name, value)| (name.to_owned(), value)).into()
}

#[tokio::test]
async fn a_file_runs_in_a_sandbox_at_daytona_that_is_gone_afterwards() {
    let root = passable_dir("threadbox-daytona-");
    let daytona = daytona(root.path()).await;
    std::fs::write(root.path().join("a.sh"), "echo from $1; echo oops >&2; exit 3\n").unwrap();
    let output = threadbox(root.path(), &["run", "a.sh", "--", "here"], &owned(&daytona)).output().await.unwrap();
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("from here\n".to_owned(), "oops\n".to_owned()));
    assert_eq!(output.status.code(), Some(3));
    let made = daytona.requests().iter().filter(|request| request.line() == "POST /api/sandbox").count();
    assert_eq!(made, 1);
    daytona.wait_for("no sandbox", LIMIT, |world| (world.sandboxes().count() == 0).then_some(())).await.unwrap();
    assert_eq!(daytona.violations(), Vec::<String>::new());
    daytona.shut_down().await;
}

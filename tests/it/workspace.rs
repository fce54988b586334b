//! One sandbox for each conversation: the repository in it, what happens when it is lost, and what becomes of the others.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use threadbox::app;
use threadbox::clock::{Clock, SystemClock};
use threadbox::sandbox::local::LocalProvider;
use threadbox::sandbox::{
    Exec, Executed, FileInfo, Listed, Offsets, Preview, ProcessReport, Provider, Sandbox, SandboxError, SandboxId, SandboxSpec,
    Surroundings, WalkBounds, Walked,
};
use threadbox::secret::ExposeSecret;
use threadbox::standin::github::{Archive, Expects, Fault, IssueRef, Node, Options};
use threadbox::standin::model::{Gate, call, calls, gated, say};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::bot::{Bot, LIMIT, REPOSITORY};
use crate::support::database::TestDatabase;

/// The results of the calls the model made last, oldest first.
fn results(bot: &Bot) -> Vec<String> {
    let last = bot.asked().pop().unwrap();
    last.messages.iter().flat_map(|message| &message.results).map(|result| result.text.clone()).collect()
}

fn requests(bot: &Bot, part: &str) -> usize {
    bot.github.requests().iter().filter(|request| request.path.contains(part)).count()
}

fn files() -> Vec<(&'static str, Node)> {
    vec![
        ("README.md", "# Rocket\n".into()),
        ("src/main.py", "print('lift-off')\n".into()),
        ("run.sh", Node::executable("#!/bin/sh\npython3 src/main.py\n")),
        ("grüße.txt", "hallo\n".into()),
        ("link", Node::Link("README.md".into())),
        (".gitignore", "ignored.txt\n".into()),
        ("ignored.txt", "tracked all the same\n".into()),
    ]
}

/// Where the files of local sandboxes are.
fn home(bot: &Bot) -> PathBuf {
    bot.settings.data_dir.join("sandboxes")
}

/// The one sandbox there is.
fn only_sandbox(bot: &Bot) -> PathBuf {
    let names = bot.sandboxes();
    assert_eq!(names.len(), 1, "{names:?}");
    home(bot).join(&names[0])
}

/// Files below a directory that contain these bytes, links not followed.
fn files_with(directory: &Path, wanted: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files_with(&entry.path(), wanted));
        } else if kind.is_file() && contains(&std::fs::read(entry.path()).unwrap(), wanted) {
            found.push(entry.path());
        }
    }
    found
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

async fn asks_for(bot: &Bot, issue: &IssueRef, command: &str) -> String {
    bot.model.script([call("runCommand", json!({ "command": command })), say("Done.")]);
    bot.asks(issue, "@threadbox do it").await;
    results(bot).pop().unwrap()
}

#[tokio::test]
async fn the_repository_is_in_the_workspace_without_any_credential() {
    let bot = Bot::start().await;
    let sha = bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("Checkout").await;
    let told = asks_for(
        &bot,
        &issue,
        "ls -A; ./run.sh; readlink link; cat ignored.txt; git status --short; git log --format=%s; git remote -v; git config -l; env",
    )
    .await;
    for part in ["README.md", "lift-off", "grüße.txt", "tracked all the same", &format!("{REPOSITORY}@{sha}")] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.contains(&format!("holds the repository {REPOSITORY} at commit {sha}")), "{told}");
    assert!(!told.contains("http") && !told.contains("Not everything"), "no remote: {told}");
    let answer = bot.our_comments(&issue)[0].versions.iter().map(|version| version.body.clone()).collect::<String>();
    assert!(!answer.contains("--- a/"), "a checkout is no change: {answer}");

    let token = bot.github.token();
    let token = token.expose_secret();
    assert_eq!(files_with(&home(&bot), token.as_bytes()), Vec::<PathBuf>::new());
    assert!(!told.contains(token));
    let archive = bot.github.requests().into_iter().find(|request| request.path.starts_with("codeload:")).unwrap();
    assert_eq!((archive.by.as_str(), archive.status), ("nobody", Some(200)), "the credential stays with the API");
    let mode = std::fs::metadata(bot.settings.data_dir.join("cache/archives")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "other users of the machine may not read it: {mode:o}");

    // The next run finds it as it was left, and shows its changes against what was there.
    bot.model.script([
        call("editFile", json!({ "path": "src/main.py", "oldText": "lift-off", "newText": "landed" })),
        call("runCommand", json!({ "command": "git diff --stat; ./run.sh" })),
        say("Changed."),
    ]);
    let answer = bot.asks(&issue, "@threadbox change it").await;
    assert!(results(&bot).pop().unwrap().contains("src/main.py"), "{:?}", results(&bot));
    assert!(answer.contains("-print('lift-off')") && answer.contains("+print('landed')"), "{answer}");
    assert_eq!(requests(&bot, "/tarball/"), 1, "once for a thread");
    bot.finish().await;
}

#[tokio::test]
async fn an_app_reads_a_private_repository_with_a_token_for_it_alone() {
    let bot = Bot::start_as_app("/api/v3").await;
    let sha = bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("App").await;
    let told = asks_for(&bot, &issue, "cat README.md; env").await;
    assert!(told.contains("# Rocket") && told.contains(&sha) && !told.contains("ghs_"), "{told}");
    assert_eq!(files_with(&home(&bot), b"ghs_"), Vec::<PathBuf>::new());
    bot.finish().await;
}

#[tokio::test]
async fn where_the_code_may_not_be_read_the_run_goes_on_and_says_so() {
    let bot = Bot::start_as_app("").await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    bot.github.grant("contents", None);
    let issue = bot.issue("Forbidden").await;
    let told = asks_for(&bot, &issue, "ls -A; echo went on").await;
    assert!(told.contains("went on") && !told.contains("README"), "{told}");
    assert!(told.contains("The repository is not in the workspace") && told.contains("contents: read"), "{told}");
    bot.finish().await;
}

#[tokio::test]
async fn a_run_without_a_sandbox_fetches_nothing() {
    let bot = Bot::start().await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("Words").await;
    bot.model.script([say("Hello.")]);
    bot.asks(&issue, "@threadbox hello").await;
    assert_eq!(bot.count("select count(*) from sandboxes").await, 0);
    assert_eq!(requests(&bot, "/tarball/"), 0);
    bot.finish().await;
}

#[tokio::test]
async fn an_archive_that_did_not_come_is_fetched_by_the_next_run() {
    let bot = Bot::start().await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("Later").await;
    bot.github.inject(Fault::status("GET", "/tarball/", 502));
    let told = asks_for(&bot, &issue, "ls -A").await;
    assert!(told.contains("The repository is not in the workspace") && !told.contains("README"), "{told}");
    let told = asks_for(&bot, &issue, "ls -A").await;
    assert!(told.contains("README.md") && told.contains("holds the repository"), "{told}");
    bot.finish().await;
}

#[tokio::test]
async fn what_an_archive_lacks_is_said() {
    let bot = Bot::start().await;
    let poor = [
        (".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = ../x\n".into()),
        ("assets/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n".into()),
        ("assets/a.bin", "version https://git-lfs.github.com/spec/v1\n".into()),
    ];
    bot.github.push(REPOSITORY, "First", &poor).unwrap();
    let issue = bot.issue("Poor").await;
    let told = asks_for(&bot, &issue, "git log --format=%s").await;
    assert!(told.contains("submodules are not there") && told.contains("pointer files"), "{told}");
    bot.finish().await;
}

#[tokio::test]
async fn an_archive_that_is_too_large_is_not_fetched() {
    let bot = Bot::start().await;
    let sha = bot.github.push(REPOSITORY, "First", &files()).unwrap();
    bot.github.replace_archive(REPOSITORY, &sha, Archive::OfSize(300 << 20)).unwrap();
    let issue = bot.issue("Huge").await;
    let told = asks_for(&bot, &issue, "ls -A; echo went on").await;
    assert!(told.contains("went on") && told.contains("larger than 256 MiB"), "{told}");
    let cache = bot.settings.data_dir.join("cache/archives");
    assert_eq!(std::fs::read_dir(cache).unwrap().count(), 0, "nothing half is kept");
    bot.finish().await;
}

#[tokio::test]
async fn a_hostile_archive_stays_in_the_sandbox() {
    let bot = Bot::start().await;
    let sha = bot.github.push(REPOSITORY, "First", &files()).unwrap();
    bot.github.replace_archive(REPOSITORY, &sha, Archive::Bytes(hostile_archive().into())).unwrap();
    let issue = bot.issue("Hostile").await;
    let told = asks_for(&bot, &issue, "cat good.txt; ls -A; git log --format=%s").await;
    assert!(told.contains("good content") && told.contains("Not everything of it could be unpacked"), "{told}");
    let sandbox = only_sandbox(&bot);
    let found = files_with(&bot.settings.data_dir, b"evil content");
    let outside = |path: &&PathBuf| !path.starts_with(sandbox.join("workspace")) && !path.starts_with(sandbox.join("tmp"));
    assert_eq!(found.iter().filter(outside).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
    assert!(!sandbox.join("workspace/.git/hooks/post-checkout").exists(), "no hook comes with an archive");
    bot.finish().await;
}

/// Names that climb out, absolute names, a link that leads out and a file behind it, a `.git` of its own.
fn hostile_archive() -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(encoder);
    let mut add = |name: &str, content: &[u8], link: Option<&str>| {
        let mut header = tar::Header::new_gnu();
        // As no careful library would write it.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o777);
        header.set_size(content.len() as u64);
        if let Some(target) = link {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_link_name_literal(target).unwrap();
        }
        header.set_cksum();
        archive.append(&header, content).unwrap();
    };
    add("top/good.txt", b"good content\n", None);
    add("top/../../evil.txt", b"evil content", None);
    add("/top/../../../evil.txt", b"evil content", None);
    add("top/out", b"", Some("../.."));
    add("top/out/evil.txt", b"evil content", None);
    add("top/.git/hooks/post-checkout", b"evil content", None);
    archive.into_inner().unwrap().finish().unwrap()
}

#[tokio::test]
async fn a_sandbox_lost_between_two_runs_is_rebuilt_and_the_model_is_told() {
    let bot = Bot::start().await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("Lost").await;
    asks_for(
        &bot,
        &issue,
        "echo more >> README.md; rm grüße.txt; mkdir -p bin; printf '#!/bin/sh\necho tool' > bin/tool; chmod +x bin/tool;
         printf 'a\\0b' > binary; mkdir target; echo made > target/x; touch -- '-rf *'",
    )
    .await;
    bot.idle().await;
    std::fs::remove_dir_all(only_sandbox(&bot)).unwrap();

    let told =
        asks_for(&bot, &issue, "cat README.md; bin/tool; od -c binary; ls -A; git status --short; git log --format=%s").await;
    assert!(told.contains("was lost and replaced") && told.contains("restored from the checkpoint of"), "{told}");
    assert!(told.contains("# Rocket\\nmore\\ntool") && told.contains("-rf *"), "{told}");
    assert!(
        !told.contains("target") && told.contains(" D \\\"gr"),
        "made things are made again, deleted ones stay deleted: {told}"
    );
    assert_eq!(bot.count("select generation::bigint from sandboxes").await, 1);
    assert_eq!(requests(&bot, "/tarball/"), 1, "the archive was still here");
    let answer = bot.our_comments(&issue).pop().unwrap().body().to_owned();
    assert!(!answer.contains("+++ b/"), "restoring is no change: {answer}");
    // And only once.
    assert!(!asks_for(&bot, &issue, "true").await.contains("was lost"));
    only_sandbox(&bot);
    bot.finish().await;
}

#[tokio::test]
async fn a_sandbox_lost_between_two_calls_is_rebuilt_once_for_all_of_them() {
    let bot = Bot::start().await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("Lost").await;
    asks_for(&bot, &issue, "echo kept > kept.txt").await;
    let (first, second) = (Gate::closed(), Gate::closed());
    bot.model.script([
        call("writeFile", json!({ "path": "unsaved.txt", "content": "x" })),
        gated(
            &first,
            calls([
                ("readFile", json!({ "path": "kept.txt" })),
                ("readFile", json!({ "path": "README.md" })),
                ("checkFileExists", json!({ "path": "unsaved.txt" })),
                ("listFiles", json!({})),
            ]),
        ),
        gated(&second, call("deleteFile", json!({ "path": "kept.txt" }))),
        call("deleteFile", json!({ "path": "kept.txt" })),
        say("Read."),
    ]);
    let comment = bot.says(&issue, "maya", "@threadbox read").await;
    bot.until_count("select count(*) from run_events where kind = 'acted' and data->>'tool' = 'writeFile'", 1).await;
    std::fs::remove_dir_all(only_sandbox(&bot)).unwrap();
    first.open();
    bot.until_count("select generation::bigint from sandboxes", 1).await;
    bot.until_count("select count(*) from run_events where kind = 'acted' and data->>'tool' = 'listFiles'", 1).await;
    std::fs::remove_dir_all(only_sandbox(&bot)).unwrap();
    second.open();
    bot.ended(&issue, comment).await;
    let told = results(&bot);
    let told = &told[told.len() - 7..];
    assert!(told[1].contains("kept") && told[2].contains("# Rocket"), "what only reads is done again: {told:?}");
    assert!(told[3].contains("false"), "what was not saved yet is gone: {told:?}");
    assert_eq!(told[..5].iter().filter(|result| result.contains("was lost and replaced")).count(), 1, "{told:?}");
    assert!(told[5].contains("replaced by a new one") && told[5].contains("error"), "what writes is not: {told:?}");
    assert!(told[6].contains("true"), "{told:?}");
    assert_eq!(bot.count("select generation::bigint from sandboxes").await, 2);
    only_sandbox(&bot);
    bot.finish().await;
}

#[tokio::test]
async fn further_sandboxes_belong_to_their_thread_alone() {
    let bot = Bot::start().await;
    let (mine, other) = (bot.issue("Mine").await, bot.issue("Other").await);
    bot.model
        .script([call("createSandbox", json!({ "name": "Second", "labels": { "threadbox-instance": "forged" } })), say("Made.")]);
    bot.asks(&mine, "@threadbox make another").await;
    let made: serde_json::Value = serde_json::from_str(&results(&bot)[0]).unwrap();
    let id = made["sandboxId"].as_str().unwrap().to_owned();
    let forged = std::fs::read_to_string(home(&bot).join(&id).join("sandbox.json")).unwrap();
    assert!(!forged.contains("forged"), "{forged}");
    let write = json!({ "sandboxId": id, "path": "a.txt", "content": "a" });
    bot.model.script([call("writeFile", write.clone()), call("diff", json!({ "sandboxId": id })), say("Written.")]);
    bot.asks(&mine, "@threadbox write there").await;
    let told = results(&bot);
    assert!(told[told.len() - 1].contains("+++ b/a.txt"), "{told:?}");
    bot.model.script([call("writeFile", write.clone()), say("No.")]);
    bot.asks(&other, "@threadbox write there").await;
    assert!(results(&bot)[0].contains("error") && results(&bot)[0].contains("no such"), "{:?}", results(&bot));
    bot.idle().await;
    std::fs::remove_dir_all(home(&bot).join(&id)).unwrap();
    bot.model.script([call("writeFile", write), say("Gone.")]);
    bot.asks(&mine, "@threadbox write there again").await;
    assert!(results(&bot).pop().unwrap().contains("make another one"), "{:?}", results(&bot));
    bot.finish().await;
}

#[tokio::test]
async fn what_is_left_over_is_reaped_but_nobody_elses() {
    let mut bot = Bot::start().await;
    let issue = bot.issue("Used").await;
    asks_for(&bot, &issue, "echo here > here.txt").await;
    let instance: uuid::Uuid = sqlx::query_scalar("select id from instance").fetch_one(&bot.database.pool).await.unwrap();
    bot.idle().await;
    bot.stop().await;
    let provider = app::local_sandboxes(&bot.settings, PathBuf::from(env!("CARGO_BIN_EXE_threadbox"))).unwrap();
    let ours = ("app", "threadbox");
    let (instance, another) = (instance.to_string(), uuid::Uuid::nil().to_string());
    for (name, labels) in [
        ("orphan", vec![ours, ("threadbox-instance", instance.as_str())]),
        ("neighbour", vec![ours, ("threadbox-instance", another.as_str())]),
        ("stranger", vec![("app", "something else")]),
    ] {
        let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let spec =
            SandboxSpec { name: Some(name.to_owned()), labels: labels.collect::<BTreeMap<_, _>>(), ..SandboxSpec::default() };
        provider.create(spec).await.unwrap();
    }
    let used = bot.sandboxes().into_iter().find(|name| name.starts_with("thread-")).unwrap();
    let swept = async |bot: &Bot| bot.until_count("select count(*) from instance where reaping_until is null", 1).await;
    bot.sql("update instance set reaping_until = now() + interval '1 hour'").await;
    bot.run().await;
    bot.stop().await;
    assert_eq!(bot.sandboxes().len(), 4, "another process is at it");
    bot.sql("update instance set reaping_until = now() - interval '1 second'").await;
    bot.run().await;
    swept(&bot).await;
    bot.stop().await;
    assert_eq!(bot.sandboxes().len(), 4, "it is too young to be left over");
    bot.sql("update instance set reaping_until = now() - interval '1 second'").await;
    bot.later(TimeDelta::hours(2));
    bot.run().await;
    swept(&bot).await;
    let mut left = bot.sandboxes();
    left.sort();
    assert_eq!(left, ["neighbour".to_owned(), "stranger".to_owned(), used]);
    bot.finish().await;
}

#[tokio::test]
async fn the_warm_pool_is_taken_from_topped_up_and_bounded() {
    const WARM: &str = "select count(*) from sandboxes where role = 'warm' and state = 'ready'";
    let mut bot = Bot::start_with(&[("SANDBOX_WARM", "2"), ("SANDBOX_WARM_HOURS_PER_DAY", "1")]).await;
    bot.until_count(WARM, 2).await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("Warm").await;
    let told = asks_for(&bot, &issue, "cat README.md; echo mine > mine.txt").await;
    assert!(told.contains("# Rocket"), "{told}");
    assert_eq!(bot.count("select count(*) from sandboxes where role = 'own' and name like 'warm-%'").await, 1);
    assert_eq!(bot.count(WARM).await, 1);
    let thread: uuid::Uuid = sqlx::query_scalar("select id from threads").fetch_one(&bot.database.pool).await.unwrap();
    let name: String =
        sqlx::query_scalar("select name from sandboxes where role = 'own'").fetch_one(&bot.database.pool).await.unwrap();
    let record = std::fs::read_to_string(home(&bot).join(&name).join("sandbox.json")).unwrap();
    assert!(record.contains(&format!("\"threadbox-thread\":\"{thread}\"")), "{record}");
    // The next look tops it up, and never over its size.
    for _ in 0..2 {
        bot.idle().await;
        bot.stop().await;
        bot.run().await;
        bot.until_count(WARM, 2).await;
    }
    assert_eq!(bot.sandboxes().len(), 3);
    assert!(asks_for(&bot, &issue, "cat mine.txt").await.contains("mine"));
    // The day's hours are used up.
    bot.idle().await;
    bot.stop().await;
    bot.sql("update instance set warm_seconds = 3600").await;
    bot.run().await;
    bot.until_count("select count(*) from sandboxes where role = 'warm'", 0).await;
    bot.until_count("select count(*) from instance where reaping_until is null", 1).await;
    assert_eq!(bot.sandboxes(), [name]);
    bot.finish().await;
}

#[tokio::test]
async fn the_setup_command_runs_once_and_comes_from_the_default_branch() {
    let bot = Bot::start().await;
    let mut all = files();
    let file = "[sandbox]\nsetup = \"echo ran >> setup.log\"\ntest = \"python3 -m unittest\"\nnetwrok = 'none'\n";
    all.push((".github/threadbox.toml", file.into()));
    bot.github.push(REPOSITORY, "First", &all).unwrap();
    let issue = bot.issue("Setup").await;
    let told = asks_for(&bot, &issue, "wc -l setup.log").await;
    assert!(told.contains("1 setup.log") && told.contains("was run and succeeded"), "{told}");
    assert!(told.contains("tested with `python3 -m unittest`"), "{told}");
    assert!(told.contains("line 4") && told.contains("did you mean `network`"), "{told}");
    let told = asks_for(&bot, &issue, "wc -l setup.log; rm setup.log").await;
    assert!(told.contains("1 setup.log"), "{told}");

    // Nobody decides it with a pull request.
    let pull = bot.github.open_pull_request(REPOSITORY, "maya", "Mine", "Better.").unwrap();
    let mine = [(".github/threadbox.toml", "[sandbox]\nsetup = \"echo hacked > hacked\"\n".into()), ("new.txt", "n".into())];
    bot.github.push_to_pull_request(&pull, &mine, SystemClock.now() - TimeDelta::minutes(5)).unwrap();
    let told = asks_for(&bot, &pull, "ls; cat setup.log").await;
    assert!(told.contains("new.txt") && told.contains("ran") && !told.contains("hacked"), "{told}");
    bot.finish().await;
}

#[tokio::test]
async fn a_setup_that_fails_is_told_and_tried_again() {
    let bot = Bot::start().await;
    let file = "[sandbox]\nsetup = \"echo the reason >&2; test -e ready\"\n";
    bot.github.push(REPOSITORY, "First", &[(".github/threadbox.toml", file.into())]).unwrap();
    let issue = bot.issue("Setup").await;
    let told = asks_for(&bot, &issue, "touch ready").await;
    assert!(told.contains("failed (exit 1)") && told.contains("the reason"), "{told}");
    let events = "select count(*) from run_events where data->>'summary' like 'The setup command of the repository failed%'";
    assert_eq!(bot.count(events).await, 1);
    assert!(asks_for(&bot, &issue, "true").await.contains("was run and succeeded"));
    assert!(!asks_for(&bot, &issue, "true").await.contains("setup command"));
    bot.finish().await;
}

#[tokio::test]
async fn a_pull_request_is_checked_out_as_it_stood_when_it_was_asked_about() {
    let bot = Bot::start().await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let pull = bot.github.open_pull_request(REPOSITORY, "maya", "Mine", "Better.").unwrap();
    let at = |minutes: i64| -> DateTime<Utc> { SystemClock.now() + TimeDelta::minutes(minutes) };
    let push = |text: &str, at| bot.github.push_to_pull_request(&pull, &[("new.txt", text.into())], at).unwrap();
    let first = push("one\n", at(-20));
    let late = push("two\n", at(20));
    let told = asks_for(&bot, &pull, "cat new.txt").await;
    assert!(told.contains("one") && told.contains(&format!("at commit {first}")) && told.contains(&late), "{told}");

    // Nothing was changed, so the workspace follows.
    let second = push("three\n", at(-1));
    let told = asks_for(&bot, &pull, "cat new.txt; echo mine > mine.txt").await;
    assert!(told.contains("three") && told.contains(&format!("at commit {second}")), "{told}");

    // Work is never replaced.
    let third = push("four\n", at(-1));
    let told = asks_for(&bot, &pull, "cat new.txt mine.txt").await;
    assert!(told.contains("three") && told.contains("mine") && told.contains(&format!("speaks of commit {third}")), "{told}");
    bot.finish().await;
}

#[tokio::test]
async fn a_checkout_that_was_interrupted_while_it_followed_is_made_again() {
    let mut bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
    let local = app::local_sandboxes(&bot.settings, PathBuf::from(env!("CARGO_BIN_EXE_threadbox"))).unwrap();
    let sleepy = Arc::new(SleepyProvider { local, state: Arc::default() });
    bot.use_sandboxes(sleepy.clone());
    bot.run().await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let pull = bot.github.open_pull_request(REPOSITORY, "maya", "Mine", "Better.").unwrap();
    let push = |text: &str, minutes| {
        let at = SystemClock.now() - TimeDelta::minutes(minutes);
        bot.github.push_to_pull_request(&pull, &[("new.txt", text.into())], at).unwrap()
    };
    push("one\n", 20);
    assert!(asks_for(&bot, &pull, "cat new.txt").await.contains("one"));
    bot.idle().await;
    let second = push("two\n", 1);
    // The workspace is empty when its sandbox goes away.
    sleepy.fall_asleep_at("write");
    bot.model.script([
        call("runCommand", json!({ "command": "ls" })),
        call("runCommand", json!({ "command": "cat new.txt; git status --short" })),
        say("Done."),
    ]);
    bot.asks(&pull, "@threadbox look").await;
    let told = results(&bot).pop().unwrap();
    assert!(told.contains("two") && told.contains(&format!("at commit {second}")) && !told.contains("speaks of"), "{told}");
    bot.finish().await;
}

#[tokio::test]
async fn work_beyond_what_is_looked_at_is_not_replaced() {
    let bot = Bot::start().await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let pull = bot.github.open_pull_request(REPOSITORY, "maya", "Mine", "Better.").unwrap();
    let deep = format!("{}file.txt", "d/".repeat(40));
    let push = |text: &str, minutes| {
        let at = SystemClock.now() - TimeDelta::minutes(minutes);
        bot.github.push_to_pull_request(&pull, &[(deep.as_str(), text.into())], at).unwrap()
    };
    push("one\n", 20);
    assert!(asks_for(&bot, &pull, &format!("echo mine >> {deep}")).await.contains("holds the repository"));
    push("two\n", 1);
    let told = asks_for(&bot, &pull, &format!("cat {deep}")).await;
    assert!(told.contains("one\\nmine"), "{told}");
    bot.finish().await;
}

#[tokio::test]
async fn files_and_directories_that_took_each_others_place_are_restored() {
    let bot = Bot::start().await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("Places").await;
    asks_for(
        &bot,
        &issue,
        "rm README.md; mkdir README.md; echo inside > README.md/x; rm -r src; echo flat > src; rm link; mkdir link; echo deep > link/y",
    )
    .await;
    bot.idle().await;
    std::fs::remove_dir_all(only_sandbox(&bot)).unwrap();
    let told = asks_for(&bot, &issue, "cat README.md/x src link/y; ls README.md").await;
    assert!(told.contains("inside\\nflat\\ndeep\\nx\\n"), "{told}");
    assert!(told.contains("3 files restored") && !told.contains("could not be written"), "{told}");
    bot.finish().await;
}

#[tokio::test]
async fn what_blocks_left_is_kept_like_any_work() {
    let bot = Bot::start().await;
    let issue = bot.issue("Blocks").await;
    bot.asks(&issue, "@threadbox run\n```python\nopen('kept.txt', 'w').write('by a block')\n```").await;
    bot.idle().await;
    std::fs::remove_dir_all(only_sandbox(&bot)).unwrap();
    assert!(asks_for(&bot, &issue, "cat kept.txt").await.contains("by a block"));
    bot.finish().await;
}

#[tokio::test]
async fn what_an_interrupted_call_left_is_kept_like_any_work() {
    let mut bot = Bot::start().await;
    let issue = bot.issue("Interrupted").await;
    bot.model.script([call("runCommand", json!({ "command": "echo work > work.txt; sleep 600" }))]);
    let comment = bot.says(&issue, "maya", "@threadbox work").await;
    bot.until_count("select count(*) from sandboxes where state = 'ready'", 1).await;
    let deadline = std::time::Instant::now() + LIMIT;
    while files_with(&only_sandbox(&bot), b"work\n").is_empty() {
        assert!(std::time::Instant::now() < deadline, "the command does not begin");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bot.stop().await;
    bot.model.script([say("Interrupted.")]);
    bot.run().await;
    bot.ended(&issue, comment).await;
    let answer = bot.our_comments(&issue).pop().unwrap().body().to_owned();
    assert!(answer.contains("+work"), "{answer}");
    assert_eq!(bot.count("select count(*) from sandboxes where checkpoint is not null").await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn runs_are_found_again_while_a_provider_hangs() {
    let mut bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
    let local = app::local_sandboxes(&bot.settings, PathBuf::from(env!("CARGO_BIN_EXE_threadbox"))).unwrap();
    let sleepy = Arc::new(SleepyProvider { local, state: Arc::default() });
    sleepy.state.lists_never.store(true, Ordering::SeqCst);
    bot.use_sandboxes(sleepy);
    bot.run().await;
    let issue = bot.issue("Hangs").await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("First.")), say("Second.")]);
    let comment = bot.says(&issue, "maya", "@threadbox hello").await;
    bot.until_count("select count(*) from threads where lease_holder is not null", 1).await;
    // A worker elsewhere took it over and died.
    bot.sql(
        "update threads set lease_epoch = lease_epoch + 1, lease_holder = 'gone', lease_until = now() + interval '8 seconds'",
    )
    .await;
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    gate.open();
    bot.finish().await;
}

#[tokio::test]
async fn sandboxes_without_a_name_are_all_new() {
    let bot = Bot::start().await;
    let issue = bot.issue("Two").await;
    bot.model.script([
        calls([("createSandbox", json!({})), ("createSandbox", json!({})), ("createSandbox", json!({ "name": "a" }))]),
        call("createSandbox", json!({ "name": "a" })),
        say("Made."),
    ]);
    bot.asks(&issue, "@threadbox make some").await;
    let told = results(&bot);
    let id = |told: &String| serde_json::from_str::<serde_json::Value>(told).unwrap()["sandboxId"].clone();
    let ids: std::collections::BTreeSet<String> = told.iter().map(|told| id(told).to_string()).collect();
    assert_eq!(ids.len(), 3, "{told:?}");
    assert_eq!(id(&told[2]), id(&told[3]), "a name finds it again");
    bot.finish().await;
}

#[tokio::test]
async fn an_empty_repository_is_fine() {
    let bot = Bot::start().await;
    let issue = bot.issue("New").await;
    let told = asks_for(&bot, &issue, "ls -A; echo first > a.txt").await;
    assert!(told.contains("is empty, so the workspace began empty"), "{told}");
    bot.finish().await;
}

#[tokio::test]
async fn a_large_repository_shows_the_text_before_from_its_archive() {
    let bot = Bot::start().await;
    let names: Vec<String> = (0..2_100).map(|n| format!("src/f{n:04}.txt")).collect();
    let many: Vec<(&str, Node)> = names.iter().map(|name| (name.as_str(), Node::from("the text before\n"))).collect();
    bot.github.push(REPOSITORY, "Many", &many).unwrap();
    let issue = bot.issue("Large").await;
    bot.model.script([
        call("runCommand", json!({ "command": "echo the text after > src/f2099.txt; touch src/f2098.txt" })),
        call("diff", json!({})),
        say("Changed."),
    ]);
    let answer = bot.asks(&issue, "@threadbox change the last").await;
    let expected = "--- a/src/f2099.txt\n+++ b/src/f2099.txt\n@@ -1 +1 @@\n-the text before\n+the text after\n";
    assert!(answer.contains(expected), "{answer}");
    let told: serde_json::Value = serde_json::from_str(&results(&bot)[1]).unwrap();
    assert_eq!(told["diff"], expected, "a file that was only touched did not change");
    bot.finish().await;
}

#[tokio::test]
async fn a_sleeping_sandbox_is_woken_before_it_is_needed_and_again_when_it_falls_asleep() {
    let mut bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
    let local = app::local_sandboxes(&bot.settings, PathBuf::from(env!("CARGO_BIN_EXE_threadbox"))).unwrap();
    let sleepy = Arc::new(SleepyProvider { local, state: Arc::default() });
    bot.use_sandboxes(sleepy.clone());
    bot.run().await;
    let issue = bot.issue("Sleep").await;
    asks_for(&bot, &issue, "echo kept > kept.txt").await;
    bot.idle().await;
    assert_eq!(sleepy.woken(), 0);
    sleepy.fall_asleep();
    let (first, second) = (Gate::closed(), Gate::closed());
    bot.model.script([
        gated(&first, call("readFile", json!({ "path": "kept.txt" }))),
        gated(&second, call("readFile", json!({ "path": "kept.txt" }))),
        call("deleteFile", json!({ "path": "kept.txt" })),
        call("runCommand", json!({ "command": "cat kept.txt" })),
        say("Awake."),
    ]);
    let comment = bot.says(&issue, "maya", "@threadbox look").await;
    sleepy.until_woken(1).await;
    first.open();
    bot.until_count("select count(*) from run_events where kind = 'acted' and data->>'tool' = 'readFile'", 1).await;
    assert_eq!(sleepy.woken(), 1, "an early start is not repeated for nothing");
    sleepy.fall_asleep();
    sleepy.fall_asleep_at("delete");
    second.open();
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    let told = results(&bot);
    let told = &told[told.len() - 4..];
    assert!(told[0].contains("kept") && !told[0].contains("woken again"), "{told:?}");
    assert!(told[1].contains("kept") && told[1].contains("woken again"), "what reads is done again: {told:?}");
    assert!(told[2].contains("outcome of this call is unknown") && told[2].contains("error"), "what writes is not: {told:?}");
    assert!(told[3].contains("kept") && !told[3].contains("was lost"), "{told:?}");
    assert_eq!(sleepy.woken(), 3);
    assert_eq!(bot.count("select generation::bigint from sandboxes").await, 0);
    bot.finish().await;
}

#[tokio::test]
async fn sandboxes_that_threads_named_themselves_are_moved_to_their_table() {
    let database = TestDatabase::create().await;
    let run = async |sql: &'static str| sqlx::raw_sql(sql).execute(&database.pool).await.map(drop).unwrap();
    run("drop schema public cascade; create schema public").await;
    run(include_str!("../../migrations/0001_foundation.sql")).await;
    run("insert into threads (id, owner, sandbox_id, created_at, updated_at) values
         (gen_random_uuid(), 'a', 'thread-1', now(), now()), (gen_random_uuid(), 'b', null, now(), now())")
    .await;
    run(include_str!("../../migrations/0002_sandboxes.sql")).await;
    let moved: Vec<(String, String, String)> = sqlx::query_as(
        "select s.id, s.state, t.owner from sandboxes s join threads t on t.id = s.thread_id where s.role = 'own' and s.provider = 'local'",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(moved, [("thread-1".to_owned(), "ready".to_owned(), "a".to_owned())]);
    database.finish().await;
}

/// Local sandboxes that can fall asleep as hosted ones do: nothing is answered until they are woken.
struct SleepyProvider {
    local: LocalProvider,
    state: Arc<Sleep>,
}

#[derive(Default)]
struct Sleep {
    asleep: AtomicBool,
    /// Never tells which sandboxes there are.
    lists_never: AtomicBool,
    /// Falls asleep when this is asked for.
    at: Mutex<Option<&'static str>>,
    woken: watch::Sender<usize>,
}

struct Sleepy {
    sandbox: Arc<dyn Sandbox>,
    state: Arc<Sleep>,
}

impl SleepyProvider {
    fn fall_asleep(&self) {
        self.state.asleep.store(true, Ordering::SeqCst);
    }

    fn fall_asleep_at(&self, operation: &'static str) {
        *self.state.at.lock().unwrap() = Some(operation);
    }

    fn woken(&self) -> usize {
        *self.state.woken.borrow()
    }

    async fn until_woken(&self, times: usize) {
        let mut woken = self.state.woken.subscribe();
        tokio::time::timeout(LIMIT, woken.wait_for(|woken| *woken >= times)).await.unwrap().unwrap();
    }

    fn sleepy(&self, sandbox: Arc<dyn Sandbox>) -> Arc<dyn Sandbox> {
        Arc::new(Sleepy { sandbox, state: Arc::clone(&self.state) })
    }
}

#[async_trait]
impl Provider for SleepyProvider {
    fn name(&self) -> &'static str {
        "sleepy"
    }

    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Ok(self.sleepy(self.local.create(spec).await?))
    }

    async fn find(&self, id: &SandboxId) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Ok(self.sleepy(self.local.find(id).await?))
    }

    async fn remove(&self, id: &SandboxId) -> Result<(), SandboxError> {
        self.local.remove(id).await
    }

    async fn wake(&self, id: &SandboxId) -> Result<(), SandboxError> {
        if self.state.asleep.swap(false, Ordering::SeqCst) {
            self.state.woken.send_modify(|woken| *woken += 1);
        }
        self.local.wake(id).await
    }

    async fn labelled(&self, labels: &BTreeMap<String, String>, limit: usize) -> Result<Vec<Listed>, SandboxError> {
        if self.state.lists_never.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        self.local.labelled(labels, limit).await
    }

    fn surroundings(&self) -> Surroundings {
        self.local.surroundings()
    }
}

impl Sleepy {
    fn awake(&self, operation: &str) -> Result<&dyn Sandbox, SandboxError> {
        if self.state.at.lock().unwrap().take_if(|at| *at == operation).is_some() {
            self.state.asleep.store(true, Ordering::SeqCst);
        }
        if self.state.asleep.load(Ordering::SeqCst) {
            return Err(SandboxError::Unavailable("it is stopped".to_owned()));
        }
        Ok(self.sandbox.as_ref())
    }
}

#[async_trait]
impl Sandbox for Sleepy {
    fn id(&self) -> &SandboxId {
        self.sandbox.id()
    }

    fn workspace(&self) -> &str {
        self.sandbox.workspace()
    }

    async fn exec(&self, exec: Exec, cancel: &CancellationToken) -> Result<Executed, SandboxError> {
        self.awake("exec")?.exec(exec, cancel).await
    }

    async fn read(&self, path: &str, offset: u64, limit: usize) -> Result<(Bytes, u64), SandboxError> {
        self.awake("read")?.read(path, offset, limit).await
    }

    async fn write(&self, path: &str, content: &[u8]) -> Result<(), SandboxError> {
        self.awake("write")?.write(path, content).await
    }

    async fn list(&self, path: &str) -> Result<Vec<FileInfo>, SandboxError> {
        self.awake("list")?.list(path).await
    }

    async fn walk(&self, path: &str, bounds: WalkBounds) -> Result<Walked, SandboxError> {
        self.awake("walk")?.walk(path, bounds).await
    }

    async fn info(&self, path: &str) -> Result<FileInfo, SandboxError> {
        self.awake("info")?.info(path).await
    }

    async fn delete(&self, path: &str) -> Result<(), SandboxError> {
        self.awake("delete")?.delete(path).await
    }

    async fn create_directory(&self, path: &str) -> Result<(), SandboxError> {
        self.awake("create_directory")?.create_directory(path).await
    }

    async fn start(&self, name: &str, exec: Exec) -> Result<(), SandboxError> {
        self.awake("start")?.start(name, exec).await
    }

    async fn process(&self, name: &str, from: Offsets, limit: usize) -> Result<ProcessReport, SandboxError> {
        self.awake("process")?.process(name, from, limit).await
    }

    async fn stop(&self, name: &str, grace: Duration) -> Result<(), SandboxError> {
        self.awake("stop")?.stop(name, grace).await
    }

    async fn processes(&self) -> Result<Vec<String>, SandboxError> {
        self.awake("processes")?.processes().await
    }

    async fn preview(&self, port: u16) -> Result<Preview, SandboxError> {
        self.awake("preview")?.preview(port).await
    }
}

//! Work lands: what is in the sandbox becomes commits and one pull request, whatever fails on the way.

mod approval;
mod branches;
mod crash;
mod trouble;
mod undo;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use threadbox::standin::github::{Expects, IssueRef, MergeMethod, Mode, Node, Options, PullView, World};
use threadbox::standin::model::{call, say};

use crate::support::bot::{Bot, LIMIT, REPOSITORY};

fn files() -> Vec<(&'static str, Node)> {
    vec![
        ("README.md", "# Rocket\n".into()),
        ("src/main.py", "print('lift-off')\n".into()),
        ("src/old.py", "old\n".into()),
        ("run.sh", "#!/bin/sh\n".into()),
        ("link", Node::Link("README.md".into())),
        ("vendor", Node::Submodule("0123456789012345678901234567890123456789".into())),
        (".gitignore", "*.log\nkept.log\n".into()),
        ("kept.log", "tracked all the same\n".into()),
        (".github/workflows/ci.yml", "on: push\n".into()),
    ]
}

/// A bot with a token, and an issue of a repository with these files.
async fn begin() -> (Bot, IssueRef) {
    begin_with(&files()).await
}

async fn begin_with(files: &[(&str, Node)]) -> (Bot, IssueRef) {
    let bot = Bot::start().await;
    bot.github.push(REPOSITORY, "First", files).unwrap();
    let issue = bot.issue("It fails").await;
    (bot, issue)
}

/// The request; the model runs the command, lands with this title, and says that it is done.
async fn lands(bot: &Bot, issue: &IssueRef, command: &str, title: &str) -> String {
    bot.model.script([
        call("runCommand", json!({ "command": command })),
        call("openPullRequest", json!({ "title": title, "body": "Because it failed." })),
        say("Done."),
    ]);
    bot.asks(issue, "@threadbox pr").await
}

fn pulls(bot: &Bot) -> Vec<PullView> {
    bot.github.world(|world| world.pulls(REPOSITORY))
}

fn one_pull(bot: &Bot) -> PullView {
    let mut pulls = pulls(bot);
    assert_eq!(pulls.len(), 1, "{:?}", pulls.iter().map(|pull| &pull.issue.title).collect::<Vec<_>>());
    pulls.remove(0)
}

fn pull_ref(pull: &PullView) -> IssueRef {
    IssueRef { repository: REPOSITORY.to_owned(), number: pull.issue.number }
}

fn branches(bot: &Bot) -> Vec<String> {
    bot.github.world(|world| world.branches(REPOSITORY).into_keys().collect())
}

fn text(bot: &Bot, reference: &str, path: &str) -> Option<String> {
    bot.github.world(|world: &World| world.file(REPOSITORY, reference, path))
}

/// Path, mode and content of every file of a commit.
type Content = BTreeMap<String, (Mode, Vec<u8>)>;

fn tree(bot: &Bot, reference: &str) -> Content {
    let tree = bot.github.world(|world| world.tree(REPOSITORY, reference)).unwrap();
    let files = tree.into_iter().filter(|(_, file)| file.mode != Mode::Submodule);
    files.map(|(path, file)| (path, (file.mode, file.content.to_vec()))).collect()
}

/// The workspace of the one sandbox there is.
fn workspace(bot: &Bot) -> PathBuf {
    let names = bot.sandboxes();
    assert_eq!(names.len(), 1, "{names:?}");
    bot.settings.data_dir.join("sandboxes").join(&names[0]).join("workspace")
}

/// What is in the workspace, without what is ignored there.
fn sandbox(bot: &Bot, ignored: &[&str]) -> Content {
    let mut found = Content::new();
    collect(&workspace(bot), "", ignored, &mut found);
    found
}

fn collect(directory: &Path, prefix: &str, ignored: &[&str], found: &mut Content) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if name == ".git" || ignored.contains(&name.as_str()) {
            continue;
        }
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(&entry.path(), &format!("{name}/"), ignored, found);
        } else if kind.is_symlink() {
            let target = std::fs::read_link(entry.path()).unwrap().to_string_lossy().into_owned();
            found.insert(name, (Mode::Link, target.into_bytes()));
        } else {
            let executable = entry.metadata().unwrap().permissions().mode() & 0o111 != 0;
            let mode = if executable { Mode::Executable } else { Mode::File };
            found.insert(name, (mode, std::fs::read(entry.path()).unwrap()));
        }
    }
}

const EVERYTHING: &str = r#"
echo "print('landed')" > src/main.py
rm src/old.py
chmod +x run.sh
ln -sfn src/main.py link
ln -s ../nowhere src/dangling
printf 'a\r\nb\r\n' > crlf.txt
: > empty
printf '\000\001\377' > picture.bin
mkdir -p "with space/deep er" && echo x > "with space/deep er/ü – 日本.txt"
echo ignored > noise.log
echo more >> kept.log
mkdir -p target __pycache__ node_modules/x && echo x > target/a && echo x > __pycache__/a.pyc && echo x > node_modules/x/i.js
echo x > "quote\"d"
printf 'no newline' > end
git config user.email a@b && git config user.name a && git add -A && git commit -qm 'a commit of the sandbox' || true
"#;

#[tokio::test]
async fn what_is_in_the_sandbox_is_what_lands() {
    let mut bot = Bot::prepare(&[], Options { base_path: "/api/v3".to_owned(), ..Options::default() }).await;
    bot.run().await;
    let base = bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("It fails").await;
    let answer = lands(&bot, &issue, EVERYTHING, "Fix the rocket.").await;
    let pull = one_pull(&bot);
    assert!(pull.draft && pull.base_branch == "main" && pull.mergeable, "{pull:?}");
    assert!(pull.head_branch.starts_with(&format!("threadbox/issue-{}-it-fails-", issue.number)), "{}", pull.head_branch);
    let ignored = ["noise.log", "target", "__pycache__", "node_modules", "vendor"];
    assert_eq!(tree(&bot, &pull.head_sha), sandbox(&bot, &ignored));
    let submodule = bot.github.world(|world| world.tree(REPOSITORY, &pull.head_sha)).unwrap()["vendor"].mode;
    assert_eq!(submodule, Mode::Submodule, "what an archive leaves empty stays");

    let commit = &pull.commits[0];
    assert_eq!((pull.commits.len(), &commit.parents), (1, &vec![base]));
    assert!(commit.verified, "GitHub signs what leaves author and committer to it");
    let maya = bot.github.world(|world| world.user("maya").unwrap().id);
    assert!(commit.message.starts_with("Fix the rocket\n\nBecause it failed."), "{}", commit.message);
    assert!(
        commit.message.ends_with(&format!("Co-authored-by: maya <{maya}+maya@users.noreply.127.0.0.1>")),
        "{}",
        commit.message
    );
    let body = &pull.issue.body;
    assert!(body.contains("Because it failed.") && body.contains("exit code 0") && body.contains("maya"), "{body}");
    assert!(!body.contains("Fixes #") && body.contains("issuecomment-"), "{body}");
    let number = pull.issue.number;
    assert!(answer.contains(&format!("Opened draft pull request [#{number}]")) && answer.contains("Done."), "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn three_thousand_files_land_as_they_are() {
    let (bot, issue) = begin().await;
    let many = "mkdir -p many && for i in $(seq 1 3000); do echo \"file $i\" > \"many/f $i.txt\"; done";
    lands(&bot, &issue, many, "Add many").await;
    let pull = one_pull(&bot);
    assert_eq!(tree(&bot, &pull.head_sha), sandbox(&bot, &["vendor"]));
    assert_eq!(tree(&bot, &pull.head_sha).len(), 3_008);
    bot.finish().await;
}

#[tokio::test]
async fn work_lands_even_if_the_model_forgets_to() {
    let (bot, issue) = begin().await;
    bot.model.script([
        call("editFile", json!({ "path": "src/main.py", "oldText": "lift-off", "newText": "landed" })),
        say("I changed it. Fixes #1, @ada."),
    ]);
    let answer = bot.asks(&issue, "@threadbox fix this issue").await;
    let pull = one_pull(&bot);
    assert_eq!(text(&bot, &pull.head_branch, "src/main.py").unwrap(), "print('landed')\n");
    assert!(answer.contains(&format!("#{}", pull.issue.number)), "{answer}");
    assert!(pull.issue.body.contains(&format!("Fixes #{}", issue.number)), "asked for in so many words: {}", pull.issue.body);
    assert!(!pull.issue.body.contains("@ada") && pull.issue.body.contains("Fixes issue #1"), "{}", pull.issue.body);
    assert_eq!(pull.issue.title, "Work on: It fails");
    bot.finish().await;
}

#[tokio::test]
async fn nothing_changed_opens_nothing() {
    let (bot, issue) = begin().await;
    bot.model.script([call("runCommand", json!({ "command": "echo x > a.log; touch src/main.py" })), say("Nothing to do.")]);
    let answer = bot.asks(&issue, "@threadbox pr").await;
    assert!(answer.contains("nothing to land") && answer.contains("Nothing to do."), "{answer}");
    bot.model.script([say("Still nothing.")]);
    let answer = bot.asks(&issue, "@threadbox pr").await;
    assert!(answer.contains("nothing to land"), "{answer}");
    assert_eq!((pulls(&bot).len(), branches(&bot)), (0, vec!["main".to_owned()]));
    bot.finish().await;
}

#[tokio::test]
async fn each_logical_change_is_a_commit() {
    let (bot, issue) = begin().await;
    bot.model.script([
        call("runCommand", json!({ "command": "echo 1 > a; mkdir d; echo 2 > d/b; echo 3 > c" })),
        call(
            "openPullRequest",
            json!({ "title": "Three", "body": "Parts.", "commits": [
            { "message": "Add a\n\nFor @ada.", "paths": ["a"] }, { "message": "Add b", "paths": ["d/"] },
        ], "draft": false }),
        ),
        say("Done."),
    ]);
    bot.asks(&issue, "@threadbox please open a pull request with three files").await;
    let pull = one_pull(&bot);
    let subjects: Vec<&str> = pull.commits.iter().map(|commit| commit.message.lines().next().unwrap()).collect();
    assert_eq!(subjects, ["Add a", "Add b", "Three: the rest"]);
    assert!(pull.draft && !pull.commits[0].message.contains("@ada"), "{}", pull.commits[0].message);
    let last = &pull.commits[2];
    assert_eq!((text(&bot, &last.sha, "c"), text(&bot, &last.parents[0], "c")), (Some("3\n".into()), None));
    bot.finish().await;
}

#[tokio::test]
async fn issue_and_pull_request_are_one_conversation() {
    let (bot, issue) = begin().await;
    lands(&bot, &issue, "echo one > one", "One").await;
    let pull = one_pull(&bot);
    // On the pull request, with the same memory and sandbox.
    let there = pull_ref(&pull);
    lands(&bot, &there, "cat one; echo two > two", "Two").await;
    let asked = bot.asked().pop().unwrap();
    let said = asked.messages.iter().map(|message| message.text.clone()).collect::<String>();
    let results: String = asked.messages.iter().flat_map(|message| &message.results).map(|result| result.text.clone()).collect();
    assert!(
        said.contains("Done.") && results.contains("one\\n"),
        "what was said and made on the issue is known: {said} {results}"
    );
    assert_eq!((bot.count("select count(*) from threads").await, bot.sandboxes().len()), (1, 1));
    let pull = one_pull(&bot);
    assert_eq!(pull.commits.len(), 2, "commits on the same branch");
    assert_eq!(tree(&bot, &pull.head_sha), sandbox(&bot, &["vendor"]));

    // Back on the issue, where it began; and what was landed before does not land again.
    lands(&bot, &issue, "echo three > three", "Three").await;
    let pull = one_pull(&bot);
    assert_eq!(pull.commits.len(), 3);
    let changed: Vec<&str> = pull.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(changed, ["one", "three", "two"]);

    // Merged: what comes after is another pull request, on top of what is there.
    bot.github.merge_pull(&there, "ada", MergeMethod::Squash).await.unwrap();
    lands(&bot, &issue, "echo four > four; rm one", "Four").await;
    let second = pulls(&bot).pop().unwrap();
    assert_eq!(pulls(&bot).len(), 2);
    let changed: Vec<&str> = second.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!((changed, second.mergeable), (vec!["four", "one"], true));
    bot.finish().await;
}

#[tokio::test]
async fn a_redelivered_request_lands_once() {
    let (bot, issue) = begin().await;
    bot.model.script([
        call("runCommand", json!({ "command": "echo one > one" })),
        call("openPullRequest", json!({ "title": "One", "body": "" })),
        call("openPullRequest", json!({ "title": "One again", "body": "" })),
        say("Done."),
    ]);
    let (comment, delivery) = bot.github.prepare_comment(&issue, "maya", "@threadbox pr").unwrap();
    bot.github.redeliver(delivery.id).await.unwrap();
    bot.github.redeliver(delivery.id).await.unwrap();
    bot.ended(&issue, comment).await;
    assert_eq!((one_pull(&bot).commits.len(), branches(&bot).len()), (1, 2));
    let answer = bot.our_comments(&issue).pop().unwrap();
    assert_eq!(answer.body().matches("Opened draft").count(), 1, "{}", answer.body());
    bot.finish().await;
}

#[tokio::test]
async fn a_workspace_that_is_all_but_gone_lands_nothing() {
    let more: Vec<String> = (0..20).map(|n| format!("more/{n}")).collect();
    let more = more.iter().map(|path| (path.as_str(), "x\n".into()));
    let (bot, issue) = begin_with(&files().into_iter().chain(more).collect::<Vec<_>>()).await;
    let answer =
        lands(&bot, &issue, "find . -mindepth 1 -path ./.git -prune -o \\( -type f -o -type l \\) -exec rm -f {} +", "Oh").await;
    assert!(answer.contains("looks like an accident"), "{answer}");
    assert_eq!((pulls(&bot).len(), branches(&bot)), (0, vec!["main".to_owned()]));
    bot.finish().await;
}

/// A service without a running one, for tests that start it themselves.
async fn prepare() -> (Bot, IssueRef) {
    let bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("It fails").await;
    (bot, issue)
}

/// Waits until a request that changes something arrived.
async fn arrived(bot: &Bot, method: &str, part: &str) {
    let what = format!("{method} …{part}");
    let seen =
        |world: &World| world.requests().any(|request| request.method == method && request.path.contains(part)).then_some(());
    bot.github.wait_for(&what, LIMIT, seen).await.unwrap();
}

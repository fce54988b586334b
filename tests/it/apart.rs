//! What strangers asked for runs in a sandbox that nobody else ever uses, and that goes with the run.

use serde_json::json;
use threadbox::standin::github::{Expects, IssueRef, NewPull, Node, Options};
use threadbox::standin::model::{Gate, Turn, call, gated, hang, say};

use crate::support::bot::{Bot, LIMIT, REPOSITORY, service_environment};
use crate::support::service::Service;

const POISON: &str = "echo evil > planted.txt; echo 'echo poisoned' > build.sh; rm README.md; cat build.sh; ls";

fn files() -> Vec<(&'static str, Node)> {
    vec![("README.md", "# Rocket\n".into()), ("build.sh", Node::executable("echo built\n"))]
}

/// The results of the calls the model made last, oldest first.
fn results(bot: &Bot) -> Vec<String> {
    let last = bot.asked().pop().unwrap();
    last.messages.iter().flat_map(|message| &message.results).map(|result| result.text.clone()).collect()
}

fn command(command: &str) -> Turn {
    call("runCommand", json!({ "command": command }))
}

fn apart(bot: &Bot) -> Vec<String> {
    bot.sandboxes().into_iter().filter(|name| name.starts_with("apart-")).collect()
}

/// Waits until the model was asked that often.
async fn asked(bot: &Bot, times: usize) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while bot.asked().len() < times {
        assert!(tokio::time::Instant::now() < deadline, "the model was not asked {times} times");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Eve asks and maya lets it run. Returns eve's comment.
async fn approved(bot: &Bot, issue: &IssueRef, text: &str) -> i64 {
    let before = bot.our_comments(issue).len();
    let message = bot.says(issue, "eve", text).await;
    bot.our_comment_number(issue, before + 1).await;
    bot.until_count("select count(*) from approvals where state = 'waiting' and shown is null", 0).await;
    bot.says(issue, "maya", "@threadbox approve").await;
    message
}

#[tokio::test]
async fn what_an_outsider_leaves_behind_reaches_nobody() {
    let bot = Bot::start().await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("Poison").await;
    bot.model.script([command("echo mine > mine.txt"), say("Written.")]);
    bot.asks(&issue, "@threadbox write a file").await;

    bot.model.script([command(POISON), say("Planted.")]);
    let message = approved(&bot, &issue, "@threadbox improve the build").await;
    assert_eq!(bot.ended(&issue, message).await, "rocket");
    let saw = results(&bot).pop().unwrap();
    assert!(saw.contains("echo poisoned") && !saw.contains("mine.txt"), "it begins with the repository alone: {saw}");
    let answer = bot.our_comments(&issue).last().unwrap().body().to_owned();
    assert!(answer.contains("planted.txt") && answer.contains("echo poisoned"), "its diff is shown: {answer}");
    bot.idle().await;
    assert_eq!(apart(&bot), Vec::<String>::new());
    assert_eq!(bot.count("select count(*) from sandboxes where role = 'apart'").await, 0);
    assert_eq!(bot.count("select count(*) from sandboxes where role = 'own'").await, 1);
    assert_eq!(bot.count("select count(*) from run_beginnings").await, 1, "there is nothing of it to take back");

    let land = call("openPullRequest", json!({ "title": "Add mine", "body": "As asked." }));
    bot.model.script([command("sh build.sh; ls"), land, say("Done.")]);
    bot.asks(&issue, "@threadbox pr").await;
    let saw = results(&bot).into_iter().find(|result| result.contains("sh build.sh")).unwrap();
    assert!(saw.contains("built") && saw.contains("mine.txt") && saw.contains("README.md"), "{saw}");
    assert!(!saw.contains("poisoned") && !saw.contains("planted.txt"), "{saw}");
    let landed = bot.github.world(|world| {
        let pulls = world.pulls(REPOSITORY);
        assert_eq!(pulls.len(), 1);
        let branch = world.branches(REPOSITORY).into_keys().find(|branch| branch != "main").unwrap();
        let tree = world.tree(REPOSITORY, &branch).unwrap();
        tree.into_iter().map(|(path, file)| (path, String::from_utf8(file.content.to_vec()).unwrap())).collect::<Vec<_>>()
    });
    let wanted = [("README.md", "# Rocket\n"), ("build.sh", "echo built\n"), ("mine.txt", "mine\n")];
    assert_eq!(landed, wanted.map(|(path, content)| (path.to_owned(), content.to_owned())));
    bot.finish().await;
}

#[tokio::test]
async fn undo_passes_over_what_stood_apart() {
    let bot = Bot::start().await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("Undo").await;
    bot.model.script([command("echo mine > mine.txt"), say("Written.")]);
    bot.asks(&issue, "@threadbox write a file").await;
    bot.model.script([command(POISON), say("Planted.")]);
    let message = approved(&bot, &issue, "@threadbox improve the build").await;
    bot.ended(&issue, message).await;
    bot.asks(&issue, "@threadbox undo").await;
    bot.model.script([command("ls"), say("Seen.")]);
    bot.asks(&issue, "@threadbox look").await;
    let saw = results(&bot).pop().unwrap();
    assert!(saw.contains("README.md") && !saw.contains("mine.txt") && !saw.contains("planted.txt"), "{saw}");
    bot.finish().await;
}

#[tokio::test]
async fn it_reaches_no_other_sandbox_of_the_conversation() {
    let bot = Bot::start().await;
    let issue = bot.issue("Reach").await;
    bot.model.script([call("createSandbox", json!({ "name": "Second" })), command("ls"), say("Made.")]);
    bot.asks(&issue, "@threadbox make another").await;
    let made: serde_json::Value = serde_json::from_str(&results(&bot)[0]).unwrap();
    let (extra, path) = (made["sandboxId"].as_str().unwrap().to_owned(), bot.settings.data_dir.join("sandboxes"));
    let own: Vec<String> = bot.sandboxes().into_iter().filter(|name| *name != extra).collect();
    let reach = |id: &str| call("writeFile", json!({ "sandboxId": id, "path": "planted.txt", "content": "evil" }));
    let mut turns = vec![reach(&extra)];
    turns.extend(own.iter().map(|id| reach(id)));
    turns.extend([call("createSandbox", json!({ "name": "Second" })), say("I cannot.")]);
    bot.model.script(turns);
    let message = approved(&bot, &issue, "@threadbox write elsewhere").await;
    bot.ended(&issue, message).await;
    let told = results(&bot).split_off(2);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|result| result.contains("error")), "{told:?}");
    assert!(told.last().unwrap().contains("can make no other"), "{told:?}");
    bot.idle().await;
    for name in bot.sandboxes() {
        assert!(!path.join(&name).join("workspace/planted.txt").exists(), "{name} was reached");
    }
    assert_eq!(bot.count("select count(*) from sandboxes where role = 'extra'").await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn whoever_takes_the_run_over_finds_its_sandbox() {
    let mut bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("Crash").await;
    let environment = service_environment(&bot.github, &bot.model, &bot.database.url(), &bot.settings.data_dir);
    let first = Service::start(&environment).await;
    bot.github.deliver_to(format!("{}/webhooks/github", first.url));
    bot.model.script([command("echo here > here.txt"), hang()]);
    let message = approved(&bot, &issue, "@threadbox write a file").await;
    asked(&bot, 2).await;
    let before = apart(&bot);
    assert_eq!(before.len(), 1);
    first.kill().await;
    bot.sql(
        "update threads set lease_until = now() - interval '1 second' where lease_until is not null;
         update jobs._private_workers set last_heartbeat_at = last_heartbeat_at - interval '1 minute'",
    )
    .await;
    let gate = Gate::closed();
    bot.model.script([call("readFile", json!({ "path": "here.txt" })), gated(&gate, say("Found."))]);
    bot.run().await;
    asked(&bot, 4).await;
    assert_eq!(apart(&bot), before, "it goes on in the same one");
    gate.open();
    assert_eq!(bot.ended(&issue, message).await, "rocket");
    let saw = results(&bot);
    assert!(saw.last().unwrap().contains(r#""content":"here\n""#), "{saw:#?}");
    let answer = bot.our_comments(&issue).last().unwrap().body().to_owned();
    assert!(answer.contains("here.txt") && answer.contains("Found."), "{answer}");
    bot.idle().await;
    assert_eq!(apart(&bot), Vec::<String>::new());
    bot.finish().await;
}

#[tokio::test]
async fn the_review_of_a_fork_proves_its_suggestions_apart() {
    let bot = Bot::start().await;
    let wanted = "[triggers]\non_pull_request = \"review\"\n[sandbox]\ntest = '! grep -q broken app.py'\n";
    bot.github.push(REPOSITORY, "First", &[("app.py", "one = 1\n".into()), (".github/threadbox.toml", wanted.into())]).unwrap();
    let (fork, _) = bot.github.fork(REPOSITORY, "eve").await.unwrap();
    bot.github.push_to(&fork, "eve", "main", "Change", &[("app.py", Some("one = 11\n".into()))]).await.unwrap();
    let finding = json!({
        "path": "app.py", "original": "one = 11", "replacement": "one = 1", "body": "One is one.", "rule": "wrong-one",
        "severity": "important",
    });
    bot.model.script([call("suggestChanges", json!({ "findings": [finding] })), say("I read it all.")]);
    let (pull, _) = bot.github.open_pull(REPOSITORY, "eve", &NewPull::of("eve:main", "From outside")).await.unwrap();
    bot.until_count("select count(*) from runs where state = 'posted' and powers = 'nothing_lands'", 1).await;
    let answer = bot.our_comments(&pull).last().unwrap().body().to_owned();
    assert!(answer.contains("1 proved suggestion"), "{answer}");
    assert_eq!((bot.sandboxes(), bot.count("select count(*) from sandboxes").await), (Vec::new(), 0));
    bot.finish().await;
}

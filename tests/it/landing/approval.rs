//! What takes more than a request: workflow files, secrets of the service, permissions that are missing.

use threadbox::secret::ExposeSecret;
use threadbox::settings::Permission;

use super::*;

#[tokio::test]
async fn workflow_files_land_only_when_somebody_with_power_says_so() {
    let (bot, issue) = begin().await;
    let command = "echo 'on: pull_request' > .github/workflows/ci.yml; echo more > more";
    let answer = lands(&bot, &issue, command, "Run on pull requests").await;
    assert!(answer.contains(".github/workflows/ci.yml") && answer.contains("approve"), "{answer}");
    let pull = one_pull(&bot);
    assert_eq!(text(&bot, &pull.head_branch, ".github/workflows/ci.yml").unwrap(), "on: push\n");
    assert_eq!(text(&bot, &pull.head_branch, "more").unwrap(), "more\n", "the rest landed");

    // Maya may write, and no more.
    bot.says(&issue, "maya", "@threadbox approve").await;
    bot.our_comment_number(&issue, 2).await;
    assert_eq!(text(&bot, &pull.head_branch, ".github/workflows/ci.yml").unwrap(), "on: push\n");

    // What happens to the workspace after it was shown does not land with it.
    bot.model.script([call("runCommand", json!({ "command": "echo 'run: evil' >> .github/workflows/ci.yml" })), say("Changed.")]);
    bot.asks(&issue, "@threadbox change it more").await;
    let comment = bot.says(&issue, "ada", "@threadbox approve").await;
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    assert_eq!(text(&bot, &pull.head_branch, ".github/workflows/ci.yml").unwrap(), "on: pull_request\n");
    assert_eq!(one_pull(&bot).commits.len(), 2);
    bot.finish().await;
}

#[tokio::test]
async fn only_workflow_files_open_nothing_until_they_are_approved() {
    let mut bot = Bot::prepare(&[], Options::default()).await;
    bot.github.grant("workflows", Some("write"));
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    bot.run().await;
    let issue = bot.issue("It fails").await;
    let answer = lands(&bot, &issue, "echo 'on: pull_request' > .github/workflows/ci.yml", "Run").await;
    assert!(answer.contains("nothing landed") && pulls(&bot).is_empty(), "{answer}");
    let comment = bot.says(&issue, "ada", "@threadbox approve").await;
    bot.ended(&issue, comment).await;
    let pull = one_pull(&bot);
    assert_eq!(text(&bot, &pull.head_branch, ".github/workflows/ci.yml").unwrap(), "on: pull_request\n");
    assert!(pull.commits[0].message.contains("Co-authored-by: ada"), "{}", pull.commits[0].message);
    bot.finish().await;
}

#[tokio::test]
async fn files_that_hold_a_secret_of_the_service_do_not_land() {
    let (bot, issue) = begin().await;
    let token = bot.github.token();
    let command = format!("echo good > good; echo 'token={}' > bad", token.expose_secret());
    bot.model.script([call("runCommand", json!({ "command": command })), say("Done.")]);
    let answer = bot.asks(&issue, "@threadbox pr").await;
    let pull = one_pull(&bot);
    assert_eq!((text(&bot, &pull.head_branch, "good"), text(&bot, &pull.head_branch, "bad")), (Some("good\n".into()), None));
    assert!(answer.contains("`bad`: it holds a secret"), "{answer}");
    assert!(!answer.contains(token.expose_secret()) && !pull.issue.body.contains(token.expose_secret()));
    bot.finish().await;
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let mut bot = Bot::prepare(&[], Options::default()).await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    bot.github.grant("contents", Some("read"));
    bot.run().await;
    let issue = bot.issue("It fails").await;
    let answer = lands(&bot, &issue, "echo more > more", "More").await;
    assert!(answer.contains("contents: write") && pulls(&bot).is_empty(), "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn who_may_only_read_lands_nothing() {
    let (bot, issue) = begin().await;
    bot.github.set_permission(REPOSITORY, "maya", Permission::Read).unwrap();
    bot.says(&issue, "maya", "@threadbox pr").await;
    bot.our_comment_number(&issue, 1).await;
    assert_eq!((pulls(&bot).len(), branches(&bot).len()), (0, 1));
    bot.finish().await;
}

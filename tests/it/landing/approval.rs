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
    assert!(bot.our_comment_number(&issue, 3).await.body().contains("maintain or admin permission"));
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
    let said = bot.our_comments(&issue)[0].body().to_owned();
    assert!(said.contains("nothing landed") && pulls(&bot).is_empty(), "{said}");
    // All of it is there to be read before it is approved.
    for line in ["- `.github/workflows/ci.yml`", "-on: push", "+on: pull_request", "None of this has landed"] {
        assert!(answer.contains(line), "{line}: {answer}");
    }
    let comment = bot.says(&issue, "ada", "@threadbox approve").await;
    bot.ended(&issue, comment).await;
    let pull = one_pull(&bot);
    assert_eq!(text(&bot, &pull.head_branch, ".github/workflows/ci.yml").unwrap(), "on: pull_request\n");
    assert!(pull.commits[0].message.contains("Co-authored-by: maya"), "{}", pull.commits[0].message);
    assert!(pull.issue.body.contains("Approved by ada"), "{}", pull.issue.body);
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

const WORKFLOW: &str = ".github/workflows/ci.yml";

/// Maya lands a change of the workflow, which waits; returns the comment that shows it.
async fn waits(bot: &Bot, issue: &IssueRef, text: &str) -> i64 {
    lands(bot, issue, &format!("echo '{text}' > {WORKFLOW}"), "Run").await;
    let shown = bot.our_comments(issue).pop().unwrap();
    assert!(shown.body().contains("None of this has landed") && shown.body().contains(&format!("+{text}")), "{}", shown.body());
    shown.id
}

#[tokio::test]
async fn a_yes_from_before_it_was_shown_does_not_count() {
    let (bot, issue) = begin().await;
    let (_, late) = bot.github.prepare_comment(&issue, "ada", "@threadbox approve").unwrap();
    waits(&bot, &issue, "on: pull_request").await;
    let before = bot.our_comments(&issue).len();
    bot.github.redeliver(late.id).await.unwrap();
    let told = bot.our_comment_number(&issue, before + 1).await.body().to_owned();
    assert!(told.contains("after you wrote"), "{told}");
    assert_eq!((pulls(&bot).len(), branches(&bot).len()), (0, 1));
    bot.finish().await;
}

#[tokio::test]
async fn what_waits_to_land_is_declined_replaced_and_void_like_everything_that_waits() {
    let (bot, issue) = begin().await;
    let ends = "select count(*) from approvals where kind = 'workflows' and state = 'waiting'";
    let first = waits(&bot, &issue, "on: one").await;
    let second = waits(&bot, &issue, "on: two").await;
    assert_eq!(bot.count("select count(*) from approvals where kind = 'workflows' and state = 'replaced'").await, 1);
    bot.github.react(first, "ada", "+1").unwrap();
    // Exactly the same waits once.
    lands(&bot, &issue, "true", "Again").await;
    assert_eq!(bot.count("select count(*) from approvals where kind = 'workflows'").await, 2);
    bot.github.react(second, "ada", "-1").unwrap();
    bot.hurry().await;
    bot.until_count("select count(*) from approvals where kind = 'workflows' and state = 'declined'", 1).await;
    let third = waits(&bot, &issue, "on: three").await;
    let body = bot.our_comments(&issue).pop().unwrap().body().replace("on: three", "on: four");
    bot.github.edit_comment(third, "ada", &body).await.unwrap();
    let before = bot.our_comments(&issue).len();
    bot.says(&issue, "ada", "@threadbox approve").await;
    let told = bot.our_comment_number(&issue, before + 1).await.body().to_owned();
    assert!(told.contains("was edited or deleted"), "{told}");
    assert_eq!((bot.count(ends).await, pulls(&bot).len()), (0, 0));
    // What is gone from the workspace does not wait.
    waits(&bot, &issue, "on: five").await;
    lands(&bot, &issue, "echo 'on: push' > .github/workflows/ci.yml", "Back").await;
    assert_eq!((bot.count(ends).await, pulls(&bot).len()), (0, 0));
    bot.finish().await;
}

#[tokio::test]
async fn what_cannot_be_shown_whole_cannot_be_approved() {
    let (bot, issue) = begin().await;
    let command = "for i in $(seq 1 8000); do echo \"# line $i\"; done > .github/workflows/ci.yml";
    let answer = lands(&bot, &issue, command, "Much").await;
    assert!(answer.contains("more than can be shown whole") && answer.contains("needs-approval.patch"), "{answer}");
    assert_eq!(bot.count("select count(*) from approvals").await, 0);
    bot.finish().await;
}

#[tokio::test]
async fn what_was_approved_stays_so_until_it_lands() {
    let (bot, _) = begin().await;
    bot.github.push_to(REPOSITORY, "maya", "feature", "Begin", &[("begun", Some("1\n".into()))]).await.unwrap();
    let new = threadbox::standin::github::NewPull::of("feature", "Mine");
    let there = bot.github.open_pull(REPOSITORY, "maya", &new).await.unwrap().0;
    waits(&bot, &there, "on: pull_request").await;
    bot.github
        .push_to(REPOSITORY, "maya", "feature", "Meanwhile", &[(WORKFLOW, Some("on: push\n# mine\n".into()))])
        .await
        .unwrap();
    let yes = bot.says(&there, "ada", "@threadbox approve").await;
    bot.ended(&there, yes).await;
    let said = bot.our_comments(&there).pop().unwrap().body().to_owned();
    assert!(said.contains("changed on both sides"), "{said}");
    bot.github.push_to(REPOSITORY, "maya", "feature", "Back", &[(WORKFLOW, Some("on: push\n".into()))]).await.unwrap();
    let again = bot.says(&there, "ada", "@threadbox retry").await;
    bot.ended(&there, again).await;
    assert_eq!(text(&bot, "feature", WORKFLOW).unwrap(), "on: pull_request\n");
    bot.finish().await;
}

#[tokio::test]
async fn who_may_ask_but_not_write_gets_a_patch_and_takes_nothing_back() {
    let bot = Bot::start_with(&[("THREADBOX_ALLOW", "read")]).await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    let issue = bot.issue("It fails").await;
    let asks = async |text: &str| {
        let comment = bot.says(&issue, "eve", text).await;
        bot.ended(&issue, comment).await;
        bot.our_comments(&issue).pop().unwrap().body().to_owned()
    };
    bot.model.script([call("runCommand", json!({ "command": "echo evil > evil" })), say("Done.")]);
    let answer = asks("@threadbox pr").await;
    assert!(
        answer.contains("eve may ask for work here, but has no write permission") && answer.contains("changes.patch"),
        "{answer}"
    );
    assert_eq!((pulls(&bot).len(), branches(&bot).len()), (0, 1));
    lands(&bot, &issue, "rm evil; echo good > good", "Good").await;
    let answer = asks("@threadbox undo").await;
    assert!(answer.contains("Nothing was taken back") && answer.contains("no write permission"), "{answer}");
    assert!(one_pull(&bot).issue.open && branches(&bot).len() == 2 && sandbox(&bot, &[]).contains_key("good"));
    let answer = bot.asks(&issue, "@threadbox undo").await;
    assert!(answer.contains("Closed #") && branches(&bot).len() == 1, "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn what_took_an_approval_to_land_takes_one_to_be_taken_back() {
    let (bot, _) = begin().await;
    bot.github.push_to(REPOSITORY, "maya", "feature", "Begin", &[("begun", Some("1\n".into()))]).await.unwrap();
    let new = threadbox::standin::github::NewPull::of("feature", "Mine");
    let there = bot.github.open_pull(REPOSITORY, "maya", &new).await.unwrap().0;
    waits(&bot, &there, "on: pull_request").await;
    let yes = bot.says(&there, "ada", "@threadbox approve").await;
    bot.ended(&there, yes).await;
    assert_eq!(text(&bot, "feature", WORKFLOW).unwrap(), "on: pull_request\n");
    // As if the run of the approval had been the last that changed the workspace.
    bot.sql(
        "update landings set run_id = (select run_id from run_beginnings where undone_by is null order by run_id desc limit 1)",
    )
    .await;
    let answer = bot.asks(&there, "@threadbox undo").await;
    assert!(answer.contains("What landed stays") && answer.contains("maintain or admin permission"), "{answer}");
    assert_eq!(text(&bot, "feature", WORKFLOW).unwrap(), "on: pull_request\n");
    bot.finish().await;
}

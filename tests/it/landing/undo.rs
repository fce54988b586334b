//! `undo`: the workspace and what landed go back, and nobody else's work with them.

use super::*;

#[tokio::test]
async fn undo_restores_the_workspace_exactly() {
    let (bot, issue) = begin().await;
    bot.model.script([
        call("runCommand", json!({ "command": "printf '\\0one' > bin; ln -s bin l; echo kept > kept; chmod +x run.sh" })),
        say("Began."),
    ]);
    bot.asks(&issue, "@threadbox begin").await;
    let before = sandbox(&bot, &[]);
    bot.model.script([
        call("runCommand", json!({ "command": EVERYTHING })),
        call("runCommand", json!({ "command": "printf '\\0two!' > bin; rm l kept; chmod -x run.sh; rm -r src; echo x > src" })),
        say("Changed."),
    ]);
    bot.asks(&issue, "@threadbox change it").await;
    assert_ne!(sandbox(&bot, &[]), before);
    let answer = bot.asks(&issue, "@threadbox undo").await;
    assert!(answer.contains("as it was before the last run") && answer.contains("no model"), "{answer}");
    let made = ["target", "__pycache__", "node_modules"];
    assert_eq!(sandbox(&bot, &made), before);

    // Once more goes back to the beginning, and then no further.
    bot.asks(&issue, "@threadbox undo").await;
    assert!(!sandbox(&bot, &made).contains_key("kept"));
    let answer = bot.asks(&issue, "@threadbox undo").await;
    assert!(answer.contains("nothing I could take back"), "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn undo_closes_a_pull_request_that_holds_nothing_else() {
    let (bot, issue) = begin().await;
    lands(&bot, &issue, "echo one > one", "One").await;
    let answer = bot.asks(&issue, "@threadbox undo").await;
    let pull = one_pull(&bot);
    assert!(!pull.issue.open && pull.merged_at.is_none(), "{answer}");
    assert_eq!(branches(&bot), ["main"]);
    assert!(answer.contains(&format!("Closed #{}", pull.issue.number)), "{answer}");
    assert!(!sandbox(&bot, &[]).contains_key("one"));
    // And work after it lands anew.
    lands(&bot, &issue, "echo two > two", "Two").await;
    let second = pulls(&bot).pop().unwrap();
    let changed: Vec<&str> = second.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!((pulls(&bot).len(), changed), (2, vec!["two"]));
    bot.finish().await;
}

#[tokio::test]
async fn undo_reverts_and_leaves_what_others_did() {
    let (bot, issue) = begin().await;
    lands(&bot, &issue, "echo one > one; echo a > README.md", "One").await;
    lands(&bot, &issue, "echo two > two; rm one; printf '\\0' > bin", "Two").await;
    let pull = one_pull(&bot);
    let theirs = [("theirs", Some("x\n".into()))];
    bot.github.push_to(REPOSITORY, "maya", &pull.head_branch, "Meanwhile", &theirs).await.unwrap();
    let answer = bot.asks(&issue, "@threadbox undo").await;
    assert!(answer.contains("Reverted 1 commit"), "{answer}");
    let branch = &pull.head_branch;
    let now = tree(&bot, branch);
    assert!(now.contains_key("one") && now.contains_key("theirs") && !now.contains_key("two") && !now.contains_key("bin"));
    assert_eq!(now["README.md"].1, b"a\n");
    let last = one_pull(&bot).commits.pop().unwrap();
    assert!(last.message.starts_with("Revert \"Two\""), "{}", last.message);
    // What the first run landed goes likewise; theirs stays.
    let answer = bot.asks(&issue, "@threadbox undo").await;
    assert!(answer.contains("Reverted 1 commit"), "{answer}");
    let now = tree(&bot, branch);
    assert!(now.contains_key("theirs") && !now.contains_key("one"));
    assert_eq!(now["README.md"].1, b"# Rocket\n");
    assert!(one_pull(&bot).issue.open);
    bot.finish().await;
}

#[tokio::test]
async fn what_is_merged_stays() {
    let (bot, issue) = begin().await;
    lands(&bot, &issue, "echo one > one", "One").await;
    bot.github.merge_pull(&pull_ref(&one_pull(&bot)), "ada", MergeMethod::Merge).await.unwrap();
    let answer = bot.asks(&issue, "@threadbox undo").await;
    assert!(answer.contains("is merged, so what landed stays"), "{answer}");
    assert_eq!(text(&bot, "main", "one").unwrap(), "one\n");
    bot.finish().await;
}

#[tokio::test]
async fn there_may_be_nothing_to_undo() {
    let (bot, issue) = begin().await;
    let answer = bot.asks(&issue, "@threadbox undo").await;
    assert!(answer.contains("nothing I could take back"), "{answer}");
    bot.finish().await;
}

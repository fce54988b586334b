//! Where work goes: branches of pull requests, of forks, protected ones, and those that moved.

use threadbox::github::{PullRequestMode, RepositoryFile};
use threadbox::standin::github::{Expects, NewPull, Options, UserKind};

use super::*;

/// A pull request of a branch of Maya's.
async fn open(bot: &Bot, branch: &str) -> IssueRef {
    bot.github.push_to(REPOSITORY, "maya", branch, "Begin", &[("begun", Some("1\n2\n3\n4\n5\n6\n".into()))]).await.unwrap();
    bot.github.open_pull(REPOSITORY, "maya", &NewPull::of(branch, "Mine")).await.unwrap().0
}

fn pull(bot: &Bot, there: &IssueRef) -> PullView {
    bot.github.world(|world| world.pull(there)).unwrap()
}

#[tokio::test]
async fn on_a_pull_request_work_goes_to_its_branch() {
    let (bot, _) = begin().await;
    let there = open(&bot, "feature").await;
    let answer = lands(&bot, &there, "echo more > more", "Add more").await;
    let pull = pull(&bot, &there);
    assert_eq!((pull.commits.len(), pulls(&bot).len()), (2, 1));
    assert_eq!(tree(&bot, "feature"), sandbox(&bot, &["vendor"]));
    assert!(answer.contains(&format!("Pushed to [#{}]", there.number)), "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn a_branch_that_moved_keeps_what_others_did() {
    let (bot, _) = begin().await;
    let there = open(&bot, "feature").await;
    bot.model.script([call("runCommand", json!({ "command": "sed -i s/1/one/ begun; echo mine > mine" })), say("Changed.")]);
    bot.asks(&there, "@threadbox change it").await;
    let theirs = [("theirs", Some("theirs\n".into())), ("begun", Some("1\n2\n3\n4\n5\nsix\n".into())), ("src/old.py", None)];
    let (head, _) = bot.github.push_to(REPOSITORY, "maya", "feature", "Meanwhile", &theirs).await.unwrap();
    bot.model.script([say("Landing.")]);
    bot.asks(&there, "@threadbox pr").await;
    let landed = pull(&bot, &there);
    assert_eq!(landed.commits.last().unwrap().parents, [head], "on top, never instead");
    assert_eq!(text(&bot, "feature", "begun").unwrap(), "one\n2\n3\n4\n5\nsix\n");
    assert_eq!(text(&bot, "feature", "theirs").unwrap(), "theirs\n");
    assert_eq!(tree(&bot, "feature"), sandbox(&bot, &["vendor"]), "the workspace has theirs, too");
    lands(&bot, &there, "echo again > again", "Again").await;
    assert_eq!(text(&bot, "feature", "theirs").unwrap(), "theirs\n");
    assert_eq!(tree(&bot, "feature"), sandbox(&bot, &["vendor"]));
    bot.finish().await;
}

#[tokio::test]
async fn what_both_changed_is_explained_and_nothing_is_lost() {
    let (bot, _) = begin().await;
    let there = open(&bot, "feature").await;
    bot.model.script([call("runCommand", json!({ "command": "sed -i s/3/three/ begun" })), say("Changed.")]);
    bot.asks(&there, "@threadbox change it").await;
    let theirs = [("begun", Some("1\n2\nIII\n4\n5\n6\n".into()))];
    let (head, _) = bot.github.push_to(REPOSITORY, "maya", "feature", "Meanwhile", &theirs).await.unwrap();
    bot.model.script([say("Landing.")]);
    let answer = bot.asks(&there, "@threadbox pr").await;
    assert!(answer.contains("changed on both sides: `begun`") && answer.contains("changes.patch"), "{answer}");
    assert_eq!(pull(&bot, &there).head_sha, head);
    assert!(sandbox(&bot, &[])["begun"].1.starts_with(b"1\n2\nthree"));
    bot.finish().await;
}

#[tokio::test]
async fn a_protected_branch_gets_a_patch_instead() {
    let (bot, _) = begin().await;
    let there = open(&bot, "feature").await;
    bot.github.protect_branch(REPOSITORY, "feature", true).unwrap();
    let before = pull(&bot, &there).head_sha;
    let answer = lands(&bot, &there, "echo more >> begun; printf '\\0' > bin", "More").await;
    assert!(answer.contains("is protected") && answer.contains("changes.patch") && answer.contains("`bin`"), "{answer}");
    assert!(answer.contains("+more") && answer.contains("diff --git a/begun b/begun"), "{answer}");
    assert_eq!(pull(&bot, &there).head_sha, before);
    bot.finish().await;
}

#[tokio::test]
async fn a_fork_is_pushed_to_where_its_author_and_our_token_allow_it() {
    for (expects, modify, pushed) in [(Expects::Token, true, true), (Expects::Token, false, false), (Expects::App, true, false)] {
        let mut bot = Bot::prepare(&[], Options { expects, ..Options::default() }).await;
        bot.github.push(REPOSITORY, "First", &files()).unwrap();
        bot.github.add_user("sam", UserKind::User);
        bot.run().await;
        let (fork, _) = bot.github.fork(REPOSITORY, "sam").await.unwrap();
        bot.github.push_to(&fork, "sam", "idea", "Idea", &[("idea", Some("x\n".into()))]).await.unwrap();
        let new = NewPull { maintainer_can_modify: modify, ..NewPull::of("sam:idea", "Idea") };
        let (there, _) = bot.github.open_pull(REPOSITORY, "sam", &new).await.unwrap();
        let answer = lands(&bot, &there, "echo y > idea", "Better").await;
        let head = bot.github.world(|world| world.file(&fork, "idea", "idea")).unwrap();
        assert_eq!(head == "y\n", pushed, "{expects:?} {modify}: {answer}");
        assert_eq!(answer.contains("changes.patch"), !pushed, "{expects:?} {modify}: {answer}");
        assert!(pushed || answer.contains("fork"), "{answer}");
        bot.finish().await;
    }
}

#[tokio::test]
async fn a_repository_that_wants_no_pull_requests_gets_a_patch() {
    let text = "[pull_request]\nmode = \"none\"\n";
    let wanted = RepositoryFile::parse(text.as_bytes()).pull_request.mode;
    let (bot, issue) = begin_with(&[files(), vec![(".github/threadbox.toml", text.into())]].concat()).await;
    let answer = lands(&bot, &issue, "echo more > more", "More").await;
    let patched = answer.contains("changes.patch") && answer.contains("wants no pull requests");
    assert_eq!((patched, pulls(&bot).is_empty()), (wanted == PullRequestMode::None, patched), "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn a_default_branch_that_moved_does_not_matter() {
    let (bot, issue) = begin().await;
    bot.model.script([call("runCommand", json!({ "command": "echo mine > mine" })), say("Changed.")]);
    bot.asks(&issue, "@threadbox change it").await;
    bot.github.push_to(REPOSITORY, "maya", "main", "Meanwhile", &[("theirs", Some("x".into()))]).await.unwrap();
    bot.model.script([say("Landing.")]);
    bot.asks(&issue, "@threadbox pr").await;
    let pull = one_pull(&bot);
    let changed: Vec<&str> = pull.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!((changed, pull.mergeable), (vec!["mine"], true));
    bot.finish().await;
}

#[tokio::test]
async fn a_closed_pull_request_of_a_fork_gets_no_branch_here() {
    let (bot, _) = begin().await;
    bot.github.add_user("sam", UserKind::User);
    let (fork, _) = bot.github.fork(REPOSITORY, "sam").await.unwrap();
    bot.github.push_to(&fork, "sam", "idea", "Idea", &[("idea", Some("x\n".into()))]).await.unwrap();
    let (there, _) = bot.github.open_pull(REPOSITORY, "sam", &NewPull::of("sam:idea", "Idea")).await.unwrap();
    bot.github.close_issue(&there, "maya").await.unwrap();
    let answer = lands(&bot, &there, "echo y > idea", "Better").await;
    assert!(answer.contains("comes from a fork and is closed") && answer.contains("changes.patch"), "{answer}");
    assert_eq!((branches(&bot), pulls(&bot).len()), (vec!["main".to_owned()], 1));
    bot.finish().await;
}

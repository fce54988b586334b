//! What people do, and the webhooks it sends.

use serde_json::json;
use threadbox::standin::github::{MergeMethod, NewPull, Options};

use super::{REPO, Stage};

#[tokio::test]
async fn a_pull_request_lives_with_its_webhooks() {
    let stage = Stage::app().await;
    let github = &stage.github;
    let (one, sent) = github.push_to(REPO, "maya", "work", "One", &[("x.txt", Some("x\n".into()))]).await.unwrap();
    assert_eq!(sent.len(), 2);
    let (pull, _) = github.open_pull(REPO, "maya", &NewPull { draft: true, ..NewPull::of("work", "Work") }).await.unwrap();
    let (two, _) = github.push_to(REPO, "maya", "work", "Two", &[("y.txt", Some("y\n".into()))]).await.unwrap();
    let push = stage.last("push");
    assert_eq!(
        (push["ref"].as_str(), push["before"].as_str(), push["after"].as_str()),
        (Some("refs/heads/work"), Some(one.as_str()), Some(two.as_str()))
    );
    assert_eq!((push["commits"][0]["added"].clone(), push["pusher"]["name"].as_str()), (json!(["y.txt"]), Some("maya")));
    let (three, _) = github.force_push(REPO, "maya", "work", "main", "Three", &[("z.txt", Some("z\n".into()))]).await.unwrap();
    let view = github.world(|world| world.pull(&pull)).unwrap();
    assert_eq!((view.head_sha.as_str(), view.commits.len(), view.draft), (three.as_str(), 1, true));
    github.set_draft(&pull, "maya", false).await.unwrap();
    github.reword(&pull, "maya", Some("Better work"), Some("Text")).await.unwrap();
    assert_eq!(stage.last("pull_request")["changes"], json!({"title": {"from": "Work"}, "body": {"from": ""}}));
    assert!(github.reword(&pull, "maya", Some("Better work"), None).await.unwrap().is_empty());
    github.add_label(&pull, "maya", "threadbox").await.unwrap();
    github.remove_label(&pull, "maya", "threadbox").await.unwrap();
    github.request_review(&pull, "maya", "threadbox[bot]").await.unwrap();
    assert_eq!(stage.last("pull_request")["requested_reviewer"]["login"], "threadbox[bot]");
    github.close(&pull, "maya").await.unwrap();
    github.reopen(&pull, "maya").await.unwrap();
    let (merged, _) = github.merge_pull(&pull, "wes", MergeMethod::Merge).await.unwrap();
    let closed = stage.last("pull_request");
    assert_eq!(
        (closed["pull_request"]["merged"].as_bool(), closed["pull_request"]["merge_commit_sha"].as_str()),
        (Some(true), Some(merged.as_str()))
    );
    let view = github.world(|world| world.pull(&pull)).unwrap();
    assert_eq!((view.merged_by.as_deref(), view.commits.len(), view.files.len()), (Some("wes"), 1, 1));
    assert_eq!(github.world(|world| world.commit(REPO, "main")).unwrap().parents, [stage.first.clone(), three]);
    insta::assert_snapshot!(stage.events().join(" "), @"create push pull_request.opened push pull_request.synchronize push pull_request.synchronize pull_request.ready_for_review pull_request.edited pull_request.labeled pull_request.unlabeled pull_request.review_requested pull_request.closed pull_request.reopened push pull_request.closed");
}

#[tokio::test]
async fn commits_that_reach_the_base_merge_and_branches_that_go_close() {
    let stage = Stage::app().await;
    let github = &stage.github;
    let (head, _) = github.push_to(REPO, "maya", "work", "One", &[("x.txt", Some("x\n".into()))]).await.unwrap();
    let (pull, _) = github.open_pull(REPO, "maya", &NewPull::of("work", "Work")).await.unwrap();
    github.create_branch(REPO, "maya", "main", &head).await.unwrap();
    let view = github.world(|world| world.pull(&pull)).unwrap();
    assert_eq!((view.merged_at.is_some(), view.commits.len(), view.base_sha.as_str()), (true, 1, stage.first.as_str()));
    github.push_to(REPO, "maya", "more", "Two", &[("y.txt", Some("y\n".into()))]).await.unwrap();
    let (pull, _) = github.open_pull(REPO, "maya", &NewPull::of("more", "More")).await.unwrap();
    github.delete_branch(REPO, "maya", "more").await.unwrap();
    let view = github.world(|world| world.pull(&pull)).unwrap();
    assert_eq!((view.merged_at, view.issue.open, view.commits.len()), (None, false, 1));
}

#[tokio::test]
async fn issues_are_labelled_and_reworded() {
    let stage = Stage::app().await;
    let (issue, _) = stage.github.open_issue(REPO, "maya", "It breaks", "See.").await.unwrap();
    stage.github.add_label(&issue, "maya", "threadbox").await.unwrap();
    let labeled = stage.last("issues");
    assert_eq!(
        (labeled["label"]["name"].as_str(), labeled["issue"]["labels"][0]["name"].as_str()),
        (Some("threadbox"), Some("threadbox"))
    );
    stage.github.reword(&issue, "maya", None, Some("See @threadbox.")).await.unwrap();
    assert_eq!(stage.last("issues")["changes"]["body"]["from"], "See.");
    stage.github.close(&issue, "maya").await.unwrap();
    stage.github.reopen(&issue, "maya").await.unwrap();
    assert_eq!(stage.events(), ["issues.opened", "issues.labeled", "issues.edited", "issues.closed", "issues.reopened"]);
}

#[tokio::test]
async fn repositories_move_and_keep_their_numbers() {
    let stage = Stage::app().await;
    let (_, before) = stage.get("~").await;
    assert_eq!((before["default_branch"].as_str(), before["permissions"]["push"].as_bool()), (Some("main"), Some(true)));
    stage.github.rename_repository(REPO, "maya", "shuttle").await.unwrap();
    assert_eq!(stage.last("repository")["changes"]["repository"]["name"]["from"], "rocket");
    let (_, now) = stage.get("~").await;
    assert_eq!((now["full_name"].as_str(), now["id"].as_i64()), (Some("acme/shuttle"), before["id"].as_i64()));
    assert!(stage.github.transfer("acme/shuttle", "maya", "elsewhere").await.unwrap().is_empty());
    stage.github.install("elsewhere");
    stage.github.transfer("elsewhere/shuttle", "maya", "acme").await.unwrap();
    assert_eq!(stage.github.transfer("acme/shuttle", "maya", "elsewhere").await.unwrap().len(), 1);
    assert_eq!(stage.last("repository")["changes"]["owner"]["from"]["organization"]["login"], "acme");
    stage.github.archive("elsewhere/shuttle", "maya").await.unwrap();
    assert_eq!(stage.events(), ["repository.renamed", "repository.transferred", "repository.transferred", "repository.archived"]);
}

#[tokio::test]
async fn what_we_do_ourselves_comes_back_unless_told_otherwise() {
    let quiet = Stage::with(Options { echo: false, ..Options::default() }).await;
    quiet.branch("work", &[("x", "y")]).await;
    assert!(quiet.events().is_empty());
    assert_eq!(quiet.github.world(|world| world.branches(REPO)).len(), 2);
}

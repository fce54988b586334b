//! References, branches, comparisons, and who may change them.

use reqwest::Method;
use serde_json::json;
use threadbox::settings::Permission;
use threadbox::standin::github::Visibility;

use super::{REPO, Stage, message};

#[tokio::test]
async fn branches_are_made_moved_and_deleted() {
    let stage = Stage::app().await;
    let sha = stage.branch("feature/one", &[("new.txt", "new\n")]).await;
    let (_, found) = stage.get("~/git/ref/heads/feature/one").await;
    assert_eq!((found["ref"].as_str(), found["object"]["sha"].as_str()), (Some("refs/heads/feature/one"), Some(sha.as_str())));
    assert_eq!(stage.get("~/git/ref/heads/feature").await.0, 404);
    assert_eq!(stage.get("~/git/matching-refs/heads/feature").await.1.as_array().map(Vec::len), Some(1));
    let (_, branch) = stage.get("~/branches/feature/one").await;
    assert_eq!((branch["commit"]["sha"].as_str(), branch["protected"].as_bool()), (Some(sha.as_str()), Some(false)));
    assert_eq!(message(&stage.get("~/branches/none").await), (404, "Branch not found"));

    let create = |name: &str, sha: &str| stage.post("~/git/refs", json!({"ref": name, "sha": sha}));
    assert_eq!(message(&create("refs/heads/feature/one", &sha).await), (422, "Reference already exists"));
    assert_eq!(message(&create("refs/heads/feature", &sha).await), (422, "Reference update failed"));
    assert_eq!(message(&create("refs/heads/x", &"b".repeat(40)).await), (422, "Object does not exist"));
    assert_eq!(create("heads/x", &sha).await.0, 422);
    assert_eq!(create("refs/heads/a..b", &sha).await.0, 422);

    let move_to = |sha: &str, force: bool| {
        stage.ask(Method::PATCH, "~/git/refs/heads/feature/one", Some(json!({"sha": sha, "force": force})))
    };
    let next = stage.commit(&sha, &[("new.txt", "newer\n")]).await;
    assert_eq!(move_to(&next, false).await.0, 200);
    let other = stage.commit(&stage.first, &[("other.txt", "x")]).await;
    assert_eq!(message(&move_to(&other, false).await), (422, "Update is not a fast forward"));
    assert_eq!(move_to(&other, true).await.0, 200);
    assert!(stage.last("push")["forced"].as_bool().unwrap());
    let missing = stage.ask(Method::PATCH, "~/git/refs/heads/none", Some(json!({"sha": sha}))).await;
    assert_eq!(message(&missing), (422, "Reference does not exist"));
    assert_eq!(stage.ask(Method::DELETE, "~/git/refs/heads/feature/one", None).await.0, 204);
    let again = stage.ask(Method::DELETE, "~/git/refs/heads/feature/one", None).await;
    assert_eq!(message(&again), (422, "Reference does not exist"));
    assert_eq!(stage.events(), ["create", "push", "push", "push", "push", "delete"]);
    assert_eq!(stage.last("push")["sender"]["login"], "threadbox[bot]");
}

#[tokio::test]
async fn what_is_not_granted_is_refused() {
    let mut stage = Stage::app().await;
    let workflow = stage.commit(&stage.first, &[(".github/workflows/ci.yml", "on: push\n")]).await;
    let create = json!({"ref": "refs/heads/ci", "sha": workflow});
    let answer = stage.post("~/git/refs", create.clone()).await;
    assert_eq!(message(&answer), (403, "Resource not accessible by integration"));
    stage.github.grant("workflows", Some("write"));
    stage.token = stage.mint("acme", json!({})).await;
    assert_eq!(stage.post("~/git/refs", create).await.0, 201);
    // A workflow that is there may go along.
    stage.token = stage.mint("acme", json!({"permissions": {"contents": "write"}})).await;
    let upon = stage.commit(&workflow, &[("x", "y")]).await;
    assert_eq!(stage.post("~/git/refs", json!({"ref": "refs/heads/more", "sha": upon})).await.0, 201);

    stage.github.protect_branch(REPO, "main", true).unwrap();
    let answer = stage.ask(Method::PATCH, "~/git/refs/heads/main", Some(json!({"sha": workflow}))).await;
    assert!(answer.0 == 422 && answer.1["message"].as_str().unwrap().contains("through a pull request"), "{answer:?}");
    assert_eq!(stage.get("~/branches/main").await.1["protected"], true);

    stage.token = stage.mint("acme", json!({"permissions": {"contents": "read"}})).await;
    let answer = stage.post("~/git/blobs", json!({"content": "x"})).await;
    assert_eq!(message(&answer), (403, "Resource not accessible by integration"));
    stage.github.archive(REPO, "maya").await.unwrap();
    stage.token = stage.mint("acme", json!({})).await;
    let answer = stage.post("~/git/blobs", json!({"content": "x"})).await;
    assert_eq!(message(&answer), (403, "Repository was archived so is read-only."));
    stage.github.add_repository("acme/empty", Visibility::Private);
    let answer = stage.post("/repos/acme/empty/git/blobs", json!({"content": "x"})).await;
    assert_eq!(message(&answer), (409, "Git Repository is empty."));
}

#[tokio::test]
async fn an_account_needs_to_be_let_in() {
    let stage = Stage::account().await;
    stage.github.set_permission(REPO, "threadbox", Permission::Read).unwrap();
    assert_eq!(stage.post("~/git/blobs", json!({"content": "x"})).await.0, 404);
    stage.github.set_permission(REPO, "threadbox", Permission::Write).unwrap();
    assert_eq!(stage.post("~/git/blobs", json!({"content": "x"})).await.0, 201);
}

#[tokio::test]
async fn commits_are_compared_from_where_they_parted() {
    let stage = Stage::app().await;
    let head = stage.branch("work", &[("src/main.py", "print('ho')\n"), ("new.txt", "1\n2\n")]).await;
    stage.github.push_to(REPO, "maya", "main", "Meanwhile", &[("other.txt", Some("x\n".into()))]).await.unwrap();
    let (_, compared) = stage.get("~/compare/main...work").await;
    let numbers = ["ahead_by", "behind_by", "total_commits"].map(|name| compared[name].as_i64().unwrap());
    assert_eq!((compared["status"].as_str(), numbers), (Some("diverged"), [1, 1, 1]));
    assert_eq!(compared["merge_base_commit"]["sha"], stage.first.as_str());
    let files: Vec<_> = compared["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["filename"].as_str().unwrap(), file["status"].as_str().unwrap()))
        .collect();
    assert_eq!(files, [("new.txt", "added"), ("src/main.py", "modified")]);
    assert_eq!(compared["files"][1]["patch"], "@@ -1 +1 @@\n-print('hi')\n+print('ho')");
    let (_, log) = stage.get(&format!("~/commits?sha={head}")).await;
    let log: Vec<_> = log.as_array().unwrap().iter().map(|commit| commit["commit"]["message"].as_str().unwrap()).collect();
    assert_eq!(log, ["Ours", "First"]);
    let (_, one) = stage.get("~/commits/work").await;
    assert_eq!(one["stats"], json!({"additions": 3, "deletions": 1, "total": 4}));
    assert_eq!(stage.get("~/compare/main...none").await.0, 404);
}

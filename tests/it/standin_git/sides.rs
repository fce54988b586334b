//! Forks: who may write where.

use reqwest::Method;
use serde_json::json;
use threadbox::settings::Permission;
use threadbox::standin::github::{NewPull, UserKind};

use super::{REPO, Stage, error, message};

#[tokio::test]
async fn a_token_of_the_base_does_not_reach_a_fork() {
    let mut stage = Stage::app().await;
    let (fork, sent) = stage.github.fork(REPO, "sam").await.unwrap();
    assert_eq!((fork.as_str(), sent.len()), ("sam/rocket", 1));
    let (_, sent) = stage.github.push_to(&fork, "sam", "idea", "Idea", &[("idea.txt", Some("x\n".into()))]).await.unwrap();
    assert!(sent.is_empty(), "the App is not installed there");
    let (pull, sent) = stage.github.open_pull(REPO, "sam", &NewPull::of("sam:idea", "Idea")).await.unwrap();
    assert_eq!(sent.len(), 1);
    let (_, json) = stage.get("~/pulls/1").await;
    assert_eq!((json["head"]["repo"]["fork"].as_bool(), json["head"]["label"].as_str()), (Some(true), Some("sam:idea")));
    assert_eq!(json["maintainer_can_modify"], true);
    assert_eq!(stage.get("/repos/sam/rocket").await.1["parent"]["full_name"], REPO);
    assert_eq!(stage.get("~/git/ref/pull/1/head").await.1["object"]["sha"], json["head"]["sha"]);

    let head = json["head"]["sha"].as_str().unwrap().to_owned();
    let commit = stage.commit(&head, &[("ours.txt", "ours\n")]).await;
    let path = "/repos/sam/rocket/git/refs/heads/idea";
    let answer = stage.ask(Method::PATCH, path, Some(json!({"sha": commit}))).await;
    assert_eq!(message(&answer), (403, "Resource not accessible by integration"));
    stage.github.install("sam");
    stage.token = stage.mint("sam", json!({})).await;
    assert_eq!(stage.ask(Method::PATCH, path, Some(json!({"sha": commit}))).await.0, 200);
    assert_eq!(stage.github.world(|world| world.pull(&pull)).unwrap().head_sha, commit);
    assert_eq!(stage.last("pull_request")["action"], "synchronize");
}

#[tokio::test]
async fn only_who_owns_a_fork_lets_maintainers_in() {
    let stage = Stage::app().await;
    let (fork, _) = stage.github.fork(REPO, "sam").await.unwrap();
    stage.github.push_to(&fork, "sam", "idea", "Idea", &[("idea.txt", Some("x\n".into()))]).await.unwrap();
    let open = |modify: bool| {
        stage.post("~/pulls", json!({"head": "sam:idea", "base": "main", "title": "Idea", "maintainer_can_modify": modify}))
    };
    assert_eq!(error(&open(true).await), (422, "Fork collab can't be granted by someone without permission"));
    assert_eq!(open(false).await.0, 201);
}

#[tokio::test]
async fn an_account_that_maintains_the_base_may_push_where_it_was_let_in() {
    let stage = Stage::account().await;
    let (fork, _) = stage.github.fork(REPO, "sam").await.unwrap();
    let (head, _) = stage.github.push_to(&fork, "sam", "idea", "Idea", &[("idea.txt", Some("x\n".into()))]).await.unwrap();
    let closed = NewPull { maintainer_can_modify: false, ..NewPull::of("sam:idea", "Idea") };
    let (pull, _) = stage.github.open_pull(REPO, "sam", &closed).await.unwrap();
    let commit = stage.commit(&head, &[("ours.txt", "ours\n")]).await;
    let push = || stage.ask(Method::PATCH, "/repos/sam/rocket/git/refs/heads/idea", Some(json!({"sha": commit})));
    assert_eq!(push().await.0, 404);
    stage.github.close(&pull, "sam").await.unwrap();
    stage.github.open_pull(REPO, "sam", &NewPull::of("sam:idea", "Idea")).await.unwrap();
    assert_eq!(push().await.0, 200);
    let other = json!({"ref": "refs/heads/other", "sha": commit});
    assert_eq!(stage.post("/repos/sam/rocket/git/refs", other).await.0, 404);
    stage.github.set_permission(REPO, "threadbox", Permission::Read).unwrap();
    stage.github.add_user("ada", UserKind::User);
    assert_eq!(push().await.0, 404);
}

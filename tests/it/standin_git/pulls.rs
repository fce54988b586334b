//! Pull requests and issues over HTTP.

use reqwest::Method;
use serde_json::{Value, json};
use threadbox::standin::github::{MergeMethod, NewPull, Node};

use super::{REPO, Stage, error, message};

#[tokio::test]
async fn a_pull_request_is_opened_read_changed_and_follows_its_branch() {
    let stage = Stage::app().await;
    let head = stage.branch("work", &[("src/main.py", "print('ho')\n")]).await;
    let new = json!({"title": "Greet", "head": "work", "base": "main", "body": "Better.", "draft": true});
    let (status, pull) = stage.post("~/pulls", new).await;
    assert_eq!((status, pull["number"].as_i64(), pull["mergeable"].is_null()), (201, Some(1), true));
    assert_eq!((pull["head"]["label"].as_str(), pull["head"]["sha"].as_str()), (Some("acme:work"), Some(head.as_str())));
    assert_eq!(pull["user"]["login"], "threadbox[bot]");
    assert_eq!(pull["base"]["repo"]["full_name"], REPO);
    let (_, first) = stage.get("~/pulls/1").await;
    assert_eq!((first["mergeable_state"].as_str(), first["mergeable"].is_null()), (Some("unknown"), true));
    let (_, pull) = stage.get("~/pulls/1").await;
    assert_eq!((pull["mergeable_state"].as_str(), pull["mergeable"].as_bool()), (Some("draft"), Some(true)));
    let numbers = ["commits", "additions", "deletions", "changed_files"].map(|name| pull[name].as_i64().unwrap());
    assert_eq!(numbers, [1, 1, 1, 1]);
    let (_, issue) = stage.get("~/issues/1").await;
    assert_eq!((issue["draft"].as_bool(), issue["pull_request"]["url"].as_str()), (Some(true), pull["url"].as_str()));

    let next = stage.commit(&head, &[("more.txt", "x\n")]).await;
    stage.ask(Method::PATCH, "~/git/refs/heads/work", Some(json!({"sha": next}))).await;
    let synchronize = stage.last("pull_request");
    assert_eq!((synchronize["before"].as_str(), synchronize["after"].as_str()), (Some(head.as_str()), Some(next.as_str())));
    assert_eq!(synchronize["pull_request"]["commits"], 2);
    let (_, files) = stage.get("~/pulls/1/files").await;
    let names: Vec<_> = files.as_array().unwrap().iter().map(|file| file["filename"].as_str().unwrap()).collect();
    assert_eq!(names, ["more.txt", "src/main.py"]);
    let (_, commits) = stage.get("~/pulls/1/commits").await;
    let shas: Vec<_> = commits.as_array().unwrap().iter().map(|commit| commit["sha"].as_str().unwrap()).collect();
    assert_eq!(shas, [head.as_str(), next.as_str()]);

    let patch = |body: Value| stage.ask(Method::PATCH, "~/pulls/1", Some(body));
    assert_eq!(patch(json!({"title": "Greet better", "state": "closed"})).await.1["state"], "closed");
    assert_eq!(patch(json!({"state": "open"})).await.0, 200);
    assert_eq!(patch(json!({"base": "none"})).await.0, 422);
    assert_eq!(patch(json!({"body": "x".repeat(65_537)})).await.0, 422);
    assert_eq!(patch(json!({"body": "ö".repeat(65_536)})).await.0, 200);
    stage.github.delete_branch(REPO, "maya", "work").await.unwrap();
    let answer = patch(json!({"state": "open"})).await;
    assert_eq!(error(&answer), (422, "state cannot be changed. The work branch has been deleted."));
    let events = stage.events().join(" ");
    insta::assert_snapshot!(events, @"create push pull_request.opened push pull_request.synchronize pull_request.edited pull_request.closed pull_request.reopened pull_request.edited push delete pull_request.closed");
}

#[tokio::test]
async fn pull_requests_that_make_no_sense_are_refused() {
    let stage = Stage::app().await;
    stage.branch("work", &[("new.txt", "new\n")]).await;
    stage.github.create_branch(REPO, "maya", "same", "main").await.unwrap();
    let open = |head: &str, base: &str, title: &str| stage.post("~/pulls", json!({"head": head, "base": base, "title": title}));
    assert_eq!(open("work", "main", "One").await.0, 201);
    let mut told = Vec::new();
    for (head, base, title) in [
        ("work", "main", "Two"),
        ("same", "main", "None"),
        ("none", "main", "None"),
        ("nobody:work", "main", "None"),
        ("same", "none", "None"),
        ("same", "work", ""),
    ] {
        let answer = open(head, base, title).await;
        let first = &answer.1["errors"][0];
        told.push(format!("{} {} {} {}", answer.0, first["code"], first["field"], first["message"]));
    }
    insta::assert_snapshot!(told.join("\n"), @r#"
    422 "custom" null "A pull request already exists for acme:work."
    422 "custom" null "No commits between main and same"
    422 "invalid" "head" null
    422 "invalid" "head" null
    422 "invalid" "base" null
    422 "missing_field" "title" null
    "#);
    assert_eq!(open("same", "work", &"x".repeat(257)).await.0, 422);
    let mut reader = stage;
    reader.token = reader.mint("acme", json!({"permissions": {"contents": "write", "pull_requests": "read"}})).await;
    let answer = reader.post("~/pulls", json!({"head": "same", "base": "main", "title": "x"})).await;
    assert_eq!(message(&answer), (403, "Resource not accessible by integration"));
}

#[tokio::test]
async fn lists_know_heads_bases_states_and_labels() {
    let stage = Stage::app().await;
    stage.branch("one", &[("1.txt", "1\n")]).await;
    stage.branch("two", &[("2.txt", "2\n")]).await;
    let (issue, _) = stage.github.open_issue(REPO, "maya", "An issue", "Hm.").await.unwrap();
    for head in ["one", "two"] {
        stage.post("~/pulls", json!({"head": head, "base": "main", "title": head})).await;
    }
    let numbers = async |path: &str| {
        let (_, all) = stage.get(path).await;
        all.as_array().unwrap().iter().map(|one| one["number"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers("~/pulls").await, [3, 2]);
    assert_eq!(numbers("~/pulls?head=acme:one").await, [2]);
    assert_eq!(numbers("~/pulls?head=other:one").await, [0; 0]);
    assert_eq!(numbers("~/pulls?base=none").await, [0; 0]);
    stage.github.close_issue(&issue, "maya").await.unwrap();
    assert_eq!(numbers("~/issues").await, [3, 2]);
    assert_eq!(numbers("~/issues?state=all&direction=asc").await, [1, 2, 3]);
    let (_, labels) = stage.post("~/issues/2/labels", json!({"labels": ["Threadbox", "bug"]})).await;
    assert_eq!(labels[0]["name"], "Threadbox");
    assert_eq!(stage.last("pull_request")["label"]["name"], "bug");
    assert_eq!(numbers("~/issues?labels=threadbox").await, [2]);
    assert_eq!(stage.ask(Method::DELETE, "~/issues/2/labels/bug", None).await.0, 200);
    let answer = stage.ask(Method::DELETE, "~/issues/2/labels/bug", None).await;
    assert_eq!(message(&answer), (404, "Label does not exist"));
    assert_eq!(stage.get("~/issues/2/labels").await.1.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn renames_modes_binaries_and_huge_files_are_told_as_such() {
    let stage = Stage::app().await;
    let moved = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nTEN\n";
    let huge: String = (0..20_001).map(|line| format!("{line}\n")).collect();
    let changes = [
        ("src/lib/deep.py", None),
        ("src/moved.py", Some(moved.into())),
        ("README.md", None),
        ("run.sh", Some("#!/bin/sh\n".into())),
        ("picture.png", Some(Node::from(vec![0, 1, 2]))),
        ("huge.txt", Some(huge.as_str().into())),
    ];
    stage.github.push_to(REPO, "maya", "work", "Much", &changes).await.unwrap();
    let (pull, _) = stage.github.open_pull(REPO, "maya", &NewPull::of("work", "Much")).await.unwrap();
    let (_, files) = stage.get(&format!("~/pulls/{}/files", pull.number)).await;
    let told: Vec<String> = files
        .as_array()
        .unwrap()
        .iter()
        .map(|file| {
            let patch = file["patch"].as_str().map(|patch| patch.len());
            format!(
                "{} {} {} +{} -{} {patch:?}",
                file["filename"], file["status"], file["previous_filename"], file["additions"], file["deletions"]
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    "README.md" "removed" null +0 -1 Some(23)
    "huge.txt" "added" null +20001 -0 None
    "picture.png" "added" null +0 -0 None
    "run.sh" "changed" null +0 -0 None
    "src/moved.py" "renamed" "src/lib/deep.py" +1 -1 Some(49)
    "#);
}

#[tokio::test]
async fn many_files_come_in_pages() {
    let stage = Stage::app().await;
    let names: Vec<String> = (0..3_010).map(|n| format!("many/{n:04}.txt")).collect();
    let changes: Vec<(&str, Option<Node>)> = names.iter().map(|name| (name.as_str(), Some("x\n".into()))).collect();
    stage.github.push_to(REPO, "maya", "work", "Many", &changes).await.unwrap();
    stage.github.open_pull(REPO, "maya", &NewPull::of("work", "Many")).await.unwrap();
    let (_, page) = stage.get("~/pulls/1/files?per_page=200").await;
    assert_eq!(page.as_array().map(Vec::len), Some(100));
    let (_, last) = stage.get("~/pulls/1/files?per_page=100&page=30").await;
    assert_eq!(last.as_array().map(Vec::len), Some(100));
    let (_, beyond) = stage.get("~/pulls/1/files?per_page=100&page=31").await;
    assert_eq!(beyond, json!([]));
}

#[tokio::test]
async fn conflicts_cannot_be_merged_and_changes_side_by_side_can() {
    let stage = Stage::app().await;
    let deep = |line: &str, with: &str| {
        "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n".replace(&format!("{line}\n"), &format!("{with}\n"))
    };
    stage.branch("beside", &[("src/lib/deep.py", &deep("two", "TWO"))]).await;
    stage.branch("against", &[("src/lib/deep.py", &deep("nine", "NEUN"))]).await;
    stage
        .github
        .push_to(REPO, "maya", "main", "Nine", &[("src/lib/deep.py", Some(deep("nine", "NINE").as_str().into()))])
        .await
        .unwrap();
    for head in ["beside", "against"] {
        stage.post("~/pulls", json!({"head": head, "base": "main", "title": head})).await;
    }
    let mut states = Vec::new();
    for number in [1, 2] {
        stage.get(&format!("~/pulls/{number}")).await;
        let (_, pull) = stage.get(&format!("~/pulls/{number}")).await;
        states.push((pull["mergeable"].as_bool(), pull["mergeable_state"].as_str().unwrap().to_owned()));
    }
    assert_eq!(states, [(Some(true), "clean".to_owned()), (Some(false), "dirty".to_owned())]);
    let merge = |number: i64, body: Value| {
        stage.ask(Method::PUT, Box::leak(format!("~/pulls/{number}/merge").into_boxed_str()), Some(body))
    };
    assert_eq!(message(&merge(2, json!({})).await), (405, "Pull Request is not mergeable"));
    assert_eq!(merge(1, json!({"sha": "b".repeat(40)})).await.0, 409);
    let (status, merged) = merge(1, json!({})).await;
    assert_eq!((status, merged["merged"].as_bool()), (200, Some(true)));
    assert_eq!(stage.get("~/pulls/1/merge").await.0, 204);
    let text = stage.github.world(|world| world.file(REPO, "main", "src/lib/deep.py")).unwrap();
    assert_eq!(text, deep("two", "TWO").replace("nine", "NINE"));
    let (_, pull) = stage.get("~/pulls/1").await;
    assert_eq!(
        (pull["merged"].as_bool(), pull["commits"].as_i64(), pull["state"].as_str()),
        (Some(true), Some(1), Some("closed"))
    );
    assert_eq!(stage.get("~/pulls/2/merge").await.0, 404);
}

#[tokio::test]
async fn reviews_are_asked_of_collaborators_and_not_of_the_author() {
    let stage = Stage::app().await;
    stage.github.push_to(REPO, "maya", "work", "Work", &[("x.txt", Some("x\n".into()))]).await.unwrap();
    let (pull, _) = stage.github.open_pull(REPO, "maya", &NewPull::of("work", "Work")).await.unwrap();
    stage.github.add_user("sam", threadbox::standin::github::UserKind::User);
    let ask = |login: &str| stage.post("~/pulls/1/requested_reviewers", json!({"reviewers": [login]}));
    assert_eq!(message(&ask("maya").await), (422, "Review cannot be requested from pull request author."));
    assert_eq!(ask("sam").await.0, 422);
    let (status, asked) = ask("wes").await;
    assert_eq!((status, asked["requested_reviewers"][0]["login"].as_str()), (201, Some("wes")));
    assert_eq!(stage.last("pull_request")["requested_reviewer"]["login"], "wes");
    let (_, all) = stage.get("~/pulls/1/requested_reviewers").await;
    assert_eq!(all["users"][0]["login"], "wes");
    let (_, sent) = stage.github.merge_pull(&pull, "wes", MergeMethod::Squash).await.unwrap();
    assert_eq!(sent.len(), 2);
}

//! Blobs, trees, commits, contents.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::json;

use super::{Stage, message};

#[tokio::test]
async fn objects_have_the_ids_git_gives_them() {
    let stage = Stage::app().await;
    let (status, blob) = stage.post("~/git/blobs", json!({"content": "hello\n"})).await;
    assert_eq!((status, blob["sha"].as_str()), (201, Some("ce013625030ba8dba906f756967f9e9ca394464a")));
    let binary = STANDARD.encode([0, 159, 146, 150]);
    let (_, blob) = stage.post("~/git/blobs", json!({"content": binary, "encoding": "base64"})).await;
    let (_, read) = stage.get(&format!("~/git/blobs/{}", blob["sha"].as_str().unwrap())).await;
    assert_eq!((read["content"].as_str(), read["size"].as_i64()), (Some(format!("{binary}\n").as_str()), Some(4)));

    let entries = json!([
        {"path": "b/c/d.txt", "mode": "100755", "type": "blob", "content": "deep\n"},
        {"path": "b.txt", "mode": "100644", "type": "blob", "content": "text\n"},
        {"path": "link", "mode": "120000", "type": "blob", "content": "b.txt"},
    ]);
    let (status, tree) = stage.post("~/git/trees", json!({"tree": entries})).await;
    assert_eq!(status, 201);
    let listed: Vec<&str> = tree["tree"].as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap()).collect();
    assert_eq!(listed, ["b.txt", "b", "link"]);
    let wanted = json!({"message": "One\n\nTwo", "tree": tree["sha"], "parents": [stage.first],
        "author": {"name": "Ada", "email": "ada@example.com", "date": "2026-11-01T10:00:00+02:00"}});
    let (status, commit) = stage.post("~/git/commits", wanted).await;
    assert_eq!((status, commit["author"]["date"].as_str()), (201, Some("2026-11-01T08:00:00Z")));

    // What git itself makes of the same, where it is installed.
    let directory = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(directory.path());
        for (name, value) in [("AUTHOR", "Ada"), ("COMMITTER", "Ada")] {
            command.env(format!("GIT_{name}_NAME"), value).env(format!("GIT_{name}_EMAIL"), "ada@example.com");
            command.env(format!("GIT_{name}_DATE"), "1793520000 +0200");
        }
        let output = command.output().ok()?;
        Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    };
    if git(&["init", "-q"]).is_none() {
        assert_eq!(tree["sha"].as_str().unwrap().len(), 40);
        return;
    }
    std::fs::create_dir_all(directory.path().join("b/c")).unwrap();
    std::fs::write(directory.path().join("b/c/d.txt"), "deep\n").unwrap();
    std::fs::write(directory.path().join("b.txt"), "text\n").unwrap();
    std::os::unix::fs::symlink("b.txt", directory.path().join("link")).unwrap();
    git(&["add", "-A"]);
    git(&["update-index", "--chmod=+x", "b/c/d.txt"]);
    assert_eq!(git(&["write-tree"]).as_deref(), tree["sha"].as_str());
    let object = format!(
        "tree {}\nparent {}\nauthor Ada <ada@example.com> 1793520000 +0200\ncommitter Ada <ada@example.com> 1793520000 +0200\n\nOne\n\nTwo",
        tree["sha"].as_str().unwrap(),
        stage.first
    );
    std::fs::write(directory.path().join("commit"), object).unwrap();
    assert_eq!(git(&["hash-object", "-t", "commit", "commit"]).as_deref(), commit["sha"].as_str());
}

#[tokio::test]
async fn trees_build_on_others_delete_and_object() {
    let stage = Stage::app().await;
    let submodule = "a".repeat(40);
    let entries = json!([
        {"path": "src/lib", "mode": "100644", "type": "blob", "sha": null},
        {"path": "vendor", "mode": "160000", "type": "commit", "sha": submodule},
        {"path": "README.md/inside", "mode": "100644", "type": "blob", "content": "x"},
    ]);
    let (status, tree) = stage.post("~/git/trees", json!({"base_tree": stage.first, "tree": entries})).await;
    assert_eq!(status, 201, "{tree}");
    let (_, all) = stage.get(&format!("~/git/trees/{}?recursive=1", tree["sha"].as_str().unwrap())).await;
    let all: Vec<String> = all["tree"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            format!("{} {} {}", entry["mode"].as_str().unwrap(), entry["type"].as_str().unwrap(), entry["path"].as_str().unwrap())
        })
        .collect();
    insta::assert_snapshot!(all.join("\n"), @"
    040000 tree README.md
    100644 blob README.md/inside
    120000 blob link
    100755 blob run.sh
    040000 tree src
    100644 blob src/main.py
    160000 commit vendor
    ");
    let nothing = "b".repeat(40);
    let mut told = Vec::new();
    for entry in [
        json!({"path": "x", "mode": "100600", "type": "blob", "content": "x"}),
        json!({"path": "x", "mode": "100644", "type": "blob", "sha": nothing}),
        json!({"path": "a/../x", "mode": "100644", "type": "blob", "content": "x"}),
        json!({"path": "/x", "mode": "100644", "type": "blob", "content": "x"}),
        json!({"path": ".git/x", "mode": "100644", "type": "blob", "content": "x"}),
        json!({"path": "x", "mode": "100644", "type": "blob"}),
        json!({"path": "not/there", "mode": "100644", "type": "blob", "sha": null}),
    ] {
        let answer = stage.post("~/git/trees", json!({"base_tree": stage.first, "tree": [entry]})).await;
        let (status, message) = message(&answer);
        told.push(format!("{status} {message}"));
    }
    insta::assert_snapshot!(told.join("\n"), @"
    422 Must supply a valid tree.mode
    422 tree.sha bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb is not a valid blob
    422 tree.path contains a malformed path component
    422 tree.path contains a malformed path component
    422 tree.path contains a malformed path component
    422 Must supply either tree.sha or tree.content
    422 GitRPC::BadObjectState
    ");
    let answer =
        stage.post("~/git/trees", json!({"base_tree": nothing, "tree": [{"path": "x", "mode": "100644", "content": "x"}]})).await;
    assert_eq!(answer.0, 404);
    stage.github.limit_trees(2);
    let (_, cut) = stage.get("~/git/trees/main?recursive=1").await;
    assert_eq!((cut["truncated"].as_bool(), cut["tree"].as_array().map(Vec::len)), (Some(true), Some(2)));
}

#[tokio::test]
async fn commits_without_names_are_the_bots_and_signed() {
    let stage = Stage::app().await;
    let (_, tree) = stage.get("~/git/trees/main").await;
    let (status, commit) =
        stage.post("~/git/commits", json!({"message": "m", "tree": tree["sha"], "parents": [stage.first]})).await;
    assert_eq!(status, 201);
    assert_eq!(
        (commit["verification"]["verified"].as_bool(), commit["verification"]["reason"].as_str()),
        (Some(true), Some("valid"))
    );
    assert_eq!(commit["author"]["name"], "threadbox[bot]");
    assert_eq!(commit["committer"]["email"], "noreply@github.com");
    let (_, full) = stage.get(&format!("~/commits/{}", commit["sha"].as_str().unwrap())).await;
    assert_eq!(
        (full["author"]["login"].as_str(), full["committer"]["login"].as_str()),
        (Some("threadbox[bot]"), Some("web-flow"))
    );
    let named = json!({"message": "m", "tree": tree["sha"], "parents": [], "author": {"name": "Ada", "email": "a@example.com"}});
    let (_, commit) = stage.post("~/git/commits", named).await;
    assert_eq!(
        (commit["verification"]["reason"].as_str(), commit["committer"]["name"].as_str()),
        (Some("unsigned"), Some("Ada"))
    );
    let nothing = "b".repeat(40);
    let answer = stage.post("~/git/commits", json!({"message": "m", "tree": nothing, "parents": []})).await;
    assert_eq!(message(&answer), (422, "Tree SHA does not exist"));
    let answer = stage.post("~/git/commits", json!({"message": "m", "tree": tree["sha"], "parents": [nothing]})).await;
    assert_eq!(message(&answer), (422, "Parent SHA does not exist or is not a commit object"));

    let account = Stage::account().await;
    let (_, commit) =
        account.post("~/git/commits", json!({"message": "m", "tree": tree["sha"], "parents": [account.first]})).await;
    assert_eq!(
        (commit["author"]["name"].as_str(), commit["verification"]["verified"].as_bool()),
        (Some("threadbox"), Some(false))
    );
}

#[tokio::test]
async fn contents_are_files_directories_links_and_puts() {
    let stage = Stage::app().await;
    let (_, file) = stage.get("~/contents/src/main.py").await;
    assert_eq!((file["type"].as_str(), file["content"].as_str()), (Some("file"), Some("cHJpbnQoJ2hpJykK\n")));
    let (_, top) = stage.get("~/contents/").await;
    let kinds: Vec<_> =
        top.as_array().unwrap().iter().map(|e| (e["name"].as_str().unwrap(), e["type"].as_str().unwrap())).collect();
    assert_eq!(kinds, [("README.md", "file"), ("link", "symlink"), ("run.sh", "file"), ("src", "dir")]);
    let (_, link) = stage.get("~/contents/link").await;
    assert_eq!((link["type"].as_str(), link["path"].as_str()), (Some("file"), Some("link")));
    assert_eq!(stage.get("~/contents/none").await.0, 404);
    assert_eq!(stage.get("~/contents/README.md?ref=none").await.0, 404);
    let raw = stage
        .request(Method::GET, "~/contents/README.md")
        .header("accept", "application/vnd.github.raw+json")
        .send()
        .await
        .unwrap();
    assert_eq!(raw.text().await.unwrap(), "# Rocket\n");

    let put = |body| stage.ask(Method::PUT, "~/contents/README.md", Some(body));
    let content = STANDARD.encode("# Other\n");
    let answer = put(json!({"message": "m", "content": content})).await;
    assert_eq!(answer.0, 422, "{answer:?}");
    assert_eq!(put(json!({"message": "m", "content": content, "sha": "b".repeat(40)})).await.0, 409);
    let sha = stage.github.world(|world| world.tree(super::REPO, "main").unwrap()["README.md"].sha.clone());
    let (status, put) = put(json!({"message": "m", "content": content, "sha": sha})).await;
    assert_eq!((status, put["commit"]["verification"]["verified"].as_bool()), (200, Some(true)));
    assert_eq!(stage.github.world(|world| world.file(super::REPO, "main", "README.md")).as_deref(), Some("# Other\n"));
    assert_eq!(stage.events(), ["push"]);
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_and_not_counted() {
    let stage = Stage::app().await;
    stage.github.limit_requests(Some(3));
    let first = stage.request(Method::GET, "~/contents/README.md").send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    for _ in 0..4 {
        let again = stage.request(Method::GET, "~/contents/README.md").header("if-none-match", tag.clone()).send().await.unwrap();
        assert_eq!((again.status().as_u16(), again.headers()["x-ratelimit-remaining"].to_str().unwrap()), (304, "2"));
        assert_eq!(again.text().await.unwrap(), "");
    }
    stage.github.push(super::REPO, "Second", &[("README.md", "other".into())]).unwrap();
    let again = stage.request(Method::GET, "~/contents/README.md").header("if-none-match", tag).send().await.unwrap();
    assert_eq!((again.status().as_u16(), again.headers()["x-ratelimit-remaining"].to_str().unwrap()), (200, "1"));
    assert_eq!((stage.get("~").await.0, stage.get("~").await.0), (200, 403));
}

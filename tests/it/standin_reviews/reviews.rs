//! Reviews, comments and their places.

use serde_json::{Value, json};
use threadbox::settings::Permission;
use threadbox::standin::github::{NewComment, ReviewState, Side};

use super::{REPO, Stage, numbered, reworded};

fn errors(answer: &Value) -> Vec<&str> {
    answer["errors"].as_array().unwrap().iter().map(|error| error.as_str().or(error["message"].as_str()).unwrap()).collect()
}

#[tokio::test]
async fn a_review_comes_with_all_its_comments_or_not_at_all() {
    let stage = Stage::new().await;
    let comments = json!([
        {"path": "src/lib.rs", "line": 10, "side": "RIGHT", "body": "ten"},
        {"path": "src/lib.rs", "line": 30, "side": "LEFT", "body": "gone"},
        {"path": "src/lib.rs", "start_line": 8, "line": 13, "side": "RIGHT", "body": "all of it"},
        {"path": "new.txt", "position": 2, "body": "by position"},
    ]);
    let (status, review) = stage.review("COMMENT", comments.clone()).await;
    assert_eq!((status, &review["state"], &review["commit_id"]), (200, &json!("COMMENTED"), &json!(stage.head)), "{review}");
    let listed = stage.get("/pulls/1/comments").await;
    let shown: Vec<Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|c| json!([c["side"], c["start_line"], c["line"], c["position"], c["original_line"], c["subject_type"]]))
        .collect();
    assert_eq!(
        json!(shown),
        json!([
            ["RIGHT", null, 10, 5, 10, "line"],
            ["LEFT", null, 30, 13, 30, "line"],
            ["RIGHT", 8, 13, 8, 13, "line"],
            ["RIGHT", null, 2, 2, 2, "line"]
        ])
    );
    assert_eq!(listed[0]["diff_hunk"], "@@ -7,7 +7,7 @@ line 6\n line 7\n line 8\n line 9\n-line 10\n+line ten");
    assert_eq!(stage.get(&format!("/pulls/1/reviews/{}/comments", review["id"])).await, listed);
    assert_eq!(stage.get("/pulls/comments").await, listed);
    let last: Vec<String> = stage.events().into_iter().rev().take(5).collect();
    assert_eq!(last[4], "pull_request_review.submitted");
    assert!(last[..4].iter().all(|event| event == "pull_request_review_comment.created"), "{last:?}");

    let mut spoilt = comments.as_array().unwrap().clone();
    spoilt.push(json!({"path": "src/lib.rs", "line": 20, "side": "RIGHT", "body": "between the hunks"}));
    let (status, answer) = stage.review("COMMENT", json!(spoilt)).await;
    assert_eq!((status, answer["message"].as_str()), (422, Some("Unprocessable Entity")), "{answer}");
    assert_eq!(errors(&answer), ["Line could not be resolved"]);
    assert_eq!(stage.get("/pulls/1/reviews").await.as_array().unwrap().len(), 1);
    assert_eq!(stage.get("/pulls/1/comments").await.as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn what_is_not_in_the_diff_is_refused() {
    let stage = Stage::new().await;
    let lib = |more: Value| {
        let mut comment = json!({"path": "src/lib.rs", "body": "x", "side": "RIGHT"});
        comment.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        comment
    };
    let order = "Pull request review thread start line must precede the end line.";
    let hunk = "Pull request review thread start line must be part of the same hunk as the line.";
    let line = "Line could not be resolved";
    for (comment, reason) in [
        (lib(json!({"line": 20})), line),
        (lib(json!({"line": 6})), line),
        (lib(json!({"line": 14})), line),
        (lib(json!({})), line),
        (lib(json!({"position": 400})), line),
        (lib(json!({"position": 9})), line),
        (lib(json!({"line": 10, "side": "BOTH"})), "Side is invalid"),
        (lib(json!({"line": 10, "start_line": 10})), order),
        (lib(json!({"line": 10, "start_line": 11})), order),
        (lib(json!({"line": 29, "start_line": 10})), hunk),
        (lib(json!({"line": 10, "start_line": 5})), hunk),
        (json!({"path": "same.txt", "line": 1, "side": "RIGHT", "body": "x"}), "Path could not be resolved"),
        (json!({"path": "nowhere.txt", "line": 1, "side": "RIGHT", "body": "x"}), "Path could not be resolved"),
        (json!({"path": "new.txt", "line": 1, "side": "LEFT", "body": "x"}), line),
        (lib(json!({"line": 10, "body": " "})), "Body can't be blank"),
        (lib(json!({"line": 10, "body": "x".repeat(65_537)})), "Body is too long (maximum is 65536 characters)"),
    ] {
        let (status, answer) = stage.review("COMMENT", json!([comment])).await;
        assert_eq!((status, errors(&answer)), (422, vec![reason]), "{comment}");
    }
    // The line a deletion left is on the left side alone; the line below moved up on the right.
    let fine = json!([lib(json!({"line": 29, "start_line": 27})), lib(json!({"line": 10, "body": "x".repeat(65_536)}))]);
    assert_eq!(stage.review("COMMENT", fine).await.0, 200);
}

#[tokio::test]
async fn decisions_have_their_rules() {
    let stage = Stage::new().await;
    let send = |body: Value| stage.api("POST", "/pulls/1/reviews", body);
    for (body, reason) in [
        (json!({"event": "COMMENT"}), "Body can't be blank"),
        (json!({"event": "REQUEST_CHANGES", "body": " "}), "Body can't be blank"),
        (json!({"event": "COMMENT", "body": "x".repeat(65_537)}), "Body is too long (maximum is 65536 characters)"),
        (json!({"event": "COMMENT", "body": "x", "commit_id": "0".repeat(40)}), "The commit_id is not part of the pull request"),
    ] {
        let (status, answer) = send(body).await;
        assert_eq!((status, errors(&answer)), (422, vec![reason]));
    }
    assert_eq!(send(json!({"event": "SHRUG", "body": "x"})).await.0, 422);
    assert_eq!(send(json!({"event": "APPROVE"})).await.1["state"], "APPROVED");
    assert_eq!(stage.api("POST", "/pulls/9/reviews", json!({"event": "APPROVE"})).await.0, 404);
    let own = stage.github.review(&stage.pull, "maya", ReviewState::Approved, "", &[]).await;
    assert_eq!(own.unwrap_err().to_string(), "Can not approve your own pull request");
    let own = stage.github.review(&stage.pull, "maya", ReviewState::ChangesRequested, "no", &[]).await;
    assert_eq!(own.unwrap_err().to_string(), "Can not request changes on your own pull request");
}

#[tokio::test]
async fn a_pending_review_is_its_authors_alone_until_it_is_submitted() {
    let stage = Stage::new().await;
    let comments = json!([{"path": "new.txt", "line": 1, "side": "RIGHT", "body": "draft"}]);
    let (status, pending) = stage.api("POST", "/pulls/1/reviews", json!({"comments": comments})).await;
    assert_eq!((status, &pending["state"], pending.get("submitted_at")), (200, &json!("PENDING"), None));
    assert_eq!(stage.get("/pulls/1/comments").await, json!([]));
    let (_, second) = stage.review("COMMENT", json!([])).await;
    assert_eq!(errors(&second), ["User can only have one pending review per pull request"]);
    let place = format!("/pulls/1/reviews/{}", pending["id"]);
    let (status, sent) = stage.api("POST", &format!("{place}/events"), json!({"event": "REQUEST_CHANGES", "body": "Do."})).await;
    assert_eq!((status, &sent["state"], &sent["body"]), (200, &json!("CHANGES_REQUESTED"), &json!("Do.")), "{sent}");
    assert_eq!(stage.get("/pulls/1/comments").await[0]["body"], "draft");
    assert_eq!(stage.api("DELETE", &place, Value::Null).await.0, 422);
    assert_eq!(stage.api("PUT", &place, json!({"body": "Do it."})).await.1["body"], "Do it.");
    assert_eq!(stage.api("PUT", &format!("{place}/dismissals"), json!({"message": "done"})).await.1["state"], "DISMISSED");
    assert_eq!(stage.api("PUT", &format!("{place}/dismissals"), json!({"message": "done"})).await.0, 422);
    let (_, other) = stage.api("POST", "/pulls/1/reviews", json!({"comments": comments})).await;
    assert_eq!(stage.api("DELETE", &format!("/pulls/1/reviews/{}", other["id"]), Value::Null).await.0, 200);
    assert_eq!(stage.get("/pulls/1/comments").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn single_comments_are_answered_changed_and_removed() {
    let stage = Stage::new().await;
    let wanted = json!({"path": "new.txt", "line": 2, "side": "RIGHT", "body": "why?", "commit_id": stage.head});
    let (status, first) = stage.api("POST", "/pulls/1/comments", wanted).await;
    assert_eq!((status, first["pull_request_review_id"].is_i64()), (201, true), "{first}");
    let (status, refused) =
        stage.api("POST", "/pulls/1/comments", json!({"path": "new.txt", "line": 9, "body": "x", "commit_id": stage.head})).await;
    assert_eq!((status, errors(&refused)), (422, vec!["pull_request_review_thread.line must be part of the diff"]));
    assert_eq!(refused["errors"][0]["field"], "pull_request_review_thread.line");
    assert_eq!(stage.api("POST", "/pulls/1/comments", json!({"path": "new.txt", "line": 1, "body": "x"})).await.0, 422);
    let whole = json!({"path": "new.txt", "subject_type": "file", "body": "whole", "commit_id": stage.head});
    assert_eq!(stage.api("POST", "/pulls/1/comments", whole).await.1["subject_type"], "file");

    let said = stage.github.reply(first["id"].as_i64().unwrap(), "ada", "because").await.unwrap();
    let answers = format!("/pulls/1/comments/{}/replies", first["id"]);
    let (status, answer) = stage.api("POST", &answers, json!({"body": "I see."})).await;
    assert_eq!((status, &answer["in_reply_to_id"], &answer["line"]), (201, &first["id"], &json!(2)));
    assert_ne!(answer["pull_request_review_id"], first["pull_request_review_id"]);
    let to_answer = format!("/pulls/1/comments/{}/replies", said.id);
    assert_eq!(stage.api("POST", &to_answer, json!({"body": "x"})).await.0, 422);
    assert_eq!(stage.api("POST", &answers, json!({"body": ""})).await.0, 422);

    let place = format!("/pulls/comments/{}", answer["id"]);
    assert_eq!(stage.api("PATCH", &place, json!({"body": "I see!"})).await.1["body"], "I see!");
    assert_eq!(stage.api("PATCH", &format!("/pulls/comments/{}", said.id), json!({"body": "mine now"})).await.0, 403);
    let (status, reaction) = stage.api("POST", &format!("{place}/reactions"), json!({"content": "eyes"})).await;
    assert_eq!(status, 201);
    assert_eq!(stage.api("POST", &format!("{place}/reactions"), json!({"content": "eyes"})).await.0, 200);
    assert_eq!(stage.get(&place).await["reactions"]["eyes"], 1);
    assert_eq!(stage.api("DELETE", &format!("{place}/reactions/{}", reaction["id"]), Value::Null).await.0, 204);
    assert_eq!(stage.get(&format!("{place}/reactions")).await, json!([]));
    assert_eq!(stage.api("DELETE", &place, Value::Null).await.0, 204);
    assert_eq!(stage.api("GET", &place, Value::Null).await.0, 404);
    let since = format!("/pulls/comments?since={}", "2026-11-01T10:00:01Z");
    assert_eq!(stage.get(&since).await, json!([]));
}

#[tokio::test]
async fn comments_follow_their_lines_until_these_change() {
    let stage = Stage::new().await;
    let on = |line, body| NewComment::on("src/lib.rs", line, body);
    let range = NewComment::over("src/lib.rs", 9, 12, "range");
    let reviewed = stage
        .github
        .review(&stage.pull, "ada", ReviewState::Commented, "See.", &[on(10, "ten"), on(29, "end"), range])
        .await
        .unwrap();
    let [ten, end, range] = reviewed.comments[..] else { panic!("three comments were made") };
    let head = stage.pushes("src/lib.rs", &format!("first\n{}", reworded().replace("line 11\n", "line 11\nmore\n"))).await;
    let places = |github: &threadbox::standin::github::GithubStandin| {
        github.world(|world| [ten, end, range].map(|id| world.stands_at(id).map(|anchor| (anchor.side, anchor.line))))
    };
    assert_eq!(places(&stage.github), [Some((Side::Right, 11)), Some((Side::Right, 31)), None]);
    let shown = stage.get(&format!("/pulls/comments/{ten}")).await;
    assert_eq!((&shown["line"], &shown["original_line"], &shown["commit_id"]), (&json!(11), &json!(10), &json!(head)));
    assert_eq!(shown["original_commit_id"], stage.head);
    let outdated = stage.get(&format!("/pulls/comments/{range}")).await;
    assert_eq!([&outdated["line"], &outdated["position"], &outdated["start_line"]], [&Value::Null; 3]);
    assert_eq!([&outdated["original_line"], &outdated["original_start_line"]], [&json!(12), &json!(9)]);
    assert_eq!(outdated["commit_id"], stage.head);

    stage.pushes("src/lib.rs", &numbered(1..=40).replace("line 10\n", "line X\n")).await;
    assert_eq!(places(&stage.github), [None, None, None]);
    assert!(stage.github.world(|world| world.is_outdated(ten)));
    // A review may still be about an earlier commit of the pull request.
    let earlier = json!({"event": "COMMENT", "body": "x", "commit_id": stage.head,
        "comments": [{"path": "src/lib.rs", "line": 10, "side": "RIGHT", "body": "as it was"}]});
    assert_eq!(stage.api("POST", "/pulls/1/reviews", earlier).await.0, 200);
}

#[tokio::test]
async fn a_renamed_file_is_commented_under_its_new_name() {
    let stage = Stage::new().await;
    let moved = numbered(1..=40).replace("line 5\n", "line five\n");
    let change = [("src/lib.rs", None), ("src/moved.rs", Some(moved.as_str().into()))];
    stage.github.push_to(REPO, "maya", "work", "Move", &change).await.unwrap();
    let at = |path: &str, line: u32, side: &str| json!([{"path": path, "line": line, "side": side, "body": "x"}]);
    assert_eq!(stage.review("COMMENT", at("src/moved.rs", 5, "RIGHT")).await.0, 200);
    assert_eq!(stage.review("COMMENT", at("src/moved.rs", 5, "LEFT")).await.0, 200);
    assert_eq!(stage.review("COMMENT", at("src/moved.rs", 20, "RIGHT")).await.0, 422);
    assert_eq!(stage.review("COMMENT", at("src/lib.rs", 5, "LEFT")).await.0, 422);
}

#[tokio::test]
async fn reviewing_takes_the_permission() {
    let stage = Stage::with(&[("metadata", "read"), ("pull_requests", "read")], "").await;
    let (status, answer) = stage.review("COMMENT", json!([])).await;
    assert_eq!((status, answer["message"].as_str()), (403, Some("Resource not accessible by integration")));
    assert_eq!(stage.get("/pulls/1/reviews").await, json!([]));
}

#[tokio::test]
async fn people_review_too_and_the_request_is_answered_by_that() {
    let stage = Stage::new().await;
    stage.github.set_permission(REPO, "rex", Permission::Write).unwrap();
    let asked = stage.api("POST", "/pulls/1/requested_reviewers", json!({"reviewers": ["rex"]})).await;
    assert_eq!((asked.0, &asked.1["requested_reviewers"][0]["login"]), (201, &json!("rex")), "{asked:?}");
    let reviewed = stage.github.review(&stage.pull, "rex", ReviewState::Approved, "", &[]).await.unwrap();
    assert_eq!(stage.get("/pulls/1/requested_reviewers").await["users"], json!([]));
    stage.github.edit_review(reviewed.id, "rex", "Good.").await.unwrap();
    stage.github.dismiss_review(reviewed.id, "ada").await.unwrap();
    let single = stage.github.review_comment(&stage.pull, "rex", NewComment::on("new.txt", 1, "?")).await.unwrap();
    stage.github.edit_review_comment(single.id, "rex", "!").await.unwrap();
    stage.github.add_reaction(&stage.pull, Some(single.id), "ada", "+1").unwrap();
    stage.github.delete_review_comment(single.id, "rex").await.unwrap();
    let events = stage.events();
    let tail: Vec<&str> = events[events.len() - 7..].iter().map(String::as_str).collect();
    assert_eq!(
        tail,
        [
            "pull_request_review.submitted",
            "pull_request_review.edited",
            "pull_request_review.dismissed",
            "pull_request_review.submitted",
            "pull_request_review_comment.created",
            "pull_request_review_comment.edited",
            "pull_request_review_comment.deleted"
        ]
    );
    let bodies = stage
        .github
        .world(|world| world.deliveries().map(|one| serde_json::from_slice::<Value>(&one.body).unwrap()).collect::<Vec<_>>());
    let edit = &bodies[bodies.len() - 2];
    assert_eq!((&edit["changes"]["body"]["from"], &edit["comment"]["body"]), (&json!("?"), &json!("!")));
    assert_eq!(edit["pull_request"]["head"]["sha"], stage.head);
    assert_eq!(bodies[bodies.len() - 7]["review"]["state"], "approved");
}

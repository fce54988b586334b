//! Teams, and what is said in a whole repository.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{GRANTED, REPO, Stage};

#[tokio::test]
async fn who_is_in_a_team_is_told_to_who_may_know() {
    let granted: Vec<(&str, &str)> = GRANTED.into_iter().chain([("members", "read")]).collect();
    let stage = Stage::with(&granted, "").await;
    stage.github.add_to_team("octo-org", "core", "maya");
    let ask = async |login: &str| {
        stage.ask(&stage.token, "GET", &format!("/orgs/octo-org/teams/core/memberships/{login}"), Value::Null).await
    };
    let (status, answer) = ask("maya").await;
    assert_eq!((status, &answer["state"]), (200, &json!("active")));
    assert_eq!(ask("ada").await.0, 404);
    let without = Stage::new().await;
    assert_eq!(without.ask(&without.token, "GET", "/orgs/octo-org/teams/core/memberships/maya", Value::Null).await.0, 403);
}

#[tokio::test]
async fn what_was_said_since_is_found_in_all_conversations() {
    let stage = Stage::new().await;
    let (issue, _) = stage.github.open_issue(REPO, "ada", "Broken", "See.").await.unwrap();
    let old = stage.github.comment(&issue, "ada", "old").await.unwrap().id;
    stage.clock.advance(TimeDelta::minutes(5));
    stage.github.comment(&stage.pull, "ada", "new").await.unwrap();
    stage.github.comment(&issue, "ada", "newer").await.unwrap();
    let bodies = async |query: &str| {
        let found = stage.get(&format!("/issues/comments?{query}")).await;
        found.as_array().unwrap().iter().map(|comment| comment["body"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(bodies("").await, ["old", "new", "newer"]);
    assert_eq!(bodies("since=2026-11-01T10:04:00Z&sort=updated&direction=asc").await, ["new", "newer"]);
    stage.clock.advance(TimeDelta::minutes(5));
    stage.github.edit_comment(old, "ada", "old, mended").await.unwrap();
    assert_eq!(bodies("since=2026-11-01T10:04:00Z&sort=updated&direction=desc").await, ["old, mended", "newer", "new"]);
}

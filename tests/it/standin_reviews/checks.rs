//! Check runs, jobs and their logs, statuses.

use serde_json::{Value, json};
use threadbox::standin::github::{Expects, GithubStandin, NewCheck, Options, Visibility};

use super::{REPO, Stage};

#[tokio::test]
async fn an_app_makes_and_changes_its_own_check_runs() {
    let stage = Stage::new().await;
    let (status, run) =
        stage.api("POST", "/check-runs", json!({"name": "review", "head_sha": stage.head, "status": "in_progress"})).await;
    assert_eq!((status, &run["status"], &run["conclusion"]), (201, &json!("in_progress"), &Value::Null), "{run}");
    assert_eq!(run["pull_requests"][0]["number"], 1);
    let place = format!("/check-runs/{}", run["id"]);
    let annotations = |count: usize| {
        (0..count)
            .map(|n| json!({"path": "new.txt", "start_line": n + 1, "end_line": n + 1, "annotation_level": "notice", "message": "m"}))
            .collect::<Value>()
    };
    let output = |count| json!({"output": {"title": "t", "summary": "s", "annotations": annotations(count)}});
    assert_eq!(stage.api("PATCH", &place, output(51)).await.0, 422);
    for _ in 0..2 {
        assert_eq!(stage.api("PATCH", &place, output(50)).await.0, 200);
    }
    assert_eq!(stage.get(&format!("{place}/annotations?per_page=100")).await.as_array().unwrap().len(), 100);
    let (_, ended) = stage.api("PATCH", &place, json!({"conclusion": "neutral"})).await;
    assert_eq!(
        (&ended["status"], &ended["conclusion"], &ended["output"]["annotations_count"]),
        (&json!("completed"), &json!("neutral"), &json!(100))
    );
    assert_eq!(stage.github.world(|world| world.check_runs(REPO, &stage.head)[0].updates), 3);
    for wrong in [
        json!({"status": "completed"}),
        json!({"status": "asleep"}),
        json!({"conclusion": "stale"}),
        json!({"output": {"title": "x"}}),
        json!({"output": {"title": "x", "summary": "s".repeat(65_536)}}),
    ] {
        assert_eq!(stage.api("PATCH", &place, wrong.clone()).await.0, 422, "{wrong}");
    }
    assert_eq!(stage.api("POST", "/check-runs", json!({"name": "x", "head_sha": "0".repeat(40)})).await.0, 422);
    assert_eq!(stage.api("POST", "/check-runs", json!({"head_sha": stage.head})).await.0, 422);
    assert_eq!(stage.api("POST", &format!("{place}/rerequest"), Value::Null).await.0, 201);
    let events = stage.events();
    assert_eq!(events[events.len() - 3..], ["check_run.created", "check_run.completed", "check_run.rerequested"]);
}

#[tokio::test]
async fn checks_are_found_by_commit_name_and_app() {
    let stage = Stage::new().await;
    for name in ["review", "review", "other"] {
        stage.api("POST", "/check-runs", json!({"name": name, "head_sha": stage.head, "conclusion": "success"})).await;
    }
    let reported = stage.github.report_check(REPO, &stage.head, NewCheck::ended("test", "failure")).await.unwrap();
    let count = async |query: &str| {
        let found = stage.get(&format!("/commits/{}/check-runs?{query}", stage.head)).await;
        assert_eq!(found["total_count"], found["check_runs"].as_array().unwrap().len());
        found["total_count"].as_u64().unwrap()
    };
    assert_eq!(count("").await, 3);
    assert_eq!(count("filter=all").await, 4);
    assert_eq!(count("check_name=review").await, 1);
    assert_eq!(count(&format!("app_id={}", stage.github.app_id())).await, 2);
    assert_eq!(stage.get("/commits/work/check-runs?check_name=test").await["check_runs"][0]["id"], reported.id);
    let (status, answer) = stage.api("PATCH", &format!("/check-runs/{}", reported.id), json!({"conclusion": "success"})).await;
    assert_eq!((status, answer["message"].as_str().unwrap().starts_with("Invalid app_id")), (403, true));
    let suites = stage.get(&format!("/commits/{}/check-suites", stage.head)).await;
    let verdicts: Vec<&Value> = suites["check_suites"].as_array().unwrap().iter().map(|suite| &suite["conclusion"]).collect();
    assert_eq!(verdicts, [&json!("success"), &json!("failure")]);
}

#[tokio::test]
async fn a_failed_job_has_a_log_elsewhere_that_is_fetched_once() {
    let stage = Stage::new().await;
    let check = NewCheck::ended("test", "failure").log("error: it broke\n").output("1 failed", "See.", json!([]));
    let reported = stage.github.report_check(REPO, &stage.head, check).await.unwrap();
    assert_eq!(
        stage.events()[stage.events().len() - 4..],
        ["check_run.completed", "check_suite.completed", "workflow_job.completed", "workflow_run.completed"]
    );
    let run = stage.get(&format!("/actions/runs/{}", reported.workflow_run)).await;
    assert_eq!((&run["conclusion"], &run["head_branch"]), (&json!("failure"), &json!("work")));
    let jobs = stage.get(&format!("/actions/runs/{}/jobs", reported.workflow_run)).await;
    assert_eq!((&jobs["total_count"], &jobs["jobs"][0]["id"]), (&json!(1), &json!(reported.id)));
    let url = format!("{}/repos/{REPO}/actions/jobs/{}/logs", stage.github.url(), reported.id);
    let answer = stage.http.get(&url).bearer_auth(&stage.token).send().await.unwrap();
    assert_eq!(answer.status(), 302);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(!location.starts_with(&stage.github.url()));
    assert_eq!(stage.http.get(&location).send().await.unwrap().text().await.unwrap(), "error: it broke\n");
    assert_eq!(stage.http.get(&location).send().await.unwrap().status(), 403);
    stage.github.expire_log(reported.id);
    assert_eq!(stage.http.get(&url).bearer_auth(&stage.token).send().await.unwrap().status(), 410);
}

#[tokio::test]
async fn statuses_add_up() {
    let stage = Stage::new().await;
    let place = format!("/statuses/{}", stage.head);
    assert_eq!(stage.api("POST", &place, json!({"state": "pending", "context": "ours"})).await.0, 201);
    assert_eq!(stage.api("POST", &place, json!({"state": "fine"})).await.0, 422);
    let combined = format!("/commits/{}/status", stage.head);
    assert_eq!(stage.get(&combined).await["state"], "pending");
    stage.api("POST", &place, json!({"state": "success", "context": "ours"})).await;
    assert_eq!(stage.get(&combined).await["state"], "success");
    stage.github.set_status(REPO, &stage.head, "theirs", "error").unwrap();
    let all = stage.get(&combined).await;
    assert_eq!((&all["state"], &all["total_count"]), (&json!("failure"), &json!(2)));
    assert_eq!(stage.get(&format!("/commits/{}/statuses", stage.head)).await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn tokens_of_accounts_make_no_check_runs() {
    let github = GithubStandin::start(Options { expects: Expects::Token, ..Options::default() }).await.unwrap();
    github.add_repository(REPO, Visibility::Public);
    let head = github.push(REPO, "Begin", &[("a", "b\n".into())]).unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.post(format!("{}/repos/{REPO}/check-runs", github.url())).json(&json!({"name": "x", "head_sha": head}));
    let token = threadbox::secret::ExposeSecret::expose_secret(&github.token()).to_owned();
    assert_eq!(request.bearer_auth(token).send().await.unwrap().status(), 403);
}

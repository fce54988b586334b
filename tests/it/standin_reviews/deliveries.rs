//! The App's list of deliveries.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Stage;

/// Something that takes webhooks and counts them.
async fn receiver() -> (String, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    let take = post(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        async { "thanks" }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", take)).await });
    (url, seen)
}

#[tokio::test]
async fn lost_deliveries_are_listed_and_sent_when_asked_for() {
    let stage = Stage::new().await;
    let (url, seen) = receiver().await;
    stage.github.deliver_to(url);
    stage.github.lose_deliveries(|delivery| delivery.attempts.is_empty());
    let lost = stage.github.comment(&stage.pull, "ada", "hello?").await.unwrap().sent;
    assert_eq!((lost.status, seen.load(Ordering::SeqCst)), (None, 0));
    stage.github.stop_losing_deliveries();
    stage.github.comment(&stage.pull, "ada", "hello!").await.unwrap();
    let (status, all) = stage.app("GET", "/app/hook/deliveries", Value::Null).await;
    assert_eq!(status, 200);
    let shown: Vec<Value> =
        all.as_array().unwrap().iter().map(|d| json!([d["status_code"], d["redelivery"], d["event"], d["action"]])).collect();
    assert_eq!(json!(shown), json!([[200, false, "issue_comment", "created"], [502, false, "issue_comment", "created"]]));
    let (_, failed) = stage.app("GET", "/app/hook/deliveries?status=failure", Value::Null).await;
    assert_eq!((failed.as_array().unwrap().len(), &failed[0]["guid"]), (1, &json!(lost.guid)));

    let id = &failed[0]["id"];
    let (_, whole) = stage.app("GET", &format!("/app/hook/deliveries/{id}"), Value::Null).await;
    assert_eq!(whole["request"]["payload"]["comment"]["body"], "hello?");
    assert_eq!(whole["request"]["headers"]["x-github-delivery"], json!(lost.guid));
    assert_eq!(stage.app("POST", &format!("/app/hook/deliveries/{id}/attempts"), Value::Null).await.0, 202);
    stage.github.quiet(Duration::from_secs(20)).await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    let (_, all) = stage.app("GET", "/app/hook/deliveries", Value::Null).await;
    assert_eq!((&all[0]["guid"], &all[0]["redelivery"], all[0]["id"] == *id), (&json!(lost.guid), &json!(true), false));

    assert_eq!(stage.ask(&stage.token, "GET", "/app/hook/deliveries", Value::Null).await.0, 401);
    assert_eq!(stage.app("GET", "/app/hook/deliveries?status=odd", Value::Null).await.0, 422);
    assert_eq!(stage.app("GET", "/app/hook/deliveries?cursor=odd", Value::Null).await.0, 400);
    stage.clock.advance(TimeDelta::days(3) + TimeDelta::seconds(1));
    assert_eq!(stage.app("GET", "/app/hook/deliveries", Value::Null).await.1, json!([]));
    assert_eq!(stage.app("POST", &format!("/app/hook/deliveries/{id}/attempts"), Value::Null).await.0, 404);
}

#[tokio::test]
async fn pages_follow_a_cursor() {
    let stage = Stage::new().await;
    let (url, _) = receiver().await;
    stage.github.deliver_to(url);
    for n in 0..5 {
        stage.github.comment(&stage.pull, "ada", &format!("comment {n}")).await.unwrap();
    }
    let mut next = Some(format!("{}/app/hook/deliveries?per_page=2", stage.github.url()));
    let mut sizes = Vec::new();
    let mut ids = Vec::new();
    while let Some(url) = next {
        let answer = stage.http.get(url).bearer_auth(stage.app_token()).send().await.unwrap();
        let link = answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        next = link.map(|link| link[1..link.find('>').unwrap()].to_owned());
        let page: Value = answer.json().await.unwrap();
        sizes.push(page.as_array().unwrap().len());
        ids.extend(page.as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()));
    }
    assert_eq!(sizes, [2, 2, 1]);
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
}

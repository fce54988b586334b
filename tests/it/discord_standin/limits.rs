//! Rate limits, storms and faults.

use serde_json::{Value, json};
use threadbox::standin::discord::{Fault, Scope, Storm};

use super::{Stage, text};

#[tokio::test]
async fn a_full_bucket_says_when_to_come_back() {
    let stage = Stage::new().await;
    stage.discord.enforce_limits(true);
    for left in (0..5).rev() {
        let (status, headers, _) = stage.full("POST", &stage.messages(), text("x")).await;
        assert_eq!((status, &headers["x-ratelimit-remaining"]), (200, &left.to_string().parse().unwrap()));
        assert_eq!(headers["x-ratelimit-limit"], "5");
    }
    stage.advance(2);
    let (status, headers, answer) = stage.full("POST", &stage.messages(), text("x")).await;
    assert_eq!((status, &answer["retry_after"], &answer["global"]), (429, &json!(3.0), &json!(false)));
    assert_eq!((&headers["retry-after"], &headers["x-ratelimit-scope"]), (&"3".parse().unwrap(), &"user".parse().unwrap()));
    assert_eq!(headers["x-ratelimit-reset-after"], "3.000");
    // Another channel has another bucket of the same name.
    let other = stage.discord.add_text_channel(stage.guild, "other");
    let (status, there, _) = stage.full("POST", &format!("/channels/{other}/messages"), text("x")).await;
    assert_eq!((status, &there["x-ratelimit-bucket"]), (200, &headers["x-ratelimit-bucket"]));
    stage.advance(3);
    assert_eq!(stage.ask("POST", &stage.messages(), text("x")).await.0, 200);
}

#[tokio::test]
async fn fifty_a_second_are_answered_all_together() {
    let stage = Stage::new().await;
    stage.discord.enforce_limits(true);
    stage.discord.limit_global(3);
    for _ in 0..3 {
        stage.get("/users/@me").await;
    }
    let (status, headers, answer) = stage.full("GET", "/users/@me", Value::Null).await;
    assert_eq!((status, &answer["global"], &headers["x-ratelimit-scope"]), (429, &json!(true), &"global".parse().unwrap()));
    assert_eq!(headers["x-ratelimit-global"], "true");
    stage.advance(1);
    stage.get("/users/@me").await;
}

#[tokio::test]
async fn storms_strike_what_they_are_told_to() {
    let stage = Stage::new().await;
    stage.discord.storm(Storm::of(Scope::Shared).on("POST", "/messages").times(2).retry_after(1.5));
    stage.get("/users/@me").await;
    for _ in 0..2 {
        let (status, headers, answer) = stage.full("POST", &stage.messages(), text("x")).await;
        assert_eq!(
            (status, &answer["retry_after"], &headers["x-ratelimit-scope"]),
            (429, &json!(1.5), &"shared".parse().unwrap())
        );
    }
    stage.write(text("x")).await;
    // A limit that is everybody's is nobody's fault.
    assert_eq!((stage.discord.invalid_answers(), stage.discord.faults_left()), (0, 0));
    stage.discord.limit_next(Scope::User, 0.5);
    assert_eq!(stage.ask("GET", "/users/@me", Value::Null).await.0, 429);
    stage.discord.always_429(2);
    for status in [429, 429, 200] {
        assert_eq!(stage.ask("GET", "/users/@me", Value::Null).await.0, status);
    }
    assert_eq!(stage.discord.invalid_answers(), 3);
}

#[tokio::test]
async fn whoever_is_refused_too_often_is_not_heard_any_more() {
    let stage = Stage::new().await;
    stage.discord.limit_invalid(3);
    for _ in 0..3 {
        assert_eq!(stage.http.get(stage.url("/users/@me")).send().await.unwrap().status(), 401);
    }
    let (status, headers, answer) = stage.full("GET", "/users/@me", Value::Null).await;
    assert_eq!((status, &headers["retry-after"], &answer["message"]), (429, &"600".parse().unwrap(), &json!("error code: 1015")));
    assert!(!headers.contains_key("x-ratelimit-scope"));
    stage.advance(600);
    stage.get("/users/@me").await;
}

#[tokio::test]
async fn faults_happen_before_or_after_the_deed() {
    let stage = Stage::new().await;
    stage.discord.inject(Fault::status("POST", "/messages", 503));
    assert_eq!(stage.ask("POST", &stage.messages(), text("x")).await.0, 503);
    assert!(stage.discord.messages(stage.channel).is_empty());
    stage.discord.inject(Fault::answer_lost("POST", "/messages"));
    assert!(stage.request("POST", &stage.messages()).json(&text("x")).send().await.is_err());
    assert_eq!(stage.discord.messages(stage.channel).len(), 1);
    assert_eq!(stage.discord.faults_left(), 0);
}

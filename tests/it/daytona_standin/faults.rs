//! Failing on purpose.

use std::time::Duration;

use serde_json::{Value, json};
use threadbox::standin::daytona::{Bucket, Fault, Mischief, State};

use super::{LIMIT, Setup, body, refused};

#[tokio::test]
async fn single_requests_fail_as_they_are_told() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let version = format!("/toolbox/{id}/version");
    let daytona = &setup.daytona;
    daytona.inject(Fault::bad_gateway("GET", "/version").times(2));
    daytona.inject(Fault::no_address("GET", "/version"));
    daytona.inject(Fault::no_container("GET", "/version").of(&id));
    daytona.inject(Fault::too_many_requests("GET", "/version", Bucket::Authenticated, 7));
    for _ in 0..2 {
        assert_eq!(body(setup.get(&version).await).await, (502, Value::String(String::new())));
    }
    assert_eq!(refused(setup.get(&version).await).await.0, 400);
    assert_eq!(refused(setup.get(&version).await).await, (404, "sandbox container not found".to_owned()));
    let limited = setup.get(&version).await;
    assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after-authenticated"]), (429, &"7".parse().unwrap()));
    assert_eq!(setup.get(&version).await.status(), 200);

    daytona.inject(Fault::conflict("POST", "/stop").skip(1));
    assert_eq!(setup.tell(&format!("/api/sandbox/{id}/stop")).await.status(), 200, "the first is spared");
    setup.is(&id, "stopped").await;
    assert_eq!(refused(setup.tell(&format!("/api/sandbox/{id}/stop")).await).await.0, 409);
    assert_eq!(daytona.world(|world| world.faults_left()), 0);
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn lost_answers_have_their_effect_and_lost_requests_have_none() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let execute = |command: &str| {
        let request = setup.request(reqwest::Method::POST, &format!("/toolbox/{id}/process/execute"));
        request.json(&json!({"command": command})).send()
    };
    setup.daytona.inject(Fault::answer_lost("POST", "/process/execute"));
    assert!(execute("echo 1 >> ran").await.is_err());
    setup.daytona.inject(Fault::request_lost("POST", "/process/execute"));
    assert!(execute("echo 2 >> ran").await.is_err());
    assert_eq!(setup.sh(&id, "cat ran").await, "1\n");
    setup.daytona.world(|world| {
        assert_eq!((world.executed("echo 1"), world.executed("echo 2"), world.executed("cat ran")), (1, 0, 1));
    });

    setup.daytona.inject(Fault::answer_lost("POST", "/api/sandbox"));
    let create = setup.request(reqwest::Method::POST, "/api/sandbox").json(&json!({"name": "lost"}));
    assert!(create.send().await.is_err());
    assert_eq!(body(setup.get("/api/sandbox/lost").await).await.1["state"], "started");
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn sandboxes_are_stopped_archived_and_deleted_just_before_a_call() {
    let setup = Setup::new().await;
    let (stopped, archived, deleted) = tokio::join!(setup.sandbox(), setup.sandbox(), setup.sandbox());
    let mut seen = Vec::new();
    for (id, mischief) in [(&stopped, Mischief::Stop), (&archived, Mischief::Archive), (&deleted, Mischief::Delete)] {
        setup.daytona.inject(Fault::before("POST", "/process/execute", mischief).of(id).skip(1));
        assert_eq!(setup.sh(id, "echo fine").await, "fine\n");
        let answer = setup.post(&format!("/toolbox/{id}/process/execute"), &json!({"command": "true"})).await;
        let state = setup.get(&format!("/api/sandbox/{id}")).await;
        seen.push((answer.status().as_u16(), body(state).await.1["state"].clone()));
    }
    assert_eq!(seen, [(400, json!("stopped")), (404, json!("archived")), (404, Value::Null)]);
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn a_zombie_says_it_is_started_until_it_is_stopped_and_started() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    setup.daytona.befall(&id, Mischief::Zombie).await.unwrap();
    let version = format!("/toolbox/{id}/version");
    assert_eq!(body(setup.get(&version).await).await, (502, Value::String(String::new())));
    assert_eq!(body(setup.get(&format!("/api/sandbox/{id}")).await).await.1["state"], "started");
    setup.tell(&format!("/api/sandbox/{id}/stop?force=true")).await;
    setup.is(&id, "stopped").await;
    setup.tell(&format!("/api/sandbox/{id}/start")).await;
    setup.is(&id, "started").await;
    assert_eq!(setup.get(&version).await.status(), 200);
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn broken_sandboxes_are_recovered_or_not() {
    let setup = Setup::new().await;
    let (id, lost) = tokio::join!(setup.sandbox(), setup.sandbox());
    setup.daytona.befall(&id, Mischief::Break).await.unwrap();
    let at = format!("/api/sandbox/{id}");
    let (_, shown) = body(setup.get(&at).await).await;
    assert_eq!((&shown["state"], &shown["recoverable"]), (&json!("error"), &json!(true)));
    assert_eq!(refused(setup.tell(&format!("{at}/start")).await).await, (400, "Sandbox is in an errored state".to_owned()));
    assert_eq!(setup.tell(&format!("{at}/recover")).await.status(), 200);
    setup.is(&id, "started").await;
    setup.daytona.befall(&lost, Mischief::BreakForGood).await.unwrap();
    assert_eq!(setup.tell(&format!("/api/sandbox/{lost}/recover")).await.status(), 400);
    assert_eq!(setup.delete(&format!("/api/sandbox/{lost}")).await.status(), 200);
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn outages_slowness_and_revoked_keys() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    setup.daytona.world(|world| world.runner_outage = true);
    assert_eq!(setup.get(&format!("/toolbox/{id}/version")).await.status(), 502);
    assert_eq!(body(setup.tell(&format!("/api/sandbox/{id}/stop")).await).await.1["state"], "stopping");
    setup.daytona.world(|world| world.runner_outage = false);
    setup.is(&id, "stopped").await;

    setup.daytona.world(|world| world.slow(State::Creating, Duration::from_millis(300)));
    let create = setup.request(reqwest::Method::POST, "/api/sandbox").json(&json!({"name": "slow"}));
    let create = tokio::spawn(create.send());
    let creating = |world: &mut threadbox::standin::daytona::World| (world.find("slow")?.state == State::Creating).then_some(());
    setup.daytona.wait_for("creating", LIMIT, creating).await.unwrap();
    assert_eq!(setup.delete("/api/sandbox/slow").await.status(), 409);
    assert_eq!(create.await.unwrap().unwrap().status(), 200);

    setup.daytona.inject(Fault::before("GET", "/api/regions", Mischief::RevokeKey));
    let old = setup.request(reqwest::Method::GET, "/api/sandbox");
    setup.get("/api/regions").await;
    assert_eq!(refused(old.send().await.unwrap()).await, (401, "Invalid credentials".to_owned()));
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn requests_are_remembered_without_their_credential() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    setup.sh(&id, "true").await;
    let requests = setup.daytona.requests();
    let last = requests.last().unwrap();
    assert_eq!(last.line(), format!("POST /toolbox/{id}/process/execute"));
    assert_eq!((last.status, &last.body), (Some(200), &Some(json!({"command": "true"}))));
    assert_eq!(last.headers["x-daytona-sdk-version"], "0.226.1");
    assert!(!format!("{requests:?}").contains("Bearer"));
    setup.daytona.shut_down().await;
}

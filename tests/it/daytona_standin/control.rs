//! The control plane: states, names, lists, limits, credentials.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use threadbox::secret::ExposeSecret;
use threadbox::standin::daytona::{Bucket, Quota, State};

use super::{LIMIT, Setup, body, refused, timed};

#[tokio::test]
async fn a_sandbox_is_shown_as_clients_expect_it() {
    let setup = Setup::new().await;
    let request = json!({"name": "bot-1", "labels": {"app": "bot"}, "env": {"A": "1"}, "autoStopInterval": 60, "ttlMinutes": 720,
                         "networkBlockAll": true, "snapshot": "daytona-medium", "target": "eu"});
    let (status, made) = body(setup.post("/api/sandbox", &request).await).await;
    assert_eq!(status, 200);
    let id = made["id"].as_str().unwrap();
    for required in
        ["organizationId", "user", "public", "gpu", "toolboxProxyUrl", "createdAt", "kvm", "spot", "autoDestroyAt", "volumes"]
    {
        assert!(made.get(required).is_some(), "{required}: {made}");
    }
    assert_eq!(
        (&made["name"], &made["state"], &made["desiredState"], &made["target"]),
        (&json!("bot-1"), &json!("started"), &json!("started"), &json!("eu"))
    );
    assert_eq!(
        (&made["cpu"], &made["memory"], &made["disk"], &made["autoArchiveInterval"]),
        (&json!(2), &json!(4), &json!(8), &json!(10080))
    );
    assert_eq!(body(setup.get("/api/sandbox/bot-1").await).await.1["id"], id, "by name too");
    assert_eq!(setup.sh(id, "echo $A").await, "1\n");
    let url = made["toolboxProxyUrl"].as_str().unwrap();
    assert_eq!(body(setup.get(&format!("/api/sandbox/{id}/toolbox-proxy-url")).await).await.1, json!({"url": url}));

    let (status, taken) = body(setup.post("/api/sandbox", &json!({"name": "bot-1"})).await).await;
    assert_eq!((status, &taken["error"], &taken["path"]), (409, &json!("Conflict"), &json!("/api/sandbox")));
    let (status, gone) = body(setup.delete("/api/sandbox/bot-1").await).await;
    assert_eq!((status, &gone["state"]), (200, &json!("destroying")));
    assert!(gone["name"].as_str().unwrap().starts_with("DESTROYED_bot-1_"));
    assert_eq!(setup.post("/api/sandbox", &json!({"name": "bot-1"})).await.status(), 200, "the name is free at once");
    setup.daytona.wait_for("its end", LIMIT, |world| world.find(id).is_none().then_some(())).await.unwrap();
    assert_eq!(setup.get(&format!("/api/sandbox/{id}")).await.status(), 404);
    assert_eq!(setup.delete(&format!("/api/sandbox/{id}")).await.status(), 404);
    assert_eq!(setup.daytona.violations(), [] as [&str; 0]);
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn impossible_requests_are_refused_and_remembered() {
    let setup = Setup::new().await;
    let refuse = async |request: Value| refused(setup.post("/api/sandbox", &request).await).await;
    let docker = json!({"dockerfileContent": "FROM debian:12.9\n"});
    assert_eq!(refuse(json!({"snapshot": "daytona-small", "buildInfo": docker})).await.0, 400);
    assert_eq!(refuse(json!({"cpu": 2})).await, (400, "Cannot specify Sandbox resources when using a snapshot".to_owned()));
    assert_eq!(refuse(json!({"autoStopInterval": -1})).await.0, 400);
    assert_eq!(refuse(json!({"labels": ["a"]})).await.0, 400);
    assert_eq!(
        setup.post("/api/sandbox", &json!({"image": "debian", "envVars": {}})).await.status(),
        200,
        "unknown fields mean nothing"
    );
    assert_eq!(setup.get("/api/sandbox?labels=a").await.status(), 400);
    assert_eq!(setup.get("/api/sandbox?limit=201").await.status(), 400);
    let violations = setup.daytona.violations();
    assert_eq!(violations.len(), 8, "{violations:#?}");
    assert!(violations.iter().any(|text| text.contains("no field envVars")), "{violations:#?}");
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn snapshots_regions_and_quotas_are_respected() {
    let setup = Setup::new().await;
    setup.daytona.world(|world| {
        let mut snapshot = world.snapshots["daytona-small"].clone();
        snapshot.state = "inactive".to_owned();
        world.snapshots.insert("old".to_owned(), snapshot.clone());
        (snapshot.state, snapshot.regions) = ("active".to_owned(), vec!["eu".to_owned()]);
        world.snapshots.insert("european".to_owned(), snapshot);
        world.quota = Some(Quota { cpu: 2, memory: 10, disk: 30 });
    });
    let refuse = async |request: Value| refused(setup.post("/api/sandbox", &request).await).await;
    assert!(refuse(json!({"snapshot": "none"})).await.1.starts_with("Snapshot none not found"));
    assert_eq!(refuse(json!({"snapshot": "old"})).await, (400, "Snapshot old is inactive".to_owned()));
    assert_eq!(refuse(json!({"snapshot": "european", "target": "us"})).await.0, 400);
    assert_eq!(refuse(json!({"target": "mars"})).await.0, 403);
    let id = setup.sandbox().await;
    let (status, message) = refuse(json!({"snapshot": "daytona-medium"})).await;
    assert!(status == 400 && message.starts_with("Total CPU limit exceeded. Maximum allowed: 2."), "{message}");
    let usage = format!("/api/organizations/{}/usage", setup.daytona.organization());
    assert_eq!(body(setup.get(&usage).await).await.1["regionUsage"][0]["currentCpuUsage"], 1);
    // Stopped, it takes no processor.
    setup.tell(&format!("/api/sandbox/{id}/stop")).await;
    setup.is(&id, "stopped").await;
    assert_eq!(setup.post("/api/sandbox", &json!({"snapshot": "daytona-medium"})).await.status(), 200);
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn while_a_transition_runs_others_are_refused() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    setup.daytona.world(|world| world.slow(State::Stopping, Duration::from_secs(3600)));
    let at = format!("/api/sandbox/{id}");
    assert_eq!(body(setup.tell(&format!("{at}/stop")).await).await.1["state"], "stopping");
    for verb in ["start", "stop", "archive"] {
        assert_eq!(
            refused(setup.tell(&format!("{at}/{verb}")).await).await,
            (409, "Sandbox state change in progress".to_owned())
        );
    }
    assert_eq!(setup.delete(&at).await.status(), 409);
    assert_eq!(setup.sh(&id, "echo still here").await, "still here\n", "the toolbox works meanwhile");
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn archived_sandboxes_come_back_with_their_disk() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let at = format!("/api/sandbox/{id}");
    setup.sh(&id, "echo kept > file").await;
    assert_eq!(refused(setup.tell(&format!("{at}/archive")).await).await.0, 400, "not while it runs");
    setup.tell(&format!("{at}/stop")).await;
    setup.is(&id, "stopped").await;
    let version = format!("/toolbox/{id}/version");
    let (status, message) = refused(setup.get(&version).await).await;
    assert_eq!((status, &*message), (400, "bad request: no IP address found. Is the Sandbox started?"));
    setup.tell(&format!("{at}/archive")).await;
    setup.is(&id, "archived").await;
    let (status, answer) = body(setup.get(&version).await).await;
    assert_eq!(
        (status, &answer["message"], &answer["source"]),
        (404, &json!("sandbox container not found"), &json!("DAYTONA_PROXY"))
    );
    setup.tell(&format!("{at}/start")).await;
    setup.is(&id, "started").await;
    assert_eq!(setup.tell(&format!("{at}/start")).await.status(), 200, "started already");
    assert_eq!(setup.sh(&id, "cat file").await, "kept\n");
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn images_are_built_beside_the_request() {
    let setup = Setup::new().await;
    let request = json!({"buildInfo": {"dockerfileContent": "FROM debian:12.9\n"}, "cpu": 2, "memory": 4, "disk": 8});
    let (_, made) = body(setup.post("/api/sandbox", &request).await).await;
    let id = made["id"].as_str().unwrap();
    assert!(["pending_build", "building_snapshot"].contains(&made["state"].as_str().unwrap()), "{made}");
    setup.is(id, "started").await;
    assert_eq!(
        body(setup.get(&format!("/api/sandbox/{id}")).await).await.1["buildInfo"]["dockerfileContent"],
        "FROM debian:12.9\n"
    );
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn lists_are_paged_filtered_and_behind() {
    let (setup, clock) = timed().await;
    for n in 0..3 {
        let request = json!({"name": format!("n{n}"), "labels": {"app": "bot", "n": n.to_string()}});
        assert_eq!(setup.post("/api/sandbox", &request).await.status(), 200);
    }
    let list = async |query: &str| body(setup.get(&format!("/api/sandbox?{query}")).await).await.1;
    let names = |page: &Value| {
        page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&list("labels=%7B%22n%22%3A%221%22%7D").await), ["n1"]);
    let first = list("limit=2&labels=%7B%22app%22%3A%22bot%22%7D&states=started").await;
    assert_eq!(names(&first), ["n0", "n1"]);
    assert!(first["items"][0].get("env").is_none());
    let second = list(&format!("limit=2&cursor={}", first["nextCursor"].as_str().unwrap())).await;
    assert_eq!((names(&second), &second["nextCursor"]), (vec!["n2".to_owned()], &Value::Null));

    setup.daytona.world(|world| world.list_lag = TimeDelta::seconds(3));
    clock.advance(TimeDelta::seconds(60));
    assert_eq!(setup.delete("/api/sandbox/n1").await.status(), 200);
    setup.daytona.wait_for("its end", LIMIT, |world| (world.sandboxes().count() == 2).then_some(())).await.unwrap();
    let stale = list("").await;
    assert_eq!((stale["items"].as_array().unwrap().len(), &stale["items"][1]["state"]), (3, &json!("started")));
    clock.advance(TimeDelta::seconds(3));
    assert_eq!(names(&list("").await), ["n0", "n2"]);
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn sandboxes_stop_archive_and_delete_themselves() {
    let (setup, clock) = timed().await;
    let id = setup.sandbox().await;
    let at = format!("/api/sandbox/{id}");
    assert_eq!(setup.tell(&format!("{at}/autostop/10")).await.status(), 200);
    assert_eq!(setup.tell(&format!("{at}/autostop/-1")).await.status(), 400);
    clock.advance(TimeDelta::minutes(9));
    assert_eq!(setup.tell(&format!("{at}/last-activity")).await.status(), 201);
    clock.advance(TimeDelta::minutes(9));
    setup.sh(&id, "true").await;
    clock.advance(TimeDelta::minutes(9));
    let quietly =
        setup.request(Method::GET, &format!("/toolbox/{id}/version")).header("x-daytona-skip-last-activity-update", "true");
    assert_eq!(quietly.send().await.unwrap().status(), 200);
    clock.advance(TimeDelta::minutes(1));
    setup.get("/api/regions").await;
    setup.is(&id, "stopped").await;
    setup.tell(&format!("{at}/autoarchive/30")).await;
    clock.advance(TimeDelta::minutes(30));
    setup.get("/api/regions").await;
    setup.is(&id, "archived").await;
    setup.tell(&format!("{at}/ttl/5")).await;
    clock.advance(TimeDelta::minutes(5));
    setup.get("/api/regions").await;
    setup.daytona.wait_for("its end", LIMIT, |world| world.find(&id).is_none().then_some(())).await.unwrap();

    let (_, ephemeral) = body(setup.post("/api/sandbox", &json!({"autoDeleteInterval": 0})).await).await;
    let id = ephemeral["id"].as_str().unwrap();
    setup.tell(&format!("/api/sandbox/{id}/stop")).await;
    setup.daytona.wait_for("its end", LIMIT, |world| world.find(id).is_none().then_some(())).await.unwrap();
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn settings_of_a_sandbox_are_changed() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let at = format!("/api/sandbox/{id}");
    let put =
        setup.request(Method::PUT, &format!("{at}/labels")).json(&json!({"labels": {"only": "this"}})).send().await.unwrap();
    assert_eq!(body(put).await, (200, json!({"labels": {"only": "this"}})));
    let network = format!("{at}/network-settings");
    assert_eq!(setup.post(&network, &json!({})).await.status(), 400);
    let (_, changed) = body(setup.post(&network, &json!({"networkBlockAll": true, "domainAllowList": "github.com"})).await).await;
    assert_eq!((&changed["networkBlockAll"], &changed["domainAllowList"]), (&json!(true), &json!("github.com")));
    assert_eq!(setup.post(&format!("{at}/resize"), &json!({"disk": 9})).await.status(), 400, "only when stopped");
    assert_eq!(setup.post(&format!("{at}/resize"), &json!({"cpu": 2, "memory": 2})).await.status(), 200);
    setup.is(&id, "started").await;
    assert_eq!(body(setup.get(&at).await).await.1["cpu"], 2);
    assert_eq!(setup.tell(&format!("{at}/pause")).await.status(), 422);
    assert_eq!(setup.tell(&format!("{at}/public/true")).await.status(), 200);
    assert_eq!(setup.get("/api/nowhere").await.status(), 404);
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn who_may_do_what_is_decided_by_the_key() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let url = |path: &str| format!("{}{path}", setup.daytona.url().trim_end_matches("/api"));
    let config: Value = setup.http.get(url("/api/config")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&config["defaultSnapshot"], &config["maxAutoArchiveInterval"]), (&json!("daytona-small"), &json!(43200)));
    let wrong = setup.http.get(url(&format!("/toolbox/{id}/version"))).bearer_auth("wrong").send().await.unwrap();
    assert_eq!(refused(wrong).await, (401, "authentication failed: Bearer token is invalid".to_owned()));

    let jwt = setup.daytona.jwt();
    let token = |request: reqwest::RequestBuilder| request.bearer_auth(jwt.expose_secret());
    assert_eq!(token(setup.http.get(url("/api/sandbox"))).send().await.unwrap().status(), 403, "which organisation?");
    let named = token(setup.http.get(url("/api/sandbox"))).header("x-daytona-organization-id", setup.daytona.organization());
    assert_eq!(named.send().await.unwrap().status(), 200);

    setup.daytona.world(|world| world.permissions.remove("delete:sandboxes"));
    assert_eq!(setup.delete(&format!("/api/sandbox/{id}")).await.status(), 403);
    let (_, key) = body(setup.get("/api/api-keys/current").await).await;
    assert_eq!((&key["permissions"], &key["value"]), (&json!(["write:sandboxes"]), &json!("dtn_********")));

    // Too many wrong keys block the right one too.
    setup.daytona.world(|world| world.limits.set(Bucket::FailedAuth, 3));
    for _ in 0..2 {
        assert_eq!(setup.http.get(url("/api/sandbox")).bearer_auth("wrong").send().await.unwrap().status(), 401);
    }
    let blocked = setup.get("/api/sandbox").await;
    assert_eq!(blocked.status(), 429);
    assert!(blocked.headers().contains_key("retry-after-failed-auth"));
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn rate_limits_are_announced_and_kept() {
    let (setup, clock) = timed().await;
    setup.daytona.world(|world| world.limits.set(Bucket::SandboxCreate, 1));
    let first = setup.post("/api/sandbox", &json!({})).await;
    assert_eq!((first.status().as_u16(), &first.headers()["x-ratelimit-remaining-sandbox-create"]), (200, &"0".parse().unwrap()));
    assert_eq!(first.headers()["x-ratelimit-limit-authenticated"], "10000");
    clock.advance(TimeDelta::seconds(20));
    let second = setup.post("/api/sandbox", &json!({})).await;
    assert_eq!((second.status().as_u16(), &second.headers()["retry-after-sandbox-create"]), (429, &"40".parse().unwrap()));
    clock.advance(TimeDelta::seconds(40));
    assert_eq!(setup.post("/api/sandbox", &json!({})).await.status(), 200);
    setup.daytona.shut_down().await;
}

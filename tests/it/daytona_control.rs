//! Machines at Daytona are made once, found again, woken and removed, whatever the control plane answers in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use threadbox::clock::{Clock, ManualClock, SystemClock};
use threadbox::sandbox::daytona::{
    Base, Call, Client, Control, Credential, DaytonaConfig, ErrorKind, Origin, Pace, Revive, wire,
};
use threadbox::sandbox::{SandboxError, SandboxSpec};
use threadbox::secret::secret;
use threadbox::settings::Network;

use crate::support::plane::{Fault, Plane};

const NAME: &str = "thread-7";

fn pace() -> Pace {
    Pace {
        tries: 3,
        backoff: Duration::from_millis(5),
        rate_limit: Duration::from_millis(600),
        refused: Duration::from_secs(60),
        poll: Duration::from_millis(2),
        start: Duration::from_millis(1500),
        restore: Duration::from_secs(3),
        remove: Duration::from_millis(300),
        silence: Duration::from_millis(60),
    }
}

fn config(plane: &Plane) -> DaytonaConfig {
    DaytonaConfig {
        api_url: format!("{}/api", plane.url).parse().unwrap(),
        credential: Credential::Key(secret("dtn_key")),
        target: None,
        origin: Origin::Default,
        network: Network::Full,
        idle_minutes: 15,
        ttl_minutes: None,
        pace: pace(),
    }
}

fn control_with(config: DaytonaConfig, clock: Arc<dyn Clock>) -> Control {
    Control::new(Client::new(&config, clock).unwrap(), config)
}

async fn start() -> (Plane, Control) {
    let plane = Plane::start().await;
    let control = control_with(config(&plane), Arc::new(SystemClock));
    (plane, control)
}

async fn make(control: &Control) -> Result<wire::Sandbox, SandboxError> {
    control.make(&SandboxSpec { name: Some(NAME.into()), ..SandboxSpec::default() }).await
}

fn refused(error: SandboxError) -> String {
    let SandboxError::Refused(text) = error else { panic!("not refused: {error:?}") };
    text
}

fn unavailable(error: SandboxError) -> String {
    let SandboxError::Unavailable(text) = error else { panic!("not unavailable: {error:?}") };
    text
}

#[tokio::test]
async fn a_sandbox_is_made_once_and_found_by_its_name_afterwards() {
    let (plane, control) = start().await;
    let made = make(&control).await.unwrap();
    let found = make(&control).await.unwrap();
    assert_eq!(made.id, found.id);
    assert_eq!(plane.world(|world| world.asked.clone()), ["look", "create", "look"]);
    assert_eq!(control.ready(NAME).await.unwrap().id, made.id);
    assert_eq!(control.ready(&made.id).await.unwrap().known_as(), NAME);
}

#[tokio::test]
async fn it_is_waited_for_while_it_is_built_and_pulled_and_created() {
    let (plane, control) = start().await;
    plane.world(|world| {
        world.births.push_back(vec![
            "pending_build",
            "building_snapshot",
            "pulling_snapshot",
            "defrosting",
            "creating",
            "started",
        ]);
    });
    assert_eq!(make(&control).await.unwrap().state, wire::State::Started);
    assert_eq!(plane.count("create"), 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_sandbox() {
    let (plane, control) = start().await;
    plane.fault("create", [Fault::Lost]);
    make(&control).await.unwrap();
    assert_eq!((plane.count("create"), plane.names()), (1, vec![NAME.to_owned()]));
}

#[tokio::test]
async fn a_creation_that_failed_unclearly_is_tried_again_under_the_same_name() {
    let (plane, control) = start().await;
    plane.fault(
        "create",
        [Fault::empty(502), Fault::message(500, "Internal server error"), Fault::message(400, "No available runners")],
    );
    make(&control).await.unwrap();
    assert_eq!((plane.count("create"), plane.names()), (4, vec![NAME.to_owned()]));
}

#[tokio::test]
async fn two_that_ask_at_once_get_the_same_one() {
    let (plane, control) = start().await;
    plane.world(|world| world.births.push_back(vec!["creating", "creating", "started"]));
    let made = join_all((0..8).map(|_| make(&control))).await;
    let ids: std::collections::BTreeSet<String> = made.into_iter().map(|made| made.unwrap().id).collect();
    assert_eq!((ids.len(), plane.names().len()), (1, 1));
}

#[tokio::test]
async fn a_storm_of_conflicts_is_waited_out() {
    let (plane, control) = start().await;
    plane.machine(NAME, "stopped");
    plane.fault("start", vec![Fault::message(409, "Sandbox state change in progress"); 3]);
    plane.fault("start", vec![Fault::message(400, "Sandbox state change in progress"); 3]);
    assert_eq!(control.ready(NAME).await.unwrap().state, wire::State::Started);
    assert_eq!(plane.count("start"), 7);
    plane.machine("stopping", "stopping");
    plane.change("stopping", |machine| machine.then = vec!["stopping".into(); 5].into_iter().chain(["stopped".into()]).collect());
    control.ready("stopping").await.unwrap();
    assert_eq!(plane.count("start"), 8);
}

#[tokio::test]
async fn rate_limits_of_any_bucket_are_waited_for_and_no_longer_than_allowed() {
    let (plane, control) = start().await;
    let limited = |name, seconds: &str| Fault::Says(429, vec![(name, seconds.to_owned())], String::new());
    plane.fault("create", [limited("retry-after-sandbox-create", "0.08"), limited("retry-after", "0.08")]);
    let begun = Instant::now();
    make(&control).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(160), "{:?}", begun.elapsed());
    assert_eq!((plane.count("create"), plane.names().len()), (3, 1));

    plane.fault("look", [limited("retry-after-authenticated", "3600")]);
    let begun = Instant::now();
    let said = unavailable(control.ready(NAME).await.unwrap_err());
    assert!(said.contains("limits how often") && begun.elapsed() < Duration::from_secs(1), "{said}");

    plane.fault("look", vec![limited("retry-after", "0.1"); 100]);
    let before = plane.count("look");
    unavailable(control.ready(NAME).await.unwrap_err());
    assert!(plane.count("look") - before <= 7, "{}", plane.count("look"));
}

#[tokio::test]
async fn after_a_refused_key_nothing_is_asked_for_a_minute() {
    let plane = Plane::start().await;
    let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap());
    let control = control_with(config(&plane), Arc::new(clock.clone()));
    plane.fault("look", [Fault::message(401, "Invalid credentials")]);
    let said = refused(make(&control).await.unwrap_err());
    assert!(said.contains("Invalid credentials") && said.contains("DAYTONA_API_KEY"), "{said}");
    let again = refused(control.ready(NAME).await.unwrap_err());
    assert!(again.contains("not tried again for 60 s"), "{again}");
    refused(control.remove(NAME).await.unwrap_err());
    assert_eq!(plane.world(|world| world.asked.len()), 1);
    clock.advance(TimeDelta::seconds(61));
    make(&control).await.unwrap();
}

#[tokio::test]
async fn what_sleeps_is_woken() {
    let (plane, control) = start().await;
    for state in ["stopped", "paused", "archived", "archiving"] {
        plane.machine(state, state);
        assert_eq!(control.ready(state).await.unwrap().state, wire::State::Started, "{state}");
    }
    assert_eq!(plane.count("start"), 4);
    plane.machine("broken", "error");
    plane.change("broken", |machine| machine.recoverable = true);
    control.ready("broken").await.unwrap();
    assert_eq!(plane.count("recover"), 1);
}

#[tokio::test]
async fn what_is_brought_back_by_many_is_started_once() {
    let (plane, control) = start().await;
    let id = plane.machine(NAME, "stopped");
    for revived in join_all((0..8).map(|_| control.revive(&id))).await {
        assert_eq!(revived.unwrap().state, wire::State::Started);
    }
    assert_eq!(plane.count("start"), 1);
}

#[tokio::test]
async fn one_that_is_said_to_run_but_does_not_answer_is_restarted_once() {
    let (plane, control) = start().await;
    plane.machine(NAME, "started");
    plane.change(NAME, |machine| machine.dead = true);
    control.ready(NAME).await.unwrap();
    assert_eq!((plane.count("kill"), plane.count("start")), (1, 1));

    plane.change(NAME, |machine| (machine.dead, machine.hopeless) = (true, true));
    let said = unavailable(control.ready(NAME).await.unwrap_err());
    assert!(said.contains("also after a restart"), "{said}");
    assert_eq!((plane.count("kill"), plane.count("start")), (2, 2));
}

#[tokio::test]
async fn one_that_is_slow_to_answer_is_not_restarted() {
    let (plane, control) = start().await;
    plane.machine(NAME, "stopped");
    plane.fault("version", [Fault::empty(502), Fault::message(400, "no IP address found. Is the Sandbox started?")]);
    plane.fault("version", [Fault::message(404, "sandbox container not found"), Fault::empty(503)]);
    control.ready(NAME).await.unwrap();
    assert_eq!((plane.count("kill"), plane.count("start")), (0, 1));
}

#[tokio::test]
async fn one_that_failed_for_good_is_replaced_when_one_is_to_be_made() {
    let (plane, control) = start().await;
    let old = plane.machine(NAME, "error");
    plane.change(NAME, |machine| machine.error_reason = Some("the disk is lost".into()));
    let SandboxError::NotFound(why) = control.ready(NAME).await.unwrap_err() else { panic!() };
    assert!(why.contains("the disk is lost"), "{why}");
    let new = make(&control).await.unwrap();
    assert_ne!(new.id, old);
    assert_eq!(plane.names().len(), 1);
}

#[tokio::test]
async fn one_that_never_came_up_says_why_and_leaves_nothing_behind() {
    let (plane, control) = start().await;
    plane.world(|world| {
        world.births.push_back(vec!["pending_build", "build_failed"]);
        world.error_reason = Some("unknown base image".into());
    });
    let said = unavailable(make(&control).await.unwrap_err());
    assert!(said.contains("unknown base image") && said.contains("DAYTONA_SNAPSHOT"), "{said}");
    assert!(plane.names().is_empty());
}

#[tokio::test]
async fn one_that_never_gets_ready_is_given_up_in_time() {
    let (plane, control) = start().await;
    plane.machine(NAME, "starting");
    let said = unavailable(control.ready(NAME).await.unwrap_err());
    assert!(said.contains("still starting"), "{said}");
}

#[tokio::test]
async fn gone_is_only_what_the_control_plane_says_is_gone() {
    let (plane, control) = start().await;
    assert!(matches!(control.ready(NAME).await, Err(SandboxError::NotFound(_))));
    plane.machine(NAME, "started");
    plane.fault("look", [Fault::Says(404, vec![], "<html>not here</html>".into())]);
    let said = refused(control.ready(NAME).await.unwrap_err());
    assert!(said.contains("DAYTONA_API_URL"), "{said}");
    plane.fault("look", vec![Fault::empty(503); 3]);
    unavailable(control.ready(NAME).await.unwrap_err());
    control.ready(NAME).await.unwrap();
}

#[tokio::test]
async fn what_the_operator_must_change_is_refused_with_the_remedy() {
    let (plane, control) = start().await;
    for (status, message, remedy) in [
        (400, "Total CPU limit exceeded. Maximum allowed: 10.", "raise the organisation's limits"),
        (403, "Forbidden resource", "write:sandboxes"),
        (400, "Snapshot dev not found", "DAYTONA_SNAPSHOT"),
        (400, "Region mars not found", "DAYTONA_TARGET"),
    ] {
        plane.fault("create", [Fault::message(status, message)]);
        let said = refused(make(&control).await.unwrap_err());
        assert!(said.contains(message.trim_end_matches('.')) && said.contains(remedy), "{said}");
    }
    assert!(plane.names().is_empty());
}

#[tokio::test]
async fn removing_is_done_when_it_is_gone() {
    let (plane, control) = start().await;
    control.remove("never-was").await.unwrap();
    plane.machine("a", "started");
    control.remove("a").await.unwrap();
    plane.machine("busy", "starting");
    plane.change("busy", |machine| machine.then = ["starting".into(), "started".into()].into());
    control.remove("busy").await.unwrap();
    plane.machine("flaky", "stopped");
    plane.fault("delete", [Fault::empty(502), Fault::Lost]);
    control.remove("flaky").await.unwrap();
    assert!(plane.names().is_empty());
}

#[tokio::test]
async fn one_that_is_stuck_is_stopped_hard_before_it_is_given_up() {
    let (plane, control) = start().await;
    plane.machine(NAME, "creating");
    let said = unavailable(control.remove(NAME).await.unwrap_err());
    assert!(said.contains("not deleted"), "{said}");
    assert!(plane.count("kill") >= 1 && plane.count("delete") >= 2);
}

#[tokio::test]
async fn lists_are_read_to_their_end_and_not_believed() {
    let (plane, control) = start().await;
    for name in ["a", "b", "c", "d", "e"] {
        plane.machine(name, "stopped");
        plane.change(name, |machine| drop(machine.labels.insert("bot".into(), "one".into())));
    }
    plane.machine("of another", "stopped");
    plane.world(|world| {
        world.lies = vec![
            json!({"id": "x", "name": "not ours", "labels": {"bot": "two"}}),
            json!({"id": "y", "name": "deleted", "state": "destroyed", "labels": {"app": "threadbox", "bot": "one"}}),
        ];
    });
    let labels: BTreeMap<String, String> = [("bot".to_owned(), "one".to_owned())].into();
    let names = |found: Vec<wire::Sandbox>| found.iter().map(|sandbox| sandbox.known_as().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(control.labelled(&labels, 100).await.unwrap()), ["a", "b", "c", "d", "e"]);
    assert_eq!(names(control.labelled(&labels, 3).await.unwrap()), ["a", "b", "c"]);
}

#[tokio::test]
async fn every_request_says_who_asks() {
    let plane = Plane::start().await;
    let credential = Credential::Jwt { token: secret("jwt"), organization: "org-1".into() };
    let control = control_with(DaytonaConfig { credential, ..config(&plane) }, Arc::new(SystemClock));
    plane.machine(NAME, "stopped");
    let sandbox = control.ready(NAME).await.unwrap();
    control.client().touch_sandbox(&sandbox.id).await.unwrap();
    let toolbox = sandbox.toolbox().unwrap();
    assert_eq!(toolbox.path(), format!("/toolbox/{}", sandbox.id));
    let quiet = Call::get(Base::Toolbox(&toolbox), &["version"]).in_background();
    let version: Value = control.client().json(&quiet).await.unwrap();
    assert_eq!(version["version"], "0.190.0");
    plane.world(|world| {
        for (request, headers, _) in &world.requests {
            let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
            assert_eq!(value("authorization"), "Bearer jwt", "{request}");
            assert_eq!(value("x-daytona-organization-id"), "org-1");
            assert_eq!((value("x-daytona-source"), value("x-daytona-sdk-version")), ("threadbox", "0.226.1"));
            assert!(value("user-agent").starts_with("threadbox/"));
            assert!(!request.starts_with("POST") || value("content-length") == "0", "{request}");
        }
        let last = &world.requests.last().unwrap().1;
        assert_eq!(last["x-daytona-skip-last-activity-update"], "true");
    });
    let with_key = control_with(config(&plane), Arc::new(SystemClock));
    with_key.ready(NAME).await.unwrap();
    plane.world(|world| assert!(!world.requests.last().unwrap().1.contains_key("x-daytona-organization-id")));
}

#[tokio::test]
async fn the_credential_is_sent_nowhere_else() {
    let (plane, control) = start().await;
    plane.fault("look", [Fault::Says(307, vec![("location", "http://elsewhere.example/api".into())], String::new())]);
    let said = refused(control.ready(NAME).await.unwrap_err());
    assert!(said.contains("elsewhere.example"), "{said}");
    let outside = "http://toolbox.example/toolbox/1".parse().unwrap();
    let error = control.client().call(&Call::get(Base::Toolbox(&outside), &["version"])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_limit() {
    let (plane, control) = start().await;
    plane.fault("look", [Fault::Says(200, vec![], "x".repeat(100_000))]);
    let answer = control.client().call(&Call::get(Base::Control, &["sandbox", "a/b ü"]).limit(1000)).await.unwrap();
    assert_eq!((answer.body.len(), answer.complete), (1000, false));
    assert_eq!(answer.json::<Value>().unwrap_err().kind, ErrorKind::Unreadable);
    assert_eq!(plane.world(|world| world.requests[0].0.clone()), "GET /api/sandbox/a%2Fb%20%C3%BC");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_unreachable() {
    let plane = Plane::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let api_url = format!("http://{}/api", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let control = control_with(DaytonaConfig { api_url, ..config(&plane) }, Arc::new(SystemClock));
    let said = unavailable(make(&control).await.unwrap_err());
    assert!(said.contains("cannot be reached") && said.contains("DAYTONA_API_URL"), "{said}");
}

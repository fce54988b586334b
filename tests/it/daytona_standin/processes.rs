//! Commands, code and sessions, through proxy and daemon.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{LIMIT, Setup, body, old, refused};

#[tokio::test]
async fn commands_are_fed_to_a_shell_on_its_standard_input() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let run = async |request: Value| setup.execute(&id, request).await;

    assert_eq!(run(json!({"command": "echo out; echo err >&2; exit 3"})).await, (3, "out\nerr\n".to_owned()));
    assert_eq!(run(json!({"command": "cat\necho swallowed"})).await, (0, "echo swallowed".to_owned()), "it reads the script");
    assert_eq!(run(json!({"command": "pwd; echo $X", "cwd": "/tmp", "envs": {"X": "y z"}})).await, (0, "/tmp\ny z\n".to_owned()));
    assert_eq!(run(json!({"command": "no-such-program 2>/dev/null"})).await.0, 127);
    assert_eq!(run(json!({"command": "kill -9 $$"})).await.0, -1);
    let (code, reason) = run(json!({"command": "true", "cwd": "missing"})).await;
    assert!(code == -1 && reason.contains("missing"), "{code} {reason}");
    assert_eq!(run(json!({"command": "printf 'a\\377\\000b'"})).await.1, "a\u{fffd}\0b");
    let long = format!("echo {}", "x".repeat(300_000));
    assert_eq!(run(json!({"command": long})).await.1.len(), 300_001);
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_and_its_output_lost() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let path = format!("/toolbox/{id}/process/execute");
    let (status, answer) = body(setup.post(&path, &json!({"command": "echo before; sleep 60", "timeout": 1})).await).await;
    assert_eq!(
        (status, &answer["code"], &answer["source"]),
        (408, &json!("PROCESS_EXECUTION_TIMEOUT"), &json!("DAYTONA_DAEMON"))
    );
    assert!(!answer.to_string().contains("before"));
    assert_eq!(setup.sh(&id, "pgrep sleep || true").await, "", "the group is gone");

    for wrong in [
        json!({"command": " "}),
        json!({"command": "true", "timeout": -1}),
        json!({"command": "true", "envs": {"A-B": "1"}}),
        json!({}),
    ] {
        assert_eq!(setup.post(&path, &wrong).await.status(), 400, "{wrong}");
    }
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn an_answer_comes_when_the_streams_are_closed_and_what_is_detached_lives_on() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let started = Instant::now();
    setup.sh(&id, "sleep 1 &").await;
    assert!(started.elapsed().as_millis() >= 900, "it holds the streams");
    setup.sh(&id, "setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $! > pid").await;
    assert_eq!(setup.sh(&id, "kill -0 $(cat pid) && echo lives").await, "lives\n");

    // A client that goes away does not end the command.
    let request = setup.request(Method::POST, &format!("/toolbox/{id}/process/execute"));
    let request = request.json(&json!({"command": "mkfifo go; read x < go; echo done > finished"}));
    let client = tokio::spawn(request.send());
    setup.daytona.wait_for("the command", LIMIT, |world| (world.executed("mkfifo go") == 1).then_some(())).await.unwrap();
    let _ = setup.sh(&id, "while ! [ -p go ]; do sleep 0.01; done").await;
    client.abort();
    setup.sh(&id, "echo x > go; while ! [ -s finished ]; do sleep 0.01; done").await;
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn stopping_ends_processes_and_keeps_the_disk() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    setup.sh(&id, "echo kept > file; setsid sleep 601 </dev/null >/dev/null 2>&1 &").await;
    assert_eq!(setup.tell(&format!("/api/sandbox/{id}/stop?force=false")).await.status(), 200);
    setup.is(&id, "stopped").await;
    assert_eq!(setup.tell(&format!("/api/sandbox/{id}/start")).await.status(), 200);
    setup.is(&id, "started").await;
    assert_eq!(setup.sh(&id, "cat file; pgrep sleep || true").await, "kept\n");
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_sees_nothing_of_this_machine() {
    let setup = Setup::with(|options| options.transition = std::time::Duration::ZERO).await;
    let (id, other) = tokio::join!(setup.sandbox(), setup.sandbox());
    let secret = tempfile::NamedTempFile::new().unwrap();
    let path = secret.path().display();
    assert_eq!(setup.sh(&id, &format!("ls {path} 2>/dev/null || echo hidden")).await, "hidden\n");
    let download = setup.get(&format!("/toolbox/{id}/files/download?path={path}")).await;
    assert_eq!(download.status(), 404, "the daemon itself is inside");
    setup.sh(&other, "echo secret > own").await;
    assert_eq!(setup.sh(&id, "cat own 2>/dev/null || echo none").await, "none\n");
    assert_eq!(
        setup.sh(&id, "env | grep -ci bearer || true; ls /workspace /proc | grep -c '^[0-9]*$' | awk '{print ($1 < 20)}'").await,
        "0\n1\n"
    );
    let network = "timeout 2 bash -c ': > /dev/tcp/127.0.0.1/$PORT' 2>/dev/null && echo reached || echo alone";
    let port = setup.daytona.url().rsplit(':').next().unwrap().trim_end_matches("/api").to_owned();
    assert_eq!(setup.execute(&id, json!({"command": network, "envs": {"PORT": port}})).await.1, "alone\n");
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn a_link_in_place_of_the_daemons_socket_is_not_followed() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let outside = tempfile::tempdir().unwrap();
    let socket = outside.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let put = format!("rm /tmp/.toolbox.sock; ln -s {} /tmp/.toolbox.sock", socket.display());
    setup.sh(&id, &put).await;
    assert_eq!(body(setup.get(&format!("/toolbox/{id}/version")).await).await, (502, Value::String(String::new())));
    assert!(futures::poll!(std::pin::pin!(listener.accept())).is_pending(), "nobody came");
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn code_runs_with_its_arguments_joined_as_they_are() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let run = async |request: Value| body(setup.post(&format!("/toolbox/{id}/process/code-run"), &request).await).await;
    let code = "import sys, os\nprint(sys.argv[1:], os.environ['E'])\ntry: input()\nexcept EOFError: print('eof')";
    let (status, answer) =
        run(json!({"code": code, "language": "python", "argv": ["a", "b c", "$(echo d)"], "envs": {"E": "1"}, "timeout": 20}))
            .await;
    assert_eq!(
        (status, answer),
        (200, json!({"exitCode": 0, "result": "['a', 'b', 'c', 'd'] 1\neof\n", "artifacts": {"charts": []}}))
    );
    assert_eq!(run(json!({"code": "console.log(6 * 7)", "language": "javascript"})).await.1["result"], "42\n");
    let (_, answer) = run(json!({"code": "raise ValueError('x')", "language": "python"})).await;
    assert!(answer["exitCode"] == 1 && answer["result"].as_str().unwrap().contains("ValueError: x"), "{answer}");
    assert_eq!(run(json!({"code": "1", "language": "cobol"})).await.0, 400);
    assert_eq!(run(json!({"code": "import time; time.sleep(60)", "language": "python", "timeout": 1})).await.0, 408);
    let chart = "print('dtn_artifact_k39fd2:{\"type\":\"chart\",\"value\":{\"title\":\"t\"}}'); print('text')";
    let (_, answer) = run(json!({"code": chart, "language": "python"})).await;
    assert_eq!((&answer["result"], &answer["artifacts"]), (&json!("text\n"), &json!({"charts": [{"title": "t"}]})));
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn a_session_keeps_its_directory_and_tells_the_streams_apart() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let at = format!("/toolbox/{id}/process/session");
    assert_eq!(setup.post(&at, &json!({"sessionId": "s1"})).await.status(), 201);
    assert_eq!(setup.post(&at, &json!({"sessionId": "s1"})).await.status(), 409);
    let exec = format!("{at}/s1/exec");
    setup.post(&exec, &json!({"command": "cd /tmp; export X=1"})).await;
    let (status, ran) =
        body(setup.post(&exec, &json!({"command": "pwd; echo $X; echo oops >&2; printf rest; (exit 7)"})).await).await;
    assert_eq!(status, 200);
    assert_eq!((&ran["stdout"], &ran["stderr"], &ran["exitCode"]), (&json!("/tmp\n1\nrest\n"), &json!("oops\n"), &json!(7)));
    let command = format!("{at}/s1/command/{}", ran["cmdId"].as_str().unwrap());
    assert_eq!(body(setup.get(&command).await).await.1["exitCode"], 7);
    let (_, logs) = body(setup.get(&format!("{command}/logs")).await).await;
    assert_eq!((&logs["stdout"], &logs["stderr"]), (&json!("/tmp\n1\nrest\n"), &json!("oops\n")));
    assert!(logs["output"].as_str().unwrap().contains("\u{1}\u{1}\u{1}/tmp\n"));

    // Without the version of the client the streams are merged, as text.
    let url = format!("{}{command}/logs", setup.daytona.url().trim_end_matches("/api"));
    use threadbox::secret::ExposeSecret;
    let plain = setup.http.get(url).bearer_auth(setup.daytona.key().expose_secret()).send().await.unwrap().text().await.unwrap();
    assert_eq!(plain.lines().collect::<std::collections::BTreeSet<_>>(), ["/tmp", "1", "oops", "rest"].into());

    assert_eq!(body(setup.get(&format!("{at}/s1")).await).await.1["commands"].as_array().unwrap().len(), 2);
    assert_eq!(body(setup.get(&at).await).await.1[0]["sessionId"], "s1");
    assert_eq!(setup.post(&exec, &json!({"command": " "})).await.status(), 400);
    assert_eq!(setup.post(&format!("{at}/none/exec"), &json!({"command": "true"})).await.status(), 404);
    assert_eq!(setup.delete(&format!("{at}/s1")).await.status(), 204);
    assert_eq!(setup.get(&format!("{at}/s1")).await.status(), 404);
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn commands_of_a_session_wait_for_each_other_and_take_input() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let at = format!("/toolbox/{id}/process/session");
    setup.post(&at, &json!({"sessionId": "s"})).await;
    let (status, first) =
        body(setup.post(&format!("{at}/s/exec"), &json!({"command": "read name; echo hello $name", "runAsync": true})).await)
            .await;
    assert_eq!((status, &first["exitCode"]), (202, &Value::Null));
    let first = format!("{at}/s/command/{}", first["cmdId"].as_str().unwrap());
    assert!(body(setup.get(&first).await).await.1.get("exitCode").is_none(), "it runs");
    let second = setup.request(Method::POST, &format!("{at}/s/exec")).json(&json!({"command": "echo second"}));
    let mut second = tokio::spawn(second.send());
    assert!(timeout(std::time::Duration::from_millis(200), &mut second).await.is_err(), "it waits for the first");
    assert_eq!(setup.post(&format!("{first}/input"), &json!({"data": "Maya"})).await.status(), 204);
    assert_eq!(body(second.await.unwrap().unwrap()).await.1["stdout"], "second\n");
    assert_eq!(body(setup.get(&format!("{first}/logs")).await).await.1["stdout"], "Maya\nhello Maya\n", "input is echoed");
    assert_eq!(refused(setup.post(&format!("{first}/input"), &json!({"data": "x"})).await).await.0, 410);
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn exit_kills_a_session_and_its_status_never_comes() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let at = format!("/toolbox/{id}/process/session");
    setup.post(&at, &json!({"sessionId": "s"})).await;
    let (_, ran) = body(setup.post(&format!("{at}/s/exec"), &json!({"command": "exit 3", "runAsync": true})).await).await;
    setup.sh(&id, "while pgrep -f toolbox-sessions >/dev/null; do sleep 0.01; done; sleep 0.2").await;
    let command = format!("{at}/s/command/{}", ran["cmdId"].as_str().unwrap());
    assert!(body(setup.get(&command).await).await.1.get("exitCode").is_none());
    assert_eq!(setup.post(&format!("{at}/s/exec"), &json!({"command": "true"})).await.status(), 500, "broken pipe");
    assert_eq!(setup.get(&format!("{at}/s")).await.status(), 200);
    assert_eq!(setup.delete(&format!("{at}/s")).await.status(), 204);
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn old_daemons_lack_routes_and_words() {
    let setup = old().await;
    let id = setup.sandbox().await;
    let at = format!("/toolbox/{id}");
    assert_eq!(body(setup.get(&format!("{at}/version")).await).await.1, json!({"version": "0.190.0"}));
    assert_eq!(body(setup.get(&format!("{at}/files/info?path=none")).await).await, (404, Value::String(String::new())));
    assert_eq!(body(setup.post(&format!("{at}/env"), &json!({"set": {}})).await).await, (404, json!("404 page not found")));
    assert_eq!(setup.post(&format!("{at}/process/session/none/exec"), &json!({"command": "true"})).await.status(), 500);
    let (status, timed_out) =
        body(setup.post(&format!("{at}/process/execute"), &json!({"command": "sleep 9", "timeout": 1})).await).await;
    assert_eq!((status, &timed_out["code"]), (408, &json!("REQUEST_TIMEOUT")));
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn the_daemon_knows_its_directories_ports_and_variables() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let at = format!("/toolbox/{id}");
    assert_eq!(body(setup.get(&format!("{at}/work-dir")).await).await.1, json!({"dir": "/workspace"}));
    assert_eq!(body(setup.get(&format!("{at}/user-home-dir")).await).await.1, json!({"dir": "/workspace"}));
    assert_eq!(setup.sh(&id, "echo ~").await, "/workspace\n");
    assert_eq!(setup.get(&format!("{at}/port/80/in-use")).await.status(), 400);
    let serve = "echo '<h1>hello</h1>' > index.html; setsid python3 -m http.server 8000 </dev/null >/dev/null 2>&1 & \
                 while ! (: </dev/tcp/127.0.0.1/8000) 2>/dev/null; do sleep 0.02; done";
    setup.sh(&id, serve).await;
    assert_eq!(body(setup.get(&format!("{at}/port/8000/in-use")).await).await.1, json!({"isInUse": true}));
    assert_eq!(body(setup.get(&format!("{at}/port")).await).await.1, json!({"ports": [8000]}));
    let (_, preview) =
        body(setup.get(&format!("/api/sandbox/{id}/ports/8000/signed-preview-url?expiresInSeconds=60")).await).await;
    let page = setup.http.get(preview["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(page.text().await.unwrap(), "<h1>hello</h1>\n");
    let forged = preview["url"].as_str().unwrap().replace("8000-", "8000-x");
    assert_eq!(setup.http.get(forged).send().await.unwrap().status(), 403);
    assert_eq!(setup.post(&format!("{at}/env"), &json!({"set": {"NEW": "1"}, "unset": ["LANG"]})).await.status(), 204);
    assert_eq!(setup.sh(&id, "echo $NEW$LANG").await, "1\n");
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn output_of_a_session_is_followed_through_a_web_socket() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let at = format!("/toolbox/{id}/process/session");
    setup.post(&at, &json!({"sessionId": "s"})).await;
    let (_, ran) =
        body(setup.post(&format!("{at}/s/exec"), &json!({"command": "echo one; echo two >&2", "runAsync": true})).await).await;
    let path = format!("{at}/s/command/{}/logs?follow=true", ran["cmdId"].as_str().unwrap());
    let request = setup
        .request(Method::GET, &path)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let upgraded = request.send().await.unwrap();
    assert_eq!(upgraded.status(), 101);
    let mut stream = upgraded.upgrade().await.unwrap();
    let mut received = Vec::new();
    timeout(LIMIT, tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut received)).await.unwrap().unwrap();
    let contains = |part: &[u8]| received.windows(part.len()).any(|window| window == part);
    assert!(contains(b"\x01\x01\x01one\n") && contains(b"\x02\x02\x02two\n"), "{received:?}");
    assert!(received.ends_with(&[0x88, 2, 0x03, 0xe8]), "closed with 1000: {received:?}");
    setup.daytona.shut_down().await;
}

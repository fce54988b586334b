//! Programs that go on in the background.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::place::Thread;

/// Looks at a process until it is as it should be.
async fn until(thread: &Thread, name: &str, fine: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let seen = thread.good("readProcess", json!({ "name": name, "stdoutFrom": 0 })).await;
        if fine(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "{seen}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub async fn a_process_is_started_read_and_stopped(thread: &Thread) {
    thread.own.create_directory("sub").await.unwrap();
    let command = "echo ready in $(pwd) $A; echo warn >&2; while [ ! -e go ]; do sleep 0.05; done; echo went; sleep 600";
    let started = thread
        .good(
            "startProcess",
            json!({ "command": command, "name": "web", "workingDirectory": "sub", "envs": { "A": "ä b" }, "waitFor": "^ready" }),
        )
        .await;
    let first = format!("ready in {} ä b\n", thread.path("sub"));
    assert_eq!(
        (&started["name"], &started["state"], &started["stdout"], &started["found"]),
        (&json!("web"), &json!("running"), &json!(first), &json!(true))
    );
    assert_eq!(thread.own.processes().await.unwrap(), ["web"]);
    // Only what is new since the last reading, by its name or as the only one.
    thread.own.write("sub/go", b"").await.unwrap();
    let read = thread.good("readProcess", json!({ "waitFor": "went" })).await;
    assert_eq!((&read["name"], &read["stdout"], &read["found"]), (&json!("web"), &json!("went\n"), &json!(true)));
    let nothing = thread.good("readProcess", json!({ "name": "web" })).await;
    assert_eq!((&nothing["stdout"], &nothing["stderr"], &nothing["state"]), (&json!(""), &json!(""), &json!("running")));
    let whole = thread.good("readProcess", json!({ "name": "web", "stdoutFrom": 0, "stderrFrom": 2 })).await;
    assert_eq!((&whole["stdout"], &whole["stderr"]), (&json!(format!("{first}went\n")), &json!("rn\n")));
    assert_eq!(whole["next"], json!({ "stdout": first.len() + 5, "stderr": 5 }));
    let stopped = thread.good("stopProcess", json!({ "name": "web" })).await;
    assert_eq!((&stopped["success"], &stopped["state"]), (&json!(true), &json!("ended")));
    assert!(stopped["exitCode"].as_i64().unwrap() > 128, "{stopped}");
    // Stopping again is fine, and its name can be used again.
    thread.good("stopProcess", json!({ "name": "web" })).await;
    let again = thread
        .good("startProcess", json!({ "command": "echo second; exit 3", "name": "web", "waitSeconds": 20, "waitFor": "second" }))
        .await;
    assert_eq!(again["stdout"], "second\n");
    assert_eq!(until(thread, "web", |seen| seen["state"] == "ended").await["exitCode"], 3);
}

pub async fn reading_waits_for_output_and_ends(thread: &Thread) {
    let line =
        "while [ ! -e go ]; do sleep 0.05; done; printf '\\303'; while [ ! -e on ]; do sleep 0.05; done; printf '\\244 end\\n'";
    let started = thread.good("startProcess", json!({ "command": line, "waitSeconds": 0 })).await;
    assert_eq!((&started["name"], &started["state"], &started["stdout"]), (&json!("while"), &json!("running"), &json!("")));
    let began = Instant::now();
    let nothing = thread.good("readProcess", json!({ "waitSeconds": 0.3 })).await;
    assert!(nothing["stdout"] == "" && began.elapsed() >= Duration::from_millis(250));
    thread.own.write("go", b"").await.unwrap();
    thread.own.write("on", b"").await.unwrap();
    let first = thread.good("readProcess", json!({ "waitFor": "end" })).await;
    assert_eq!((&first["stdout"], &first["found"]), (&json!("ä end\n"), &json!(true)));
    let began = Instant::now();
    let ended = thread.good("readProcess", json!({ "waitSeconds": 60, "waitFor": "never" })).await;
    assert_eq!((&ended["state"], &ended["exitCode"], &ended["found"]), (&json!("ended"), &json!(0), &json!(false)));
    assert!(began.elapsed() < Duration::from_secs(30), "it waited for what has ended");
}

pub async fn too_much_output_is_caught_up_with(thread: &Thread) {
    let line = "i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done; echo last; sleep 600";
    let started =
        thread.good("startProcess", json!({ "command": line, "name": "noisy", "waitFor": "^last", "waitSeconds": 60 })).await;
    assert_eq!(started["found"], true, "{started}");
    let whole: usize = (0..30000).map(|line: u32| format!("line {line}\n").len()).sum::<usize>() + 5;
    assert_eq!(started["next"]["stdout"], json!(whole));
    let text = started["stdout"].as_str().unwrap();
    assert!(text.starts_with("line 0\n") && text.ends_with("last\n") && text.len() < 20_000, "{}", text.len());
    let omitted = started["omittedBytes"].as_u64().unwrap_or_default() + started["lostBytes"].as_u64().unwrap_or_default();
    assert!(omitted > 200_000, "{omitted}");
    // What is left out can be looked at, as far as it is kept.
    let part = thread.good("readProcess", json!({ "name": "noisy", "stdoutFrom": whole - 105 })).await;
    assert!(
        part["stdout"].as_str().unwrap().ends_with("line 29999\nlast\n") && part["stdout"].as_str().unwrap().len() == 105,
        "{part}"
    );
    thread.good("stopProcess", json!({ "name": "noisy", "graceSeconds": 0 })).await;
}

pub async fn a_process_outlives_commands_and_not_its_time(thread: &Thread) {
    let line = "trap 'echo asked; touch asked; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    thread.good("startProcess", json!({ "command": line, "name": "long", "waitFor": "up" })).await;
    thread.prints("true").await;
    let seen = thread.good("readProcess", json!({ "name": "long" })).await;
    assert_eq!(seen["state"], "running");
    let stopped = thread.good("stopProcess", json!({ "name": "long", "graceSeconds": 20 })).await;
    assert_eq!((&stopped["exitCode"], &stopped["stdout"]), (&json!(0), &json!("asked\n")), "{stopped}");
    // One that does not listen is killed, and what it started with it.
    let line = "trap '' TERM; (trap '' TERM; sleep 4220) & echo up; sleep 4220; sleep 4220";
    thread.good("startProcess", json!({ "command": line, "name": "deaf", "waitFor": "up" })).await;
    let stopped = thread.good("stopProcess", json!({ "name": "deaf", "graceSeconds": 1 })).await;
    assert_eq!((&stopped["state"], &stopped["exitCode"]), (&json!("ended"), &json!(137)), "{stopped}");
    thread.good("startProcess", json!({ "command": "echo up; sleep 4221", "name": "brief", "lifetimeSeconds": 1 })).await;
    let over = until(thread, "brief", |seen| seen["state"] == "ended").await;
    // Some ask first, some do not.
    assert!(over["exitCode"] == 137 || over["exitCode"] == 143, "{over}");
    assert_eq!(over["killed"], "its time was over");
}

pub async fn what_is_wrong_with_a_process_is_said(thread: &Thread) {
    assert!(thread.bad("readProcess", json!({})).await.contains("no process was started"));
    assert!(thread.bad("readProcess", json!({ "name": "x" })).await.contains("there is no process `x`; none was started"));
    assert!(thread.bad("stopProcess", json!({ "name": "x" })).await.contains("there is no process `x`"));
    assert!(thread.bad("startProcess", json!({ "command": "true", "name": "../x" })).await.contains("cannot be the name"));
    assert!(thread.bad("startProcess", json!({ "command": " " })).await.contains("command is empty"));
    assert!(thread.bad("startProcess", json!({ "command": "true", "waitFor": "(" })).await.contains("not a regular expression"));
    let failed =
        thread.good("startProcess", json!({ "command": "no-such-program-here", "name": "gone", "waitFor": "not found" })).await;
    assert!(failed["stderr"].as_str().unwrap().contains("not found"), "{failed}");
    assert_eq!(until(thread, "gone", |seen| seen["state"] == "ended").await["exitCode"], 127);
    thread.good("startProcess", json!({ "command": "sleep 600", "name": "one", "waitSeconds": 0 })).await;
    let taken = thread.bad("startProcess", json!({ "command": "sleep 600", "name": "one" })).await;
    assert!(taken.contains("one"), "{taken}");
    let several = thread.bad("readProcess", json!({})).await;
    assert!(several.contains("give name: gone, one"), "{several}");
    assert!(thread.bad("readProcess", json!({ "name": "two" })).await.contains("there is gone, one"));
    thread.good("stopProcess", json!({ "name": "one", "graceSeconds": 0 })).await;
}

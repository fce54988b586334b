//! How commands run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use threadbox::sandbox::{Exec, Killed, Language, Listener, SandboxError, Stream};
use tokio_util::sync::CancellationToken;

use super::place::{Thread, code, shell};

pub async fn streams_are_apart_and_input_is_closed(thread: &Thread) {
    let ran = thread.sh("echo out; echo err >&2; cat; echo -n end").await;
    assert_eq!((ran.exit_code, ran.killed), (0, None));
    assert_eq!((ran.stdout.text().as_str(), ran.stderr.text().as_str()), ("out\nend", "err\n"));
    assert_eq!((ran.stdout.omitted, ran.stderr.omitted), (0, 0));
    let program = "import sys; print(repr(sys.stdin.read())); print('e', file=sys.stderr)";
    let ran = thread.own.exec(code(Language::Python, program, &[]), &thread.cancel).await.unwrap();
    assert_eq!((ran.stdout.text().as_str(), ran.stderr.text().as_str()), ("''\n", "e\n"));
    let quiet = thread.sh("true").await;
    assert_eq!((quiet.stdout.bytes.len(), quiet.stderr.bytes.len(), quiet.exit_code), (0, 0, 0));
}

pub async fn the_exit_code_is_what_the_shell_would_say(thread: &Thread) {
    for (line, exit_code) in
        [("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("no-such-program-here", 127)]
    {
        let ran = thread.sh(line).await;
        assert_eq!((ran.exit_code, ran.killed), (exit_code, None), "{line}");
    }
    let ran = thread.own.exec(code(Language::Python, "import os; os.abort()", &[]), &thread.cancel).await.unwrap();
    assert_eq!(ran.exit_code, 134);
    let ran = thread.own.exec(code(Language::Python, "raise SystemExit(7)", &[]), &thread.cancel).await.unwrap();
    assert_eq!(ran.exit_code, 7);
}

/// How many of the sandbox's processes have this in their command line.
async fn alive(thread: &Thread, mark: &str) -> usize {
    // The bracket keeps the search from finding itself.
    let (first, rest) = mark.split_at(1);
    let line = format!("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o '[{first}]{rest}' | wc -l");
    thread.prints(&line).await.trim().parse().unwrap()
}

pub async fn a_timeout_ends_everything_and_keeps_what_was_printed(thread: &Thread) {
    let line = "echo begun; echo so far >&2; (trap '' TERM; sleep 4217) & sleep 4217; echo never";
    let began = Instant::now();
    let exec = Exec { timeout: Duration::from_millis(1500), ..shell(line) };
    let ran = thread.own.exec(exec, &thread.cancel).await.unwrap();
    assert_eq!((ran.exit_code, ran.killed), (137, Some(Killed::Timeout)));
    assert_eq!((ran.stdout.text().as_str(), ran.stderr.text().as_str()), ("begun\n", "so far\n"));
    assert!(ran.duration >= Duration::from_millis(1400) && began.elapsed() < Duration::from_secs(30), "{:?}", ran.duration);
    assert_eq!(alive(thread, "4217").await, 0);
}

pub async fn cancelling_ends_everything_and_keeps_what_was_printed(thread: &Thread) {
    let cancel = CancellationToken::new();
    let running = thread.own.exec(shell("echo begun; touch begun; sleep 4218; echo never"), &cancel);
    let stopping = async {
        let deadline = Instant::now() + Duration::from_secs(30);
        while thread.own.info("begun").await.is_err() {
            assert!(Instant::now() < deadline, "it did not begin");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cancel.cancel();
    };
    let (ran, ()) = tokio::join!(running, stopping);
    let ran = ran.unwrap();
    assert_eq!((ran.exit_code, ran.killed, ran.stdout.text().as_str()), (137, Some(Killed::Cancelled), "begun\n"));
    assert_eq!(alive(thread, "4218").await, 0);
}

pub async fn nothing_survives_a_command(thread: &Thread) {
    let began = Instant::now();
    let line = "sleep 4219 & nohup setsid sleep 4219 >/dev/null 2>&1 & (setsid sh -c 'sleep 4219; touch survived' &) ; echo done";
    let ran = thread.sh(line).await;
    assert_eq!((ran.exit_code, ran.stdout.text().as_str()), (0, "done\n"));
    assert!(began.elapsed() < Duration::from_secs(20), "it waited for what it started");
    assert_eq!(alive(thread, "4219").await, 0);
}

pub async fn arguments_and_variables_arrive_as_they_are(thread: &Thread) {
    let given = [
        "a b",
        "",
        "$(id) `id` $HOME",
        "'single' \"double\" \\back\\",
        "*",
        "line\nbreak\ttab",
        "äöü 日本 😀",
        "-n",
        "--",
        "%s!;&|<>#~",
    ];
    let program = "import sys, json, os; print(json.dumps([sys.argv[1:], os.environ['GIVEN']]))";
    let mut exec = code(Language::Python, program, &given);
    exec.env = BTreeMap::from([("GIVEN".to_owned(), given.join("|"))]);
    let ran = thread.own.exec(exec, &thread.cancel).await.unwrap();
    assert_eq!(ran.exit_code, 0, "{}", ran.stderr.text());
    let (arguments, variable): (Vec<String>, String) = serde_json::from_str(&ran.stdout.text()).unwrap();
    assert_eq!((arguments, variable), (given.map(str::to_owned).to_vec(), given.join("|")));
    let ran = thread.own.exec(code(Language::Shell, "printf '<%s>' \"$@\"", &given), &thread.cancel).await.unwrap();
    assert_eq!(ran.stdout.text(), given.map(|argument| format!("<{argument}>")).concat());
    let mut exec = shell("printf '%s' \"$GIVEN\"");
    exec.env = BTreeMap::from([("GIVEN".to_owned(), given.join("|"))]);
    assert_eq!(thread.own.exec(exec, &thread.cancel).await.unwrap().stdout.text(), given.join("|"));
}

pub async fn long_programs_run(thread: &Thread) {
    let filling = "# äfilling\n".repeat(16 << 10);
    for (language, last) in [(Language::Python, "print('end', '€')"), (Language::Shell, "echo end €")] {
        let ran = thread.own.exec(code(language, &format!("{filling}{last}\n"), &[]), &thread.cancel).await.unwrap();
        assert_eq!((ran.exit_code, ran.stdout.text().as_str()), (0, "end €\n"), "{language:?}: {}", ran.stderr.text());
    }
    let ran = thread.sh(&format!(": '{}'\necho end", "x".repeat(120 << 10))).await;
    assert_eq!((ran.exit_code, ran.stdout.text().as_str()), (0, "end\n"), "{}", ran.stderr.text());
}

pub async fn long_output_loses_its_middle(thread: &Thread) {
    let exec = Exec {
        output_limit: 4096,
        ..shell("echo first; i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo last; echo err >&2")
    };
    let ran = thread.own.exec(exec, &thread.cancel).await.unwrap();
    let text = ran.stdout.text();
    assert!(text.starts_with("first\nline 0\n") && text.ends_with("line 19999\nlast\n"), "{text}");
    assert!(ran.stdout.bytes.len() <= 4096 && ran.stdout.omitted > 100_000, "{} {}", ran.stdout.bytes.len(), ran.stdout.omitted);
    assert_eq!((ran.stderr.text().as_str(), ran.stderr.omitted), ("err\n", 0));
    let whole: u64 = (0..20000).map(|line: u64| format!("line {line}\n").len() as u64).sum::<u64>() + 11;
    let kept = whole - ran.stdout.omitted;
    assert!(kept <= 4096 && kept > 3000, "{kept} bytes were kept");
}

pub async fn output_may_be_any_bytes(thread: &Thread) {
    let ran = thread.sh("printf '\\377\\000\\r\\nx\\001\\002'; printf '\\303\\244' >&2").await;
    assert_eq!((&ran.stdout.bytes[..], &ran.stderr.bytes[..]), (&b"\xff\0\r\nx\x01\x02"[..], "ä".as_bytes()));
}

pub async fn a_command_works_where_it_is_told(thread: &Thread) {
    thread.own.create_directory("sub/ä b").await.unwrap();
    assert_eq!(thread.prints("pwd").await, format!("{}\n", thread.own.workspace()));
    for directory in ["sub/ä b", "./sub/ä b/", &thread.path("sub/ä b")] {
        let exec = Exec { working_directory: Some(directory.to_owned()), ..shell("pwd") };
        let ran = thread.own.exec(exec, &thread.cancel).await.unwrap();
        assert_eq!(ran.stdout.text(), format!("{}\n", thread.path("sub/ä b")), "{directory}");
    }
    let exec = Exec { working_directory: Some("nowhere".to_owned()), ..shell("echo ran") };
    let refused = thread.own.exec(exec, &thread.cancel).await;
    assert!(matches!(&refused, Err(SandboxError::Invalid(why)) if why.contains("nowhere")), "{refused:?}");
}

pub async fn a_listener_hears_while_it_runs(thread: &Thread) {
    let heard = Arc::new(Mutex::new(Vec::<(Stream, Vec<u8>)>::new()));
    let ear = Arc::clone(&heard);
    let listener = Listener::new(move |stream, bytes| ear.lock().unwrap().push((stream, bytes.to_vec())));
    let all = |wanted: Stream| -> Vec<u8> {
        heard.lock().unwrap().iter().filter(|(stream, _)| *stream == wanted).flat_map(|(_, bytes)| bytes.clone()).collect()
    };
    // It goes on only when what it printed was heard.
    let line = "echo one; echo two >&2; while [ ! -e go ]; do sleep 0.05; done; echo three";
    let running = thread.own.exec(Exec { listener: Some(listener), ..shell(line) }, &thread.cancel);
    let hearing = async {
        let deadline = Instant::now() + Duration::from_secs(30);
        while all(Stream::Stdout) != b"one\n" || all(Stream::Stderr) != b"two\n" {
            assert!(Instant::now() < deadline, "only {:?} was heard", heard.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        thread.own.write("go", b"").await.unwrap();
    };
    let (ran, ()) = tokio::join!(running, hearing);
    assert_eq!(ran.unwrap().stdout.text(), "one\nthree\n");
}

pub async fn a_key_makes_it_happen_once_where_commands_outlive_us(thread: &Thread) {
    let exec = || Exec { key: Some("call-ä/1".to_owned()), ..shell("echo x >>ran; echo out; echo err >&2; exit 3") };
    for _ in 0..2 {
        let ran = thread.own.exec(exec(), &thread.cancel).await.unwrap();
        assert_eq!((ran.exit_code, ran.stdout.text().as_str(), ran.stderr.text().as_str()), (3, "out\n", "err\n"));
    }
    let times = if thread.own.rejoins() { 1 } else { 2 };
    assert_eq!(thread.content("ran").await, "x\n".repeat(times));
}

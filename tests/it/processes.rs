//! Programs in the background of a local sandbox, through the real helper.

use std::time::{Duration, Instant};

use threadbox::sandbox::local::{LocalConfig, LocalProvider};
use threadbox::sandbox::proxy::{Egress, Policy, Resolver};
use threadbox::sandbox::{
    Command, Exec, Killed, Language, Offsets, ProcessReport, ProcessState, Provider, Sandbox, SandboxError, SandboxSpec,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::sandbox::{config, exec, host_processes_with, machine, sh};

const GRACE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);

fn line(line: &str) -> Exec {
    exec(Command::Shell(line.to_owned()))
}

async fn all(sandbox: &dyn Sandbox, name: &str) -> ProcessReport {
    sandbox.process(name, Offsets::default(), 1 << 20).await.unwrap()
}

/// Waits until a report is as it should be.
async fn until(sandbox: &dyn Sandbox, name: &str, fits: impl Fn(&ProcessReport) -> bool) -> ProcessReport {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let report = all(sandbox, name).await;
        if fits(&report) || Instant::now() > deadline {
            assert!(fits(&report), "{report:?}");
            return report;
        }
        tokio::task::yield_now().await;
    }
}

/// Seconds to sleep that nobody else sleeps, also when this test runs twice at a time.
fn mark(number: u32) -> String {
    format!("600.{}{number:03}", std::process::id())
}

fn ended(report: &ProcessReport) -> bool {
    matches!(report.state, ProcessState::Ended { .. })
}

/// Fetches until the server listens.
fn fetch(port: u16) -> String {
    format!(
        "python3 - <<'EOF'\nimport time, urllib.request\nfor attempt in range(200):\n    try:\n        print(urllib.request.urlopen('http://127.0.0.1:{port}/hello.txt', timeout=5).read().decode()); break\n    except OSError as error:\n        time.sleep(0.05)\nelse:\n    print('nobody answers')\nEOF"
    )
}

#[tokio::test]
async fn a_server_is_reached_from_other_commands_of_its_sandbox_alone() {
    let machine = machine();
    let (sandbox, other) = (machine.sandbox("server").await, machine.sandbox("neighbour").await);
    sandbox.write("hello.txt", b"served").await.unwrap();
    sandbox.start("web", line("exec python3 -u -m http.server 8000")).await.unwrap();
    let fetched = sh(&*sandbox, &fetch(8000)).await;
    assert_eq!(fetched.stdout.text(), "served\n", "{}", fetched.stderr.text());

    // A second one in the same network, and a neighbour with a server on the same port of its own.
    sandbox.start("web2", line("exec python3 -u -m http.server 8001")).await.unwrap();
    assert_eq!(sh(&*sandbox, &fetch(8001)).await.stdout.text(), "served\n");
    let foreign = "python3 -c \"import socket; socket.create_connection(('127.0.0.1', 8000), 2)\"; echo $?";
    assert_eq!(sh(&*other, foreign).await.stdout.text(), "1\n");
    other.write("hello.txt", b"of the neighbour").await.unwrap();
    other.start("web", line("exec python3 -u -m http.server 8000")).await.unwrap();
    assert_eq!(sh(&*other, &fetch(8000)).await.stdout.text(), "of the neighbour\n");
    assert_eq!(sh(&*sandbox, &fetch(8000)).await.stdout.text(), "served\n");

    // What it printed is read on from where the last reading ended.
    let first = until(&*sandbox, "web", |report| String::from_utf8_lossy(&report.stderr).contains("GET /hello.txt")).await;
    assert_eq!((first.state, first.from), (ProcessState::Running, Offsets::default()));
    let next = sandbox.process("web", first.next, 1 << 20).await.unwrap();
    assert_eq!((next.from, next.stdout.len()), (first.next, 0));
    let few = sandbox.process("web", Offsets::default(), 7).await.unwrap();
    assert_eq!((&few.stdout[..], few.next.stdout), (&b"Serving"[..], 7));

    assert_eq!(sandbox.processes().await.unwrap(), ["web", "web2"]);
    sandbox.stop("web", GRACE).await.unwrap();
    sandbox.stop("web", GRACE).await.unwrap();
    let report = all(&*sandbox, "web").await;
    assert!(matches!(report.state, ProcessState::Ended { exit_code: 143, killed: Some(Killed::Cancelled) }), "{report:?}");
    assert_eq!(sh(&*sandbox, foreign).await.stdout.text(), "1\n");
    sandbox.stop("web2", GRACE).await.unwrap();
    other.stop("web", GRACE).await.unwrap();
    // With nothing in the background a command is alone again.
    assert_eq!(
        sh(&*sandbox, "python3 -c \"import socket; socket.create_server(('127.0.0.1', 8000)); print('free')\"")
            .await
            .stdout
            .text(),
        "free\n"
    );
}

#[tokio::test]
async fn the_walls_stand_around_what_shares_a_network() {
    let machine = machine();
    let sandbox = machine.sandbox("joined").await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let attack = format!(
        "grep -E '^(Cap|NoNewPrivs)' /proc/self/status; ls -d /proc/[0-9]* | wc -l; ls -l /proc/self/fd | grep -c -E 'net:|user:'; \
         mount -t tmpfs x /tmp; echo mount $?; unshare -Ur true; echo userns $?; unshare -n true; echo netns $?; \
         ip link set lo down; echo ip $?; ifconfig lo down; echo ifconfig $?; \
         python3 -c \"import socket; socket.create_connection(('127.0.0.1', {}), 2)\"; echo host $?; \
         python3 -c \"import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\"; echo raw $?; \
         cat /proc/sys/user/max_user_namespaces; id -u; kill -9 -1; echo here",
        listener.local_addr().unwrap().port()
    );
    sandbox.start("quiet", line("exec sleep 600")).await.unwrap();
    sandbox.start("attacker", line(&attack)).await.unwrap();
    let inside = until(&*sandbox, "attacker", ended).await;
    let beside = sh(&*sandbox, &attack).await;
    for text in [String::from_utf8_lossy(&inside.stdout).into_owned(), beside.stdout.text()] {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert!(text.contains(&format!("{set}:\t0000000000000000")), "{text}");
        }
        assert!(text.contains("NoNewPrivs:\t1") && text.contains("\n1000\n"), "{text}");
        for attempt in ["mount", "userns", "netns", "ip", "ifconfig", "host", "raw"] {
            let result = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{attempt} ")))
                .unwrap_or_else(|| panic!("{attempt}: {text}"));
            assert_ne!(result, "0", "{attempt}: {text}");
        }
        let numbers: Vec<&str> = text.lines().filter(|line| line.trim().parse::<u32>().is_ok()).collect();
        assert!(numbers[0].trim().parse::<u32>().unwrap() < 8, "processes: {text}");
        assert_eq!((numbers[1], numbers[2]), ("0", "0"), "descriptors, then user namespaces: {text}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(all(&*sandbox, "quiet").await.state, ProcessState::Running, "nobody outside could end it");
    sandbox.stop("quiet", GRACE).await.unwrap();
}

/// One proxy serves all that share a network, and goes on when one of them ends.
#[tokio::test]
async fn the_way_out_is_there_for_programs_in_the_background_and_beside_them() {
    let root = tempfile::tempdir().unwrap();
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let serve = tokio::spawn(async move {
        while let Ok((mut stream, _)) = server.accept().await {
            let (mut request, mut seen) = ([0; 1024], Vec::new());
            while !seen.ends_with(b"\r\n\r\n") {
                match stream.read(&mut request).await {
                    Ok(count) if count > 0 => seen.extend_from_slice(&request[..count]),
                    _ => break,
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\noutside").await;
        }
    });
    let name = format!("site.test:{}", address.port());
    let rules = [name.clone(), address.to_string()].iter().map(|rule| rule.parse().unwrap()).collect();
    let resolver = Resolver::new(move |_| Box::pin(async move { Ok(vec![address.ip()]) }));
    let network = Policy::new(Egress::Allow(rules)).with_resolver(resolver);
    let provider = LocalProvider::new(LocalConfig { network, ..config(root.path()) }).unwrap();
    let sandbox = provider.create(SandboxSpec::default()).await.unwrap();
    let fetch = format!(
        "python3 -c \"import urllib.request; print(urllib.request.urlopen('http://{name}/', timeout=20).read().decode())\""
    );
    assert_eq!(sh(&*sandbox, &fetch).await.stdout.text(), "outside\n", "alone");
    sandbox.start("first", line(&format!("{fetch}; exec sleep 600"))).await.unwrap();
    sandbox.start("second", line(&format!("{fetch}; exec sleep 600"))).await.unwrap();
    for name in ["first", "second"] {
        let report = until(&*sandbox, name, |report| !report.stdout.is_empty() || ended(report)).await;
        assert_eq!(&report.stdout[..], b"outside\n", "{report:?}");
    }
    let beside = sh(&*sandbox, &fetch).await;
    assert_eq!(beside.stdout.text(), "outside\n", "{}", beside.stderr.text());
    sandbox.stop("first", GRACE).await.unwrap();
    assert_eq!(sh(&*sandbox, &fetch).await.stdout.text(), "outside\n");
    sandbox.stop("second", GRACE).await.unwrap();
    assert_eq!(sh(&*sandbox, &fetch).await.stdout.text(), "outside\n", "alone again");
    serve.abort();
}

#[tokio::test]
async fn stopping_asks_everything_inside_and_then_kills() {
    let machine = machine();
    let sandbox = machine.sandbox("stop").await;
    let polite = "trap 'echo bye; exit 0' TERM; (trap 'echo child >asked; exit' TERM; echo >ready; while :; do sleep 0.01; done) & \
                  while :; do sleep 0.02; done";
    sandbox.start("polite", line(polite)).await.unwrap();
    while sandbox.info("ready").await.is_err() {
        tokio::task::yield_now().await;
    }
    sandbox.stop("polite", GRACE).await.unwrap();
    let report = all(&*sandbox, "polite").await;
    assert_eq!(report.state, ProcessState::Ended { exit_code: 0, killed: None }, "{report:?}");
    assert_eq!(&report.stdout[..], b"bye\n");

    let mark = mark(1);
    let stubborn = format!("trap '' TERM; setsid sh -c 'exec sleep {mark}' & echo begun; sleep {mark}; sleep {mark}");
    sandbox.start("stubborn", line(&stubborn)).await.unwrap();
    until(&*sandbox, "stubborn", |report| !report.stdout.is_empty()).await;
    let asked = Instant::now();
    sandbox.stop("stubborn", Duration::from_millis(300)).await.unwrap();
    assert!(asked.elapsed() < GRACE, "{:?}", asked.elapsed());
    let report = all(&*sandbox, "stubborn").await;
    assert_eq!(report.state, ProcessState::Ended { exit_code: 137, killed: Some(Killed::Cancelled) });
    assert_eq!(host_processes_with(&mark), 0);
    assert!(matches!(sandbox.stop("unknown", GRACE).await, Err(SandboxError::NotFound(_))));
}

#[tokio::test]
async fn a_name_is_used_once_at_a_time_and_time_ends_a_program() {
    let machine = machine();
    let sandbox = machine.sandbox("names").await;
    let mark = mark(2);
    let short = Exec { timeout: Duration::from_millis(700), ..line(&format!("echo before; sleep {mark}; echo after")) };
    sandbox.start("job", short).await.unwrap();
    let again = sandbox.start("job", line("true")).await.unwrap_err();
    assert!(matches!(&again, SandboxError::Invalid(text) if text.contains("`job` is running already")), "{again}");
    let report = until(&*sandbox, "job", ended).await;
    assert_eq!(report.state, ProcessState::Ended { exit_code: 137, killed: Some(Killed::Timeout) });
    assert_eq!(&report.stdout[..], b"before\n");
    assert_eq!(host_processes_with(&mark), 0);

    sandbox.start("job", line("echo out; echo err >&2; exit 3")).await.unwrap();
    let report = until(&*sandbox, "job", ended).await;
    assert_eq!(
        (report.state, &report.stdout[..], &report.stderr[..]),
        (ProcessState::Ended { exit_code: 3, killed: None }, &b"out\n"[..], &b"err\n"[..])
    );
    assert_eq!(sandbox.processes().await.unwrap(), ["job"]);
    assert!(matches!(sandbox.process("other", Offsets::default(), 1).await, Err(SandboxError::NotFound(_))));
    assert!(sandbox.start("", line("true")).await.is_err());

    let wrong = Exec { working_directory: Some("no/such".to_owned()), ..line("true") };
    let refused = sandbox.start("lost", wrong).await.unwrap_err();
    assert!(refused.to_string().contains("cannot work in /workspace/no/such"), "{refused}");
    assert_eq!(sandbox.processes().await.unwrap(), ["job"], "what never began has no name");
}

#[tokio::test]
async fn code_of_a_language_can_be_started_and_its_files_are_cleaned_up() {
    let machine = machine();
    let sandbox = machine.sandbox("code").await;
    let code = "import sys, pathlib\nprint('given', sys.argv[1])\nwhile not pathlib.Path('go').exists(): pass\nprint('done')";
    let command = Command::Code { language: Language::Python, code: code.to_owned(), argv: vec!["x y".to_owned()] };
    sandbox.start("script", exec(command)).await.unwrap();
    until(&*sandbox, "script", |report| &report.stdout[..] == b"given x y\n").await;
    assert!(sh(&*sandbox, "ls -d /tmp/.run-*").await.stdout.text().contains("/tmp/.run-"));
    sandbox.write("go", b"").await.unwrap();
    let report = until(&*sandbox, "script", ended).await;
    assert_eq!(
        (report.state, &report.stdout[..]),
        (ProcessState::Ended { exit_code: 0, killed: None }, &b"given x y\ndone\n"[..])
    );
    assert_eq!(sh(&*sandbox, "ls -d /tmp/.run-* 2>/dev/null | wc -l").await.stdout.text().trim(), "0");
}

#[tokio::test]
async fn output_is_kept_in_bounded_memory_and_what_is_lost_is_said() {
    let machine = machine();
    let sandbox = machine.sandbox("flood").await;
    let code = "import sys\nfor n in range(100_000): sys.stdout.write(f'{n:09}\\n')";
    let command = Command::Code { language: Language::Python, code: code.to_owned(), argv: Vec::new() };
    sandbox.start("flood", exec(command)).await.unwrap();
    let report = until(&*sandbox, "flood", ended).await;
    assert_eq!(report.next.stdout, 1_000_000);
    assert_eq!(report.from.stdout, 1_000_000 - (256 << 10));
    assert_eq!(report.stdout.len(), 256 << 10);
    let place = sandbox.process("flood", Offsets { stdout: 999_990, stderr: 0 }, 100).await.unwrap();
    assert_eq!((place.from.stdout, &place.stdout[..]), (999_990, &b"000099999\n"[..]));
}

#[tokio::test]
async fn there_are_only_so_many_and_they_go_with_their_sandbox() {
    let machine = machine();
    let sandbox = machine.sandbox("many").await;
    let mark = mark(3);
    let sleep = format!("exec sleep {mark}");
    for number in 0..8 {
        sandbox.start(&format!("p{number}"), line(&sleep)).await.unwrap();
    }
    let full = sandbox.start("p8", line("true")).await.unwrap_err();
    assert!(matches!(&full, SandboxError::Invalid(text) if text.contains("stop one of them first: p0, p1")), "{full}");
    sandbox.stop("p3", GRACE).await.unwrap();
    sandbox.start("p8", line(&sleep)).await.unwrap();
    assert_eq!(sandbox.processes().await.unwrap().len(), 9);
    machine.provider.remove(sandbox.id()).await.unwrap();
    assert_eq!(host_processes_with(&mark), 0);
}

#[tokio::test]
async fn after_a_restart_of_the_service_what_ran_is_lost_and_what_ended_is_known() {
    let machine = machine();
    let sandbox = machine.sandbox("restart").await;
    sandbox.start("ended", line("echo out; exit 4")).await.unwrap();
    until(&*sandbox, "ended", ended).await;
    let mark = mark(4);
    sandbox.start("running", line(&format!("echo begun; exec sleep {mark}"))).await.unwrap();
    until(&*sandbox, "running", |report| !report.stdout.is_empty()).await;
    let id = sandbox.id().clone();
    let machine = machine.restarted().await;
    assert_eq!(host_processes_with(&mark), 0);
    assert!(matches!(sandbox.start("late", line("true")).await, Err(SandboxError::Unavailable(_))), "its service has ended");

    let sandbox = machine.provider.find(&id).await.unwrap();
    assert_eq!(sandbox.processes().await.unwrap(), ["ended", "running"]);
    let lost = sandbox.process("running", Offsets { stdout: 3, stderr: 0 }, 100).await.unwrap();
    assert_eq!((lost.state, lost.next.stdout), (ProcessState::Lost, 3));
    let known = all(&*sandbox, "ended").await;
    assert_eq!((known.state, known.from.stdout), (ProcessState::Ended { exit_code: 4, killed: None }, 4));
    sandbox.stop("running", GRACE).await.unwrap();
    sandbox.start("running", line("echo again")).await.unwrap();
    assert_eq!(&until(&*sandbox, "running", ended).await.stdout[..], b"again\n");
}

#[tokio::test]
async fn a_dropped_provider_leaves_nothing_behind() {
    let machine = machine();
    let sandbox = machine.sandbox("dropped").await;
    let mark = mark(5);
    sandbox.start("sleeper", line(&format!("echo begun; exec sleep {mark}"))).await.unwrap();
    until(&*sandbox, "sleeper", |report| !report.stdout.is_empty()).await;
    drop(machine);
    let deadline = Instant::now() + PATIENCE;
    while host_processes_with(&mark) > 0 && Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    assert_eq!(host_processes_with(&mark), 0);
}

#[tokio::test]
async fn the_limits_of_a_command_are_those_of_a_program_in_the_background() {
    let machine = machine();
    let sandbox = machine.sandbox("memory").await;
    let greedy = "x = bytearray(200 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\nimport mmap\nm = mmap.mmap(-1, 1 << 30)\nfor i in range(0, 1 << 30, 4096): m[i] = 1";
    let command = Command::Code { language: Language::Python, code: greedy.to_owned(), argv: Vec::new() };
    sandbox.start("greedy", exec(command)).await.unwrap();
    let report = until(&*sandbox, "greedy", ended).await;
    assert!(matches!(report.state, ProcessState::Ended { killed: Some(Killed::MemoryLimit), .. }), "{report:?}");
    // The others go on.
    let ran = sandbox.exec(line("echo fine"), &CancellationToken::new()).await.unwrap();
    assert_eq!(ran.stdout.text(), "fine\n");
}

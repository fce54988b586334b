//! Sandboxes at Daytona, driven through the stand-in: what is run and written there, and what becomes of it when machines stop, vanish or
//! do not answer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use threadbox::clock::SystemClock;
use threadbox::sandbox::daytona::{Credential, DaytonaConfig, DaytonaProvider, Origin, Pace};
use threadbox::sandbox::{
    Command, Exec, Executed, Killed, Language, Listener, Offsets, ProcessState, Provider, Sandbox, SandboxError, SandboxSpec,
    Stream, WalkBounds,
};
use threadbox::settings::Network;
use threadbox::standin::daytona::{DaemonVersion, Daytona, Fault, Mischief, Options};
use tokio_util::sync::CancellationToken;

/// A stand-in and the directory of its machines.
struct Setup {
    daytona: Daytona,
    _root: tempfile::TempDir,
}

impl Setup {
    async fn new(daemon: DaemonVersion) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut options = Options::new(PathBuf::from(env!("CARGO_BIN_EXE_threadbox")), root.path().join("sandboxes"));
        options.daemon = daemon;
        options.disk_mb = 512;
        Self { daytona: Daytona::start(options).await.unwrap(), _root: root }
    }

    /// As a service that starts anew would have it.
    fn provider(&self) -> DaytonaProvider {
        let config = DaytonaConfig {
            api_url: self.daytona.url().parse().unwrap(),
            credential: Credential::Key(self.daytona.key()),
            target: None,
            origin: Origin::Default,
            network: Network::Full,
            idle_minutes: 60,
            ttl_minutes: None,
            pace: Pace {
                backoff: Duration::from_millis(10),
                poll: Duration::from_millis(10),
                silence: Duration::from_secs(2),
                ..Pace::default()
            },
        };
        DaytonaProvider::new(config, PathBuf::from(env!("CARGO_BIN_EXE_threadbox")), Arc::new(SystemClock)).unwrap()
    }

    async fn sandbox(&self) -> Arc<dyn Sandbox> {
        let env = [("OWN".to_owned(), "from spec".to_owned())].into();
        self.provider().create(SandboxSpec { name: Some("thread-7".to_owned()), env, ..SandboxSpec::default() }).await.unwrap()
    }

    /// Requests to the toolbox since the last time.
    fn toolbox_requests(&self, seen: &mut usize) -> Vec<String> {
        let all = self.daytona.requests();
        let new: Vec<_> = all[*seen..]
            .iter()
            .filter(|request| request.path.contains("/toolbox/"))
            .map(|request| request.path.clone())
            .collect();
        *seen = all.len();
        new
    }

    async fn end(self) {
        assert_eq!(self.daytona.violations(), Vec::<String>::new());
        self.daytona.shut_down().await;
    }
}

const VERSIONS: [DaemonVersion; 2] = [DaemonVersion::V0_190, DaemonVersion::Hosted];

fn shell(line: &str) -> Exec {
    Exec::shell(line, Duration::from_secs(60), 64 << 10)
}

async fn run(sandbox: &dyn Sandbox, exec: Exec) -> Executed {
    sandbox.exec(exec, &CancellationToken::new()).await.unwrap()
}

async fn sh(sandbox: &dyn Sandbox, line: &str) -> Executed {
    run(sandbox, shell(line)).await
}

/// Hears the first output.
fn first_word() -> (Listener, CancellationToken) {
    let heard = CancellationToken::new();
    let token = heard.clone();
    (Listener::new(move |_, _| token.cancel()), heard)
}

#[tokio::test]
async fn a_command_runs_with_its_streams_apart_in_one_round_trip() {
    for version in VERSIONS {
        let setup = Setup::new(version).await;
        let sandbox = setup.sandbox().await;
        let mut seen = 0;
        setup.toolbox_requests(&mut seen);
        let ran = sh(&*sandbox, "echo out; echo err >&2; echo $OWN; pwd; cat; set -e; false; echo not reached").await;
        assert_eq!((ran.exit_code, ran.killed, ran.stderr.text().as_str()), (1, None, "err\n"));
        assert_eq!(ran.stdout.text(), format!("out\nfrom spec\n{}\n", sandbox.workspace()));
        assert_eq!(setup.toolbox_requests(&mut seen).len(), 1);
        let ran = sh(&*sandbox, "printf '\\377\\000x'; kill -9 $$").await;
        assert_eq!((ran.exit_code, ran.stdout.bytes.as_slice()), (137, b"\xff\0x".as_slice()));
        setup.end().await;
    }
}

#[tokio::test]
async fn code_runs_in_its_language() {
    let setup = Setup::new(DaemonVersion::Hosted).await;
    let sandbox = setup.sandbox().await;
    let code = |language, code: &str| {
        let argv = vec!["$(id)".to_owned(), "a b".to_owned()];
        Exec::new(Command::Code { language, code: code.to_owned(), argv }, Duration::from_secs(60), 4096)
    };
    let ran = run(&*sandbox, code(Language::Python, "import sys; print(sys.argv[1:], repr(input.__name__))")).await;
    assert_eq!(ran.stdout.text(), "['$(id)', 'a b'] 'input'\n", "{}", ran.stderr.text());
    let ran = run(
        &*sandbox,
        code(Language::Typescript, "enum E { A = 5 }\nconst x: string[] = process.argv.slice(2); console.log(E.A, x)"),
    )
    .await;
    assert_eq!(ran.stdout.text(), "5 [ '$(id)', 'a b' ]\n", "{}", ran.stderr.text());
    let ran = run(&*sandbox, code(Language::Shell, "printf '<%s>' \"$@\"")).await;
    assert_eq!(ran.stdout.text(), "<$(id)><a b>");
    setup.end().await;
}

#[tokio::test]
async fn time_and_cancellation_end_a_command_with_all_it_started_and_keep_what_it_printed() {
    let setup = Setup::new(DaemonVersion::V0_190).await;
    let sandbox = setup.sandbox().await;
    let line = "echo begin; setsid sleep 987 & sleep 987; echo never";
    let ran = run(&*sandbox, Exec { timeout: Duration::from_secs(3), ..shell(line) }).await;
    assert_eq!((ran.exit_code, ran.killed, ran.stdout.text().as_str()), (137, Some(Killed::Timeout), "begin\n"));

    let (listener, cancel) = first_word();
    let ran = sandbox.exec(Exec { listener: Some(listener), ..shell(line) }, &cancel).await.unwrap();
    assert_eq!((ran.exit_code, ran.killed, ran.stdout.text().as_str()), (137, Some(Killed::Cancelled), "begin\n"));
    let left =
        sh(&*sandbox, "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -x 'sleep 987 '; done; true").await;
    assert_eq!(left.stdout.text(), "");
    setup.end().await;
}

#[tokio::test]
async fn a_command_goes_on_without_us_and_is_found_again_by_its_key() {
    let setup = Setup::new(DaemonVersion::Hosted).await;
    let first = setup.sandbox().await;
    assert!(first.rejoins());
    let exec = || Exec {
        key: Some("run 1/call 2".to_owned()),
        ..shell("echo ran >> count; echo begun; until [ -e gate ]; do sleep 0.05; done; echo done")
    };
    // The service dies while the command runs.
    let (listener, heard) = first_word();
    let dying = {
        let (first, exec) = (first.clone(), Exec { listener: Some(listener), ..exec() });
        tokio::spawn(async move { first.exec(exec, &CancellationToken::new()).await.map(drop) })
    };
    heard.cancelled().await;
    dying.abort();
    let provider = setup.provider();
    let second = provider.find(first.id()).await.unwrap();
    let again = {
        let second = second.clone();
        let exec = exec();
        tokio::spawn(async move { second.exec(exec, &CancellationToken::new()).await })
    };
    second.write("gate", b"").await.unwrap();
    let ran = again.await.unwrap().unwrap();
    assert_eq!((ran.exit_code, ran.stdout.text().as_str()), (0, "begun\ndone\n"));
    let once_more = run(&*second, exec()).await;
    assert_eq!((once_more.exit_code, once_more.stdout.text().as_str()), (0, "begun\ndone\n"));
    assert_eq!(second.read("count", 0, 100).await.unwrap().0, "ran\n");
    setup.end().await;
}

#[tokio::test]
async fn much_output_is_cut_in_the_middle_and_heard_meanwhile() {
    let setup = Setup::new(DaemonVersion::V0_190).await;
    let sandbox = setup.sandbox().await;
    let heard = Arc::new(Mutex::new(0u64));
    let listener = {
        let heard = heard.clone();
        Listener::new(move |stream, bytes| {
            assert_eq!(stream, Stream::Stdout);
            *heard.lock().unwrap() += bytes.len() as u64;
        })
    };
    let exec = Exec { listener: Some(listener), ..shell("printf begin; head -c 300000000 /dev/zero | tr '\\0' x; printf end") };
    let ran = run(&*sandbox, exec).await;
    let text = ran.stdout.text();
    assert_eq!((ran.exit_code, ran.killed), (0, None), "{}", ran.stderr.text());
    assert!(text.starts_with("beginx") && text.ends_with("xend") && text.len() <= 64 << 10);
    assert!(ran.stdout.omitted > 299_900_000);
    assert!(*heard.lock().unwrap() < 50_000_000);
    setup.end().await;
}

#[tokio::test]
async fn files_keep_their_bytes_and_names() {
    for version in VERSIONS {
        let setup = Setup::new(version).await;
        let sandbox = setup.sandbox().await;
        let big: Vec<u8> = (0..2_000_000u32).flat_map(|number| [number as u8, (number >> 8) as u8]).collect();
        let files: Vec<(String, Bytes)> = [
            ("a b/ü 'q' \"d\" $(x) +%2F.txt", b"\0\xff\r\n--x".as_slice()),
            ("-rf", b""),
            ("big", &big),
            ("/tmp/shared", b"tmp"),
        ]
        .map(|(path, content)| (path.to_owned(), Bytes::copy_from_slice(content)))
        .to_vec();
        sandbox.write_many(&files).await.unwrap();
        let missing = ["missing", "../etc/passwd", "a b"].map(str::to_owned);
        let paths: Vec<String> = files.iter().map(|(path, _)| path.clone()).chain(missing).collect();
        let read = sandbox.read_many(&paths, 5_000_000).await.unwrap();
        for (read, (path, content)) in read.iter().zip(&files) {
            assert_eq!(read.as_ref().unwrap(), content, "{path}");
        }
        let errors: Vec<String> = read[4..].iter().map(|read| read.as_ref().unwrap_err().to_string()).collect();
        assert_eq!(errors[0], "missing: no such file or directory");
        assert!(errors[1].contains("outside the workspace"), "{}", errors[1]);
        assert_eq!(errors[2], "a b: is a directory; use listFiles");
        assert_eq!(
            sandbox.read("big", 1_000_000, 4).await.unwrap(),
            (Bytes::copy_from_slice(&big[1_000_000..1_000_004]), 4_000_000)
        );
        assert_eq!(sandbox.read("big", 5_000_000, 4).await.unwrap(), (Bytes::new(), 4_000_000));
        assert_eq!(sandbox.read("-rf", 0, 4).await.unwrap(), (Bytes::new(), 0));
        assert_eq!(sh(&*sandbox, "cat /tmp/shared; ls").await.stdout.text(), "tmp-rf\na b\nbig\n");

        let source = setup._root.path().join("source");
        std::fs::write(&source, &big).unwrap();
        sandbox.upload(&source, "copies/big").await.unwrap();
        assert_eq!(sh(&*sandbox, "cmp big copies/big && echo same").await.stdout.text(), "same\n");
        sh(&*sandbox, "ln -s /etc link; ln -s nowhere dangling; mkdir node_modules; touch node_modules/x").await;
        let bounds = WalkBounds { depth: 9, entries: 100, skip: &["node_modules"] };
        let walked = sandbox.walk("", bounds).await.unwrap();
        let names: Vec<_> = walked.entries.iter().map(|(path, _)| path.as_str()).collect();
        let expected =
            ["-rf", "a b", "a b/ü 'q' \"d\" $(x) +%2F.txt", "big", "copies", "copies/big", "dangling", "link", "node_modules"];
        assert_eq!((names, walked.complete), (expected.to_vec(), true));
        assert!(!sandbox.walk("", WalkBounds { entries: 3, ..bounds }).await.unwrap().complete);
        let info = sandbox.info("big").await.unwrap();
        assert_eq!((info.name.as_str(), info.is_dir, info.size), ("big", false, 4_000_000));
        sandbox.delete("dangling").await.unwrap();
        sandbox.delete("a b").await.unwrap();
        assert!(matches!(sandbox.info("a b").await, Err(SandboxError::NotFound(path)) if path == "a b"));
        assert!(matches!(sandbox.list("a b").await, Err(SandboxError::NotFound(path)) if path == "a b"));
        sandbox.create_directory("new/er").await.unwrap();
        let listed: Vec<_> = sandbox.list("new").await.unwrap().into_iter().map(|info| (info.name, info.is_dir)).collect();
        assert_eq!(listed, [("er".to_owned(), true)]);
        setup.end().await;
    }
}

#[tokio::test]
async fn programs_go_on_beside_and_ports_have_addresses() {
    let setup = Setup::new(DaemonVersion::Hosted).await;
    let sandbox = setup.sandbox().await;
    let server = || Exec {
        timeout: Duration::from_secs(600),
        ..shell("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done")
    };
    sandbox.start("server", server()).await.unwrap();
    assert!(matches!(sandbox.start("server", server()).await, Err(SandboxError::Invalid(_))));
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while sandbox.process("server", Offsets::default(), 100).await.unwrap().stdout != "up\n" {
        assert!(std::time::Instant::now() < deadline);
    }
    sandbox.stop("server", Duration::from_secs(20)).await.unwrap();
    let report = sandbox.process("server", Offsets { stdout: 3, stderr: 0 }, 100).await.unwrap();
    assert_eq!(report.state, ProcessState::Ended { exit_code: 7, killed: Some(Killed::Cancelled) });
    assert_eq!((report.stdout, report.next.stdout), (Bytes::from("bye\n"), 7));
    assert_eq!(sandbox.processes().await.unwrap(), ["server"]);
    let preview = sandbox.preview(8000).await.unwrap();
    assert!(preview.url.starts_with("http") && preview.expires_at.is_some());
    sandbox.keep_alive().await.unwrap();
    setup.end().await;
}

#[tokio::test]
async fn whatever_befalls_a_machine_between_two_calls_the_work_goes_on() {
    for mischief in [Mischief::Stop, Mischief::Archive, Mischief::Zombie] {
        let setup = Setup::new(DaemonVersion::V0_190).await;
        let sandbox = setup.sandbox().await;
        sandbox.write("kept", b"before").await.unwrap();
        setup.daytona.befall(&sandbox.id().0, mischief).await.unwrap();
        assert_eq!(sandbox.read("kept", 0, 100).await.unwrap().0, "before", "{mischief:?}");
        setup.daytona.befall(&sandbox.id().0, mischief).await.unwrap();
        assert_eq!(sh(&*sandbox, "cat kept").await.stdout.text(), "before", "{mischief:?}");
        setup.daytona.befall(&sandbox.id().0, mischief).await.unwrap();
        sandbox.write("kept", b"after").await.unwrap();
        assert_eq!(sandbox.read("kept", 0, 100).await.unwrap().0, "after", "{mischief:?}");
        setup.end().await;
    }
}

#[tokio::test]
async fn a_command_that_ran_while_its_machine_was_stopped_is_said_to_be_lost_with_what_it_printed() {
    let setup = Setup::new(DaemonVersion::Hosted).await;
    let sandbox = setup.sandbox().await;
    let (listener, heard) = first_word();
    let running = {
        let sandbox = sandbox.clone();
        let exec = Exec { listener: Some(listener), ..shell("echo before; sleep 50; echo after") };
        tokio::spawn(async move { sandbox.exec(exec, &CancellationToken::new()).await })
    };
    heard.cancelled().await;
    setup.daytona.befall(&sandbox.id().0, Mischief::Stop).await.unwrap();
    let ran = running.await.unwrap().unwrap();
    assert_eq!((ran.exit_code, ran.killed, ran.stdout.text().as_str()), (137, Some(Killed::Lost), "before\n"));
    setup.end().await;
}

#[tokio::test]
async fn lost_requests_and_answers_run_nothing_twice() {
    let setup = Setup::new(DaemonVersion::V0_190).await;
    let sandbox = setup.sandbox().await;
    for fault in [
        Fault::answer_lost("POST", "/process/execute"),
        Fault::request_lost("POST", "/process/execute"),
        Fault::bad_gateway("POST", "/process/execute"),
        Fault::no_address("POST", "/process/execute"),
        Fault::no_container("POST", "/process/execute"),
    ] {
        setup.daytona.inject(fault);
        let ran = sh(&*sandbox, "echo ran >> count; wc -l < count; rm count").await;
        assert_eq!((ran.exit_code, ran.stdout.text().as_str()), (0, "1\n"));
    }
    setup.daytona.inject(Fault::answer_lost("POST", "/process/execute"));
    sandbox.write("x", b"x").await.unwrap();
    setup.daytona.inject(Fault::answer_lost("POST", "/process/execute"));
    sandbox.delete("x").await.unwrap();
    setup.daytona.inject(Fault::request_lost("GET", "/files/info"));
    assert!(matches!(sandbox.info("x").await, Err(SandboxError::NotFound(path)) if path == "x"));
    setup.end().await;
}

#[tokio::test]
async fn a_deleted_machine_is_gone() {
    let setup = Setup::new(DaemonVersion::Hosted).await;
    let sandbox = setup.sandbox().await;
    setup.daytona.befall(&sandbox.id().0, Mischief::Delete).await.unwrap();
    assert!(matches!(sandbox.read("x", 0, 1).await, Err(SandboxError::Gone(_))));
    let gone = sandbox.exec(shell("true"), &CancellationToken::new()).await;
    assert!(matches!(gone, Err(SandboxError::Gone(_))), "{gone:?}");
    setup.end().await;
}

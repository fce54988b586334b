//! The machine over HTTP: a small toolbox that runs everything for real in a directory, counts, and fails when told to.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::super::{Credential, DaytonaConfig, Origin, Pace, multipart};
use super::*;
use crate::clock::SystemClock;
use crate::sandbox::{Command, Killed, Listener, ProcessState, Stream};
use crate::secret::secret;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Not done, as of a stopped machine.
    Away,
    /// Done, and the answer replaced.
    AnswerLost,
}

struct Shared {
    directory: tempfile::TempDir,
    requests: Mutex<Vec<String>>,
    faults: Mutex<VecDeque<(&'static str, Fault)>>,
    revived: AtomicUsize,
    is_gone: std::sync::atomic::AtomicBool,
    lacks: Mutex<Vec<&'static str>>,
    url: Mutex<String>,
}

type Toolbox = Arc<Shared>;
type Heard = Vec<(Stream, Vec<u8>)>;

impl Shared {
    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    fn fail(&self, path: &'static str, fault: Fault) {
        self.faults.lock().unwrap().push_back((path, fault));
    }

    fn sandbox(&self) -> wire::Sandbox {
        let url = self.url.lock().unwrap().clone();
        serde_json::from_value(json!({"id": "m1", "state": "started", "toolboxProxyUrl": url, "env": {"OWN": "from spec"}}))
            .unwrap()
    }

    fn host(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }
}

#[async_trait]
impl Revive for Shared {
    async fn revive(&self, id: &str) -> Result<wire::Sandbox, SandboxError> {
        self.revived.fetch_add(1, Ordering::SeqCst);
        if self.is_gone.load(Ordering::SeqCst) {
            return Err(SandboxError::NotFound(format!("sandbox {id}")));
        }
        Ok(self.sandbox())
    }
}

async fn watch(State(toolbox): State<Toolbox>, request: Request, next: Next) -> Response {
    let path = request.uri().path().trim_start_matches("/m1").to_owned();
    toolbox.requests.lock().unwrap().push(path.clone());
    if toolbox.lacks.lock().unwrap().iter().any(|missing| path == *missing) {
        return (StatusCode::NOT_FOUND, "404 page not found").into_response();
    }
    let fault = {
        let mut faults = toolbox.faults.lock().unwrap();
        let due = faults.iter().position(|(wanted, _)| path == *wanted);
        due.and_then(|at| faults.remove(at)).map(|(_, fault)| fault)
    };
    match fault {
        Some(Fault::Away) => StatusCode::BAD_GATEWAY.into_response(),
        Some(Fault::AnswerLost) => {
            next.run(request).await;
            StatusCode::BAD_GATEWAY.into_response()
        }
        None => next.run(request).await,
    }
}

async fn execute(Json(request): Json<Value>) -> Json<Value> {
    let mut process = tokio::process::Command::new("bash");
    let envs = request["envs"].as_object().unwrap();
    process.envs(envs.iter().map(|(name, value)| (name, value.as_str().unwrap())));
    process.current_dir(request["cwd"].as_str().unwrap()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = process.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(request["command"].as_str().unwrap().as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    Json(json!({"exitCode": output.status.code().unwrap_or(-1), "result": String::from_utf8_lossy(&output.stdout)}))
}

#[derive(serde::Deserialize)]
struct Named {
    path: String,
}

async fn download(Query(Named { path }): Query<Named>, request: Request) -> Response {
    if PathBuf::from(&path).is_dir() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let Ok(content) = std::fs::read(&path) else { return StatusCode::NOT_FOUND.into_response() };
    let Some(range) = request.headers().get(header::RANGE) else { return content.into_response() };
    let (start, end) = range.to_str().unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let start: usize = start.parse().unwrap();
    if start >= content.len() {
        return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    }
    let end = end.parse::<usize>().unwrap().min(content.len() - 1);
    let place = format!("bytes {start}-{end}/{}", content.len());
    (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, place)], content[start..=end].to_vec()).into_response()
}

async fn bulk_upload(request: Request) -> Response {
    let kind = request.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let form = multipart::parse(&body, &multipart::boundary(&kind).unwrap());
    assert!(form.is_whole);
    for pair in form.parts.chunks(2) {
        let path = std::str::from_utf8(&body[pair[0].content.clone()]).unwrap();
        std::fs::create_dir_all(PathBuf::from(path).parent().unwrap()).unwrap();
        std::fs::write(path, &body[pair[1].content.clone()]).unwrap();
    }
    Json(json!({"files": []})).into_response()
}

async fn bulk_download(Json(request): Json<Value>) -> Response {
    let mut body = Vec::new();
    for path in request["paths"].as_array().unwrap() {
        let path = path.as_str().unwrap();
        let (name, content) = match std::fs::read(path) {
            Ok(content) => ("file", content),
            Err(_) => ("error", br#"{"message":"file not found","code":"FILE_NOT_FOUND"}"#.to_vec()),
        };
        let escaped: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>().replace('+', "%20");
        let head = format!(
            "--DAYTONA-FILE-BOUNDARY\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x\"; filename*=UTF-8''{escaped}\r\nContent-Length: {}\r\n\r\n",
            content.len()
        );
        body.extend([head.as_bytes(), &content, b"\r\n"].concat());
    }
    body.extend(b"--DAYTONA-FILE-BOUNDARY--\r\n");
    ([(header::CONTENT_TYPE, "multipart/form-data; boundary=DAYTONA-FILE-BOUNDARY")], Body::from(body)).into_response()
}

fn describe(path: &std::path::Path) -> Option<Value> {
    let metadata = std::fs::metadata(path).ok()?;
    let name = path.file_name()?.to_str()?;
    let mode = if metadata.is_dir() { "drwxr-xr-x" } else { "-rw-r--r--" };
    Some(json!({"name": name, "isDir": metadata.is_dir(), "size": metadata.len(), "mode": mode, "owner": "0", "group": "0"}))
}

async fn info(Query(Named { path }): Query<Named>) -> Response {
    describe(&PathBuf::from(path)).map_or_else(|| StatusCode::NOT_FOUND.into_response(), |info| Json(info).into_response())
}

async fn list(Query(Named { path }): Query<Named>) -> Response {
    let Ok(entries) = std::fs::read_dir(path) else { return StatusCode::BAD_REQUEST.into_response() };
    Json(entries.filter_map(|entry| describe(&entry.unwrap().path())).collect::<Vec<_>>()).into_response()
}

/// A toolbox and the machine that uses it.
async fn machine() -> (Toolbox, DaytonaSandbox) {
    let toolbox = toolbox().await;
    let sandbox = open(&toolbox).await;
    toolbox.requests();
    (toolbox, sandbox)
}

async fn toolbox() -> Toolbox {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let toolbox = Arc::new(Shared {
        directory: tempfile::tempdir_in("/var/tmp").unwrap(),
        requests: Mutex::default(),
        faults: Mutex::default(),
        revived: AtomicUsize::default(),
        is_gone: false.into(),
        lacks: Mutex::default(),
        url: Mutex::new(format!("http://{}", listener.local_addr().unwrap())),
    });
    for name in ["work", "home"] {
        std::fs::create_dir(toolbox.host(name)).unwrap();
    }
    let directory =
        |name: &'static str| get(async move |State(toolbox): State<Toolbox>| Json(json!({"dir": toolbox.host(name)})));
    let routes = axum::Router::new()
        .route("/m1/work-dir", directory("work"))
        .route("/m1/user-home-dir", directory("home"))
        .route("/m1/process/execute", post(execute))
        .route("/m1/files", get(list))
        .route("/m1/files/info", get(info))
        .route("/m1/files/download", get(download))
        .route("/m1/files/bulk-upload", post(bulk_upload))
        .route("/m1/files/bulk-download", post(bulk_download))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(from_fn_with_state(toolbox.clone(), watch))
        .with_state(toolbox.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    toolbox
}

async fn open(toolbox: &Toolbox) -> DaytonaSandbox {
    let config = DaytonaConfig {
        api_url: "http://127.0.0.1:9/api".parse().unwrap(),
        credential: Credential::Key(secret("dtn_x")),
        target: None,
        origin: Origin::Default,
        network: crate::settings::Network::Full,
        idle_minutes: 15,
        ttl_minutes: None,
        pace: Pace { tries: 1, backoff: Duration::from_millis(1), ..Pace::default() },
    };
    let client = Client::new(&config, Arc::new(SystemClock)).unwrap();
    DaytonaSandbox::open(client, toolbox.clone(), &toolbox.sandbox(), Path::new("/nonexistent/threadbox")).await.unwrap()
}

fn shell(line: &str) -> Exec {
    Exec::shell(line, Duration::from_secs(20), 64 << 10)
}

async fn run(sandbox: &DaytonaSandbox, exec: Exec) -> Executed {
    sandbox.exec(exec, &CancellationToken::new()).await.unwrap()
}

#[test]
fn our_own_files_are_not_shown_in_the_workspace() {
    assert_eq!(candidates("/home/daytona/work", "/home/daytona")[0], "/home/daytona/.threadbox");
    assert_eq!(candidates("/workspace", "/root")[0], "/root/.threadbox");
    assert_eq!(candidates("/home/daytona", "/home/daytona"), ["/var/tmp/.threadbox", "/tmp/.threadbox"]);
    assert_eq!(candidates("/", "/root"), ["/var/tmp/.threadbox"]);
}

#[tokio::test]
async fn a_short_command_costs_one_round_trip() {
    let (toolbox, sandbox) = machine().await;
    let ran = run(&sandbox, shell("echo out; echo err >&2; echo $OWN; pwd; cat; exit 3")).await;
    assert_eq!((ran.exit_code, ran.killed, ran.stderr.text().as_str()), (3, None, "err\n"));
    assert_eq!(ran.stdout.text(), format!("out\nfrom spec\n{}\n", sandbox.workspace()));
    assert_eq!(toolbox.requests(), ["/process/execute"]);
    sandbox.write("a", b"x").await.unwrap();
    sandbox.read("a", 0, 10).await.unwrap();
    sandbox.walk("", WalkBounds { depth: 9, entries: 9, skip: &[] }).await.unwrap();
    assert_eq!(toolbox.requests(), ["/process/execute", "/files/download", "/process/execute"]);
}

#[tokio::test]
async fn a_gigabyte_of_output_is_neither_kept_nor_downloaded() {
    let (toolbox, sandbox) = machine().await;
    let line = "printf begin; head -c 1073741824 /dev/zero | tr '\\0' x; printf end";
    let ran = run(&sandbox, Exec { timeout: Duration::from_secs(120), ..shell(line) }).await;
    assert_eq!((ran.exit_code, ran.killed), (0, None));
    let text = ran.stdout.text();
    assert!(text.starts_with("beginxxx") && text.ends_with("xxxend") && text.len() <= 64 << 10);
    assert_eq!(
        ran.stdout.omitted + (text.len() - format!("\n[… {} bytes left out …]\n", ran.stdout.omitted).len()) as u64,
        (1 << 30) + 8
    );
    assert_eq!(toolbox.requests().iter().filter(|path| *path == "/files/download").count(), 2);
}

#[tokio::test]
async fn output_is_heard_while_it_is_printed_and_streams_are_told_apart() {
    let (_toolbox, sandbox) = machine().await;
    let gate = sandbox.workspace().to_owned() + "/gate";
    let heard: Arc<Mutex<Heard>> = Arc::default();
    let listener = {
        let (heard, gate) = (heard.clone(), gate.clone());
        Listener::new(move |stream, bytes| {
            heard.lock().unwrap().push((stream, bytes.to_vec()));
            // The command goes on only when its first line was heard.
            std::fs::write(&gate, "").unwrap();
        })
    };
    let exec = Exec {
        listener: Some(listener),
        ..shell("printf 'f\\303'; until [ -e gate ]; do sleep 0.05; done; printf '\\274r'; echo e >&2")
    };
    let ran = run(&sandbox, exec).await;
    assert_eq!((ran.stdout.text().as_str(), ran.stderr.text().as_str(), ran.killed), ("für", "e\n", None));
    let heard = heard.lock().unwrap();
    let all =
        |wanted| heard.iter().filter(|(stream, _)| *stream == wanted).flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>();
    assert_eq!((all(Stream::Stdout), all(Stream::Stderr)), ("für".as_bytes().to_vec(), b"e\n".to_vec()));
    assert!(heard.len() >= 3);
}

#[tokio::test]
async fn time_and_cancellation_end_a_command_and_keep_what_it_printed() {
    let (_toolbox, sandbox) = machine().await;
    let exec = Exec { timeout: Duration::from_secs(3), ..shell("printf begin; sleep 100") };
    let ran = run(&sandbox, exec).await;
    assert_eq!((ran.exit_code, ran.killed, ran.stdout.text().as_str()), (137, Some(Killed::Timeout), "begin"));

    let cancel = CancellationToken::new();
    let (token, marker) = (cancel.clone(), sandbox.workspace().to_owned() + "/marker");
    let listener = Listener::new(move |_, _| token.cancel());
    let exec = Exec { listener: Some(listener), ..shell("printf begin; sleep 3; touch marker; sleep 100") };
    let ran = sandbox.exec(exec, &cancel).await.unwrap();
    assert_eq!((ran.exit_code, ran.killed, ran.stdout.text().as_str()), (137, Some(Killed::Cancelled), "begin"));
    assert!(!PathBuf::from(marker).exists());
    let ran = sandbox.exec(shell("echo never"), &cancel).await.unwrap();
    assert_eq!((ran.killed, ran.stdout.text().as_str()), (Some(Killed::Cancelled), ""));
}

#[tokio::test]
async fn a_command_is_found_again_by_its_key_and_runs_once() {
    let (toolbox, sandbox) = machine().await;
    let exec = Exec { key: Some("run 1/call 2".to_owned()), ..shell("echo once >> count; sleep 2; echo done") };
    // The first service dies while it waits.
    let first = tokio::time::timeout(Duration::from_millis(1300), sandbox.exec(exec.clone(), &CancellationToken::new())).await;
    assert!(first.is_err());
    let second = open(&toolbox).await;
    for _ in 0..2 {
        let ran = run(&second, exec.clone()).await;
        assert_eq!((ran.exit_code, ran.stdout.text().as_str()), (0, "done\n"));
    }
    assert_eq!(std::fs::read(toolbox.host("work/count")).unwrap(), b"once\n");
}

#[tokio::test]
async fn a_machine_that_went_away_is_brought_back_and_lost_answers_repeat_nothing() {
    let (toolbox, sandbox) = machine().await;
    toolbox.fail("/process/execute", Fault::AnswerLost);
    toolbox.fail("/process/execute", Fault::Away);
    let ran = run(&sandbox, shell("echo ran >> count; echo done")).await;
    assert_eq!((ran.exit_code, ran.stdout.text().as_str()), (0, "done\n"));
    assert_eq!(std::fs::read(toolbox.host("work/count")).unwrap(), b"ran\n");
    assert_eq!(toolbox.revived.load(Ordering::SeqCst), 2);

    toolbox.fail("/process/execute", Fault::AnswerLost);
    sandbox.write("new", b"content").await.unwrap();
    toolbox.fail("/files/download", Fault::Away);
    assert_eq!(sandbox.read("new", 3, 2).await.unwrap(), (Bytes::from("te"), 7));
    toolbox.fail("/process/execute", Fault::AnswerLost);
    sandbox.delete("new").await.unwrap();

    toolbox.is_gone.store(true, Ordering::SeqCst);
    toolbox.fail("/files/download", Fault::Away);
    assert!(matches!(sandbox.read("new", 0, 1).await, Err(SandboxError::Gone(what)) if what == "sandbox m1"));
}

#[tokio::test]
async fn files_are_byte_exact_and_odd_names_are_names() {
    let (toolbox, sandbox) = machine().await;
    let big: Vec<u8> = (0..3_000_000u32).flat_map(|number| [number as u8, (number >> 8) as u8]).collect();
    let files: Vec<(String, Bytes)> = [
        ("a b/ü 'q' \"d\" $(x) \n%2F.txt", b"\0\xff\r\n--x".as_slice()),
        ("-rf", b""),
        ("big", &big),
        ("/tmp/../etc/../tmp/threadbox-test-odd", b"tmp"),
    ]
    .map(|(path, content)| (path.to_owned(), Bytes::copy_from_slice(content)))
    .to_vec();
    sandbox.write_many(&files).await.unwrap();
    let paths: Vec<String> =
        files.iter().map(|(path, _)| path.clone()).chain(["missing".to_owned(), "../x".to_owned(), "a b".to_owned()]).collect();
    let read = sandbox.read_many(&paths, 5_900_000).await.unwrap();
    assert_eq!(read[0].as_ref().unwrap(), &files[0].1);
    assert_eq!(read[1].as_ref().unwrap(), &files[1].1);
    assert_eq!(read[2].as_ref().unwrap_err().to_string(), "big: 6000000 bytes are more than the 5900000 that are read");
    assert_eq!(read[3].as_ref().unwrap(), &files[3].1);
    assert!(matches!(&read[4], Err(SandboxError::NotFound(path)) if path == "missing"));
    assert!(read[5].as_ref().unwrap_err().to_string().contains("outside the workspace"));
    assert_eq!(read[6].as_ref().unwrap_err().to_string(), "a b: is a directory; use listFiles");
    sandbox.delete("/tmp/threadbox-test-odd").await.unwrap();

    assert_eq!(sandbox.read("big", 1_000_000, 4).await.unwrap(), (Bytes::copy_from_slice(&big[1_000_000..1_000_004]), 6_000_000));
    assert_eq!(sandbox.read("big", 7_000_000, 4).await.unwrap(), (Bytes::new(), 6_000_000));
    assert_eq!(sandbox.read("-rf", 0, 4).await.unwrap(), (Bytes::new(), 0));
    sandbox.upload(&toolbox.host("work/big"), "copies/big").await.unwrap();
    assert_eq!(std::fs::read(toolbox.host("work/copies/big")).unwrap(), big);
}

#[tokio::test]
async fn what_cannot_be_done_with_a_file_says_why() {
    let (toolbox, sandbox) = machine().await;
    sandbox.create_directory("dir/sub").await.unwrap();
    sandbox.write("file", b"x").await.unwrap();
    let text = |error: SandboxError| error.to_string();
    assert_eq!(text(sandbox.read("dir", 0, 1).await.unwrap_err()), "dir: is a directory; use listFiles");
    assert_eq!(text(sandbox.list("file").await.unwrap_err()), "file: is not a directory; use readFile");
    assert_eq!(text(sandbox.list("none").await.unwrap_err()), "none: no such file or directory");
    assert_eq!(text(sandbox.write("dir", b"x").await.unwrap_err()), "dir: is a directory");
    assert_eq!(text(sandbox.write("file/x", b"x").await.unwrap_err()), "file/x: a part of this path is not a directory");
    assert_eq!(
        text(sandbox.create_directory("file").await.unwrap_err()),
        "file: a file is in the way; delete it or choose another path"
    );
    assert_eq!(text(sandbox.delete("none").await.unwrap_err()), "none: no such file or directory");
    assert_eq!(text(sandbox.delete(".").await.unwrap_err()), ".: cannot be deleted itself; delete what is in it");
    assert_eq!(
        text(sandbox.walk("file", WalkBounds { depth: 1, entries: 1, skip: &[] }).await.unwrap_err()),
        "file: a part of this path is not a directory"
    );
    let nowhere = Exec { working_directory: Some("none".to_owned()), ..shell("true") };
    let error = sandbox.exec(nowhere, &CancellationToken::new()).await.unwrap_err();
    assert!(text(error).ends_with("/work/none: no such directory, so nothing was run; make it with createDirectory"));
    assert_eq!(sandbox.list("").await.unwrap().iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), ["dir", "file"]);
    assert!(sandbox.info("dir").await.unwrap().is_dir);
    sandbox.delete("dir").await.unwrap();

    toolbox.lacks.lock().unwrap().push("/files/download");
    assert_eq!(sandbox.read("file", 0, 9).await.unwrap(), (Bytes::from("x"), 1));
    assert_eq!(text(sandbox.read("none", 0, 9).await.unwrap_err()), "none: no such file or directory");
}

#[tokio::test]
async fn a_walk_is_one_call_within_its_bounds() {
    let (_toolbox, sandbox) = machine().await;
    let files = ["a/b/c", "a/node_modules/x", "d", "ü n"].map(|path| (path.to_owned(), Bytes::from("xy")));
    sandbox.write_many(&files).await.unwrap();
    std::os::unix::fs::symlink("/etc", format!("{}/link", sandbox.workspace())).unwrap();
    let walk = async |depth, entries| {
        let found = sandbox.walk("", WalkBounds { depth, entries, skip: &["node_modules"] }).await.unwrap();
        (found.entries.into_iter().map(|(path, _)| path).collect::<Vec<_>>(), found.complete)
    };
    let all = ["a", "a/b", "a/b/c", "a/node_modules", "d", "link", "ü n"].map(str::to_owned);
    assert_eq!(walk(9, 100).await, (all.to_vec(), true));
    assert!(walk(9, 7).await.1);
    let (some, complete) = walk(9, 3).await;
    assert_eq!((some.len(), complete), (3, false));
    assert!(!walk(2, 100).await.1);
}

/// Waits until so much was printed.
async fn printed(sandbox: &DaytonaSandbox, name: &str, from: Offsets, wanted: usize) -> crate::sandbox::ProcessReport {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let report = sandbox.process(name, from, wanted).await.unwrap();
        if report.stdout.len() == wanted {
            return report;
        }
        assert!(std::time::Instant::now() < deadline, "{report:?}");
    }
}

#[tokio::test]
async fn programs_go_on_beside_and_are_read_and_stopped() {
    let (_toolbox, sandbox) = machine().await;
    assert!(matches!(sandbox.process("server", Offsets::default(), 9).await, Err(SandboxError::NotFound(_))));
    assert!(matches!(sandbox.stop("server", Duration::ZERO).await, Err(SandboxError::NotFound(_))));
    let server = Exec {
        timeout: Duration::from_secs(60),
        ..shell("trap 'echo bye; exit 7' TERM; echo 0123456789; while :; do sleep 0.1; done")
    };
    sandbox.start("server", server.clone()).await.unwrap();
    let busy = sandbox.start("server", server).await.unwrap_err();
    assert_eq!(busy.to_string(), "a program named `server` is running; stop it with stopProcess, or choose another name");
    let report = printed(&sandbox, "server", Offsets { stdout: 3, stderr: 0 }, 4).await;
    assert_eq!(
        (report.state, report.stdout, report.from.stdout, report.next.stdout),
        (ProcessState::Running, Bytes::from("3456"), 3, 7)
    );
    sandbox.stop("server", Duration::from_secs(5)).await.unwrap();
    sandbox.stop("server", Duration::from_secs(5)).await.unwrap();
    let report = sandbox.process("server", report.next, 100).await.unwrap();
    assert_eq!(report.state, ProcessState::Ended { exit_code: 7, killed: Some(Killed::Cancelled) });
    assert_eq!(report.stdout, "789\nbye\n");
    sandbox.start("server", shell("head -c 200000 /dev/zero")).await.unwrap();
    let report = printed(&sandbox, "server", Offsets::default(), 150_000).await;
    assert_eq!((report.stdout.len(), report.next.stdout), (150_000, 150_000));
    sandbox.start("zweiter ü", shell("true")).await.unwrap();
    assert_eq!(sandbox.processes().await.unwrap(), ["server", "zweiter ü"]);
    assert!(sandbox.start("a\nb", shell("true")).await.is_err());
}

#[tokio::test]
async fn code_runs_in_its_language_with_its_arguments() {
    let (_toolbox, sandbox) = machine().await;
    sandbox.write("helper.py", b"x = 5").await.unwrap();
    let command = Command::Code {
        language: Language::Python,
        code: "import sys, helper\nprint(helper.x, sys.argv[1:], repr(sys.stdin.read()))\nprint(\"it's\")".to_owned(),
        argv: vec!["$(id)".to_owned(), "a b".to_owned()],
    };
    let ran = run(&sandbox, Exec::new(command, Duration::from_secs(20), 4096)).await;
    assert_eq!(ran.stdout.text(), "5 ['$(id)', 'a b'] ''\nit's\n");
    let command = Command::Code {
        language: Language::Javascript,
        code: "console.log(require('./m'), process.argv.slice(2))".to_owned(),
        argv: vec!["x".to_owned()],
    };
    sandbox.write("m.js", b"module.exports = 6").await.unwrap();
    let ran = run(&sandbox, Exec::new(command, Duration::from_secs(20), 4096)).await;
    assert_eq!(ran.stdout.text(), "6 [ 'x' ]\n", "{}", ran.stderr.text());
    let module = "import fs from 'node:fs';\nconsole.log(typeof fs.readFileSync, await 5)";
    let command = Command::Code { language: Language::Javascript, code: module.to_owned(), argv: Vec::new() };
    let ran = run(&sandbox, Exec::new(command, Duration::from_secs(20), 4096)).await;
    assert_eq!(ran.stdout.text(), "function 5\n", "{}", ran.stderr.text());
    let command = Command::Code { language: Language::Rust, code: "fn main() {}".to_owned(), argv: Vec::new() };
    let mut exec = Exec::new(command, Duration::from_secs(20), 4096);
    exec.env.insert("PATH".to_owned(), "/nowhere".to_owned());
    let error = sandbox.exec(exec, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "`rustc` is not in the sandbox, so Rust cannot run here; use another language");
}

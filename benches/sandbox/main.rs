//! The figures of sandboxes: what a tool call costs in round trips and in our own CPU, many sandboxes at once, and a flood of output.
//!
//! `cargo bench --bench sandbox` prints them. The measured process is the client; the Daytona stand-in, which runs commands for real,
//! is a second process. Local sandboxes are measured beside it, as the baseline.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use threadbox::agent::Powers;
use threadbox::agent::tools::{Hands, Readings, Sandboxes, ToolContext, ToolLimits, Toolbox};
use threadbox::app;
use threadbox::clock::SystemClock;
use threadbox::model::{Arguments, ToolCall};
use threadbox::sandbox::{Exec, Provider, Sandbox, SandboxError, SandboxId, SandboxSpec};
use threadbox::secret::ExposeSecret;
use threadbox::settings::{Settings, Sources};
use threadbox::standin::daytona::{Daytona, Options};
use tokio_util::sync::CancellationToken;

const AT_ONCE: usize = 200;
const CALLS: u32 = 40;

fn main() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match std::env::args().any(|argument| argument == "--stand-in") {
        true => runtime.block_on(stand_in()),
        false => runtime.block_on(measure()),
    }
}

fn helper() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_threadbox"))
}

/// The second process: prints where it is, then for each line it reads how many requests have arrived.
async fn stand_in() {
    let root = tempfile::Builder::new().prefix("threadbox-bench-").tempdir_in("/tmp").unwrap();
    let mut options = Options::new(helper(), root.path().to_owned());
    options.disk_mb = 4096;
    let daytona = Daytona::start(options).await.unwrap();
    println!("{}", json!({ "url": daytona.url(), "key": daytona.key().expose_secret() }));
    let mut input = std::io::stdin().lines();
    while let Some(Ok(_)) = tokio::task::block_in_place(|| input.next()) {
        println!("{}", daytona.requests().len());
    }
    daytona.shut_down().await;
}

struct StandIn {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl StandIn {
    fn start() -> (Self, Value) {
        let program = std::env::current_exe().unwrap();
        let mut child = Process::new(program).arg("--stand-in").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let place = serde_json::from_str(&output.next().unwrap().unwrap()).unwrap();
        (Self { child, input, output }, place)
    }

    fn requests(&mut self) -> u64 {
        writeln!(self.input, "count").unwrap();
        self.output.next().unwrap().unwrap().parse().unwrap()
    }

    /// Its sandboxes end with it.
    fn end(mut self) {
        drop(self.input);
        self.child.wait().unwrap();
    }
}

async fn measure() {
    let data = tempfile::Builder::new().prefix("threadbox-bench-").tempdir_in("/tmp").unwrap();
    let (mut stand_in, place) = StandIn::start();
    let daytona = provider(
        data.path(),
        &[
            ("SANDBOX", "daytona"),
            ("DAYTONA_API_URL", place["url"].as_str().unwrap()),
            ("DAYTONA_API_KEY", place["key"].as_str().unwrap()),
        ],
    );
    let local = provider(data.path(), &[("SANDBOX", "local")]);
    println!("tool call                    round trips      ours       took  |  local, took");
    calls(&mut stand_in, &daytona, &local).await;
    many_at_once(&daytona).await;
    flood(&mut stand_in, &daytona).await;
    stand_in.end();
}

fn provider(data: &Path, variables: &[(&str, &str)]) -> Arc<dyn Provider> {
    let mut process: std::collections::BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    process.insert("THREADBOX_DATA_DIR".into(), data.display().to_string());
    process.extend(std::env::var("PATH").map(|path| ("PATH".to_owned(), path)));
    let settings = Settings::load(&Sources { process, file: std::collections::BTreeMap::new() }).unwrap().settings;
    let parts = app::Parts { helper: helper(), ..app::Parts::real().unwrap() };
    app::sandboxes(&settings, &parts).unwrap()
}

/// The sandboxes of a thread that has one.
struct One(Arc<dyn Sandbox>, Readings);

#[async_trait]
impl Sandboxes for One {
    async fn own(&self) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Ok(self.0.clone())
    }

    async fn named(&self, _: &SandboxId) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Ok(self.0.clone())
    }

    async fn create(&self, _: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Ok(self.0.clone())
    }

    fn readings(&self) -> &Readings {
        &self.1
    }
}

async fn calls(stand_in: &mut StandIn, daytona: &Arc<dyn Provider>, local: &Arc<dyn Provider>) {
    let remote = daytona.create(SandboxSpec::default()).await.unwrap();
    let near = local.create(SandboxSpec::default()).await.unwrap();
    for (name, arguments) in [
        ("writeFile", json!({ "path": "a.txt", "content": "a: hello\n" })),
        ("readFile", json!({ "path": "a.txt" })),
        ("editFile", json!({ "path": "a.txt", "oldText": "a:", "newText": "a: x" })),
        ("listFiles", json!({ "path": "." })),
        ("getFileInfo", json!({ "path": "a.txt" })),
        ("runCommand", json!({ "command": "echo hi" })),
        ("runCode", json!({ "code": "print(6 * 7)", "language": "python" })),
    ] {
        // Once unmeasured: connections, home directories.
        call(&remote, name, &arguments, 0).await;
        call(&near, name, &arguments, 0).await;
        let (requests, cpu, began) = (stand_in.requests(), cpu(), Instant::now());
        for number in 1..=CALLS {
            call(&remote, name, &arguments, number).await;
        }
        let (took, used) = (began.elapsed() / CALLS, (self::cpu() - cpu) / CALLS);
        let trips = (stand_in.requests() - requests) as f64 / f64::from(CALLS);
        let began = Instant::now();
        for number in 1..=CALLS {
            call(&near, name, &arguments, number).await;
        }
        let locally = began.elapsed() / CALLS;
        println!("{name:<28} {trips:>11.1} {:>6.2} ms {:>7.1} ms  |  {:>7.1} ms", millis(used), millis(took), millis(locally));
    }
    daytona.remove(remote.id()).await.unwrap();
    local.remove(near.id()).await.unwrap();
}

async fn call(sandbox: &Arc<dyn Sandbox>, name: &str, arguments: &Value, number: u32) {
    let sandboxes = One(sandbox.clone(), Readings::default());
    let key = format!("{name}-{number}");
    let hands = Hands::default();
    let context = ToolContext {
        powers: Powers::Everything,
        hands: &hands,
        sandboxes: &sandboxes,
        cancel: &CancellationToken::new(),
        clock: &SystemClock,
        limits: ToolLimits::default(),
        key: &key,
        listener: None,
    };
    let arguments = Arguments::Object(arguments.as_object().unwrap().clone());
    let call = ToolCall { id: key.clone(), name: name.to_owned(), arguments, signature: None };
    let output = Toolbox::standard().call(&context, &call).await;
    assert!(!output.is_error, "{name}: {}", output.content);
}

async fn many_at_once(daytona: &Arc<dyn Provider>) {
    let (began, used) = (Instant::now(), cpu());
    let made = futures::future::join_all((0..AT_ONCE).map(|number| async move {
        let spec = SandboxSpec { name: Some(format!("bench-{number}")), ..SandboxSpec::default() };
        daytona.create(spec).await.unwrap()
    }))
    .await;
    println!("\n{AT_ONCE} sandboxes at once: made in {:.1} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    let slowest = futures::future::join_all(made.iter().map(|sandbox| async move {
        let began = Instant::now();
        let exec = Exec::shell("echo one; echo two >&2; exit 3", Duration::from_secs(300), 1024);
        let done = sandbox.exec(exec, &CancellationToken::new()).await.unwrap();
        assert_eq!((done.exit_code, done.stdout.text().as_str(), done.stderr.text().as_str()), (3, "one\n", "two\n"));
        began.elapsed()
    }))
    .await
    .into_iter()
    .max()
    .unwrap_or_default();
    println!(
        "  one command in each: {:.1} s in all, the slowest {:.1} s; our CPU for making, running and all: {:.0} ms each; resident {} MB",
        began.elapsed().as_secs_f64(),
        slowest.as_secs_f64(),
        millis(cpu() - used) / AT_ONCE as f64,
        resident_mb(),
    );
    futures::future::join_all(made.iter().map(|sandbox| daytona.remove(sandbox.id()))).await;
}

/// A gibibyte on standard output through a run that keeps 24 KiB.
async fn flood(stand_in: &mut StandIn, daytona: &Arc<dyn Provider>) {
    let sandbox = daytona.create(SandboxSpec::default()).await.unwrap();
    let (before, began, requests) = (resident_mb(), Instant::now(), stand_in.requests());
    let exec = Exec::shell("yes 'a line of a flood' | head -c 1073741824", Duration::from_secs(600), 24 << 10);
    let done = sandbox.exec(exec, &CancellationToken::new()).await.unwrap();
    println!(
        "\n1 GiB of output: exit {}, {} bytes kept, {} left out, {:.1} s, {} requests, resident {before} -> {} MB",
        done.exit_code,
        done.stdout.bytes.len(),
        done.stdout.omitted,
        began.elapsed().as_secs_f64(),
        stand_in.requests() - requests,
        resident_mb(),
    );
    daytona.remove(sandbox.id()).await.unwrap();
}

fn cpu() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the kernel fills the structure it is given; its end was checked by the return value.
    #[allow(unsafe_code)]
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    let of = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    of(usage.ru_utime) + of(usage.ru_stime)
}

fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

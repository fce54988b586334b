//! Attacks on the local sandbox from within, with all walls and with each one left out in turn: what must hold by more than one
//! wall then still does. The attacks themselves are a program, `attacks.py`, that says of each what came of it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use threadbox::sandbox::local::{LayerName, LocalConfig, LocalProvider};
use threadbox::sandbox::{Command, Exec, Executed, Killed, Language, Provider, Sandbox, SandboxSpec};
use tokio_util::sync::CancellationToken;

use crate::sandbox::{again_without_rights, config};

/// Those that can be left out. The others carry these.
const LAYERS: [LayerName; 11] = [
    LayerName::ControlGroups,
    LayerName::NetworkNamespace,
    LayerName::IpcNamespace,
    LayerName::UtsNamespace,
    LayerName::CgroupNamespace,
    LayerName::Proc,
    LayerName::ResourceLimits,
    LayerName::Landlock,
    LayerName::NoNewPrivileges,
    LayerName::Seccomp,
    LayerName::Capabilities,
];

/// What one wall alone stops, so that it is not stopped without it.
fn stopped_by_this_alone(layer: LayerName) -> &'static [&'static str] {
    match layer {
        LayerName::NetworkNamespace => &[
            "reach the loopback of the machine",
            "reach it by its other name",
            "reach it by IPv6",
            "reach the addresses of clouds",
            "reach the internet",
            "reach IPv6",
            "reach the proxy's port",
            "send a packet",
            "resolve a name",
        ],
        LayerName::ResourceLimits => &["raise a ceiling"],
        LayerName::ControlGroups
        | LayerName::UserNamespace
        | LayerName::MountNamespace
        | LayerName::PidNamespace
        | LayerName::IpcNamespace
        | LayerName::UtsNamespace
        | LayerName::CgroupNamespace
        | LayerName::Root
        | LayerName::Egress
        | LayerName::Proc
        | LayerName::Landlock
        | LayerName::NoNewPrivileges
        | LayerName::Seccomp
        | LayerName::Capabilities => &[],
    }
}

/// A machine with things worth attacking.
struct Target {
    provider: LocalProvider,
    root: tempfile::TempDir,
    listener: TcpListener,
    datagrams: UdpSocket,
    _sockets: [UnixListener; 2],
    abstract_name: String,
}

const SECRET: &str = "the-secret-of-the-service";

impl Target {
    fn new(without: impl IntoIterator<Item = LayerName>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let config = LocalConfig { without: without.into_iter().collect(), ..config(root.path()) };
        std::fs::write(root.path().join("secret.txt"), SECRET).unwrap();
        let abstract_name = format!("threadbox-{}", uuid::Uuid::now_v7());
        let sockets = [
            UnixListener::bind(root.path().join("socket")).unwrap(),
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(&abstract_name).unwrap()).unwrap(),
        ];
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        datagrams.set_nonblocking(true).unwrap();
        Self { provider: LocalProvider::new(config).unwrap(), root, listener, datagrams, _sockets: sockets, abstract_name }
    }

    async fn sandbox(&self, name: &str) -> Arc<dyn Sandbox> {
        self.provider.create(SandboxSpec { name: Some(name.to_owned()), ..SandboxSpec::default() }).await.unwrap()
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// Runs all attacks. The lines are `verdict kind name: detail`.
    async fn attack(&self) -> Vec<Attack> {
        let other = self.sandbox("other").await;
        other.write("theirs.txt", SECRET.as_bytes()).await.unwrap();
        let sandbox = self.sandbox("attacker").await;
        let given = serde_json::json!({
            "secret": self.path("secret.txt"),
            "other": self.path("sandboxes/other/workspace/theirs.txt"),
            "record": self.path("sandboxes/attacker/sandbox.json"),
            "socket": self.path("socket"),
            "abstract": self.abstract_name,
            "disk": "/dev/vda",
            "pid": std::process::id(),
            "port": self.listener.local_addr().unwrap().port(),
        });
        let code = include_str!("attacks.py").to_owned();
        let command = Command::Code { language: Language::Python, code, argv: vec![given.to_string()] };
        let ran = run(&*sandbox, command, Duration::from_secs(60)).await;
        let text = ran.stdout.text();
        let attacks: Vec<Attack> = text.lines().filter_map(Attack::read).collect();
        let all: usize = text.lines().last().and_then(|line| line.strip_prefix("all ")?.parse().ok()).unwrap_or(0);
        assert!(all > 100 && attacks.len() == all, "{} of {all} were made\n{text}\n{}", attacks.len(), ran.stderr.text());
        assert!(!text.contains(SECRET), "{text}");
        assert_eq!(std::fs::read_to_string(self.path("secret.txt")).unwrap(), SECRET);
        attacks
    }
}

#[derive(Debug)]
struct Attack {
    through: bool,
    is_escape: bool,
    name: String,
    detail: String,
}

impl Attack {
    fn read(line: &str) -> Option<Self> {
        let (verdict, rest) = line.split_once(' ')?;
        let (kind, rest) = rest.split_once(' ')?;
        let (name, detail) = rest.split_once(": ")?;
        let through = match verdict {
            "THROUGH" => true,
            "contained" => false,
            _ => return None,
        };
        Some(Self { through, is_escape: kind == "escape", name: name.to_owned(), detail: detail.to_owned() })
    }
}

async fn run(sandbox: &dyn Sandbox, command: Command, timeout: Duration) -> Executed {
    sandbox.exec(Exec::new(command, timeout, 256 << 10), &CancellationToken::new()).await.unwrap()
}

async fn python(sandbox: &dyn Sandbox, code: &str) -> Executed {
    let command = Command::Code { language: Language::Python, code: code.to_owned(), argv: Vec::new() };
    run(sandbox, command, Duration::from_secs(30)).await
}

#[tokio::test]
async fn every_attack_is_contained() {
    let target = Target::new([]);
    let attacks = target.attack().await;
    let through: Vec<_> = attacks.iter().filter(|attack| attack.through).collect();
    assert!(through.is_empty(), "{through:#?}");
    assert_eq!(target.listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(target.datagrams.recv(&mut [0; 8]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

/// Programs fall back only when they are told what they expect.
#[tokio::test]
async fn refused_calls_say_what_programs_expect() {
    let attacks = Target::new([]).attack().await;
    let detail = |name: &str| {
        let found = attacks.iter().find(|attack| attack.name == name).unwrap_or_else(|| panic!("{name}"));
        found.detail.clone()
    };
    for name in [
        "mount a tmpfs",
        "new mount interface",
        "unshare the user namespace",
        "clone into a user namespace",
        "join the own user namespace for its rights",
        "attach to the first process",
        "seize the first process",
        "read the first process",
        "io uring",
        "keys of the session",
        "add a key",
        "userfaultfd",
        "bpf",
        "perf events",
        "no random addresses",
        "push into the terminal",
        "push into it with a longer number",
        "open by handle",
    ] {
        assert_eq!(detail(name), "EPERM", "{name}");
    }
    assert_eq!(detail("clone3 whose arguments cannot be seen"), "ENOSYS");
    for name in [
        "raw socket",
        "vsock",
        "packet socket",
        "crypto socket",
        "bluetooth",
        "netlink netfilter",
        "netlink uevents",
        "multipath TCP",
        "SCTP",
    ] {
        assert_eq!(detail(name), "EAFNOSUPPORT", "{name}");
    }
}

#[tokio::test]
async fn what_more_than_one_wall_stops_is_stopped_without_any_one_of_them() {
    for layer in LAYERS {
        let target = Target::new([layer]);
        let isolation = target.provider.probe().await.unwrap();
        let report = isolation.layers.iter().find(|known| known.name == layer.name()).unwrap();
        assert!(!report.given, "{report:?}");

        let landlock = isolation.layers.iter().find(|known| known.name == LayerName::Landlock.name()).unwrap();
        let scoped = landlock.given && !landlock.detail.contains("partly");
        let alone = stopped_by_this_alone(layer);
        let is_expected = |attack: &Attack| {
            alone.contains(&attack.name.as_str())
                || (layer == LayerName::NetworkNamespace && !scoped && attack.name == "connect to an abstract socket")
        };
        let attacks = target.attack().await;
        let escaped: Vec<_> =
            attacks.iter().filter(|attack| attack.through && attack.is_escape && !is_expected(attack)).collect();
        assert!(escaped.is_empty(), "without {}: {escaped:#?}", layer.name());

        // What is only less kernel to attack is the work of one wall.
        let surface: Vec<_> = attacks.iter().filter(|attack| attack.through && !attack.is_escape).collect();
        assert_eq!(surface.is_empty(), layer != LayerName::Seccomp, "without {}: {surface:#?}", layer.name());
    }
}

#[tokio::test]
async fn without_a_network_namespace_the_attacks_on_the_network_are_real() {
    let attacks = Target::new([LayerName::NetworkNamespace]).attack().await;
    let reached = attacks.iter().find(|attack| attack.name == "reach the loopback of the machine").unwrap();
    assert!(reached.through, "{reached:?}");
}

#[tokio::test]
async fn a_fork_bomb_is_stopped_without_control_groups_and_without_limits() {
    let code = "import os, time\nn = 0\nprint('armed', flush=True)\ntry:\n    while n < 600:\n        if os.fork() == 0: time.sleep(600)\n        n += 1\nexcept OSError as e:\n    print('stopped at', n, flush=True)";
    for layer in [LayerName::ControlGroups, LayerName::ResourceLimits] {
        let target = Target::new([layer]);
        let sandbox = target.sandbox("bomb").await;
        let grouped =
            target.provider.probe().await.unwrap().missing().all(|missing| missing.name != LayerName::ControlGroups.name());
        let ran = python(&*sandbox, code).await;
        let text = ran.stdout.text();
        assert!(text.starts_with("armed"), "{ran:?}");
        // Without both, it is still the command's memory, and ends with it.
        assert!(
            text.contains("stopped at") || (layer == LayerName::ResourceLimits && !grouped),
            "without {}: {ran:?}",
            layer.name()
        );
        let again = python(&*sandbox, "import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]))").await;
        assert!(again.stdout.text().trim().parse::<u32>().unwrap() < 8, "{again:?}");
    }
}

#[tokio::test]
async fn memory_and_disk_are_limited_without_control_groups_and_without_limits() {
    let memory = "print('attack', flush=True)\nimport mmap\nm = mmap.mmap(-1, 1 << 30)\nfor i in range(0, 1 << 30, 4096): m[i] = 1\nprint('got it')";
    let disk = "import time\nprint('attack', flush=True)\nwith open('big', 'wb') as f:\n    for i in range(600):\n        f.write(b'x' * (1 << 20)); f.flush(); time.sleep(0.002)\nprint('got it')";
    for layer in [LayerName::ControlGroups, LayerName::ResourceLimits] {
        let target = Target::new([layer]);
        let sandbox = target.sandbox("greedy").await;
        let ran = python(&*sandbox, memory).await;
        assert_eq!((ran.killed, ran.stdout.text().as_str()), (Some(Killed::MemoryLimit), "attack\n"), "without {}", layer.name());
        let ran = python(&*sandbox, disk).await;
        let stopped = ran.killed == Some(Killed::DiskLimit) || ran.exit_code != 0;
        assert!(stopped && ran.stdout.text() == "attack\n", "without {}: {ran:?}", layer.name());
    }
}

#[tokio::test]
async fn a_command_cannot_touch_another_one_of_its_sandbox() {
    let target = Target::new([]);
    let sandbox = target.sandbox("shared").await;
    let cancel = CancellationToken::new();
    let first = sandbox.exec(
        Exec::new(Command::Shell("echo $$ >started; sleep 30.0001; echo unharmed".to_owned()), Duration::from_secs(60), 4096),
        &cancel,
    );
    let second = async {
        let deadline = Instant::now() + Duration::from_secs(20);
        while sandbox.info("started").await.is_err() && Instant::now() < deadline {
            tokio::task::yield_now().await;
        }
        let ran = python(&*sandbox, "import os\nfor p in range(2, 5000):\n    if p != os.getpid():\n        try: os.kill(p, 9); print('killed', p)\n        except OSError: pass\nprint('tried')").await;
        cancel.cancel();
        ran
    };
    let (first, second) = tokio::join!(first, second);
    assert!(second.stdout.text().ends_with("tried\n"), "{second:?}");
    // It was still there to be stopped by us.
    assert_eq!(first.unwrap().killed, Some(Killed::Cancelled));
}

/// What people really run, behind all walls.
#[tokio::test]
async fn ordinary_programs_work() {
    let target = Target::new([]);
    let sandbox = target.sandbox("ordinary").await;
    let code = r#"
import asyncio, concurrent.futures, json, multiprocessing, os, socket, sqlite3, subprocess, tempfile, threading, venv
def square(x): return x * x
if __name__ == "__main__":
    done = []
    thread = threading.Thread(target=lambda: done.append("thread")); thread.start(); thread.join()
    with multiprocessing.Pool(2) as pool: done.append(pool.map(square, range(4)))
    with concurrent.futures.ProcessPoolExecutor(2) as pool: done.append(list(pool.map(square, [5])))
    done.append(subprocess.run("echo a b | tr a-z A-Z", shell=True, capture_output=True, text=True).stdout)
    async def child():
        process = await asyncio.create_subprocess_exec("echo", "child", stdout=-1)
        return (await process.communicate())[0].decode()
    done.append(asyncio.run(child()))
    base = sqlite3.connect("base.db"); base.execute("create table t (x)"); base.commit()
    server = socket.create_server(("127.0.0.1", 0)); socket.create_connection(server.getsockname()).close()
    left, right = socket.socketpair(); left.send(b"x"); done.append(right.recv(1).decode())
    done.append([name for _, name in socket.if_nameindex()])
    done.append(multiprocessing.shared_memory.SharedMemory(create=True, size=10).size if hasattr(multiprocessing, "shared_memory") else 10)
    print(json.dumps(done))
"#;
    let ran = python(&*sandbox, code).await;
    assert_eq!(
        ran.stdout.text(),
        "[\"thread\", [0, 1, 4, 9], [25], \"A B\\n\", \"child\\n\", \"x\", [\"lo\"], 10]\n",
        "{}",
        ran.stderr.text()
    );

    let shell = [
        (
            "bash",
            "set -o pipefail; seq 1000 | sort -rn | head -3 | paste -sd, ; cat <(echo inner); wc -c <<<here",
            "1000,999,998\ninner\n5\n",
        ),
        (
            "git",
            "git init -q r && cd r && echo a >f && git add f && git -c user.name=a -c user.email=a@b commit -qm one && git gc -q && git clone -q . ../c && git -C ../c log --format=%s",
            "one\n",
        ),
        (
            "cc",
            "printf '#include <pthread.h>\\n#include <stdio.h>\\nvoid *f(void *x) { puts(\"thread\"); return 0; }\\nint main() { pthread_t t; pthread_create(&t, 0, f, 0); pthread_join(t, 0); }' >a.c && cc -O2 -pthread a.c -o a && ./a",
            "thread\n",
        ),
        ("make", "printf 'all:\\n\\t@echo made\\n' >Makefile && make -j2", "made\n"),
        (
            "node",
            "node -e 'const {Worker} = require(\"worker_threads\"); new Worker(\"1\", {eval: true}).on(\"exit\", () => console.log(require(\"child_process\").execSync(\"echo sub\").toString().trim())); require(\"http\").createServer((q, r) => r.end(\"x\")).listen(0, function() { fetch(`http://127.0.0.1:${this.address().port}`).then(r => r.text()).then(() => this.close()); })'",
            "sub\n",
        ),
        ("perl", "perl -e 'print `echo back`; wait if fork // die; '", "back\n"),
    ];
    for (program, line, expected) in shell {
        if !Path::new("/usr/bin").join(program).exists() {
            continue;
        }
        let ran = run(&*sandbox, Command::Shell(line.to_owned()), Duration::from_secs(30)).await;
        assert_eq!(ran.stdout.text(), expected, "{program}: {:?} {}", ran.killed, ran.stderr.text());
    }
}

#[tokio::test]
async fn every_wall_says_what_its_absence_means() {
    let isolation = Target::new([]).provider.probe().await.unwrap();
    let reported: BTreeSet<_> = isolation.layers.iter().map(|layer| layer.name.as_str()).collect();
    let known: BTreeSet<_> = LayerName::ALL.iter().map(|layer| layer.name()).collect();
    assert!(known.is_superset(&reported), "{reported:?}");
    assert!(isolation.layers.iter().all(|layer| !layer.absence().is_empty()));
    for name in [LayerName::Seccomp, LayerName::Egress, LayerName::NoNewPrivileges, LayerName::Capabilities] {
        assert!(isolation.layers.iter().any(|layer| layer.name == name.name() && layer.given), "{isolation:?}");
    }
}

#[test]
fn the_attacks_fail_for_a_service_that_is_not_root() {
    again_without_rights(&["attacks::"], "the_attacks_fail");
}

//! The local sandbox, attacked through the real helper. Each attack prints what happened, so that a test cannot pass because
//! nothing ran.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use threadbox::sandbox::local::{LocalConfig, LocalProvider};
use threadbox::sandbox::proxy::Policy;
use threadbox::sandbox::{Command, Exec, Executed, Killed, Language, Provider, Sandbox, SandboxError, SandboxSpec};
use tokio_util::sync::CancellationToken;

/// A provider with a directory of its own; both are gone afterwards.
pub struct Machine {
    pub provider: LocalProvider,
    root: tempfile::TempDir,
}

pub fn config(root: &Path) -> LocalConfig {
    LocalConfig {
        root: root.join("sandboxes"),
        helper: PathBuf::from(env!("CARGO_BIN_EXE_threadbox")),
        cpus: 2,
        memory_mb: 512,
        disk_mb: 64,
        processes: 128,
        search_path: Vec::new(),
        network: Policy::default(),
        without: BTreeSet::new(),
    }
}

pub fn machine() -> Machine {
    let root = tempfile::tempdir().unwrap();
    Machine { provider: LocalProvider::new(config(root.path())).unwrap(), root }
}

impl Machine {
    pub async fn sandbox(&self, name: &str) -> Arc<dyn Sandbox> {
        self.provider.create(SandboxSpec { name: Some(name.to_owned()), ..SandboxSpec::default() }).await.unwrap()
    }

    /// The service again, after this one ended.
    pub async fn restarted(self) -> Self {
        let Self { provider, root } = self;
        provider.close().await;
        drop(provider);
        Self { provider: LocalProvider::new(config(root.path())).unwrap(), root }
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.root.path().join("sandboxes").join(name)
    }
}

pub fn exec(command: Command) -> Exec {
    Exec::new(command, Duration::from_secs(30), 64 << 10)
}

pub async fn sh(sandbox: &dyn Sandbox, line: &str) -> Executed {
    sandbox.exec(exec(Command::Shell(line.to_owned())), &CancellationToken::new()).await.unwrap()
}

async fn python(sandbox: &dyn Sandbox, code: &str) -> Executed {
    let command = Command::Code { language: Language::Python, code: code.to_owned(), argv: Vec::new() };
    sandbox.exec(exec(command), &CancellationToken::new()).await.unwrap()
}

/// A time to sleep that no other process of this machine sleeps, so that it can be found again: the suite may run beside itself.
pub fn marked(seconds: &str) -> String {
    format!("{seconds}{}", std::process::id())
}

/// Processes of this machine whose command line contains the text.
pub fn host_processes_with(text: &str) -> usize {
    let contains = |entry: &std::fs::DirEntry| {
        std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter(contains).count()
}

#[tokio::test]
async fn code_runs_and_its_streams_are_told_apart() {
    let machine = machine();
    let sandbox = machine.sandbox("plain").await;
    let ran = sh(&*sandbox, "echo out; echo err >&2; pwd; exit 3").await;
    assert_eq!((ran.exit_code, ran.killed), (3, None));
    assert_eq!(ran.stdout.text(), "out\n/workspace\n");
    assert_eq!(ran.stderr.text(), "err\n");

    let command = Command::Code {
        language: Language::Python,
        code: "import sys, helper; print(helper.x, sys.argv[1:], repr(sys.stdin.read()))".to_owned(),
        argv: vec!["a b".to_owned(), "$(id); 'quoted'".to_owned()],
    };
    sandbox.write("helper.py", b"x = 41 + 1").await.unwrap();
    let ran = sandbox.exec(exec(command), &CancellationToken::new()).await.unwrap();
    assert_eq!(ran.stdout.text(), "42 ['a b', \"$(id); 'quoted'\"] ''\n", "{}", ran.stderr.text());
    assert_eq!(sh(&*sandbox, "ls -A /tmp; echo x >/dev/stdout; kill -9 $$").await.exit_code, 137);
}

#[tokio::test]
async fn the_probe_names_every_wall() {
    let machine = machine();
    let isolation = machine.provider.probe().await.unwrap();
    let names: Vec<_> = isolation.layers.iter().map(|layer| layer.name.as_str()).collect();
    for wall in [
        "user namespace",
        "mount namespace",
        "pid namespace",
        "network namespace",
        "Landlock",
        "no new privileges",
        "capabilities",
    ] {
        assert!(names.contains(&wall), "{wall} is not in {names:?}");
    }
    assert!(isolation.missing().all(|layer| !layer.name.ends_with("namespace") && !layer.detail.is_empty()), "{isolation:?}");
    assert_eq!(std::fs::read_dir(machine.root.path().join("sandboxes")).unwrap().count(), 0);
}

/// A helper that runs in surroundings prepared by `line`.
fn wrapped(directory: &Path, enter: &str, line: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let helper = directory.join("helper");
    let binary = env!("CARGO_BIN_EXE_threadbox");
    std::fs::write(&helper, format!("#!/bin/sh\nexec {enter} sh -c '{line}; exec {binary} \"$@\"' - \"$@\"\n")).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    helper
}

/// A helper without namespaces: what a hardened machine or a plain container looks like.
#[tokio::test]
async fn without_namespaces_nothing_runs_and_the_remedy_is_named() {
    if rustix::process::geteuid().is_root() {
        return; // A root in such surroundings is not one; `the_walls_hold_for_a_service_that_is_not_root` comes here again.
    }
    let root = tempfile::tempdir().unwrap();
    let helper = wrapped(root.path(), "unshare -Ur", "echo 0 >/proc/sys/user/max_user_namespaces");
    let provider = LocalProvider::new(LocalConfig { helper, ..config(root.path()) }).unwrap();
    let refused = provider.probe().await.unwrap_err();
    assert!(matches!(&refused, SandboxError::NoIsolation(_)), "{refused:?}");
    let text = refused.to_string();
    assert!(
        text.contains("nothing was run") && text.contains("user.max_user_namespaces") && text.contains("SANDBOX=daytona"),
        "{text}"
    );

    let sandbox = provider.create(SandboxSpec { name: Some("x".to_owned()), ..SandboxSpec::default() }).await.unwrap();
    let refused = sandbox.exec(exec(Command::Shell("touch ran".to_owned())), &CancellationToken::new()).await;
    assert!(matches!(refused, Err(SandboxError::NoIsolation(_))), "{refused:?}");
    assert!(matches!(sandbox.info("ran").await, Err(SandboxError::NotFound(_))));
}

/// What `/proc` looks like in a container that hides parts of it: the kernel then refuses a new one.
#[tokio::test]
async fn in_a_container_with_a_masked_proc_the_remedy_is_its_option() {
    let enter = if rustix::process::geteuid().is_root() { "unshare -m" } else { "unshare -Urm" };
    let root = tempfile::tempdir().unwrap();
    let mask = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys";
    let provider = LocalProvider::new(LocalConfig { helper: wrapped(root.path(), enter, mask), ..config(root.path()) }).unwrap();
    let refused = provider.probe().await.unwrap_err();
    assert!(matches!(&refused, SandboxError::NoIsolation(text) if text.contains("systempaths=unconfined")), "{refused}");
}

#[tokio::test]
async fn other_files_cannot_be_read_nor_found() {
    let machine = machine();
    let secret = machine.root.path().join("secret.txt");
    std::fs::write(&secret, "host-secret").unwrap();
    let other = machine.sandbox("other").await;
    other.write("theirs.txt", b"their-secret").await.unwrap();
    let sandbox = machine.sandbox("attacker").await;
    let line = format!(
        "for f in /etc/shadow {} {}/other/workspace/theirs.txt {} /root/.ssh /home/* /var/lib /proc/1/root/etc/shadow /proc/1/cwd; do \
           cat $f 2>&1; ls $f 2>&1; done; ls /; grep -r secret / --include='*.txt' -s -l 2>/dev/null | grep -v ^/usr; echo attacked",
        secret.display(),
        machine.root.path().join("sandboxes").display(),
        env!("CARGO_MANIFEST_DIR"),
    );
    let ran = sh(&*sandbox, &line).await;
    let text = ran.stdout.text();
    assert!(text.ends_with("attacked\n"), "{text} {}", ran.stderr.text());
    assert!(
        !text.contains("root:")
            && !text.contains("host-secret")
            && !text.contains("their-secret")
            && !text.contains("Cargo.toml"),
        "{text}"
    );
    let root: Vec<_> = sh(&*sandbox, "ls -A /").await.stdout.text().lines().map(str::to_owned).collect();
    let known = ["bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr", "workspace"];
    assert!(root.iter().all(|name| known.contains(&name.as_str())), "{root:?}");
}

#[tokio::test]
async fn nothing_of_the_service_environment_is_inside() {
    let machine = machine();
    let sandbox = machine.sandbox("environment").await;
    let ran =
        sh(&*sandbox, "env; echo ---; for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ; done; id -u; cat /proc/1/environ")
            .await;
    let text = ran.stdout.text();
    let names: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    let allowed = ["PATH", "HOME", "USER", "LANG", "TERM", "MPLBACKEND", "PWD", "SHLVL", "_", "OLDPWD"];
    assert!(names.contains(&"PATH") && names.iter().all(|name| allowed.contains(name)), "{text}");
    assert!(!text.contains("CARGO") && text.contains("\n1000\n"), "{text}");
    assert!(ran.stderr.text().contains("/proc/1/environ"), "{}", ran.stderr.text());
}

#[tokio::test]
async fn there_is_no_network_but_a_loopback_of_its_own() {
    let machine = machine();
    let sandbox = machine.sandbox("network").await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let code = format!(
        "import socket\n\
         def attempt(name, f):\n    try: f(); print(name, 'connected')\n    except OSError as e: print(name, 'failed')\n\
         attempt('host', lambda: socket.create_connection(('127.0.0.1', {port}), 2))\n\
         attempt('dns', lambda: socket.getaddrinfo('example.com', 80))\n\
         attempt('outside', lambda: socket.create_connection(('192.0.2.1', 80), 2))\n\
         s = socket.create_server(('127.0.0.1', 0)); attempt('own', lambda: socket.create_connection(s.getsockname(), 2))\n",
        port = listener.local_addr().unwrap().port()
    );
    let ran = python(&*sandbox, &code).await;
    assert_eq!(ran.stdout.text(), "host failed\ndns failed\noutside failed\nown connected\n", "{}", ran.stderr.text());
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_fork_bomb_ends_with_its_command() {
    let machine = machine();
    let sandbox = machine.sandbox("bomb").await;
    let code = "import os, time\nn = 0\ntry:\n    while n < 5000:\n        if os.fork() == 0: time.sleep(600)\n        n += 1\nexcept OSError as e:\n    print('stopped at', n, e.errno)";
    let ran = python(&*sandbox, code).await;
    let text = ran.stdout.text();
    let count: u32 =
        text.split_whitespace().nth(2).and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{text} {}", ran.stderr.text()));
    assert!((10..=140).contains(&count), "{text}");
    assert!(ran.duration < Duration::from_secs(20), "{:?}", ran.duration);

    let mut bomb = exec(Command::Shell("echo armed; b() { b | b & }; b; sleep 600".to_owned()));
    bomb.timeout = Duration::from_secs(2);
    let ran = sandbox.exec(bomb, &CancellationToken::new()).await.unwrap();
    assert_eq!(ran.killed, Some(Killed::Timeout));
    assert!(ran.stdout.text().contains("armed"));
}

#[tokio::test]
async fn memory_is_limited_for_one_process_and_for_all_together() {
    let machine = machine();
    let sandbox = machine.sandbox("memory").await;
    let one = python(&*sandbox, "print('attack', flush=True)\nx = bytearray(2 << 30)\nprint('got it')").await;
    assert!(one.stdout.text().starts_with("attack") && !one.stdout.text().contains("got it"));
    assert_ne!(one.exit_code, 0);

    let shared = "import mmap, time\nprint('attack', flush=True)\nm = mmap.mmap(-1, 1 << 30)\nfor i in range(0, 1 << 30, 4096): m[i] = 1\nprint('got it')";
    let ran = python(&*sandbox, shared).await;
    assert_eq!((ran.killed, ran.stdout.text().as_str()), (Some(Killed::MemoryLimit), "attack\n"), "{}", ran.stderr.text());

    // Memory that belongs to no process: files without a disk, and segments that nobody has mapped.
    let unmapped = [
        "for i in range(1024):\n    if i % 32 == 0: fd = os.dup(os.memfd_create('x'))\n    os.write(fd, bytes(1 << 20)); time.sleep(0.001)",
        "c = ctypes.CDLL(None)\nc.shmat.restype = ctypes.c_void_p\nfor _ in range(1024):\n    i = c.shmget(0, 1 << 20, 0o1600)\n    a = c.shmat(i, None, 0)\n    ctypes.memset(a, 1, 1 << 20)\n    c.shmdt(ctypes.c_void_p(a))\n    time.sleep(0.001)",
    ];
    for attack in unmapped {
        let code = format!("import os, time, ctypes\nprint('attack', flush=True)\n{attack}\nprint('survived')");
        let ran = python(&*sandbox, &code).await;
        assert_eq!(
            (ran.killed, ran.stdout.text().as_str()),
            (Some(Killed::MemoryLimit), "attack\n"),
            "{attack}: {}",
            ran.stderr.text()
        );
    }

    // Each alone would be fine. Where control groups can be made, the kernel may be quicker than the helper and kill one of them.
    let many = "import os, time\nprint('attack', flush=True)\nfor _ in range(6):\n    if os.fork() == 0:\n        x = bytearray(200 << 20)\n        for i in range(0, len(x), 4096): x[i] = 1\n        time.sleep(600)\nprint('ended by', os.wait()[1])";
    let ran = python(&*sandbox, many).await;
    assert!(ran.killed == Some(Killed::MemoryLimit) || ran.stdout.text() == "attack\nended by 9\n", "{ran:?}");
}

#[tokio::test]
async fn disk_is_limited_even_for_files_without_a_name() {
    let machine = machine();
    let sandbox = machine.sandbox("disk").await;
    let one =
        python(&*sandbox, "print('attack', flush=True)\nwith open('big', 'wb') as f:\n    while True: f.write(b'x' * (1 << 20))")
            .await;
    assert!(one.stdout.text().starts_with("attack") && one.exit_code != 0);
    assert!(sandbox.info("big").await.unwrap().size <= 64 << 20);
    sandbox.delete("big").await.unwrap();

    let many = "import time\nprint('attack', flush=True)\nfor i in range(1000):\n    with open(f'/tmp/f{i}', 'wb') as f: f.write(b'x' * (4 << 20))\n    time.sleep(0.01)\nprint('wrote all')";
    let ran = python(&*sandbox, many).await;
    assert_eq!((ran.killed, ran.stdout.text().as_str()), (Some(Killed::DiskLimit), "attack\n"), "{}", ran.stderr.text());
    // What is there may be deleted although it is too much.
    let ran = sh(&*sandbox, "rm /tmp/f*; ls /tmp").await;
    assert_eq!((ran.exit_code, ran.stdout.text().as_str()), (0, "home\n"), "{ran:?}");

    let unnamed = "import os, time\nprint('attack', flush=True)\nfs = []\nfor i in range(100):\n    f = open('u', 'wb'); os.unlink('u'); fs.append(f)\n    f.write(b'x' * (4 << 20)); f.flush(); time.sleep(0.02)\nprint('wrote all')";
    let ran = python(&*sandbox, unnamed).await;
    assert_eq!((ran.killed, ran.stdout.text().as_str()), (Some(Killed::DiskLimit), "attack\n"), "{}", ran.stderr.text());
}

#[tokio::test]
async fn links_lead_nowhere_outside() {
    let machine = machine();
    let secret = machine.root.path().join("secret.txt");
    std::fs::write(&secret, "host-secret").unwrap();
    let sandbox = machine.sandbox("links").await;
    let line = format!(
        "ln -s {0} abs; ln -s ../../../secret.txt rel; ln -s /etc/passwd passwd; ln -s / rootdir; ln -s ../tmp up; mkdir d; ln -s d dl; \
         echo in >d/f; cat abs rel; mkfifo pipe; echo made",
        secret.display()
    );
    let ran = sh(&*sandbox, &line).await;
    assert_eq!(ran.stdout.text(), "made\n");
    for path in ["abs", "rel", "passwd", "rootdir/etc/passwd", "up/x", "../secret.txt", "/etc/passwd", "pipe"] {
        let refused = sandbox.read(path, 0, 1000).await.unwrap_err();
        assert!(!refused.to_string().is_empty() && !refused.to_string().contains("host-secret"), "{path}: {refused}");
    }
    for path in ["rootdir/tmp/x", "up/x", "/etc/x", "../x"] {
        assert!(sandbox.write(path, b"x").await.is_err(), "{path}");
        assert!(sandbox.create_directory(path).await.is_err(), "{path}");
    }
    assert_eq!(sandbox.read("dl/f", 0, 100).await.unwrap().0, "in\n");
    // Writing to a link replaces the link; deleting one leaves its target.
    sandbox.write("abs", b"mine").await.unwrap();
    sandbox.delete("rel").await.unwrap();
    sandbox.delete("rootdir").await.unwrap();
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "host-secret");
    assert!(Path::new("/etc/passwd").exists());
}

#[tokio::test]
async fn host_processes_cannot_be_seen_or_killed() {
    let machine = machine();
    let sandbox = machine.sandbox("kill").await;
    let ran = sh(
        &*sandbox,
        &format!("ls -d /proc/[0-9]* | wc -l; kill -9 {} ; kill -9 1; echo still; kill -9 -1; echo here", std::process::id()),
    )
    .await;
    let text = ran.stdout.text();
    let count: u32 = text.lines().next().unwrap().trim().parse().unwrap();
    assert!(count < 8 && text.contains("still"), "{text}");
    assert!(ran.stderr.text().contains("No such process"), "{}", ran.stderr.text());
}

#[tokio::test]
async fn no_privilege_can_be_gained() {
    let machine = machine();
    let sandbox = machine.sandbox("privilege").await;
    let line = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status; mount -t tmpfs x /tmp; echo mount $?; unshare -Ur true; echo userns $?; \
        unshare -m true; echo mountns $?; su -c id </dev/null; echo su $?; echo x >/usr/x; echo usr $?; echo x >/etc/passwd; echo etc $?; \
        touch /x; echo root $?; mknod d c 1 3; echo mknod $?; echo 1 >/proc/sys/kernel/core_pattern; echo sys $?; chown 0 .; echo chown $?; \
        cp /bin/sh s; chmod 4755 s; ./s -c 'id -u'; chroot / true; echo chroot $?; hostname x; echo hostname $?; date -s 2000-01-01; echo date $?; id";
    let ran = sh(&*sandbox, line).await;
    let text = ran.stdout.text();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(text.contains(&format!("{set}:\t0000000000000000")), "{text}");
    }
    assert!(text.contains("NoNewPrivs:\t1"), "{text}");
    for attempt in
        ["mount", "userns", "mountns", "su", "usr", "etc", "root", "mknod", "sys", "chown", "chroot", "hostname", "date"]
    {
        let result = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{attempt} ")))
            .unwrap_or_else(|| panic!("{attempt}: {text}"));
        assert_ne!(result, "0", "{attempt}: {text}");
    }
    assert!(text.contains("\n1000\n") && text.contains("uid=1000(threadbox) gid=1000(threadbox)"), "{text}");

    let trace = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nprint('attach', libc.ptrace(16, 1, 0, 0), ctypes.get_errno())\nprint('bpf', libc.syscall(321, 0, 0, 0))";
    let ran = python(&*sandbox, trace).await;
    assert!(ran.stdout.text().contains("attach -1 1\nbpf -1"), "{ran:?}");
}

#[tokio::test]
async fn a_flood_of_output_is_cut_in_the_middle() {
    let machine = machine();
    let sandbox = machine.sandbox("flood").await;
    let ran =
        python(&*sandbox, "import sys\nprint('begin')\nfor _ in range(200): sys.stdout.write('x' * (1 << 20))\nprint('end')")
            .await;
    assert_eq!(ran.exit_code, 0);
    assert!(ran.stdout.bytes.len() <= 64 << 10 && ran.stdout.omitted > 199 << 20);
    let text = ran.stdout.text();
    assert!(text.starts_with("begin") && text.ends_with("end\n") && text.contains("bytes left out"));
}

#[tokio::test]
async fn time_ends_a_command_and_what_it_printed_is_kept() {
    let machine = machine();
    let sandbox = machine.sandbox("timeout").await;
    let long = marked("31.4159");
    let mut slow = exec(Command::Shell(format!("echo before; trap '' TERM INT HUP; sleep {long}; echo after")));
    slow.timeout = Duration::from_millis(700);
    let ran = sandbox.exec(slow, &CancellationToken::new()).await.unwrap();
    assert_eq!((ran.killed, ran.exit_code), (Some(Killed::Timeout), 137));
    assert_eq!(ran.stdout.text(), "before\n");
    assert!(ran.duration < Duration::from_secs(5), "{:?}", ran.duration);
    assert_eq!(host_processes_with(&long), 0);
}

#[tokio::test]
async fn stopping_ends_a_command_at_once() {
    let machine = machine();
    let sandbox = machine.sandbox("cancel").await;
    let cancel = CancellationToken::new();
    let long = marked("27.1828");
    let running = sandbox.exec(exec(Command::Shell(format!("echo working; echo started >flag; sleep {long}"))), &cancel);
    let stop = async {
        let deadline = Instant::now() + Duration::from_secs(20);
        while sandbox.info("flag").await.is_err() && Instant::now() < deadline {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
        Instant::now()
    };
    let (ran, stopped) = tokio::join!(running, stop);
    let ran = ran.unwrap();
    assert_eq!((ran.killed, ran.stdout.text().as_str()), (Some(Killed::Cancelled), "working\n"));
    assert!(stopped.elapsed() < Duration::from_secs(1), "{:?}", stopped.elapsed());
    assert_eq!(host_processes_with(&long), 0);
}

#[tokio::test]
async fn nothing_survives_a_dropped_call() {
    let machine = machine();
    let sandbox = machine.sandbox("dropped").await;
    let cancel = CancellationToken::new();
    let long = marked("16.1803");
    let running = sandbox.exec(exec(Command::Shell(format!("echo started >flag; sleep {long}"))), &cancel);
    let flag = async {
        while sandbox.info("flag").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { _ = running => panic!("it ended by itself"), () = flag => {} }
    let deadline = Instant::now() + Duration::from_secs(10);
    while host_processes_with(&long) > 0 && Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    assert_eq!(host_processes_with(&long), 0);
}

/// Processes of this machine as (pid, parent).
fn parents() -> BTreeMap<u32, u32> {
    let parent = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some((pid, status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?))
    };
    let pids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(parent).collect()
}

#[tokio::test]
async fn the_end_of_the_helper_is_the_end_of_everything() {
    let machine = machine();
    let sandbox = machine.sandbox("killed").await;
    let cancel = CancellationToken::new();
    let long = marked("57.7215");
    let sleep = format!("sleep\x00{long}");
    let running = sandbox.exec(exec(Command::Shell(format!("echo started >flag; sleep {long}; true"))), &cancel);
    let kill = async {
        while sandbox.info("flag").await.is_err() || host_processes_with(&sleep) == 0 {
            tokio::task::yield_now().await;
        }
        let parents = parents();
        let sleeping =
            |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(sleep.as_bytes()));
        let mut pid = *parents.keys().find(|pid| sleeping(pid)).unwrap();
        while parents[&pid] != std::process::id() {
            pid = parents[&pid];
        }
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), rustix::process::Signal::KILL)
            .unwrap();
    };
    let (ran, ()) = tokio::join!(running, kill);
    assert!(matches!(ran, Err(SandboxError::Unavailable(_))), "{ran:?}");
    assert_eq!(host_processes_with(&long), 0);
    assert_eq!(sh(&*sandbox, "cat flag").await.stdout.text(), "started\n");
}

#[tokio::test]
async fn background_processes_neither_delay_nor_survive() {
    let machine = machine();
    let sandbox = machine.sandbox("background").await;
    let long = marked("14.1421");
    let ran = sh(&*sandbox, &format!("(setsid sleep {long} & ) ; nohup sleep {long} >/dev/null 2>&1 & echo done")).await;
    assert_eq!((ran.exit_code, ran.stdout.text().as_str()), (0, "done\n"));
    assert!(ran.duration < Duration::from_secs(5), "{:?}", ran.duration);
    assert_eq!(host_processes_with(&long), 0);
}

#[tokio::test]
async fn files_are_exact_and_the_same_for_tools_and_programs() {
    let machine = machine();
    let sandbox = machine.sandbox("files").await;
    let bytes: Vec<u8> = (0..=255u8).cycle().take(100_000).collect();
    sandbox.write("deep/er/data.bin", &bytes).await.unwrap();
    sandbox.write("/tmp/note", b"hello").await.unwrap();
    assert_eq!(sandbox.read("/workspace/deep/er/data.bin", 0, usize::MAX >> 1).await.unwrap(), (bytes.clone().into(), 100_000));
    assert_eq!(sandbox.read("deep/er/data.bin", 99_990, 100).await.unwrap().0, bytes[99_990..]);
    assert_eq!(sandbox.read("deep/er/data.bin", 200_000, 100).await.unwrap().0.len(), 0);
    let ran = sh(&*sandbox, "cat /tmp/note; echo changed >>deep/er/data.bin; mkdir deep/own; stat -c %U deep deep/er/data.bin; chmod 755 deep/er/data.bin; touch './-odd name'").await;
    assert_eq!(ran.stdout.text(), "hellothreadbox\nthreadbox\n", "{}", ran.stderr.text());
    sandbox.write("deep/er/data.bin", b"new").await.unwrap();
    let info = sandbox.info("deep/er/data.bin").await.unwrap();
    assert_eq!((info.size, info.mode & 0o777, info.owner, info.is_dir), (3, 0o755, 1000, false));
    let names: Vec<_> = sandbox.list(".").await.unwrap().into_iter().map(|info| (info.name, info.is_dir)).collect();
    assert_eq!(names, [("-odd name".to_owned(), false), ("deep".to_owned(), true)]);

    assert!(matches!(sandbox.read("nope", 0, 1).await, Err(SandboxError::NotFound(path)) if path == "nope"));
    assert!(matches!(sandbox.read("deep", 0, 1).await, Err(SandboxError::Invalid(text)) if text.contains("is a directory")));
    assert!(matches!(sandbox.write("deep", b"").await, Err(SandboxError::Invalid(text)) if text.contains("is a directory")));
    assert!(matches!(sandbox.write("-odd name/x", b"").await, Err(SandboxError::Invalid(_))));
    assert!(matches!(sandbox.delete("nope").await, Err(SandboxError::NotFound(_))));
    assert!(matches!(sandbox.delete("/workspace").await, Err(SandboxError::Invalid(_))));
    sandbox.delete("deep").await.unwrap();
    assert!(matches!(sandbox.info("deep").await, Err(SandboxError::NotFound(_))));
}

#[tokio::test]
async fn a_sandbox_is_found_again_and_removed_whatever_the_code_left() {
    let machine = machine();
    let spec = SandboxSpec {
        name: Some("again".to_owned()),
        env: [("GREETING".to_owned(), "hi".to_owned())].into(),
        ..SandboxSpec::default()
    };
    let sandbox = machine.provider.create(spec).await.unwrap();
    sandbox.write("kept", b"1").await.unwrap();
    let same = machine.sandbox("again").await;
    assert_eq!(same.id(), sandbox.id());
    let found = machine.provider.find(sandbox.id()).await.unwrap();
    let ran = sh(&*found, "cat kept; echo $GREETING; mkdir -p a/b/c; echo x >a/b/c/f; chmod 000 a/b/c a/b a; ln -s / away").await;
    assert_eq!(ran.stdout.text(), "1hi\n");
    machine.provider.remove(sandbox.id()).await.unwrap();
    machine.provider.remove(sandbox.id()).await.unwrap();
    assert!(!machine.directory("again").exists());
    assert!(matches!(machine.provider.find(sandbox.id()).await, Err(SandboxError::NotFound(_))));
    assert!(matches!(found.read("kept", 0, 1).await, Err(SandboxError::Unavailable(_))));
}

#[tokio::test]
async fn a_name_does_not_open_the_sandbox_of_another_thread() {
    let machine = machine();
    let spec = |thread| SandboxSpec { thread: Some(thread), name: Some("wanted".to_owned()), ..SandboxSpec::default() };
    let (mine, theirs) = (threadbox::id::ThreadId::new(), threadbox::id::ThreadId::new());
    machine.provider.create(spec(theirs)).await.unwrap();
    machine.provider.create(spec(theirs)).await.unwrap();
    let refused = machine.provider.create(spec(mine)).await.map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("belongs to another conversation"), "{refused}");
}

#[tokio::test]
async fn a_missing_program_and_a_wrong_directory_are_explained() {
    let machine = machine();
    let sandbox = machine.sandbox("missing").await;
    let mut wrong = exec(Command::Shell("pwd".to_owned()));
    wrong.working_directory = Some("no/such".to_owned());
    let refused = sandbox.exec(wrong, &CancellationToken::new()).await.unwrap_err();
    assert!(refused.to_string().contains("cannot work in /workspace/no/such"), "{refused}");
    assert_eq!(sh(&*sandbox, "no-such-program").await.exit_code, 127);
}

/// The suite runs as whoever started it. As root it runs the attacks once more as a user without rights, because the walls are built
/// differently then.
#[test]
fn the_walls_hold_for_a_service_that_is_not_root() {
    again_without_rights(&["sandbox::", "processes::", "languages::"], "the_walls_hold");
}

/// Runs the tests of these modules once more as `nobody`, when we are root.
pub fn again_without_rights(modules: &[&str], but: &str) {
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let binary = std::env::current_exe().unwrap();
    let mut command = std::process::Command::new(&binary);
    command.args(modules).args(["--skip", but, "--test-threads", "2"]).env_clear().env("PATH", "/usr/bin:/bin");
    let output = match command.current_dir("/").uid(65534).gid(65534).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            eprintln!("not run: {} cannot be reached by another user", binary.display());
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("0 failed") && !text.contains("running 0 tests"), "{text}");
}

#[tokio::test]
async fn a_command_starts_quickly() {
    let machine = machine();
    let sandbox = machine.sandbox("quick").await;
    sh(&*sandbox, "true").await;
    let start = Instant::now();
    for _ in 0..5 {
        sh(&*sandbox, "true").await;
    }
    // Usually 20 ms each; this only notices a wait that should not be there.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    println!("{:?} each", start.elapsed() / 5);
}

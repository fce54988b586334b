//! The outer process: leaves root behind, makes the namespaces, and waits for what happens inside.

use std::fs;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Gid, Uid};
use rustix::process::{
    DumpableBehavior, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, set_dumpable_behavior, waitpid,
};
use rustix::thread::UnshareFlags;

use super::super::isolation::{Layer, LayerName};
use super::super::plan::{INSIDE, Ids, Plan};
use super::shared::{self, Namespaces};
use super::sys::{self, Forked};
use super::{Building, Line, Refused, root, watch};

/// Builds the walls, runs the program behind them, and returns when nothing inside is left.
pub(super) fn run(plan: &Plan, shared: Option<Namespaces>, line: &mut Line) -> Result<(), Refused> {
    let mut layers = Vec::new();
    layers.push(join_cgroups(plan));
    // Root may see directories that the unprivileged user may not: what is needed of them is opened now.
    let early = plan.become_outside.and_then(|_| root::open_sources(plan).ok());
    let outside = leave_root(plan.become_outside)?;
    make_namespaces(plan, outside, shared, &mut layers)?;
    root::detach_from_host()?;
    let sources = match early {
        Some(sources) => sources,
        None => root::open_sources(plan)?,
    };
    root::build(plan, sources)?;
    layers.push(Layer::given("root directory", "private, read-only; only /workspace and /tmp can be written"));

    match sys::fork().building("pid namespace", "fork")? {
        Forked::Child => watch::first_process(plan, line, layers),
        Forked::Parent(first) => {
            wait_for(first, line);
            Ok(())
        }
    }
}

/// Best effort: memory, processes and disk are limited without them too, only less exactly.
fn join_cgroups(plan: &Plan) -> Layer {
    const NAME: &str = "control groups";
    let join = |directory: &PathBuf| fs::write(directory.join("cgroup.procs"), "0");
    match plan.cgroups.iter().try_for_each(join) {
        Ok(()) if plan.cgroups.is_empty() => {
            Layer::missing(NAME, "none can be made here; the helper itself watches memory and processes")
        }
        Ok(()) => Layer::given(NAME, format!("{} for each command", plan.cgroups.len())),
        Err(error) => Layer::missing(NAME, format!("{error}; the helper itself watches memory and processes")),
    }
}

/// Becomes the unprivileged user for good, and returns who we are on this machine.
pub(super) fn leave_root(become_outside: Option<Ids>) -> Result<Ids, Refused> {
    let Some(ids) = become_outside else {
        return Ok(Ids { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() });
    };
    let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    for stream in [rustix::fd::AsFd::as_fd(&std::io::stdout()), rustix::fd::AsFd::as_fd(&std::io::stderr())] {
        // Otherwise the program could not open /dev/stdout.
        let _ = rustix::fs::fchown(stream, Some(uid), Some(gid));
    }
    rustix::thread::set_thread_groups(&[]).building("unprivileged user", "leave the groups")?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).building("unprivileged user", "change the group")?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).building("unprivileged user", "change the user")?;
    // Changing the user makes /proc/self belong to root; the maps below must be written by us.
    set_dumpable_behavior(DumpableBehavior::Dumpable).building("unprivileged user", "own /proc/self again")?;
    Ok(ids)
}

/// A user namespace in which the user of the program is the only one.
pub(super) fn make_user_namespace(outside: Ids) -> Result<(), Refused> {
    sys::unshare(UnshareFlags::NEWUSER).building("user namespace", "unshare")?;
    fs::write("/proc/self/setgroups", "deny").building("user namespace", "deny setgroups")?;
    fs::write("/proc/self/uid_map", format!("{} {} 1", INSIDE.uid, outside.uid)).building("user namespace", "map the user")?;
    fs::write("/proc/self/gid_map", format!("{} {} 1", INSIDE.gid, outside.gid)).building("user namespace", "map the group")
}

/// New namespaces, but for the two that may be shared with what else runs in this sandbox.
fn make_namespaces(plan: &Plan, outside: Ids, shared: Option<Namespaces>, layers: &mut Vec<Layer>) -> Result<(), Refused> {
    let joined = shared.is_some();
    match shared {
        Some(namespaces) => shared::join(namespaces)?,
        None => make_user_namespace(outside)?,
    }
    layers.push(Layer::given("user namespace", format!("user {} inside is user {} outside", INSIDE.uid, outside.uid)));
    let required = [
        ("mount namespace", UnshareFlags::NEWNS, "own mounts"),
        ("pid namespace", UnshareFlags::NEWPID, "no other process is visible; all end together"),
    ];
    for (name, flag, detail) in required {
        sys::unshare(flag).building(name, "unshare")?;
        layers.push(Layer::given(name, detail));
    }
    // These can be left out by tests of the others.
    let separate = [
        (LayerName::NetworkNamespace, UnshareFlags::NEWNET, "no network device but an own loopback; own abstract sockets"),
        (LayerName::IpcNamespace, UnshareFlags::NEWIPC, "own shared memory and queues"),
        (LayerName::UtsNamespace, UnshareFlags::NEWUTS, "own host name"),
    ];
    for (name, flag, detail) in separate {
        if joined && name == LayerName::NetworkNamespace {
            layers.push(Layer::given(name.name(), "no network device but the loopback of this sandbox"));
            continue;
        }
        layers.push(plan.unless_left_out(name, || {
            sys::unshare(flag).building(name.name(), "unshare")?;
            Ok(Layer::given(name.name(), detail))
        })?);
    }
    layers.push(plan.unless_left_out(LayerName::CgroupNamespace, || {
        Ok::<_, Refused>(match sys::unshare(UnshareFlags::NEWCGROUP) {
            Ok(()) => Layer::given("cgroup namespace", "control groups of this machine are not visible"),
            Err(error) => Layer::missing("cgroup namespace", error.to_string()),
        })
    })?);
    Ok(())
}

/// Waits until the first process is gone. When the service hangs up, everything is killed. What it says is for the first process.
fn wait_for(first: rustix::process::Pid, line: &Line) {
    if let Ok(exit) = pidfd_open(first, PidfdFlags::empty()) {
        let mut fds = [PollFd::new(&exit, PollFlags::IN), PollFd::new(&line.0, PollFlags::RDHUP | PollFlags::HUP)];
        while let Err(rustix::io::Errno::INTR) = poll(&mut fds, None) {}
        if fds[0].revents().is_empty() {
            let _ = kill_process(first, Signal::KILL);
        }
    }
    while let Err(rustix::io::Errno::INTR) = waitpid(Some(first), WaitOptions::empty()) {}
}

//! The first process inside: starts the program, reaps, and ends everything when a limit is passed or the service hangs up.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, pidfd_open, set_dumpable_behavior,
    set_parent_process_death_signal, wait,
};
use rustix::thread::CapabilitySet;

use super::super::super::Killed;
use super::super::isolation::{Layer, LayerName};
use super::super::plan::{ASK_TO_END, Event, Limits, Plan};
use super::sys::{self, Forked};
use super::{Building, Line, Refused, egress, program, root};

/// Memory can grow by gigabytes per second, so it is looked at often; looking may cost a tenth of the time at most.
const MEMORY_INTERVAL: Duration = Duration::from_millis(15);
/// The same while nothing inside uses a processor, which it takes to fill memory.
const IDLE_MEMORY_INTERVAL: Duration = Duration::from_millis(60);
/// Disk grows more slowly, and looking costs more.
const DISK_INTERVAL: Duration = Duration::from_millis(100);
/// The same while nothing inside uses a processor: space can be reserved for nearly nothing, but not written.
const IDLE_DISK_INTERVAL: Duration = Duration::from_secs(2);
/// Deeper trees and more files than these are an attack on whoever has to walk them.
const MAX_DEPTH: usize = 200;
const MAX_FILES: usize = 250_000;

/// Does not return to the caller's code: the process ends here, and with it everything inside.
#[expect(clippy::disallowed_methods, reason = "a forked process must not run what its parent's frames would do")]
pub(super) fn first_process(plan: &Plan, line: &mut Line, layers: Vec<Layer>) -> ! {
    if let Err(refused) = supervise(plan, line, layers) {
        line.say(&refused.event());
    }
    std::process::exit(0)
}

#[expect(clippy::disallowed_methods, reason = "a forked process must not run what its parent's frames would do")]
fn supervise(plan: &Plan, line: &mut Line, mut layers: Vec<Layer>) -> Result<(), Refused> {
    set_parent_process_death_signal(Some(Signal::KILL)).building("pid namespace", "end with the parent")?;
    rustix::process::setsid().building("session", "setsid")?;
    if !plan.without.contains(&LayerName::UtsNamespace) {
        rustix::system::sethostname(b"sandbox").building("uts namespace", "set the host name")?;
    }
    let _ = sys::loopback_up();
    let egress = egress::open(plan, line)?;
    layers.push(root::enter(plan)?);
    layers.push(egress);

    match sys::fork().building("pid namespace", "fork")? {
        Forked::Child => {
            program::become_program(plan, line, layers);
            std::process::exit(127)
        }
        Forked::Parent(child) => {
            // What is left is needed to measure files and processes that the code made unreadable for itself.
            let kept = CapabilitySet::DAC_READ_SEARCH | CapabilitySet::SYS_PTRACE;
            program::hold_only(kept).building("capabilities", "drop most of the first process")?;
            set_dumpable_behavior(DumpableBehavior::NotDumpable).building("pid namespace", "hide the first process")?;
            watch(child, &plan.limits, line);
            Ok(())
        }
    }
}

fn watch(child: Pid, limits: &Limits, line: &mut Line) {
    let Ok(ended) = pidfd_open(child, PidfdFlags::empty()) else {
        return;
    };
    let mut watchdog = Watchdog::new(limits);
    loop {
        let timeout = Timespec { tv_sec: 0, tv_nsec: watchdog.pause().subsec_nanos().into() };
        let spoken = {
            let mut fds = [PollFd::new(&ended, PollFlags::IN), PollFd::new(&line.0, PollFlags::IN | PollFlags::HUP)];
            let _ = poll(&mut fds, Some(&timeout));
            !fds[1].revents().is_empty()
        };
        if spoken {
            match line.hear() {
                Some(ASK_TO_END) => sys::signal_all(Signal::TERM),
                Some(_) | None => return,
            }
        }
        if let Some(code) = reap(child) {
            return line.say(&Event::Exited { code });
        }
        if let Some(why) = watchdog.look() {
            return line.say(&Event::Killed { why });
        }
    }
}

/// Collects ended processes; the exit code of `child` when it is among them.
fn reap(child: Pid) -> Option<i32> {
    let mut code = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == child {
            code = Some(exit_code(status));
        }
    }
    code
}

fn exit_code(status: WaitStatus) -> i32 {
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(255)
}

struct Watchdog {
    memory_limit: u64,
    /// Memory in files without a name, as of the last look at disks.
    hidden: u64,
    disk_limit: u64,
    memory_pause: Duration,
    next_disk: Instant,
    /// The same while nothing happens.
    next_idle_disk: Instant,
    /// As of the last look, and as of the last look at disks.
    activity: Activity,
    measured: Activity,
}

/// What changes when a program does something: the processes, and the time they used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Activity {
    pids: Vec<u32>,
    ticks: u64,
}

impl Watchdog {
    fn new(limits: &Limits) -> Self {
        let before = disk_used().unwrap_or(0);
        Self {
            memory_limit: limits.memory_bytes,
            hidden: 0,
            // A workspace that is already too full may be worked in, for example to delete from it; it may not grow.
            disk_limit: limits.disk_bytes.max(before.saturating_add(1 << 20).min(limits.disk_bytes.saturating_mul(4))),
            memory_pause: MEMORY_INTERVAL,
            next_disk: Instant::now() + DISK_INTERVAL,
            next_idle_disk: Instant::now(),
            activity: Activity::default(),
            measured: Activity::default(),
        }
    }

    fn pause(&self) -> Duration {
        self.memory_pause.min(Duration::from_millis(900))
    }

    fn look(&mut self) -> Option<Killed> {
        let start = Instant::now();
        let pids = processes();
        let memory = self.memory_passed(&pids);
        let activity = Activity { ticks: pids.iter().filter_map(|pid| ticks(*pid)).sum(), pids };
        let interval = if activity == self.activity { IDLE_MEMORY_INTERVAL } else { MEMORY_INTERVAL };
        self.activity = activity;
        self.memory_pause = interval.max(start.elapsed() * 10);
        if memory {
            return Some(Killed::MemoryLimit);
        }
        let due = if self.activity == self.measured { self.next_idle_disk } else { self.next_disk };
        if start >= due {
            let walk = Instant::now();
            // A tree that cannot be measured counts as too big.
            let unnamed = unlinked(&self.activity.pids);
            self.hidden = unnamed.memory;
            let used = disk_used().map_or(u64::MAX, |files| files + unnamed.disk);
            self.next_disk = Instant::now() + DISK_INTERVAL.max(walk.elapsed() * 8);
            self.next_idle_disk = self.next_disk + IDLE_DISK_INTERVAL;
            self.measured.clone_from(&self.activity);
            return (used > self.disk_limit).then_some(Killed::DiskLimit);
        }
        None
    }

    /// Resident pages are quick to add up but count shared ones several times; the exact figure is read only when they are too many.
    fn memory_passed(&self, pids: &[u32]) -> bool {
        let unmapped = self.hidden + shared_segments();
        let resident: u64 = pids.iter().filter_map(|pid| resident(*pid)).sum();
        resident + unmapped > self.memory_limit
            && pids.iter().filter_map(|pid| proportional(*pid)).sum::<u64>() + unmapped > self.memory_limit
    }
}

/// Every process inside but this one.
fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| *pid != 1).collect()
}

fn resident(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Time on processors, of ended children too.
fn ticks(pid: u32) -> Option<u64> {
    ticks_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Four fields, the eleventh behind the name and on; the name is in brackets and may hold anything.
fn ticks_in(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let times: Vec<u64> = fields.split_whitespace().skip(11).take(4).map_while(|field| field.parse().ok()).collect();
    (times.len() == 4).then(|| times.iter().sum())
}

fn proportional(pid: u32) -> Option<u64> {
    let Ok(rollup) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else {
        return resident(pid);
    };
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Bytes allocated below `/workspace` and `/tmp`. None when the tree is too deep or too large to be measured.
fn disk_used() -> Option<u64> {
    let mut bytes = 0;
    let mut files = 0;
    let mut linked = HashSet::new();
    let mut pending = vec![(PathBuf::from("/workspace"), 0), (PathBuf::from("/tmp"), 0)];
    while let Some((directory, depth)) = pending.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.raw_os_error() == Some(libc::ENAMETOOLONG) => return None,
            // Gone meanwhile.
            Err(_) => continue,
        };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            files += 1;
            if files > MAX_FILES || depth > MAX_DEPTH {
                return None;
            }
            if metadata.is_dir() {
                pending.push((entry.path(), depth + 1));
            }
            if metadata.nlink() < 2 || metadata.is_dir() || linked.insert(metadata.ino()) {
                bytes += metadata.blocks() * 512;
            }
        }
    }
    Some(bytes)
}

/// Resident bytes of System V shared memory, which stays when nobody has it mapped.
fn shared_segments() -> u64 {
    const RESIDENT: usize = 14;
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(RESIDENT)?.parse::<u64>().ok()).sum()
}

/// Files that have no name (any more) but are still open.
#[derive(Default)]
struct Unlinked {
    disk: u64,
    /// Those that never had a disk, made with `memfd_create`.
    memory: u64,
}

fn unlinked(pids: &[u32]) -> Unlinked {
    let disks = ["/workspace", "/tmp"].map(|path| fs::metadata(path).map(|metadata| metadata.dev()).ok());
    let mut seen = HashSet::new();
    let mut found = Unlinked::default();
    for pid in pids {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            if let Ok(metadata) = fs::metadata(entry.path())
                && metadata.is_file()
                && metadata.nlink() == 0
                && seen.insert((metadata.dev(), metadata.ino()))
            {
                let bytes = metadata.blocks() * 512;
                match disks.contains(&Some(metadata.dev())) {
                    true => found.disk += bytes,
                    false => found.memory += bytes,
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_on_processors_is_read_behind_any_name() {
        let stat = "7 (a ) 1 2) S 1 7 7 0 -1 4194560 90 0 0 0 10 200 3000 40000 20 0 1 0 5 6 7";
        assert_eq!(ticks_in(stat), Some(43_210));
        assert_eq!(ticks_in("7 (a) S 1"), None);
        assert!(ticks(std::process::id()).is_some());
    }
}

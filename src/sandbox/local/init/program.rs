//! The last steps before the code: limits, Landlock, no capabilities, and execution.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use landlock::{
    ABI, Access, AccessFs, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::super::isolation::{Layer, LayerName};
use super::super::plan::{Event, Limits, Plan};
use super::{Building, Line, Refused, seccomp, sys};

/// Becomes the program. Returns only when that was not possible, after saying why.
pub(super) fn become_program(plan: &Plan, line: &mut Line, mut layers: Vec<Layer>) {
    let failure = match confine(plan, &mut layers) {
        Ok(()) => execute(plan, line, layers),
        Err(refused) => refused.event(),
    };
    line.say(&failure);
}

fn confine(plan: &Plan, layers: &mut Vec<Layer>) -> Result<(), Refused> {
    rustix::process::setsid().building("session", "setsid")?;
    sys::forget_keys();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // If memory of the whole machine runs out, this goes first.
    let _ = fs::write("/proc/self/oom_score_adj", "800");
    let _ = rustix::process::setpriority_process(None, 5);
    layers.push(plan.unless_left_out(LayerName::ResourceLimits, || {
        limit(&plan.limits).building("resource limits", "setrlimit")?;
        Ok(Layer::given("resource limits", "processes, memory, file size, open files, no core dumps"))
    })?);
    layers.push(plan.unless_left_out(LayerName::Landlock, || Ok(landlock()))?);
    layers.push(plan.unless_left_out(LayerName::NoNewPrivileges, || {
        rustix::thread::set_no_new_privs(true).building("no new privileges", "prctl")?;
        Ok(Layer::given("no new privileges", "set-user-id programs have no effect"))
    })?);
    layers.push(plan.unless_left_out(LayerName::Seccomp, || {
        seccomp::confine().building("seccomp", "confine").map(|detail| Layer::given("seccomp", detail))
    })?);
    // Last, because until then the kernel lets no program without capabilities trace this process.
    layers.push(plan.unless_left_out(LayerName::Capabilities, || {
        drop_bounding_set().building("capabilities", "empty the bounding set")?;
        rustix::thread::clear_ambient_capability_set().building("capabilities", "clear the ambient set")?;
        hold_only(CapabilitySet::empty()).building("capabilities", "drop all")?;
        Ok(Layer::given("capabilities", "none"))
    })?);
    Ok(())
}

fn limit(limits: &Limits) -> io::Result<()> {
    let ceilings = [
        (Resource::Core, 0),
        (Resource::Data, limits.memory_bytes),
        (Resource::Fsize, limits.disk_bytes),
        (Resource::Nproc, limits.processes),
        (Resource::Nofile, limits.open_files),
        (Resource::Cpu, limits.cpu_seconds),
        (Resource::Memlock, 8 << 20),
        (Resource::Msgqueue, 1 << 20),
    ];
    for (resource, ceiling) in ceilings {
        let most = getrlimit(resource).maximum.map_or(ceiling, |hard| hard.min(ceiling));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

fn drop_bounding_set() -> io::Result<()> {
    for number in 0..64 {
        match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            // The kernel knows no capability of this number, nor any higher one.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Keeps these capabilities and no other.
pub(super) fn hold_only(kept: CapabilitySet) -> io::Result<()> {
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    Ok(set_capabilities(None, sets)?)
}

/// A second wall around files, in case the first has a hole. Old kernels give less of it or nothing.
fn landlock() -> Layer {
    let status = match restrict_files() {
        Ok(status) => status,
        Err(error) => return Layer::missing("Landlock", error.to_string()),
    };
    let version = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => format!("ABI {}", effective_abi as i32),
        LandlockStatus::NotEnabled => "not enabled in this kernel (boot with lsm=landlock,…)".to_owned(),
        LandlockStatus::NotImplemented => "not part of this kernel".to_owned(),
    };
    match status.ruleset {
        RulesetStatus::FullyEnforced => Layer::given("Landlock", version),
        RulesetStatus::PartiallyEnforced => Layer::given("Landlock", format!("{version}, partly")),
        RulesetStatus::NotEnforced => Layer::missing("Landlock", version),
    }
}

fn restrict_files() -> Result<landlock::RestrictionStatus, landlock::RulesetError> {
    let abi = ABI::V6;
    let devices = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
    Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(["/"], AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(["/workspace", "/tmp", "/dev/shm"], AccessFs::from_all(abi)))?
        .add_rules(path_beneath_rules(devices, AccessFs::from_all(abi)))?
        // That is a wall of its own; here the capability that this process still has is enough.
        .no_new_privs(false)
        .restrict_self()
}

/// Executes. What comes back is why it did not work.
fn execute(plan: &Plan, line: &mut Line, layers: Vec<Layer>) -> Event {
    let program = &plan.program;
    let Some((name, arguments)) = program.argv.split_first() else {
        return not_started("the command is empty".to_owned());
    };
    if let Err(error) = std::env::set_current_dir(&program.directory) {
        return not_started(format!("cannot work in {}: {error}", program.directory));
    }
    let stdin = match File::open(program.stdin.as_deref().unwrap_or("/dev/null")) {
        Ok(file) => file,
        Err(error) => return not_started(format!("cannot open the standard input: {error}")),
    };
    let mut command = Command::new(name);
    command.args(arguments).env_clear().envs(program.env.iter().cloned()).stdin(Stdio::from(stdin));
    line.say(&Event::Ready { layers });
    let error = command.exec();
    Event::NotStarted { reason: format!("cannot start `{name}`: {error}"), not_found: error.kind() == io::ErrorKind::NotFound }
}

fn not_started(reason: String) -> Event {
    Event::NotStarted { reason, not_found: false }
}

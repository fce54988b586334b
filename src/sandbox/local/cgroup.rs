//! A control group for each command where this machine lets us make one: memory and process ceilings the kernel keeps.
//! Best effort; the first process inside watches memory in any case.

use std::fs;
use std::path::{Path, PathBuf};

use super::plan::Limits;

/// Begins the names of our groups.
const PREFIX: &str = "threadbox-";

/// Memory of the helper itself, which is in the group too.
const HELPER_BYTES: u64 = 96 << 20;

/// Groups of one command; removed when dropped, by which time nothing may run in them.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    directories: Vec<PathBuf>,
}

impl Cgroups {
    /// Makes what can be made.
    pub(super) fn make(limits: &Limits) -> Self {
        let name = format!("{PREFIX}{}-{}", std::process::id(), uuid::Uuid::now_v7().simple());
        let make = |place: Place| place.parents.iter().find_map(|parent| make_in(parent, &name, &place.settings));
        Self { directories: places(limits).into_iter().filter_map(make).collect() }
    }

    /// The groups to join.
    pub(super) fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// True when the kernel killed something in here for want of memory.
    pub(super) fn out_of_memory(&self) -> bool {
        let counted = |file: PathBuf| {
            fs::read_to_string(file).ok()?.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
        };
        let files =
            self.directories.iter().flat_map(|directory| [directory.join("memory.events"), directory.join("memory.oom_control")]);
        files.filter_map(counted).any(|kills| kills > 0)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for directory in &self.directories {
            let _ = fs::remove_dir(directory);
        }
    }
}

fn make_in(parent: &Path, name: &str, settings: &[Setting]) -> Option<PathBuf> {
    let (required, wanted) = settings.split_first()?;
    let directory = parent.join(name);
    fs::create_dir(&directory).ok()?;
    let worth_having = set(&directory, required) || (enable_controllers(parent) && set(&directory, required));
    if !worth_having {
        let _ = fs::remove_dir(&directory);
        return None;
    }
    for setting in wanted {
        set(&directory, setting);
    }
    Some(directory)
}

/// A version 2 group that was handed to us may have its controllers off. Root's surroundings are not ours to change.
fn enable_controllers(parent: &Path) -> bool {
    let control = parent.join("cgroup.subtree_control");
    !rustix::process::geteuid().is_root() && control.exists() && fs::write(control, "+memory +pids +cpu").is_ok()
}

/// Removes groups a killed service left behind. Those of a living one stay, because one that was just made is still empty; and
/// those in use stay, because the kernel refuses.
pub(super) fn sweep() {
    let limits = Limits { memory_bytes: 0, disk_bytes: 0, processes: 0, open_files: 0, cpu_seconds: 0, cpus: 0 };
    for parent in places(&limits).iter().flat_map(|place| &place.parents) {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            if is_left_over(&entry.file_name().to_string_lossy()) {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

fn is_left_over(name: &str) -> bool {
    let maker = |name: &str| name.split('-').next()?.parse::<u32>().ok();
    name.strip_prefix(PREFIX).is_some_and(|rest| maker(rest).is_none_or(|pid| !Path::new("/proc").join(pid.to_string()).exists()))
}

/// Where a group could be made, best first, and what is set in it. Without the first setting it is not worth having.
struct Place {
    parents: Vec<PathBuf>,
    settings: Vec<Setting>,
}

struct Setting {
    file: &'static str,
    value: String,
}

fn setting(file: &'static str, value: impl ToString) -> Setting {
    Setting { file, value: value.to_string() }
}

fn set(directory: &Path, setting: &Setting) -> bool {
    let path = directory.join(setting.file);
    // Writing a missing file would try to create it; the error is the same, but the intent is not.
    path.exists() && fs::write(path, &setting.value).is_ok()
}

fn places(limits: &Limits) -> Vec<Place> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    own.lines().filter_map(|line| place(line, &mounts, limits)).collect()
}

fn place(own: &str, mounts: &str, limits: &Limits) -> Option<Place> {
    let mut fields = own.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let memory = limits.memory_bytes + HELPER_BYTES;
    let processes = limits.processes + 8;
    let cpu = u64::from(limits.cpus.max(1)) * 100_000;
    let settings = match controllers {
        "" => vec![
            setting("memory.max", memory),
            setting("memory.swap.max", 0),
            setting("pids.max", processes),
            setting("cpu.max", format!("{cpu} 100000")),
        ],
        "memory" => vec![setting("memory.limit_in_bytes", memory), setting("memory.memsw.limit_in_bytes", memory)],
        "pids" => vec![setting("pids.max", processes)],
        _ if controllers.split(',').any(|controller| controller == "cpu") => vec![setting("cpu.cfs_quota_us", cpu)],
        _ => return None,
    };
    let directory = directory_of(mounts, controllers, path)?;
    // In version 2 a group with processes in it has no limited groups below it; then a neighbour does as well.
    let neighbour = directory.parent().filter(|_| controllers.is_empty() && path != "/").map(Path::to_owned);
    Some(Place { parents: [Some(directory), neighbour].into_iter().flatten().collect(), settings })
}

/// Where a group is in the file system. `controllers` is empty for version 2.
fn directory_of(mounts: &str, controllers: &str, path: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, mount_point) = (place.next()?, place.next()?);
        let (kind, options) = kind.split_once(' ')?;
        let options = options.rsplit(' ').next()?;
        let has = |controller: &str| options.split(',').any(|option| option == controller);
        let wanted = match kind {
            "cgroup2" => controllers.is_empty(),
            "cgroup" => !controllers.is_empty() && controllers.split(',').all(has),
            _ => false,
        };
        let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or("");
        wanted.then(|| Path::new(mount_point).join(below.trim_start_matches('/')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn own_groups_are_found_in_both_versions() {
        assert_eq!(directory_of(MOUNTS, "memory", "/a/b"), Some(PathBuf::from("/sys/fs/cgroup/memory/a/b")));
        assert_eq!(directory_of(MOUNTS, "", "/"), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(directory_of(MOUNTS, "pids", "/"), None);
    }

    #[test]
    fn groups_of_a_living_service_are_not_swept_away() {
        let name = |pid: u32| format!("{PREFIX}{pid}-0198");
        assert!(!is_left_over(&name(std::process::id())));
        assert!(is_left_over(&name(u32::MAX)) && is_left_over("threadbox-0198c0ffee") && !is_left_over("other-1-2"));
    }

    #[test]
    fn in_version_2_a_neighbour_will_do() {
        let limits = Limits { memory_bytes: 1, disk_bytes: 1, processes: 1, open_files: 1, cpu_seconds: 1, cpus: 1 };
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        let place = place("0::/system.slice/bot.service/service", mounts, &limits).map(|place| place.parents);
        let expected =
            ["/sys/fs/cgroup/system.slice/bot.service/service", "/sys/fs/cgroup/system.slice/bot.service"].map(PathBuf::from);
        assert_eq!(place, Some(expected.to_vec()));
    }
}

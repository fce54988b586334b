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
        let name = format!("{PREFIX}{}", uuid::Uuid::now_v7().simple());
        let mut directories = Vec::new();
        for (parent, settings) in parents(limits) {
            let directory = parent.join(&name);
            if fs::create_dir(&directory).is_err() {
                continue;
            }
            let (required, wanted) = settings.split_at(1);
            if set(&directory, &required[0]) {
                wanted.iter().for_each(|setting| {
                    set(&directory, setting);
                });
                directories.push(directory);
            } else {
                let _ = fs::remove_dir(&directory);
            }
        }
        Self { directories }
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

/// Removes groups a killed service left behind. Those in use stay: the kernel refuses.
pub(super) fn sweep() {
    let limits = Limits { memory_bytes: 0, disk_bytes: 0, processes: 0, open_files: 0, cpu_seconds: 0, cpus: 0 };
    for (parent, _) in parents(&limits) {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
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

/// Our own groups, and what is set in a child of each. The first setting of each is the one that makes it worth having.
fn parents(limits: &Limits) -> Vec<(PathBuf, Vec<Setting>)> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let memory = limits.memory_bytes + HELPER_BYTES;
    let cpu = u64::from(limits.cpus.max(1)) * 100_000;
    let mut parents = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let settings = match controllers {
            "" => vec![
                setting("memory.max", memory),
                setting("memory.swap.max", 0),
                setting("pids.max", limits.processes + 8),
                setting("cpu.max", format!("{cpu} 100000")),
            ],
            "memory" => vec![setting("memory.limit_in_bytes", memory), setting("memory.memsw.limit_in_bytes", memory)],
            "pids" => vec![setting("pids.max", limits.processes + 8)],
            _ if controllers.split(',').any(|controller| controller == "cpu") => vec![setting("cpu.cfs_quota_us", cpu)],
            _ => continue,
        };
        if let Some(parent) = directory_of(&mounts, controllers, path) {
            parents.push((parent, settings));
        }
    }
    parents
}

/// Where a group is in the file system. `controllers` is empty for version 2.
fn directory_of(mounts: &str, controllers: &str, path: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, mount_point) = (place.next()?, place.next()?);
        let mut kind = kind.split(' ');
        let wanted = match kind.next()? {
            "cgroup2" => controllers.is_empty(),
            "cgroup" => {
                !controllers.is_empty()
                    && controllers
                        .split(',')
                        .all(|one| kind.clone().last().is_some_and(|options| options.split(',').any(|option| option == one)))
            }
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
}

//! The new root directory: a small private tmpfs with the pieces of this machine that the plan names, and nothing else.

use std::ffi::CStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind, mount_change, move_mount,
    open_tree, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::super::isolation::{Layer, LayerName};
use super::super::plan::{Mount, MountAccess, Plan};
use super::sys::{Forbids, restrict_mount};
use super::{Building, Refused};

const LAYER: &str = "mount namespace";

/// Copies of the mounts the plan names, not yet attached anywhere.
pub(super) struct Sources(Vec<(OwnedFd, String)>);

/// Opens everything the plan shows, already restricted.
pub(super) fn open_sources(plan: &Plan) -> Result<Sources, Refused> {
    let open = |mount: &Mount| {
        let fd = open_source(mount).building(LAYER, &format!("open {}", mount.source.display()))?;
        Ok((fd, mount.target.clone()))
    };
    plan.mounts.iter().map(open).collect::<Result<_, _>>().map(Sources)
}

fn open_source(mount: &Mount) -> std::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, &mount.source, flags)?;
    let forbids = match mount.access {
        MountAccess::Read => Forbids { writing: true, devices: true },
        MountAccess::Write => Forbids { writing: false, devices: true },
        MountAccess::Device => Forbids::default(),
    };
    restrict_mount(&tree, c"", forbids, true)?;
    Ok(tree)
}

/// From here on, nothing we mount reaches the host.
pub(super) fn detach_from_host() -> Result<(), Refused> {
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).building(LAYER, "make it private")
}

/// Puts the new root together and leaves it as the working directory.
pub(super) fn build(plan: &Plan, sources: Sources) -> Result<(), Refused> {
    // Any directory will do: in this mount namespace nobody needs what it hides.
    let staging = ["/tmp", "/mnt", "/usr"].into_iter().find(|path| Path::new(path).is_dir()).unwrap_or("/usr");
    tmpfs(staging, c"mode=755,size=4m,nr_inodes=4096").building(LAYER, "mount a tmpfs")?;
    chdir(staging).building(LAYER, "enter the new root")?;
    for (path, content) in &plan.files {
        write_file(path, content).building(LAYER, &format!("write {path}"))?;
    }
    for (path, target) in &plan.links {
        link(path, target).building(LAYER, &format!("link {path}"))?;
    }
    for (tree, target) in &sources.0 {
        attach(tree, target).building(LAYER, &format!("attach {target}"))?;
    }
    fs::create_dir_all("dev/shm").building(LAYER, "make /dev/shm")?;
    tmpfs("dev/shm", c"mode=1777,size=64m,nr_inodes=4096").building(LAYER, "mount /dev/shm")?;
    fs::create_dir_all("proc").building(LAYER, "make /proc")
}

fn tmpfs(target: &str, options: &CStr) -> rustix::io::Result<()> {
    mount("tmpfs", target, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(options))
}

/// The plan's paths are absolute; the new root is the working directory.
fn relative(path: &str) -> PathBuf {
    PathBuf::from(path.trim_start_matches('/'))
}

fn make_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn write_file(path: &str, content: &str) -> std::io::Result<()> {
    let path = relative(path);
    make_parent(&path)?;
    fs::write(path, content)
}

fn link(path: &str, target: &str) -> std::io::Result<()> {
    let path = relative(path);
    make_parent(&path)?;
    symlink(target, path)
}

fn attach(tree: &OwnedFd, target: &str) -> std::io::Result<()> {
    let path = relative(target);
    let stat = rustix::fs::fstat(tree)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        fs::create_dir_all(&path)?;
    } else {
        make_parent(&path)?;
        fs::write(&path, "")?;
    }
    Ok(move_mount(tree, c"", CWD, &path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// What of `/proc` says more about this machine than about the sandbox, or is known to be a way to attack it.
const HIDDEN: [&str; 8] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kallsyms",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/sysrq-trigger",
    "/proc/config.gz",
];

/// Makes the new root the only one. Runs in the first process, because `/proc` belongs to a pid namespace.
pub(super) fn enter(plan: &Plan) -> Result<Layer, Refused> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "proc", "proc", flags, None).building("proc", "mount")?;
    // Programs inside cannot make namespaces of their own: less of the kernel to attack.
    let _ = fs::write("proc/sys/user/max_user_namespaces", "0");
    pivot_root(".", ".").building(LAYER, "pivot_root")?;
    unmount(".", UnmountFlags::DETACH).building(LAYER, "leave the old root")?;
    chdir("/").building(LAYER, "enter the new root")?;
    let read_only = Forbids { writing: true, devices: true };
    let proc = plan.unless_left_out(LayerName::Proc, || {
        for path in HIDDEN {
            if Path::new(path).exists() {
                mount_bind("/dev/null", path).building("proc", &format!("hide {path}"))?;
            }
        }
        mount_bind("/proc/sys", "/proc/sys").building("proc", "bind /proc/sys")?;
        restrict_mount(CWD, c"/proc/sys", read_only, false).building("proc", "make /proc/sys read-only")?;
        Ok(Layer::given("proc", "own /proc; /proc/sys is read-only"))
    })?;
    restrict_mount(CWD, c"/", read_only, false).building(LAYER, "make the root read-only")?;
    Ok(proc)
}

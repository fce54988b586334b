//! Which pieces of this machine a sandbox sees: system directories, interpreters, a few device and configuration files.

use std::fs;
use std::path::{Path, PathBuf};

use super::interpreters;
use super::plan::{Ids, Mount, MountAccess};

/// The part of a plan that is the same for all sandboxes of this machine.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub mounts: Vec<Mount>,
    pub links: Vec<(String, String)>,
    pub files: Vec<(String, String)>,
    /// `PATH` inside.
    pub path: String,
    /// `bash` where there is one, else `sh`.
    pub shell: &'static str,
}

const SYSTEM: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/alternatives"];
const CONFIGURATION: [&str; 6] =
    ["/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/localtime"];
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Host {
    /// Looks around once. `search_path` is where interpreters are looked for that are not among the system's own.
    pub(super) fn look(search_path: &[PathBuf]) -> Self {
        let mut mounts = Vec::new();
        let mut links = vec![
            ("/dev/fd".to_owned(), "/proc/self/fd".to_owned()),
            ("/dev/stdin".to_owned(), "/proc/self/fd/0".to_owned()),
            ("/dev/stdout".to_owned(), "/proc/self/fd/1".to_owned()),
            ("/dev/stderr".to_owned(), "/proc/self/fd/2".to_owned()),
            ("/etc/mtab".to_owned(), "/proc/self/mounts".to_owned()),
        ];
        for path in SYSTEM {
            match fs::read_link(path) {
                Ok(target) => links.push((path.to_owned(), target.to_string_lossy().into_owned())),
                Err(_) if Path::new(path).exists() => mounts.push(same_place(path, MountAccess::Read)),
                Err(_) => {}
            }
        }
        let existing = |path: &&&str| Path::new(path).exists();
        mounts.extend(CONFIGURATION.iter().filter(existing).map(|path| same_place(path, MountAccess::Read)));
        mounts.extend(DEVICES.iter().filter(existing).map(|path| same_place(path, MountAccess::Device)));
        mounts.extend(interpreters::configuration().iter().map(|path| same_place(path, MountAccess::Read)));
        let mut path = PATH.to_owned();
        for place in interpreters::beyond(&system_directories(), search_path) {
            path.push_str(&format!(":{}", place.programs.display()));
            mounts.extend(place.shown.map(|shown| same_place(&shown.to_string_lossy(), MountAccess::Read)));
        }
        let shell = if is_program("bash", &system_directories()) { "bash" } else { "sh" };
        Self { mounts, links, files: files(), path, shell }
    }

    /// True when programs inside find a program of this name.
    pub(super) fn has(&self, program: &str) -> bool {
        is_program(program, &self.path.split(':').map(PathBuf::from).collect::<Vec<_>>())
    }

    /// Shows more of this machine, read-only.
    pub(super) fn show(&mut self, further: &[(PathBuf, &str)]) {
        let mount = |(source, target): &(PathBuf, &str)| Mount {
            source: source.clone(),
            target: (*target).to_owned(),
            access: MountAccess::Read,
        };
        self.mounts.extend(further.iter().map(mount));
    }
}

fn same_place(path: &str, access: MountAccess) -> Mount {
    Mount { source: PathBuf::from(path), target: path.to_owned(), access }
}

fn system_directories() -> Vec<PathBuf> {
    PATH.split(':').map(PathBuf::from).collect()
}

pub(super) fn is_program(name: &str, directories: &[PathBuf]) -> bool {
    directories.iter().any(|directory| directory.join(name).is_file())
}

fn files() -> Vec<(String, String)> {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    vec![
        file(
            "/etc/passwd",
            "root:x:0:0:root:/root:/usr/sbin/nologin\nthreadbox:x:1000:1000::/tmp/home:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n",
        ),
        file("/etc/group", "root:x:0:\nthreadbox:x:1000:\nnogroup:x:65534:\n"),
        file("/etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n"),
        file("/etc/hostname", "sandbox\n"),
        file("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ]
}

/// Far from the ids people, services and containers are given.
const FIRST_OUTSIDE_ID: u32 = 0x7000_0000;
const NOBODY: u32 = 65534;

/// Who a sandbox is on this machine: a user that owns nothing else, another one for each name; `nobody` where this machine knows no
/// such high ids (a container with few). None when the service is not root, or is a root that is nobody else outside either (a
/// container with a single user): then sandboxes are who the service is.
pub(super) fn outside_ids(name: &str) -> Option<Ids> {
    let read = |file: &str| fs::read_to_string(Path::new("/proc/self").join(file)).unwrap_or_default();
    if !rustix::process::geteuid().is_root() || read("setgroups").trim() == "deny" {
        return None;
    }
    let (users, groups) = (read("uid_map"), read("gid_map"));
    let own = FIRST_OUTSIDE_ID + (super::short_hash(name) & 0x00ff_ffff);
    [own, NOBODY].into_iter().find(|id| maps(&users, *id) && maps(&groups, *id)).map(|id| Ids { uid: id, gid: id })
}

fn maps(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        matches!(numbers[..], [first, _, count] if (first..first + count).contains(&id.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_used_only_where_it_is_mapped() {
        assert!(maps("         0          0 4294967295\n", FIRST_OUTSIDE_ID));
        assert!(!maps("         0     100000      65536\n", FIRST_OUTSIDE_ID));
    }

    #[test]
    fn nothing_outside_the_system_directories_is_shown() {
        let host = Host::look(&[]);
        let system =
            |mount: &Mount| ["/usr", "/bin", "/sbin", "/lib", "/etc/", "/dev/"].iter().any(|top| mount.target.starts_with(top));
        assert!(host.mounts.iter().all(system), "{host:?}");
        assert!(host.mounts.iter().all(|mount| mount.access != MountAccess::Write));
    }
}

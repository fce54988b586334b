//! Interpreters and compilers outside the system directories: in a version manager's directory, under `/opt`, in `/usr/local/go`.
//! Only the directory of one toolchain is ever shown, never a home.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::super::Language;
use super::host::is_program;

/// Programs that are not a language but belong to work with one.
const TOOLS: [&str; 4] = ["bash", "git", "npm", "cargo"];

/// Where installers put what they do not add to the search path of a service.
const USUAL: [&str; 2] = ["/usr/local/go/bin", "/usr/local/cargo/bin"];

/// What of `/etc` interpreters do not start without; Debian keeps it there and links to it. Files for administrators, in which a
/// password could stand, are not among it.
const JAVA: [&str; 5] = ["security", "jvm-*.cfg", "logging.properties", "net.properties", "management/management.properties"];
const R: [&str; 5] = ["Renviron", "ldpaths", "Makeconf", "repositories", "javaconf"];
const PHP: [&str; 2] = ["cli", "mods-available"];

/// A directory with programs that the system directories do not have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Goes into `PATH`.
    pub programs: PathBuf,
    /// Is made visible; none when it is in a system directory.
    pub shown: Option<PathBuf>,
}

/// Where the programs are that a language needs and the system directories do not have.
pub(super) fn beyond(system: &[PathBuf], search_path: &[PathBuf]) -> BTreeSet<Place> {
    let searched: Vec<PathBuf> = search_path.iter().cloned().chain(USUAL.map(PathBuf::from)).collect();
    let groups = Language::all().flat_map(|language| language.needs()).map(|group| group.to_vec());
    let missing = groups.chain(TOOLS.map(|tool| vec![tool])).filter(|group| !group.iter().any(|name| is_program(name, system)));
    missing.filter_map(|group| group.iter().find_map(|name| find(name, &searched))).collect()
}

fn find(name: &str, directories: &[PathBuf]) -> Option<Place> {
    directories.iter().find_map(|directory| place_of(&directory.join(name)))
}

/// Where a program is really installed. Wrapper scripts do not count, but those of version managers are followed.
fn place_of(program: &Path) -> Option<Place> {
    if let Some(place) = behind_proxy(program).and_then(|real| directly(&real)) {
        return Some(place);
    }
    directly(program)
}

/// Takes `<prefix>/bin/<name>` apart. A prefix that would show a whole home directory does not count.
fn directly(program: &Path) -> Option<Place> {
    let real = program.canonicalize().ok()?;
    let mut magic = [0; 4];
    fs::File::open(&real).ok()?.read_exact(&mut magic).ok()?;
    let bin = real.parent().filter(|bin| bin.ends_with("bin"))?;
    let prefix = bin.parent()?;
    if magic != *b"\x7fELF" || real.file_name()? == "rustup" {
        return None;
    }
    if prefix.starts_with("/usr") {
        return Some(Place { programs: bin.to_owned(), shown: None });
    }
    let deep_enough = prefix.components().count() > 3 || prefix.starts_with("/opt");
    // Tools that are one file, such as deno, lie in a directory with little else: `~/.deno/bin`.
    let small = !deep_enough && only_programs(bin);
    match (deep_enough, small) {
        (true, _) => Some(Place { programs: bin.to_owned(), shown: Some(prefix.to_owned()) }),
        (false, true) => Some(Place { programs: bin.to_owned(), shown: Some(bin.to_owned()) }),
        (false, false) => None,
    }
}

/// True for `~/.name/bin`: a directory of programs below a hidden one.
fn only_programs(bin: &Path) -> bool {
    let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    bin.parent().is_some_and(hidden)
}

/// The program a version manager would start from `<root>/shims/<name>` (pyenv, rbenv, nodenv, goenv) or rustup from
/// `<cargo>/bin/<name>`, by its default. Nothing is executed to find out.
fn behind_proxy(program: &Path) -> Option<PathBuf> {
    let name = program.file_name()?;
    let directory = program.parent()?;
    if directory.ends_with("shims") {
        let root = directory.parent()?;
        let versions = fs::read_to_string(root.join("version")).ok()?;
        return versions
            .split_whitespace()
            .map(|version| root.join("versions").join(version).join("bin").join(name))
            .find(|it| it.is_file());
    }
    let cargo = directory.parent()?;
    if !directory.ends_with("bin") || !directory.join("rustup").is_file() {
        return None;
    }
    // `~/.cargo` goes with `~/.rustup`, `/usr/local/cargo` with `/usr/local/rustup`.
    let rustup = cargo.with_file_name(cargo.file_name()?.to_string_lossy().replace("cargo", "rustup"));
    let settings = fs::read_to_string(rustup.join("settings.toml")).ok()?;
    let default = settings.lines().find_map(|line| line.strip_prefix("default_toolchain = "))?.trim().trim_matches('"');
    let real = rustup.join("toolchains").join(default).join("bin").join(name);
    (Path::new(default).components().count() == 1 && real.is_file()).then_some(real)
}

/// Configuration of this machine's interpreters that is there.
pub(super) fn configuration() -> Vec<String> {
    let mut found: Vec<PathBuf> = vec![];
    for directory in children(Path::new("/etc"), "java-*-openjdk") {
        found.extend(JAVA.iter().flat_map(|name| below(&directory, name)));
    }
    found.extend(R.iter().flat_map(|name| below(Path::new("/etc/R"), name)));
    for version in children(Path::new("/etc/php"), "*") {
        found.extend(PHP.iter().flat_map(|name| below(&version, name)));
    }
    found.into_iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

/// A path below a directory, of which the last part may have one `*`.
fn below(directory: &Path, path: &str) -> Vec<PathBuf> {
    match path.rsplit_once('/') {
        Some((parent, name)) => children(&directory.join(parent), name),
        None => children(directory, path),
    }
}

fn children(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
    let exact = !pattern.contains('*');
    let fits = |name: &str| {
        if exact {
            name == pattern
        } else {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<_> =
        entries.filter(|entry| entry.file_name().to_str().is_some_and(fits)).map(|entry| entry.path()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use super::*;

    /// A directory tree with programs in it.
    struct Home(tempfile::TempDir);

    impl Home {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().canonicalize().unwrap().join(path)
        }

        fn write(&self, path: &str, content: &str) -> PathBuf {
            let path = self.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            path
        }
    }

    const ELF: &str = "\x7fELF and more";

    #[test]
    fn a_version_managers_program_shows_its_own_directory_alone() {
        let home = Home::new();
        let node = home.write(".nvm/versions/node/v20/bin/node", ELF);
        let found = directly(&node).unwrap();
        assert_eq!(found.shown, Some(home.path(".nvm/versions/node/v20")));
        assert_eq!(found.programs, home.path(".nvm/versions/node/v20/bin"));
    }

    #[test]
    fn rustup_and_pyenv_are_looked_behind() {
        let home = Home::new();
        let rustup = home.write(".cargo/bin/rustup", ELF);
        symlink(&rustup, home.path(".cargo/bin/rustc")).unwrap();
        assert_eq!(place_of(&home.path(".cargo/bin/rustc")), None, "the proxy alone is no compiler");
        home.write(".rustup/settings.toml", "version = \"12\"\ndefault_toolchain = \"stable-x\"\n");
        home.write(".rustup/toolchains/stable-x/bin/rustc", ELF);
        let found = place_of(&home.path(".cargo/bin/rustc")).unwrap();
        assert_eq!(found.shown, Some(home.path(".rustup/toolchains/stable-x")));

        home.write(".pyenv/shims/python3", "#!/bin/sh\nexec pyenv");
        home.write(".pyenv/version", "3.12.1\n");
        home.write(".pyenv/versions/3.12.1/bin/python3", ELF);
        let found = place_of(&home.path(".pyenv/shims/python3")).unwrap();
        assert_eq!(found.shown, Some(home.path(".pyenv/versions/3.12.1")));
    }

    #[test]
    fn a_settings_file_cannot_name_another_place() {
        let home = Home::new();
        home.write(".cargo/bin/rustup", ELF);
        home.write(".cargo/bin/rustc", "#!/bin/sh");
        home.write(".rustup/settings.toml", "default_toolchain = \"../../secret\"\n");
        home.write("secret/bin/rustc", ELF);
        assert_eq!(place_of(&home.path(".cargo/bin/rustc")), None);
    }

    #[test]
    fn wrappers_and_homes_do_not_count() {
        let home = Home::new();
        assert_eq!(directly(&home.write("a/b/bin/ruby", "#!/bin/sh")), None);
        assert_eq!(directly(Path::new("/bin-of-nobody/ruby")), None);
        assert!(only_programs(Path::new("/root/.deno/bin")));
        assert!(!only_programs(Path::new("/root/bin")));
    }

    #[test]
    fn patterns_have_one_star() {
        let home = Home::new();
        home.write("jvm-amd64.cfg", "");
        home.write("jvm.cfg", "");
        assert_eq!(below(&home.path(""), "jvm-*.cfg"), [home.path("jvm-amd64.cfg")]);
    }
}

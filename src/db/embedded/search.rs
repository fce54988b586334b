//! Finds the Postgres binaries of this machine.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::account::Account;
use crate::db::OLDEST_MAJOR;
use crate::settings::DatabaseSettings;

const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// Where packages install Postgres: a directory, how the versioned directories in it begin, and what follows them.
const INSTALLED: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// A directory with a server that runs here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// Holds `postgres` and `initdb`.
    pub dir: PathBuf,
    /// The server's major version.
    pub major: u32,
}

/// Where to look, in this order.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// `THREADBOX_POSTGRES_BIN`. When set, nothing else counts.
    pub explicit: Option<PathBuf>,
    /// Beside the executable.
    pub beside: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<OsString>,
    /// Look where packages install.
    pub installed: bool,
}

impl Places {
    /// The places of this machine.
    pub fn of_this_machine(settings: &DatabaseSettings) -> Self {
        let executable = std::env::current_exe().and_then(fs::canonicalize).ok();
        Self {
            explicit: settings.postgres_bin.clone(),
            beside: executable.and_then(|path| Some(path.parent()?.join("postgres/bin"))),
            path: settings.search_path.clone(),
            installed: true,
        }
    }
}

/// What the search saw, for the message when it found nothing.
#[derive(Debug, Default)]
pub(super) struct Looked(pub Vec<String>);

/// The first usable binaries; when a cluster exists, the first of its version, because no other can open it.
pub(super) async fn find(places: &Places, fetched: &Path, major: Option<u32>, account: &Account) -> Result<Binaries, Looked> {
    let mut looked = Looked::default();
    let mut second_choice = None;
    for dir in candidates(places, fetched, &mut looked).await {
        match inspect(&dir, account).await {
            Ok(found) if major.is_none_or(|major| major == found.major) => return Ok(found),
            Ok(found) => second_choice = second_choice.or(Some(found)),
            Err(why) => looked.0.push(format!("{}: {why}", dir.display())),
        }
    }
    second_choice.ok_or(looked)
}

async fn candidates(places: &Places, fetched: &Path, looked: &mut Looked) -> Vec<PathBuf> {
    if let Some(explicit) = &places.explicit {
        looked.0.push(format!("THREADBOX_POSTGRES_BIN={}", explicit.display()));
        return [explicit.clone(), explicit.join("bin")].into_iter().filter(|dir| holds_server(dir)).collect();
    }
    let mut dirs = Vec::new();
    if let Some(beside) = &places.beside {
        looked.0.push(beside.display().to_string());
        dirs.push(beside.clone());
    }
    if let Some(path) = &places.path {
        looked.0.push("PATH".into());
        dirs.extend(on_path(path).await);
    }
    if places.installed {
        looked.0.extend(
            INSTALLED.iter().map(|(parent, prefix, tail)| format!("{parent}/{prefix}*/{tail}").trim_end_matches('/').into()),
        );
        dirs.extend(INSTALLED.iter().flat_map(|(parent, prefix, tail)| versions(Path::new(parent), prefix, tail)));
    }
    looked.0.push(fetched.display().to_string());
    dirs.extend(versions(fetched, "", "").into_iter().filter_map(|dir| bin_below(&dir, 4)));
    dirs.retain(|dir| holds_server(dir));
    dirs
}

/// Directories of `PATH` that hold a server, and those that wrappers or links in it point to.
async fn on_path(path: &OsString) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for dir in std::env::split_paths(path).filter(|dir| dir.is_absolute()) {
        if let Ok(real) = fs::canonicalize(dir.join("postgres")) {
            dirs.extend(real.parent().map(Path::to_path_buf));
            dirs.push(dir.clone());
        }
        if dir.join("pg_config").is_file() {
            dirs.extend(ask_pg_config(&dir.join("pg_config")).await);
        }
    }
    dirs
}

async fn ask_pg_config(program: &Path) -> Option<PathBuf> {
    let mut command = tokio::process::Command::new(program);
    command.arg("--bindir").kill_on_drop(true);
    let output = tokio::time::timeout(VERSION_LIMIT, command.output()).await.ok()?.ok()?;
    let dir = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    dir.is_absolute().then_some(dir)
}

/// `<parent>/<prefix><version>/<tail>`, highest version first. Names that begin with a dot are unfinished.
fn versions(parent: &Path, prefix: &str, tail: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix).filter(|_| !name.starts_with('.'))?;
            Some((version_key(version), entry.path().join(tail)))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// The numbers in a version, so that 9 comes before 18.
fn version_key(version: &str) -> Vec<u32> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// The first directory with a server at or below `dir`.
pub(super) fn bin_below(dir: &Path, depth: usize) -> Option<PathBuf> {
    if holds_server(dir) {
        return Some(dir.to_path_buf());
    }
    let below = fs::read_dir(dir).ok().filter(|_| depth > 0)?;
    below
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .find_map(|entry| bin_below(&entry.path(), depth - 1))
}

fn holds_server(dir: &Path) -> bool {
    dir.join("postgres").is_file() && dir.join("initdb").is_file()
}

/// Runs the server far enough to learn its version; that also shows whether its libraries are there and our user may run it.
pub(super) async fn inspect(dir: &Path, account: &Account) -> Result<Binaries, String> {
    let dir = fs::canonicalize(dir).map_err(|error| error.to_string())?;
    let mut command = tokio::process::Command::from(account.command(&dir.join("postgres")));
    command.arg("--version").kill_on_drop(true);
    let output = tokio::time::timeout(VERSION_LIMIT, command.output())
        .await
        .map_err(|_| "postgres --version does not end".to_string())?
        .map_err(|error| format!("cannot be run by user id {}: {error}", account.uid))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(major) = major_of(&text).filter(|_| output.status.success()) else {
        return Err(first_line(&String::from_utf8_lossy(&output.stderr)));
    };
    if major < OLDEST_MAJOR {
        return Err(format!("is Postgres {major}, older than {OLDEST_MAJOR}"));
    }
    Ok(Binaries { dir, major })
}

fn major_of(version: &str) -> Option<u32> {
    let number = version.strip_prefix("postgres (PostgreSQL) ")?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn first_line(text: &str) -> String {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("postgres --version fails").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn script(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn server(dir: &Path, version: &str) -> PathBuf {
        script(&dir.join("postgres"), &format!("echo 'postgres (PostgreSQL) {version}'"));
        script(&dir.join("initdb"), "exit 1");
        fs::canonicalize(dir).unwrap()
    }

    fn ourselves() -> Account {
        Account { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw(), other: false }
    }

    async fn found(places: &Places, major: Option<u32>) -> Result<Binaries, Looked> {
        find(places, Path::new("/nonexistent"), major, &ourselves()).await
    }

    #[test]
    fn versions_are_read_from_what_servers_print() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major_of("something else 18"), None);
    }

    #[test]
    fn the_highest_version_comes_first() {
        let home = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "18", "14"] {
            server(&home.path().join(version).join("bin"), version);
        }
        let names: Vec<_> =
            versions(home.path(), "", "bin").iter().map(|dir| dir.strip_prefix(home.path()).unwrap().to_path_buf()).collect();
        assert_eq!(names, ["18/bin", "15/bin", "14/bin", "9.6/bin"].map(PathBuf::from));
    }

    #[tokio::test]
    async fn a_link_on_the_path_leads_to_the_real_directory() {
        let home = tempfile::tempdir().unwrap();
        let real = server(&home.path().join("lib/18/bin"), "18.4");
        let bin = home.path().join("bin");
        fs::create_dir(&bin).unwrap();
        symlink(real.join("postgres"), bin.join("postgres")).unwrap();
        let places = Places { path: Some(bin.into()), ..Places::default() };
        assert_eq!(found(&places, None).await.unwrap(), Binaries { dir: real, major: 18 });
    }

    #[tokio::test]
    async fn a_wrapper_on_the_path_leads_through_pg_config() {
        let home = tempfile::tempdir().unwrap();
        let real = server(&home.path().join("lib/17/bin"), "17.9");
        let bin = home.path().join("bin");
        script(&bin.join("postgres"), "exec false");
        script(&bin.join("pg_config"), &format!("echo {}", real.display()));
        let places = Places { path: Some(bin.into()), ..Places::default() };
        assert_eq!(found(&places, None).await.unwrap(), Binaries { dir: real, major: 17 });
    }

    #[tokio::test]
    async fn the_version_of_the_cluster_is_preferred() {
        let home = tempfile::tempdir().unwrap();
        let new = server(&home.path().join("new"), "18.1");
        let old = server(&home.path().join("old"), "15.2");
        let path = std::env::join_paths([&new, &old]).unwrap();
        let places = Places { path: Some(path), ..Places::default() };
        assert_eq!(found(&places, None).await.unwrap().dir, new);
        assert_eq!(found(&places, Some(15)).await.unwrap().dir, old);
        assert_eq!(found(&places, Some(16)).await.unwrap().dir, new);
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_passed_over_and_named() {
        let home = tempfile::tempdir().unwrap();
        server(&home.path().join("old"), "13.4");
        let broken = home.path().join("broken");
        script(&broken.join("postgres"), "echo 'libxml2.so.2: cannot open shared object file' >&2; exit 127");
        script(&broken.join("initdb"), "exit 1");
        let path = std::env::join_paths([home.path().join("old"), broken]).unwrap();
        let looked = found(&Places { path: Some(path), ..Places::default() }, None).await.unwrap_err().0.join("\n");
        assert!(looked.contains("is Postgres 13, older than 14"), "{looked}");
        assert!(looked.contains("libxml2.so.2: cannot open"), "{looked}");
    }

    #[tokio::test]
    async fn an_explicit_directory_is_the_only_one() {
        let home = tempfile::tempdir().unwrap();
        let other = server(&home.path().join("other"), "18.1");
        let mine = server(&home.path().join("mine/bin"), "16.1");
        let places =
            |explicit: PathBuf| Places { explicit: Some(explicit), path: Some(other.clone().into()), ..Places::default() };
        assert_eq!(found(&places(home.path().join("mine")), None).await.unwrap().dir, mine);
        assert!(found(&places(home.path().join("absent")), None).await.is_err());
    }
}

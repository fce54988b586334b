//! Archives of repositories: downloaded with our credential, which never leaves GitHub's own address, and kept on this machine.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use axum::http::{StatusCode, header};
use tokio::io::AsyncWriteExt;
use url::Url;

use super::RepoRef;
use super::auth::{As, Needs, Pass};
use super::client::{Effect, Github};
use super::error::{GithubError, Refusal, exhausted_until};
use crate::secret::ExposeSecret;

/// Largest archive that is fetched, compressed.
pub const LARGEST_ARCHIVE: u64 = 256 << 20;
/// Of all archives that are kept.
const MOST_KEPT: u64 = 1 << 30;
/// A download that was given up by a process that died.
const ABANDONED: Duration = Duration::from_secs(60 * 60);
const DOWNLOAD_TIME: Duration = Duration::from_secs(180);
const CONNECT_TIME: Duration = Duration::from_secs(5);
const MOST_REDIRECTS: usize = 5;

/// Why there is no archive.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ArchiveError {
    /// GitHub did not give it.
    #[error(transparent)]
    Github(#[from] GithubError),
    /// It is larger than what is fetched.
    #[error("its archive is larger than {} MiB", .0 >> 20)]
    TooLarge(u64),
    /// This machine could not keep it.
    #[error("the archive cannot be stored on the service's machine: {0}")]
    Disk(String),
}

/// The archives of this machine: a directory with one file per repository and commit, the least recently used removed beyond 1 GiB.
#[derive(Debug)]
pub struct Archives {
    directory: PathBuf,
    client: reqwest::Client,
    largest: u64,
}

impl Archives {
    /// Keeps archives in a directory, which is made when it is needed.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(directory: PathBuf) -> reqwest::Result<Self> {
        // Redirects are followed here, where it is decided who sees the credential.
        let client = reqwest::Client::builder()
            .user_agent("threadbox")
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIME)
            .timeout(DOWNLOAD_TIME)
            .build()?;
        Ok(Self { directory, client, largest: LARGEST_ARCHIVE })
    }

    /// The archive of a commit, from here or from GitHub. `commit` is a full SHA.
    ///
    /// # Errors
    /// As [`ArchiveError`]. Nothing half is kept.
    pub async fn fetch(&self, github: &Github, repo: &RepoRef, commit: &str) -> Result<PathBuf, ArchiveError> {
        if commit.is_empty() || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(GithubError::Invalid(format!("`{commit}` is not a commit")).into());
        }
        let path = self.directory.join(format!("{}-{commit}.tar.gz", repo.id));
        if touch(&path) {
            return Ok(path);
        }
        // Private repositories are nothing for other users of this machine.
        tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).await.map_err(disk)?;
        let part = self.directory.join(format!("{}.part", uuid::Uuid::now_v7().simple()));
        let downloaded = self.download(github, repo, commit, &part).await;
        let kept = match downloaded {
            Ok(()) => tokio::fs::rename(&part, &path).await.map_err(disk),
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            // Only an abandoned part is left when this fails, and those are swept.
            let _ = tokio::fs::remove_file(&part).await;
            return Err(error);
        }
        self.forget_old(&path).await;
        Ok(path)
    }

    async fn download(&self, github: &Github, repo: &RepoRef, commit: &str, part: &Path) -> Result<(), ArchiveError> {
        let mut answer = github.archive_answer(&self.client, repo, commit).await?;
        if answer.content_length().is_some_and(|length| length > self.largest) {
            return Err(ArchiveError::TooLarge(self.largest));
        }
        let mut file = tokio::fs::File::create(part).await.map_err(disk)?;
        let mut size = 0;
        while let Some(chunk) = answer.chunk().await.map_err(|error| broken(&error))? {
            size += chunk.len() as u64;
            if size > self.largest {
                return Err(ArchiveError::TooLarge(self.largest));
            }
            file.write_all(&chunk).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)
    }

    /// Removes the least recently used beyond the limit, but never `just_used`.
    async fn forget_old(&self, just_used: &Path) {
        let (directory, just_used) = (self.directory.clone(), just_used.to_owned());
        let swept = tokio::task::spawn_blocking(move || sweep(&directory, &just_used, MOST_KEPT)).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "old archives cannot be removed");
        }
    }
}

fn disk(error: std::io::Error) -> ArchiveError {
    ArchiveError::Disk(error.to_string())
}

/// Marks an archive as used; false when there is none.
fn touch(path: &Path) -> bool {
    #[allow(clippy::disallowed_methods, reason = "compared with what the file system says, not with our clock")]
    let now = SystemTime::now();
    let Ok(file) = std::fs::File::open(path) else { return false };
    // Only the order of removal suffers.
    let _ = file.set_modified(now);
    true
}

fn sweep(directory: &Path, just_used: &Path, limit: u64) -> std::io::Result<()> {
    let mut known = Vec::new();
    for entry in std::fs::read_dir(directory)?.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let used = metadata.modified()?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "part") {
            if used.elapsed().is_ok_and(|age| age > ABANDONED) {
                std::fs::remove_file(path)?;
            }
            continue;
        }
        known.push((used, metadata.len(), path));
    }
    known.sort();
    let mut total: u64 = known.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in known {
        if total <= limit {
            break;
        }
        if path != just_used {
            std::fs::remove_file(&path)?;
            total -= size;
        }
    }
    Ok(())
}

fn broken(error: &reqwest::Error) -> GithubError {
    GithubError::unavailable(Effect::None, format!("the archive did not arrive: {}", error.without_url_text()))
}

/// Addresses of archives carry short-lived tokens.
trait WithoutUrl {
    fn without_url_text(&self) -> String;
}

impl WithoutUrl for reqwest::Error {
    fn without_url_text(&self) -> String {
        let mut words = Vec::new();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            words.push(error.to_string());
            cause = error.source();
        }
        if words.is_empty() { "the connection broke".to_owned() } else { words.join(": ") }
    }
}

impl Github {
    /// The answer with the archive in it. The credential goes to the API's own address alone, not to where that sends us.
    async fn archive_answer(
        &self,
        client: &reqwest::Client,
        repo: &RepoRef,
        commit: &str,
    ) -> Result<reqwest::Response, GithubError> {
        let pass = self.pass(As::Repository(repo, Needs::Contents)).await?;
        let gate = self.gate_of(&pass);
        gate.admit(Effect::None, self.clock.now()).await?;
        let mut url = Url::parse(&format!("{}{}/tarball/{commit}", self.api_url(), repo.path()?))
            .map_err(|error| GithubError::Invalid(error.to_string()))?;
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.ask_for_archive(client, &url, &pass).await?;
            if answer.status().is_success() {
                return Ok(answer);
            }
            if answer.status().is_redirection() {
                url = next(&url, &answer)?;
                continue;
            }
            let (status, headers) = (answer.status(), answer.headers().clone());
            let status = StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
            let body = start_of(answer).await;
            let refusal = Refusal { status, headers: &headers, body: &body };
            if let Some(until) = refusal.limited_until(self.clock.now()).or_else(|| exhausted_until(&headers)) {
                gate.close(until);
            }
            return Err(GithubError::from_answer(&refusal, Effect::None, self.clock.now()));
        }
        Err(GithubError::Invalid("the archive is redirected without end".into()))
    }

    async fn ask_for_archive(&self, client: &reqwest::Client, url: &Url, pass: &Pass) -> Result<reqwest::Response, GithubError> {
        let mut request = client.get(url.clone());
        if self.is_api(url) {
            request = request.bearer_auth(pass.token.expose_secret()).header(header::ACCEPT, "application/vnd.github+json");
        }
        request.send().await.map_err(|error| broken(&error))
    }
}

/// Where a redirect leads. Never from an encrypted address to an open one.
fn next(from: &Url, answer: &reqwest::Response) -> Result<Url, GithubError> {
    let location = answer.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let target = location.and_then(|location| from.join(location).ok());
    let target = target.ok_or_else(|| GithubError::Invalid("the archive is redirected to nowhere".into()))?;
    match (from.scheme(), target.scheme()) {
        (_, "https") | ("http", "http") => Ok(target),
        _ => Err(GithubError::Invalid("the archive is redirected to an address that is not encrypted".into())),
    }
}

/// As much of a refusal as is understood.
async fn start_of(mut answer: reqwest::Response) -> Vec<u8> {
    const MOST: usize = 16 << 10;
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(MOST - body.len())]);
        if body.len() == MOST {
            break;
        }
    }
    body
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_least_recently_used_goes_first_and_what_is_in_use_stays() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, age: u64| {
            let path = directory.path().join(name);
            std::fs::write(&path, [0; 100]).unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(10_000 - age)).unwrap();
            path
        };
        let (old, older, new) = (file("old.tar.gz", 10), file("older.tar.gz", 20), file("new.tar.gz", 0));
        let part = file("x.part", 0);
        sweep(directory.path(), &older, 250).unwrap();
        assert!(!old.exists() && older.exists() && new.exists() && !part.exists());
        assert!(touch(&new) && !touch(&old));
        sweep(directory.path(), &new, 100).unwrap();
        assert!(!older.exists() && new.exists());
    }
}

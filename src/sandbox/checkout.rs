//! What a workspace begins with: a repository at a commit, unpacked from an archive inside the sandbox, and its setup command.
//!
//! No credential takes part: the service fetches the archive, the sandbox unpacks it, and `git` there knows one commit and no remote.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Exec, Executed, Killed, Sandbox, SandboxError};

/// Where the repository of a conversation comes from.
#[async_trait]
pub trait Origin: Send + Sync {
    /// What the workspace should hold now.
    async fn wanted(&self) -> Result<Wanted, OriginError>;

    /// True when that may be another commit for a later request of the same conversation (pull requests).
    fn moves(&self) -> bool;

    /// The repository's name, where a conversation may be about another one than before, or about none at first; else none.
    fn linked(&self) -> Option<&str>;

    /// A gzipped tar archive of the commit on this machine, everything below one directory.
    async fn archive(&self, commit: &str) -> Result<PathBuf, OriginError>;
}

/// What a workspace should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its name for people, such as `owner/name`.
    pub repository: String,
    /// The commit; none when the repository is empty.
    pub commit: Option<String>,
    /// What should be said about it, each a sentence.
    pub notes: Vec<String>,
    /// What the sandbox is to be made from.
    pub snapshot: Option<String>,
    /// Run once after the checkout.
    pub setup: Option<String>,
    /// How the repository is tested.
    pub test: Option<String>,
}

/// Why there is no repository. The text is for the model and for people.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OriginError {
    /// It will not be there later either: missing, forbidden, too large.
    #[error("{0}")]
    Refused(String),
    /// It may work later.
    #[error("{0}")]
    Unavailable(String),
}

/// What a workspace began with, as it is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkout {
    /// The repository, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The commit whose files are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What is missing or different from a clone, each a sentence.
    pub notes: Vec<String>,
    /// True when it failed and should be tried again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// The setup command, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// True once it succeeded in this sandbox.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub set_up: bool,
    /// How the repository is tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// What the sandbox is made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

impl Checkout {
    /// What is to be done, before it is done.
    pub fn of(wanted: Wanted) -> Self {
        let mut checkout = Self {
            notes: wanted.notes,
            setup: wanted.setup,
            test: wanted.test,
            snapshot: wanted.snapshot,
            commit: wanted.commit,
            ..Self::default()
        };
        if checkout.commit.is_none() {
            checkout.notes.insert(0, format!("The repository {} is empty, so the workspace began empty.", wanted.repository));
        }
        checkout.repository = Some(wanted.repository);
        checkout
    }

    /// The same as it is recorded before the workspace is emptied for it.
    #[must_use]
    pub fn interrupted(self) -> Self {
        Self { again: true, ..self }
    }

    /// True when the workspace was about to get it, so that what is there is nobody's work.
    pub fn is_interrupted(&self) -> bool {
        self.again && self.repository.is_some()
    }

    /// True when a workspace like this is not what a conversation needs that is linked to this repository by now.
    pub fn is_of_another(&self, linked: &str) -> bool {
        match &self.repository {
            Some(repository) => !repository.eq_ignore_ascii_case(linked),
            // One that could not be had is tried for again by itself.
            None => !self.again,
        }
    }

    /// Something to be said, once.
    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// There is no repository, and why.
    pub fn failed(error: &OriginError) -> Self {
        let again = matches!(error, OriginError::Unavailable(_));
        let note = format!("The repository is not in the workspace, which began empty: {error}");
        Self { notes: vec![note], again, ..Self::default() }
    }

    /// What a model is told; nothing when there is nothing to tell.
    pub fn told(&self) -> Option<String> {
        let mut told = Vec::new();
        if let (Some(repository), Some(commit)) = (&self.repository, &self.commit) {
            told.push(format!(
                "The workspace holds the repository {repository} at commit {commit}, as an archive without its history."
            ));
        }
        told.extend(self.notes.iter().cloned());
        told.extend(self.test.as_ref().map(|test| format!("The repository says that it is tested with `{test}`.")));
        (!told.is_empty()).then(|| told.join(" "))
    }

    /// One line for people.
    pub fn shown(&self) -> Option<String> {
        let (repository, commit) = (self.repository.as_ref()?, self.commit.as_ref()?);
        Some(format!("Checked out {repository}@{}", commit.get(..12).unwrap_or(commit)))
    }
}

const UNPACK_TIME: Duration = Duration::from_secs(300);
const SETUP_TIME: Duration = Duration::from_secs(600);
const OUTPUT: usize = 6 << 10;

/// Unpacks, looks for what an archive lacks, and makes one commit of it. Runs again without harm: a workspace with a `.git` is
/// finished. Each answer is a line of its own on standard output.
const UNPACK: &str = r#"trap 'rm -f "$THREADBOX_ARCHIVE"' EXIT
if [ -e .git ]; then echo again; exit 0; fi
command -v tar >/dev/null 2>&1 || { echo no-tar; exit 0; }
tar -xzof "$THREADBOX_ARCHIVE" --strip-components=1 --exclude='*/.git'
echo "unpacked $?"
[ -e .gitmodules ] && echo submodules
find . -name .gitattributes -type f -exec grep -q filter=lfs {} \; -exec echo lfs \; -quit 2>/dev/null
command -v git >/dev/null 2>&1 || { echo no-git; exit 0; }
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_NOSYSTEM=1 HOME=/tmp
export GIT_AUTHOR_NAME=threadbox GIT_AUTHOR_EMAIL=threadbox@localhost GIT_AUTHOR_DATE='2000-01-01T00:00:00Z'
export GIT_COMMITTER_NAME=threadbox GIT_COMMITTER_EMAIL=threadbox@localhost GIT_COMMITTER_DATE='2000-01-01T00:00:00Z'
git_dir=/tmp/.threadbox-git
rm -rf $git_dir .git.threadbox
git -c init.defaultBranch=main init -q --bare $git_dir &&
git --git-dir=$git_dir config core.bare false &&
git --git-dir=$git_dir --work-tree=. -c core.hooksPath=/dev/null add -A -f . &&
git --git-dir=$git_dir --work-tree=. -c core.hooksPath=/dev/null commit -q --no-verify --no-gpg-sign --allow-empty -m "$THREADBOX_TITLE" &&
mv $git_dir .git.threadbox && mv .git.threadbox .git
echo "git $?"
"#;

/// Puts the commit of `checkout` into the workspace and adds what is to be said to its notes. What cannot be unpacked is said
/// there too; an error is only what ends the sandbox. May run again.
pub async fn unpack(
    sandbox: &dyn Sandbox,
    origin: &dyn Origin,
    checkout: &mut Checkout,
    cancel: &CancellationToken,
) -> Result<(), SandboxError> {
    let (Some(repository), Some(commit)) = (checkout.repository.clone(), checkout.commit.clone()) else { return Ok(()) };
    let archive = match origin.archive(&commit).await {
        Ok(archive) => archive,
        Err(error) => {
            let notes = std::mem::take(&mut checkout.notes);
            *checkout = Checkout { snapshot: checkout.snapshot.take(), ..Checkout::failed(&error) };
            checkout.notes.extend(notes);
            return Ok(());
        }
    };
    let target = format!("/tmp/.threadbox-{}.tar.gz", commit.get(..12).unwrap_or(&commit));
    match sandbox.upload(&archive, &target).await {
        Ok(()) => {}
        Err(SandboxError::Invalid(why)) => {
            refuse(checkout, format!("its archive does not fit into the sandbox ({why})."));
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    let title = format!("{repository}@{commit}");
    let env = BTreeMap::from([("THREADBOX_ARCHIVE".to_owned(), target), ("THREADBOX_TITLE".to_owned(), title)]);
    let ran = sandbox.exec(Exec { env, ..Exec::shell(UNPACK, UNPACK_TIME, OUTPUT) }, cancel).await?;
    if let Some(why) = killed(&ran) {
        empty(sandbox).await?;
        refuse(checkout, format!("unpacking it was given up because {why}."));
        return Ok(());
    }
    note(checkout, &ran);
    Ok(())
}

/// Nothing is there; why stands in the notes.
fn refuse(checkout: &mut Checkout, why: String) {
    let repository = checkout.repository.take().unwrap_or_default();
    (checkout.commit, checkout.setup) = (None, None);
    checkout.notes.insert(0, format!("The repository {repository} is not in the workspace, which began empty: {why}"));
}

fn killed(ran: &Executed) -> Option<&'static str> {
    match ran.killed? {
        Killed::Timeout => Some("it took too long"),
        Killed::Cancelled => Some("the run was stopped"),
        Killed::DiskLimit => Some("the sandbox has not enough disk space"),
        Killed::MemoryLimit => Some("the sandbox has not enough memory"),
        Killed::Lost => Some("the sandbox was restarted meanwhile"),
    }
}

/// Reads the answers of [`UNPACK`].
fn note(checkout: &mut Checkout, ran: &Executed) {
    let lines = ran.stdout.text();
    let has = |wanted: &str| lines.lines().any(|line| line == wanted);
    if has("no-tar") {
        return refuse(checkout, "the sandbox has no `tar` to unpack it.".to_owned());
    }
    let code = |name: &str| lines.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<i32>().ok());
    let stderr = ran.stderr.text();
    let said = stderr.lines().take(3).collect::<Vec<_>>().join("; ");
    if code("unpacked").is_some_and(|code| code != 0) {
        checkout.note(format!("Not everything of it could be unpacked ({said})."));
    }
    if has("submodules") {
        checkout.note("Its submodules are not there: their directories are empty.".to_owned());
    }
    if has("lfs") {
        checkout.note("Files kept with Git LFS are there as small pointer files, without their content.".to_owned());
    }
    if has("no-git") {
        checkout.note("There is no `git` in the sandbox.".to_owned());
    } else if code("git").is_some_and(|code| code != 0) {
        checkout.note(format!("`git` could not make a commit of it ({said})."));
    }
}

/// Of one file, and of all files of an archive that are read on this machine.
const LARGEST_ORIGINAL: u64 = 1 << 20;
const MOST_ORIGINALS: u64 = 8 << 20;

/// The texts of these files as they stand in an archive on this machine. Files that are large or no text are left out, as is everything
/// beyond 8 MiB.
pub async fn originals(archive: PathBuf, wanted: BTreeSet<String>) -> BTreeMap<String, String> {
    let read = tokio::task::spawn_blocking(move || read_originals(&archive, wanted)).await;
    match read {
        Ok(Ok(texts)) => texts,
        Ok(Err(error)) => {
            tracing::warn!(%error, "an archive cannot be read");
            BTreeMap::new()
        }
        Err(_) => BTreeMap::new(),
    }
}

fn read_originals(archive: &Path, mut wanted: BTreeSet<String>) -> std::io::Result<BTreeMap<String, String>> {
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(std::fs::File::open(archive)?)));
    let mut texts = BTreeMap::new();
    let mut total = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some((_, path)) = path.split_once('/') else { continue };
        if !wanted.remove(path) || !entry.header().entry_type().is_file() {
            continue;
        }
        let size = entry.size();
        if size <= LARGEST_ORIGINAL && total + size <= MOST_ORIGINALS {
            total += size;
            let mut content = Vec::new();
            entry.by_ref().take(size).read_to_end(&mut content)?;
            texts.extend(String::from_utf8(content).ok().filter(|text| !text.contains('\0')).map(|text| (path.to_owned(), text)));
        }
        if wanted.is_empty() {
            break;
        }
    }
    Ok(texts)
}

/// Removes everything from the workspace.
pub async fn empty(sandbox: &dyn Sandbox) -> Result<(), SandboxError> {
    for info in sandbox.list(".").await? {
        match sandbox.delete(&info.name).await {
            Ok(()) | Err(SandboxError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What came of a setup command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetUp {
    /// True when it succeeded.
    pub ok: bool,
    /// One line for people.
    pub shown: String,
    /// What a model is told.
    pub told: String,
}

/// Runs the setup command in the workspace, for at most ten minutes. Its failure is a result.
pub async fn set_up(sandbox: &dyn Sandbox, command: &str, cancel: &CancellationToken) -> Result<SetUp, SandboxError> {
    let ran = sandbox.exec(Exec::shell(command, SETUP_TIME, OUTPUT), cancel).await?;
    let seconds = ran.duration.as_secs_f64();
    if ran.exit_code == 0 && ran.killed.is_none() {
        let told = format!("The setup command of the repository, `{command}`, was run and succeeded.");
        return Ok(SetUp { ok: true, shown: format!("Set up the repository ({seconds:.1} s)"), told });
    }
    let ending = killed(&ran).map_or_else(|| format!("exit {}", ran.exit_code), str::to_owned);
    let output = format!("{}\n{}", ran.stdout.text(), ran.stderr.text());
    let told = format!(
        "The setup command of the repository, `{command}`, failed ({ending}), so what it prepares may be missing. It printed:\n{}",
        output.trim()
    );
    Ok(SetUp { ok: false, shown: format!("The setup command of the repository failed ({ending})"), told })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Output;
    use super::*;

    fn ran(stdout: &str, stderr: &str) -> Executed {
        let output = |text: &str| Output { bytes: text.as_bytes().to_vec(), omitted: 0 };
        Executed { exit_code: 0, killed: None, stdout: output(stdout), stderr: output(stderr), duration: Duration::ZERO }
    }

    fn checkout() -> Checkout {
        Checkout::of(Wanted { repository: "acme/rocket".into(), commit: Some("0123456789abcdef".into()), ..Wanted::default() })
    }

    #[test]
    fn what_an_archive_lacks_is_said() {
        let mut full = checkout();
        note(&mut full, &ran("unpacked 0\ngit 0\n", ""));
        assert_eq!(full, checkout());
        let mut poor = checkout();
        note(&mut poor, &ran("unpacked 2\nsubmodules\nlfs\nno-git\n", "tar: ../x: Member name contains '..'\n"));
        insta::assert_snapshot!(poor.told().unwrap(), @"The workspace holds the repository acme/rocket at commit 0123456789abcdef, as an archive without its history. Not everything of it could be unpacked (tar: ../x: Member name contains '..'). Its submodules are not there: their directories are empty. Files kept with Git LFS are there as small pointer files, without their content. There is no `git` in the sandbox.");
        assert_eq!(poor.shown().unwrap(), "Checked out acme/rocket@0123456789ab");
    }

    #[test]
    fn a_workspace_is_of_another_repository_than_the_one_that_was_linked_since() {
        let of = |name: &str| Checkout { repository: Some(name.into()), ..Checkout::default() };
        assert!(!of("acme/rocket").is_of_another("Acme/rocket"));
        assert!(of("acme/rocket").is_of_another("acme/tools"));
        assert!(Checkout::default().is_of_another("acme/tools"));
        assert!(!Checkout { again: true, ..Checkout::default() }.is_of_another("acme/tools"));
    }

    #[test]
    fn a_workspace_without_a_repository_says_why() {
        let mut none = checkout();
        note(&mut none, &ran("no-tar\n", ""));
        assert!(none.told().unwrap().contains("has no `tar`") && none.shown().is_none() && none.commit.is_none());
        let empty = Checkout::of(Wanted { repository: "acme/new".into(), ..Wanted::default() });
        assert_eq!(empty.told().unwrap(), "The repository acme/new is empty, so the workspace began empty.");
        assert!(Checkout::failed(&OriginError::Unavailable("later".into())).again);
        assert!(!Checkout::failed(&OriginError::Refused("never".into())).again);
    }

    #[test]
    fn what_is_recorded_is_read_again_also_from_an_older_version() {
        let json = serde_json::to_string(&checkout()).unwrap();
        assert_eq!(serde_json::from_str::<Checkout>(&json).unwrap(), checkout());
        assert_eq!(serde_json::from_str::<Checkout>(r#"{"notes": []}"#).unwrap(), Checkout::default());
    }
}

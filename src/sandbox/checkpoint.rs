//! A checkpoint: the files of a workspace that differ from what it began with, so that the work survives the sandbox.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::workspace::{Content, FileState, WorkspaceSnapshot, batches};
use super::{Exec, Sandbox, SandboxError};

/// Files (and links), and bytes of all files together.
const MAX_FILES: usize = 2_000;
const MAX_BYTES: u64 = 16 << 20;
/// Of the list of names in front of the files.
const MAX_HEADER: u64 = 8 << 20;

/// Files that differ from the base, and names of those that are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    files: BTreeMap<String, Saved>,
    /// Symbolic links and where they lead.
    links: BTreeMap<String, String>,
    deleted: Vec<String>,
    /// Changed files and links that are not in here.
    left_out: usize,
}

/// A file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Saved {
    modified: i64,
    mode: u32,
    content: Bytes,
}

/// What precedes the contents in a stored checkpoint.
#[derive(Serialize, Deserialize)]
struct Header {
    /// Path, size, time of change, permission bits.
    files: Vec<(String, u64, i64, u32)>,
    deleted: Vec<String>,
    left_out: usize,
    #[serde(default)]
    links: Vec<(String, String)>,
}

impl Checkpoint {
    /// Something to put over a workspace: files with whether they can be executed, links with where they lead, and what goes. What is
    /// replaced by something of another kind or mode is to be among what goes.
    pub fn of(files: Vec<(String, bool, Bytes)>, links: BTreeMap<String, String>, deleted: Vec<String>) -> Self {
        let saved = |executable: bool, content| Saved { modified: 0, mode: if executable { 0o755 } else { 0o644 }, content };
        let files = files.into_iter().map(|(path, executable, content)| (path, saved(executable, content))).collect();
        Self { files, links, deleted, left_out: 0 }
    }

    /// What is in one of its files.
    pub fn file(&self, path: &str) -> Option<&Bytes> {
        self.files.get(path).map(|saved| &saved.content)
    }

    /// Where one of its links leads.
    pub fn link(&self, path: &str) -> Option<&str> {
        self.links.get(path).map(String::as_str)
    }

    /// Takes what differs between `base` and `now`, at most 2,000 files and 16 MiB, small files first; the rest is counted. Only
    /// files are read whose content neither `now` nor `previous` has.
    pub async fn take(
        sandbox: &dyn Sandbox,
        base: &WorkspaceSnapshot,
        now: &WorkspaceSnapshot,
        previous: Option<&Self>,
    ) -> Result<Self, SandboxError> {
        let changed = |(path, state): &(&String, &FileState)| base.files().get(*path).is_none_or(|base| !base.untouched(state));
        let mut changed: Vec<_> = now.files().iter().filter(changed).collect();
        changed.sort_by_key(|(_, state)| state.size);
        let mut checkpoint = Self::default();
        checkpoint.add_links(sandbox, now.new_links(base).take(MAX_FILES).cloned().collect()).await?;
        if base.is_complete() && now.is_complete() {
            checkpoint.deleted = base.gone(now).cloned().collect();
        }
        let mut unread = Vec::new();
        let mut total = 0;
        for (path, state) in changed {
            if checkpoint.files.len() + unread.len() == MAX_FILES || total + state.size > MAX_BYTES {
                checkpoint.left_out += 1;
                continue;
            }
            total += state.size;
            match previous.and_then(|previous| previous.same(path, state)).or_else(|| text(state)) {
                Some(content) => checkpoint.add(path, state, content),
                None => unread.push((path.clone(), state.size)),
            }
        }
        for paths in batches(unread) {
            let contents = sandbox.read_many(&paths, MAX_BYTES as usize).await?;
            for (path, content) in paths.iter().zip(contents) {
                match (content, now.files().get(path)) {
                    (Ok(content), Some(state)) if content.len() as u64 <= state.size => checkpoint.add(path, state, content),
                    // Growing, unreadable or gone already.
                    _ => checkpoint.left_out += 1,
                }
            }
        }
        Ok(checkpoint)
    }

    /// Those that cannot be read are counted.
    async fn add_links(&mut self, sandbox: &dyn Sandbox, paths: Vec<String>) -> Result<(), SandboxError> {
        if paths.is_empty() {
            return Ok(());
        }
        sandbox.write(NAMES, &names(paths.iter().map(String::as_str))).await?;
        let script = format!("xargs -0 readlink -z -- < {NAMES} > {NAMES}.targets; rm -f {NAMES}");
        sandbox.exec(Exec::shell(&script, RESTORE_TIME, 4 << 10), &CancellationToken::new()).await?;
        let (told, _) = sandbox.read(&format!("{NAMES}.targets"), 0, MAX_HEADER as usize).await?;
        let mut targets: Vec<&[u8]> = told.split(|byte| *byte == 0).collect();
        targets.pop();
        for (n, path) in paths.iter().enumerate() {
            let target = targets.get(n).filter(|_| targets.len() == paths.len());
            match target.and_then(|target| std::str::from_utf8(target).ok()) {
                Some(target) => drop(self.links.insert(path.clone(), target.to_owned())),
                None => self.left_out += 1,
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &str, state: &FileState, content: Bytes) {
        self.files.insert(path.to_owned(), Saved { modified: state.modified, mode: state.mode, content });
    }

    fn same(&self, path: &str, state: &FileState) -> Option<Bytes> {
        let saved = self.files.get(path)?;
        (saved.modified == state.modified && saved.content.len() as u64 == state.size).then(|| saved.content.clone())
    }

    /// True when nothing differs from the base.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.links.is_empty() && self.deleted.is_empty() && self.left_out == 0
    }

    /// How many files are in it.
    pub fn len(&self) -> usize {
        self.files.len() + self.links.len()
    }

    /// Changed files and links that are not in it.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Deletes what was deleted, and puts the files over the rest of the base, executable where they were. Returns how many could not
    /// be written: something that is no file stands in their way. May run again.
    pub async fn restore(&self, sandbox: &dyn Sandbox, cancel: &CancellationToken) -> Result<usize, SandboxError> {
        // First, because a file may be where a directory was, and the other way round.
        self.on_names(sandbox, names(self.deleted.iter().map(String::as_str).chain(self.replaced())), "rm -rf", cancel).await?;
        let files: Vec<(String, Bytes)> = self.files.iter().map(|(path, saved)| (path.clone(), saved.content.clone())).collect();
        let sizes = files.iter().enumerate().map(|(n, (_, content))| (n.to_string(), content.len() as u64));
        let mut failed = 0;
        for batch in batches(sizes.collect()) {
            let batch: Vec<_> =
                batch.iter().filter_map(|n| n.parse().ok()).filter_map(|n: usize| files.get(n).cloned()).collect();
            failed += write_what_fits(sandbox, &batch).await?;
        }
        let executable = self.files.iter().filter(|(_, saved)| saved.mode & 0o111 != 0).map(|(path, _)| path.as_str());
        self.on_names(sandbox, names(executable), "chmod a+x", cancel).await?;
        let links: String =
            self.links.iter().flat_map(|(path, target)| [target, "\0./", path, "\0"].map(str::to_owned)).collect();
        self.on_names(sandbox, links.into(), LINK, cancel).await?;
        Ok(failed)
    }

    /// Directories of deleted files where a file is now.
    fn replaced(&self) -> BTreeSet<&str> {
        let directories = self.deleted.iter().flat_map(|path| path.match_indices('/').map(|(end, _)| &path[..end]));
        directories.filter(|directory| self.files.contains_key(*directory) || self.links.contains_key(*directory)).collect()
    }

    async fn on_names(
        &self,
        sandbox: &dyn Sandbox,
        names: Bytes,
        command: &str,
        cancel: &CancellationToken,
    ) -> Result<(), SandboxError> {
        if names.is_empty() {
            return Ok(());
        }
        sandbox.write(NAMES, &names).await?;
        let end = if command == LINK { "" } else { "--" };
        let script = format!("xargs -0 {command} {end} < {NAMES}; code=$?; rm -f {NAMES}; exit $code");
        let done = sandbox.exec(Exec::shell(&script, RESTORE_TIME, 4 << 10), cancel).await?;
        if done.exit_code != 0 {
            tracing::warn!(
                exit_code = done.exit_code,
                stderr = done.stderr.text(),
                command,
                "a checkpoint was not restored whole"
            );
        }
        Ok(())
    }

    /// For storage, compressed.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let described = |(path, saved): (&String, &Saved)| (path.clone(), saved.content.len() as u64, saved.modified, saved.mode);
        let header = Header {
            files: self.files.iter().map(described).collect(),
            deleted: self.deleted.clone(),
            left_out: self.left_out,
            links: self.links.clone().into_iter().collect(),
        };
        let header = serde_json::to_vec(&header)?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&(header.len() as u64).to_be_bytes())?;
        encoder.write_all(&header)?;
        for saved in self.files.values() {
            encoder.write_all(&saved.content)?;
        }
        encoder.finish()
    }

    /// From storage. None when it cannot be read.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = io::BufReader::new(GzDecoder::new(bytes).take(8 + MAX_HEADER + MAX_BYTES));
        let mut length = [0; 8];
        reader.read_exact(&mut length).ok()?;
        let length = u64::from_be_bytes(length);
        if length > MAX_HEADER {
            return None;
        }
        let mut header = Vec::new();
        reader.by_ref().take(length).read_to_end(&mut header).ok()?;
        let header: Header = serde_json::from_slice(&header).ok()?;
        let mut files = BTreeMap::new();
        for (path, size, modified, mode) in header.files {
            let mut content = Vec::new();
            reader.by_ref().take(size).read_to_end(&mut content).ok()?;
            if content.len() as u64 != size {
                return None;
            }
            files.insert(path, Saved { modified, mode, content: content.into() });
        }
        Some(Self { files, links: header.links.into_iter().collect(), deleted: header.deleted, left_out: header.left_out })
    }
}

const RESTORE_TIME: Duration = Duration::from_secs(120);
const NAMES: &str = "/tmp/.threadbox-names";
/// For pairs of target and path.
const LINK: &str = r#"-n 2 sh -c 'mkdir -p -- "$(dirname -- "$2")" && rm -rf -- "$2" && ln -s -- "$1" "$2"' sh"#;

/// Writes them together, or one by one where that fails: one that cannot be written must not cost the others. Returns how many were not.
async fn write_what_fits(sandbox: &dyn Sandbox, files: &[(String, Bytes)]) -> Result<usize, SandboxError> {
    match sandbox.write_many(files).await {
        Ok(()) => return Ok(0),
        Err(error @ SandboxError::Unavailable(_)) => return Err(error),
        Err(_) => {}
    }
    let mut failed = 0;
    for (path, content) in files {
        match sandbox.write(path, content).await {
            Ok(()) => {}
            Err(error @ SandboxError::Unavailable(_)) => return Err(error),
            Err(error) => {
                tracing::warn!(path, %error, "a file of a checkpoint was not restored");
                failed += 1;
            }
        }
    }
    Ok(failed)
}

/// Paths for `xargs -0`.
fn names<'a>(paths: impl Iterator<Item = &'a str>) -> Bytes {
    paths.flat_map(|path| ["./", path, "\0"]).collect::<String>().into()
}

fn text(state: &FileState) -> Option<Bytes> {
    match &state.content {
        Content::Text(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
        Content::Digest(_) | Content::Unread => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_checkpoint_survives_storage_and_nonsense_is_refused() {
        let saved = |mode, content: &'static [u8]| Saved { modified: 5, mode, content: Bytes::from_static(content) };
        let files = [("a.txt", saved(0o644, b"text")), ("bin/ü", saved(0o755, b"\0\xff")), ("empty", saved(0o600, b""))];
        let checkpoint = Checkpoint {
            files: files.map(|(path, saved)| (path.to_owned(), saved)).into(),
            links: [("link".to_owned(), "a b".to_owned())].into(),
            deleted: vec!["gone".to_owned()],
            left_out: 3,
        };
        let bytes = checkpoint.to_bytes().unwrap();
        assert_eq!(Checkpoint::from_bytes(&bytes).unwrap(), checkpoint);
        assert_eq!(Checkpoint::from_bytes(&bytes[..bytes.len() / 2]), None);
        assert_eq!(Checkpoint::from_bytes(b""), None);
        let mut lying = GzEncoder::new(Vec::new(), Compression::fast());
        lying.write_all(&u64::MAX.to_be_bytes()).unwrap();
        assert_eq!(Checkpoint::from_bytes(&lying.finish().unwrap()), None);
    }

    #[test]
    fn names_survive_any_character() {
        assert_eq!(names(["-rf", "a b\n'"].into_iter()), "./-rf\0./a b\n'\0");
    }

    #[test]
    fn directories_that_became_files_are_removed_first() {
        let saved = Saved { modified: 5, mode: 0o644, content: Bytes::new() };
        let checkpoint = Checkpoint {
            files: ["src", "docs/index.md", "a/b"].map(|path| (path.to_owned(), saved.clone())).into(),
            links: BTreeMap::new(),
            deleted: ["src/main.py", "src/x/y.py", "docs", "a/b/c", "a/d"].map(str::to_owned).into(),
            left_out: 0,
        };
        assert_eq!(checkpoint.replaced().into_iter().collect::<Vec<_>>(), ["a/b", "src"]);
    }
}

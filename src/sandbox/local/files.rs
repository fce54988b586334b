//! File operations of the service on a sandbox. Every path is opened below a directory handle, so no link leads out.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt, Permissions, PermissionsExt};
use chrono::{DateTime, Utc};
use rustix::fs::{AtFlags, Gid, Uid, chownat};

use super::super::{FileInfo, SandboxError, WalkBounds, Walked};
use super::paths::{Place, resolve};
use super::plan::{INSIDE, Ids};
use super::remove::{TRASH, remove};

/// More entries than this in one directory are refused: nobody reads them, and the code may have made millions.
const MAX_ENTRIES: usize = 20_000;
const TEMPORARY_NAME: &str = ".threadbox-write-";

/// The two directories of a sandbox as the service sees them.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// Holds `workspace` and `tmp`.
    pub directory: PathBuf,
    /// Who owns what is in there, when that is not the service's user.
    pub outside: Option<Ids>,
}

/// An opened place and a path below it.
struct Target<'a> {
    given: &'a str,
    place: Place,
    dir: Dir,
    path: PathBuf,
}

impl Target<'_> {
    fn error(&self, error: &io::Error) -> SandboxError {
        let given = self.given;
        match error.kind() {
            io::ErrorKind::NotFound => SandboxError::NotFound(given.to_owned()),
            io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => SandboxError::Invalid(format!(
                "{given}: goes through a link that leads out of {}; use the path it points to, or a command",
                self.place.inside()
            )),
            io::ErrorKind::NotADirectory => SandboxError::Invalid(format!("{given}: a part of this path is not a directory")),
            io::ErrorKind::IsADirectory => SandboxError::Invalid(format!("{given}: is a directory")),
            io::ErrorKind::PermissionDenied => SandboxError::Invalid(format!(
                "{given}: permission denied; check its mode with getFileInfo, change it with chmod"
            )),
            _ => SandboxError::Invalid(format!("{given}: {error}")),
        }
    }

    fn is_place(&self) -> bool {
        self.path == Path::new(".")
    }
}

impl Files {
    fn target<'a>(&self, given: &'a str) -> Result<Target<'a>, SandboxError> {
        let (place, path) = resolve(given)?;
        Ok(Target { given, place, dir: self.place(place)?, path })
    }

    fn place(&self, place: Place) -> Result<Dir, SandboxError> {
        let path = self.directory.join(place.outside());
        Dir::open_ambient_dir(path, ambient_authority())
            .map_err(|error| SandboxError::Unavailable(format!("its files are gone ({error})")))
    }

    /// As [`Sandbox::read`](super::super::Sandbox::read).
    pub(super) fn read(&self, given: &str, offset: u64, limit: usize) -> Result<(Bytes, u64), SandboxError> {
        let target = self.target(given)?;
        let mut options = OpenOptions::new();
        // Opening a named pipe must not wait for its other end.
        options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        let read = || -> io::Result<Option<(Bytes, u64)>> {
            let mut file = target.dir.open_with(&target.path, &options)?;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Ok(None);
            }
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.take(limit as u64).read_to_end(&mut bytes)?;
            Ok(Some((bytes.into(), metadata.len())))
        };
        match read() {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(SandboxError::Invalid(match target.dir.metadata(&target.path) {
                Ok(metadata) if metadata.is_dir() => format!("{given}: is a directory; use listFiles"),
                Ok(_) | Err(_) => format!("{given}: is not a regular file"),
            })),
            Err(error) => Err(target.error(&error)),
        }
    }

    /// A file of at most `limit` bytes.
    pub(super) fn read_whole(&self, given: &str, limit: usize) -> Result<Bytes, SandboxError> {
        let (bytes, size) = self.read(given, 0, limit)?;
        if size > bytes.len() as u64 {
            return Err(SandboxError::Invalid(format!("{given}: {size} bytes are more than the {limit} that are read")));
        }
        Ok(bytes)
    }

    /// As [`Sandbox::upload`](super::super::Sandbox::upload); at most `limit` bytes.
    pub(super) fn upload(&self, source: &Path, given: &str, limit: u64) -> Result<(), SandboxError> {
        let failed = |error: io::Error| SandboxError::Unavailable(format!("{}: {error}", source.display()));
        let mut file = std::fs::File::open(source).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        if size > limit {
            return Err(SandboxError::Invalid(format!("{given}: {size} bytes are more than the sandbox may hold ({limit})")));
        }
        self.replace(given, &mut file)
    }

    /// As [`Sandbox::write`](super::super::Sandbox::write). Keeps the mode of a file that is replaced.
    pub(super) fn write(&self, given: &str, mut content: &[u8]) -> Result<(), SandboxError> {
        self.replace(given, &mut content)
    }

    fn replace(&self, given: &str, content: &mut dyn Read) -> Result<(), SandboxError> {
        let target = self.target(given)?;
        let (Some(name), false) = (target.path.file_name(), given.ends_with('/')) else {
            return Err(SandboxError::Invalid(format!("{given}: is a directory, not a file name")));
        };
        let write = |content: &mut dyn Read| -> io::Result<()> {
            let parent = self.make_directories(&target.dir, target.path.parent().unwrap_or(Path::new("")))?;
            let mode = match parent.symlink_metadata(name) {
                Ok(metadata) if metadata.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
                Ok(metadata) if metadata.is_file() => metadata.mode() & 0o777,
                Ok(_) | Err(_) => 0o644,
            };
            let temporary = format!("{TEMPORARY_NAME}{}", uuid::Uuid::now_v7().simple());
            let written =
                self.write_new(&parent, &temporary, content, mode).and_then(|()| parent.rename(&temporary, &parent, name));
            if written.is_err() {
                let _ = parent.remove_file(&temporary);
            }
            written
        };
        write(content).map_err(|error| target.error(&error))
    }

    fn write_new(&self, parent: &Dir, name: &str, content: &mut dyn Read, mode: u32) -> io::Result<()> {
        let mut file = parent.open_with(name, OpenOptions::new().write(true).create_new(true))?;
        io::copy(content, &mut file)?;
        self.give(&file)?;
        file.set_permissions(Permissions::from_mode(mode))
    }

    /// Makes what is missing of `path` and opens its end.
    fn make_directories(&self, base: &Dir, path: &Path) -> io::Result<Dir> {
        let mut made = PathBuf::new();
        for part in path.components() {
            made.push(part);
            match base.create_dir(&made) {
                Ok(()) => self.give(&base.open_dir(&made)?)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        if made.as_os_str().is_empty() { base.try_clone() } else { base.open_dir(&made) }
    }

    /// Makes the sandbox's user the owner.
    fn give(&self, file: impl rustix::fd::AsFd) -> io::Result<()> {
        match self.outside {
            Some(ids) => {
                // Directory handles may be of the kind that only names a place.
                Ok(chownat(file, "", Some(Uid::from_raw(ids.uid)), Some(Gid::from_raw(ids.gid)), AtFlags::EMPTY_PATH)?)
            }
            None => Ok(()),
        }
    }

    /// As [`Sandbox::list`](super::super::Sandbox::list).
    pub(super) fn list(&self, given: &str) -> Result<Vec<FileInfo>, SandboxError> {
        let target = self.target(given)?;
        let directory = target.dir.open_dir(&target.path).map_err(|error| target.error(&error))?;
        let mut infos = Vec::new();
        for entry in directory.entries().map_err(|error| target.error(&error))? {
            let entry = entry.map_err(|error| target.error(&error))?;
            let name = entry.file_name();
            // A link out of the workspace, or to nothing, is shown as itself.
            let Ok(metadata) = directory.metadata(&name).or_else(|_| entry.metadata()) else {
                continue;
            };
            if infos.len() == MAX_ENTRIES {
                let text = format!("{given}: has more than {MAX_ENTRIES} entries; use a command such as `ls | head`");
                return Err(SandboxError::Invalid(text));
            }
            infos.push(self.describe(&name.to_string_lossy(), &metadata));
        }
        infos.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(infos)
    }

    /// As [`Sandbox::walk`](super::super::Sandbox::walk).
    pub(super) fn walk(&self, given: &str, bounds: WalkBounds) -> Result<Walked, SandboxError> {
        let target = self.target(given)?;
        let start = target.dir.open_dir(&target.path).map_err(|error| target.error(&error))?;
        let mut walked = Walked { entries: Vec::new(), complete: true };
        let mut pending = vec![(String::new(), 1)];
        'walk: while let Some((prefix, depth)) = pending.pop() {
            let directory = if prefix.is_empty() { start.try_clone() } else { start.open_dir(&prefix) };
            let Ok(entries) = directory.and_then(|directory| directory.entries()) else {
                continue;
            };
            for entry in entries.flatten() {
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                if walked.entries.len() == bounds.entries {
                    walked.complete = false;
                    break 'walk;
                }
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = format!("{prefix}{name}");
                if metadata.is_dir() && !bounds.skip.contains(&name.as_str()) {
                    if depth < bounds.depth {
                        pending.push((format!("{path}/"), depth + 1));
                    } else if bounds.depth > 1 {
                        walked.complete = false;
                    }
                }
                walked.entries.push((path, self.describe(&name, &metadata)));
            }
        }
        walked.entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(walked)
    }

    /// As [`Sandbox::info`](super::super::Sandbox::info).
    pub(super) fn info(&self, given: &str) -> Result<FileInfo, SandboxError> {
        let target = self.target(given)?;
        let metadata = if target.is_place() { target.dir.dir_metadata() } else { target.dir.metadata(&target.path) };
        let metadata = metadata.map_err(|error| target.error(&error))?;
        let name = target.path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(self.describe(&name.unwrap_or_else(|| target.place.outside().to_owned()), &metadata))
    }

    /// As [`Sandbox::delete`](super::super::Sandbox::delete).
    pub(super) fn delete(&self, given: &str) -> Result<(), SandboxError> {
        let target = self.target(given)?;
        if target.is_place() {
            return Err(SandboxError::Invalid(format!("{given}: cannot be deleted itself; delete what is in it")));
        }
        remove(&target.dir, &target.path).map_err(|error| target.error(&error))
    }

    /// As [`Sandbox::create_directory`](super::super::Sandbox::create_directory).
    pub(super) fn create_directory(&self, given: &str) -> Result<(), SandboxError> {
        let target = self.target(given)?;
        if target.is_place() {
            return Ok(());
        }
        match self.make_directories(&target.dir, &target.path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                Err(SandboxError::Invalid(format!("{given}: a file is in the way; delete it or choose another path")))
            }
            Err(error) => Err(target.error(&error)),
        }
    }

    fn describe(&self, name: &str, metadata: &Metadata) -> FileInfo {
        let modified = metadata.modified().map(|time| DateTime::<Utc>::from(time.into_std())).unwrap_or_default();
        let own = self
            .outside
            .unwrap_or_else(|| Ids { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() });
        FileInfo {
            name: name.to_owned(),
            is_dir: metadata.is_dir(),
            size: metadata.len(),
            mode: metadata.mode(),
            modified,
            owner: if metadata.uid() == own.uid { INSIDE.uid } else { 65534 },
            group: if metadata.gid() == own.gid { INSIDE.gid } else { 65534 },
        }
    }

    /// Makes the two directories if they are missing, and clears what an interrupted write or deletion left.
    pub(super) fn prepare(&self) -> io::Result<()> {
        for place in [Place::Workspace, Place::Temporary] {
            let path = self.directory.join(place.outside());
            match std::fs::create_dir(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            let dir = Dir::open_ambient_dir(&path, ambient_authority())?;
            self.give(&dir)?;
            for entry in dir.entries()?.flatten() {
                let name = entry.file_name();
                if name.to_string_lossy().starts_with(TRASH) {
                    let _ = remove(&dir, Path::new(&name));
                }
            }
        }
        let temporary = Dir::open_ambient_dir(self.directory.join(Place::Temporary.outside()), ambient_authority())?;
        self.make_directories(&temporary, Path::new("home")).map(|_| ())
    }
}

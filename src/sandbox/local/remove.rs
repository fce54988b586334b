//! Deletes a directory whatever the code inside made of it: unreadable directories, trees thousands of levels deep.

use std::io;
use std::path::Path;

use cap_std::fs::{Dir, MetadataExt};
use rustix::fs::{AtFlags, Mode, chmodat};

/// Begins the names of directories that are being deleted.
pub(super) const TRASH: &str = ".threadbox-trash-";

/// Deletes the file or directory `path` below `base`. Links are deleted, not followed.
pub(super) fn remove(base: &Dir, path: &Path) -> io::Result<()> {
    if !base.symlink_metadata(path)?.is_dir() {
        return base.remove_file(path);
    }
    let trash = format!("{TRASH}{}", uuid::Uuid::now_v7().simple());
    base.create_dir(&trash)?;
    let trash_dir = base.open_dir(&trash)?;
    let moved = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() { base.try_clone()? } else { base.open_dir(parent)? };
            open_up(&parent, Path::new(name)).and_then(|()| parent.rename(name, &trash_dir, "0"))
        }
        _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    };
    let emptied = moved.and_then(|()| empty(&trash_dir));
    let removed = base.remove_dir(&trash);
    emptied.and(removed)
}

/// Empties a directory level by level: what lies deeper is first moved up, so depth needs neither stack nor descriptors.
fn empty(trash: &Dir) -> io::Result<()> {
    let mut next_name = 1u64;
    loop {
        let mut found = false;
        for entry in trash.entries()? {
            let entry = entry?;
            found = true;
            if !entry.file_type()?.is_dir() {
                entry.remove_file()?;
                continue;
            }
            let name = entry.file_name();
            open_up(trash, Path::new(&name))?;
            lift_children(&trash.open_dir(&name)?, trash, &mut next_name)?;
            trash.remove_dir(&name)?;
        }
        if !found {
            return Ok(());
        }
    }
}

fn lift_children(directory: &Dir, trash: &Dir, next_name: &mut u64) -> io::Result<()> {
    for child in directory.entries()? {
        let child = child?;
        if child.file_type()?.is_dir() {
            open_up(directory, Path::new(&child.file_name()))?;
            directory.rename(child.file_name(), trash, next_name.to_string())?;
            *next_name += 1;
        } else {
            child.remove_file()?;
        }
    }
    Ok(())
}

/// Gives the owner all rights on a directory, so that it can be moved and emptied.
fn open_up(parent: &Dir, name: &Path) -> io::Result<()> {
    if parent.symlink_metadata(name)?.mode() & 0o700 == 0o700 {
        return Ok(());
    }
    Ok(chmodat(parent, name, Mode::RWXU, AtFlags::empty())?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use cap_std::ambient_authority;

    use super::*;

    #[test]
    fn a_very_deep_tree_and_closed_directories_are_deleted() {
        let home = tempfile::tempdir().unwrap();
        let base = Dir::open_ambient_dir(home.path(), ambient_authority()).unwrap();
        base.create_dir_all("victim/closed/x").unwrap();
        base.write("victim/closed/x/file", "x").unwrap();
        std::os::unix::fs::symlink("/etc", home.path().join("victim/link")).unwrap();
        chmodat(&base, "victim/closed", Mode::empty(), AtFlags::empty()).unwrap();
        let mut deep = base.open_dir("victim").unwrap();
        for _ in 0..1500 {
            deep.create_dir("deeper").unwrap();
            deep = deep.open_dir("deeper").unwrap();
        }
        remove(&base, Path::new("victim")).unwrap();
        assert_eq!(base.entries().unwrap().count(), 0);
        assert!(Path::new("/etc").is_dir());
    }
}

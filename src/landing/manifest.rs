//! What a checkout put into the workspace: the files of an archive, which are not always those of the commit (attributes may leave some
//! out or fill others in, submodules are empty).

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::read::GzDecoder;

use super::object::{Mode, Node, Tree, blob_sha};

/// Of the content that is read of one file to name it; larger ones are no text anybody changes.
const LARGEST: u64 = 100 << 20;
/// Files of an archive.
const MOST_FILES: usize = 400_000;

/// Every file and link of an archive.
///
/// # Errors
/// When it cannot be read, or has more files than are looked at.
pub async fn of_archive(archive: PathBuf) -> io::Result<Tree> {
    tokio::task::spawn_blocking(move || read(&archive)).await.map_err(io::Error::other)?
}

fn read(archive: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new();
    each(archive, |path, mode, entry| {
        if tree.len() == MOST_FILES {
            return Err(io::Error::other("the repository has more files than are looked at"));
        }
        let content = content(mode, entry)?;
        tree.insert(path.to_owned(), Node { mode, sha: blob_sha(&content) });
        Ok(())
    })?;
    Ok(tree)
}

/// The contents of some files of an archive, at most `limit` bytes together; those beyond are left out.
///
/// # Errors
/// When it cannot be read.
pub async fn contents(archive: PathBuf, wanted: Vec<String>, limit: usize) -> io::Result<Vec<(String, Mode, Bytes)>> {
    let read = move || {
        let (mut found, mut total) = (Vec::new(), 0);
        let wanted: std::collections::BTreeSet<String> = wanted.into_iter().collect();
        each(&archive, |path, mode, entry| {
            if wanted.contains(path) && entry.size() + (total as u64) <= limit as u64 {
                let content = content(mode, entry)?;
                total += content.len();
                found.push((path.to_owned(), mode, content));
            }
            Ok(())
        })?;
        Ok(found)
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}

type Entry<'a> = tar::Entry<'a, GzDecoder<BufReader<std::fs::File>>>;

fn each(archive: &Path, mut see: impl FnMut(&str, Mode, &mut Entry<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(std::fs::File::open(archive)?)));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let mode = match (kind.is_file(), kind.is_symlink()) {
            (true, _) if entry.header().mode()? & 0o111 != 0 => Mode::Executable,
            (true, _) => Mode::File,
            (_, true) => Mode::Link,
            _ => continue,
        };
        // Such a name cannot be written either.
        let Ok(path) = String::from_utf8(entry.path_bytes().into_owned()) else { continue };
        let Some((_, path)) = path.split_once('/') else { continue };
        if super::path::refusal(path).is_none() {
            see(path, mode, &mut entry)?;
        }
    }
    Ok(())
}

fn content(mode: Mode, entry: &mut Entry<'_>) -> io::Result<Bytes> {
    match mode {
        Mode::Link => Ok(Bytes::from(entry.link_name_bytes().map(|name| name.into_owned()).unwrap_or_default())),
        Mode::File | Mode::Executable | Mode::Submodule => {
            let mut content = Vec::new();
            entry.take(LARGEST).read_to_end(&mut content)?;
            Ok(content.into())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn the_files_of_an_archive_have_the_names_git_gives_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar.gz");
        let encoder = flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(encoder);
        let mut add = |name: &str, mode: u32, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_mode(mode);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, name, content).unwrap();
        };
        add("top/a.txt", 0o664, b"a");
        add("top/run", 0o775, b"\0");
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, "top/link", "a.txt").unwrap();
        archive.into_inner().unwrap().finish().unwrap();
        let node = |mode, content: &[u8]| Node { mode, sha: blob_sha(content) };
        let wanted: Tree =
            [("a.txt", node(Mode::File, b"a")), ("run", node(Mode::Executable, b"\0")), ("link", node(Mode::Link, b"a.txt"))]
                .map(|(path, node)| (path.to_owned(), node))
                .into();
        assert_eq!(of_archive(path.clone()).await.unwrap(), wanted);
        let found = contents(path, vec!["run".into(), "none".into()], 10).await.unwrap();
        assert_eq!(found, [("run".to_owned(), Mode::Executable, Bytes::from_static(b"\0"))]);
    }
}

//! Archives of commits, kept at another address than the API's.

use std::io::Write;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::auth::random;
use super::super::refuse::Refuse;
use super::super::world::World;
use super::object::{Commit, Mode};
use super::read::Asked;
use super::store::Store;

/// What is served instead of a commit's true archive.
#[derive(Clone, Debug)]
pub enum Archive {
    /// These bytes.
    Bytes(Bytes),
    /// Something that claims to have this many bytes.
    OfSize(u64),
}

/// Sends whoever asks to the address where archives are, with a token for this one.
pub(in super::super) async fn tarball(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, reference)): Path<(String, String, String)>,
) -> Result<Response, Refuse> {
    let mut world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    let sha = repository.git.find(&reference).map_err(|_| Refuse::not_found())?.sha;
    let (id, full_name) = (repository.id, repository.full_name.clone());
    let token = random();
    let location = format!("{}/{full_name}/legacy.tar.gz/{sha}?token={token}", shared.codeload);
    world.archive_tokens.insert(token, (id, sha));
    Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}

impl World {
    /// The archive a token is for; each token works once.
    pub(in super::super) fn archive(&mut self, token: &str) -> Option<anyhow::Result<Archive>> {
        let (id, sha) = self.archive_tokens.remove(token)?;
        let repository = self.repositories.get(&id)?;
        if let Some(archive) = repository.git.archives.get(&sha) {
            return Some(Ok(archive.clone()));
        }
        let commit = repository.git.store.commit(&sha)?;
        let top = format!("{}-{}-{}", repository.owner(), repository.name(), &sha[..7]);
        Some(pack(&repository.git.store, &commit, &top).map(|bytes| Archive::Bytes(bytes.into())))
    }
}

/// As `git archive` does: everything below one directory, all times those of the commit.
fn pack(store: &Store, commit: &Commit, top: &str) -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let header = |kind: tar::EntryType, mode: u32, size: usize| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size as u64);
        header.set_mtime(commit.committer.at.timestamp().unsigned_abs());
        header
    };
    archive.append_data(&mut header(tar::EntryType::Directory, 0o775, 0), format!("{top}/"), std::io::empty())?;
    for (path, (mode, sha)) in store.files(&commit.tree) {
        let path = format!("{top}/{path}");
        let content = store.blob(&sha).unwrap_or_default();
        match mode {
            Mode::File | Mode::Executable => {
                let mode = if mode == Mode::Executable { 0o775 } else { 0o664 };
                archive.append_data(&mut header(tar::EntryType::Regular, mode, content.len()), path, content.as_ref())?;
            }
            Mode::Link => {
                let target = String::from_utf8_lossy(&content).into_owned();
                archive.append_link(&mut header(tar::EntryType::Symlink, 0o777, 0), path, target)?;
            }
            Mode::Submodule | Mode::Tree => {
                let directory = &mut header(tar::EntryType::Directory, 0o775, 0);
                archive.append_data(directory, format!("{path}/"), std::io::empty())?;
            }
        }
    }
    let mut encoder = archive.into_inner()?;
    encoder.flush()?;
    Ok(encoder.finish()?)
}

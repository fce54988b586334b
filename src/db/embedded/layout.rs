//! Where the private cluster's files are, and who owns them.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::EmbeddedError;
use super::account::Account;

/// A socket address holds 104 bytes on some systems and 108 on others, with a zero at the end.
const SOCKET_PATH_LIMIT: usize = 103;
const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// The paths of one cluster, absolute and without symbolic links.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Holds everything below; 0700 and the server user's.
    pub root: PathBuf,
    /// The cluster.
    pub data: PathBuf,
    /// The cluster while it is being made.
    pub unfinished: PathBuf,
    /// The server's log.
    pub log: PathBuf,
    /// Where the socket is; 0700 and the server user's.
    pub socket_dir: PathBuf,
    /// Held while one process creates or starts the server.
    pub start_lock: PathBuf,
    /// Held shared by every process that uses the server.
    pub users_lock: PathBuf,
}

/// Owner and group of a cluster that already exists below `data_dir`.
pub(super) fn owner(data_dir: &Path) -> Option<(u32, u32)> {
    fs::metadata(data_dir.join("postgres")).ok().map(|meta| (meta.uid(), meta.gid()))
}

impl Layout {
    /// Makes the directories of a cluster in `data_dir` that are missing, for `account`. Idempotent.
    pub(super) fn prepare(data_dir: &Path, account: &Account) -> Result<Self, EmbeddedError> {
        let fail = |what: &'static str| move |source| EmbeddedError::Files { what, path: data_dir.to_path_buf(), source };
        if !data_dir.exists() {
            fs::create_dir_all(data_dir).map_err(fail("create"))?;
            if account.other {
                fs::set_permissions(data_dir, Permissions::from_mode(0o711)).map_err(fail("open to the database user"))?;
            }
        }
        let data_dir = fs::canonicalize(data_dir).map_err(fail("find"))?;
        if !account.reaches(&data_dir) {
            return Err(EmbeddedError::OutOfReach { path: data_dir, uid: account.uid });
        }
        let root = data_dir.join("postgres");
        private_dir(&root, account)?;
        let socket_dir = socket_dir(&root, account);
        private_dir(&socket_dir, account)?;
        Ok(Self {
            data: root.join("data"),
            unfinished: root.join("data.new"),
            log: root.join("log"),
            start_lock: root.join("start.lock"),
            users_lock: root.join("users.lock"),
            socket_dir,
            root,
        })
    }
}

/// Beside the data when the path is short enough, else a place in `/tmp` that the path of the data decides.
fn socket_dir(root: &Path, account: &Account) -> PathBuf {
    let beside = root.join("run");
    if beside.join(SOCKET_NAME).as_os_str().len() <= SOCKET_PATH_LIMIT {
        return beside;
    }
    let digest = hex::encode(Sha256::digest(root.as_os_str().as_encoded_bytes()));
    Path::new("/tmp").join(format!("threadbox-{}-{}", account.uid, &digest[..16]))
}

/// Makes a directory that only `account` can enter; refuses one that somebody else put there. Several processes may do this at
/// once, so one that is still root's is handed over by whoever finds it.
fn private_dir(dir: &Path, account: &Account) -> Result<(), EmbeddedError> {
    let fail = |source| EmbeddedError::Files { what: "make private", path: dir.to_path_buf(), source };
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fail(error)),
        _ => {}
    }
    let meta = fs::symlink_metadata(dir).map_err(fail)?;
    let ours = meta.uid() == account.uid || (account.other && meta.uid() == 0);
    if !meta.is_dir() || !ours {
        return Err(EmbeddedError::NotOurs { path: dir.to_path_buf(), owner: meta.uid(), uid: account.uid });
    }
    if meta.uid() != account.uid {
        lchown(dir, Some(account.uid), Some(account.gid)).map_err(fail)?;
    }
    if meta.mode() & 0o077 != 0 {
        fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(fail)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_deep_data_directory_gets_a_short_socket_path() {
        let account = Account { uid: 1000, gid: 1000, other: false };
        let shallow = Path::new("/srv/bot/.threadbox/postgres");
        assert_eq!(socket_dir(shallow, &account), shallow.join("run"));
        let deep = PathBuf::from(format!("/srv/{}/postgres", "x".repeat(100)));
        let short = socket_dir(&deep, &account);
        assert!(short.starts_with("/tmp") && short.join(SOCKET_NAME).as_os_str().len() <= SOCKET_PATH_LIMIT, "{short:?}");
        assert_eq!(short, socket_dir(&deep, &account));
    }

    #[test]
    fn a_link_in_the_place_of_a_private_directory_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("run");
        std::os::unix::fs::symlink(home.path(), &link).unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let account = Account { uid, gid: 0, other: false };
        assert!(matches!(private_dir(&link, &account), Err(EmbeddedError::NotOurs { .. })));
    }
}

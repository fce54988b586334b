//! File locks between processes. They end with the process, however it ends.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::EmbeddedError;

const PAUSE: Duration = Duration::from_millis(20);

/// Who else may hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody.
    Exclusive,
    /// Others who share.
    Shared,
}

/// Takes the lock, or says which file is blocked when `limit` is over. Calls `blocked` once when it has to wait.
pub(super) async fn take(path: &Path, kind: Kind, limit: Duration, blocked: impl FnOnce()) -> Result<File, EmbeddedError> {
    let fail = |source| EmbeddedError::Files { what: "lock", path: path.to_path_buf(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(fail)?;
    let deadline = Instant::now() + limit;
    let mut blocked = Some(blocked);
    loop {
        match flock(&file, operation(kind)) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(error) => return Err(fail(error.into())),
        }
        if Instant::now() >= deadline {
            return Err(EmbeddedError::Blocked { path: path.to_path_buf(), seconds: limit.as_secs() });
        }
        if let Some(blocked) = blocked.take() {
            blocked();
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Turns a shared lock into an exclusive one. False when others share it; then the lock is lost.
pub(super) fn last_one_out(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

fn operation(kind: Kind) -> FlockOperation {
    match kind {
        Kind::Exclusive => FlockOperation::NonBlockingLockExclusive,
        Kind::Shared => FlockOperation::NonBlockingLockShared,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn only_the_last_user_gets_the_lock_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lock");
        let first = take(&path, Kind::Shared, Duration::ZERO, || ()).await.unwrap();
        let second = take(&path, Kind::Shared, Duration::ZERO, || ()).await.unwrap();
        assert!(!last_one_out(&first));
        assert!(last_one_out(&second));
        let late = take(&path, Kind::Shared, Duration::ZERO, || ()).await;
        assert!(matches!(late, Err(EmbeddedError::Blocked { .. })));
    }
}

//! Which user the private server runs as. Postgres refuses to run as root.

use std::ffi::CString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::EmbeddedError;

/// Users that root hands the server to, first choice first.
const SUBSTITUTES: [&str; 2] = ["postgres", "nobody"];

/// The user the server runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Whether it is another user than ours.
    pub other: bool,
}

impl Account {
    /// Our own user, or for root the owner of an existing cluster, else `postgres` or `nobody`.
    pub fn choose(existing: Option<(u32, u32)>) -> Result<Self, EmbeddedError> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if uid != 0 {
            return match user_exists(uid) {
                true => Ok(Self { uid, gid, other: false }),
                false => Err(EmbeddedError::NoPasswdEntry { uid }),
            };
        }
        let owner = existing.filter(|(uid, _)| *uid != 0 && user_exists(*uid));
        let (uid, gid) = owner
            .or_else(|| SUBSTITUTES.iter().find_map(|name| ids_of(name)).filter(|(uid, _)| *uid != 0))
            .ok_or(EmbeddedError::NoSubstitute)?;
        Ok(Self { uid, gid, other: true })
    }

    /// A command that runs as this user, with an empty environment: Postgres needs none of ours, and ours holds secrets.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C").env("TZ", "UTC").current_dir("/");
        if self.other {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Whether this user can enter `dir`, judged by the mode bits of it and of everything above it. Ourselves are assumed to.
    pub fn reaches(&self, dir: &Path) -> bool {
        !self.other || dir.ancestors().all(|step| self.enters(step))
    }

    fn enters(&self, dir: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Ok(meta) = std::fs::metadata(dir) else { return false };
        let bit = match () {
            () if meta.uid() == self.uid => 0o100,
            () if meta.gid() == self.gid => 0o010,
            () => 0o001,
        };
        meta.mode() & bit != 0
    }
}

fn user_exists(uid: u32) -> bool {
    lookup(&|entry, buffer, length, found| {
        // SAFETY: `lookup` passes pointers that are valid for the call, and the size of the buffer.
        #[allow(unsafe_code)]
        unsafe {
            libc::getpwuid_r(uid, entry, buffer, length, found)
        }
    })
    .is_some()
}

fn ids_of(name: &str) -> Option<(u32, u32)> {
    let name = CString::new(name).ok()?;
    lookup(&|entry, buffer, length, found| {
        // SAFETY: as above; `name` ends with a zero and outlives the call.
        #[allow(unsafe_code)]
        unsafe {
            libc::getpwnam_r(name.as_ptr(), entry, buffer, length, found)
        }
    })
}

type Question<'a> = &'a dyn Fn(*mut libc::passwd, *mut libc::c_char, usize, *mut *mut libc::passwd) -> libc::c_int;

/// Asks the user database of the system: `/etc/passwd` alone does not have everybody.
fn lookup(question: Question<'_>) -> Option<(u32, u32)> {
    let mut buffer = vec![0; 16 * 1024];
    // SAFETY: `passwd` is a C struct of integers and pointers, for which all zeroes is a value.
    #[allow(unsafe_code)]
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    let answer = question(&raw mut entry, buffer.as_mut_ptr(), buffer.len(), &raw mut found);
    (answer == 0 && !found.is_null()).then_some((entry.pw_uid, entry.pw_gid))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_user_database_is_asked() {
        assert_eq!(ids_of("root").unwrap().0, 0);
        assert_eq!(ids_of("no-such-user-here"), None);
        assert!(user_exists(0));
        assert!(!user_exists(54_321_987));
    }

    #[test]
    fn a_private_home_is_out_of_reach_for_others() {
        let home = tempfile::tempdir().unwrap();
        let inside = home.path().join("data");
        std::fs::create_dir(&inside).unwrap();
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let stranger = Account { uid: 64_999, gid: 64_999, other: true };
        assert!(!stranger.reaches(&inside));
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o711)).unwrap();
        assert!(stranger.reaches(&inside));
    }
}

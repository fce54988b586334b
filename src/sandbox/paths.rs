//! What a path given by a model means: in the workspace, in `/tmp`, or refused. By its text alone; links are another wall's work.

use std::path::{Component, Path, PathBuf};

use super::SandboxError;

/// The directory for temporary files, the same for commands and file tools.
pub(super) const TEMPORARY: &str = "/tmp";

/// The absolute path that is meant, without `.` and `..`: `workspace`, [`TEMPORARY`], or below one of them. Refused with the way back
/// when it is anything else.
pub(super) fn resolve(workspace: &str, path: &str) -> Result<PathBuf, SandboxError> {
    if path.contains('\0') {
        return Err(SandboxError::Invalid("a path cannot contain a NUL character".to_owned()));
    }
    let outside = || {
        SandboxError::Invalid(format!(
            "{path}: outside the workspace. File tools reach {workspace} and {TEMPORARY}; give a path relative to {workspace}, \
             or use a command such as `cat` for other files of the sandbox"
        ))
    };
    let absolute = Path::new(workspace).join(path);
    let mut normal = PathBuf::from("/");
    for component in absolute.components() {
        match component {
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                if !normal.pop() {
                    return Err(outside());
                }
            }
            Component::Normal(part) => normal.push(part),
        }
    }
    let inside = [workspace, TEMPORARY].iter().any(|place| normal.starts_with(place));
    if inside { Ok(normal) } else { Err(outside()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_workspace_may_be_anywhere() {
        for (workspace, given, meant) in [
            ("/home/daytona", "a/b", "/home/daytona/a/b"),
            ("/home/daytona", "/tmp/x", "/tmp/x"),
            ("/home/daytona", "../../tmp", "/tmp"),
            ("/", "etc/passwd", "/etc/passwd"),
            ("/tmp", "x", "/tmp/x"),
        ] {
            assert_eq!(resolve(workspace, given).unwrap(), Path::new(meant), "{workspace} {given}");
        }
        assert!(resolve("/home/daytona", "/home/daytona2/x").is_err());
        assert!(resolve("/home/daytona", "../.ssh/id").is_err());
    }

    proptest! {
        #[test]
        fn nothing_leads_out(path in r"(/|\.\./|\./|a|tmp|home|w|/)*") {
            if let Ok(meant) = resolve("/home/w", &path) {
                prop_assert!(meant.starts_with("/home/w") || meant.starts_with("/tmp"));
                prop_assert!(!meant.components().any(|part| matches!(part, Component::ParentDir | Component::CurDir)));
            }
        }
    }
}

//! What a path given by a model means: below the workspace, below `/tmp`, or refused.

use std::path::{Component, Path, PathBuf};

use super::super::SandboxError;

/// Where the workspace appears inside.
pub(super) const WORKSPACE: &str = "/workspace";
/// Where the private temporary directory appears inside.
pub(super) const TEMPORARY: &str = "/tmp";

/// One of the two directories of a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Workspace,
    Temporary,
}

impl Place {
    /// Its path inside.
    pub(super) fn inside(self) -> &'static str {
        match self {
            Self::Workspace => WORKSPACE,
            Self::Temporary => TEMPORARY,
        }
    }

    /// Its name beside the other one, outside.
    pub(super) fn outside(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Temporary => "tmp",
        }
    }
}

/// Reads a path. The second part is relative, without `.` and `..`; `.` for the place itself.
pub(super) fn resolve(path: &str) -> Result<(Place, PathBuf), SandboxError> {
    if path.contains('\0') {
        return Err(SandboxError::Invalid("a path cannot contain a NUL character".to_owned()));
    }
    let outside = || {
        SandboxError::Invalid(format!(
            "{path}: outside the workspace. File tools reach {WORKSPACE} and {TEMPORARY}; give a path relative to {WORKSPACE}, \
             or use a command such as `cat` for other files of the sandbox"
        ))
    };
    let absolute = Path::new(WORKSPACE).join(path);
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    for component in absolute.components() {
        match component {
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                parts.pop().ok_or_else(outside)?;
            }
            Component::Normal(part) => parts.push(part),
        }
    }
    let normal: PathBuf = Path::new("/").join(parts.iter().collect::<PathBuf>());
    for place in [Place::Workspace, Place::Temporary] {
        if let Ok(rest) = normal.strip_prefix(place.inside()) {
            return Ok((place, if rest.as_os_str().is_empty() { PathBuf::from(".") } else { rest.to_owned() }));
        }
    }
    Err(outside())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn paths_mean_what_programs_inside_would_say() {
        let cases = [
            ("a/b", Place::Workspace, "a/b"),
            ("./a", Place::Workspace, "a"),
            ("", Place::Workspace, "."),
            (".", Place::Workspace, "."),
            ("/workspace", Place::Workspace, "."),
            ("/workspace/a", Place::Workspace, "a"),
            ("a/../b", Place::Workspace, "b"),
            ("/tmp/x", Place::Temporary, "x"),
            ("../tmp/x", Place::Temporary, "x"),
            ("/workspace/../workspace/x", Place::Workspace, "x"),
        ];
        for (given, place, rest) in cases {
            assert_eq!(resolve(given).unwrap(), (place, PathBuf::from(rest)), "{given}");
        }
    }

    #[test]
    fn what_lies_outside_is_refused_with_the_way_back() {
        for given in ["/etc/passwd", "../x", "a/../../etc/passwd", "/workspace-x/a", "/", "/..", "../../..", "/tmpx"] {
            let refused = resolve(given).unwrap_err();
            assert!(
                matches!(&refused, SandboxError::Invalid(text) if text.contains("relative to /workspace")),
                "{given}: {refused}"
            );
        }
        assert!(resolve("a\0b").is_err());
    }
}

//! What a path given by a model means: below the workspace, below `/tmp`, or refused.

use std::path::PathBuf;

use super::super::SandboxError;
use super::super::paths;
pub(super) use super::super::paths::TEMPORARY;

/// Where the workspace appears inside.
pub(super) const WORKSPACE: &str = "/workspace";

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
    let absolute = paths::resolve(WORKSPACE, path)?;
    let place = if absolute.starts_with(WORKSPACE) { Place::Workspace } else { Place::Temporary };
    let rest = absolute.strip_prefix(place.inside()).unwrap_or(&absolute);
    Ok((place, if rest.as_os_str().is_empty() { PathBuf::from(".") } else { rest.to_owned() }))
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

//! Which paths may land. A name comes from a sandbox: it is judged by its text alone.

/// Longest path git and GitHub take.
const LONGEST: usize = 4_096;
const LONGEST_PART: usize = 255;

/// Why a path never lands; none for a good one.
pub fn refusal(path: &str) -> Option<&'static str> {
    if path.is_empty() || path.len() > LONGEST {
        return Some("its name is too long");
    }
    if path.chars().any(char::is_control) {
        return Some("its name has control characters");
    }
    path.split('/').find_map(|part| match part {
        "" | "." | ".." => Some("its path leads elsewhere"),
        part if part.len() > LONGEST_PART => Some("its name is too long"),
        part if is_git(part) => Some("git keeps such names for itself"),
        _ => None,
    })
}

/// What some file system takes for `.git`: other case, invisible characters, the short names and streams of Windows.
fn is_git(part: &str) -> bool {
    let invisible = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}');
    let plain: String = part.chars().filter(|c| !invisible(*c)).collect();
    let plain = plain.split([':', '\\']).next().unwrap_or_default().trim_end_matches(['.', ' ']).to_ascii_lowercase();
    matches!(plain.as_str(), ".git" | "git~1") || part.to_ascii_lowercase().contains("\\.git")
}

/// Files that decide what runs with secrets, or who must agree: they land only when somebody with power over the repository says so.
pub fn needs_approval(path: &str) -> bool {
    /// Of GitHub and of services that build what is pushed; a file in the place of one counts as well.
    const DIRECTORIES: [&str; 9] = [
        ".github/workflows",
        ".github/actions",
        ".circleci",
        ".buildkite",
        ".woodpecker",
        ".semaphore",
        ".teamcity",
        ".gitlab/ci",
        ".azure-pipelines",
    ];
    const WHOLE: [&str; 5] = ["codeowners", ".github/codeowners", "docs/codeowners", ".github/threadbox.toml", ".github"];
    let path = path.to_ascii_lowercase();
    let below = |directory: &&str| path.strip_prefix(*directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    WHOLE.contains(&path.as_str()) || DIRECTORIES.iter().any(below) || is_pipeline(&path)
}

/// Files that services which build what is pushed look for, wherever they are told to.
fn is_pipeline(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (stem, is_yaml) = match name.rsplit_once('.') {
        Some((stem, "yml" | "yaml")) => (stem, true),
        Some(_) | None => (name, false),
    };
    match stem {
        "action"
        | ".gitlab-ci"
        | ".travis"
        | "appveyor"
        | ".appveyor"
        | "bitbucket-pipelines"
        | ".drone"
        | ".woodpecker"
        | ".cirrus"
        | "cloudbuild"
        | "buildspec" => is_yaml || stem == ".drone",
        stem if stem.starts_with("azure-pipelines") => is_yaml,
        _ => name == "jenkinsfile" || name.starts_with("jenkinsfile.") || name.starts_with(".drone."),
    }
}

/// Files for which GitHub wants a permission of their own.
pub fn is_workflow(path: &str) -> bool {
    path.to_ascii_lowercase().starts_with(".github/workflows/")
}

/// Directories of things that are made, not written; they land only where the repository keeps them.
pub fn artefacts(path: &str) -> Option<&str> {
    const MADE: [&str; 7] = ["node_modules", "target", "__pycache__", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache"];
    let mut start = 0;
    for part in path.split('/') {
        let end = start + part.len();
        if MADE.contains(&part) && end < path.len() {
            return Some(&path[..=end]);
        }
        start = end + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_never_land() {
        for bad in [
            "",
            "/etc/passwd",
            "a//b",
            "../x",
            "a/../b",
            ".git/config",
            "a/.GIT/hooks/x",
            ".git",
            "a/.g\u{200c}it/x",
            "git~1/x",
            ".git./x",
            ".git::$INDEX_ALLOCATION/x",
            "a\nb",
            "a\u{1b}[0m",
            "x\\.git\\config",
        ] {
            assert!(refusal(bad).is_some(), "{bad:?}");
        }
        assert!(refusal(&"a/".repeat(3_000)).is_some() && refusal(&"a".repeat(300)).is_some());
        for good in
            ["a", "src/main.rs", "ü b/c d.txt", ".gitignore", ".github/x", "...", "日本/語.md", "a.git/b", "$(x)", "-rf", "\"q\""]
        {
            assert_eq!(refusal(good), None, "{good:?}");
        }
    }

    #[test]
    fn files_with_power_over_the_repository_are_known_in_any_case() {
        for path in [
            ".github/workflows/ci.yml",
            ".GitHub/Workflows/x.yml",
            ".github/actions/a/action.yml",
            ".github/threadbox.toml",
            "CODEOWNERS",
            "docs/CODEOWNERS",
            ".github/CODEOWNERS",
            ".github/workflows",
            ".circleci/config.yml",
            ".circleci",
            ".buildkite/pipeline.yml",
            "azure-pipelines.yml",
            "ci/azure-pipelines-release.yaml",
            ".gitlab-ci.yml",
            "Jenkinsfile",
            "deploy/Jenkinsfile.release",
            ".travis.yml",
            "appveyor.yml",
            ".drone.yml",
            ".drone.star",
            "bitbucket-pipelines.yml",
            "action.yml",
            "actions/build/Action.YAML",
        ] {
            assert!(needs_approval(path), "{path}");
        }
        for path in [
            ".github/ISSUE_TEMPLATE/x.md",
            "workflows/ci.yml",
            "src/codeowners",
            "docs/threadbox.toml",
            "src/action.rs",
            "action",
            "jenkins.md",
            "transaction.yml",
            ".circleci.md",
        ] {
            assert!(!needs_approval(path), "{path}");
        }
        assert!(is_workflow(".github/workflows/a/b.yml") && !is_workflow(".github/actions/x"));
    }

    #[test]
    fn what_is_made_is_told_by_its_directory() {
        assert_eq!(artefacts("a/node_modules/b/c.js"), Some("a/node_modules/"));
        assert_eq!(artefacts("target/debug/x"), Some("target/"));
        assert_eq!(artefacts("src/target"), None);
        assert_eq!(artefacts("src/targets/x"), None);
    }
}

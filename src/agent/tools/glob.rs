//! Globs as people write them for files.

use globset::{GlobBuilder, GlobMatcher};

use crate::sandbox::SandboxError;

/// Compares paths relative to where is looked. A pattern without a slash is compared with the last part only; `*` does not cross a slash,
/// `**` does.
pub(super) fn glob(pattern: &str) -> Result<GlobMatcher, SandboxError> {
    let trimmed = pattern.trim().trim_start_matches("./").trim_start_matches('/');
    if trimmed.is_empty() {
        return Err(SandboxError::Invalid("the glob is empty; use `*.rs` or `src/**/*.{ts,tsx}`".to_owned()));
    }
    let anywhere = if trimmed.contains('/') { trimmed.to_owned() } else { format!("**/{trimmed}") };
    let built = GlobBuilder::new(&anywhere).literal_separator(true).backslash_escape(true).build();
    built.map(|glob| glob.compile_matcher()).map_err(|error| {
        SandboxError::Invalid(format!("glob `{pattern}` is not valid ({}); use `*.rs` or `src/**/*.{{ts,tsx}}`", error.kind()))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn globs_mean_what_people_expect() {
        let matches = |pattern: &str, path: &str| glob(pattern).unwrap().is_match(path);
        assert!(matches("*.rs", "a.rs") && matches("*.rs", "src/a.rs") && !matches("*.rs", "a.rsx"));
        assert!(matches("src/**/*.{ts,tsx}", "src/a.ts") && matches("src/**/*.{ts,tsx}", "src/x/y/a.tsx"));
        assert!(!matches("src/*.ts", "src/x/a.ts") && !matches("src/*.ts", "lib/src/a.ts"));
        assert!(matches("a?c", "abc") && matches("a+b.txt", "a+b.txt") && matches("./ä*.[ch]", "x/ä1.c"));
        assert!(matches("**/test_*", "test_a") && matches("**/test_*", "x/y/test_a") && matches("/src/*", "src/a"));
        insta::assert_snapshot!(glob("{a").err().unwrap(), @"glob `{a` is not valid (unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)); use `*.rs` or `src/**/*.{ts,tsx}`");
        assert!(glob(" ").is_err());
    }
}

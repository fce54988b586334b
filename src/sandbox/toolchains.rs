//! Which languages a sandbox can run, found by asking its programs for their version.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Exec, Language, Sandbox, SandboxError};

/// Starting a dozen interpreters takes a while on a small machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Characters of a version.
const LONGEST: usize = 100;

/// A language and what runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The language.
    pub language: Language,
    /// What its interpreter or compiler says it is; none where a program is missing.
    pub version: Option<String>,
}

/// Looks for every language, with one command.
pub async fn look(sandbox: &dyn Sandbox) -> Result<Vec<Toolchain>, SandboxError> {
    let executed = sandbox.exec(Exec::shell(script(), PATIENCE, 64 << 10), &CancellationToken::new()).await?;
    Ok(read(&executed.stdout.text()))
}

/// Prints a line for each language: its name, a tab, and its version when all it needs is there.
fn script() -> String {
    let look = |language: Language| {
        let one_of = |programs: &&[&str]| {
            let looks: Vec<_> = programs.iter().map(|program| format!("command -v {program}")).collect();
            format!("{{ {}; }}", looks.join(" || "))
        };
        let needs: Vec<_> = language.needs().iter().map(one_of).collect();
        format!(
            "version=; if {{ {}; }} >/dev/null 2>&1; then version=$({{ {}; }} 2>&1 </dev/null | head -n 1); fi\n\
             printf '%s\\t%s\\n' {} \"$version\"\n",
            needs.join(" && "),
            language.version_command(),
            language.name()
        )
    };
    Language::all().map(look).collect()
}

fn read(text: &str) -> Vec<Toolchain> {
    let said = |language: Language| {
        let line = text.lines().find_map(|line| line.strip_prefix(language.name())?.strip_prefix('\t'))?;
        let version: String = line.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        (!version.is_empty()).then_some(version)
    };
    Language::all().map(|language| Toolchain { language, version: said(language) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_is_asked_for_and_answers_are_told_apart() {
        let script = script();
        assert!(script.contains("if { { command -v rustc; } && { command -v cc; }; }"), "{script}");
        let found = read("python\tPython 3.11.2\njavascript\t\nc\tcc (Debian) 12\ncpp\t c++ 12 \n");
        let version = |language| found.iter().find(|found| found.language == language).and_then(|found| found.version.as_deref());
        assert_eq!(version(Language::Python), Some("Python 3.11.2"));
        assert_eq!(version(Language::Javascript), None);
        assert_eq!((version(Language::C), version(Language::Cpp)), (Some("cc (Debian) 12"), Some("c++ 12")));
        assert_eq!(found.len(), Language::all().count());
    }
}

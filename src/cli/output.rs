//! What commands say: failures in two lines, and progress on a terminal.

use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::settings::SettingsError;

/// Why a command could not do its work: one line of what, one of what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong, as a sentence.
    pub what: String,
    /// What to do about it, as a sentence; may be empty when `what` says it all.
    pub remedy: String,
    /// The exit code: 1, or 2 for wrong usage.
    pub code: u8,
}

impl Failure {
    /// A failure with exit code 1.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into(), code: 1 }
    }

    /// Wrong usage, with exit code 2.
    pub fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: 2, ..Self::new(what, remedy) }
    }

    /// Prints it to standard error and returns its exit code.
    pub fn report(&self) -> ExitCode {
        eprintln!("{self}");
        ExitCode::from(self.code)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "error: {}", self.what)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n  → {}", self.remedy) }
    }
}

impl std::error::Error for Failure {}

/// The list of problems is the remedy too.
impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::usage(error.to_string(), "")
    }
}

/// Progress of long work on standard error. Silent when that is not a terminal, gone when dropped.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A spinner for work of unknown length. `what` says what is going on, such as `starting the sandbox`.
    pub fn spinner(what: impl Into<String>) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what.into());
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// A bar over `total` bytes.
    pub fn bytes(what: impl Into<String>, total: u64) -> Self {
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {eta}");
        let bar = ProgressBar::new(total).with_message(what.into());
        bar.set_draw_target(ProgressDrawTarget::stderr());
        Self(match style {
            Ok(style) => bar.with_style(style.progress_chars("=> ")),
            Err(_) => bar,
        })
    }

    /// Moves the bar to `done` bytes.
    pub fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Changes what it says.
    pub fn say(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Finding;

    #[test]
    fn a_failure_is_two_lines() {
        insta::assert_snapshot!(Failure::new("Cannot read a.py.", "Check the path."), @r"
        error: Cannot read a.py.
          → Check the path.
        ");
    }

    #[test]
    fn wrong_settings_are_wrong_usage() {
        let problem = Finding { name: "RUN_TIMEOUT".into(), what: "is wrong".into(), remedy: "set it right".into() };
        let failure = Failure::from(SettingsError { problems: vec![problem] });
        assert_eq!(failure.code, 2);
        insta::assert_snapshot!(failure, @r"
        error: 1 setting is wrong
          RUN_TIMEOUT: is wrong
            → set it right
        ");
    }
}

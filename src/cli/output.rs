//! What commands say: failures in two lines, and progress on a terminal.

use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::db::DbError;
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

/// Our errors end with the sentence that says what to do.
impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::from_text(&error.to_string())
    }
}

/// The whole chain of causes, in one line.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::from_text(&format!("{error:#}"))
    }
}

impl Failure {
    /// What is wrong, and after the last full stop within it what to do.
    fn from_text(text: &str) -> Self {
        let full_stop = |text: &str| if text.ends_with('.') { text.to_owned() } else { format!("{text}.") };
        match text.rsplit_once(". ") {
            Some((what, remedy)) => Self::new(full_stop(what), full_stop(remedy)),
            None => Self::new(full_stop(text), ""),
        }
    }
}

/// Progress of long work on standard error. Silent when that is not a terminal, gone when dropped.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A spinner that says what is going on, such as `starting the sandbox`.
    pub fn spinner(what: impl Into<String>) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what.into());
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Says what is going on now.
    pub fn say(&self, what: impl Into<String>) {
        self.0.unset_length();
        self.0.set_style(ProgressStyle::default_spinner());
        self.0.set_message(what.into());
    }

    fn show_bytes(&self, done: u64, total: Option<u64>) {
        if self.0.length() != total {
            let template =
                if total.is_some() { "{msg} [{bar:30}] {bytes}/{total_bytes} {eta}" } else { "{spinner} {msg} {bytes}" };
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.0.set_style(style.progress_chars("=> "));
            }
            if let Some(total) = total {
                self.0.set_length(total);
            }
        }
        self.0.set_position(done);
    }
}

impl crate::db::Progress for Progress {
    fn step(&self, what: &str) {
        self.say(what);
    }

    fn bytes(&self, done: u64, total: Option<u64>) {
        self.show_bytes(done, total);
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
    fn an_error_of_ours_ends_with_what_to_do() {
        let failure = Failure::from(DbError::Address("no host".into()));
        insta::assert_snapshot!(failure, @r"
        error: DATABASE_URL is not a Postgres address: no host.
          → It looks like postgres://user:password@host:5432/name.
        ");
        insta::assert_snapshot!(Failure::from(anyhow::anyhow!("in use").context("Cannot listen")), @"error: Cannot listen: in use.");
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

//! What is said about a setting: a problem that stops the start, a warning that does not, a part that is off.

use std::fmt;

/// One thing that is wrong with one variable. Holds no secret values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The variable, or the file and line.
    pub name: String,
    /// What is wrong, as half a sentence.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.name, self.what, self.remedy)
    }
}

/// A part of the service that does nothing because nobody configured it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffPart {
    /// Its name as people know it.
    pub part: &'static str,
    /// What would turn it on.
    pub remedy: String,
}

impl fmt::Display for OffPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "off: {} ({})", self.part, self.remedy)
    }
}

/// Something worth saying that does not keep the service from starting. Displays as one line without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// About a variable.
    Setting(Finding),
    /// A part that is off.
    Off(OffPart),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(finding) => finding.fmt(f),
            Self::Off(part) => part.fmt(f),
        }
    }
}

/// Everything that is wrong with the settings, at once. Displays as a list, each problem followed by its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// Never empty.
    pub problems: Vec<Finding>,
}

impl std::error::Error for SettingsError {}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("1 setting is wrong")?,
            count => write!(f, "{count} settings are wrong")?,
        }
        for Finding { name, what, remedy } in &self.problems {
            write!(f, "\n  {name}: {what}\n    → {remedy}")?;
        }
        Ok(())
    }
}

/// Why a text is not the value it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub what: String,
    pub remedy: String,
}

impl Wrong {
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

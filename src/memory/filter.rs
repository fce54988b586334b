//! Which of what was said counts: when it was said, and by whom.

use super::Period;

/// Which of what was said counts; all of it by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What was said then.
    pub period: Period,
    /// What they said.
    pub by: Option<By>,
}

impl Filter {
    /// Whether everything counts.
    pub fn is_open(&self) -> bool {
        self.period.is_open() && self.by.is_none()
    }
}

/// Who said something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// Somebody of this name, however it is written.
    Person(String),
    /// The agent.
    Agent,
}

impl By {
    /// Whoever is called so, `@maya` as well as `maya`; the agent by its own name. None where there is no name.
    pub fn named(name: &str, own_name: &str) -> Option<Self> {
        let name = name.trim().trim_start_matches('@');
        match name {
            "" => None,
            name if name.eq_ignore_ascii_case(own_name) => Some(Self::Agent),
            name => Some(Self::Person(name.to_owned())),
        }
    }

    /// As it stands in the tables, but for case: the agent has no name there.
    pub(super) fn author(&self) -> &str {
        match self {
            Self::Person(name) => name,
            Self::Agent => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_somebody_the_agent_or_nobody() {
        for (name, by) in [
            ("maya", Some(By::Person("maya".into()))),
            (" @Maya ", Some(By::Person("Maya".into()))),
            ("@Threadbox", Some(By::Agent)),
            ("", None),
            (" @ ", None),
        ] {
            assert_eq!(By::named(name, "threadbox"), by, "{name}");
        }
    }
}

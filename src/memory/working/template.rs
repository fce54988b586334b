//! The sections of working memory, and what belongs under each.

use std::sync::LazyLock;

use super::markdown;

/// Where lines go that stand under no heading.
pub const LOOSE: &str = "Notes";

/// Sections of a template that are read.
const MOST_SECTIONS: usize = 20;

/// Fit for work on code; what stands under a heading says what belongs there.
const DEFAULT: &str = "\
## Goal
What this is about in the end, and how one can tell that it is reached.
## Decisions
What was decided and why; what it replaces.
## Conventions
How things are done and named here.
## Commands that work
Commands to build, test and run, as they worked.
## Open questions
What nobody knows yet, and who could.
## People
Who does or wants what.
";

/// Headings in order, each with its hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    sections: Vec<String>,
    /// The hints, as lines.
    hints: Vec<String>,
}

impl Default for Template {
    fn default() -> Self {
        static DEFAULTS: LazyLock<Template> = LazyLock::new(|| Template::parse(DEFAULT).unwrap_or(Template::NONE));
        DEFAULTS.clone()
    }
}

impl Template {
    const NONE: Self = Self { text: String::new(), sections: Vec::new(), hints: Vec::new() };

    /// Reads a template: headings, and lines under them.
    ///
    /// # Errors
    /// Half a sentence about what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut sections, mut hints) = (Vec::<String>::new(), Vec::new());
        for line in text.lines().map(str::trim) {
            if let Some(name) = markdown::heading(line) {
                if !sections.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                    sections.push(name);
                }
            } else {
                hints.push(markdown::canonical(line));
            }
        }
        hints.retain(|hint| !hint.is_empty());
        match sections.len() {
            0 => Err("has no heading, such as `## Decisions`".to_owned()),
            1..=MOST_SECTIONS => Ok(Self { text: text.trim().to_owned(), sections, hints }),
            many => Err(format!("has {many} headings; {MOST_SECTIONS} are the most")),
        }
    }

    /// The repository's own; the built-in one where it has none.
    pub fn of(own: Option<&str>) -> Self {
        own.and_then(|text| Self::parse(text).ok()).unwrap_or_default()
    }

    /// As Markdown, for whoever fills it in.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The headings in order.
    pub fn sections(&self) -> &[String] {
        &self.sections
    }

    /// The heading as the template spells it.
    pub fn spelt(&self, name: &str) -> String {
        let known = self.sections.iter().find(|known| known.eq_ignore_ascii_case(name));
        known.map_or(name, String::as_str).to_owned()
    }

    /// True for a line that the template itself holds.
    pub fn is_hint(&self, line: &str) -> bool {
        self.hints.iter().any(|hint| hint == line)
    }

    /// Place of a heading; those of others come after.
    pub fn place(&self, section: &str) -> usize {
        self.sections.iter().position(|known| known.eq_ignore_ascii_case(section)).unwrap_or(self.sections.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_default_template_is_fit_for_code_work() {
        let template = Template::default();
        let sections = ["Goal", "Decisions", "Conventions", "Commands that work", "Open questions", "People"];
        assert_eq!(template.sections(), sections);
        assert!(template.is_hint("How things are done and named here."));
        assert!(Template::of(Some("no heading")) == template && Template::of(None) == template);
    }

    #[test]
    fn a_repository_has_a_template_of_its_own() {
        let template = Template::of(Some("# Rules\n- what holds\n\n# Owners #\n# rules"));
        assert_eq!(template.sections(), ["Rules", "Owners"]);
        assert_eq!((template.place("OWNERS"), template.place("else"), template.spelt("rules")), (1, 2, "Rules".to_owned()));
        let many: String = (0..30).map(|number| format!("# S{number}\n")).collect();
        assert_eq!(Template::parse(&many).unwrap_err(), "has 30 headings; 20 are the most");
    }
}

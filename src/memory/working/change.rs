//! Changes of working memory: what is to be there, what is kept of what was, and what is refused.

use std::ops::Range;

use serde_json::{Map, Value};

use super::code::About;
use super::template::Template;
use super::{Draft, Line, Source, WorkingMemory, markdown, merge};
use crate::reply::cut;

/// Lines that are kept.
pub const MOST_LINES: usize = 80;
/// Characters of a line.
pub const LONGEST_LINE: usize = 500;
/// Characters of all lines together with their headings.
pub const LARGEST: usize = 12_000;
/// Bytes of a change that are read at all.
const LONGEST_CHANGE: usize = 8 * LARGEST;

/// What somebody wants of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// This Markdown instead of all.
    Replace(String),
    /// This object merged into it.
    Merge(Map<String, Value>),
    /// This text instead of another, or added.
    Edit {
        /// What is replaced; the text is added when there is none, or when it stands nowhere.
        search: Option<String>,
        /// What it becomes. The same as what is replaced says that it still holds.
        text: String,
    },
    /// These lines added, under this heading where they have none.
    Add {
        /// The heading.
        section: &'static str,
        /// Markdown.
        text: String,
    },
}

impl Wish {
    /// All it says, to look for names of files in.
    pub fn words(&self) -> String {
        match self {
            Self::Replace(text) | Self::Edit { text, .. } | Self::Add { text, .. } => text.clone(),
            Self::Merge(object) => Value::Object(object.clone()).to_string(),
        }
    }
}

/// Why a change is not made. The text is for whoever wanted it, and says what would help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// An empty form would wipe out what is kept.
    #[error(
        "This is the empty template, and something is kept. Nothing was changed. To take something out, leave out its line, or merge an \
         object in which its section is null."
    )]
    EmptyTemplate,
    /// It does not fit, or does not say what is meant.
    #[error("{0}")]
    Unfit(String),
}

/// What is known about lines that are new.
pub struct Fresh<'a> {
    /// Where they come from.
    pub source: &'a Source,
    /// Their words without secrets.
    pub redact: &'a (dyn Fn(&str) -> String + Sync),
    /// The files they speak of.
    pub about: &'a (dyn Fn(&str) -> Vec<About> + Sync),
}

/// The memory as it is wanted. Lines that were there keep where they come from.
///
/// # Errors
/// [`Refused`]; nothing is ever cut to fit.
pub fn change(current: &WorkingMemory, wish: &Wish, template: &Template, fresh: &Fresh<'_>) -> Result<WorkingMemory, Refused> {
    if wish.words().len() > LONGEST_CHANGE {
        return Err(Refused::Unfit(format!("This is far too long: {LARGEST} characters fit in all. Say it in fewer words.")));
    }
    let mut changed = match wish {
        Wish::Replace(text) => replace(current, text, template, fresh)?,
        Wish::Merge(object) => {
            let drafts = merge::merge(&current.drafts(), object, template).map_err(Refused::Unfit)?;
            settle(current, drafts, fresh)
        }
        Wish::Edit { search, text } => edit(current, search.as_deref(), text, template, fresh)?,
        Wish::Add { section, text } => settle(current, with(current, markdown::parse_under(text, template, section)), fresh),
    };
    arrange(&mut changed.lines, template);
    fits(&changed)?;
    Ok(changed)
}

/// The memory without the lines of these numbers.
pub fn without(current: &WorkingMemory, numbers: &[i32]) -> WorkingMemory {
    let lines = current.lines.iter().filter(|line| !numbers.contains(&line.number)).cloned().collect();
    WorkingMemory { lines, ..*current }
}

/// The memory with the lines of another behind its own, as many as fit. Each keeps where it comes from.
pub fn with_lines_of(current: &WorkingMemory, other: &WorkingMemory) -> WorkingMemory {
    let mut memory = current.clone();
    for line in &other.lines {
        if memory.lines.iter().any(|known| known.text == line.text) {
            continue;
        }
        let mut more = memory.clone();
        more.numbered += 1;
        more.lines.push(Line { number: more.numbered, ..line.clone() });
        if fits(&more).is_ok() {
            memory = more;
        }
    }
    arrange(&mut memory.lines, &Template::default());
    memory
}

fn replace(current: &WorkingMemory, text: &str, template: &Template, fresh: &Fresh<'_>) -> Result<WorkingMemory, Refused> {
    let drafts = markdown::parse(text, template);
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_empty = drafts.is_empty() || plain(text) == plain(template.text());
    if is_empty && !current.is_empty() {
        return Err(Refused::EmptyTemplate);
    }
    Ok(settle(current, if is_empty { Vec::new() } else { drafts }, fresh))
}

/// Replaces a passage of the Markdown that stands there once.
fn edit(
    current: &WorkingMemory,
    search: Option<&str>,
    text: &str,
    template: &Template,
    fresh: &Fresh<'_>,
) -> Result<WorkingMemory, Refused> {
    let whole = rendered(current);
    let search = search.map(|search| search.trim()).filter(|search| !search.is_empty());
    let Some(search) = search.filter(|search| whole.contains(*search)) else {
        return Ok(settle(current, with(current, markdown::parse(text, template)), fresh));
    };
    if search == text.trim() {
        return Ok(confirm(current, search, fresh));
    }
    let places: Vec<Range<usize>> = whole.match_indices(search).map(|(at, found)| at..at + found.len()).collect();
    let [place] = places.as_slice() else {
        return Err(Refused::Unfit(format!(
            "searchString stands there {} times; use more of the line, so that it is clear which one is meant.",
            places.len()
        )));
    };
    let edited = format!("{}{}{}", &whole[..place.start], text.trim_end(), &whole[place.end..]);
    Ok(settle(current, markdown::parse(&edited, template), fresh))
}

/// Somebody looked, and it still holds: the lines are as new.
fn confirm(current: &WorkingMemory, search: &str, fresh: &Fresh<'_>) -> WorkingMemory {
    let sought: Vec<String> = search.lines().map(markdown::canonical).filter(|line| !line.is_empty()).collect();
    let mut memory = current.clone();
    for line in memory.lines.iter_mut().filter(|line| sought.contains(&line.text)) {
        line.source = fresh.source.clone();
        line.about = (fresh.about)(&line.text);
    }
    memory
}

fn with(current: &WorkingMemory, added: Vec<Draft>) -> Vec<Draft> {
    let mut drafts = current.drafts();
    for draft in added {
        if !drafts.iter().any(|known| known.text == draft.text) {
            drafts.push(draft);
        }
    }
    drafts
}

/// The lines of the drafts: those that were there as they were, the others new and numbered.
fn settle(current: &WorkingMemory, drafts: Vec<Draft>, fresh: &Fresh<'_>) -> WorkingMemory {
    let mut known: Vec<Option<&Line>> = current.lines.iter().map(Some).collect();
    let mut memory = WorkingMemory { lines: Vec::new(), numbered: current.numbered };
    for draft in drafts {
        let is_it = |at: &Option<&Line>| at.is_some_and(|line| line.text == draft.text);
        let there = |at: &Option<&Line>| is_it(at) && at.is_some_and(|line| line.section.eq_ignore_ascii_case(&draft.section));
        let place = known.iter().position(there).or_else(|| known.iter().position(is_it));
        if let Some(line) = place.and_then(|place| known[place].take()) {
            memory.lines.push(Line { section: draft.section, ..line.clone() });
            continue;
        }
        if memory.lines.iter().any(|line| line.text == draft.text && line.section == draft.section) {
            continue;
        }
        let text = markdown::canonical(&(fresh.redact)(&draft.text));
        memory.numbered += 1;
        let about = (fresh.about)(&text);
        memory.lines.push(Line { number: memory.numbered, section: draft.section, text, source: fresh.source.clone(), about });
    }
    memory
}

/// Sections in the order of the template, then as they came; within a section the order stays.
fn arrange(lines: &mut [Line], template: &Template) {
    let mut order: Vec<String> = Vec::new();
    for line in lines.iter_mut() {
        match order.iter().find(|known| known.eq_ignore_ascii_case(&line.section)) {
            Some(known) => line.section.clone_from(known),
            None => order.push(line.section.clone()),
        }
    }
    let came = |section: &str| order.iter().position(|known| known == section).unwrap_or(usize::MAX);
    lines.sort_by_key(|line| (template.place(&line.section), came(&line.section)));
}

fn fits(memory: &WorkingMemory) -> Result<(), Refused> {
    let unfit = |why: String| Err(Refused::Unfit(why));
    for line in &memory.lines {
        let length = line.text.chars().count();
        if length > LONGEST_LINE {
            let beginning = cut::cut_end(&line.text, 80);
            return unfit(format!(
                "A line has {length} characters, and {LONGEST_LINE} are the most: «{beginning}». Say it in fewer words, or as several lines. \
                 Nothing was changed."
            ));
        }
    }
    let count = memory.lines.len();
    if count > MOST_LINES {
        return unfit(format!(
            "That would be {count} lines, and {MOST_LINES} are kept: {} too many. Take out or join what matters least. Nothing was changed.",
            count - MOST_LINES
        ));
    }
    let size = rendered(memory).chars().count();
    if size > LARGEST {
        return unfit(format!(
            "That would be {size} characters in all, and {LARGEST} are kept: {} too many. Shorten or take out what matters least. \
             Nothing was changed.",
            size - LARGEST
        ));
    }
    Ok(())
}

/// The memory as Markdown.
pub fn rendered(memory: &WorkingMemory) -> String {
    markdown::render(memory.lines.iter().map(|line| (line.section.as_str(), line.text.as_str())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{memory, source};
    use super::*;

    fn changed(current: &WorkingMemory, wish: &Wish) -> Result<WorkingMemory, Refused> {
        let source = Source { noted: true, ..source("ada") };
        let fresh = Fresh { source: &source, redact: &|text| text.replace("hunter2", "[redacted]"), about: &|_| Vec::new() };
        change(current, wish, &Template::default(), &fresh)
    }

    fn told(memory: &WorkingMemory) -> String {
        let line = |line: &Line| format!("{} {}: {} ({})", line.number, line.section, line.text, line.source.author);
        memory.lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn start() -> WorkingMemory {
        memory(&[("Decisions", "We use tabs."), ("Decisions", "Postgres it is."), ("Own", "odd")])
    }

    #[test]
    fn lines_of_another_memory_come_behind_its_own_as_far_as_they_fit() {
        let other = memory(&[("Decisions", "We use tabs."), ("Decisions", "Ship on Friday."), ("Own", "even")]);
        insta::assert_snapshot!(told(&with_lines_of(&start(), &other)), @r"
        1 Decisions: We use tabs. (maya)
        2 Decisions: Postgres it is. (maya)
        4 Decisions: Ship on Friday. (maya)
        3 Own: odd (maya)
        5 Own: even (maya)
        ");
        let texts: Vec<String> = (0..MOST_LINES).map(|number| format!("line {number}")).collect();
        let full = memory(&texts.iter().map(|text| ("Own", text.as_str())).collect::<Vec<_>>());
        assert_eq!(with_lines_of(&full, &other), full);
        assert_eq!(with_lines_of(&WorkingMemory::default(), &full), full);
    }

    #[test]
    fn working_memory_markdown_replaces_the_whole_and_lines_keep_where_they_come_from() {
        let text =
            "## People\n- maya wrote it\n## Decisions\n- Postgres it is.\n- The password is hunter2.\n## own\n- odd\n- odd";
        insta::assert_snapshot!(told(&changed(&start(), &Wish::Replace(text.into())).unwrap()), @r"
        2 Decisions: Postgres it is. (maya)
        5 Decisions: The password is [redacted]. (ada)
        4 People: maya wrote it (ada)
        3 own: odd (maya)
        ");
    }

    #[test]
    fn working_memory_is_not_wiped_out_by_the_empty_template() {
        let template = Template::default();
        let spaced = format!("\n {} ", template.text().replace('\n', " \n\n"));
        for text in [template.text(), &spaced, "", "## Goal\n## Decisions\n"] {
            assert_eq!(changed(&start(), &Wish::Replace(text.into())), Err(Refused::EmptyTemplate), "{text}");
            assert_eq!(changed(&WorkingMemory::default(), &Wish::Replace(text.into())), Ok(WorkingMemory::default()));
        }
    }

    #[test]
    fn working_memory_finds_and_replaces_or_adds() {
        let edit = |search: Option<&str>, text: &str| {
            let wish = Wish::Edit { search: search.map(str::to_owned), text: text.to_owned() };
            changed(&start(), &wish).map(|memory| told(&memory))
        };
        assert_eq!(edit(Some("tabs"), "spaces").unwrap().lines().next(), Some("4 Decisions: We use spaces. (ada)"));
        assert_eq!(edit(Some("- We use tabs.\n"), "").unwrap().lines().count(), 2);
        assert!(edit(Some("nowhere"), "## Goal\nship").unwrap().starts_with("4 Goal: ship (ada)"));
        assert!(edit(None, "ship").unwrap().ends_with("4 Notes: ship (ada)"));
        assert_eq!(edit(None, "odd").unwrap(), told(&start()));
        assert!(edit(Some("it"), "x").is_ok() && edit(Some("s"), "x").unwrap_err().to_string().contains("stands there"));
        let confirmed = edit(Some("We use tabs."), "We use tabs.").unwrap();
        assert_eq!(confirmed.lines().next(), Some("1 Decisions: We use tabs. (ada)"), "somebody looked again");
    }

    #[test]
    fn lines_are_added_once_and_dropped_by_number() {
        let add = Wish::Add { section: "Remembered", text: "we use tabs\n- We use tabs.\n".into() };
        let added = changed(&start(), &add).unwrap();
        assert_eq!(added.lines.last().map(|line| (line.number, line.section.as_str())), Some((4, "Remembered")));
        assert_eq!(changed(&added, &add).unwrap(), added);
        let dropped = without(&added, &[4, 9]);
        assert_eq!((dropped.lines.len(), dropped.numbered), (3, 4), "a number is never given again");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_said() {
        let refusal = |text: String| changed(&start(), &Wish::Replace(text)).unwrap_err().to_string();
        let many: String = (0..90).map(|at| format!("- line {at}\n")).collect();
        let large: String = (0..60).map(|at| format!("- {at} {}\n", "word ".repeat(60))).collect();
        insta::assert_snapshot!([refusal("x".repeat(700)), refusal(many), refusal(large), refusal("x".repeat(200_000))].join("\n"), @r"
        A line has 700 characters, and 500 are the most: «xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…». Say it in fewer words, or as several lines. Nothing was changed.
        That would be 90 lines, and 80 are kept: 10 too many. Take out or join what matters least. Nothing was changed.
        That would be 18299 characters in all, and 12000 are kept: 6299 too many. Shorten or take out what matters least. Nothing was changed.
        This is far too long: 12000 characters fit in all. Say it in fewer words.
        ");
    }
}

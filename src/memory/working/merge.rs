//! Merging an object into working memory: its fields are sections, and what a section is given decides what becomes of it.
//!
//! Null deletes, an array (or a single value) replaces, an object is merged entry by entry: the entry `maya` of `People` is the line
//! `maya: …`, one below it `maya / role: …`. What the object does not name stays. Merging the same object twice is merging it once.

use serde_json::{Map, Value};

use super::template::Template;
use super::{Draft, markdown};

/// Objects in objects that are followed.
const DEEPEST: usize = 8;

/// `current` with `object` merged into it.
///
/// # Errors
/// What is wrong with the object, for whoever sent it.
pub fn merge(current: &[Draft], object: &Map<String, Value>, template: &Template) -> Result<Vec<Draft>, String> {
    let mut drafts = current.to_vec();
    let padded = is_padded(object, template);
    for (name, value) in object {
        let section = spelt(&drafts, template, name);
        match value {
            Value::Null if padded => {}
            Value::Null => drafts.retain(|draft| draft.section != section),
            Value::Object(entries) => merge_entries(&mut drafts, &section, "", entries, 0)?,
            Value::Array(_) | Value::String(_) | Value::Bool(_) | Value::Number(_) => {
                let texts = texts(value, 0)?;
                replace(&mut drafts, &section, texts, |_| true);
            }
        }
    }
    Ok(drafts)
}

/// Some models fill every field they do not mean with null. An object that names all sections of the template, some with a value, was
/// filled up: its nulls delete nothing.
fn is_padded(object: &Map<String, Value>, template: &Template) -> bool {
    let given = |section: &String| object.keys().any(|name| markdown::section(name).eq_ignore_ascii_case(section));
    template.sections().iter().all(given) && object.values().any(|value| !value.is_null())
}

/// The section's name as it is known.
fn spelt(drafts: &[Draft], template: &Template, name: &str) -> String {
    let name = template.spelt(&markdown::section(name));
    let known = drafts.iter().find(|draft| draft.section.eq_ignore_ascii_case(&name));
    known.map_or(name, |draft| draft.section.clone())
}

fn merge_entries(
    drafts: &mut Vec<Draft>,
    section: &str,
    above: &str,
    entries: &Map<String, Value>,
    depth: usize,
) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("{section}: objects are nested more than {DEEPEST} deep"));
    }
    for (name, value) in entries {
        let name = markdown::canonical(name).replace(": ", " ");
        if name.is_empty() {
            return Err(format!("{section}: an entry has no name"));
        }
        let path = if above.is_empty() { name } else { format!("{above} / {name}") };
        match value {
            Value::Object(inner) => {
                // What stood there as a single value gives way to the object.
                drafts.retain(|draft| !(draft.section == section && is_entry(&draft.text, &path)));
                merge_entries(drafts, section, &path, inner, depth + 1)?;
            }
            Value::Null => drafts.retain(|draft| !(draft.section == section && is_at_or_below(&draft.text, &path))),
            Value::Array(_) | Value::String(_) | Value::Bool(_) | Value::Number(_) => {
                let texts = texts(value, 0)?.into_iter().map(|text| format!("{path}: {text}")).collect();
                replace(drafts, section, texts, |text| is_at_or_below(text, &path));
            }
        }
    }
    Ok(())
}

/// The lines of a section that `which` picks make room for others, at the place of the first.
fn replace(drafts: &mut Vec<Draft>, section: &str, texts: Vec<String>, which: impl Fn(&str) -> bool) {
    let picked = |draft: &Draft| draft.section == section && which(&draft.text);
    let at = drafts.iter().position(picked);
    let kept_before = at.map_or(drafts.len(), |at| drafts[..at].iter().filter(|draft| !picked(draft)).count());
    drafts.retain(|draft| !picked(draft));
    let at = kept_before.min(drafts.len());
    drafts.splice(at..at, texts.into_iter().map(|text| Draft { section: section.to_owned(), text }));
}

fn is_entry(text: &str, path: &str) -> bool {
    strip_ignoring_case(text, path).is_some_and(|rest| rest.starts_with(": "))
}

fn is_at_or_below(text: &str, path: &str) -> bool {
    strip_ignoring_case(text, path).is_some_and(|rest| rest.starts_with(": ") || rest.starts_with(" / "))
}

fn strip_ignoring_case<'t>(text: &'t str, beginning: &str) -> Option<&'t str> {
    let head = text.get(..beginning.len())?;
    head.eq_ignore_ascii_case(beginning).then(|| &text[beginning.len()..])
}

/// The lines a value stands for; nulls in it are left out.
fn texts(value: &Value, depth: usize) -> Result<Vec<String>, String> {
    if depth > DEEPEST {
        return Err(format!("arrays are nested more than {DEEPEST} deep"));
    }
    let lines = match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.lines().map(markdown::canonical).filter(|line| !line.is_empty()).collect(),
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
        Value::Array(items) => {
            let mut all = Vec::new();
            for item in items {
                all.extend(texts(item, depth + 1)?);
            }
            all
        }
        Value::Object(entries) => {
            let mut all = Vec::new();
            for (name, value) in entries {
                let name = markdown::canonical(name);
                all.extend(texts(value, depth + 1)?.into_iter().map(|text| markdown::canonical(&format!("{name}: {text}"))));
            }
            all
        }
    };
    Ok(lines)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn merged(current: &[Draft], object: Value) -> Vec<Draft> {
        let Value::Object(object) = object else { panic!("an object") };
        merge(current, &object, &Template::default()).unwrap()
    }

    fn told(drafts: &[Draft]) -> String {
        markdown::render(drafts.iter().map(|draft| (draft.section.as_str(), draft.text.as_str())))
    }

    fn start() -> Vec<Draft> {
        markdown::parse(
            "## Decisions\n- tabs\n- Postgres\n## People\n- maya: owns billing\n- eve / role: tester\n- eve / since: 2020\n",
            &Template::default(),
        )
    }

    #[test]
    fn working_memory_schema_mode_merges_deletes_and_replaces() {
        let object = json!({
            "decisions": ["spaces", null, "Postgres"],
            "People": { "Maya": ["owns billing", "and mail"], "eve": { "role": null, "team": "core" } },
            "Goal": "ship it",
            "Commands that work": 7
        });
        insta::assert_snapshot!(told(&merged(&start(), object)), @r"
        ## Decisions
        - spaces
        - Postgres

        ## People
        - Maya: owns billing
        - Maya: and mail
        - eve / since: 2020
        - eve / team: core

        ## Goal
        - ship it

        ## Commands that work
        - 7
        ");
        insta::assert_snapshot!(told(&merged(&start(), json!({ "Decisions": null, "People": { "eve": null } }))), @r"
        ## People
        - maya: owns billing
        ");
        assert_eq!(told(&merged(&start(), json!({ "People": { "maya": { "role": "lead" } } }))).matches("maya").count(), 1);
    }

    #[test]
    fn nulls_that_only_fill_a_form_delete_nothing() {
        let form = json!({ "Goal": "ship", "Decisions": null, "Conventions": null, "Commands that work": null, "Open questions": null, "People": null });
        assert_eq!(merged(&start(), form).len(), start().len() + 1);
        let all = json!({ "Goal": null, "Decisions": null, "Conventions": null, "Commands that work": null, "Open questions": null, "People": null });
        assert_eq!(merged(&start(), all), []);
    }

    #[test]
    fn objects_without_end_are_refused() {
        let deep = (0..20).fold(json!("x"), |inner, _| json!({ "a": inner }));
        let Value::Object(deep) = deep else { panic!("an object") };
        assert!(merge(&[], &deep, &Template::default()).unwrap_err().contains("nested"));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            "[a-c]{1,3}".prop_map(Value::from),
            prop::collection::vec("[a-c]{1,3}", 0..3).prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| prop::collection::btree_map("[xyz]", inner, 0..3).prop_map(|map| json!(map)))
    }

    fn objects() -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::btree_map("(Goal|People|Own)", values(), 0..4).prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn merging_has_laws(first in objects(), second in objects()) {
            let template = Template::default();
            let none = merge(&start(), &Map::new(), &template).unwrap();
            prop_assert_eq!(none, start(), "nothing changes nothing");
            let once = merge(&start(), &first, &template).unwrap();
            let twice = merge(&once, &first, &template).unwrap();
            prop_assert_eq!(told(&twice), told(&once), "twice is once");
            // What the second does not name is as the first left it.
            let both = merge(&once, &second, &template).unwrap();
            let of = |drafts: &[Draft], section: &str| -> Vec<String> {
                drafts.iter().filter(|draft| draft.section == section).map(|draft| draft.text.clone()).collect()
            };
            for section in ["Goal", "People", "Own", "Decisions"].into_iter().filter(|section| !second.contains_key(*section)) {
                prop_assert_eq!(of(&both, section), of(&once, section));
            }
        }
    }
}

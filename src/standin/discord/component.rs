//! Buttons, selects and the inputs of modals: what they may look like, and finding them again when somebody presses one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::error::Problems;

const MOST_ROWS: usize = 5;
const MOST_BUTTONS: usize = 5;
const LONGEST_ID: usize = 100;
const MOST_OPTIONS: usize = 25;

pub(super) const ROW: u64 = 1;
pub(super) const BUTTON: u64 = 2;
pub(super) const STRING_SELECT: u64 = 3;
pub(super) const TEXT_INPUT: u64 = 4;
const LABEL: u64 = 18;
const LINK: u64 = 5;

/// Reads the `components` of a message; none when the request does not say.
pub(super) fn read(body: &Value, problems: &mut Problems) -> Option<Vec<Value>> {
    let rows = body.get("components").filter(|rows| !rows.is_null())?;
    let rows = rows.as_array()?;
    if rows.len() > MOST_ROWS {
        problems.add("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.");
    }
    let mut ids = BTreeSet::new();
    for (at, row) in rows.iter().enumerate() {
        row_of_message(row, &format!("components.{at}"), &mut ids, problems);
    }
    Some(rows.clone())
}

fn row_of_message(row: &Value, place: &str, ids: &mut BTreeSet<String>, problems: &mut Problems) {
    if row["type"] != ROW {
        problems.choice(&format!("{place}.type"), "(1,)");
        return;
    }
    let inside = row["components"].as_array().map_or(&[][..], Vec::as_slice);
    let buttons = inside.iter().filter(|one| one["type"] == BUTTON).count();
    let selects = inside.iter().filter(|one| matches!(one["type"].as_u64(), Some(STRING_SELECT | 5..=8))).count();
    let place = format!("{place}.components");
    if inside.is_empty() || buttons > MOST_BUTTONS {
        problems.add(&place, "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.");
    }
    if selects > 1 || (selects == 1 && buttons > 0) {
        problems.add(&place, "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "The specified component exceeds the maximum width");
    }
    for (at, one) in inside.iter().enumerate() {
        let place = format!("{place}.{at}");
        match one["type"].as_u64() {
            Some(BUTTON) => button(one, &place, ids, problems),
            Some(STRING_SELECT | 5..=8) => select(one, &place, ids, problems),
            _ => problems.choice(&format!("{place}.type"), "(2, 3, 5, 6, 7, 8)"),
        }
    }
}

fn button(button: &Value, place: &str, ids: &mut BTreeSet<String>, problems: &mut Problems) {
    if button["label"].as_str().is_some_and(|label| label.chars().count() > 80) {
        problems.too_long(&format!("{place}.label"), 80);
    }
    if button["label"].is_null() && button["emoji"].is_null() {
        problems.add(place, "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", "A button must have a label or emoji");
    }
    match button["style"].as_u64() {
        Some(LINK) if button["url"].is_null() => problems.required(&format!("{place}.url")),
        Some(LINK) if !button["custom_id"].is_null() => {
            problems.add(place, "BUTTON_COMPONENT_CUSTOM_ID_AND_URL", "A custom id and url cannot both be specified");
        }
        Some(LINK) => {}
        Some(1..=4) => custom_id(button, place, ids, problems),
        _ => problems.choice(&format!("{place}.style"), "(1, 2, 3, 4, 5, 6)"),
    }
}

fn select(select: &Value, place: &str, ids: &mut BTreeSet<String>, problems: &mut Problems) {
    custom_id(select, place, ids, problems);
    if select["type"] == STRING_SELECT {
        let options = select["options"].as_array().map_or(0, Vec::len);
        if options == 0 || options > MOST_OPTIONS {
            problems.length(&format!("{place}.options"), 1, MOST_OPTIONS);
        }
    }
}

fn custom_id(component: &Value, place: &str, ids: &mut BTreeSet<String>, problems: &mut Problems) {
    let place = format!("{place}.custom_id");
    match component["custom_id"].as_str() {
        None => problems.required(&place),
        Some(id) if id.is_empty() || id.chars().count() > LONGEST_ID => problems.length(&place, 1, LONGEST_ID),
        Some(id) if !ids.insert(id.to_owned()) => {
            problems.add(&place, "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated");
        }
        Some(_) => {}
    }
}

/// Measures a modal: 1 to 5 rows with one input each.
pub(super) fn modal(data: &Value, problems: &mut Problems) {
    let title = data["title"].as_str().map_or(0, |title| title.chars().count());
    if title == 0 || title > 45 {
        problems.length("data.title", 1, 45);
    }
    let mut ids = BTreeSet::new();
    custom_id(data, "data", &mut BTreeSet::new(), problems);
    let rows = data["components"].as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() || rows.len() > MOST_ROWS {
        problems.length("data.components", 1, MOST_ROWS);
    }
    for (at, row) in rows.iter().enumerate() {
        let place = format!("data.components.{at}");
        let inputs = inputs(row);
        let [input] = inputs.as_slice() else {
            problems.length(&format!("{place}.components"), 1, 1);
            continue;
        };
        custom_id(input, &place, &mut ids, problems);
        let label = if row["type"] == LABEL { &row["label"] } else { &input["label"] };
        let label = label.as_str().map_or(0, |label| label.chars().count());
        if label == 0 || label > 45 {
            problems.length(&format!("{place}.components.0.label"), 1, 45);
        }
    }
}

/// The inputs in a row of a modal.
fn inputs(row: &Value) -> Vec<&Value> {
    let one = row.get("component").into_iter();
    let inside = one.chain(row["components"].as_array().into_iter().flatten());
    inside.filter(|one| one["type"] == TEXT_INPUT).collect()
}

/// All inputs of a modal.
pub(super) fn modal_inputs(modal: &Value) -> Vec<&Value> {
    modal["components"].as_array().into_iter().flatten().flat_map(inputs).collect()
}

/// The component somebody can press or choose in.
pub(super) fn find<'a>(rows: &'a [Value], id: &str) -> Option<&'a Value> {
    rows.iter().flat_map(|row| row["components"].as_array().into_iter().flatten()).find(|one| one["custom_id"] == id)
}

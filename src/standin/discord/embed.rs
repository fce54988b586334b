//! Embeds and their limits.

use serde_json::Value;

use super::error::Problems;

const MOST: usize = 10;
const LONGEST_ALTOGETHER: usize = 6_000;
const MOST_FIELDS: usize = 25;

/// Reads `embeds`; none when the request does not say.
pub(super) fn read(body: &Value, problems: &mut Problems) -> Option<Vec<Value>> {
    let embeds = body.get("embeds").filter(|all| !all.is_null())?;
    let Some(embeds) = embeds.as_array() else {
        problems.add("embeds", "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType");
        return None;
    };
    if embeds.len() > MOST {
        problems.too_long("embeds", MOST);
    }
    let mut total = 0;
    for (at, embed) in embeds.iter().enumerate() {
        let place = format!("embeds.{at}");
        if !embed.is_object() {
            problems.add(&place, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType");
            continue;
        }
        total += one(embed, &place, problems);
    }
    if total > LONGEST_ALTOGETHER {
        problems.add("embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000");
    }
    Some(embeds.clone())
}

fn one(embed: &Value, place: &str, problems: &mut Problems) -> usize {
    let mut total = 0;
    let mut text = |path: &[&str], most: usize| {
        let value = path.iter().fold(embed, |at, step| &at[*step]);
        let length = value.as_str().map_or(0, |text| text.chars().count());
        if length > most {
            problems.too_long(&format!("{place}.{}", path.join(".")), most);
        }
        length
    };
    total += text(&["title"], 256);
    total += text(&["description"], 4096);
    total += text(&["footer", "text"], 2048);
    total += text(&["author", "name"], 256);
    let fields = embed["fields"].as_array().map_or(&[][..], Vec::as_slice);
    if fields.len() > MOST_FIELDS {
        problems.too_long(&format!("{place}.fields"), MOST_FIELDS);
    }
    for (at, field) in fields.iter().enumerate() {
        for (name, most) in [("name", 256), ("value", 1024)] {
            let place = format!("{place}.fields.{at}.{name}");
            match field[name].as_str().map(|text| text.chars().count()) {
                None | Some(0) => problems.required(&place),
                Some(length) if length > most => problems.too_long(&place, most),
                Some(length) => total += length,
            }
        }
    }
    for name in ["url", "image.url", "thumbnail.url"] {
        let value = name.split('.').fold(embed, |at, step| &at[step]).as_str().unwrap_or("https://");
        if !["https://", "http://", "attachment://"].iter().any(|scheme| value.starts_with(scheme)) {
            let text = format!("Scheme \"{value}\" is not supported. Scheme must be one of ('http', 'https').");
            problems.add(&format!("{place}.{name}"), "URL_TYPE_INVALID_SCHEME", text);
        }
    }
    total
}

//! Text that Postgres can hold: everything but the character NUL, which neither `text` nor `jsonb` takes. What comes from outside (people,
//! models, programs) passes here before it is stored; a NUL becomes `�`.

use serde_json::Value;

const INSTEAD: &str = "\u{fffd}";

/// Makes a text storable.
pub fn text(text: &mut String) {
    if text.contains('\0') {
        *text = text.replace('\0', INSTEAD);
    }
}

/// Makes every text in a JSON value storable, names included.
pub fn json(value: &mut Value) {
    match value {
        Value::String(string) => text(string),
        Value::Array(items) => items.iter_mut().for_each(json),
        Value::Object(fields) => {
            if fields.keys().any(|name| name.contains('\0')) {
                *fields = std::mem::take(fields).into_iter().map(|(name, value)| (name.replace('\0', INSTEAD), value)).collect();
            }
            fields.values_mut().for_each(json);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn no_nul_is_left_anywhere() {
        let mut value = json!({ "a\0": ["b\0", { "c": "d\0e" }], "f": 1 });
        super::json(&mut value);
        assert_eq!(value, json!({ "a\u{fffd}": ["b\u{fffd}", { "c": "d\u{fffd}e" }], "f": 1 }));
    }
}

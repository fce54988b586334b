//! Arguments of tools: their JSON Schema, and what is wrong with those a model sent.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{ToolOutput, text};
use crate::model::ToolSpec;

/// Draft 7 without references and without what providers stumble over.
pub(super) fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    simplify(&mut schema);
    if let Value::Object(object) = &mut schema {
        object.remove("description");
        object.entry("properties").or_insert_with(|| json!({}));
    }
    schema
}

fn simplify(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for key in ["$schema", "title", "format"] {
                // A property may have such a name; a keyword of it is never an object.
                if object.get(key).is_some_and(|keyword| !keyword.is_object()) {
                    object.remove(key);
                }
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            drop_null(object);
            choices_to_enum(object);
            object.values_mut().for_each(simplify);
        }
        Value::Array(items) => items.iter_mut().for_each(simplify),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Optional fields are left out, never null.
fn drop_null(object: &mut Map<String, Value>) {
    let null = json!("null");
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| *kind != null);
        if let [single] = &types[..] {
            let single = single.clone();
            object.insert("type".to_owned(), single);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&null));
        if let [Value::Object(single)] = &choices[..] {
            let single = single.clone();
            object.remove("anyOf");
            for (key, value) in single {
                object.entry(key).or_insert(value);
            }
        }
    }
}

/// Documented enums arrive as `oneOf` constants; an `enum` says the same to more models.
fn choices_to_enum(object: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = object.get("oneOf") else {
        return;
    };
    let names = |choice: &Value| match (choice.get("const"), choice.get("enum")) {
        (Some(name), _) => Some(vec![name.clone()]),
        (None, Some(Value::Array(names))) => Some(names.clone()),
        (None, _) => None,
    };
    if let Some(names) = choices.iter().map(names).collect::<Option<Vec<_>>>() {
        object.remove("oneOf");
        object.insert("type".to_owned(), json!("string"));
        object.insert("enum".to_owned(), Value::Array(names.concat()));
    }
}

/// What is wrong, one entry per field.
#[derive(Debug)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    pub(super) fn output(&self, spec: &ToolSpec) -> ToolOutput {
        let error = format!("Wrong arguments for {}: {}.", spec.name, self.0.join("; "));
        ToolOutput {
            content: json!({ "error": error, "schema": spec.schema }),
            is_error: true,
            execution: None,
            attachments: Vec::new(),
            events: Vec::new(),
            summary: format!("Wrong arguments for {}", spec.name),
        }
    }
}

/// Reads arguments. Fields that are null count as left out; unknown fields are ignored unless they look misspelt.
pub(super) fn read<T: DeserializeOwned>(spec: &ToolSpec, given: &Map<String, Value>) -> Result<T, Problems> {
    let present = given.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), whole(value)));
    let value = Value::Object(present.collect());
    let mut problems = Vec::new();
    check(&spec.schema, &value, "", &mut problems);
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    serde_path_to_error::deserialize(value).map_err(|error| Problems(vec![format!("`{}`: {}", error.path(), error.inner())]))
}

/// Some models write 3.0 for 3.
fn whole(value: &Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() < EXACT => json!(number as i64),
        Some(_) | None => value.clone(),
    }
}

fn check(schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
    if let Some(wanted) = schema.get("type").and_then(Value::as_str)
        && !is_a(wanted, value)
    {
        problems.push(format!("`{at}` must be {}, not {}", article(wanted), text::cut(&value.to_string(), 80)));
        return;
    }
    if let Some(Value::Array(choices)) = schema.get("enum")
        && !choices.contains(value)
    {
        let choices: Vec<_> = choices.iter().map(|choice| choice.as_str().unwrap_or_default()).collect();
        problems.push(format!("`{at}` must be one of {}, not {}", choices.join(", "), text::cut(&value.to_string(), 80)));
    }
    if let (Some(minimum), Some(number)) = (schema.get("minimum").and_then(Value::as_f64), value.as_f64())
        && number < minimum
    {
        problems.push(format!("`{at}` must be at least {minimum}"));
    }
    match value {
        Value::Object(object) => check_object(schema, object, at, problems),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check(&schema["items"], item, &format!("{at}[{index}]"), problems);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn check_object(schema: &Value, object: &Map<String, Value>, at: &str, problems: &mut Vec<String>) {
    let inside = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            let kind = properties.get(name).and_then(|property| property.get("type")).and_then(Value::as_str).unwrap_or("value");
            problems.push(format!("`{}` is missing ({kind})", inside(name)));
        }
    }
    for (name, value) in object {
        if let Some(property) = properties.get(name) {
            check(property, value, &inside(name), problems);
        } else if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            check(values, value, &inside(name), problems);
        } else if let Some(near) =
            text::closest(name, properties.keys().map(String::as_str).filter(|known| !object.contains_key(*known)))
        {
            problems.push(format!("`{}` is unknown, did you mean `{near}`?", inside(name)));
        }
    }
}

fn is_a(wanted: &str, value: &Value) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}

fn article(kind: &str) -> String {
    match kind {
        "object" | "array" | "integer" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::sandbox::Language;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    #[allow(dead_code)]
    struct Example {
        /// Where.
        path: String,
        language: Option<Language>,
        start_line: Option<u64>,
        #[serde(default)]
        env_vars: BTreeMap<String, String>,
        #[serde(default)]
        files: Vec<Item>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Item {
        data: String,
    }

    fn spec() -> ToolSpec {
        ToolSpec { name: "example".to_owned(), description: String::new(), schema: schema::<Example>() }
    }

    fn problems(given: Value) -> Vec<String> {
        let Value::Object(given) = given else { panic!("an object") };
        read::<Example>(&spec(), &given).map_or_else(|problems| problems.0, |_| Vec::new())
    }

    #[test]
    fn the_schema_is_plain() {
        insta::assert_snapshot!(serde_json::to_string(&spec().schema).unwrap(), @r#"{"type":"object","properties":{"path":{"type":"string","description":"Where."},"language":{"type":"string","enum":["python","javascript","typescript","shell"]},"startLine":{"type":"integer","minimum":0},"envVars":{"type":"object","additionalProperties":{"type":"string"},"default":{}},"files":{"type":"array","items":{"type":"object","properties":{"data":{"type":"string"}},"required":["data"]}}},"required":["path"]}"#);
    }

    #[test]
    fn every_bad_field_is_named() {
        let found = problems(
            json!({ "language": "cobol", "startLine": -1, "env_vars": {}, "envVars": { "A": 1 }, "files": [{ "content": "x" }] }),
        );
        insta::assert_snapshot!(found.join("\n"), @r#"
        `path` is missing (string)
        `language` must be one of python, javascript, typescript, shell, not "cobol"
        `startLine` must be at least 0
        `envVars.A` must be a string, not 1
        `files[0].data` is missing (string)
        "#);
        assert!(problems(json!({ "pathh": "x" })).iter().any(|problem| problem.contains("did you mean `path`")));
    }

    #[test]
    fn null_and_harmless_extras_are_fine() {
        assert_eq!(
            problems(json!({ "path": "x", "language": null, "startLine": 3.0, "reason": "because" })),
            Vec::<String>::new()
        );
    }
}

//! Calls that are not as they should be.

use serde_json::{Value, json};
use threadbox::agent::Powers;
use threadbox::agent::tools::Hands;
use threadbox::model::Arguments;

use super::place::{Thread, call};

pub async fn bad_arguments_name_every_field(thread: &Thread) {
    for spec in thread.tools.specs(Powers::Everything, &Hands::default()) {
        let properties = spec.schema["properties"].as_object().unwrap();
        let required: Vec<&str> = spec.schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !required.is_empty() {
            let output = thread.run(&spec.name, json!({})).await;
            let error = output.content["error"].as_str().unwrap();
            assert!(output.is_error && required.iter().all(|field| error.contains(&format!("`{field}` is missing"))), "{error}");
            assert_eq!(output.content["schema"], spec.schema);
        }
        // Every field of a wrong kind is named; the sandbox is not touched.
        let wrong: serde_json::Map<_, _> = properties.keys().map(|field| (field.clone(), json!([[null]]))).collect();
        let output = thread.run(&spec.name, Value::Object(wrong)).await;
        let error = output.content["error"].as_str().unwrap();
        assert!(output.is_error && properties.keys().all(|field| error.contains(&format!("`{field}"))), "{}: {error}", spec.name);
        let summary = format!("Wrong arguments for {}", spec.name);
        assert_eq!(output.summary, summary);
    }
    let output = thread.run("writeFiles", json!({ "files": [{ "path": 1, "content": "x" }], "sandboxid": "x" })).await;
    assert_eq!(
        output.content["error"],
        "Wrong arguments for writeFiles: `files[0].data` is missing (string); `files[0].path` must be a string, not 1; `sandboxid` is unknown, did you mean `sandboxId`?."
    );
}

pub async fn calls_that_cannot_be_made_are_answered_usefully(thread: &Thread) {
    for spec in thread.tools.specs(Powers::Everything, &Hands::default()) {
        let mut broken = call(&spec.name, json!({}));
        broken.arguments = Arguments::Broken("{\"path\": \"a".to_owned());
        let output = thread.call(&broken).await;
        let error = output.content["error"].as_str().unwrap();
        assert!(output.is_error && error.contains("not a JSON object") && error.ends_with("{\"path\": \"a"), "{error}");
        assert!(output.content["schema"].is_object());
        if spec.name != "createSandbox" && super::dead::acts_in_a_sandbox(&spec) {
            let mut arguments = super::dead::arguments(&spec.name);
            arguments["sandboxId"] = json!("someone-elses");
            let refused = thread.bad(&spec.name, arguments).await;
            assert!(refused.contains("sandbox someone-elses"), "{}: {refused}", spec.name);
        }
    }
    let output = thread.run("read_file", json!({})).await;
    assert_eq!(output.content["error"], "There is no tool `read_file`. Did you mean `readFile`?");
    assert_eq!(
        output.content["tools"].as_array().unwrap().len(),
        thread.tools.specs(Powers::Everything, &Hands::default()).len()
    );
}

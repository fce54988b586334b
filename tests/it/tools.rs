//! The toolbox as a model is told of it. What the tools do is in `contract`.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use threadbox::agent::Powers;
use threadbox::agent::tools::Hands;
use threadbox::agent::tools::{Access, Toolbox};
use threadbox::model::{Arguments, ToolCall};

fn call(name: &str, arguments: Value) -> ToolCall {
    let Value::Object(arguments) = arguments else { panic!("an object") };
    ToolCall { id: "1".to_owned(), name: name.to_owned(), arguments: Arguments::Object(arguments), signature: None }
}

#[test]
fn the_toolbox_has_every_tool_with_a_plain_schema() {
    let specs = Toolbox::standard().specs(Powers::Everything, &Hands::default());
    let names: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "createSandbox",
            "runCode",
            "runCommand",
            "readFile",
            "writeFile",
            "writeFiles",
            "listFiles",
            "deleteFile",
            "createDirectory",
            "getFileInfo",
            "checkFileExists",
            "getFileSize",
            "watchDirectory",
            "editFile",
            "applyPatch",
            "searchFiles",
            "findFiles",
            "diff",
            "startProcess",
            "readProcess",
            "stopProcess",
            "previewUrl",
            "attachFile",
            "askPerson"
        ]
    );
    for spec in &specs {
        assert!(spec.description.len() > 40, "{}", spec.name);
        assert_eq!(spec.schema["type"], "object");
        let text = spec.schema.to_string();
        for unwanted in ["$ref", "$schema", "\"title\"", "\"format\"", "null", "anyOf", "oneOf", "\"const\""] {
            assert!(!text.contains(unwanted), "{}: {text}", spec.name);
        }
        let fields = spec.schema["properties"].as_object().unwrap();
        assert!(fields.values().all(|field| field["description"].is_string()), "{}: {text}", spec.name);
        let required = spec.schema["required"].as_array().cloned().unwrap_or_default();
        assert!(!required.contains(&json!("sandboxId")));
        assert_eq!(fields.contains_key("sandboxId"), !["createSandbox", "askPerson"].contains(&spec.name.as_str()));
    }
    let defaults = |name: &str, field: &str| {
        specs.iter().find(|spec| spec.name == name).unwrap().schema["properties"][field]["default"].clone()
    };
    assert_eq!(defaults("createSandbox", "language"), "python");
    assert_eq!(defaults("listFiles", "path"), "/");
    assert_eq!(defaults("getFileSize", "humanReadable"), false);
    assert_eq!(defaults("watchDirectory", "recursive"), false);
    assert_eq!(defaults("watchDirectory", "watchDuration"), 30_000);
    assert_eq!(defaults("runCommand", "captureOutput"), true);
}

#[test]
fn reads_run_together_and_writes_alone() {
    let tools = Toolbox::standard();
    let access = |name: &str, arguments: Value| tools.access(&call(name, arguments));
    assert_eq!(access("readFile", json!({ "path": "a" })), Access::Reads);
    assert_eq!(access("diff", json!({})), Access::Reads);
    assert_eq!(access("runCode", json!({ "code": "" })), Access::Writes);
    assert_eq!(access("deleteFile", json!({ "path": "a" })), Access::Writes);
    assert_eq!(access("watchDirectory", json!({ "path": "a" })), Access::Reads);
    assert_eq!(access("watchDirectory", json!({ "path": "a", "command": "make" })), Access::Writes);
    assert_eq!(access("readProcess", json!({})), Access::Reads);
    assert_eq!(access("startProcess", json!({ "command": "x" })), Access::Writes);
    assert_eq!(access("applyPatch", json!({ "patch": "" })), Access::Writes);
    assert_eq!(tools.label(&call("runCode", json!({ "code": "", "language": "python" }))), "Running Python");
    assert_eq!(tools.label(&call("runCommand", json!({ "command": "cargo test" }))), "Running cargo test");
}
